//! A client and a server joined in memory, in virtual time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{Timescale, Timestamp};
use tickcast_rtmp::amf::Value;
use tickcast_rtmp::chunk::{self, ChunkReader, RawMessage};
use tickcast_rtmp::message::{Command, Message};
use tickcast_rtmp::{
    Client, ClientConfig, ClientEvent, Error, Limits, Role, RtmpUrl, Server, ServerConfig, ServerEvent, Tag,
    TagContent,
};

pub fn config(role: Role) -> ClientConfig {
    ClientConfig::new(RtmpUrl::parse("rtmp://host/live/key?token=1").unwrap(), role)
}

pub fn tag(content: TagContent, millis: i64, body: &[u8]) -> Tag {
    let timestamp = Timestamp::new(millis, Timescale::MILLIS);
    Tag { content, timestamp, body: Bytes::copy_from_slice(body) }
}

pub fn key_frame(millis: i64) -> Tag {
    tag(TagContent::KeyFrame, millis, &[0x17, 1, 0, 0, 0, 1, 2, 3])
}

pub fn sound(millis: i64) -> Tag {
    tag(TagContent::AudioFrame, millis, &[0xaf, 1, 7])
}

/// Everything that waits in `poll`.
pub fn drain<T>(mut poll: impl FnMut() -> Option<T>) -> Vec<T> {
    std::iter::from_fn(&mut poll).collect()
}

pub struct Pair {
    pub client: Client,
    pub server: Server,
    pub now: Instant,
}

impl Pair {
    pub fn new(config: ClientConfig, server: ServerConfig) -> Self {
        let now = Instant::now();
        Self { client: Client::new(config, now), server: Server::new(server, now), now }
    }

    /// Carries bytes both ways until nobody has more to say.
    pub fn settle(&mut self) -> Result<(), Error> {
        loop {
            let to_server = drain(|| self.client.poll_output());
            let to_client = drain(|| self.server.poll_output());
            if to_server.is_empty() && to_client.is_empty() {
                return Ok(());
            }
            to_server.iter().try_for_each(|bytes| self.server.handle_input(self.now, bytes))?;
            to_client.iter().try_for_each(|bytes| self.client.handle_input(self.now, bytes))?;
        }
    }

    /// A pair whose request was accepted.
    pub fn accepted(role: Role) -> Self {
        let mut pair = Self::new(config(role), ServerConfig::default());
        pair.settle().unwrap();
        assert_eq!(pair.server_events().len(), 1, "the request");
        pair.server.accept().unwrap();
        pair.settle().unwrap();
        assert_eq!(pair.client_events(), [ClientEvent::Started]);
        pair
    }

    pub fn server_events(&mut self) -> Vec<ServerEvent> {
        drain(|| self.server.poll_event())
    }

    pub fn client_events(&mut self) -> Vec<ClientEvent> {
        drain(|| self.client.poll_event())
    }
}

/// A peer of a server that says what a test wants it to.
pub struct Peer {
    pub server: Server,
    pub now: Instant,
    reader: ChunkReader,
}

impl Peer {
    /// Past the handshake.
    pub fn new(config: ServerConfig) -> Self {
        let now = Instant::now();
        let mut server = Server::new(config, now);
        server.handle_input(now, &[3]).unwrap();
        server.handle_input(now, &[0; 2 * 1536]).unwrap();
        let answer: usize = drain(|| server.poll_output()).iter().map(Bytes::len).sum();
        assert_eq!(answer, 1 + 2 * 1536, "S0, S1 and S2");
        Self { server, now, reader: ChunkReader::new(Limits::default()) }
    }

    /// One that connected and made stream 1.
    pub fn connected() -> Self {
        let mut peer = Self::new(ServerConfig::default());
        peer.command(0, Command::new("connect", 1.0, Value::object([("app", "live".into())]), vec![]))
            .unwrap();
        peer.command(0, Command::new("createStream", 2.0, Value::Null, vec![])).unwrap();
        peer.heard();
        peer
    }

    /// One that publishes on stream 1.
    pub fn publishing() -> Self {
        let mut peer = Self::connected();
        peer.call(1, "publish", 0.0, vec!["key".into(), "live".into()]).unwrap();
        assert!(peer.server.poll_event().is_some());
        peer.server.accept().unwrap();
        peer.heard();
        peer
    }

    pub fn say(&mut self, message: &RawMessage) -> Result<(), Error> {
        let mut bytes = Vec::new();
        chunk::append(&mut bytes, message, chunk::DEFAULT_CHUNK_SIZE);
        self.server.handle_input(self.now, &bytes)
    }

    pub fn command(&mut self, stream_id: u32, command: Command) -> Result<(), Error> {
        self.say(&command.to_raw(stream_id))
    }

    pub fn call(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        arguments: Vec<Value>,
    ) -> Result<(), Error> {
        self.command(stream_id, Command::new(name, transaction, Value::Null, arguments))
    }

    /// What the server said since.
    pub fn heard(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(bytes) = self.server.poll_output() {
            let mut input = &bytes[..];
            while let Some(raw) = self.reader.read(&mut input).unwrap() {
                messages.push(Message::parse(&raw).unwrap());
            }
        }
        messages
    }

    /// The commands among it: name, transaction and the code of a status, if there is one.
    pub fn heard_commands(&mut self) -> Vec<(String, f64, String)> {
        let commands = self.heard().into_iter().filter_map(|message| match message {
            Message::Command(command) => Some(command),
            _ => None,
        });
        commands
            .map(|command| {
                let code = command.arguments.iter().find_map(|value| value.get("code")?.as_text());
                (command.name.clone(), command.transaction, code.unwrap_or_default().to_owned())
            })
            .collect()
    }

    pub fn wait(&mut self, span: Duration) -> Result<(), Error> {
        self.now += span;
        self.server.handle_timeout(self.now)
    }
}
