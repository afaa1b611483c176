//! The real command against a simulated service over real HTTP.

#![cfg(unix)]

mod exit_codes;
mod json;
mod many;
mod misuse;
mod pipes;
mod support;
mod terminal;
mod tools;
