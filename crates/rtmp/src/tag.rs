//! Media messages: what an audio, video or data body holds (FLV's tag bodies, and Enhanced RTMP's).

mod enhanced;

use bytes::Bytes;
use media::Timestamp;
use thiserror::Error;

use crate::amf::{self, Value};
use crate::chunk::RawMessage;
use crate::message::{csid, type_id};
use crate::timestamps;

/// What a tag's body is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TagKind {
    Audio,
    Video,
    Script,
}

/// What a tag's body holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TagContent {
    /// AVCDecoderConfigurationRecord.
    VideoHeader,
    /// A picture that decoding can start at.
    KeyFrame,
    InterFrame,
    /// No more pictures follow.
    VideoEnd,
    /// AudioSpecificConfig, or Opus's `OpusHead`.
    AudioHeader,
    AudioFrame,
    /// `onMetaData`.
    Metadata,
    /// Any other script tag, such as cue points.
    Script,
}

impl TagContent {
    pub fn kind(self) -> TagKind {
        match self {
            Self::VideoHeader | Self::KeyFrame | Self::InterFrame | Self::VideoEnd => TagKind::Video,
            Self::AudioHeader | Self::AudioFrame => TagKind::Audio,
            Self::Metadata | Self::Script => TagKind::Script,
        }
    }

    /// Whether a player that joins must get the newest of these before anything else.
    pub fn is_header(self) -> bool {
        matches!(self, Self::VideoHeader | Self::AudioHeader | Self::Metadata)
    }

    /// Whether its time is the clock's, which moves with frames only.
    pub(crate) fn is_frame(self) -> bool {
        matches!(self, Self::KeyFrame | Self::InterFrame | Self::AudioFrame)
    }
}

/// One FLV tag body with its time: H.264 in AVCC, AAC raw, Opus as Enhanced RTMP has it, script data in AMF0.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag {
    pub content: TagContent,
    /// Decoding time in whole milliseconds, unwrapped.
    pub timestamp: Timestamp,
    pub body: Bytes,
}

/// Why media is refused.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum TagError {
    #[error("{0} is not taken here: send H.264 video and AAC or Opus sound")]
    Unsupported(Coding),
    #[error("a media message is too short")]
    Short,
}

/// A coding that is named in a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// FLV's four-bit codec numbers.
    Video(u8),
    Audio(u8),
    /// Enhanced RTMP's.
    FourCc([u8; 4]),
    /// An Enhanced RTMP packet type that carries something else.
    PacketType(u8),
}

impl std::fmt::Display for Coding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Video(number) => write!(f, "FLV video codec {number}"),
            Self::Audio(number) => write!(f, "FLV sound format {number}"),
            Self::FourCc(name) => write!(f, "codec {}", name.escape_ascii()),
            Self::PacketType(number) => write!(f, "packet type {number}"),
        }
    }
}

/// What a media message holds, as an FLV tag body; `None` for what is to be passed over.
///
/// Enhanced RTMP's `avc1` and `mp4a` become the older forms, so that everybody downstream knows one form;
/// `Opus` has none and keeps its own, with one track and without extensions.
pub fn read(type_id: u8, body: &Bytes) -> Result<Option<(TagContent, Bytes)>, TagError> {
    match type_id {
        type_id::VIDEO => read_video(body),
        type_id::AUDIO => read_audio(body),
        type_id::DATA_AMF0 => Ok(read_script(body)),
        _ => Ok(None),
    }
}

const CODEC_AVC: u8 = 7;
const SOUND_AAC: u8 = 10;
const SOUND_ENHANCED: u8 = 9;
/// FLV's frame types.
const KEY: u8 = 1;
const GENERATED_KEY: u8 = 4;
const COMMAND_FRAME: u8 = 5;

fn read_video(body: &Bytes) -> Result<Option<(TagContent, Bytes)>, TagError> {
    // Encoders send empty messages where they have nothing to say.
    let Some(&first) = body.first() else { return Ok(None) };
    if first & 0x80 != 0 {
        return enhanced::read_video(body);
    }
    let frame = first >> 4;
    if frame == COMMAND_FRAME {
        return Ok(None);
    }
    if first & 0x0f != CODEC_AVC {
        return Err(TagError::Unsupported(Coding::Video(first & 0x0f)));
    }
    // Codec, packet type, composition time.
    let &[_, packet, _, _, _, ..] = &body[..] else { return Err(TagError::Short) };
    let content = match packet {
        0 => TagContent::VideoHeader,
        1 if frame == KEY || frame == GENERATED_KEY => TagContent::KeyFrame,
        1 => TagContent::InterFrame,
        2 => TagContent::VideoEnd,
        _ => return Ok(None),
    };
    Ok(Some((content, body.clone())))
}

fn read_audio(body: &Bytes) -> Result<Option<(TagContent, Bytes)>, TagError> {
    let Some(&first) = body.first() else { return Ok(None) };
    match first >> 4 {
        SOUND_AAC => {}
        SOUND_ENHANCED => return enhanced::read_audio(body),
        other => return Err(TagError::Unsupported(Coding::Audio(other))),
    }
    let content = match body.get(1) {
        Some(0) => TagContent::AudioHeader,
        Some(1) => TagContent::AudioFrame,
        Some(_) => return Ok(None),
        None => return Err(TagError::Short),
    };
    Ok(Some((content, body.clone())))
}

/// Script data without the `@setDataFrame` that publishers put in front (servers take it off).
fn read_script(body: &Bytes) -> Option<(TagContent, Bytes)> {
    let mut body = body.clone();
    // Not every script tag is AMF that we take; what is not is passed over, for no frame depends on it.
    let (mut name, mut rest) = amf::decode_first_amf0(&body).ok()?;
    if name.as_text() == Some("@setDataFrame") {
        body = body.slice_ref(rest);
        (name, rest) = amf::decode_first_amf0(&body).ok()?;
    }
    match name {
        Value::Text(name) if name == "@clearDataFrame" || rest.is_empty() => None,
        Value::Text(name) if name == "onMetaData" => Some((TagContent::Metadata, body)),
        Value::Text(_) => Some((TagContent::Script, body)),
        _ => None,
    }
}

impl Tag {
    /// The message that carries it to a player or a server.
    pub fn to_raw(&self, stream_id: u32) -> RawMessage {
        let (csid, type_id) = match self.content.kind() {
            TagKind::Audio => (csid::AUDIO, type_id::AUDIO),
            TagKind::Video => (csid::VIDEO, type_id::VIDEO),
            TagKind::Script => (csid::DATA, type_id::DATA_AMF0),
        };
        let timestamp = timestamps::wire_ms(self.timestamp);
        RawMessage { csid, timestamp, type_id, stream_id, payload: self.body.clone() }
    }
}
