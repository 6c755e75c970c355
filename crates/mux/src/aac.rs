//! AAC headers: AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1) and ADTS (§1.A.2.2).

use bytes::Bytes;
use thiserror::Error;

use crate::bits::{BitReader, BitWriter, OutOfBits};

/// Sampling frequencies by index (table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// The index that says that 24 bits of frequency follow.
const EXPLICIT_RATE: u32 = 15;
const AAC_LC: u8 = 2;
const SBR: u8 = 5;
const PARAMETRIC_STEREO: u8 = 29;

/// Samples a channel in one AAC-LC frame.
pub const FRAME_SAMPLES: u32 = 1024;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AacError {
    #[error("the AAC header ends too early")]
    TooShort,
    #[error("the AAC header is not one: {0}")]
    Bad(&'static str),
    #[error("{rate} Hz with {channels} channels cannot be said in this AAC header")]
    Unsupported { rate: u32, channels: u16 },
}

impl From<OutOfBits> for AacError {
    fn from(_: OutOfBits) -> Self {
        Self::TooShort
    }
}

/// What an AAC decoder must know before the first frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AudioSpecificConfig {
    /// 2 is AAC-LC.
    pub object_type: u8,
    /// Of the core coder; with SBR what comes out may be twice as fast.
    pub rate: u32,
    pub channels: u16,
    /// The rate that SBR makes, where the config says so.
    pub extension_rate: Option<u32>,
}

impl AudioSpecificConfig {
    /// AAC-LC in frames of 1024 samples.
    pub const fn lc(rate: u32, channels: u16) -> Self {
        Self { object_type: AAC_LC, rate, channels, extension_rate: None }
    }

    /// # Errors
    /// [`AacError`] when it ends early or holds a reserved value. Channel layouts that are described in
    /// a program config element (configuration 0) are refused: no live encoder makes them.
    pub fn parse(bytes: &[u8]) -> Result<Self, AacError> {
        let mut reader = BitReader::new(bytes);
        let mut object_type = read_object_type(&mut reader)?;
        let rate = read_rate(&mut reader)?;
        let channels = match reader.bits(4)? {
            count @ 1..=6 => count as u16,
            7 => 8,
            _ => return Err(AacError::Bad("its channel configuration is 0 or reserved")),
        };
        let mut extension_rate = None;
        if object_type == SBR || object_type == PARAMETRIC_STEREO {
            extension_rate = Some(read_rate(&mut reader)?);
            object_type = read_object_type(&mut reader)?;
        }
        Ok(Self { object_type, rate, channels, extension_rate })
    }

    /// The config without extension, as AAC-LC needs it: two bytes for a rate of the table.
    ///
    /// # Errors
    /// [`AacError::Unsupported`] for a channel count without a configuration or a rate over 24 bits.
    pub fn to_bytes(&self) -> Result<Bytes, AacError> {
        let unsupported = AacError::Unsupported { rate: self.rate, channels: self.channels };
        let channels = channel_configuration(self.channels).ok_or(unsupported.clone())?;
        if self.object_type == 0 || self.object_type > 30 || self.rate >= 1 << 24 || self.rate == 0 {
            return Err(unsupported);
        }
        let mut writer = BitWriter::default();
        writer.bits(self.object_type.into(), 5);
        match RATES.iter().position(|&rate| rate == self.rate) {
            Some(index) => writer.bits(index as u32, 4),
            None => {
                writer.bits(EXPLICIT_RATE, 4);
                writer.bits(self.rate, 24);
            }
        }
        writer.bits(channels, 4);
        // GASpecificConfig (§4.4.1): 1024 samples, no core coder, no extension.
        writer.bits(0, 3);
        Ok(writer.into_bytes().into())
    }

    /// RFC 6381 §3.3: `mp4a.40.2`, and `mp4a.40.5` where SBR is announced.
    pub fn codec_string(&self) -> String {
        format!("mp4a.40.{}", if self.extension_rate.is_some() { SBR } else { self.object_type })
    }
}

fn channel_configuration(channels: u16) -> Option<u32> {
    match channels {
        1..=6 => Some(channels.into()),
        8 => Some(7),
        _ => None,
    }
}

fn read_object_type(reader: &mut BitReader<'_>) -> Result<u8, AacError> {
    let value = match reader.bits(5)? {
        31 => 32 + reader.bits(6)?,
        value => value,
    };
    if value == 0 {
        return Err(AacError::Bad("its object type is 0"));
    }
    Ok(value as u8)
}

fn read_rate(reader: &mut BitReader<'_>) -> Result<u32, AacError> {
    let rate = match reader.bits(4)? {
        EXPLICIT_RATE => reader.bits(24)?,
        index => *RATES.get(index as usize).ok_or(AacError::Bad("its frequency index is reserved"))?,
    };
    if rate == 0 {
        return Err(AacError::Bad("its frequency is 0"));
    }
    Ok(rate)
}

/// One ADTS frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdtsHeader {
    pub object_type: u8,
    pub rate: u32,
    pub channels: u16,
    /// Header and payload.
    pub frame_bytes: usize,
    /// 7, or 9 with a checksum.
    pub header_bytes: usize,
}

impl AdtsHeader {
    /// A header without checksum for an AAC-LC frame of `payload_bytes`.
    pub const fn lc(rate: u32, channels: u16, payload_bytes: usize) -> Self {
        Self { object_type: AAC_LC, rate, channels, frame_bytes: payload_bytes + 7, header_bytes: 7 }
    }

