//! Messages (§5.4, §7.1): from their type and payload to what they mean, and back.

pub mod aggregate;

use bytes::Bytes;
use thiserror::Error;

use crate::amf::{self, AmfError, Value};
use crate::chunk::RawMessage;

/// Message type ids.
pub mod type_id {
    pub const SET_CHUNK_SIZE: u8 = 1;
    pub const ABORT: u8 = 2;
    pub const ACKNOWLEDGEMENT: u8 = 3;
    pub const USER_CONTROL: u8 = 4;
    pub const WINDOW_ACK_SIZE: u8 = 5;
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    pub const AUDIO: u8 = 8;
    pub const VIDEO: u8 = 9;
    pub const DATA_AMF3: u8 = 15;
    pub const COMMAND_AMF3: u8 = 17;
    pub const DATA_AMF0: u8 = 18;
    pub const COMMAND_AMF0: u8 = 20;
    pub const AGGREGATE: u8 = 22;
}

/// Chunk streams that we send on. Readers must not care, but 2 is the protocol's own (§5.3.1.1).
pub mod csid {
    pub const CONTROL: u32 = 2;
    pub const COMMAND: u32 = 3;
    pub const AUDIO: u32 = 4;
    pub const DATA: u32 = 5;
    pub const VIDEO: u32 = 6;
}

/// Why a message is refused.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum MessageError {
    #[error("a control message of type {0} is too short")]
    Short(u8),
    #[error("a command without a name")]
    NamelessCommand,
    #[error("an aggregate whose parts do not fill it")]
    BrokenAggregate,
}

/// A command: its name, transaction, command object and arguments (§7.2).
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    pub name: String,
    /// 0 where no answer is expected.
    pub transaction: f64,
    pub object: Value,
    pub arguments: Vec<Value>,
}

impl Command {
    pub fn new(name: &str, transaction: f64, object: Value, arguments: Vec<Value>) -> Self {
        Self { name: name.to_owned(), transaction, object, arguments }
    }

    fn from_values(values: Vec<Value>) -> Result<Self, MessageError> {
        let mut values = values.into_iter();
        let Some(Value::Text(name)) = values.next() else { return Err(MessageError::NamelessCommand) };
        let transaction = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, arguments: values.collect() })
    }

    /// The message that carries it, in AMF0, which every peer reads.
    pub fn to_raw(&self, stream_id: u32) -> RawMessage {
        let mut payload = Vec::new();
        amf::encode_amf0(&mut payload, &Value::text(self.name.as_str()));
        amf::encode_amf0(&mut payload, &Value::Number(self.transaction));
        amf::encode_amf0(&mut payload, &self.object);
        self.arguments.iter().for_each(|value| amf::encode_amf0(&mut payload, value));
        RawMessage {
            csid: csid::COMMAND,
            timestamp: 0,
            type_id: type_id::COMMAND_AMF0,
            stream_id,
            payload: payload.into(),
        }
    }
}

/// User control events (§7.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserControl {
    StreamBegin(u32),
    StreamEof(u32),
    StreamDry(u32),
    SetBufferLength {
        stream_id: u32,
        millis: u32,
    },
    StreamIsRecorded(u32),
    PingRequest(u32),
    PingResponse(u32),
    /// An event that we do not act on.
    Other(u16),
}

/// How firmly a bandwidth is set (§5.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BandwidthLimit {
    Hard,
    Soft,
    Dynamic,
}

/// A message understood.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    SetChunkSize(u32),
    Abort(u32),
    Acknowledgement(u32),
    UserControl(UserControl),
    WindowAckSize(u32),
    SetPeerBandwidth(u32, BandwidthLimit),
    Audio(Bytes),
    Video(Bytes),
    /// AMF0 values, as in an FLV script tag.
    Data(Bytes),
    Command(Command),
    Aggregate(Bytes),
    /// Shared objects and types that nobody defined: to be passed over.
    Other(u8),
}

