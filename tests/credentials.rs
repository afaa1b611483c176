//! Credentials under many waits, end to end: renewed once for all, refused once for all.

use std::time::Duration;

use cfw_api::{
    AccessKey, Client, CreateFirewall, Credentials, FirewallId, IdOrName, Password, User,
};
use cfw_simulator::{Fault, JobScript, Route, Simulator, TokenRefusal};
use cfw_waiter::{FirewallGone, Policy, Schedule, WaitErrorKind, Waiter};

const WAITS: usize = 500;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn simulator() -> Simulator {
    Simulator::builder().seed(7).start_on_thread().expect("a port on loopback")
}

fn password(sim: &Simulator, password: &str) -> Credentials {
    let user = User::Name {
        name: sim.user().name().to_owned(),
        domain: IdOrName::Name(sim.user().domain().to_owned()),
    };
    let project = IdOrName::Name(sim.project_name().to_owned());
    Credentials::password(Password::new(format!("{}/v3", sim.endpoint()), user, password, project))
}

fn key(sim: &Simulator, secret: &str) -> Credentials {
    Credentials::access_key(AccessKey::new(sim.access_key().access(), secret))
}

fn client(sim: &Simulator, credentials: Credentials) -> Client {
    let builder = Client::builder().endpoint(sim.endpoint()).project_id(sim.project_id());
    builder.credentials(credentials).build().expect("sound settings")
}

fn waiter(client: Client) -> Waiter {
    let schedule = Schedule::exponential(ms(50), 1.2, ms(200)).expect("a sound schedule");
    let policy = Policy::new().schedule(schedule).timeout(Duration::from_secs(30));
    let builder = Waiter::builder(client).policy(policy).min_interval(ms(20)).quota(None);
    builder.build().expect("sound settings")
}

fn waiter_for_gone(client: &Client) -> Waiter {
    let policy = Policy::new().schedule(Schedule::fixed(ms(50)).expect("a sound schedule"));
    let builder = Waiter::builder(FirewallGone::new(client.clone())).policy(policy);
    builder.min_interval(ms(20)).build().expect("sound settings")
}

#[expect(clippy::panic, reason = "a helper of tests fails loudly, too")]
async fn wait_until(met: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if met() {
            return;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a test looks at the simulator now and then"
        )]
        tokio::time::sleep(ms(5)).await;
    }
    panic!("it does not come about");
}

#[tokio::test]
async fn rule_08_a_token_revoked_under_five_hundred_waits_is_renewed_once_and_no_wait_fails() {
    for refusal in [TokenRefusal::Unauthorized, TokenRefusal::MustUpdate, TokenRefusal::Forbidden] {
        let sim = simulator();
        sim.set_token_refusal(refusal);
        let ids = sim.add_jobs(WAITS, &JobScript::never());
        let waiter = waiter(client(&sim, password(&sim, sim.user().password())));
        let all = waiter.watch(&ids).all_or_first_failure();
        let revoke = async {
            wait_until(|| sim.counts().polls >= 700).await;
            sim.revoke_tokens();
            wait_until(|| sim.counts().tokens == 2).await;
            assert!(ids.iter().all(|id| sim.finish(id)));
        };
        let (reports, ()) = tokio::join!(all, revoke);
        assert_eq!(reports.expect("no wait fails").len(), WAITS);
        let counts = sim.counts();
        assert_eq!(counts.tokens, 2, "one at the start, one after the revocation");
        assert!(counts.refused >= 1);
        assert_eq!(waiter.stats().refused, 0, "the waiter has never heard of it");
        assert_eq!(counts.overlapping, 0);
        // Each refused poll was sent again, so none was lost.
        assert_eq!(counts.polls - counts.refused, waiter.stats().polls);
    }
}

#[tokio::test]
async fn rule_08_a_wrong_secret_key_costs_one_refused_request_for_five_hundred_waits() {
    let sim = simulator();
    let ids = sim.add_jobs(WAITS, &JobScript::succeeds_after(ms(100)));
    let waiter = waiter(client(&sim, key(&sim, "not the secret")));
    let ends = waiter.watch(&ids).all().await;
    assert_eq!(ends.len(), WAITS);
    for (_, end) in ends {
        let error = end.expect_err("the key is wrong");
        assert_eq!(error.kind(), WaitErrorKind::Refused);
        let text = error.to_string();
        assert!(
            text.contains("credentials refused") && text.contains("verify aksk signature fail"),
            "{text}"
        );
    }
    assert_eq!((sim.counts().polls, sim.counts().refused), (1, 1));
    // Nor does a later wait try the key again.
    waiter.wait_for_job(&ids[0]).await.expect_err("known to be refused");
    assert_eq!(sim.counts().polls, 1);
}

#[tokio::test]
async fn rule_08_a_wrong_password_is_tried_once() {
    let sim = simulator();
    let ids = sim.add_jobs(WAITS, &JobScript::succeeds_after(ms(100)));
    let ends = waiter(client(&sim, password(&sim, "wrong"))).watch(&ids).all().await;
    assert!(
        ends.iter().all(|(_, end)| end.as_ref().is_err_and(|e| e.kind() == WaitErrorKind::Refused))
    );
    assert_eq!((sim.counts().tokens, sim.counts().polls), (1, 0));
}

