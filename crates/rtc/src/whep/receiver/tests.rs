use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn packet(timestamp: u32, marker: bool, payload: &[u8], arrived: Instant) -> Received {
    Received { timestamp, marker, payload: Bytes::copy_from_slice(payload), arrived }
}

const KEY: [u8; 2] = [0x65, 1];
const DELTA: [u8; 2] = [0x41, 2];

fn units(receiver: &mut StreamReceiver, now: Instant) -> Vec<(i64, bool)> {
    std::iter::from_fn(|| receiver.pop(now)).map(|unit| (unit.timestamp.ticks(), unit.key)).collect()
}

#[test]
fn nothing_is_given_out_before_a_key_frame_which_is_asked_for_every_half_second() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Video), Instant::now());
    receiver.insert(1, packet(100, true, &DELTA, now));
    assert_eq!(units(&mut receiver, now), []);
    assert!(receiver.wants_key_frame(now));
    assert!(!receiver.wants_key_frame(now + 499 * MS));
    assert!(receiver.wants_key_frame(now + 500 * MS));
    receiver.insert(2, packet(3100, true, &KEY, now));
    receiver.insert(3, packet(6100, true, &DELTA, now));
    assert_eq!(units(&mut receiver, now), [(3100, true), (6100, false)]);
    assert!(!receiver.wants_key_frame(now + 5000 * MS));
    assert_eq!((receiver.plis, receiver.dropped_units), (2, 1));
}

#[test]
fn after_a_loss_that_was_not_mended_pictures_wait_for_a_key_frame() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Video), Instant::now());
    receiver.insert(1, packet(0, true, &KEY, now));
    receiver.insert(3, packet(6000, true, &DELTA, now));
    assert_eq!(units(&mut receiver, now), [(0, true)]);
    assert_eq!(receiver.nacks(now + 3 * MS), [2]);
    let later = now + 250 * MS;
    assert_eq!(units(&mut receiver, later), []);
    assert!(receiver.wants_key_frame(later));
    receiver.insert(4, packet(9000, true, &KEY, later));
    assert_eq!(units(&mut receiver, later), [(9000, true)]);
}

#[test]
fn a_unit_says_whether_something_before_it_is_missing() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Video), Instant::now());
    let mut gaps = |first: u16, at: Instant, payloads: &[&[u8]]| {
        for (number, payload) in (first..).zip(payloads) {
            receiver.insert(number, packet(u32::from(number) * 3000, true, payload, at));
        }
        std::iter::from_fn(|| receiver.pop(at)).map(|unit| unit.after_gap).collect::<Vec<_>>()
    };
    assert_eq!(gaps(1, now, &[&KEY, &DELTA]), [false, false]);
    // Number 3 never comes, 4 waits for the key frame that 5 is.
    let later = now + 250 * MS;
    assert_eq!(gaps(4, now, &[&DELTA]), []);
    assert_eq!(gaps(5, later, &[&KEY, &DELTA]), [true, false]);
    receiver.break_off();
    receiver.insert(7, packet(21_000, true, &KEY, later));
    assert_eq!(receiver.pop(later).map(|unit| unit.after_gap), Some(true));
}

#[test]
fn a_unit_without_a_marker_ends_where_the_next_begins() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Video), Instant::now());
    receiver.insert(1, packet(0, false, &KEY, now));
    receiver.insert(2, packet(3000, true, &DELTA, now));
    receiver.insert(3, packet(6000, true, &DELTA, now));
    assert_eq!(units(&mut receiver, now), [(0, true), (3000, false), (6000, false)]);
}

#[test]
fn a_picture_of_which_a_fragment_is_missing_is_not_given_out_and_neither_is_what_follows() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Video), Instant::now());
    receiver.insert(1, packet(0, true, &KEY, now));
    // RFC 6184 §5.8: the start and the end of a key frame, whose middle is number 3.
    receiver.insert(2, packet(3000, false, &[0x7c, 0x85, 0x88], now));
    receiver.insert(4, packet(3000, true, &[0x7c, 0x45, 1], now));
    receiver.insert(5, packet(6000, true, &DELTA, now));
    let later = now + 250 * MS;
    assert_eq!(units(&mut receiver, later), [(0, true)]);
    assert_eq!(receiver.dropped_units, 2);
    receiver.insert(6, packet(9000, true, &KEY, later));
    assert_eq!(units(&mut receiver, later), [(9000, true)]);
}

#[test]
fn padding_fills_its_number_and_is_no_unit() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Video), Instant::now());
    receiver.insert(1, packet(0, true, &KEY, now));
    receiver.insert(2, packet(0, false, &[], now));
    receiver.insert(3, packet(3000, true, &DELTA, now));
    assert_eq!(units(&mut receiver, now), [(0, true), (3000, false)]);
}

#[test]
fn capture_times_follow_the_report_across_the_wrap_in_both_directions() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Audio), Instant::now());
    receiver.insert(1, packet(u32::MAX - 479, false, &[1], now));
    assert_eq!(receiver.pop(now).unwrap().captured, None);
    let wall = WallTime::from_unix_micros(1_000_000);
    receiver.set_clock(SenderClock { wall, rtp: 0 });
    for (sequence, timestamp, micros) in [(2, u32::MAX - 239, 995_000), (3, 480, 1_010_000)] {
        receiver.insert(sequence, packet(timestamp, false, &[1], now));
        let unit = receiver.pop(now).unwrap();
        // 48 ticks are a millisecond: 240 before the report's instant, and 480 after it.
        assert_eq!(unit.captured.unwrap().unix_micros(), micros);
        assert_eq!(unit.timestamp.ticks() as u32, timestamp);
    }
}

#[test]
fn a_report_of_another_time_than_the_packets_is_not_believed() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Audio), Instant::now());
    let wall = WallTime::from_unix_micros(1_000_000);
    let half = 1 << 31;
    // Before the first packet nothing can be compared yet; with it the report is found out.
    receiver.set_clock(SenderClock { wall, rtp: 0 });
    receiver.insert(1, packet(half, false, &[1], now));
    assert_eq!(receiver.pop(now).unwrap().captured, None);
    receiver.set_clock(SenderClock { wall, rtp: half });
    receiver.set_clock(SenderClock { wall, rtp: 0 });
    receiver.insert(2, packet(half + 960, false, &[1], now));
    assert_eq!(receiver.pop(now).unwrap().captured, Some(WallTime::from_unix_micros(1_020_000)));
}

#[test]
fn timestamps_go_on_beyond_their_32_bits() {
    let (mut receiver, now) = (StreamReceiver::new(Kind::Audio), Instant::now());
    for n in 0..6u32 {
        receiver.insert(n as u16, packet(n.wrapping_mul(1 << 30), false, &[1], now));
    }
    let ticks: Vec<_> = units(&mut receiver, now).into_iter().map(|unit| unit.0).collect();
    assert_eq!(ticks, (0..6).map(|n| n << 30).collect::<Vec<i64>>());
}

proptest! {
    #[test]
    fn any_packets_are_taken_without_a_panic(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..200)
    ) {
        for kind in [Kind::Video, Kind::Audio] {
            let (mut receiver, start) = (StreamReceiver::new(kind), Instant::now());
            for (index, (sequence, timestamp, marker, payload)) in packets.iter().enumerate() {
                let now = start + MS * index as u32;
                receiver.insert(*sequence, packet(*timestamp, *marker, payload, now));
                while receiver.pop(now).is_some() {}
                receiver.nacks(now);
                receiver.timeout();
            }
        }
    }
}
