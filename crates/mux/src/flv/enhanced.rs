//! Enhanced RTMP: tag bodies that name their codec by FourCC, with several tracks and modifiers.

use bytes::{Buf, Bytes};

use super::FlvError;
use super::body::{AudioBody, AudioCodec, FRAME_KEY, VideoBody, take_signed_24};

pub(super) const OPUS: &[u8; 4] = b"Opus";
const AAC: &[u8; 4] = b"mp4a";
const AVC: &[u8; 4] = b"avc1";

const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const SEQUENCE_END: u8 = 2;
/// Video only: coded frames whose composition time is zero and left out.
const CODED_FRAMES_X: u8 = 3;
const MULTITRACK_AUDIO: u8 = 5;
const MULTITRACK_VIDEO: u8 = 6;
const MOD_EX: u8 = 7;

const ONE_TRACK: u8 = 0;
const MANY_TRACKS: u8 = 1;
const MANY_TRACKS_MANY_CODECS: u8 = 2;

/// Reads a video body whose first byte has its highest bit set.
pub(super) fn parse_video(first: u8, mut body: Bytes) -> Result<VideoBody, FlvError> {
    let frame_type = first >> 4 & 7;
    let packet_type = skip_modifiers(first & 0x0f, &mut body)?;
    let Some((packet_type, fourcc, mut payload)) = first_track(packet_type, MULTITRACK_VIDEO, body)? else {
        return Ok(VideoBody::Ignored);
    };
    if fourcc != *AVC {
        return Err(FlvError::VideoCodec(fourcc.escape_ascii().to_string()));
    }
    let key = frame_type == FRAME_KEY;
    Ok(match packet_type {
        SEQUENCE_START => VideoBody::SequenceHeader { config: payload },
        CODED_FRAMES => {
            let composition_ms = take_signed_24(&mut payload)?;
            VideoBody::Frame { key, composition_ms, sample: payload }
        }
        CODED_FRAMES_X => VideoBody::Frame { key, composition_ms: 0, sample: payload },
        SEQUENCE_END => VideoBody::EndOfSequence,
        _ => VideoBody::Ignored,
    })
}

/// Reads an audio body whose sound format is 9.
pub(super) fn parse_audio(first: u8, mut body: Bytes) -> Result<AudioBody, FlvError> {
    let packet_type = skip_modifiers(first & 0x0f, &mut body)?;
    let Some((packet_type, fourcc, payload)) = first_track(packet_type, MULTITRACK_AUDIO, body)? else {
        return Ok(AudioBody::Ignored);
    };
    let codec = match &fourcc {
        AAC => AudioCodec::Aac,
        OPUS => AudioCodec::Opus,
        _ => return Err(FlvError::AudioCodec(fourcc.escape_ascii().to_string())),
    };
    Ok(match packet_type {
        SEQUENCE_START => AudioBody::SequenceHeader { codec, config: payload },
        CODED_FRAMES => AudioBody::Frame { codec, frame: payload },
        _ => AudioBody::Ignored,
    })
}

/// Passes over ModEx parts (nanosecond offsets) and returns the packet type behind them.
fn skip_modifiers(mut packet_type: u8, body: &mut Bytes) -> Result<u8, FlvError> {
    while packet_type == MOD_EX {
        let mut length = usize::from(body.try_get_u8().map_err(|_| FlvError::TooShort)?) + 1;
        if length == 256 {
            length = usize::from(body.try_get_u16().map_err(|_| FlvError::TooShort)?) + 1;
        }
        if body.len() <= length {
            return Err(FlvError::TooShort);
        }
        body.advance(length);
        packet_type = body.get_u8() & 0x0f;
    }
    Ok(packet_type)
}

/// Packet type, FourCC and payload; of several tracks those of track 0, or `None` where it is not there.
fn first_track(
    packet_type: u8,
    multitrack: u8,
    mut body: Bytes,
) -> Result<Option<(u8, [u8; 4], Bytes)>, FlvError> {
    if packet_type != multitrack {
        let fourcc = take_fourcc(&mut body)?;
        return Ok(Some((packet_type, fourcc, body)));
    }
    let head = body.try_get_u8().map_err(|_| FlvError::TooShort)?;
    let (kind, packet_type) = (head >> 4, head & 0x0f);
    let mut fourcc = [0; 4];
    if kind != MANY_TRACKS_MANY_CODECS {
        fourcc = take_fourcc(&mut body)?;
    }
    while body.has_remaining() {
        if kind == MANY_TRACKS_MANY_CODECS {
            fourcc = take_fourcc(&mut body)?;
        }
        let track = body.try_get_u8().map_err(|_| FlvError::TooShort)?;
        let payload = match kind {
            ONE_TRACK => std::mem::take(&mut body),
            MANY_TRACKS | MANY_TRACKS_MANY_CODECS => {
                if body.len() < 3 {
                    return Err(FlvError::TooShort);
                }
                let length = body.get_uint(3) as usize;
                if body.len() < length {
                    return Err(FlvError::TooShort);
                }
                body.split_to(length)
            }
            _ => return Err(FlvError::BadTag("an unknown kind of multitrack")),
        };
        if track == 0 {
            return Ok(Some((packet_type, fourcc, payload)));
        }
    }
    Ok(None)
}

fn take_fourcc(body: &mut Bytes) -> Result<[u8; 4], FlvError> {
    let fourcc = *body.first_chunk::<4>().ok_or(FlvError::TooShort)?;
    body.advance(4);
    Ok(fourcc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(bytes: &[u8]) -> Result<VideoBody, FlvError> {
        VideoBody::parse(Bytes::copy_from_slice(bytes))
    }

    fn frame(composition_ms: i32, sample: &'static [u8]) -> Result<VideoBody, FlvError> {
        Ok(VideoBody::Frame { key: true, composition_ms, sample: Bytes::from_static(sample) })
    }

    #[test]
    fn avc1_is_read_with_and_without_composition_time() {
        assert_eq!(video(b"\x91avc1\x00\x00\x28data"), frame(40, b"data"));
        assert_eq!(video(b"\x93avc1data"), frame(0, b"data"));
        assert_eq!(
            video(b"\x90avc1conf"),
            Ok(VideoBody::SequenceHeader { config: Bytes::from_static(b"conf") })
        );
    }

    #[test]
    fn hevc_is_refused_by_its_name() {
        assert_eq!(video(b"\x90hvc1"), Err(FlvError::VideoCodec("hvc1".into())));
    }

    #[test]
    fn of_many_tracks_the_first_is_taken() {
        // Many tracks, coded frames without composition time; track 1 of two bytes, then track 0 of one.
        assert_eq!(video(b"\x96\x13avc1\x01\x00\x00\x02xx\x00\x00\x00\x01y"), frame(0, b"y"));
        assert_eq!(video(b"\x96\x03avc1\x00y"), frame(0, b"y"));
        assert_eq!(video(b"\x96\x03avc1\x01y"), Ok(VideoBody::Ignored));
        assert_eq!(video(b"\x96\x23hvc1\x01\x00\x00\x01xavc1\x00\x00\x00\x01y"), frame(0, b"y"));
    }

    #[test]
    fn a_nanosecond_offset_is_passed_over() {
        // ModEx of three bytes (length − 1 = 2), then type 0 in the upper and coded frames X in the lower half.
        assert_eq!(video(b"\x97\x02\x00\x00\x09\x03avc1y"), frame(0, b"y"));
        assert_eq!(video(b"\x97\x02\x00"), Err(FlvError::TooShort));
    }
}
