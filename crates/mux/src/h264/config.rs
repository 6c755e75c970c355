//! AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1): `avcC` in MP4, the sequence header in FLV.

use bytes::Bytes;

use super::{H264Error, NalType, Sps, annex_b_units, nal_type};

const MAX_SPS: usize = 31;
const MAX_PPS: usize = 255;

/// What a decoder must know before the first sample.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AvcConfig {
    /// Bytes of a NAL unit's length in the samples: 1, 2 or 4.
    pub length_size: u8,
    /// Without start codes; at least one.
    pub sps: Vec<Bytes>,
    /// Without start codes; at least one.
    pub pps: Vec<Bytes>,
}

impl AvcConfig {
    /// From the parameter sets of an Annex B access unit (an IDR has them in front); lengths of four bytes.
    ///
    /// # Errors
    /// [`H264Error::NoParameterSets`] when one of them is missing, [`H264Error::BadSps`] when an SPS
    /// cannot be read.
    pub fn from_annex_b(access_unit: &[u8]) -> Result<Self, H264Error> {
        let collect = |wanted| {
            let mut found: Vec<Bytes> = Vec::new();
            for unit in annex_b_units(access_unit).filter(|unit| nal_type(unit) == Some(wanted)) {
                if !found.iter().any(|known| known == unit) {
                    found.push(Bytes::copy_from_slice(unit));
                }
            }
            found
        };
        let config = Self { length_size: 4, sps: collect(NalType::Sps), pps: collect(NalType::Pps) };
        config.check()?;
        Ok(config)
    }

    /// Parses a record; what follows the parameter sets (High profile's extension) is not needed.
    ///
    /// # Errors
    /// [`H264Error`] when it ends early, is of another version, or holds no readable parameter sets.
    pub fn parse(record: &[u8]) -> Result<Self, H264Error> {
        const EARLY: H264Error = H264Error::BadConfig("it ends too early");
        let [version, _profile, _constraints, _level, lengths, rest @ ..] = record else { return Err(EARLY) };
        if *version != 1 {
            return Err(H264Error::BadConfig("its version is not 1"));
        }
        let length_size = (lengths & 3) + 1;
        if length_size == 3 {
            return Err(H264Error::LengthSize(3));
        }
        let (&count, rest) = rest.split_first().ok_or(EARLY)?;
        let (sps, rest) = take_units(rest, usize::from(count & 0x1f)).ok_or(EARLY)?;
        let (&count, rest) = rest.split_first().ok_or(EARLY)?;
        let (pps, _) = take_units(rest, count.into()).ok_or(EARLY)?;
        let config = Self { length_size, sps, pps };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), H264Error> {
        if self.sps.is_empty() || self.pps.is_empty() {
            return Err(H264Error::NoParameterSets);
        }
        let too_long = |units: &[Bytes]| units.iter().any(|unit| unit.len() > usize::from(u16::MAX));
        if self.sps.len() > MAX_SPS || self.pps.len() > MAX_PPS || too_long(&self.sps) || too_long(&self.pps)
        {
            return Err(H264Error::BadConfig("too many or too long parameter sets"));
        }
        self.sps.iter().try_for_each(|sps| Sps::parse(sps).map(drop))
    }

    /// The first SPS, read.
    ///
    /// # Errors
    /// [`H264Error`] for a config that was put together by hand from something else.
    pub fn first_sps(&self) -> Result<Sps, H264Error> {
        Sps::parse(self.sps.first().ok_or(H264Error::NoParameterSets)?)
    }

    /// The record.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = self.sps.first().and_then(|sps| sps.get(1..4)).unwrap_or(&[0; 3]);
        let mut out = vec![1];
        out.extend_from_slice(header);
        out.push(0xfc | (self.length_size - 1));
        out.push(0xe0 | self.sps.len() as u8);
        push_units(&mut out, &self.sps);
        out.push(self.pps.len() as u8);
        push_units(&mut out, &self.pps);
        // §5.3.3.1.2: profiles other than these carry chroma format and depths behind the lists.
        if let Ok(sps) = self.first_sps()
            && !matches!(sps.profile_idc, 66 | 77 | 88)
        {
            let depth = 0xf8 | (sps.bit_depth - 8);
            out.extend_from_slice(&[0xfc | sps.chroma_format_idc, depth, depth, 0]);
        }
        out
    }

    /// The parameter sets in Annex B, to be put in front of an IDR.
    pub fn to_annex_b(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.sps.iter().chain(&self.pps).for_each(|unit| super::push_annex_b(&mut out, unit));
        out
    }
}

fn take_units(mut bytes: &[u8], count: usize) -> Option<(Vec<Bytes>, &[u8])> {
    let mut units = Vec::new();
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (unit, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        bytes = rest;
        if !unit.is_empty() {
            units.push(Bytes::copy_from_slice(unit));
        }
    }
    Some((units, bytes))
}

fn push_units(out: &mut Vec<u8>, units: &[Bytes]) {
    for unit in units {
        // Held to 16 bits by `check`.
        out.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        out.extend_from_slice(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::super::written_sps;
    use super::*;
    use proptest::prelude::*;

    fn config() -> AvcConfig {
        AvcConfig {
            length_size: 4,
            sps: vec![written_sps(80, 45, 0, 1, 60).into()],
            pps: vec![Bytes::from_static(&[0x68, 0xce, 0x3c, 0x80])],
        }
    }

    #[test]
    fn a_record_has_the_layout_of_the_standard() {
        let record = config().to_bytes();
        let sps = &config().sps[0];
        assert_eq!(record[..6], [1, 66, 0xc0, 31, 0xff, 0xe1]);
        assert_eq!(record[6..8], (sps.len() as u16).to_be_bytes());
        assert_eq!(record[8 + sps.len()..], [1, 0, 4, 0x68, 0xce, 0x3c, 0x80]);
    }

    #[test]
    fn a_record_is_made_from_what_stands_before_an_idr() {
        let mut unit = config().to_annex_b();
        unit.extend_from_slice(&[0, 0, 1, 0x65, 0x88]);
        assert_eq!(AvcConfig::from_annex_b(&unit), Ok(config()));
        assert_eq!(AvcConfig::from_annex_b(&[0, 0, 1, 0x65]), Err(H264Error::NoParameterSets));
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_written(size in prop_oneof![Just(1u8), Just(2), Just(4)], pps in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..5)) {
            let config = AvcConfig { length_size: size, pps: pps.into_iter().map(Bytes::from).collect(), ..config() };
            prop_assert_eq!(AvcConfig::parse(&config.to_bytes()), Ok(config));
        }

        #[test]
        fn a_mutated_record_gives_an_answer_or_an_error(at: usize, bits: u8, cut: usize) {
            let mut record = config().to_bytes();
            let index = at % record.len();
            record[index] ^= bits;
            record.truncate(record.len() - cut % record.len());
            if let Ok(config) = AvcConfig::parse(&record) {
                prop_assert!(config.first_sps().is_ok());
            }
        }
    }
}
