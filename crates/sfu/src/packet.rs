//! RTP as it travels between publishers, the node and viewers: decrypted and without its header.

use std::sync::Arc;

use media::{RenditionName, WallTime};

/// One RTP packet's content. Cheap to clone: the payload is shared.
#[derive(Clone, Debug)]
pub struct RtpPacket {
    /// Extended sequence number: rises by one a packet and never wraps. A hole is a packet that was lost
    /// for good.
    pub seq: u64,
    /// RTP timestamp: 90 kHz for video, 48 kHz for sound.
    pub timestamp: u32,
    /// For video, whether this is the last packet of its picture (RFC 6184 §5.1).
    pub marker: bool,
    /// RTP payload: H.264 by RFC 6184 in packetization mode 1, or one Opus packet (RFC 7587).
    pub payload: Arc<[u8]>,
    /// When it was captured, by the publisher's clock; `None` until its first sender report.
    pub captured: Option<WallTime>,
}

/// What a forwarded packet belongs to within its stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lane {
    Audio,
    Video(RenditionName),
}

/// What a publisher's packet belongs to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    Audio,
    /// With the rid of the simulcast layer; `None` for a publisher without simulcast.
    Video(Option<Arc<str>>),
}
