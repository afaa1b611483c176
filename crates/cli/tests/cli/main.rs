//! Tests of the binary against the simulator over HTTP.

#![cfg(unix)]

#[cfg(test)]
mod completions;
#[cfg(test)]
mod estimates;
#[cfg(test)]
mod exec;
#[cfg(test)]
mod exit_codes;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod history;
#[cfg(test)]
mod inputs;
#[cfg(test)]
mod json;
#[cfg(test)]
mod many;
#[cfg(test)]
mod misuse;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod pipes;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod state;
#[cfg(test)]
mod support;
#[cfg(test)]
mod suspended;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod tools;
