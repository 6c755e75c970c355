//! The query of a playlist request is read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mux::hls::ReloadRequest;

fuzz_target!(|text: &str| {
    let _ = ReloadRequest::parse(text);
});
