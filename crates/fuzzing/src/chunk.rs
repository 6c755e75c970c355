//! Chunks come to the same messages however they are cut, within the bounds, and are written so that they
//! read the same.

use rtmp::Limits;
use rtmp::chunk::{self, ChunkError, ChunkReader, RawMessage};
use rtmp::message::Message;

const LIMITS: Limits = Limits {
    chunk_streams: 8,
    message_bytes: 1 << 14,
    buffered_bytes: 1 << 15,
    setup_bytes: 1 << 15,
    output_bytes: 0,
    events: 0,
    handshake_time: std::time::Duration::ZERO,
    setup_time: std::time::Duration::ZERO,
    idle_time: std::time::Duration::ZERO,
    refusals: 0,
};

fn read(bytes: &[u8], cut: usize) -> (Vec<RawMessage>, Option<ChunkError>) {
    let mut reader = ChunkReader::new(LIMITS);
    let mut messages = Vec::new();
    for mut piece in bytes.chunks(cut.max(1)) {
        loop {
            let result = reader.read(&mut piece);
            match result {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
            assert!(reader.buffered_bytes() <= (1 << 15) + (1 << 12));
        }
    }
    (messages, None)
}

pub fn run(data: &[u8]) {
    let (messages, error) = read(data, data.len());
    // What is refused for its sum of buffers depends on how much of each came at once.
    if !matches!(error, Some(ChunkError::TooMuchBuffered { .. })) {
        let (bytewise, bytewise_error) = read(data, 1);
        if !matches!(bytewise_error, Some(ChunkError::TooMuchBuffered { .. })) {
            assert_eq!((&bytewise, bytewise_error), (&messages, error));
        }
    }
    for message in &messages {
        let _ = Message::parse(message);
        // Those two change how the rest is read.
        if !matches!(message.type_id, 1 | 2) {
            let mut out = Vec::new();
            chunk::append(&mut out, message, chunk::DEFAULT_CHUNK_SIZE);
            assert_eq!(read(&out, out.len()).0, std::slice::from_ref(message));
        }
    }
}
