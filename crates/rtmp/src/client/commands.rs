//! What a client says to servers, and what it makes of their answers (§7.2.1, §7.2.2).

use super::{Client, ClientEvent, Role, State};
use crate::amf::Value;
use crate::command::{self, Level};
use crate::error::{Error, Status};
use crate::link::WINDOW;
use crate::message::{self, Command, UserControl};

/// Transactions: answers name the one that they belong to.
const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const FC_UNPUBLISH: f64 = 5.0;
const DELETE_STREAM: f64 = 6.0;

/// What we tell servers to buffer for us, in milliseconds: little, for live.
const PLAY_BUFFER_MS: u32 = 300;
/// `play` of a live stream only (§7.2.2.1): −1; −2 would fall back to a recording.
const LIVE_ONLY: f64 = -1.0;

impl Client {
    fn say(&mut self, stream_id: u32, command: &Command) -> Result<(), Error> {
        self.link.send(&command.to_raw(stream_id))
    }

    fn key(&self) -> Value {
        Value::text(self.config.url.key().expose())
    }

    pub(super) fn connect(&mut self) -> Result<(), Error> {
        let config = &self.config;
        let mut members = vec![("app", Value::text(config.url.app()))];
        match config.role {
            Role::Publish => members.push(("type", "nonprivate".into())),
            Role::Play => members.extend([
                ("fpad", false.into()),
                ("capabilities", 15.0.into()),
                // All of FLV's codecs, as Flash players said it (§7.2.1.1).
                ("audioCodecs", 4071.0.into()),
                ("videoCodecs", 252.0.into()),
                ("videoFunction", 1.0.into()),
            ]),
        }
        members.push(("flashVer", Value::text(config.flash_version.as_str())));
        members.push(("tcUrl", Value::text(config.url.tc_url())));
        let object =
            Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
        self.say(0, &Command::new("connect", CONNECT, object, Vec::new()))
    }

    pub(super) fn obey(&mut self, command: &Command) -> Result<(), Error> {
        match (command.name.as_str(), self.state) {
            ("_result", State::Connecting) if command.transaction == CONNECT => self.connected(command),
            ("_error", State::Connecting) if command.transaction == CONNECT => {
                Err(Error::ConnectRefused(command::read_status(command).1))
            }
            ("_result", State::CreatingStream) if command.transaction == CREATE_STREAM => {
                let id = command.arguments.first().and_then(Value::as_number);
                self.stream_id = id.unwrap_or(1.0) as u32;
                self.ask()
            }
            ("_error", State::CreatingStream) if command.transaction == CREATE_STREAM => {
                Err(self.refused(command::read_status(command).1))
            }
            ("onStatus", _) => self.hear_status(command),
            ("close", State::Connecting) => Err(Error::ConnectRefused(Status::default())),
            ("close", _) => self.ended(command::read_status(command).1),
            ("_checkbw", _) if command.transaction != 0.0 => {
                self.say(0, &command::result(command.transaction, Value::Null, Vec::new()))
            }
            // Answers to releaseStream and FCPublish, which servers may not know, and news we do not need.
            _ => Ok(()),
        }
    }

    fn refused(&self, status: Status) -> Error {
        match self.config.role {
            Role::Publish => Error::PublishRefused(status),
            Role::Play => Error::PlayRefused(status),
        }
    }

    fn connected(&mut self, command: &Command) -> Result<(), Error> {
        let (level, status) = command::read_status(command);
        if level == Level::Error {
            return Err(Error::ConnectRefused(status));
        }
        self.link.send(&message::window_ack_size(WINDOW))?;
        self.link.set_chunk_size(self.config.chunk_size)?;
        if self.config.role == Role::Publish {
            let key = self.key();
            self.say(0, &Command::new("releaseStream", RELEASE_STREAM, Value::Null, vec![key.clone()]))?;
            self.say(0, &Command::new("FCPublish", FC_PUBLISH, Value::Null, vec![key]))?;
        }
        self.state = State::CreatingStream;
        self.say(0, &Command::new("createStream", CREATE_STREAM, Value::Null, Vec::new()))
    }

    fn ask(&mut self) -> Result<(), Error> {
        let stream_id = self.stream_id;
        self.state = State::Asking;
        let key = self.key();
        match self.config.role {
            Role::Publish => {
                let arguments = vec![key, "live".into()];
                self.say(stream_id, &Command::new("publish", 0.0, Value::Null, arguments))
            }
            Role::Play => {
                let arguments = vec![key, LIVE_ONLY.into()];
                self.say(stream_id, &Command::new("play", 0.0, Value::Null, arguments))?;
                let buffer = UserControl::SetBufferLength { stream_id, millis: PLAY_BUFFER_MS };
                self.link.send(&buffer.to_raw())
            }
        }
    }

    fn hear_status(&mut self, command: &Command) -> Result<(), Error> {
        let (level, status) = command::read_status(command);
        if level == Level::Error {
            return Err(match self.state {
                State::Handshaking | State::Connecting => Error::ConnectRefused(status),
                _ => self.refused(status),
            });
        }
        match (status.code.as_str(), self.state) {
            ("NetStream.Publish.Start" | "NetStream.Play.Start", State::Asking) => self.start(),
            // Some servers refuse without saying that it is an error.
            (
                "NetStream.Publish.BadName" | "NetStream.Play.StreamNotFound" | "NetStream.Play.Failed",
                State::Asking,
            ) => Err(self.refused(status)),
            (
                "NetStream.Play.Stop"
                | "NetStream.Play.Complete"
                | "NetStream.Play.UnpublishNotify"
                | "NetStream.Unpublish.Success",
                _,
            ) => self.ended(status),
            _ => Ok(()),
        }
    }

    fn ended(&mut self, status: Status) -> Result<(), Error> {
        if self.state == State::Ended {
            return Ok(());
        }
        self.state = State::Ended;
        self.event(ClientEvent::Ended(status))
    }

    pub(super) fn say_goodbye(&mut self) -> Result<(), Error> {
        if self.config.role == Role::Publish {
            let key = self.key();
            self.say(0, &Command::new("FCUnpublish", FC_UNPUBLISH, Value::Null, vec![key]))?;
        }
        let id = Value::Number(f64::from(self.stream_id));
        self.say(0, &Command::new("deleteStream", DELETE_STREAM, Value::Null, vec![id]))
    }
}
