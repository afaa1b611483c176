//! What comes along with the published crates, by cargo's own account. Nothing is compiled or fetched.

#[cfg(test)]
mod packages;
