//! The server's side of one connection: a publisher or a player.
//!
//! ```text
//! handle_input(now, bytes) ──▶ poll_event() ──▶ accept / refuse
//! handle_timeout(now)      ──▶ poll_output() ──▶ the socket
//! ```

mod commands;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::chunk::RawMessage;
use crate::command::{self, Level};
use crate::error::Error;
use crate::fan_out::{PlayerFormat, SharedTag};
use crate::handshake::Handshake;
use crate::key::StreamKey;
use crate::limits::Limits;
use crate::link::Link;
use crate::message::{Message, UserControl, type_id};
use crate::tag::{self, Tag, TagError};
use crate::timestamps::Unwrapper;

/// How a server behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    pub limits: Limits,
    /// The size of the chunks that we send. Players share serialised tags, so it is one for all.
    pub chunk_size: u32,
    /// Makes the random bytes of the handshake: another for each connection.
    pub seed: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { limits: Limits::default(), chunk_size: 65_536, seed: 0 }
    }
}

/// What a peer wants or sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerEvent {
    /// Answer with [`Server::accept`] or [`Server::refuse`]; what comes meanwhile is held.
    PublishRequested {
        /// The first part of the URL's path.
        app: String,
        key: StreamKey,
    },
    /// As for publishing; once accepted, hand tags to [`Server::send`].
    PlayRequested {
        app: String,
        key: StreamKey,
    },
    /// A publisher's audio, video or data.
    Media(Tag),
    /// A player paused (`true`) or goes on.
    Paused(bool),
    /// The publisher ended its stream in order.
    PublishEnded,
    PlayEnded,
}

/// Why a request is refused, in RTMP's words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Such as `NetStream.Publish.BadName`.
    pub code: String,
    /// For the person at the encoder.
    pub description: String,
}

impl Refusal {
    pub fn new(code: &str, description: &str) -> Self {
        Self { code: code.to_owned(), description: description.to_owned() }
    }
}

/// What the connection is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Nothing,
    PublishPending { stream_id: u32 },
    PlayPending { stream_id: u32 },
    Publishing { stream_id: u32 },
    Playing { stream_id: u32 },
}

/// One connection. An `Err` from any `handle_` method, from [`Server::accept`] or from [`Server::refuse`] ends it: send
/// what [`Server::poll_output`] still has, then close.
pub struct Server {
    config: ServerConfig,
    link: Link,
    events: VecDeque<ServerEvent>,
    /// The app named by `connect`, with its query string.
    app: Option<String>,
    last_stream_id: u32,
    used_for: Use,
    /// Since when nothing is granted; `None` while something is. Asking alone does not count, or whoever has no key
    /// could stay for ever.
    waiting_since: Option<Instant>,
    refusals: u32,
    clock: Unwrapper,
    /// What came while a request was undecided.
    held: VecDeque<(RawMessage, Message)>,
    held_bytes: usize,
}

impl Server {
    pub fn new(config: ServerConfig, now: Instant) -> Self {
        let mut link = Link::new(config.limits, Handshake::server(config.seed), now);
        link.allow_unfinished(config.limits.setup_bytes);
        Self {
            config,
            link,
            events: VecDeque::new(),
            app: None,
            last_stream_id: 0,
            used_for: Use::Nothing,
            waiting_since: Some(now),
            refusals: 0,
            clock: Unwrapper::new(),
            held: VecDeque::new(),
            held_bytes: 0,
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
            self.drop_held();
        }
        result
    }

    fn take_input(&mut self, now: Instant, mut input: &[u8]) -> Result<(), Error> {
        self.link.hear(now, input.len());
        loop {
            let was_shaken = self.link.is_shaken();
            match self.link.read(&mut input)? {
                Some((raw, message)) => self.take_message(raw, message)?,
                None if was_shaken == self.link.is_shaken() => break,
                None => {}
            }
        }
        self.link.acknowledge()
    }

    fn take_message(&mut self, raw: RawMessage, message: Message) -> Result<(), Error> {
        if matches!(self.used_for, Use::PublishPending { .. } | Use::PlayPending { .. }) {
            // An encoder need not wait for our answer, and its first messages are those that matter most.
            self.held_bytes += raw.payload.len() + size_of::<(RawMessage, Message)>();
            let limit = self.config.limits.buffered_bytes;
            if self.held_bytes > limit {
                return Err(Error::TooMuchHeld { limit });
            }
            self.held.push_back((raw, message));
            return Ok(());
        }
        match message {
            Message::Command(command) => self.obey(&raw, &command),
            Message::Audio(body) => self.take_media(&raw, type_id::AUDIO, &body),
            Message::Video(body) => self.take_media(&raw, type_id::VIDEO, &body),
            Message::Data(body) => self.take_media(&raw, type_id::DATA_AMF0, &body),
            _ => Ok(()),
        }
    }

    fn take_media(&mut self, raw: &RawMessage, type_id: u8, body: &Bytes) -> Result<(), Error> {
        let Use::Publishing { stream_id } = self.used_for else { return Ok(()) };
        // A first header without a stream id (type 1) leaves it 0.
        if raw.stream_id != stream_id && raw.stream_id != 0 {
            return Ok(());
        }
        match tag::read(type_id, body) {
            Ok(None) => Ok(()),
            Ok(Some((content, body))) => {
                let timestamp = match content.is_frame() {
                    true => self.clock.unwrap(raw.timestamp),
                    false => self.clock.current(raw.timestamp),
                };
                self.event(ServerEvent::Media(Tag { content, timestamp, body }))
            }
            Err(error) => {
                if let TagError::Unsupported(_) = error {
                    let refusal = Refusal::new("NetStream.Publish.Rejected", &error.to_string());
                    self.status(stream_id, Level::Error, &refusal.code, &refusal.description)?;
                }
                Err(error.into())
            }
        }
    }

