//! What a message costs: reading it, and sending it to one more player (`cargo run --release --example bench`).

#![allow(clippy::print_stdout, reason = "the table is its output")]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use media::{Timescale, Timestamp};
use row::{Better, Row};
use tickcast_rtmp::chunk::{self, ChunkReader};
use tickcast_rtmp::{Limits, PlayerFormat, SharedTag, Tag, TagContent};

#[path = "../../xtask/src/bench/row.rs"]
mod row;

/// As sockets give them.
const READ: usize = 65_536;
/// One in three is a picture of 8 000 bytes, the others sound of 350: 30 fps at 2 Mbit/s, and AAC.
const MESSAGES: usize = 3_000;
const ROUNDS: u32 = 20;

fn tags() -> Vec<Tag> {
    let tag = |at: usize| {
        let (content, head, length): (_, &[u8], _) = match at % 3 {
            0 => (TagContent::InterFrame, &[0x27, 1, 0, 0, 0], 8_000),
            _ => (TagContent::AudioFrame, &[0xaf, 1], 350),
        };
        let mut body = head.to_vec();
        body.resize(length, 0x55);
        // Beyond 0xffffff, where extended times make it dearer.
        let timestamp = Timestamp::new(17_000_000 + at as i64 * 11, Timescale::MILLIS);
        Tag { content, timestamp, body: body.into() }
    };
    (0..MESSAGES).map(tag).collect()
}

/// Nanoseconds a message, the least of all rounds.
fn measure(mut work: impl FnMut() -> usize) -> f64 {
    let round = || {
        let start = Instant::now();
        let count = work();
        start.elapsed().as_nanos() as f64 / count as f64
    };
    std::iter::repeat_with(round).take(ROUNDS as usize).fold(f64::MAX, f64::min)
}

fn main() {
    let tags = tags();
    println!("{MESSAGES} messages, {ROUNDS} rounds, the best of them; ns a message");
    let mut rows = Vec::new();
    for chunk_size in [128, 4_096, 65_536] {
        let mut wire = chunk_size_message(chunk_size);
        for tag in &tags {
            chunk::append(&mut wire, &tag.to_raw(1), chunk_size);
        }
        let decode = measure(|| {
            let mut reader = ChunkReader::new(Limits::default());
            let mut count = 0;
            for mut piece in wire.chunks(READ) {
                while let Ok(Some(message)) = reader.read(&mut piece) {
                    count += 1;
                    black_box(message);
                }
            }
            count
        });
        let format = PlayerFormat { stream_id: 1, chunk_size };
        let encode = measure(|| {
            tags.iter().for_each(|tag| drop(black_box(SharedTag::new(tag.clone()).chunks(format))));
            tags.len()
        });
        let mut shared: Vec<_> = tags.iter().cloned().map(SharedTag::new).collect();
        shared.iter_mut().for_each(|tag| drop(tag.chunks(format)));
        let clone = measure(|| {
            shared.iter_mut().for_each(|tag| drop(black_box::<Bytes>(tag.chunks(format))));
            tags.len()
        });
        println!(
            "chunks of {chunk_size:>6}: decode {decode:>7.0}   encode {encode:>7.0}   one more player {clone:>5.0}"
        );
        let named = [("read a message", decode), ("write a message", encode), ("one more player", clone)];
        rows.extend(named.map(|(what, ns)| {
            Row::new(Better::Less, format!("{what} in chunks of {chunk_size}"), "ns/message", ns)
        }));
    }
    rows.iter().for_each(|row| println!("{}", row.to_line()));
}

fn chunk_size_message(bytes: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let message = tickcast_rtmp::message::set_chunk_size(bytes);
    chunk::append(&mut out, &message, chunk::DEFAULT_CHUNK_SIZE);
    out
}
