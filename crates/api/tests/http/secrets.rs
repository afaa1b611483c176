//! Nothing that the crate prints, logs or returns shows a secret, not even one that the server echoes.

use std::{
    error::Error as _,
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use crate::common::{TOKEN, builder, id};
use cfw_api::{
    AccessKey, CreateFirewall, Credentials, FirewallId, IdOrName, Password, RefreshReason, Token,
    TokenError, TokenProvider, User,
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const AK: &str = "SENSITIVE_ACCESS_KEY";
const SK: &str = "SENSITIVE/secret+key==";
const SECURITY_TOKEN: &str = "SENSITIVE-security-token";
const PASSWORD: &str = "SENSITIVE pässword";
const PASSCODE: &str = "SENSITIVE-123456";

/// The token that IAM issues.
const ISSUED: &str = "SENSITIVE-issued-token";

/// What servers echo: all that they were sent, and they were sent no secret of another kind of credential.
const SENT: [&[&str]; 4] = [&[TOKEN], &[AK, SK, SECURITY_TOKEN], &[PASSWORD, PASSCODE], &[TOKEN]];

fn key() -> AccessKey {
    AccessKey::new(AK, SK).security_token(SECURITY_TOKEN)
}

fn password(url: &str) -> Password {
    Password::new(url, User::Id("u".into()), PASSWORD, IdOrName::Name("eu-de".into()))
        .passcode(PASSCODE)
}

/// Credentials of each kind, in the order of `SENT`.
fn credentials(url: &str) -> [Credentials; 4] {
    [
        Credentials::token(TOKEN),
        Credentials::access_key(key()),
        Credentials::password(password(url)),
        Credentials::provider(Fixed),
    ]
}

/// Ways in which servers and proxies write what they echo.
const ENCODERS: [fn(&str) -> String; 8] = [
    |text| serde_json::to_string(text).unwrap().trim_matches('"').to_owned(),
    // JSON within JSON.
    |text| {
        let once = serde_json::to_string(text).unwrap();
        serde_json::to_string(once.trim_matches('"')).unwrap().trim_matches('"').to_owned()
    },
    |text| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
    |text| text.replace('&', "&amp;").replace('"', "&quot;").replace('/', "&#x2F;"),
    |text| text.chars().map(|c| format!("&#{};", c as u32)).collect(),
    |text| text.bytes().map(|byte| format!("%{byte:02X}")).collect(),
    |text| text.bytes().map(|byte| format!("%25{byte:02x}")).collect(),
    |text| text.replace(' ', "+").replace('"', "%22").replace('/', "%2F"),
];

struct Fixed;

impl TokenProvider for Fixed {
    async fn token(&self, _: RefreshReason) -> Result<Token, TokenError> {
        Ok(Token::new(TOKEN))
    }
}

/// Everything said, to be searched at the end.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn hear(&self, what: impl Debug) {
        self.0.lock().expect("no panic holds it").extend(format!("{what:?}\n{what:#?}\n").bytes());
    }

    fn hear_error(&self, error: &cfw_api::Error) {
        self.hear(error);
        self.hear(error.to_string());
        let mut cause = error.source();
        while let Some(inner) = cause {
            self.hear(inner.to_string());
            cause = inner.source();
        }
    }
}

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic holds it").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let said = Said::default();
    let writer = said.clone();
    let _logs = tracing::subscriber::set_default(
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish(),
    );

    said.hear((key(), password("http://127.0.0.1:1"), Token::new(TOKEN)));
    said.hear(builder("http://user:SENSITIVE@127.0.0.1:1"));
    said.hear(builder("http://user:SENSITIVE@127.0.0.1:1").build().unwrap_err());
    let bad = "SENSI\nTIVE";
    for bad in [
        Credentials::token(bad),
        Credentials::access_key(AccessKey::new(bad, SK)),
        Credentials::access_key(AccessKey::new(AK, bad)),
        Credentials::access_key(key().security_token(bad)),
        Credentials::password(password("http://SENSITIVE:SENSITIVE@h")),
        Credentials::password(password("SENSITIVE@h")),
    ] {
        said.hear(builder("http://127.0.0.1:1").credentials(bad).build().unwrap_err());
    }

    let (create, firewall) =
        (CreateFirewall::builder("edge").build().unwrap(), FirewallId::new("f").unwrap());
    for status in [200, 302, 400, 401, 403, 404, 429, 500, 503] {
        for (n, sent) in SENT.iter().enumerate() {
            let all = sent.join(" and ");
            let first = sent[0];
            let encoded: Vec<String> = ENCODERS
                .iter()
                .map(|encode| {
                    let text = encode(&all);
                    format!("{{\"error_code\":\"x\",\"error_msg\":\"you sent {text}\"}} {text}")
                })
                .collect();
            let bodies = [
                format!(
                    r#"{{"error_code":"{first}","error_msg":"you sent {all}","request_id":"{first}"}}"#
                ),
                format!(r#"{{"error":{{"code":"{first}","message":"you sent {all}"}}}}"#),
                format!(
                    r#"{{"data":{{"status":"Failed"}},"error_code":"{first}","error_msg":"you sent {all}"}}"#
                ),
                format!(r#"{{"data":{{"status":"{all}"}}}}"#),
                format!(r#"{{"data":{{"status":"Failed","id":"{all}"}},"token":"{all}"}}"#),
                format!(r#"{{"data":"x/{first}","job_id":"x/{first}"}}"#),
                format!(
                    r#"{{"data":{{"records":[{{"fw_instance_id":"f","name":"{all}","status":2}}]}}}}"#
                ),
                format!("<html>X-Auth-Token: {all}</html>"),
                format!("APIGW.0301 ak:{first},err: {all}"),
            ];
            for body in bodies.into_iter().chain(encoded) {
                let server = MockServer::start().await;
                let answer = ResponseTemplate::new(status)
                    .insert_header("X-Request-Id", format!("{first} {ISSUED}"))
                    .insert_header("X-Subject-Token", ISSUED)
                    .set_body_string(body);
                Mock::given(any()).respond_with(answer).mount(&server).await;
                let credentials = credentials(&server.uri())[n].clone();
                said.hear(&credentials);
                let builder = builder(&server.uri()).credentials(credentials);
                said.hear(&builder);
                let client = builder.build().unwrap();
                said.hear(&client);
                // The second call can meet what the first left behind.
                for _ in 0..2 {
                    match client.get_firewall(&firewall).await {
                        Ok(firewall) => said.hear(firewall),
                        Err(error) => said.hear_error(&error),
                    }
                    if let Err(error) = client.create_firewall(&create).await {
                        said.hear_error(&error);
                    }
                    if let Err(error) = client.delete_firewall(&firewall).await {
                        said.hear_error(&error);
                    }
                    match client.list_job(&id()).await {
                        Ok(job) => said.hear(job),
                        Err(error) => said.hear_error(&error),
                    }
                }
            }
        }
    }
    for credentials in credentials("http://127.0.0.1:1") {
        let client = builder("http://127.0.0.1:1").credentials(credentials).build().unwrap();
        said.hear_error(&client.list_job(&id()).await.unwrap_err());
    }

    let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
    assert!(
        said.contains("answered") && said.contains("you sent [redacted]"),
        "logs and errors were heard"
    );
    let found = said.lines().find(|line| line.contains("SENSI"));
    assert_eq!(found, None);
    // Nor in any encoding of the marker.
    for encode in ENCODERS {
        let marker = encode("SENSITIVE");
        let found = said.lines().find(|line| line.contains(&marker));
        assert_eq!(found, None, "{marker}");
    }
}
