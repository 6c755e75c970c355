//! Chunks to messages, within bounds.

use bytes::Bytes;
use thiserror::Error;

use super::{DEFAULT_CHUNK_SIZE, EXTENDED, MAX_CHUNK_SIZE, RawMessage};
use crate::limits::Limits;

/// Basic header 3, message header 11, extended timestamp 4.
const MAX_HEADER: usize = 18;
/// What a message's buffer starts with, so that announcing a long message costs little.
const FIRST_RESERVE: usize = 4096;

const SET_CHUNK_SIZE: u8 = 1;
const ABORT: u8 = 2;

/// Why bytes are not a chunk stream that we take. Each ends the connection: its framing is lost.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum ChunkError {
    #[error("chunk stream {csid} begins with a header of type {format}, which needs one before it")]
    NoHeaderBefore { csid: u32, format: u8 },
    #[error("the peer opened more than {limit} chunk streams")]
    TooManyStreams { limit: usize },
    #[error("a message of {length} bytes is over the limit of {limit}")]
    MessageTooLong { length: usize, limit: usize },
    #[error("unfinished messages take more than {limit} bytes")]
    TooMuchBuffered { limit: usize },
    #[error("chunk size {0} is not between 1 and 2147483647")]
    BadChunkSize(u32),
    #[error("a protocol control message is too short")]
    ShortControl,
}

/// One chunk stream's newest header, and the message that it is in.
#[derive(Debug, Default)]
struct ChunkStream {
    csid: u32,
    timestamp: u32,
    /// What a type 3 header adds when it begins a message; after type 0 that is the timestamp (§5.3.1.2.4).
    delta: u32,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// Whether the newest header had the marker, which may go with a small value too.
    extended: bool,
    in_message: bool,
    payload: Vec<u8>,
}

enum State {
    Header,
    Payload { stream: usize, left: usize },
}

/// A parsed chunk header: its length on the wire and what it says.
struct Header {
    format: u8,
    csid: u32,
    wire_bytes: usize,
    /// Timestamp (type 0) or delta (types 1 and 2).
    time: u32,
    extended: bool,
    length: usize,
    type_id: u8,
    stream_id: u32,
}

/// Reads messages from chunks.
///
/// Set Chunk Size and Abort take effect here; they are returned as messages too.
pub struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// Index of the stream used last: most chunks follow one of their own.
    newest: usize,
    /// The start of a header whose rest has not come.
    carry: Vec<u8>,
    state: State,
    /// Capacity of all unfinished payloads.
    held: usize,
    /// What that may be by now; at most the limit on buffered bytes.
    may_hold: usize,
}

