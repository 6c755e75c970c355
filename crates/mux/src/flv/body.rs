//! Bodies of video and audio tags, which RTMP messages of types 9 and 8 are too.

use bytes::{Buf, Bytes};
use media::{Codec, Packet, Timescale};

use super::FlvError;
use crate::h264::{AvcConfig, H264Error, InBand, to_length_prefixed};

const FRAME_KEY: u8 = 1;
const FRAME_INTER: u8 = 2;
/// "Video info/command frame": a hint to players without picture.
const FRAME_COMMAND: u8 = 5;
const CODEC_AVC: u8 = 7;
const SOUND_AAC: u8 = 10;
/// Enhanced RTMP: codecs by their names, in video by the upper bit of the first byte.
const SOUND_ENHANCED: u8 = 9;
const VIDEO_ENHANCED: u8 = 0x80;
const OPUS: [u8; 4] = *b"Opus";
/// AAC, and then 44 kHz, 16 bits, stereo, as annex E.4.2.1 asks whatever the sound is.
const AAC_HEADER: u8 = 0xaf;

/// What a video tag carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VideoBody {
    /// The decoder configuration record ([`AvcConfig::parse`] reads it).
    SequenceHeader {
        config: Bytes,
    },
    /// One access unit of length-prefixed NAL units.
    Frame {
        key: bool,
        composition_ms: i32,
        sample: Bytes,
    },
    EndOfSequence,
    /// Nothing to decode: commands.
    Ignored,
}

impl VideoBody {
    /// Reads a body; the sample shares its memory.
    ///
    /// # Errors
    /// [`FlvError::VideoCodec`] names a codec that is not H.264; other variants when it is damaged.
    pub fn parse(mut body: Bytes) -> Result<Self, FlvError> {
        let first = body.try_get_u8().map_err(|_| FlvError::TooShort)?;
        if first & VIDEO_ENHANCED != 0 {
            return Err(FlvError::BadTag("Enhanced RTMP's form of video"));
        }
        if first >> 4 == FRAME_COMMAND {
            return Ok(Self::Ignored);
        }
        if first & 0x0f != CODEC_AVC {
            return Err(FlvError::VideoCodec(format!("FLV codec {}", first & 0x0f)));
        }
        if body.len() < 4 {
            return Err(FlvError::TooShort);
        }
        let packet_type = body.get_u8();
        let composition_ms = take_signed_24(&mut body)?;
        match packet_type {
            0 => Ok(Self::SequenceHeader { config: body }),
            1 => Ok(Self::Frame { key: first >> 4 == FRAME_KEY, composition_ms, sample: body }),
            2 => Ok(Self::EndOfSequence),
            _ => Err(FlvError::BadTag("an unknown AVC packet type")),
        }
    }

    /// The body that announces `config`.
    pub fn sequence_header(config: &AvcConfig) -> Self {
        Self::SequenceHeader { config: config.to_bytes().into() }
    }

    /// The body of an H.264 packet; parameter sets leave it, since the sequence header has them.
    pub fn frame(packet: &Packet) -> Self {
        let offset = packet.pts.minus(packet.dts).rescale(Timescale::MILLIS).ticks();
        Self::Frame {
            key: packet.key,
            composition_ms: offset.clamp(-(1 << 23), (1 << 23) - 1) as i32,
            sample: to_length_prefixed(&packet.payload, InBand::Drop).into(),
        }
    }

