//! The client, from flags laid over the environment.

use std::fs::File;
use std::io::{self, Read};

use cfw_api::{Client, Credentials};

use crate::args::CloudArgs;
use crate::exit::Complaint;

/// A token has a few kilobytes. A file of more is not one.
const LONGEST_TOKEN: u64 = 64 * 1024;

/// Makes the client that the flags and the environment describe.
pub(crate) fn client(args: &CloudArgs) -> Result<Client, Complaint> {
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let lookup = |name: &str| {
        let flag = match name {
            "CFW_ENDPOINT" => args.endpoint.clone(),
            "CFW_PROJECT_ID" => args.project_id.clone(),
            "CFW_TOKEN" => token.clone(),
            _ => None,
        };
        flag.or_else(|| environment(name)).filter(|value| !value.is_empty())
    };
    let need = |name: &str, flag: &str| {
        lookup(name).ok_or_else(|| Complaint::misconfigured(format!("set {name} or give {flag}")))
    };
    Client::builder()
        .endpoint(need("CFW_ENDPOINT", "--endpoint")?)
        .project_id(need("CFW_PROJECT_ID", "--project-id")?)
        .credentials(Credentials::token(need("CFW_TOKEN", "--token-file")?))
        .user_agent(concat!("cfw-wait/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Complaint::misconfigured(error.to_string()))
}

fn read_token(path: &str) -> Result<String, Complaint> {
    let wrong =
        |problem: String| Complaint::misconfigured(format!("--token-file {path:?}: {problem}"));
    let read = |input: &mut dyn Read| {
        let mut text = String::new();
        input.take(LONGEST_TOKEN).read_to_string(&mut text).map(|_| text)
    };
    let text = if path == "-" {
        read(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|mut file| read(&mut file))
    };
    let text = text.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if text.trim().is_empty() {
        return Err(wrong("is empty".to_owned()));
    }
    Ok(text)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
