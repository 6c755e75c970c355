//! Chunks written out by hand.

use tickcast_rtmp::Limits;
use tickcast_rtmp::chunk::{ChunkError, ChunkReader, RawMessage};

pub struct Wire(pub Vec<u8>);

impl Wire {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn header(self, format: u32, csid: u32) -> Self {
        assert!((2..64).contains(&csid), "one byte only; longer ids are written out in their tests");
        self.bytes(&[(format << 6 | csid) as u8])
    }

    fn be24(self, number: u32) -> Self {
        self.bytes(&[(number >> 16) as u8, (number >> 8) as u8, number as u8])
    }

    pub fn type0(self, csid: u32, time: u32, length: u32, type_id: u8, stream_id: u32) -> Self {
        let wire = self.header(0, csid).be24(time).be24(length).bytes(&[type_id]);
        wire.bytes(&[
            stream_id as u8,
            (stream_id >> 8) as u8,
            (stream_id >> 16) as u8,
            (stream_id >> 24) as u8,
        ])
    }

    pub fn type1(self, csid: u32, delta: u32, length: u32, type_id: u8) -> Self {
        self.header(1, csid).be24(delta).be24(length).bytes(&[type_id])
    }

    pub fn type2(self, csid: u32, delta: u32) -> Self {
        self.header(2, csid).be24(delta)
    }

    pub fn type3(self, csid: u32) -> Self {
        self.header(3, csid)
    }

    pub fn extended(self, time: u32) -> Self {
        self.bytes(&[(time >> 24) as u8, (time >> 16) as u8, (time >> 8) as u8, time as u8])
    }

    pub fn set_chunk_size(self, bytes: u32) -> Self {
        self.type0(2, 0, 4, 1, 0).extended(bytes)
    }
}

pub fn read(bytes: Vec<u8>) -> Result<Vec<RawMessage>, ChunkError> {
    read_with(Limits::default(), bytes)
}

/// Reads `bytes` at once and byte by byte, which must come to the same.
pub fn read_with(limits: Limits, bytes: Vec<u8>) -> Result<Vec<RawMessage>, ChunkError> {
    let read = |step: usize| {
        let mut reader = ChunkReader::new(limits);
        let mut messages = Vec::new();
        for mut piece in bytes.chunks(step) {
            while let Some(message) = reader.read(&mut piece)? {
                messages.push(message);
            }
        }
        Ok(messages)
    };
    let at_once = read(bytes.len());
    assert_eq!(at_once, read(1), "how bytes are cut does not matter");
    at_once
}
