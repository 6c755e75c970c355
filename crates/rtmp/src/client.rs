//! The client's side of one connection: publishes to any server, or plays from it.

mod commands;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::amf::{self, Value};
use crate::chunk::RawMessage;
use crate::error::{Error, Status};
use crate::handshake::{Handshake, Opening};
use crate::limits::Limits;
use crate::link::Link;
use crate::message::{Message, type_id};
use crate::tag::{self, Tag, TagContent};
use crate::timestamps::Unwrapper;
use crate::url::RtmpUrl;

/// What a client wants of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Publish,
    Play,
}

/// Where to connect, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientConfig {
    pub url: RtmpUrl,
    pub role: Role,
    pub opening: Opening,
    /// What we say that we are; some services only take what they know.
    pub flash_version: String,
    /// The size of the chunks that we send.
    pub chunk_size: u32,
    pub limits: Limits,
    /// Makes the random bytes of the handshake: another for each connection.
    pub seed: u64,
}

impl ClientConfig {
    pub fn new(url: RtmpUrl, role: Role) -> Self {
        let flash_version = match role {
            Role::Publish => "FMLE/3.0 (compatible; Tickcast)",
            Role::Play => "LNX 9,0,124,2",
        };
        Self {
            url,
            role,
            opening: Opening::Simple,
            flash_version: flash_version.to_owned(),
            chunk_size: 4096,
            limits: Limits::default(),
            seed: 0,
        }
    }
}

/// What the server did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientEvent {
    /// The server took the stream, or begins to play it.
    Started,
    /// Audio, video or data of the played stream.
    Media(Tag),
    /// The server says that the stream is over.
    Ended(Status),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Handshaking,
    Connecting,
    CreatingStream,
    /// `publish` or `play` was sent.
    Asking,
    Running,
    Ended,
}

/// One connection. An `Err` from a `handle_` method ends it: send what [`Client::poll_output`] still has,
/// then close.
pub struct Client {
    config: ClientConfig,
    link: Link,
    state: State,
    events: VecDeque<ClientEvent>,
    /// The message stream that the server made for us.
    stream_id: u32,
    clock: Unwrapper,
}

impl Client {
    /// The connection was just made: its first bytes are ready to be polled.
    pub fn new(config: ClientConfig, now: Instant) -> Self {
        let (handshake, first) = Handshake::client(config.opening, config.seed);
        let mut link = Link::new(config.limits, handshake, now);
        // Only limits below 1.5 kB refuse it, and with those nothing else is sent either.
        if link.push(first.into()).is_err() {
            link.end();
        }
        Self {
            link,
            state: State::Handshaking,
            events: VecDeque::new(),
            stream_id: 0,
            clock: Unwrapper::new(),
            config,
        }
    }

    /// Takes bytes that came at `now`. Hand over at most 64 KiB at a time and poll events between.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Error> {
        if self.link.is_over() {
            return Err(Error::Closed);
        }
        let result = self.take_input(now, bytes);
        if result.is_err() {
            self.link.end();
        }
        result
    }

    fn take_input(&mut self, now: Instant, mut input: &[u8]) -> Result<(), Error> {
        self.link.hear(now, input.len());
        loop {
            let message = self.link.read(&mut input)?;
            if self.state == State::Handshaking && self.link.is_shaken() {
                self.connect()?;
                self.state = State::Connecting;
                continue;
            }
            match message {
                Some((raw, message)) => self.take_message(&raw, &message)?,
                None => break,
            }
        }
        self.link.acknowledge()
    }

    fn take_message(&mut self, raw: &RawMessage, message: &Message) -> Result<(), Error> {
        match message {
            Message::Command(command) => self.obey(command),
            Message::Audio(body) => self.take_media(raw, type_id::AUDIO, body),
            Message::Video(body) => self.take_media(raw, type_id::VIDEO, body),
            Message::Data(body) => self.take_media(raw, type_id::DATA_AMF0, body),
            _ => Ok(()),
        }
    }

    fn take_media(&mut self, raw: &RawMessage, type_id: u8, body: &Bytes) -> Result<(), Error> {
        if self.config.role != Role::Play {
            return Ok(());
        }
        let Some((content, body)) = tag::read(type_id, body)? else { return Ok(()) };
        match self.state {
            // Some servers send media without a word before it.
            State::Asking if content != TagContent::Script => self.start()?,
            State::Running => {}
            _ => return Ok(()),
        }
        let timestamp = match content.is_frame() {
            true => self.clock.unwrap(raw.timestamp),
            false => self.clock.current(raw.timestamp),
        };
        self.event(ClientEvent::Media(Tag { content, timestamp, body }))
    }

    fn start(&mut self) -> Result<(), Error> {
        self.state = State::Running;
        self.event(ClientEvent::Started)
    }

    fn event(&mut self, event: ClientEvent) -> Result<(), Error> {
        let limit = self.config.limits.events;
        if self.events.len() >= limit {
            return Err(Error::EventsFull { limit });
        }
        self.events.push_back(event);
        Ok(())
    }

    /// Whether the server took the stream, so that tags can be sent.
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Queues a tag to publish. Send metadata and headers before frames. [`Error::OutputFull`] leaves
    /// everything as it was: skip to the next key frame.
    pub fn send(&mut self, tag: &Tag) -> Result<(), Error> {
        if self.config.role != Role::Publish || self.state != State::Running {
            return Err(Error::WrongState("the server has not taken the stream"));
        }
        let mut raw = tag.to_raw(self.stream_id);
        if tag.content == TagContent::Metadata {
            // Servers keep what comes with this word for players that join later.
            let mut payload = Vec::new();
            amf::encode_amf0(&mut payload, &Value::text("@setDataFrame"));
            payload.extend_from_slice(&tag.body);
            raw.payload = payload.into();
        }
        self.link.send(&raw)
    }

    /// Ends the stream in order. Send the output, shut the socket's write side, and read until the server
    /// closes, lest a reset throws the tail away.
    pub fn finish(&mut self) -> Result<(), Error> {
        if matches!(self.state, State::Asking | State::Running) {
            self.say_goodbye()?;
        }
        self.state = State::Ended;
        Ok(())
    }

    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Bytes for the socket, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.poll_output()
    }

    /// When [`Client::handle_timeout`] must be called at the latest. It moves with every input.
    pub fn poll_timeout(&self) -> Instant {
        self.link.poll_timeout(self.waiting_since())
    }

    /// Pings a silent server, and gives up one that is silent or slow for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.link.handle_timeout(now, self.waiting_since())
    }

    /// Since when the server has not granted what we are here for.
    fn waiting_since(&self) -> Option<Instant> {
        (!matches!(self.state, State::Running | State::Ended)).then(|| self.link.started())
    }

    /// Bytes that wait in here, in and out, without events that were not polled.
    pub fn buffered_bytes(&self) -> usize {
        self.link.buffered_bytes()
    }

    /// Bytes that wait to be polled for the socket.
    pub fn output_bytes(&self) -> usize {
        self.link.output_bytes()
    }
}
