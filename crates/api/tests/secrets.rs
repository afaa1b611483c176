//! Nothing that the crate prints, logs or returns shows a secret, not even one that the server echoes.

#[cfg(test)]
mod common;

use std::{
    error::Error as _,
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use cfw_api::Credentials;
use common::{TOKEN, builder, id};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

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

    said.hear(Credentials::token(TOKEN));
    said.hear(builder("http://127.0.0.1:1"));
    said.hear(builder("http://user:SENSITIVE@127.0.0.1:1").build().unwrap_err());
    said.hear(
        builder("http://127.0.0.1:1")
            .credentials(Credentials::token("SENSI\nTIVE"))
            .build()
            .unwrap_err(),
    );
    let bodies = [
        format!(
            r#"{{"error_code":"{TOKEN}","error_msg":"bad token {TOKEN}","request_id":"{TOKEN}"}}"#
        ),
        format!("<html>X-Auth-Token: {TOKEN}</html>"),
        format!(
            r#"{{"data":{{"status":"Failed"}},"error_code":"x","error_msg":"you sent {TOKEN}"}}"#
        ),
        format!(r#"{{"data":{{"status":"Failed","id":"{TOKEN}"}}}}"#),
        format!(r#"{{"data":{{"status":"{TOKEN}"}}}}"#),
        TOKEN.to_owned(),
    ];
    for status in [200, 302, 400, 401, 403, 404, 429, 500, 503] {
        for body in &bodies {
            let server = MockServer::start().await;
            let answer = ResponseTemplate::new(status)
                .insert_header("X-Request-Id", TOKEN)
                .set_body_string(body);
            Mock::given(any()).respond_with(answer).mount(&server).await;
            let client = builder(&server.uri()).build().unwrap();
            said.hear(&client);
            match client.list_job(&id()).await {
                Ok(job) => said.hear(job),
                Err(error) => said.hear_error(&error),
            }
        }
    }
    said.hear_error(&common::client("http://127.0.0.1:1").list_job(&id()).await.unwrap_err());

    let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
    assert!(
        said.contains("answered") && said.contains("bad token [redacted]"),
        "logs and errors were heard"
    );
    let found = said.lines().find(|line| line.contains("SENSI"));
    assert_eq!(found, None);
}
