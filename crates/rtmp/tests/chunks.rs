//! The chunk stream, case by case, on bytes written out by hand from RTMP 1.0 §5.3 and §5.4.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

#[path = "chunks/wire.rs"]
mod wire;

use proptest::prelude::*;
use tickcast_rtmp::Limits;
use tickcast_rtmp::chunk::{self, ChunkError, ChunkReader, RawMessage};
use wire::{Wire, read, read_with};

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;

fn message(csid: u32, timestamp: u32, type_id: u8, stream_id: u32, payload: &[u8]) -> RawMessage {
    RawMessage { csid, timestamp, type_id, stream_id, payload: payload.to_vec().into() }
}

/// A payload that differs at every place, so that lost or doubled bytes show.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn times(bytes: Vec<u8>) -> Vec<u32> {
    read(bytes).unwrap().into_iter().map(|message| message.timestamp).collect()
}

#[test]
fn the_specifications_first_example_reads_as_it_says() {
    // §5.3.2.1: audio of 32 bytes at 1000, 1020, 1040, 1060 as types 0, 2, 3, 3: 44 + 36 + 33 + 33 bytes.
    let payload = body(32);
    let wire = Wire::new().type0(3, 1000, 32, AUDIO, 12_345).bytes(&payload).type2(3, 20).bytes(&payload);
    let wire = wire.type3(3).bytes(&payload).type3(3).bytes(&payload);
    assert_eq!(wire.0.len(), 44 + 36 + 33 + 33);
    let expected: Vec<_> =
        [1000, 1020, 1040, 1060].into_iter().map(|time| message(3, time, AUDIO, 12_345, &payload)).collect();
    assert_eq!(read(wire.0).unwrap(), expected);
}

#[test]
fn the_specifications_second_example_reads_and_writes_as_it_says() {
    // §5.3.2.2: video of 307 bytes in chunks of 128 + 128 + 51: 140 + 129 + 52 bytes.
    let payload = body(307);
    let wire = Wire::new().type0(4, 1000, 307, VIDEO, 12_346).bytes(&payload[..128]);
    let wire = wire.type3(4).bytes(&payload[128..256]).type3(4).bytes(&payload[256..]);
    assert_eq!(wire.0.len(), 140 + 129 + 52);
    let expected = message(4, 1000, VIDEO, 12_346, &payload);
    let mut written = Vec::new();
    chunk::append(&mut written, &expected, 128);
    assert_eq!(written, wire.0);
    assert_eq!(read(wire.0).unwrap(), [expected]);
}

#[test]
fn a_chunk_stream_id_takes_one_byte_from_2_to_63() {
    let wire = |id: u8| [&[id][..], &[0, 0, 1, 0, 0, 1, 8, 1, 0, 0, 0, 0xaa]].concat();
    for id in [2, 63] {
        let expected = message(u32::from(id), 1, AUDIO, 1, &[0xaa]);
        assert_eq!(read(wire(id)).unwrap(), std::slice::from_ref(&expected));
        let mut written = Vec::new();
        chunk::append(&mut written, &expected, 128);
        assert_eq!(written, wire(id));
    }
}

#[test]
fn a_chunk_stream_id_takes_two_bytes_from_64_to_319() {
    for (id, second) in [(64, 0), (319, 255)] {
        let wire = [&[0, second][..], &[0, 0, 1, 0, 0, 1, 8, 1, 0, 0, 0, 0xaa]].concat();
        let expected = message(id, 1, AUDIO, 1, &[0xaa]);
        assert_eq!(read(wire.clone()).unwrap(), std::slice::from_ref(&expected));
        let mut written = Vec::new();
        chunk::append(&mut written, &expected, 128);
        assert_eq!(written, wire);
    }
}

