//! The command has no library, so its parser is compiled here.

#![no_main]
#![expect(dead_code, reason = "the command uses the rest")]

#[path = "../../crates/cli/src/input/fuzzing.rs"]
mod fuzzing;
#[path = "../../crates/cli/src/ids.rs"]
mod ids;
#[path = "../../crates/cli/src/input/line.rs"]
mod line;
#[path = "../../crates/cli/src/printable.rs"]
mod printable;
#[path = "../../crates/cli/src/values.rs"]
mod values;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::ndjson(data));
