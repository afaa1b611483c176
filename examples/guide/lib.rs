//! Compiles and runs the snippets of the guide and of the repository's README, by `cargo test -p examples --doc`.

#[doc = include_str!("../../docs/GUIDE.md")]
mod guide {}

#[doc = include_str!("../../README.md")]
mod readme {}