/// It is IAM that throttles, so no poll is slowed down after the pause that it asks for.
#[tokio::test]
async fn a_login_that_is_throttled_delays_all_waits_by_its_pause_alone() {
    let sim = simulator();
    let ids = sim.add_jobs(100, &JobScript::succeeds_after(ms(100)));
    sim.fail_next_on(Route::Token, 1, Fault::throttled_for("0.3"));
    let waiter = waiter(client(&sim, password(&sim, sim.user().password())));
    // One poll in five seconds would take minutes.
    let all = waiter.watch(&ids).all_or_first_failure();
    assert_eq!(all.await.expect("no wait fails").len(), 100);
    let stats = waiter.stats();
    assert_eq!((stats.throttled, sim.counts().tokens), (0, 2), "{stats:?}");
    assert!(stats.paused <= ms(300) && stats.paused >= ms(290), "{stats:?}");
}

/// One node of the gateway refuses what the others accept, now and then.
#[tokio::test]
async fn rule_08_one_bare_refusal_of_proven_credentials_ends_no_wait() {
    for kind in ["token", "password", "key"] {
        let sim = simulator();
        let ids = sim.add_jobs(100, &JobScript::never());
        let waiter = waiter(client(
            &sim,
            match kind {
                "token" => Credentials::token(sim.token()),
                "password" => password(&sim, sim.user().password()),
                _ => key(&sim, sim.access_key().secret()),
            },
        ));
        let all = waiter.watch(&ids).all_or_first_failure();
        let flap = async {
            wait_until(|| sim.counts().polls >= 150).await;
            sim.fail_next(1, Fault::Status(401));
            wait_until(|| sim.requests().iter().any(|poll| poll.status == Some(401))).await;
            assert!(ids.iter().all(|id| sim.finish(id)));
        };
        let (reports, ()) = tokio::join!(all, flap);
        assert_eq!(reports.unwrap_or_else(|e| panic!("{kind}: {e}")).len(), 100);
        let refused = sim.requests().iter().filter(|poll| poll.status == Some(401)).count();
        assert_eq!((refused, waiter.stats().refused), (1, 0), "{kind}");
        assert_eq!(sim.counts().tokens, if kind == "password" { 2 } else { 0 }, "{kind}");
    }
}

/// A key that is revoked for good is reported soon, and is not locked.
#[tokio::test]
async fn rule_08_proven_credentials_that_stay_refused_end_all_waits_after_few_requests() {
    let sim = simulator();
    let ids = sim.add_jobs(20, &JobScript::never());
    let waiter = waiter(client(&sim, Credentials::token(sim.token())));
    let all = waiter.watch(&ids).all();
    let revoke = async {
        wait_until(|| sim.counts().polls >= 40 && sim.in_flight() == 0).await;
        sim.fail_during(.., Fault::Status(401));
    };
    let (ends, ()) = tokio::join!(all, revoke);
    for (_, end) in ends {
        assert_eq!(end.expect_err("refused").kind(), WaitErrorKind::Refused);
    }
    let refused: Vec<_> =
        sim.requests().iter().filter(|poll| poll.status == Some(401)).map(|poll| poll.at).collect();
    let (first, last) = (refused.first().expect("one"), refused.last().expect("one"));
    assert!(*last - *first >= Duration::from_secs(10), "{refused:?}");
    // The first ones can have been on their way together, then one at a time.
    let later = refused.iter().filter(|at| **at > *first + ms(900)).count();
    assert_eq!(later, 2, "{refused:?}");
}

