//! Opus headers: `OpusHead` (RFC 7845 §5.1), `dOps` in MP4, and how long a packet lasts (RFC 6716 §3.1).

use bytes::Bytes;
use thiserror::Error;

/// The rate of Opus in every container, in Hz.
pub const RATE: u32 = 48_000;
/// What libopus' encoder needs to converge at 48 kHz, in samples.
pub const DEFAULT_PRE_SKIP: u16 = 312;
const MAGIC: &[u8; 8] = b"OpusHead";
/// RFC 6716 §3.2.5: a packet holds at most 120 ms.
const MAX_PACKET_SAMPLES: u32 = RATE / 1000 * 120;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OpusError {
    #[error("the Opus header ends too early")]
    TooShort,
    #[error("the Opus header is not one: {0}")]
    Bad(&'static str),
}

/// What a decoder must know before the first packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpusHead {
    pub channels: u8,
    /// Samples at 48 kHz to throw away at the start.
    pub pre_skip: u16,
    /// Of the sound before encoding, in Hz; 0 when not known. Decoding is always at 48 kHz.
    pub input_rate: u32,
    /// Gain to apply, in 1/256 dB.
    pub gain: i16,
    /// 0 is mono or stereo without a mapping table.
    pub mapping_family: u8,
    /// Stream count, coupled count and one byte a channel; empty for family 0.
    pub mapping: Bytes,
}

impl OpusHead {
    /// Mono or stereo made by libopus at 48 kHz.
    pub const fn new(channels: u8) -> Self {
        Self {
            channels,
            pre_skip: DEFAULT_PRE_SKIP,
            input_rate: RATE,
            gain: 0,
            mapping_family: 0,
            mapping: Bytes::new(),
        }
    }

    /// The Ogg and Matroska form: little-endian behind its magic.
    ///
    /// # Errors
    /// [`OpusError`] when it ends early or says what RFC 7845 does not allow.
    pub fn parse(bytes: &[u8]) -> Result<Self, OpusError> {
        let body = bytes.strip_prefix(MAGIC).ok_or(OpusError::Bad("it does not begin with OpusHead"))?;
        let (&[version, channels, s0, s1, r0, r1, r2, r3, g0, g1, family], mapping) =
            body.split_first_chunk::<11>().ok_or(OpusError::TooShort)?;
        // The upper four bits are the version that a reader must refuse.
        if version >> 4 != 0 {
            return Err(OpusError::Bad("its version is unknown"));
        }
        Self {
            channels,
            pre_skip: u16::from_le_bytes([s0, s1]),
            input_rate: u32::from_le_bytes([r0, r1, r2, r3]),
            gain: i16::from_le_bytes([g0, g1]),
            mapping_family: family,
            mapping: Bytes::new(),
        }
        .with_mapping(mapping)
    }

    /// The payload of MP4's `dOps` box: big-endian, without magic.
    ///
    /// # Errors
    /// As [`OpusHead::parse`].
    pub fn parse_dops(bytes: &[u8]) -> Result<Self, OpusError> {
        let (&[version, channels, s0, s1, r0, r1, r2, r3, g0, g1, family], mapping) =
            bytes.split_first_chunk::<11>().ok_or(OpusError::TooShort)?;
        if version != 0 {
            return Err(OpusError::Bad("its version is unknown"));
        }
        Self {
            channels,
            pre_skip: u16::from_be_bytes([s0, s1]),
            input_rate: u32::from_be_bytes([r0, r1, r2, r3]),
            gain: i16::from_be_bytes([g0, g1]),
            mapping_family: family,
            mapping: Bytes::new(),
        }
        .with_mapping(mapping)
    }

