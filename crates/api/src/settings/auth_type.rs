//! How to sign in, as `OS_AUTH_TYPE` and `auth_type` name it.

use super::error::{Problem, SettingsError};

/// The supported types of keystoneauth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthType {
    Password,
    Token,
    MultiFactor,
    ApplicationCredential,
}

impl AuthType {
    /// Parses a type. The error for an unsupported one names it and `label`.
    pub(super) fn parse(text: &str, label: &str) -> Result<Self, SettingsError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "password" | "v3password" => Ok(Self::Password),
            "token" | "v3token" => Ok(Self::Token),
            "v3multifactor" => Ok(Self::MultiFactor),
            "v3applicationcredential" => Ok(Self::ApplicationCredential),
            _ => Err(Problem::AuthType { name: label.to_owned(), auth_type: shown(text) }.into()),
        }
    }

    /// Checks the methods of `v3multifactor`, separated by commas.
    pub(super) fn check_methods(methods: &str, label: &str) -> Result<(), SettingsError> {
        let mut methods = methods.split(',').map(str::trim).filter(|method| !method.is_empty());
        match methods
            .find(|method| !matches!(*method, "v3password" | "v3totp" | "password" | "totp"))
        {
            None => Ok(()),
            Some(method) => {
                Err(Problem::AuthMethod { name: label.to_owned(), method: shown(method) }.into())
            }
        }
    }
}

/// Returns a name unless it does not look like one: it could be a misplaced secret.
fn shown(text: &str) -> String {
    let is_name = text.len() <= 40
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
    if is_name { text.to_owned() } else { "..".to_owned() }
}