#[test]
fn a_chunk_stream_id_takes_three_bytes_up_to_65599_low_byte_first() {
    // (third byte) * 256 + (second byte) + 64.
    for (id, second, third) in [(320, 0, 1), (65_599, 255, 255), (1_000, 0xa8, 3)] {
        let wire = [&[1, second, third][..], &[0, 0, 1, 0, 0, 1, 8, 1, 0, 0, 0, 0xaa]].concat();
        let expected = message(id, 1, AUDIO, 1, &[0xaa]);
        assert_eq!(read(wire.clone()).unwrap(), std::slice::from_ref(&expected));
        let mut written = Vec::new();
        chunk::append(&mut written, &expected, 128);
        assert_eq!(written, wire);
    }
}

#[test]
fn the_three_byte_form_of_a_low_id_is_the_same_chunk_stream() {
    // 64 can be said in two bytes and in three (§5.3.1.1).
    let wire = Wire::new().bytes(&[0, 0, 0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, 0xaa]).bytes(&[0xc1, 0, 0, 0xbb]);
    let expected = [message(64, 5, AUDIO, 1, &[0xaa]), message(64, 10, AUDIO, 1, &[0xbb])];
    assert_eq!(read(wire.0).unwrap(), expected);
}

#[test]
fn type_1_keeps_the_message_stream() {
    let wire = Wire::new().type0(4, 100, 1, AUDIO, 7).bytes(&[1]).type1(4, 20, 2, VIDEO).bytes(&[2, 3]);
    let expected = [message(4, 100, AUDIO, 7, &[1]), message(4, 120, VIDEO, 7, &[2, 3])];
    assert_eq!(read(wire.0).unwrap(), expected);
}

#[test]
fn type_2_keeps_length_and_type() {
    let wire = Wire::new().type0(4, 100, 2, AUDIO, 7).bytes(&[1, 2]).type2(4, 23).bytes(&[3, 4]);
    let expected = [message(4, 100, AUDIO, 7, &[1, 2]), message(4, 123, AUDIO, 7, &[3, 4])];
    assert_eq!(read(wire.0).unwrap(), expected);
}

#[test]
fn type_3_repeats_the_delta() {
    let wire = Wire::new().type0(4, 100, 1, AUDIO, 1).bytes(&[1]).type2(4, 23).bytes(&[2]);
    assert_eq!(times(wire.type3(4).bytes(&[3]).type3(4).bytes(&[4]).0), [100, 123, 146, 169]);
}

#[test]
fn type_3_after_type_0_adds_that_ones_timestamp() {
    // §5.3.1.2.4: "the timestamp delta for this Type 3 chunk is the same as the timestamp of the Type 0".
    let wire = Wire::new().type0(4, 100, 1, AUDIO, 1).bytes(&[1]).type3(4).bytes(&[2]).type3(4).bytes(&[3]);
    assert_eq!(times(wire.0), [100, 200, 300]);
}

#[test]
fn a_chunk_stream_may_begin_with_type_1() {
    // As librtmp answers pings: message stream 0, time from 0.
    let wire = Wire::new().type1(2, 40, 1, AUDIO).bytes(&[9]);
    assert_eq!(read(wire.0).unwrap(), [message(2, 40, AUDIO, 0, &[9])]);
}

#[test]
fn a_chunk_stream_cannot_begin_with_type_2_or_3() {
    let refused = |format| Err(ChunkError::NoHeaderBefore { csid: 4, format });
    assert_eq!(read(Wire::new().type2(4, 1).bytes(&[1]).0), refused(2));
    assert_eq!(read(Wire::new().type3(4).bytes(&[1]).0), refused(3));
}

#[test]
fn type_0_in_mid_message_gives_the_old_message_up() {
    let wire = Wire::new().type0(4, 100, 200, VIDEO, 1).bytes(&body(128));
    let wire = wire.type0(4, 300, 3, VIDEO, 1).bytes(&[7, 8, 9]);
    assert_eq!(read(wire.0).unwrap(), [message(4, 300, VIDEO, 1, &[7, 8, 9])]);
}