    /// The classic form, which every server reads. Empty for [`VideoBody::Ignored`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let (frame, packet_type, composition, payload) = match self {
            Self::SequenceHeader { config } => (FRAME_KEY, 0, 0, &config[..]),
            Self::Frame { key, composition_ms, sample } => {
                (if *key { FRAME_KEY } else { FRAME_INTER }, 1, *composition_ms, &sample[..])
            }
            Self::EndOfSequence => (FRAME_KEY, 2, 0, &[][..]),
            Self::Ignored => return Vec::new(),
        };
        let mut out = Vec::with_capacity(5 + payload.len());
        out.extend_from_slice(&[frame << 4 | CODEC_AVC, packet_type]);
        out.extend_from_slice(&composition.to_be_bytes()[1..]);
        out.extend_from_slice(payload);
        out
    }

    /// The frame as an Annex B access unit, with the parameter sets of `config` in front of a key frame,
    /// as [`media::Packet`] wants it. `None` for other bodies.
    ///
    /// # Errors
    /// [`H264Error`] when a NAL unit's length lies outside.
    pub fn annex_b(&self, config: &AvcConfig) -> Result<Option<Bytes>, H264Error> {
        let Self::Frame { key, sample, .. } = self else { return Ok(None) };
        let body = crate::h264::to_annex_b(sample, config.length_size)?;
        if !*key || crate::h264::parameter_sets(&body).is_some() {
            return Ok(Some(body.into()));
        }
        let mut out = config.to_annex_b();
        out.extend_from_slice(&body);
        Ok(Some(out.into()))
    }
}

fn take_signed_24(body: &mut Bytes) -> Result<i32, FlvError> {
    if body.len() < 3 {
        return Err(FlvError::TooShort);
    }
    Ok(body.get_int(3) as i32)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioCodec {
    Aac,
    /// In Enhanced RTMP's form only.
    Opus,
}

impl From<AudioCodec> for Codec {
    fn from(codec: AudioCodec) -> Self {
        match codec {
            AudioCodec::Aac => Self::Aac,
            AudioCodec::Opus => Self::Opus,
        }
    }
}

/// What an audio tag carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AudioBody {
    /// AAC: AudioSpecificConfig. Opus: `OpusHead`.
    SequenceHeader { codec: AudioCodec, config: Bytes },
    /// One raw frame.
    Frame { codec: AudioCodec, frame: Bytes },
    /// Nothing to decode.
    Ignored,
}

impl AudioBody {
    /// Reads a body; the frame shares its memory.
    ///
    /// # Errors
    /// [`FlvError::AudioCodec`] names a codec that is neither AAC nor Opus; other variants when damaged.
    pub fn parse(mut body: Bytes) -> Result<Self, FlvError> {
        let first = body.try_get_u8().map_err(|_| FlvError::TooShort)?;
        match first >> 4 {
            SOUND_AAC => {}
            SOUND_ENHANCED => return Self::parse_opus(first & 0x0f, body),
            other => return Err(FlvError::AudioCodec(format!("FLV sound format {other}"))),
        }
        let codec = AudioCodec::Aac;
        match body.try_get_u8().map_err(|_| FlvError::TooShort)? {
            0 => Ok(Self::SequenceHeader { codec, config: body }),
            1 => Ok(Self::Frame { codec, frame: body }),
            _ => Err(FlvError::BadTag("an unknown AAC packet type")),
        }
    }

    fn parse_opus(packet_type: u8, mut body: Bytes) -> Result<Self, FlvError> {
        let name = *body.first_chunk::<4>().ok_or(FlvError::TooShort)?;
        if name != OPUS {
            return Err(FlvError::AudioCodec(name.escape_ascii().to_string()));
        }
        body.advance(OPUS.len());
        let codec = AudioCodec::Opus;
        Ok(match packet_type {
            0 => Self::SequenceHeader { codec, config: body },
            1 => Self::Frame { codec, frame: body },
            _ => Self::Ignored,
        })
    }

