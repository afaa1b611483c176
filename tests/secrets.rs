//! Secrets are never shown, not even when the server echoes them (rule 13).
//!
//! In a binary of its own: `tracing` caches for the whole process which events anybody wants, and tests that run
//! beside this one want none.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cfw_api::{AccessKey, Client, Credentials, IdOrName, Password, User};
use cfw_simulator::{Fault, JobScript, Simulator};
use cfw_waiter::{Policy, Schedule, Waiter};
use tracing_subscriber::filter::LevelFilter;

/// Everything that the crates log.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic while it is held").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn waiter(client: Client) -> Waiter {
    let policy = Policy::new()
        .schedule(Schedule::fixed(Duration::from_millis(20)).expect("a sound schedule"));
    let policy = policy.timeout(Duration::from_millis(300));
    let builder = Waiter::builder(client).policy(policy).min_interval(Duration::from_millis(10));
    builder.build().expect("sound settings")
}

/// What a gateway says that echoes the request.
fn echoing(status: u16, code: &str, secrets: &[&str]) -> Fault {
    let echo =
        format!("bad header {}, canonicalRequest:GET|{}", secrets.join(" and "), secrets.join("|"));
    Fault::code(status, code, echo)
}

#[tokio::test]
async fn rule_13_secrets_are_never_shown_not_even_when_the_server_echoes_them() {
    let logs = Logs::default();
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false);
    let _logging =
        tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());

    let sim = Simulator::builder().seed(7).start_on_thread().expect("a port on loopback");
    let id = sim.add_job(JobScript::never());
    let user = || User::Name {
        name: sim.user().name().to_owned(),
        domain: IdOrName::Name(sim.user().domain().to_owned()),
    };
    let project = || IdOrName::Name(sim.project_name().to_owned());
    let password = |password| Password::new(sim.endpoint(), user(), password, project());
    let key = AccessKey::new(sim.access_key().access(), "MARKER-secret-key")
        .security_token("MARKER-session");
    let all = [
        (Credentials::token("MARKER-token"), vec!["MARKER-token"]),
        (Credentials::token(sim.token()), vec![sim.token()]),
        (
            Credentials::password(password("MARKER-password").passcode("MARKER-totp")),
            vec!["MARKER-password", "MARKER-totp"],
        ),
        (Credentials::password(password(sim.user().password())), vec![sim.user().password()]),
        (Credentials::access_key(key), vec!["MARKER-secret-key", "MARKER-session"]),
    ];
    let mut shown = String::new();
    for (credentials, secrets) in &all {
        shown += &format!("{credentials:?}");
        for fault in [
            None,
            Some(echoing(401, "APIGW.0301", secrets)),
            Some(echoing(400, "CFW.00100001", secrets)),
            Some(echoing(400, "CFW.00200001", secrets)),
            Some(echoing(403, "APIGW.0302", secrets)),
        ] {
            let builder = Client::builder().endpoint(sim.endpoint()).project_id(sim.project_id());
            let client = builder.credentials(credentials.clone()).build().expect("sound settings");
            if let Some(fault) = fault {
                sim.fail_next(10, fault);
            }
            let error =
                waiter(client.clone()).wait_for_job(&id).await.expect_err("it never ends well");
            sim.clear_faults();
            shown += &format!("{client:?} {error} {error:?} {error:#?} {:#?}", error.cause());
            let mut next = std::error::Error::source(&error);
            while let Some(source) = next {
                shown += &format!("{source} {source:?} {source:#?}");
                next = source.source();
            }
        }
    }
    shown += &String::from_utf8_lossy(&logs.0.lock().expect("no panic while it is held"));
    assert!(
        shown.contains("polling") && shown.contains("bad header"),
        "logs and echoes were caught"
    );
    for secret in all.iter().flat_map(|(_, secrets)| secrets) {
        let found = shown.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "{secret} is shown");
    }
}
