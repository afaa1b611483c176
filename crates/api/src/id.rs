//! Ids that become a segment of a URL path. They are checked once, when they are made.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::clean::{self, clean, is_invisible};
use crate::error::fmt_chain;

/// The characters that are written as `%XX` in a path segment or a query: all but the unreserved characters
/// of RFC 3986. Signatures encode with the same set, so that the gateway reads what was signed.
pub(crate) const RESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const MAX_BYTES: usize = 256;

/// Percent-encodes one path segment.
pub(crate) fn segment(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, RESERVED).into()
}

/// Returns why `text` cannot be a path segment, or `None` if it can.
pub(crate) fn problem(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.len() > MAX_BYTES {
        Some("is longer than 256 bytes")
    } else if text.contains('/') {
        Some("holds a '/'")
    } else if let Some(problem) = clean::problem(text) {
        Some(problem)
    } else if text.chars().any(is_invisible) {
        // A server's id is shown, and one with such a character is a mistake.
        Some("holds an invisible character")
    } else if text == "." || text == ".." {
        // URL parsers resolve these even if they are encoded, so the request would go to another path.
        Some("is a relative path")
    } else {
        None
    }
}

/// Quotes a refused value, shortened so that a long value does not make a long message.
pub(crate) fn quoted(value: &str) -> String {
    const CHARS: usize = 100;
    let more = if value.chars().nth(CHARS).is_some() { "…" } else { "" };
    format!("{:?}{more}", value.chars().take(CHARS).collect::<String>())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $(#[$error_doc:meta])* $error:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `id`. White space and a byte order mark around it are dropped.
            ///
            /// # Errors
            /// If it is empty, longer than 256 bytes, `.` or `..`, or holds a `/`, a control character or an invisible one.
            pub fn new(id: impl Into<String>) -> Result<Self, $error> {
                id.into().parse()
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&&*self.0).finish()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;
            fn from_str(id: &str) -> Result<Self, $error> {
                let id = clean(id);
                match problem(id) {
                    None => Ok(Self(id.into())),
                    Some(problem) => Err($error { id: id.to_owned(), problem }),
                }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $error;
            fn try_from(id: &str) -> Result<Self, $error> {
                id.parse()
            }
        }

        /// Checks an id without copying it.
        impl TryFrom<Arc<str>> for $name {
            type Error = $error;
            fn try_from(id: Arc<str>) -> Result<Self, $error> {
                if clean(&id).len() < id.len() {
                    return id.parse();
                }
                match problem(&id) {
                    None => Ok(Self(id)),
                    Some(problem) => Err($error { id: id.as_ref().to_owned(), problem }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(id: String) -> Result<Self, $error> {
                Self::new(id)
            }
        }

        $(#[$error_doc])*
        ///
        /// `{:?}` writes the message, as a `main` that returns the error does, and `{:#?}` the fields.
        #[derive(Clone, PartialEq, Eq, thiserror::Error)]
        #[error("invalid {} {}: {problem}", $what, quoted(id))]
        pub struct $error {
            id: String,
            problem: &'static str,
        }

        impl $error {
            /// Returns the refused text.
            pub fn value(&self) -> &str {
                &self.id
            }
        }

        impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if !f.alternate() {
                    return fmt_chain(self, f);
                }
                let Self { id, problem } = self;
                f.debug_struct(stringify!($error)).field("id", id).field("problem", problem).finish()
            }
        }
    };
}

id! {
    /// The id of a job, as a mutation returned it.
    ///
    /// An opaque string: most are UUIDs, but the service's documentation shows one that is not. It is 1 to 256
    /// bytes long and holds neither `/` nor control characters. It is percent-encoded in a path.
    ///
    /// ```
    /// use cfw_api::JobId;
    ///
    /// let id = JobId::new("CS2403271050ZEM0L")?;
    /// assert_eq!(id.as_str(), "CS2403271050ZEM0L");
    /// assert_eq!(JobId::new("a/b").unwrap_err().to_string(), r#"invalid job id "a/b": holds a '/'"#);
    /// # Ok::<_, cfw_api::InvalidJobId>(())
    /// ```
    JobId,
    /// The error for a text that cannot be a [`JobId`]. The message says why and quotes it.
    InvalidJobId,
    "job id"
}

id! {
    /// The id of a firewall.
    ///
    /// The job that creates a firewall has the firewall's id, so a [`JobId`] converts into it. The same texts are
    /// valid.
    FirewallId,
    /// The error for a text that cannot be a [`FirewallId`]. The message says why and quotes it.
    InvalidFirewallId,
    "firewall id"
}

impl From<JobId> for FirewallId {
    /// Returns the id of the firewall that a job creates.
    fn from(id: JobId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_opaque_but_fits_one_path_segment() {
        for good in [
            "CS2403271050ZEM0L",
            "cd63a1c1-5ac5-4bd8-9d2e-1a2b3c4d5e6f",
            "a b%c?d#e",
            "é",
            "...",
            "%2e%2e",
        ] {
            assert_eq!(JobId::new(good).unwrap().to_string(), good);
        }
        assert!(JobId::new("x".repeat(256)).is_ok());
        assert_eq!(JobId::new("\u{feff} a-1\r\n").unwrap().as_str(), "a-1");
    }

    #[test]
    fn a_bad_id_is_refused_with_its_value_and_the_reason() {
        let rows = [
            ("", r#"invalid job id "": is empty"#),
            (" \u{feff}\n", r#"invalid job id "": is empty"#),
            ("a\u{202e}b", r#"invalid job id "a\u{202e}b": holds an invisible character"#),
            ("a\u{200b}", r#"invalid job id "a\u{200b}": holds an invisible character"#),
            ("a/b", r#"invalid job id "a/b": holds a '/'"#),
            ("a\nb", r#"invalid job id "a\nb": holds a control character"#),
            (".", r#"invalid job id ".": is a relative path"#),
            ("..", r#"invalid job id "..": is a relative path"#),
        ];
        for (id, message) in rows {
            assert_eq!(JobId::new(id).unwrap_err().to_string(), message);
        }
        let long = JobId::new("x".repeat(1 << 20)).unwrap_err();
        assert!(long.to_string().ends_with("is longer than 256 bytes"));
        assert!(long.to_string().len() < 200, "{}", long.to_string().len());
    }

    #[test]
    fn a_segment_is_encoded_once_and_whole() {
        assert_eq!(segment("a b%c?d#é-._~").to_string(), "a%20b%25c%3Fd%23%C3%A9-._~");
    }
}
