//! What comes along with the published crates, by cargo's own account, and what the documents name. Nothing is compiled or
//! fetched.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod packages;
