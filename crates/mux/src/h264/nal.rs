//! NAL units in Annex B byte streams and behind length prefixes.

use bytes::Bytes;

use super::H264Error;

/// The NAL unit types that a muxer must know (ITU-T H.264 table 7-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalType {
    /// 1–4: a coded slice of a picture that is not an IDR.
    Slice,
    /// 5
    IdrSlice,
    /// 6
    Sei,
    /// 7
    Sps,
    /// 8
    Pps,
    /// 9
    AccessUnitDelimiter,
    /// 12
    Filler,
    Other(u8),
}

impl NalType {
    /// A slice of a picture, as opposed to what describes it.
    pub const fn is_vcl(self) -> bool {
        matches!(self, Self::Slice | Self::IdrSlice)
    }
}

/// The type of a NAL unit given without start code; `None` when it is empty.
pub fn nal_type(nal: &[u8]) -> Option<NalType> {
    Some(match nal.first()? & 0x1f {
        1..=4 => NalType::Slice,
        5 => NalType::IdrSlice,
        6 => NalType::Sei,
        7 => NalType::Sps,
        8 => NalType::Pps,
        9 => NalType::AccessUnitDelimiter,
        12 => NalType::Filler,
        other => NalType::Other(other),
    })
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros; empty units are
/// skipped, and so is what stands before the first start code.
pub fn annex_b_units(stream: &[u8]) -> AnnexBUnits<'_> {
    let start = start_code(stream, 0).map_or(stream.len(), |at| at + 3);
    AnnexBUnits { stream, start }
}

/// See [`annex_b_units`].
#[derive(Clone, Debug)]
pub struct AnnexBUnits<'a> {
    stream: &'a [u8],
    /// First byte behind the current start code.
    start: usize,
}

impl<'a> Iterator for AnnexBUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.start < self.stream.len() {
            let next = start_code(self.stream, self.start);
            let mut unit = &self.stream[self.start..next.unwrap_or(self.stream.len())];
            self.start = next.map_or(self.stream.len(), |at| at + 3);
            // Zeros before a start code are its first byte or trailing_zero_8bits (§B.1.1).
            while let [head @ .., 0] = unit {
                unit = head;
            }
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    }
}

/// Where the next 00 00 01 begins at or after `from`.
fn start_code(stream: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(window) = stream.get(at..at + 3) {
        // The third byte decides how far to go: anything over 1 rules out three places at once.
        match window[2] {
            0 => at += 1,
            1 if window[0] == 0 && window[1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

/// The NAL units behind big-endian lengths of `length_size` bytes, as MP4 and FLV carry them. The first
/// length that lies outside ends it with an error.
pub fn length_prefixed_units(sample: &[u8], length_size: u8) -> LengthPrefixedUnits<'_> {
    LengthPrefixedUnits { rest: sample, length_size }
}

/// See [`length_prefixed_units`].
#[derive(Clone, Debug)]
pub struct LengthPrefixedUnits<'a> {
    rest: &'a [u8],
    length_size: u8,
}

impl<'a> Iterator for LengthPrefixedUnits<'a> {
    type Item = Result<&'a [u8], H264Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let result = split_length(self.rest, self.length_size);
            match result {
                Ok((unit, rest)) => {
                    self.rest = rest;
                    if !unit.is_empty() {
                        return Some(Ok(unit));
                    }
                }
                Err(err) => {
                    self.rest = &[];
                    return Some(Err(err));
                }
            }
        }
        None
    }
}

fn split_length(bytes: &[u8], length_size: u8) -> Result<(&[u8], &[u8]), H264Error> {
    if !matches!(length_size, 1 | 2 | 4) {
        return Err(H264Error::LengthSize(length_size));
    }
    let outside = |said| H264Error::LengthOutside { said, left: bytes.len() };
    let (prefix, rest) =
        bytes.split_at_checked(length_size.into()).ok_or_else(|| outside(length_size.into()))?;
    let length = prefix.iter().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
    rest.split_at_checked(length).ok_or(H264Error::LengthOutside { said: length, left: rest.len() })
}

/// Appends one NAL unit with a four-byte start code.
pub fn push_annex_b(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

/// From length-prefixed NAL units to an Annex B byte stream.
///
/// # Errors
/// When a length lies outside the sample or `length_size` is not 1, 2 or 4.
pub fn to_annex_b(sample: &[u8], length_size: u8) -> Result<Vec<u8>, H264Error> {
    let mut out = Vec::with_capacity(sample.len() + 16);
    for unit in length_prefixed_units(sample, length_size) {
        push_annex_b(&mut out, unit?);
    }
    Ok(out)
}

/// Whether parameter sets stay in the samples. MP4's `avc1` has them in its sample entry alone
/// (ISO/IEC 14496-15 §5.3), and FLV in its sequence header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InBand {
    /// Drops SPS, PPS and access unit delimiters.
    Drop,
    /// Keeps every unit.
    Keep,
}