#[test]
fn type_1_in_mid_message_gives_the_old_message_up() {
    let wire = Wire::new().type0(4, 100, 200, VIDEO, 1).bytes(&body(128));
    let wire = wire.type1(4, 20, 3, VIDEO).bytes(&[7, 8, 9]);
    assert_eq!(read(wire.0).unwrap(), [message(4, 120, VIDEO, 1, &[7, 8, 9])]);
}

#[test]
fn abort_gives_up_the_message_of_the_chunk_stream_that_it_names() {
    let wire = Wire::new().type0(4, 100, 200, VIDEO, 1).bytes(&body(128));
    let wire = wire.type0(5, 100, 130, AUDIO, 1).bytes(&body(128));
    let wire = wire.type0(2, 0, 4, 2, 0).bytes(&[0, 0, 0, 4]);
    let wire = wire.type3(5).bytes(&[128, 129]).type0(4, 140, 1, VIDEO, 1).bytes(&[1]);
    let messages = read(wire.0).unwrap();
    assert_eq!(messages[0].type_id, 2);
    assert_eq!(messages[1..], [message(5, 100, AUDIO, 1, &body(130)), message(4, 140, VIDEO, 1, &[1])]);
}

#[test]
fn type_3_after_an_abort_begins_a_new_message() {
    let wire = Wire::new().type0(4, 100, 130, VIDEO, 1).bytes(&body(128));
    let wire = wire.type0(2, 0, 4, 2, 0).bytes(&[0, 0, 0, 4]);
    let wire = wire.type3(4).bytes(&body(128)).type3(4).bytes(&[128, 129]);
    assert_eq!(read(wire.0).unwrap()[1..], [message(4, 200, VIDEO, 1, &body(130))]);
}

#[test]
fn abort_of_a_chunk_stream_that_nobody_opened_does_nothing() {
    let wire = Wire::new().type0(2, 0, 4, 2, 0).bytes(&[0, 0, 0, 99]).type0(4, 1, 1, AUDIO, 1).bytes(&[5]);
    assert_eq!(read(wire.0).unwrap()[1..], [message(4, 1, AUDIO, 1, &[5])]);
}

#[test]
fn a_chunk_size_set_between_two_chunks_of_a_message_holds_for_its_rest() {
    let payload = body(400);
    let wire = Wire::new().type0(4, 100, 400, VIDEO, 1).bytes(&payload[..128]);
    let wire = wire.set_chunk_size(200).type3(4).bytes(&payload[128..328]).type3(4).bytes(&payload[328..]);
    assert_eq!(read(wire.0).unwrap()[1..], [message(4, 100, VIDEO, 1, &payload)]);
}

#[test]
fn a_chunk_may_be_longer_than_64_kib() {
    let payload = body(200_000);
    let wire = Wire::new().set_chunk_size(150_000).type0(4, 1, 200_000, VIDEO, 1).bytes(&payload[..150_000]);
    let wire = wire.type3(4).bytes(&payload[150_000..]);
    let expected = message(4, 1, VIDEO, 1, &payload);
    let mut written = Wire::new().set_chunk_size(150_000).0;
    chunk::append(&mut written, &expected, 150_000);
    assert_eq!(written, wire.0);
    let mut input = &wire.0[..];
    let mut reader = ChunkReader::new(Limits::default());
    assert_eq!(reader.read(&mut input).unwrap().unwrap().type_id, 1);
    assert_eq!(reader.read(&mut input).unwrap(), Some(expected));
}

#[test]
fn a_chunk_may_be_one_byte_long() {
    let wire = Wire::new().set_chunk_size(1).type0(4, 1, 3, AUDIO, 1).bytes(&[1]);
    let wire = wire.type3(4).bytes(&[2]).type3(4).bytes(&[3]);
    assert_eq!(read(wire.0).unwrap()[1..], [message(4, 1, AUDIO, 1, &[1, 2, 3])]);
}

#[test]
fn a_chunk_size_of_zero_or_with_the_top_bit_is_refused() {
    assert_eq!(read(Wire::new().set_chunk_size(0).0), Err(ChunkError::BadChunkSize(0)));
    assert_eq!(read(Wire::new().set_chunk_size(1 << 31).0), Err(ChunkError::BadChunkSize(1 << 31)));
}

