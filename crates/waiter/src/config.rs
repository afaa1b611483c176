//! The one error of building a waiter or a part of it.

use std::fmt;

use crate::util::chain::error_chain;

/// A setting that cannot be: names the field and the value.
///
/// ```
/// use cfw_waiter::Schedule;
/// use std::time::Duration;
///
/// let error = Schedule::fixed(Duration::ZERO).unwrap_err();
/// assert_eq!(error.field(), "interval");
/// assert_eq!(error.to_string(), "interval 0s is not above zero");
/// assert_eq!(format!("{error:?}"), error.to_string());
/// ```
///
/// `{:?}` writes the message, as a `main` that returns the error does, and `{:#?}` the fields.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: String,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }

    /// Returns the name of the setting that is wrong.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return f.write_str(&error_chain(self));
        }
        let Self { field, problem } = self;
        f.debug_struct("ConfigError").field("field", field).field("problem", problem).finish()
    }
}

impl std::error::Error for ConfigError {}
