use media::{Codec, FrameRate, RenditionName, Size};
use proptest::prelude::*;

use super::*;

fn annex_b(units: &[&[u8]]) -> Bytes {
    units.iter().flat_map(|unit| START_CODE.iter().chain(unit.iter())).copied().collect()
}

fn reassemble(payloads: &[Bytes]) -> Option<(Bytes, bool)> {
    let mut depacketiser = Depacketiser::new();
    payloads.iter().for_each(|payload| depacketiser.push(payload).unwrap());
    depacketiser.take()
}

#[test]
fn parameter_sets_travel_in_one_packet_before_the_picture() {
    let unit = annex_b(&[&[0x09, 0xf0], &[0x67, 1, 2], &[0x68, 3], &[0x65, 4, 5, 6]]);
    let payloads = packetise(&unit);
    // RFC 6184 §5.7.1: the STAP-A header, then each unit after its 16-bit length.
    assert_eq!(payloads[0].as_ref(), [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]);
    assert_eq!(payloads[1].as_ref(), [0x65, 4, 5, 6]);
    assert_eq!(payloads.len(), 2);
}

#[test]
fn a_large_unit_is_fragmented_with_its_start_and_end_marked() {
    let mut idr = vec![0x65];
    idr.extend((0..3000u32).map(|i| (i % 251) as u8 + 1));
    let payloads = packetise(&annex_b(&[&idr]));
    assert_eq!(payloads.len(), 3);
    // RFC 6184 §5.8: indicator with the unit's importance and type 28; S, E and the unit's type.
    let heads: Vec<_> = payloads.iter().map(|p| (p[0], p[1])).collect();
    assert_eq!(heads, [(0x7c, 0x85), (0x7c, 0x05), (0x7c, 0x45)]);
    assert!(payloads.iter().all(|p| p.len() <= PAYLOAD_MAX));
    assert_eq!(reassemble(&payloads), Some((annex_b(&[&idr]), true)));
}

#[test]
fn a_fragment_without_its_start_is_refused() {
    let mut depacketiser = Depacketiser::new();
    assert_eq!(depacketiser.push(&[0x7c, 0x05, 1]), Err(PayloadError::NoStart));
    assert_eq!(depacketiser.push(&[]), Err(PayloadError::Truncated));
    assert_eq!(depacketiser.push(&[0x78, 0, 9, 1]), Err(PayloadError::Truncated));
    assert_eq!(depacketiser.push(&[0x1d, 0]), Err(PayloadError::UnsupportedType(29)));
    assert_eq!(depacketiser.take(), None);
}

#[test]
fn an_access_unit_whose_last_fragment_is_missing_is_not_given_out() {
    let mut depacketiser = Depacketiser::new();
    depacketiser.push(&[0x7c, 0x85, 1, 2]).unwrap();
    assert_eq!(depacketiser.take(), None);
}

#[test]
fn an_endless_access_unit_is_refused() {
    let mut depacketiser = Depacketiser::new();
    depacketiser.push(&[0x7c, 0x85, 1]).unwrap();
    let piece = [&[0x7c, 0x05][..], &[7; 1 << 16]].concat();
    assert!((0..1000).any(|_| depacketiser.push(&piece) == Err(PayloadError::TooLong)));
}

#[test]
fn the_level_follows_size_and_rate() {
    let id = |width, height, fps| {
        profile_level_id(&VideoTrack {
            codec: Codec::H264,
            rendition: RenditionName::High,
            size: Size::new(width, height),
            frame_rate: FrameRate::new(fps, 1).unwrap(),
            bitrate_kbps: 4000,
        })
    };
    // ITU-T H.264 table A-5: 720p30 is level 3.1 (1f), 720p60 3.2, 1080p30 4 (28), 2160p30 5.1 (33).
    assert_eq!(id(1280, 720, 30), "42e01f");
    assert_eq!(id(1280, 720, 60), "42e020");
    assert_eq!(id(1920, 1080, 30), "42e028");
    assert_eq!(id(3840, 2160, 30), "42e033");
}

/// A NAL unit that survives Annex B: emulation prevention keeps start codes out of real ones.
fn nal_unit() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![Just(0x65u8), Just(0x41), Just(0x67), Just(0x68), Just(0x06)];
    (kind, prop::collection::vec(1u8.., 1..4000)).prop_map(|(header, mut body)| {
        body.insert(0, header);
        body
    })
}

proptest! {
    #[test]
    fn what_is_packetised_comes_back(units in prop::collection::vec(nal_unit(), 1..6)) {
        // Parameter sets are gathered in front of what follows them, so order within a unit is as given.
        let unit = annex_b(&units.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let payloads = packetise(&unit);
        prop_assert!(payloads.iter().all(|p| !p.is_empty() && p.len() <= PAYLOAD_MAX));
        let key = units.iter().any(|unit| unit[0] & 0x1f == IDR);
        prop_assert_eq!(reassemble(&payloads), Some((unit, key)));
    }

    #[test]
    fn foreign_payloads_never_panic(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..32)) {
        let mut depacketiser = Depacketiser::new();
        for payload in &payloads {
            let _ = depacketiser.push(payload);
        }
        depacketiser.take();
    }

    #[test]
    fn any_bytes_are_packetised_without_a_panic(bytes in prop::collection::vec(0u8..4, 0..200)) {
        packetise(&Bytes::from(bytes));
    }
}
