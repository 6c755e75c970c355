//! The query of a playlist request is read or refused.

use mux::hls::ReloadRequest;

use crate::decoded;

pub fn run(data: &[u8]) {
    let Some(text) = decoded::<&str>(data) else { return };
    let _ = ReloadRequest::parse(text);
}
