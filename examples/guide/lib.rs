//! Compiles and runs the snippets of the guide, by `cargo test -p examples --doc`.
#![doc = include_str!("../../docs/GUIDE.md")]
