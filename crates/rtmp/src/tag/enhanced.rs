//! Enhanced RTMP v2: codecs named by four characters, extension packets, several tracks.

use bytes::Bytes;

use super::{Coding, KEY, TagContent, TagError};

const AVC: [u8; 4] = *b"avc1";
const AAC: [u8; 4] = *b"mp4a";
const OPUS: [u8; 4] = *b"Opus";
/// The track that we take of several; encoders put the main one there.
const MAIN_TRACK: u8 = 0;

/// Packet types of video.
mod video {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    pub const SEQUENCE_END: u8 = 2;
    pub const CODED_FRAMES_X: u8 = 3;
    pub const METADATA: u8 = 4;
    pub const MULTITRACK: u8 = 6;
    pub const MOD_EX: u8 = 7;
}

/// Packet types of sound.
mod audio {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    pub const SEQUENCE_END: u8 = 2;
    pub const MULTICHANNEL_CONFIG: u8 = 4;
    pub const MULTITRACK: u8 = 5;
    pub const MOD_EX: u8 = 7;
}

/// A packet of the main track: its type, its codec and what follows.
struct Packet<'a> {
    packet_type: u8,
    codec: [u8; 4],
    data: &'a [u8],
}

/// Reads the extension packets and track headers in front of a packet; `None` for another track.
fn open(body: &[u8], multitrack: u8, mod_ex: u8) -> Result<Option<Packet<'_>>, TagError> {
    let (&first, mut rest) = body.split_first().ok_or(TagError::Short)?;
    let mut packet_type = first & 0x0f;
    while packet_type == mod_ex {
        let mut size = usize::from(take::<1>(&mut rest)?[0]) + 1;
        if size == 256 {
            size = usize::from(u16::from_be_bytes(take(&mut rest)?)) + 1;
        }
        // A nanosecond offset is all that is defined, and milliseconds are all that we keep.
        rest = rest.get(size..).ok_or(TagError::Short)?;
        packet_type = take::<1>(&mut rest)?[0] & 0x0f;
    }
    if packet_type != multitrack {
        let codec = take(&mut rest)?;
        return Ok(Some(Packet { packet_type, codec, data: rest }));
    }
    let [kind] = take(&mut rest)?;
    let (layout, packet_type) = (kind >> 4, kind & 0x0f);
    // 0: one track; 1: many of one codec; 2: many, each with its codec.
    let shared = if layout < 2 { Some(take(&mut rest)?) } else { None };
    while !rest.is_empty() {
        let codec = match shared {
            Some(codec) => codec,
            None => take(&mut rest)?,
        };
        let [track] = take(&mut rest)?;
        let size = match layout {
            0 => rest.len(),
            _ => {
                let [a, b, c] = take(&mut rest)?;
                u32::from_be_bytes([0, a, b, c]) as usize
            }
        };
        let (data, later) = rest.split_at_checked(size).ok_or(TagError::Short)?;
        if track == MAIN_TRACK {
            return Ok(Some(Packet { packet_type, codec, data }));
        }
        rest = later;
    }
    Ok(None)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], TagError> {
    let (taken, later) = rest.split_first_chunk().ok_or(TagError::Short)?;
    *rest = later;
    Ok(*taken)
}

pub fn read_video(body: &Bytes) -> Result<Option<(TagContent, Bytes)>, TagError> {
    let frame = body.first().ok_or(TagError::Short)? >> 4 & 0x07;
    if frame == super::COMMAND_FRAME && body[0] & 0x0f != video::METADATA {
        return Ok(None);
    }
    let Some(packet) = open(body, video::MULTITRACK, video::MOD_EX)? else { return Ok(None) };
    if packet.codec != AVC {
        return Err(TagError::Unsupported(Coding::FourCc(packet.codec)));
    }
    let key = frame == KEY || frame == super::GENERATED_KEY;
    let picture = if key { TagContent::KeyFrame } else { TagContent::InterFrame };
    // (what it is, AVCPacketType, composition time and data)
    let (content, avc_type, composition, data) = match packet.packet_type {
        video::SEQUENCE_START => (TagContent::VideoHeader, 0, [0; 3], packet.data),
        video::CODED_FRAMES => {
            let mut data = packet.data;
            let composition = take(&mut data)?;
            (picture, 1, composition, data)
        }
        video::CODED_FRAMES_X => (picture, 1, [0; 3], packet.data),
        video::SEQUENCE_END => (TagContent::VideoEnd, 2, [0; 3], packet.data),
        // HDR metadata and the like: H.264 pictures decode without it.
        video::METADATA => return Ok(None),
        other => return Err(TagError::Unsupported(Coding::PacketType(other))),
    };
    let mut classic = Vec::with_capacity(5 + data.len());
    classic.extend_from_slice(&[frame << 4 | super::CODEC_AVC, avc_type]);
    classic.extend_from_slice(&composition);
    classic.extend_from_slice(data);
    Ok(Some((content, classic.into())))
}

pub fn read_audio(body: &Bytes) -> Result<Option<(TagContent, Bytes)>, TagError> {
    let Some(packet) = open(body, audio::MULTITRACK, audio::MOD_EX)? else { return Ok(None) };
    if packet.codec != AAC && packet.codec != OPUS {
        return Err(TagError::Unsupported(Coding::FourCc(packet.codec)));
    }
    let (content, aac_type) = match packet.packet_type {
        audio::SEQUENCE_START => (TagContent::AudioHeader, 0),
        audio::CODED_FRAMES => (TagContent::AudioFrame, 1),
        audio::SEQUENCE_END | audio::MULTICHANNEL_CONFIG => return Ok(None),
        other => return Err(TagError::Unsupported(Coding::PacketType(other))),
    };
    if packet.codec == OPUS {
        // There is no older form. Extensions and other tracks are left out.
        let mut plain = Vec::with_capacity(5 + packet.data.len());
        plain.push(super::SOUND_ENHANCED << 4 | packet.packet_type);
        plain.extend_from_slice(&OPUS);
        plain.extend_from_slice(packet.data);
        return Ok(Some((content, plain.into())));
    }
    // AAC always says 44 kHz, 16 bits, stereo here; its header has the truth (FLV 10.1, E.4.2.1).
    let mut classic = Vec::with_capacity(2 + packet.data.len());
    classic.extend_from_slice(&[super::SOUND_AAC << 4 | 0x0f, aac_type]);
    classic.extend_from_slice(packet.data);
    Ok(Some((content, classic.into())))
}
