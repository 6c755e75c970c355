//! Why a connection ends.

use thiserror::Error;

use crate::amf::AmfError;
use crate::chunk::ChunkError;
use crate::handshake::HandshakeError;
use crate::message::MessageError;
use crate::tag::TagError;

/// Ends the connection: send what `poll_output` still has, then close it.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Error {
    #[error("handshake: {0}")]
    Handshake(#[from] HandshakeError),
    #[error("chunk stream: {0}")]
    Chunk(#[from] ChunkError),
    #[error("message: {0}")]
    Message(#[from] MessageError),
    #[error("AMF: {0}")]
    Amf(#[from] AmfError),
    #[error("media: {0}")]
    Tag(#[from] TagError),
    #[error("the peer did not finish the handshake in time")]
    HandshakeTimeout,
    #[error("the peer asked for nothing in time that was granted")]
    SetupTimeout,
    #[error("nothing came from the peer for too long")]
    IdleTimeout,
    #[error("the peer was refused {limit} times")]
    RefusedTooOften { limit: u32 },
    #[error("more than {limit} bytes came before the request was decided")]
    TooMuchHeld { limit: usize },
    #[error("more than {limit} bytes of output wait to be sent")]
    OutputFull { limit: usize },
    #[error("more than {limit} events wait to be polled")]
    EventsFull { limit: usize },
    #[error("the server refused the connection: {0}")]
    ConnectRefused(Status),
    #[error("the server refused to publish: {0}")]
    PublishRefused(Status),
    #[error("the server refused to play: {0}")]
    PlayRefused(Status),
    #[error("this is not possible now: {0}")]
    WrongState(&'static str),
    #[error("the connection is over")]
    Closed,
}

impl Error {
    /// A stable name for logs and interfaces.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "rtmp.handshake",
            Self::Chunk(_) => "rtmp.chunk",
            Self::Message(_) => "rtmp.message",
            Self::Amf(_) => "rtmp.amf",
            Self::Tag(TagError::Unsupported(_)) => "rtmp.codec",
            Self::Tag(_) => "rtmp.media",
            Self::HandshakeTimeout => "rtmp.handshake_timeout",
            Self::SetupTimeout => "rtmp.setup_timeout",
            Self::IdleTimeout => "rtmp.idle_timeout",
            Self::RefusedTooOften { .. } => "rtmp.refused",
            Self::TooMuchHeld { .. } | Self::OutputFull { .. } | Self::EventsFull { .. } => "rtmp.overflow",
            Self::ConnectRefused(_) => "rtmp.connect_refused",
            Self::PublishRefused(_) => "rtmp.publish_refused",
            Self::PlayRefused(_) => "rtmp.play_refused",
            Self::WrongState(_) => "rtmp.wrong_state",
            Self::Closed => "rtmp.closed",
        }
    }
}

/// What a server said: a code such as `NetStream.Publish.BadName`, and words. Both are foreign and cut to
/// 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    pub code: String,
    pub description: String,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code.as_str(), self.description.as_str()) {
            ("", "") => f.write_str("no reason given"),
            (code, "") => f.write_str(code),
            (code, description) => write!(f, "{code} ({description})"),
        }
    }
}
