#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cfw_api::fuzzing::retry_after(data));