    /// Reads the header at the start of `bytes`; the payload need not be there yet.
    ///
    /// # Errors
    /// [`AacError`] when there is no sync word, a value is reserved, or the frame is shorter than its header.
    pub fn parse(bytes: &[u8]) -> Result<Self, AacError> {
        let mut reader = BitReader::new(bytes);
        if reader.bits(12)? != 0xfff {
            return Err(AacError::Bad("there is no ADTS sync word"));
        }
        reader.bit()?; // MPEG-4 or MPEG-2: the same here
        if reader.bits(2)? != 0 {
            return Err(AacError::Bad("its layer is not 0"));
        }
        let header_bytes = if reader.bit()? { 7 } else { 9 };
        let object_type = reader.bits(2)? as u8 + 1;
        let index = reader.bits(4)? as usize;
        let rate = *RATES.get(index).ok_or(AacError::Bad("its frequency index is reserved"))?;
        reader.bit()?;
        let channels = match reader.bits(3)? {
            0 => return Err(AacError::Bad("its channel configuration is 0")),
            7 => 8,
            count => count as u16,
        };
        reader.skip(4)?;
        let frame_bytes = reader.bits(13)? as usize;
        reader.skip(11)?; // buffer fullness
        if reader.bits(2)? != 0 {
            return Err(AacError::Bad("it holds several blocks"));
        }
        if frame_bytes < header_bytes {
            return Err(AacError::Bad("its frame is shorter than its header"));
        }
        Ok(Self { object_type, rate, channels, frame_bytes, header_bytes })
    }

    /// Seven bytes, without checksum, buffer fullness "variable".
    ///
    /// # Errors
    /// [`AacError::Unsupported`] for a rate outside the table, another channel count, another object type
    /// than 1 to 4, or a frame over 8191 bytes.
    pub fn to_bytes(&self) -> Result<[u8; 7], AacError> {
        let unsupported = AacError::Unsupported { rate: self.rate, channels: self.channels };
        let rate = RATES.iter().position(|&rate| rate == self.rate).ok_or(unsupported.clone())?;
        let channels = channel_configuration(self.channels).ok_or(unsupported.clone())?;
        if !(1..=4).contains(&self.object_type) || self.frame_bytes >= 1 << 13 {
            return Err(unsupported);
        }
        let mut writer = BitWriter::default();
        writer.bits(0xfff, 12);
        writer.bits(0b0001, 4); // MPEG-4, layer 0, no checksum
        writer.bits(u32::from(self.object_type) - 1, 2);
        writer.bits(rate as u32, 4);
        writer.bits(0, 1);
        writer.bits(channels, 3);
        writer.bits(0, 4);
        writer.bits(self.frame_bytes as u32, 13);
        writer.bits(0x7ff, 11);
        writer.bits(0, 2);
        let mut out = [0; 7];
        out.copy_from_slice(&writer.into_bytes());
        Ok(out)
    }

    /// The config that says the same.
    pub const fn config(&self) -> AudioSpecificConfig {
        AudioSpecificConfig {
            object_type: self.object_type,
            rate: self.rate,
            channels: self.channels,
            extension_rate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stereo_lc_at_48_khz_is_11_90() {
        // 00010 0011 0010 000: object type 2, index 3, two channels.
        let config = AudioSpecificConfig::lc(48_000, 2);
        assert_eq!(config.to_bytes().unwrap()[..], [0x11, 0x90]);
        assert_eq!(config.codec_string(), "mp4a.40.2");
    }

    #[test]
    fn he_aac_names_both_rates() {
        // 00101 0110 0010 0011 00010 00…: SBR, core 24 kHz, stereo, extension 48 kHz, LC.
        let config = AudioSpecificConfig::parse(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!((config.object_type, config.codec_string().as_str()), (2, "mp4a.40.5"));
        assert_eq!((config.rate, config.extension_rate, config.channels), (24_000, Some(48_000), 2));
    }

    #[test]
    fn an_adts_header_is_laid_out_as_in_the_standard() {
        // Sync and flags ff f1; 01 0011 0 0 | 10 0000 00 …: LC, 48 kHz, stereo; length 7 + 100 = 0x6b.
        let header = AdtsHeader::lc(48_000, 2, 100).to_bytes().unwrap();
        assert_eq!(header, [0xff, 0xf1, 0x4c, 0x80, 0x0d, 0x7f, 0xfc]);
    }

    proptest! {
        #[test]
        fn a_config_is_read_as_written(rate in 1u32..1 << 24, channels in prop_oneof![1u16..7, Just(8)]) {
            let config = AudioSpecificConfig::lc(rate, channels);
            prop_assert_eq!(AudioSpecificConfig::parse(&config.to_bytes().unwrap()), Ok(config));
        }

        #[test]
        fn an_adts_header_is_read_as_written(index in 0usize..13, channels in prop_oneof![1u16..7, Just(8)], bytes in 0usize..8184) {
            let header = AdtsHeader::lc(RATES[index], channels, bytes);
            prop_assert_eq!(AdtsHeader::parse(&header.to_bytes().unwrap()), Ok(header));
        }

        #[test]
        fn random_bytes_give_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
            let _ = AudioSpecificConfig::parse(&bytes);
            let _ = AdtsHeader::parse(&bytes);
            let synced: Vec<u8> = [0xff, 0xf1].into_iter().chain(bytes).collect();
            if let Ok(header) = AdtsHeader::parse(&synced) {
                prop_assert!(header.frame_bytes >= header.header_bytes);
            }
        }
    }
}