#[test]
fn the_largest_chunk_size_means_whole_messages() {
    let wire = Wire::new().set_chunk_size(0x7fff_ffff).type0(4, 1, 70_000, VIDEO, 1).bytes(&body(70_000));
    assert_eq!(read(wire.0).unwrap()[1].payload.len(), 70_000);
}

#[test]
fn a_time_over_24_bits_is_extended_and_repeated_in_type_3() {
    let payload = body(130);
    let time = 0x0123_4567u32;
    let wire = Wire::new().type0(4, 0xff_ffff, 130, VIDEO, 1).extended(time).bytes(&payload[..128]);
    let wire = wire.type3(4).extended(time).bytes(&payload[128..]);
    let expected = message(4, time, VIDEO, 1, &payload);
    let mut written = Vec::new();
    chunk::append(&mut written, &expected, 128);
    assert_eq!(written, wire.0);
    assert_eq!(read(wire.0).unwrap(), [expected]);
}

#[test]
fn a_time_that_is_the_marker_itself_is_extended() {
    // 16 777 215 = 0xffffff; one less is not extended.
    for (time, bytes) in [(16_777_215, 11 + 1 + 4 + 1), (16_777_214, 11 + 1 + 1)] {
        let expected = message(4, time, AUDIO, 1, &[1]);
        let mut written = Vec::new();
        chunk::append(&mut written, &expected, 128);
        assert_eq!(written.len(), bytes);
        assert_eq!(chunk::encoded_bytes(&expected, 128), bytes);
        assert_eq!(read(written).unwrap(), [expected]);
    }
}

#[test]
fn an_extended_time_that_type_3_does_not_repeat_is_noticed() {
    let payload = body(300);
    let wire = Wire::new().type0(4, 0xff_ffff, 300, VIDEO, 1).extended(0x0123_4567).bytes(&payload[..128]);
    let wire = wire.type3(4).bytes(&payload[128..256]).type3(4).bytes(&payload[256..]);
    assert_eq!(read(wire.0).unwrap(), [message(4, 0x0123_4567, VIDEO, 1, &payload)]);
}

#[test]
fn the_marker_with_a_small_value_is_a_flag_like_any_other() {
    let payload = body(130);
    for repeated in [true, false] {
        let wire = Wire::new().type0(4, 0xff_ffff, 130, VIDEO, 1).extended(5).bytes(&payload[..128]).type3(4);
        let wire = if repeated { wire.extended(5) } else { wire };
        assert_eq!(read(wire.bytes(&payload[128..]).0).unwrap(), [message(4, 5, VIDEO, 1, &payload)]);
    }
}

#[test]
fn an_extended_delta_is_a_delta() {
    let payload = body(130);
    let wire = Wire::new().type0(4, 1_000, 1, VIDEO, 1).bytes(&[0]);
    let wire = wire.type1(4, 0xff_ffff, 130, VIDEO).extended(20_000_000).bytes(&payload[..128]);
    let wire = wire.type3(4).extended(20_000_000).bytes(&payload[128..]);
    assert_eq!(read(wire.0).unwrap()[1], message(4, 20_001_000, VIDEO, 1, &payload));
}

#[test]
fn type_3_that_begins_a_message_repeats_an_extended_delta() {
    for repeated in [true, false] {
        let wire = Wire::new().type0(4, 0, 1, AUDIO, 1).bytes(&[0]);
        let wire = wire.type2(4, 0xff_ffff).extended(20_000_000).bytes(&[1]).type3(4);
        let wire = if repeated { wire.extended(20_000_000) } else { wire };
        // Behind the last payload byte more must come for a reader to know that it is one.
        let wire = wire.bytes(&[2]).type0(4, 7, 1, AUDIO, 1).bytes(&[3]);
        assert_eq!(times(wire.0), [0, 20_000_000, 40_000_000, 7]);
    }
}

