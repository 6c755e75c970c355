//! The chunk stream (§5.3): messages cut into chunks, interleaved, with compressed headers.

mod reader;
mod writer;

pub use reader::{ChunkError, ChunkReader};
pub use writer::{MAX_CSID, append, encoded_bytes};

use bytes::Bytes;

/// Chunk size of both directions until Set Chunk Size says otherwise (§5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;
/// A message is at most this long, so a larger chunk size means the same (§5.4.1).
pub const MAX_CHUNK_SIZE: u32 = 0xff_ffff;
/// The marker that says: the time is in the four bytes after the header (§5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;

/// A whole message as it travels, its payload not yet looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawMessage {
    /// The chunk stream that carried it or shall carry it.
    pub csid: u32,
    /// Milliseconds modulo 2^32.
    pub timestamp: u32,
    pub type_id: u8,
    /// The message stream: 0 for the connection itself.
    pub stream_id: u32,
    pub payload: Bytes,
}
