//! Job ids.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::sync::Arc;

/// The id of a job: an opaque text, cheap to clone.
///
/// Only the service knows which ids are valid, so building one cannot fail; a [`JobSource`] that
/// finds an id malformed answers with a [fatal](crate::ErrorClass::Fatal) error and sends nothing.
///
/// ```
/// use cfw_waiter::JobId;
///
/// let id = JobId::from("5a2b74ef-6fb9-4d0b-b4e9-e8a05ae0b6cf");
/// assert_eq!(id.as_str().len(), 36);
/// ```
///
/// [`JobSource`]: crate::JobSource
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id without copying its text.
    #[cfg(feature = "cfw")]
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// Reads both ends of where the id is stored, so that all of it is in the cache: an id of the
    /// usual length lies across two cache lines, and the count of its users, at the head, is as cold as the text.
    pub(crate) fn touch(&self) -> (usize, Option<u8>) {
        (Arc::strong_count(&self.0), self.0.as_bytes().last().copied())
    }
}

impl From<&str> for JobId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for JobId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<&String> for JobId {
    fn from(id: &String) -> Self {
        Self(id.as_str().into())
    }
}

impl From<&&str> for JobId {
    fn from(id: &&str) -> Self {
        Self((*id).into())
    }
}

impl From<Box<str>> for JobId {
    fn from(id: Box<str>) -> Self {
        Self(id.into())
    }
}

impl From<Cow<'_, str>> for JobId {
    fn from(id: Cow<'_, str>) -> Self {
        Self(id.into())
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.as_str().to_owned()
    }
}

impl PartialEq<str> for JobId {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for JobId {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<JobId> for str {
    fn eq(&self, other: &JobId) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<JobId> for &str {
    fn eq(&self, other: &JobId) -> bool {
        *self == other.as_str()
    }
}

impl From<Arc<str>> for JobId {
    fn from(id: Arc<str>) -> Self {
        Self(id)
    }
}

impl From<&Self> for JobId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl AsRef<str> for JobId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for JobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
