//! Encoded media: packets and the tracks that describe them.

use bytes::Bytes;

use crate::picture::Size;
use crate::rendition::RenditionName;
use crate::time::{FrameRate, Timestamp};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Codec {
    H264,
    Opus,
    Aac,
}

/// One encoded picture or sound frame. Cheap to clone: the payload is shared.
///
/// Payloads by codec: H.264 is one access unit in Annex B (ITU-T H.264 annex B) with SPS and PPS in front
/// of each IDR; AAC is one raw access unit without ADTS; Opus is one packet (RFC 6716).
#[derive(Clone, Debug)]
pub struct Packet {
    /// When it is to be shown, against the studio epoch.
    pub pts: Timestamp,
    /// When it is to be decoded; equals `pts` where there are no B-frames.
    pub dts: Timestamp,
    /// How long it is shown, in the timescale of `pts`.
    pub duration_ticks: u32,
    /// Whether decoding can start here: an IDR picture. True for sound.
    pub key: bool,
    pub payload: Bytes,
}

/// What a decoder or a muxer must know of a video rendition before its first packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VideoTrack {
    pub codec: Codec,
    pub rendition: RenditionName,
    pub size: Size,
    pub frame_rate: FrameRate,
    pub bitrate_kbps: u32,
}

/// What a decoder or a muxer must know of a sound track before its first packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioTrack {
    pub codec: Codec,
    pub rate: u32,
    pub channels: u16,
    pub bitrate_kbps: u32,
    /// AAC: AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). Opus: empty.
    pub config: Bytes,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Track {
    Video(VideoTrack),
    Audio(AudioTrack),
}
