#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| cfw_waiter::fuzzing::core(data));
