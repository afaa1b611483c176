//! The firewalls of the project.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct Firewalls {
    /// By id, which is also the id of the job that creates the firewall.
    pub(crate) by_id: HashMap<Arc<str>, Firewall>,
    /// The answers to creations, by `X-Client-Token`.
    pub(crate) creations: HashMap<String, Value>,
}

/// A firewall. Its state is that of the jobs that create and delete it.
#[derive(Debug)]
pub(crate) struct Firewall {
    pub(crate) name: String,
    pub(crate) enterprise_project_id: String,
    /// The id of the job that deletes it, if any.
    pub(crate) deleted_by: Option<Arc<str>>,
}