    /// The classic form for AAC, the enhanced one for Opus. Empty for [`AudioBody::Ignored`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let (codec, kind, payload) = match self {
            Self::SequenceHeader { codec, config } => (*codec, 0, config),
            Self::Frame { codec, frame } => (*codec, 1, frame),
            Self::Ignored => return Vec::new(),
        };
        let mut out = Vec::with_capacity(5 + payload.len());
        match codec {
            AudioCodec::Aac => out.extend_from_slice(&[AAC_HEADER, kind]),
            AudioCodec::Opus => {
                out.push(SOUND_ENHANCED << 4 | kind);
                out.extend_from_slice(&OPUS);
            }
        }
        out.extend_from_slice(payload);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_frame_begins_with_17_01_and_its_offset() {
        let body = VideoBody::Frame { key: true, composition_ms: -2, sample: Bytes::from_static(&[9]) };
        assert_eq!(body.to_bytes(), [0x17, 1, 0xff, 0xff, 0xfe, 9]);
        let body = VideoBody::SequenceHeader { config: Bytes::from_static(&[1]) };
        assert_eq!(body.to_bytes(), [0x17, 0, 0, 0, 0, 1]);
        let aac =
            AudioBody::SequenceHeader { codec: AudioCodec::Aac, config: Bytes::from_static(&[0x11, 0x90]) };
        assert_eq!(aac.to_bytes(), [0xaf, 0, 0x11, 0x90]);
    }

    #[test]
    fn other_codecs_are_named_in_the_error() {
        assert_eq!(
            VideoBody::parse(Bytes::from_static(&[0x12, 0])),
            Err(FlvError::VideoCodec("FLV codec 2".into()))
        );
        assert_eq!(
            AudioBody::parse(Bytes::from_static(&[0x2f, 0])),
            Err(FlvError::AudioCodec("FLV sound format 2".into()))
        );
        assert_eq!(VideoBody::parse(Bytes::from_static(&[0x57, 0])), Ok(VideoBody::Ignored));
    }

    #[test]
    fn of_enhanced_rtmp_one_track_of_opus_is_read() {
        let audio = |bytes: &'static [u8]| AudioBody::parse(Bytes::from_static(bytes));
        let (codec, opus) = (AudioCodec::Opus, Bytes::from_static(b"\xfc\x01"));
        assert_eq!(audio(b"\x91Opus\xfc\x01"), Ok(AudioBody::Frame { codec, frame: opus.clone() }));
        assert_eq!(audio(b"\x90Opus\xfc\x01"), Ok(AudioBody::SequenceHeader { codec, config: opus }));
        assert_eq!(audio(b"\x92Opus"), Ok(AudioBody::Ignored));
        assert_eq!(audio(b"\x91mp4a\x21"), Err(FlvError::AudioCodec("mp4a".into())));
        assert_eq!(audio(b"\x91Opu"), Err(FlvError::TooShort));
        let video = VideoBody::parse(Bytes::from_static(b"\x91avc1\0\0\0\x09"));
        assert_eq!(video, Err(FlvError::BadTag("Enhanced RTMP's form of video")));
    }

    proptest! {
        #[test]
        fn bodies_are_read_as_written(key: bool, composition_ms in -(1i32 << 23)..1 << 23, bytes in prop::collection::vec(any::<u8>(), 0..50), opus: bool) {
            let bytes = Bytes::from(bytes);
            let video = [VideoBody::SequenceHeader { config: bytes.clone() }, VideoBody::Frame { key, composition_ms, sample: bytes.clone() }, VideoBody::EndOfSequence];
            for body in video {
                prop_assert_eq!(VideoBody::parse(body.to_bytes().into()), Ok(body));
            }
            let codec = if opus { AudioCodec::Opus } else { AudioCodec::Aac };
            for body in [AudioBody::SequenceHeader { codec, config: bytes.clone() }, AudioBody::Frame { codec, frame: bytes.clone() }] {
                prop_assert_eq!(AudioBody::parse(body.to_bytes().into()), Ok(body));
            }
        }

        #[test]
        fn random_bodies_give_an_answer_or_an_error(first: u8, bytes in prop::collection::vec(any::<u8>(), 0..40), fourcc in prop_oneof![Just("avc1"), Just("mp4a"), Just("Opus"), Just("hvc1")], insert: bool) {
            let mut body = vec![first];
            if insert {
                body.extend_from_slice(fourcc.as_bytes());
            }
            body.extend(bytes);
            let body = Bytes::from(body);
            let _ = VideoBody::parse(body.clone());
            let _ = AudioBody::parse(body);
        }
    }
}
