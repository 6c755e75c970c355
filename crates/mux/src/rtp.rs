//! RTP without sockets: headers (RFC 3550, RFC 8285), H.264 payloads (RFC 6184), Opus (RFC 7587), clocks.

mod clock;
mod h264;
mod header;

pub use clock::{SenderClock, SequenceUnwrapper, TimestampUnwrapper};
pub use h264::{AccessUnit, Damage, H264Depacketizer, H264Packetizer, Payload};
pub use header::{Extension, RtpHeader, RtpPacket};

use media::Timescale;
use thiserror::Error;

/// The RTP clock of H.264 (RFC 6184 §8.2.1).
pub const H264_CLOCK: Timescale = Timescale::VIDEO;
/// The RTP clock of Opus, whatever its bandwidth (RFC 7587 §4.1). Its payload is one Opus packet as it is.
pub const OPUS_CLOCK: Timescale = Timescale::AUDIO;

/// Why a packet was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RtpError {
    #[error("the RTP packet ends too early")]
    TooShort,
    #[error("the RTP version is {0}, not 2")]
    Version(u8),
    #[error("the RTP padding is longer than the payload")]
    Padding,
    #[error("an RTP header extension cannot be written: id {id}, {length} bytes")]
    Extension { id: u8, length: usize },
    #[error("more than 15 contributing sources")]
    TooManySources,
    #[error("the H.264 payload is damaged: {0}")]
    BadPayload(&'static str),
    #[error("H.264 payload type {0} belongs to a packetization mode that was not agreed")]
    UnsupportedPayload(u8),
}
