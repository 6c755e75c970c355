//! What both roles share below commands: handshake, chunks, acknowledgements, pings, deadlines, output.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::chunk::{self, ChunkReader, DEFAULT_CHUNK_SIZE, RawMessage};
use crate::error::Error;
use crate::handshake::Handshake;
use crate::limits::Limits;
use crate::message::{self, Message, UserControl, aggregate::Parts, type_id};

/// The window that we grant peers, and half of which we acknowledge at when they ask for none.
///
/// Large on purpose: a publisher that ends with our acknowledgements unread in its socket resets the
/// connection, and the reset throws away the tail of its stream. FFmpeg announces no window, so it gets an
/// acknowledgement every 128 MiB.
pub const WINDOW: u32 = 256 << 20;

pub struct Link {
    limits: Limits,
    handshake: Option<Handshake>,
    reader: ChunkReader,
    parts: Option<Parts>,
    chunk_size: u32,
    output: VecDeque<Bytes>,
    output_bytes: usize,
    received: u64,
    acknowledged: u64,
    /// Bytes of input from one acknowledgement to the next.
    ack_every: u32,
    started: Instant,
    heard: Instant,
    pinged: bool,
    over: bool,
}

impl Link {
    pub fn new(limits: Limits, handshake: Handshake, now: Instant) -> Self {
        Self {
            limits,
            handshake: Some(handshake),
            reader: ChunkReader::new(limits),
            parts: None,
            chunk_size: DEFAULT_CHUNK_SIZE,
            output: VecDeque::new(),
            output_bytes: 0,
            received: 0,
            acknowledged: 0,
            ack_every: WINDOW / 2,
            started: now,
            heard: now,
            pinged: false,
            over: false,
        }
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// After this every input is [`Error::Closed`]; output that waits may still be polled.
    pub fn end(&mut self) {
        self.over = true;
        self.parts = None;
    }

    /// How many bytes unfinished messages may take from here on, within the limits.
    pub fn allow_unfinished(&mut self, bytes: usize) {
        self.reader.allow_unfinished(bytes);
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    /// When the last input came.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    pub fn is_shaken(&self) -> bool {
        self.handshake.is_none()
    }

    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    pub fn buffered_bytes(&self) -> usize {
        let handshake = self.handshake.as_ref().map_or(0, Handshake::buffered_bytes);
        handshake + self.reader.buffered_bytes() + self.output_bytes
    }

    pub fn output_bytes(&self) -> usize {
        self.output_bytes
    }

    /// Notes that `count` bytes came at `now`.
    pub fn hear(&mut self, now: Instant, count: usize) {
        if count > 0 {
            self.heard = now;
            self.pinged = false;
        }
        self.received += count as u64;
    }

    /// The next message that is not the link's own business; `None` when `input` is used up.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<(RawMessage, Message)>, Error> {
        if let Some(handshake) = &mut self.handshake {
            let mut answer = Vec::new();
            let done = handshake.read(input, &mut answer)?;
            if !answer.is_empty() {
                self.push(answer.into())?;
            }
            if !done {
                return Ok(None);
            }
            self.handshake = None;
            // The session acts on the end of the handshake before it reads on.
            return Ok(None);
        }
        loop {
            let part = self.parts.as_mut().and_then(Iterator::next).transpose()?;
            let raw = match part {
                Some(part) => part,
                None => {
                    self.parts = None;
                    match self.reader.read(input)? {
                        Some(raw) => raw,
                        None => return Ok(None),
                    }
                }
            };
            if raw.type_id == type_id::AGGREGATE {
                self.parts = Some(Parts::new(raw));
                continue;
            }
            let message = Message::parse(&raw)?;
            match message {
                Message::UserControl(UserControl::PingRequest(time)) => {
                    self.send(&UserControl::PingResponse(time).to_raw())?;
                }
                Message::WindowAckSize(bytes) => self.ack_every = bytes.max(1),
                Message::SetPeerBandwidth(bytes, _) => self.send(&message::window_ack_size(bytes))?,
                Message::SetChunkSize(_)
                | Message::Abort(_)
                | Message::Acknowledgement(_)
                | Message::UserControl(UserControl::PingResponse(_))
                | Message::Other(_) => {}
                _ => return Ok(Some((raw, message))),
            }
        }
    }

    /// Acknowledges what came, when a window of it did (§5.4.3). Once for each call with input, so that a
    /// tiny window cannot make output out of proportion.
    pub fn acknowledge(&mut self) -> Result<(), Error> {
        if self.is_shaken() && self.received - self.acknowledged >= u64::from(self.ack_every) {
            self.acknowledged = self.received;
            // The sequence number wraps with the count (§5.4.3).
            self.send(&message::acknowledgement(self.received as u32))?;
        }
        Ok(())
    }

    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<(), Error> {
        self.send(&message::set_chunk_size(bytes))?;
        self.chunk_size = bytes;
        Ok(())
    }

    pub fn send(&mut self, message: &RawMessage) -> Result<(), Error> {
        let mut out = Vec::new();
        chunk::append(&mut out, message, self.chunk_size);
        self.push(out.into())
    }

    /// Queues whole chunks. A full queue refuses them and stays as it was.
    pub fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.output_bytes + bytes.len() > self.limits.output_bytes {
            return Err(Error::OutputFull { limit: self.limits.output_bytes });
        }
        self.output_bytes += bytes.len();
        self.output.push_back(bytes);
        Ok(())
    }

    pub fn poll_output(&mut self) -> Option<Bytes> {
        let bytes = self.output.pop_front()?;
        self.output_bytes -= bytes.len();
        Some(bytes)
    }

    /// When [`Link::handle_timeout`] has something to do next. `waiting_since`: since when the link is of no use;
    /// `None` where it is.
    pub fn poll_timeout(&self, waiting_since: Option<Instant>) -> Instant {
        let limits = &self.limits;
        match waiting_since {
            _ if !self.is_shaken() => self.started + limits.handshake_time,
            Some(since) => since + limits.setup_time,
            None if !self.pinged => self.heard + limits.idle_time / 2,
            None => self.heard + limits.idle_time,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant, waiting_since: Option<Instant>) -> Result<(), Error> {
        if self.over {
            return Err(Error::Closed);
        }
        if now < self.poll_timeout(waiting_since) {
            return Ok(());
        }
        let error = match () {
            () if !self.is_shaken() => Error::HandshakeTimeout,
            () if waiting_since.is_some() => Error::SetupTimeout,
            () if now >= self.heard + self.limits.idle_time => Error::IdleTimeout,
            () => {
                self.pinged = true;
                let millis = (now - self.started).as_millis() as u32;
                return self.send(&UserControl::PingRequest(millis).to_raw());
            }
        };
        self.end();
        Err(error)
    }
}