impl Message {
    /// What `raw` means.
    pub fn parse(raw: &RawMessage) -> Result<Self, ParseError> {
        use type_id as t;
        let payload = &raw.payload;
        let number = || -> Result<u32, MessageError> {
            let bytes = payload.first_chunk().ok_or(MessageError::Short(raw.type_id))?;
            Ok(u32::from_be_bytes(*bytes))
        };
        Ok(match raw.type_id {
            t::SET_CHUNK_SIZE => Self::SetChunkSize(number()?),
            t::ABORT => Self::Abort(number()?),
            t::ACKNOWLEDGEMENT => Self::Acknowledgement(number()?),
            t::WINDOW_ACK_SIZE => Self::WindowAckSize(number()?),
            t::SET_PEER_BANDWIDTH => Self::SetPeerBandwidth(
                number()?,
                match payload.get(4) {
                    Some(0) => BandwidthLimit::Hard,
                    Some(1) => BandwidthLimit::Soft,
                    _ => BandwidthLimit::Dynamic,
                },
            ),
            t::USER_CONTROL => Self::UserControl(UserControl::parse(payload)?),
            t::AUDIO => Self::Audio(payload.clone()),
            t::VIDEO => Self::Video(payload.clone()),
            t::DATA_AMF0 => Self::Data(payload.clone()),
            t::DATA_AMF3 => Self::Data(after_amf3_prefix(payload)),
            t::COMMAND_AMF0 => Self::Command(Command::from_values(amf::decode_amf0(payload)?)?),
            t::COMMAND_AMF3 => {
                Self::Command(Command::from_values(amf::decode_amf0(&after_amf3_prefix(payload))?)?)
            }
            t::AGGREGATE => Self::Aggregate(payload.clone()),
            other => Self::Other(other),
        })
    }
}

/// Bodies of types 15 and 17 begin with a zero byte; then come AMF0 values, of which some switch to AMF3.
fn after_amf3_prefix(payload: &Bytes) -> Bytes {
    match payload.first() {
        Some(0) => payload.slice(1..),
        _ => payload.clone(),
    }
}

/// Why a message's payload is not one of its type.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Amf(#[from] AmfError),
}

impl From<ParseError> for crate::Error {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Message(error) => error.into(),
            ParseError::Amf(error) => error.into(),
        }
    }
}

impl UserControl {
    fn parse(payload: &[u8]) -> Result<Self, MessageError> {
        let short = MessageError::Short(type_id::USER_CONTROL);
        let (event, rest) = payload.split_first_chunk().ok_or(short)?;
        let number = |at: usize| -> Result<u32, MessageError> {
            let bytes = rest.get(at..).and_then(<[u8]>::first_chunk).ok_or(short)?;
            Ok(u32::from_be_bytes(*bytes))
        };
        Ok(match u16::from_be_bytes(*event) {
            0 => Self::StreamBegin(number(0)?),
            1 => Self::StreamEof(number(0)?),
            2 => Self::StreamDry(number(0)?),
            3 => Self::SetBufferLength { stream_id: number(0)?, millis: number(4)? },
            4 => Self::StreamIsRecorded(number(0)?),
            6 => Self::PingRequest(number(0)?),
            7 => Self::PingResponse(number(0)?),
            other => Self::Other(other),
        })
    }

    pub fn to_raw(self) -> RawMessage {
        let (event, first, second) = match self {
            Self::StreamBegin(id) => (0, Some(id), None),
            Self::StreamEof(id) => (1, Some(id), None),
            Self::StreamDry(id) => (2, Some(id), None),
            Self::SetBufferLength { stream_id, millis } => (3, Some(stream_id), Some(millis)),
            Self::StreamIsRecorded(id) => (4, Some(id), None),
            Self::PingRequest(time) => (6, Some(time), None),
            Self::PingResponse(time) => (7, Some(time), None),
            Self::Other(event) => (event, None, None),
        };
        let mut payload = Vec::with_capacity(10);
        payload.extend_from_slice(&event.to_be_bytes());
        for number in [first, second].into_iter().flatten() {
            payload.extend_from_slice(&number.to_be_bytes());
        }
        control(type_id::USER_CONTROL, payload)
    }
}

pub fn set_chunk_size(bytes: u32) -> RawMessage {
    control(type_id::SET_CHUNK_SIZE, bytes.to_be_bytes().to_vec())
}

pub fn acknowledgement(sequence: u32) -> RawMessage {
    control(type_id::ACKNOWLEDGEMENT, sequence.to_be_bytes().to_vec())
}

pub fn window_ack_size(bytes: u32) -> RawMessage {
    control(type_id::WINDOW_ACK_SIZE, bytes.to_be_bytes().to_vec())
}

pub fn set_peer_bandwidth(bytes: u32, limit: BandwidthLimit) -> RawMessage {
    let mut payload = bytes.to_be_bytes().to_vec();
    payload.push(limit as u8);
    control(type_id::SET_PEER_BANDWIDTH, payload)
}

/// Protocol control goes on chunk stream 2 and message stream 0 (§5.4).
fn control(type_id: u8, payload: Vec<u8>) -> RawMessage {
    RawMessage { csid: csid::CONTROL, timestamp: 0, type_id, stream_id: 0, payload: payload.into() }
}
