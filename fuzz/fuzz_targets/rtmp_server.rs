#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::rtmp_server::run(data));
