//! What a WHIP or WHEP server answers is taken or refused.
#![allow(dead_code, reason = "the clients use the rest")]

#[rustfmt::skip]
#[path = "../../rtc/src/link.rs"]
mod link;
#[rustfmt::skip]
#[path = "../../rtc/src/sdp.rs"]
mod sdp;

pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(link::ice_servers(text.split('\n')).len() <= 8);
        let _ = sdp::check_answer(text);
        let _ = sdp::mid_of(text, "video");
    }
}
