//! What a server does at each command (§7.2.1, §7.2.2, and those that encoders added).

use super::{Server, ServerEvent, Use};
use crate::amf::Value;
use crate::chunk::RawMessage;
use crate::command::{self, Level};
use crate::error::Error;
use crate::key::StreamKey;
use crate::link::WINDOW;
use crate::message::{self, BandwidthLimit, Command};

/// Apps and keys are at most this long, in bytes.
const MAX_NAME: usize = 1024;

impl Server {
    pub(super) fn obey(&mut self, raw: &RawMessage, command: &Command) -> Result<(), Error> {
        let transaction = command.transaction;
        match command.name.as_str() {
            "connect" => self.connect(command),
            "createStream" => {
                // Nothing is kept for a stream until it is used, so there is no limit to their number.
                self.last_stream_id = self.last_stream_id.wrapping_add(1).max(1);
                let id = Value::Number(f64::from(self.last_stream_id));
                self.reply(&command::result(transaction, Value::Null, vec![id]))
            }
            "publish" => self.request(raw, command, Want::Publish),
            "play" => self.request(raw, command, Want::Play),
            "deleteStream" => {
                let id = command.arguments.first().and_then(Value::as_number);
                self.end_use(id.map(|id| id as u32))
            }
            "closeStream" => self.end_use(Some(raw.stream_id)),
            "FCUnpublish" => {
                self.reply(&fc_answer("onFCUnpublish", "NetStream.Unpublish.Success"))?;
                self.end_use(None)
            }
            "FCPublish" => {
                self.reply(&fc_answer("onFCPublish", "NetStream.Publish.Start"))?;
                self.reply(&command::result(transaction, Value::Null, vec![Value::Undefined]))
            }
            "releaseStream" | "_checkbw" | "FCSubscribe" | "FCUnsubscribe" => {
                self.reply(&command::result(transaction, Value::Null, vec![Value::Undefined]))
            }
            // Live streams have none.
            "getStreamLength" => {
                self.reply(&command::result(transaction, Value::Null, vec![Value::Number(0.0)]))
            }
            "pause" => self.pause(raw, command),
            // Answers and wishes that change nothing in a live stream.
            "_result" | "_error" | "onStatus" | "receiveAudio" | "receiveVideo" | "onBWDone" => Ok(()),
            // 0 wants no answer (§7.2.1.2).
            _ if transaction == 0.0 => Ok(()),
            _ => {
                let error = command::error(transaction, "NetConnection.Call.Failed", "Unknown command");
                self.reply(&error)
            }
        }
    }

    fn reply(&mut self, command: &Command) -> Result<(), Error> {
        self.link.send(&command.to_raw(0))
    }

    fn connect(&mut self, command: &Command) -> Result<(), Error> {
        let app = command.object.get("app").and_then(Value::as_text).unwrap_or_default();
        if self.app.is_some() || app.len() > MAX_NAME {
            let words = "Connected before, or an application name that is too long";
            return self.reply(&command::error(command.transaction, "NetConnection.Connect.Rejected", words));
        }
        self.app = Some(app.trim_matches('/').to_owned());
        self.link.send(&message::window_ack_size(WINDOW))?;
        self.link.send(&message::set_peer_bandwidth(WINDOW, BandwidthLimit::Dynamic))?;
        self.link.set_chunk_size(self.config.chunk_size)?;
        let properties = Value::object([
            ("fmsVer", "FMS/3,5,7,7009".into()),
            ("capabilities", 31.0.into()),
            ("mode", 1.0.into()),
        ]);
        let mut information =
            command::information(Level::Status, "NetConnection.Connect.Success", "Connection succeeded.");
        if let Value::Object(members) = &mut information {
            let encoding = command.object.get("objectEncoding").and_then(Value::as_number).unwrap_or(0.0);
            members.push(("objectEncoding".to_owned(), encoding.into()));
            // Enhanced RTMP: of the codecs named by four characters we take these two.
            if command.object.get("fourCcList").is_some() {
                let list = Value::StrictArray(vec!["avc1".into(), "mp4a".into()]);
                members.push(("fourCcList".to_owned(), list));
            }
        }
        self.reply(&command::result(command.transaction, properties, vec![information]))
    }

    fn request(&mut self, raw: &RawMessage, command: &Command, want: Want) -> Result<(), Error> {
        let key = command.arguments.first().and_then(Value::as_text);
        let (Some(app), Some(key), Use::Nothing) = (&self.app, key, self.used_for) else {
            let words = "Connect first, name the stream, and use one stream a connection";
            return self.turn_down(raw.stream_id, want, words);
        };
        if key.len() > MAX_NAME {
            return self.turn_down(raw.stream_id, want, "The name is too long");
        }
        let (app, app_query) = app.split_once('?').unwrap_or((app, ""));
        let mut key = key.trim_start_matches('/').to_owned();
        if !app_query.is_empty() && !key.contains('?') {
            // Some encoders only take a server address, and put the token behind that.
            key = format!("{key}?{app_query}");
        }
        let (app, key) = (app.trim_end_matches('/').to_owned(), StreamKey::new(key));
        let stream_id = raw.stream_id;
        match want {
            Want::Publish => {
                self.used_for = Use::PublishPending { stream_id };
                self.event(ServerEvent::PublishRequested { app, key })
            }
            Want::Play => {
                self.used_for = Use::PlayPending { stream_id };
                self.event(ServerEvent::PlayRequested { app, key })
            }
        }
    }

    /// Says no without asking. Beside a use that was granted it costs nothing.
    fn turn_down(&mut self, stream_id: u32, want: Want, words: &str) -> Result<(), Error> {
        self.status(stream_id, Level::Error, want.failed(), words)?;
        if self.waiting_since.is_none() { Ok(()) } else { self.count_refusal() }
    }

    /// Ends the use of stream `id`, or of whichever is used.
    fn end_use(&mut self, id: Option<u32>) -> Result<(), Error> {
        let is_it = |stream_id: u32| id.is_none_or(|id| id == stream_id);
        let event = match self.used_for {
            Use::Publishing { stream_id } if is_it(stream_id) => {
                let words = "The stream ended";
                self.status(stream_id, Level::Status, "NetStream.Unpublish.Success", words)?;
                ServerEvent::PublishEnded
            }
            Use::Playing { stream_id } if is_it(stream_id) => ServerEvent::PlayEnded,
            _ => return Ok(()),
        };
        self.used_for = Use::Nothing;
        self.waiting_since = Some(self.link.heard());
        self.event(event)
    }

    fn pause(&mut self, raw: &RawMessage, command: &Command) -> Result<(), Error> {
        let (Use::Playing { .. }, Some(paused)) =
            (self.used_for, command.arguments.first().and_then(Value::as_boolean))
        else {
            return Ok(());
        };
        let code = if paused { "NetStream.Pause.Notify" } else { "NetStream.Unpause.Notify" };
        self.status(raw.stream_id, Level::Status, code, "As asked")?;
        self.event(ServerEvent::Paused(paused))
    }
}

#[derive(Clone, Copy)]
enum Want {
    Publish,
    Play,
}

impl Want {
    fn failed(self) -> &'static str {
        match self {
            Self::Publish => "NetStream.Publish.BadName",
            Self::Play => "NetStream.Play.Failed",
        }
    }
}

fn fc_answer(name: &str, code: &str) -> Command {
    let information = Value::object([("code", code.into()), ("description", "".into())]);
    Command::new(name, 0.0, Value::Null, vec![information])
}
