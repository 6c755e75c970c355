//! Recordings, also torn and foreign ones, are finalised or refused.

use std::io::Cursor;

use mux::fmp4::finalise;

pub fn run(data: &[u8]) {
    let mut out = Vec::new();
    let _ = finalise(Cursor::new(data), &mut out);
    // The result holds no sample that the input does not.
    assert!(out.len() <= data.len() * 40 + 65_536);
}
