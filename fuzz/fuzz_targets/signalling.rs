//! What a WHIP or WHEP server answers, and the RTP payloads that it sends, are taken or refused.
#![no_main]
#![allow(dead_code, reason = "the clients use the rest")]

#[path = "../../crates/rtc/src/h264.rs"]
mod h264;
#[path = "../../crates/rtc/src/link.rs"]
mod link;
#[path = "../../crates/rtc/src/sdp.rs"]
mod sdp;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(link::ice_servers(text.split('\n')).len() <= 8);
        let _ = sdp::check_answer(text);
        let _ = sdp::mid_of(text, "video");
    }
    // Each piece is a payload: its first byte is its length.
    let mut depacketiser = h264::Depacketiser::new();
    let mut rest = data;
    while let Some((&length, tail)) = rest.split_first() {
        let (payload, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        let _ = depacketiser.push(payload);
    }
    if let Some((unit, _)) = depacketiser.take() {
        let payloads = h264::packetise(&unit);
        assert!(payloads.iter().all(|payload| payload.len() <= h264::PAYLOAD_MAX));
    }
});