#[test]
fn payload_that_begins_like_the_time_is_still_payload() {
    // Three of four bytes agree: only the fourth tells that the time is not repeated.
    let mut payload = body(140);
    payload[128..132].copy_from_slice(&[0x01, 0x23, 0x45, 0x68]);
    let wire = Wire::new().type0(4, 0xff_ffff, 140, VIDEO, 1).extended(0x0123_4567).bytes(&payload[..128]);
    let wire = wire.type3(4).bytes(&payload[128..]);
    assert_eq!(read(wire.0).unwrap(), [message(4, 0x0123_4567, VIDEO, 1, &payload)]);
}

#[test]
fn a_last_chunk_of_one_byte_like_the_time_does_not_swallow_the_next_header() {
    let mut payload = body(129);
    payload[128] = 0x01;
    let wire = Wire::new().type0(4, 0xff_ffff, 129, VIDEO, 1).extended(0x0123_4567).bytes(&payload[..128]);
    let wire = wire.type3(4).bytes(&payload[128..]).type0(5, 9, 2, AUDIO, 1).bytes(&[1, 2]);
    let expected = [message(4, 0x0123_4567, VIDEO, 1, &payload), message(5, 9, AUDIO, 1, &[1, 2])];
    assert_eq!(read(wire.0).unwrap(), expected);
}

#[test]
fn a_small_delta_after_an_extended_time_is_not_extended() {
    let wire = Wire::new().type0(4, 0xff_ffff, 1, AUDIO, 1).extended(16_800_000).bytes(&[1]);
    assert_eq!(
        times(wire.type2(4, 23).bytes(&[2]).type3(4).bytes(&[3]).0),
        [16_800_000, 16_800_023, 16_800_046]
    );
}

#[test]
fn time_wraps_at_2_to_the_32() {
    let wire = Wire::new().type0(4, 0xff_ffff, 1, AUDIO, 1).extended(0xffff_fff0).bytes(&[1]);
    assert_eq!(times(wire.type2(4, 23).bytes(&[2]).0), [0xffff_fff0, 7]);
}

#[test]
fn type_0_may_go_back_in_time() {
    let wire = Wire::new().type0(4, 5_000, 1, AUDIO, 1).bytes(&[1]).type0(4, 4_000, 1, AUDIO, 1).bytes(&[2]);
    assert_eq!(times(wire.type2(4, 10).bytes(&[3]).0), [5_000, 4_000, 4_010]);
}

#[test]
fn messages_of_different_chunk_streams_interleave() {
    let (picture, sound) = (body(300), body(200));
    let wire = Wire::new().type0(6, 100, 300, VIDEO, 1).bytes(&picture[..128]);
    let wire = wire.type0(4, 101, 200, AUDIO, 1).bytes(&sound[..128]).type3(6).bytes(&picture[128..256]);
    let wire = wire.type3(4).bytes(&sound[128..]).type3(6).bytes(&picture[256..]);
    let expected = [message(4, 101, AUDIO, 1, &sound), message(6, 100, VIDEO, 1, &picture)];
    assert_eq!(read(wire.0).unwrap(), expected);
}

#[test]
fn a_message_may_be_empty() {
    let wire = Wire::new().type0(4, 1, 0, AUDIO, 1).type3(4).type0(5, 2, 1, AUDIO, 1).bytes(&[1]);
    let expected =
        [message(4, 1, AUDIO, 1, &[]), message(4, 2, AUDIO, 1, &[]), message(5, 2, AUDIO, 1, &[1])];
    assert_eq!(read(wire.0).unwrap(), expected);
}

#[test]
fn a_message_as_long_as_a_chunk_is_one_chunk() {
    let payload = body(128);
    let wire = Wire::new().type0(4, 1, 128, AUDIO, 1).bytes(&payload).type0(4, 2, 1, AUDIO, 1).bytes(&[1]);
    assert_eq!(read(wire.0).unwrap(), [message(4, 1, AUDIO, 1, &payload), message(4, 2, AUDIO, 1, &[1])]);
}

