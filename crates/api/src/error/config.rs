//! The error for a setting of a client.

use std::fmt;

use super::fmt_chain;
use crate::id::quoted;

/// The error for a setting that cannot be used. It names the setting and its value, unless that is a secret.
///
/// `{:?}` writes the message, as a `main` that returns the error does, and `{:#?}` the fields.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}{}: {problem}", value.as_ref().map(|value| format!(" {}", quoted(value))).unwrap_or_default())]
pub struct ConfigError {
    field: &'static str,
    value: Option<String>,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(
        field: &'static str,
        value: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self { field, value: Some(value.into()), problem: problem.into() }
    }

    /// For a setting that is missing, or whose value is secret.
    pub(crate) fn hidden(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, value: None, problem: problem.into() }
    }

    /// Returns the name of the setting, as the builder spells it.
    pub fn field(&self) -> &str {
        self.field
    }

    /// Returns its value, unless it is missing or secret.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt_chain(self, f);
        }
        let Self { field, value, problem } = self;
        f.debug_struct("ConfigError")
            .field("field", field)
            .field("value", value)
            .field("problem", problem)
            .finish()
    }
}
