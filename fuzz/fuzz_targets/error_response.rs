#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cfw_api::fuzzing::error_response(data));