impl ChunkReader {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: DEFAULT_CHUNK_SIZE as usize,
            streams: Vec::new(),
            newest: 0,
            carry: Vec::new(),
            state: State::Header,
            held: 0,
            may_hold: limits.buffered_bytes,
        }
    }

    /// From here on unfinished messages may take so many bytes together, within the limits.
    pub fn allow_unfinished(&mut self, bytes: usize) {
        self.may_hold = bytes.min(self.limits.buffered_bytes);
    }

    /// Bytes that unfinished messages and headers take.
    pub fn buffered_bytes(&self) -> usize {
        self.held + self.carry.len() + self.streams.len() * size_of::<ChunkStream>()
    }

    /// Takes bytes from the front of `input` until a message is whole or `input` is empty.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<RawMessage>, ChunkError> {
        loop {
            let (stream, left) = match self.state {
                State::Payload { stream, left } => (stream, left),
                State::Header => match self.read_header(input)? {
                    Some(header) => self.begin_chunk(&header)?,
                    None => return Ok(None),
                },
            };
            let left = self.take_payload(stream, left, input)?;
            if left > 0 {
                self.state = State::Payload { stream, left };
                return Ok(None);
            }
            self.state = State::Header;
            if let Some(message) = self.finish(stream) {
                self.obey(&message)?;
                return Ok(Some(message));
            }
        }
    }

    /// `None` when `input` ended in the header.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, ChunkError> {
        if self.carry.is_empty() {
            let header = self.parse(input)?;
            match &header {
                Some(header) => *input = &input[header.wire_bytes..],
                None => {
                    self.carry.extend_from_slice(input);
                    *input = &[];
                }
            }
            return Ok(header);
        }
        let mut window = [0; 2 * MAX_HEADER];
        let (carried, fresh) = (self.carry.len(), input.len().min(MAX_HEADER));
        window[..carried].copy_from_slice(&self.carry);
        window[carried..carried + fresh].copy_from_slice(&input[..fresh]);
        let header = self.parse(&window[..carried + fresh])?;
        match &header {
            Some(header) if header.wire_bytes < carried => {
                self.carry.drain(..header.wire_bytes);
            }
            Some(header) => {
                *input = &input[header.wire_bytes - carried..];
                self.carry.clear();
            }
            // Then all of a header's longest form was not there, so `fresh` was all of the input.
            None => {
                self.carry.extend_from_slice(&input[..fresh]);
                *input = &input[fresh..];
            }
        }
        Ok(header)
    }

    /// `None` when `bytes` ends in the header; never with [`MAX_HEADER`] bytes.
    fn parse(&self, bytes: &[u8]) -> Result<Option<Header>, ChunkError> {
        let (basic, csid) = match *bytes {
            [] => return Ok(None),
            [first, second, ..] if first & 0x3f == 0 => (2, 64 + u32::from(second)),
            [first, second, third, ..] if first & 0x3f == 1 => {
                (3, 64 + u32::from(u16::from_le_bytes([second, third])))
            }
            [first, ..] if first & 0x3f > 1 => (1, u32::from(first & 0x3f)),
            _ => return Ok(None),
        };
        let format = bytes[0] >> 6;
        let rest = &bytes[basic..];
        let known = self.find(csid).map(|index| &self.streams[index]);
        let mut header = Header {
            format,
            csid,
            wire_bytes: basic,
            time: 0,
            extended: false,
            length: known.map_or(0, |stream| stream.length),
            type_id: known.map_or(0, |stream| stream.type_id),
            stream_id: known.map_or(0, |stream| stream.stream_id),
        };
        if format == 3 {
            let Some(stream) = known else { return Err(ChunkError::NoHeaderBefore { csid, format }) };
            (header.time, header.extended) = (stream.delta, stream.extended);
            return Ok(repeated_time(stream, rest).map(|repeated| {
                header.wire_bytes += repeated;
                header
            }));
        }
        if format == 2 && known.is_none() {
            return Err(ChunkError::NoHeaderBefore { csid, format });
        }
        let fields = [11, 7, 3][usize::from(format)];
        if rest.len() < fields {
            return Ok(None);
        }
        header.time = be24(rest);
        if format < 2 {
            header.length = be24(&rest[3..]) as usize;
            header.type_id = rest[6];
        }
        if format == 0 {
            header.stream_id = u32::from_le_bytes([rest[7], rest[8], rest[9], rest[10]]);
        }
        header.wire_bytes += fields;
        if header.time == EXTENDED {
            let Some(time) = rest[fields..].first_chunk() else { return Ok(None) };
            header.time = u32::from_be_bytes(*time);
            header.extended = true;
            header.wire_bytes += 4;
        }
        Ok(Some(header))
    }

    fn find(&self, csid: u32) -> Option<usize> {
        if self.streams.get(self.newest).is_some_and(|stream| stream.csid == csid) {
            return Some(self.newest);
        }
        self.streams.iter().position(|stream| stream.csid == csid)
    }

    /// Applies a header; returns its stream and how many payload bytes its chunk has.
    fn begin_chunk(&mut self, header: &Header) -> Result<(usize, usize), ChunkError> {
        let limit = self.limits.message_bytes;
        if header.length > limit {
            return Err(ChunkError::MessageTooLong { length: header.length, limit });
        }
        let index = match self.find(header.csid) {
            Some(index) => index,
            None if self.streams.len() < self.limits.chunk_streams => {
                self.streams.push(ChunkStream { csid: header.csid, ..ChunkStream::default() });
                self.streams.len() - 1
            }
            None => return Err(ChunkError::TooManyStreams { limit: self.limits.chunk_streams }),
        };
        self.newest = index;
        let stream = &mut self.streams[index];
        if header.format < 3 && stream.in_message {
            // A new message header in mid-message: the sender gave the old message up.
            self.held -= stream.payload.capacity();
            stream.payload = Vec::new();
            stream.in_message = false;
        }
        if !stream.in_message {
            let base = if header.format == 0 { 0 } else { stream.timestamp };
            stream.timestamp = base.wrapping_add(header.time);
            stream.delta = header.time;
            stream.extended = header.extended;
            stream.length = header.length;
            stream.type_id = header.type_id;
            stream.stream_id = header.stream_id;
            stream.in_message = true;
        }
        Ok((index, self.chunk_size.min(stream.length - stream.payload.len())))
    }

    /// Moves at most `left` payload bytes from the carry and `input`; returns what is still to come.
    fn take_payload(&mut self, index: usize, left: usize, input: &mut &[u8]) -> Result<usize, ChunkError> {
        let from_carry = left.min(self.carry.len());
        let from_input = (left - from_carry).min(input.len());
        let stream = &mut self.streams[index];
        let before = stream.payload.capacity();
        let needed = stream.payload.len() + from_carry + from_input;
        if needed > before {
            // Room in advance saves copies, but is not worth the connection.
            let room = before + self.may_hold.saturating_sub(self.held);
            let goal = needed.max((before * 2).max(FIRST_RESERVE).min(room)).min(stream.length);
            stream.payload.reserve_exact(goal - stream.payload.len());
            self.held += stream.payload.capacity() - before;
            if self.held > self.may_hold {
                return Err(ChunkError::TooMuchBuffered { limit: self.may_hold });
            }
        }
        stream.payload.extend(self.carry.drain(..from_carry));
        let (now, later) = input.split_at(from_input);
        stream.payload.extend_from_slice(now);
        *input = later;
        Ok(left - from_carry - from_input)
    }

    /// The stream's message when it is whole.
    fn finish(&mut self, index: usize) -> Option<RawMessage> {
        let stream = &mut self.streams[index];
        if stream.payload.len() < stream.length {
            return None;
        }
        stream.in_message = false;
        let payload = std::mem::take(&mut stream.payload);
        self.held -= payload.capacity();
        Some(RawMessage {
            csid: stream.csid,
            timestamp: stream.timestamp,
            type_id: stream.type_id,
            stream_id: stream.stream_id,
            payload: Bytes::from(payload),
        })
    }

    /// What the chunk layer itself must do (§5.4.1, §5.4.2).
    fn obey(&mut self, message: &RawMessage) -> Result<(), ChunkError> {
        if !matches!(message.type_id, SET_CHUNK_SIZE | ABORT) {
            return Ok(());
        }
        let value = message.payload.first_chunk().ok_or(ChunkError::ShortControl)?;
        let value = u32::from_be_bytes(*value);
        if message.type_id == SET_CHUNK_SIZE {
            if value == 0 || value >> 31 == 1 {
                return Err(ChunkError::BadChunkSize(value));
            }
            self.chunk_size = value.min(MAX_CHUNK_SIZE) as usize;
        } else if let Some(index) = self.find(value) {
            let stream = &mut self.streams[index];
            self.held -= stream.payload.capacity();
            stream.payload = Vec::new();
            stream.in_message = false;
        }
        Ok(())
    }
}

/// How many bytes of extended time follow a type 3 header: 4 where it is repeated (§5.3.1.3), 0 where the
/// encoder leaves it out. Only its value tells: the first byte that differs is payload. `None` when all
/// bytes so far agree and some are still to come.
fn repeated_time(stream: &ChunkStream, rest: &[u8]) -> Option<usize> {
    if !stream.extended {
        return Some(0);
    }
    let time = stream.delta.to_be_bytes();
    let there = rest.len().min(4);
    match rest[..there] == time[..there] {
        true if there == 4 => Some(4),
        true => None,
        false => Some(0),
    }
}

fn be24(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}