    fn event(&mut self, event: ServerEvent) -> Result<(), Error> {
        let limit = self.config.limits.events;
        if self.events.len() >= limit {
            return Err(Error::EventsFull { limit });
        }
        self.events.push_back(event);
        Ok(())
    }

    fn status(&mut self, stream_id: u32, level: Level, code: &str, description: &str) -> Result<(), Error> {
        self.link.send(&command::on_status(level, code, description).to_raw(stream_id))
    }

    fn drop_held(&mut self) {
        self.held = VecDeque::new();
        self.held_bytes = 0;
    }

    /// Grants the request that [`Server::poll_event`] gave.
    pub fn accept(&mut self) -> Result<(), Error> {
        match self.used_for {
            Use::PublishPending { stream_id } => {
                self.used_for = Use::Publishing { stream_id };
                // It has a key: for the rest of the connection it gets the room that key frames need.
                self.link.allow_unfinished(self.config.limits.buffered_bytes);
                self.clock = Unwrapper::new();
                self.link.send(&UserControl::StreamBegin(stream_id).to_raw())?;
                self.status(stream_id, Level::Status, "NetStream.Publish.Start", "The stream is taken")?;
            }
            Use::PlayPending { stream_id } => {
                self.used_for = Use::Playing { stream_id };
                self.link.send(&UserControl::StreamBegin(stream_id).to_raw())?;
                self.status(stream_id, Level::Status, "NetStream.Play.Reset", "Playing from here")?;
                self.status(stream_id, Level::Status, "NetStream.Play.Start", "The stream begins")?;
            }
            _ => return Err(Error::WrongState("nothing was asked for")),
        }
        self.waiting_since = None;
        let held = std::mem::take(&mut self.held);
        self.drop_held();
        for (raw, message) in held {
            // A held command may end this use and begin the next, which holds the rest again.
            if let Err(error) = self.take_message(raw, message) {
                self.link.end();
                self.drop_held();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Refuses the request, or ends what was granted. The peer may ask again, until it was refused too often, which
    /// is an error.
    pub fn refuse(&mut self, now: Instant, refusal: &Refusal) -> Result<(), Error> {
        let (Use::PublishPending { stream_id }
        | Use::PlayPending { stream_id }
        | Use::Publishing { stream_id }
        | Use::Playing { stream_id }) = self.used_for
        else {
            return Err(Error::WrongState("nothing was asked for"));
        };
        self.used_for = Use::Nothing;
        self.waiting_since.get_or_insert(now);
        self.drop_held();
        self.status(stream_id, Level::Error, &refusal.code, &refusal.description)?;
        let counted = self.count_refusal();
        if counted.is_err() {
            self.link.end();
        }
        counted
    }

    fn count_refusal(&mut self) -> Result<(), Error> {
        self.refusals += 1;
        let limit = self.config.limits.refusals;
        if self.refusals >= limit { Err(Error::RefusedTooOften { limit }) } else { Ok(()) }
    }

    /// What a player's copies of tags depend on; `None` when nobody plays here.
    pub fn player_format(&self) -> Option<PlayerFormat> {
        match self.used_for {
            Use::Playing { stream_id } => {
                Some(PlayerFormat { stream_id, chunk_size: self.link.chunk_size() })
            }
            _ => None,
        }
    }

    /// Queues a tag for the player. [`Error::OutputFull`] leaves everything as it was: skip to the next
    /// key frame, or close.
    pub fn send(&mut self, tag: &mut SharedTag) -> Result<(), Error> {
        let format = self.player_format().ok_or(Error::WrongState("nobody plays here"))?;
        self.send_chunks(tag.chunks(format))
    }

    /// Queues what [`SharedTag::chunks`] made for [`Server::player_format`].
    pub fn send_chunks(&mut self, chunks: Bytes) -> Result<(), Error> {
        self.link.push(chunks)
    }

    /// Tells the player that the stream is over.
    pub fn end_play(&mut self, now: Instant) -> Result<(), Error> {
        let Use::Playing { stream_id } = self.used_for else {
            return Err(Error::WrongState("nobody plays here"));
        };
        self.used_for = Use::Nothing;
        self.waiting_since = Some(now);
        self.link.send(&UserControl::StreamEof(stream_id).to_raw())?;
        self.status(stream_id, Level::Status, "NetStream.Play.UnpublishNotify", "The publisher ended it")?;
        self.status(stream_id, Level::Status, "NetStream.Play.Stop", "The stream is over")
    }

    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Bytes for the socket, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.link.poll_output()
    }

    /// When [`Server::handle_timeout`] must be called at the latest. It moves with every input.
    pub fn poll_timeout(&self) -> Instant {
        self.link.poll_timeout(self.waiting_since)
    }

    /// Pings a silent peer, and gives up one that is silent or slow for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.link.handle_timeout(now, self.waiting_since)
    }

    /// Bytes that wait in here, in and out, without events that were not polled.
    pub fn buffered_bytes(&self) -> usize {
        self.link.buffered_bytes() + self.held_bytes
    }

    /// Bytes that wait to be polled for the socket.
    pub fn output_bytes(&self) -> usize {
        self.link.output_bytes()
    }
}