/// From an Annex B byte stream to NAL units behind four-byte lengths.
pub fn to_length_prefixed(stream: &[u8], parameter_sets: InBand) -> Vec<u8> {
    let mut out = Vec::with_capacity(stream.len() + 16);
    for unit in annex_b_units(stream) {
        let described_elsewhere =
            matches!(nal_type(unit), Some(NalType::Sps | NalType::Pps | NalType::AccessUnitDelimiter));
        if described_elsewhere && parameter_sets == InBand::Drop {
            continue;
        }
        // An access unit of 4 GiB does not exist: payloads are slices of memory that was received.
        let length = u32::try_from(unit.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(unit);
    }
    out
}

/// Whether an Annex B access unit is an IDR picture.
pub fn is_idr(stream: &[u8]) -> bool {
    annex_b_units(stream).any(|unit| nal_type(unit) == Some(NalType::IdrSlice))
}

/// The first SPS and the first PPS of an Annex B access unit.
pub fn parameter_sets(stream: &[u8]) -> Option<(Bytes, Bytes)> {
    let find = |wanted| annex_b_units(stream).find(|unit| nal_type(unit) == Some(wanted));
    let sps = find(NalType::Sps)?;
    let pps = find(NalType::Pps)?;
    Some((Bytes::copy_from_slice(sps), Bytes::copy_from_slice(pps)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_found_behind_start_codes_of_three_and_four_bytes() {
        let stream = [9, 9, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 0, 1, 0x65, 0, 3, 0, 0];
        let units: Vec<_> = annex_b_units(&stream).collect();
        assert_eq!(units, [&[0x67, 1][..], &[0x68, 2], &[0x65, 0, 3]]);
        assert!(is_idr(&stream));
        let (sps, pps) = parameter_sets(&stream).unwrap();
        assert_eq!((&sps[..], &pps[..]), (&[0x67, 1][..], &[0x68, 2][..]));
    }

    #[test]
    fn nothing_is_found_where_there_is_no_start_code() {
        for stream in [&[][..], &[0, 0], &[0, 0, 1], &[0, 0, 2, 0x65, 1], &[0, 0, 0, 1, 0, 0]] {
            assert_eq!(annex_b_units(stream).count(), 0, "{stream:?}");
        }
    }

    #[test]
    fn parameter_sets_and_delimiters_leave_an_mp4_sample() {
        let stream = [0, 0, 1, 9, 0xf0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 2, 0, 0, 1, 0x65, 3];
        assert_eq!(to_length_prefixed(&stream, InBand::Drop), [0, 0, 0, 2, 0x65, 3]);
        assert_eq!(to_length_prefixed(&stream, InBand::Keep).len(), 4 * 4 + 8);
    }

    #[test]
    fn a_length_outside_the_sample_is_an_error() {
        let outside = H264Error::LengthOutside { said: 3, left: 1 };
        assert_eq!(to_annex_b(&[0, 0, 0, 3, 1], 4), Err(outside));
        assert_eq!(to_annex_b(&[0, 0], 4), Err(H264Error::LengthOutside { said: 4, left: 2 }));
        assert_eq!(to_annex_b(&[0, 0, 0], 3), Err(H264Error::LengthSize(3)));
        assert_eq!(to_annex_b(&[2, 7, 8, 0, 1, 9], 1).unwrap(), [0, 0, 0, 1, 7, 8, 0, 0, 0, 1, 9]);
    }

    /// NAL units as encoders emit them: never a start code inside (§7.4.1), never a zero at the end.
    fn nal() -> impl Strategy<Value = Vec<u8>> {
        (1u8..24, prop::collection::vec(1u8.., 1..40)).prop_map(|(kind, mut body)| {
            body.insert(0, kind);
            body
        })
    }

    proptest! {
        #[test]
        fn both_framings_carry_the_same_units(nals in prop::collection::vec(nal(), 0..8)) {
            let mut stream = Vec::new();
            nals.iter().for_each(|nal| push_annex_b(&mut stream, nal));
            let prefixed = to_length_prefixed(&stream, InBand::Keep);
            let units: Result<Vec<_>, _> = length_prefixed_units(&prefixed, 4).collect();
            prop_assert_eq!(units.unwrap(), nals.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(to_annex_b(&prefixed, 4).unwrap(), stream);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..200), size in 0u8..6) {
            let units: usize = annex_b_units(&bytes).map(<[u8]>::len).sum();
            prop_assert!(units <= bytes.len());
            let _ = to_annex_b(&bytes, size);
            let _ = to_length_prefixed(&bytes, InBand::Drop);
            let _ = parameter_sets(&bytes);
        }
    }
}
