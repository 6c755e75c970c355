//! RTP packets are read or refused, and their payloads put together whatever they hold, and split again.

use mux::rtp::{H264Depacketizer, H264Packetizer, RtpPacket, SequenceUnwrapper};

const PAYLOAD_MAX: usize = 100;

pub fn run(data: &[u8]) {
    let mut depacketizer = H264Depacketizer::new();
    let mut unwrapper = SequenceUnwrapper::default();
    // Each piece is a packet: its first byte is its length.
    let mut rest = data;
    while let Some((&length, tail)) = rest.split_first() {
        let (packet, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        if let Ok(parsed) = RtpPacket::parse(packet.to_vec().into()) {
            let written = parsed.to_bytes().expect("what was read can be written");
            assert_eq!(RtpPacket::parse(written.into()).expect("what we wrote we can read"), parsed);
            let header = &parsed.header;
            let sequence = unwrapper.unwrap(header.sequence);
            for unit in depacketizer.push(sequence, header.timestamp, header.marker, &parsed.payload) {
                let payloads = H264Packetizer::new(PAYLOAD_MAX).packetize(&unit.annex_b);
                assert!(payloads.iter().all(|payload| payload.bytes.len() <= PAYLOAD_MAX));
            }
        }
    }
    depacketizer.finish();
}
