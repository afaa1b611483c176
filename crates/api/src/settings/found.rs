//! A value of a setting, with the name under which it was found.

/// A value and where it was found.
pub(super) struct Found {
    pub(super) value: String,
    /// The variable or key it was found under, which tells an id from a name.
    pub(super) name: &'static str,
    /// The name in full: for a key with its path and file.
    pub(super) label: String,
}