#[tokio::test]
async fn an_expired_static_token_ends_the_wait_and_says_so() {
    let sim = simulator();
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    sim.expire_tokens();
    let waiter = waiter(client(&sim, Credentials::token(sim.token())));
    let error = waiter.wait_for_job(&id).await.expect_err("the token has expired");
    assert_eq!(error.kind(), WaitErrorKind::Refused);
    let text = error.to_string();
    assert!(
        text.contains("credentials refused") && text.contains("token expires, expires_at: "),
        "{text}"
    );
    waiter.wait_for_job(&id).await.expect_err("known to be refused");
    assert_eq!(sim.counts().polls, 1);
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_once() {
    let sim = simulator();
    sim.set_clock_ahead(Duration::from_secs(3_600));
    let ids = sim.add_jobs(100, &JobScript::succeeds_after(ms(200)));
    let waiter = waiter(client(&sim, key(&sim, sim.access_key().secret())));
    waiter.watch(&ids).all_or_first_failure().await.expect("no wait fails");
    assert_eq!(sim.counts().refused, 1);
}

#[tokio::test]
async fn rule_08_renewing_a_token_is_not_counted_as_attempt_time() {
    let sim = simulator();
    sim.fail_next_on(Route::Token, 1, Fault::Slow(ms(600)));
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    let policy = Policy::new()
        .schedule(Schedule::fixed(ms(50)).expect("a sound schedule"))
        .failures_in_total(1);
    let source = client(&sim, password(&sim, sim.user().password()));
    let builder =
        Waiter::builder(source).policy(policy).min_interval(ms(20)).attempt_timeout(ms(300));
    let waiter = builder.build().expect("sound settings");
    waiter.wait_for_job(&id).await.expect("the attempt itself is quick");
    assert_eq!((waiter.stats().transient, sim.counts().polls), (0, 1));
}

#[tokio::test]
async fn rule_05_an_attempt_is_limited_though_a_fetch_may_renew_credentials() {
    let sim = simulator();
    sim.fail_next(1, Fault::Hang);
    let id = sim.add_job(JobScript::succeeds_after(ms(0)));
    let policy = Policy::new().schedule(Schedule::fixed(ms(50)).expect("a sound schedule"));
    let source = client(&sim, Credentials::token(sim.token()));
    let builder =
        Waiter::builder(source).policy(policy).min_interval(ms(20)).attempt_timeout(ms(300));
    let waiter = builder.build().expect("sound settings");
    let report = waiter.wait_for_job(&id).await.expect("the second attempt is answered");
    assert!(report.elapsed < Duration::from_secs(5), "{report:?}");
    assert_eq!((waiter.stats().transient, sim.counts().polls), (1, 2));
}

#[tokio::test]
async fn a_firewall_is_created_waited_for_deleted_and_waited_for_until_gone() {
    for delete_jobs_exist in [true, false] {
        let sim =
            Simulator::builder().seed(7).delete_jobs_exist(delete_jobs_exist).start_on_thread();
        let sim = sim.expect("a port on loopback");
        let client = client(&sim, key(&sim, sim.access_key().secret()));
        let request = CreateFirewall::builder("edge").build().expect("a sound request");
        let created = client.create_firewall(&request).await.expect("created");
        let job = created.job_id.expect("pay-per-use has a job");
        let report = waiter(client.clone()).wait_for_job(&job).await.expect("the job succeeds");
        assert_eq!(report.id.as_str(), job.as_str());

        let firewall = FirewallId::from(job);
        assert!(client.get_firewall(&firewall).await.expect("an answer").is_some());
        client.delete_firewall(&firewall).await.expect("deleting");
        let gone = waiter_for_gone(&client).wait_for_job(firewall.as_str()).await.expect("it goes");
        assert_eq!(gone.state.expect("a state").status, "Gone");
        assert!(client.get_firewall(&firewall).await.expect("an answer").is_none());
    }
}

#[tokio::test]
async fn a_firewall_that_cannot_be_deleted_ends_the_wait_as_failed() {
    let sim = Simulator::builder().seed(7).firewall_delete(ms(60_000)).start_on_thread();
    let sim = sim.expect("a port on loopback");
    let client = client(&sim, Credentials::token(sim.token()));
    let request = CreateFirewall::builder("edge").build().expect("a sound request");
    let job = client.create_firewall(&request).await.expect("created").job_id.expect("a job");
    assert!(sim.finish(job.as_str()));
    let firewall = FirewallId::from(job);
    let deletion = client.delete_firewall(&firewall).await.expect("deleting");
    let wait = waiter_for_gone(&client).wait_for_job(firewall.as_str());
    let fail = async {
        wait_until(|| sim.counts().firewalls >= 2).await;
        assert!(sim.fail(deletion.as_str()));
    };
    let (end, ()) = tokio::join!(wait, fail);
    let error = end.expect_err("the deletion fails");
    assert_eq!(error.kind(), WaitErrorKind::Failed);
    assert!(error.to_string().contains("deletion failed"), "{error}");
}

#[tokio::test]
async fn a_retried_create_is_the_same_create() {
    let sim = simulator();
    let client = client(&sim, Credentials::token(sim.token()));
    let request = CreateFirewall::builder("edge").build().expect("a sound request");
    sim.fail_next_on(Route::CreateFirewall, 1, Fault::Reset);
    let error = client.create_firewall(&request).await.expect_err("the answer is lost");
    assert!(error.is_transient(), "{error}");
    let first = client.create_firewall(&request).await.expect("created");
    let again = client.create_firewall(&request).await.expect("created");
    assert_eq!(first.job_id, again.job_id);
}

/// A proxy that asks for credentials of its own, for every request.
fn refusing_proxy() -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    endpoint
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_is_named_as_the_cause() {
    let builder = Client::builder().endpoint(refusing_proxy()).project_id("p");
    let client = builder.credentials(Credentials::token("t")).build().expect("sound settings");
    let policy = Policy::new().give_up_unreached(ms(200)).timeout(Duration::from_secs(30));
    let error = waiter(client).wait_for_job("j").policy(policy).await.expect_err("never reached");
    assert_eq!(error.kind(), WaitErrorKind::Unreachable);
    let text = error.to_string();
    assert!(text.contains("a proxy refuses the request without other credentials"), "{text}");
}
