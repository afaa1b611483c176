//! An error and its causes in one line.

use std::error::Error;
use std::fmt;

/// Writes the message of an error, and of each cause that the text before does not end with: some libraries repeat it.
///
/// The public errors do so for `{:?}`, which is what a `main` that returns an error prints, and have their fields for `{:#?}`.
pub(crate) fn fmt_chain(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut last = error.to_string();
    f.write_str(&last)?;
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !last.ends_with(&text) {
            write!(f, ": {text}")?;
        }
        (last, next) = (text, cause.source());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::error::Operation;
    use crate::{Class, Client, Error, ErrorKind, FirewallId, JobId, Settings};

    #[test]
    fn debug_of_an_error_is_what_a_main_should_print() {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let call = Error::new(Operation::CreateFirewall, ErrorKind::Connect, Class::Unreached);
        let file = Settings::from_lookup(|name| {
            (name == "HUAWEICLOUD_SDK_CREDENTIALS_FILE").then(|| "/nowhere/key".to_owned())
        });
        let errors: [(Box<dyn std::error::Error>, &str, &str); 6] = [
            (
                Box::new(call.with_source(refused())),
                "create firewall: no connection, or it broke: connection refused",
                "Error {\n    call: ",
            ),
            (
                Box::new(JobId::new("a/b").expect_err("it holds a slash")),
                "invalid job id \"a/b\": holds a '/'",
                "InvalidJobId {\n    id: ",
            ),
            (
                Box::new(FirewallId::new("").expect_err("it is empty")),
                "invalid firewall id \"\": is empty",
                "InvalidFirewallId {\n    id: ",
            ),
            (
                Box::new(Client::builder().build().expect_err("nothing is set")),
                "credentials: are missing",
                "ConfigError {\n    field: ",
            ),
            (
                Box::new(Settings::from_lookup(|_| None).expect_err("nothing is set")),
                "no credentials: set CFW_TOKEN or",
                "SettingsError(\n    NoCredential",
            ),
            (
                Box::new(file.expect_err("there is no such file")),
                "cannot read /nowhere/key, which HUAWEICLOUD_SDK_CREDENTIALS_FILE names: No such file",
                "SettingsError(\n    Unreadable",
            ),
        ];
        for (error, text, fields) in errors {
            assert!(format!("{error:?}").starts_with(text), "{error:?}");
            assert!(format!("{error:#?}").starts_with(fields), "{error:#?}");
        }
    }
}
