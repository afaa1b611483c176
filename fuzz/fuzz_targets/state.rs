//! The command has no library, so its reader of state files is compiled here.

#![no_main]
#![expect(dead_code, reason = "the command uses the rest")]

#[path = "../../crates/cli/src/ends.rs"]
mod ends;
#[path = "../../crates/cli/src/state/fuzzing.rs"]
mod fuzzing;
#[path = "../../crates/cli/src/state/journal.rs"]
mod journal;
#[path = "../../crates/cli/src/state/place.rs"]
mod place;
#[path = "../../crates/cli/src/printable.rs"]
mod printable;
#[path = "../../crates/cli/src/state/problem.rs"]
mod problem;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::state(data));
