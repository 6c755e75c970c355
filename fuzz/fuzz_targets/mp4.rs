//! Recordings, also torn and foreign ones, are finalised or refused.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use mux::fmp4::finalise;

fuzz_target!(|data: &[u8]| {
    let mut out = Vec::new();
    let _ = finalise(Cursor::new(data), &mut out);
    // The result holds no sample that the input does not.
    assert!(out.len() <= data.len() * 40 + 65_536);
});