#[test]
fn more_chunk_streams_than_allowed_are_refused() {
    let limits = Limits { chunk_streams: 3, ..Limits::default() };
    let open = |count: u32| {
        (0..count).fold(Wire::new(), |wire, id| wire.type0(3 + id, 0, 1, AUDIO, 1).bytes(&[1])).0
    };
    assert_eq!(read_with(limits, open(3)).unwrap().len(), 3);
    assert_eq!(read_with(limits, open(4)), Err(ChunkError::TooManyStreams { limit: 3 }));
}

#[test]
fn a_message_longer_than_allowed_is_refused_at_its_header() {
    let limits = Limits { message_bytes: 1_000, ..Limits::default() };
    let refused = Err(ChunkError::MessageTooLong { length: 1_001, limit: 1_000 });
    assert_eq!(read_with(limits, Wire::new().type0(4, 0, 1_001, VIDEO, 1).0), refused);
}

#[test]
fn unfinished_messages_share_one_bound() {
    let limits = Limits { buffered_bytes: 10_000, ..Limits::default() };
    let begin = |wire: Wire, id| wire.type0(id, 0, 5_000, VIDEO, 1).bytes(&[0; 5_000 - 1]);
    let wire = begin(begin(Wire::new().set_chunk_size(4_999), 4), 5);
    assert_eq!(read_with(limits, wire.0.clone()).unwrap().len(), 1);
    let refused = Err(ChunkError::TooMuchBuffered { limit: 10_000 });
    assert_eq!(read_with(limits, begin(wire, 6).0), refused);
}

#[test]
fn announcing_long_messages_costs_nothing_and_finishing_them_frees_them() {
    let mut reader = ChunkReader::new(Limits::default());
    let wire = (3..60).fold(Wire::new(), |wire, id| wire.type0(id, 0, 8 << 20, VIDEO, 1).bytes(&[0; 128]));
    assert_eq!(reader.read(&mut &wire.0[..]).unwrap(), None);
    assert!(reader.buffered_bytes() < 57 * 5_000, "{}", reader.buffered_bytes());
    let before = reader.buffered_bytes();
    let whole = Wire::new().type0(62, 0, 128, VIDEO, 1).bytes(&[0; 128]);
    assert!(reader.read(&mut &whole.0[..]).unwrap().is_some());
    assert!(reader.buffered_bytes() < before + 200);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_however_it_is_cut(
        messages in prop::collection::vec(
            (2u32..=65_599, any::<u32>(), 8u8..=9, any::<u32>(), prop::collection::vec(any::<u8>(), 0..700)),
            1..12,
        ),
        chunk_size in 1u32..300,
        cut in 1usize..97,
    ) {
        let expected: Vec<_> =
            messages.iter().map(|(csid, time, kind, id, payload)| message(*csid, *time, *kind, *id, payload)).collect();
        let mut bytes = Wire::new().set_chunk_size(chunk_size).0;
        for message in &expected {
            let before = bytes.len();
            chunk::append(&mut bytes, message, chunk_size);
            prop_assert_eq!(bytes.len() - before, chunk::encoded_bytes(message, chunk_size));
        }
        let mut reader = ChunkReader::new(Limits::default());
        let mut found = Vec::new();
        for mut piece in bytes.chunks(cut) {
            while let Some(message) = reader.read(&mut piece).unwrap() {
                found.push(message);
            }
        }
        prop_assert_eq!(&found[1..], &expected[..]);
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_the_bounds(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        let limits = Limits { chunk_streams: 8, message_bytes: 1 << 16, buffered_bytes: 1 << 17, ..Limits::default() };
        let mut reader = ChunkReader::new(limits);
        let mut input = &bytes[..];
        while let Ok(Some(_)) = reader.read(&mut input) {}
        prop_assert!(reader.buffered_bytes() < (1 << 17) + 8 * 200);
    }
}