    fn with_mapping(mut self, mapping: &[u8]) -> Result<Self, OpusError> {
        if self.channels == 0 || (self.mapping_family == 0 && self.channels > 2) {
            return Err(OpusError::Bad("its channel count does not fit its mapping family"));
        }
        if self.mapping_family != 0 {
            let table = mapping.get(..2 + usize::from(self.channels)).ok_or(OpusError::TooShort)?;
            self.mapping = Bytes::copy_from_slice(table);
        }
        Ok(self)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[1, self.channels]);
        out.extend_from_slice(&self.pre_skip.to_le_bytes());
        out.extend_from_slice(&self.input_rate.to_le_bytes());
        out.extend_from_slice(&self.gain.to_le_bytes());
        out.push(self.mapping_family);
        out.extend_from_slice(&self.mapping);
        out
    }

    pub fn to_dops(&self) -> Vec<u8> {
        let mut out = vec![0, self.channels];
        out.extend_from_slice(&self.pre_skip.to_be_bytes());
        out.extend_from_slice(&self.input_rate.to_be_bytes());
        out.extend_from_slice(&self.gain.to_be_bytes());
        out.push(self.mapping_family);
        out.extend_from_slice(&self.mapping);
        out
    }
}

/// Samples at 48 kHz in one packet, from its table-of-contents byte; `None` when it is not a packet.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let (&toc, rest) = packet.split_first()?;
    let config = toc >> 3;
    // RFC 6716 table 2.
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config % 4)],
        12..=15 => [480, 960][usize::from(config % 2)],
        _ => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    let samples = frame * frames;
    (1..=MAX_PACKET_SAMPLES).contains(&samples).then_some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_of_20_ms_is_960_samples() {
        // RFC 6716 table 2: config 31 is CELT, full band, 20 ms; config 1 is SILK 20 ms; 16 is CELT 2.5 ms.
        assert_eq!(packet_samples(&[31 << 3, 0]), Some(960));
        assert_eq!(packet_samples(&[1 << 3]), Some(960));
        assert_eq!(packet_samples(&[16 << 3]), Some(120));
        assert_eq!(packet_samples(&[31 << 3 | 1, 0, 0]), Some(1920));
        // All 32 configurations, in tenths of a millisecond.
        let silk = [100, 200, 400, 600];
        let table =
            silk.repeat(3).into_iter().chain([100, 200, 100, 200]).chain([25, 50, 100, 200].repeat(4));
        for (config, tenths) in (0..32).zip(table) {
            assert_eq!(packet_samples(&[config << 3]), Some(tenths * 48 / 10), "{config}");
        }
        // Code 3: the count is in the next byte; 7 × 20 ms is over 120 ms.
        assert_eq!(packet_samples(&[31 << 3 | 3, 3]), Some(2880));
        assert_eq!(packet_samples(&[31 << 3 | 3, 7]), None);
        assert_eq!(packet_samples(&[31 << 3 | 3]), None);
        assert_eq!(packet_samples(&[]), None);
    }

    #[test]
    fn the_two_forms_differ_in_byte_order_and_magic() {
        let head = OpusHead::new(2);
        assert_eq!(head.to_bytes(), *b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00");
        assert_eq!(head.to_dops(), *b"\x00\x02\x01\x38\x00\x00\xbb\x80\x00\x00\x00");
    }

    proptest! {
        #[test]
        fn both_forms_are_read_as_written(channels in 1u8..3, pre_skip: u16, input_rate: u32, gain: i16, surround: bool) {
            let mut head = OpusHead { pre_skip, input_rate, gain, ..OpusHead::new(channels) };
            if surround {
                head = OpusHead { channels: 6, mapping_family: 1, mapping: Bytes::from_static(&[4, 2, 0, 4, 1, 2, 3, 5]), ..head };
            }
            prop_assert_eq!(OpusHead::parse(&head.to_bytes()), Ok(head.clone()));
            prop_assert_eq!(OpusHead::parse_dops(&head.to_dops()), Ok(head));
        }

        #[test]
        fn random_bytes_give_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let _ = OpusHead::parse_dops(&bytes);
            let _ = OpusHead::parse(&[&MAGIC[..], &bytes].concat());
            if let Some(samples) = packet_samples(&bytes) {
                prop_assert!(samples <= MAX_PACKET_SAMPLES);
            }
        }
    }
}
