//! The client, configured by flags and the environment.

use std::fs::File;
use std::io::{self, Read};

use cfw_api::{Client, ConfigError, Credentials, Settings, SettingsError};

use crate::args::CloudArgs;
use crate::exit::CliError;
use crate::output::print_warning;
use crate::state::Place;
use crate::text;

/// The longest token file that is read. Tokens have a few kilobytes.
const MAX_TOKEN_LEN: u64 = 64 * 1024;

/// Builds the client. Returns it with the service and the project of its jobs, as far as they are configured. Flags take
/// precedence over the environment.
pub(crate) fn build_client(args: &CloudArgs) -> Result<(Client, Place), CliError> {
    let token = args.token_file.as_deref().map(read_token).transpose()?;
    let lookup = |name: &str| {
        let flag = match name {
            "CFW_ENDPOINT" => args.endpoint.clone(),
            "CFW_PROJECT_ID" => args.project_id.clone(),
            "CFW_TOKEN" => token.clone(),
            "OS_CLOUD" => args.os_cloud.clone(),
            _ => None,
        };
        // `--os-cloud` selects a cloud, and variables for another one must not be mixed in.
        let is_overridden = args.os_cloud.is_some() && name.starts_with("CFW_");
        flag.or_else(|| environment(name).filter(|_| !is_overridden))
    };
    let settings = Settings::from_lookup(lookup)
        .map_err(|error| CliError::misconfigured(settings_message(args, &error)))?;
    for warning in settings.warnings() {
        print_warning(warning);
    }
    let mut builder = Client::builder()
        .settings(&settings)
        .allow_plain_http(args.allow_plain_http)
        .user_agent(concat!("cfw-wait/", env!("CARGO_PKG_VERSION")));
    if let Some(url) = &args.endpoint {
        builder = builder.endpoint(url);
    }
    // A file can be replaced while waiting. Standard input and pipes can be read only once.
    let is_file =
        |path: &&str| *path != "-" && std::fs::metadata(path).is_ok_and(|file| file.is_file());
    if let Some(path) = args.token_file.as_deref().filter(is_file) {
        builder = builder.credentials(Credentials::token_file(path));
    }
    let client = builder.build();
    let client = client.map_err(|error| CliError::misconfigured(config_message(&error)))?;
    Ok((client, Place::from_settings(&settings)))
}

/// Describes an error of the settings, with the flag if the value is from one.
fn settings_message(args: &CloudArgs, error: &SettingsError) -> String {
    let text = text::error_chain(error);
    let flags = [
        ("CFW_ENDPOINT", "--endpoint", args.endpoint.is_some()),
        ("CFW_PROJECT_ID", "--project-id", args.project_id.is_some()),
        ("CFW_TOKEN", "--token-file", args.token_file.is_some()),
        ("OS_CLOUD", "--os-cloud", args.os_cloud.is_some()),
    ];
    let renamed =
        flags.into_iter().filter(|(.., is_given)| *is_given).find_map(|(variable, flag, _)| {
            let rest = text.strip_prefix(variable).filter(|rest| rest.starts_with(' '))?;
            Some(format!("{flag}{rest}"))
        });
    renamed.unwrap_or(text)
}

/// Describes a configuration error, with the flag that resolves it. The library names the variable.
fn config_message(error: &ConfigError) -> String {
    let text = text::error_chain(error);
    match (error.field(), error.value()) {
        ("endpoint", None) => format!("{text} or give --endpoint"),
        ("endpoint" | "auth_url", _) if text.contains("allow plain http") => {
            format!("{text} (--allow-plain-http)")
        }
        ("ca_file", _) => {
            format!("{text} (set by CFW_CACERT, OS_CACERT or `cacert` in clouds.yaml)")
        }
        ("project_id", None) => format!("{text} or give --project-id"),
        _ => text,
    }
}

fn read_token(path: &str) -> Result<String, CliError> {
    let invalid =
        |problem: String| CliError::misconfigured(format!("--token-file {path:?}: {problem}"));
    let read = |input: &mut dyn Read| {
        let mut text = String::new();
        input.take(MAX_TOKEN_LEN + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if path == "-" {
        read(&mut io::stdin().lock())
    } else {
        File::open(path).and_then(|mut file| read(&mut file))
    };
    let text = text.map_err(|error| invalid(format!("cannot be read: {error}")))?;
    if text.len() as u64 > MAX_TOKEN_LEN {
        return Err(invalid("is longer than 64 KiB".to_owned()));
    }
    match text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}') {
        "" => Err(invalid("is empty".to_owned())),
        token => Ok(token.to_owned()),
    }
}

#[expect(clippy::disallowed_methods, reason = "the environment is read here only")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
