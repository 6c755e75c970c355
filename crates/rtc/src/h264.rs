//! H.264 in RTP (RFC 6184), packetization-mode 1, and the profile-level-id of a rendition.

use bytes::{BufMut, Bytes, BytesMut};
use media::VideoTrack;
use thiserror::Error;

/// The largest RTP payload we send: with RTP's header and extensions, SRTP's tag, UDP and IPv6 a datagram
/// stays under 1 280 bytes, which every path carries.
pub const PAYLOAD_MAX: usize = 1160;

/// A longer access unit is not kept: at 60 Mbit/s and 30 frames a second one has 250 kB.
const ACCESS_UNIT_MAX: usize = 4 << 20;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// NAL unit types (ITU-T H.264 table 7-1, RFC 6184 §5.2).
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const AUD: u8 = 9;
const FILLER: u8 = 12;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// The NAL units of an Annex B stream, without their start codes and trailing zeros.
pub fn nal_units(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = skip_start_code(annex_b);
    std::iter::from_fn(move || {
        loop {
            let data = rest.take()?;
            let end = find_start_code(data).unwrap_or(data.len());
            rest = skip_start_code(&data[end..]);
            let trimmed = data[..end].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if trimmed > 0 {
                return Some(&data[..trimmed]);
            }
        }
    })
}

/// Where the next 00 00 01 stands.
fn find_start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|w| w == [0, 0, 1])
}

/// What follows the first start code.
fn skip_start_code(data: &[u8]) -> Option<&[u8]> {
    find_start_code(data).map(|at| &data[at + 3..])
}

/// Splits one access unit in Annex B into RTP payloads of at most [`PAYLOAD_MAX`] bytes: parameter sets
/// together in one STAP-A, small units alone, large ones as FU-A. The last payload of the list carries
/// the marker bit. Delimiters and filler, which RTP has no use for, are left out.
pub fn packetise(annex_b: &Bytes) -> Vec<Bytes> {
    let mut payloads = Vec::with_capacity(annex_b.len() / PAYLOAD_MAX + 2);
    let mut parameter_sets: Vec<&[u8]> = Vec::new();
    for unit in nal_units(annex_b) {
        match unit[0] & 0x1f {
            AUD | FILLER => {}
            SPS | PPS => parameter_sets.push(unit),
            _ => {
                aggregate(&mut payloads, &mut parameter_sets);
                if unit.len() <= PAYLOAD_MAX {
                    payloads.push(annex_b.slice_ref(unit));
                } else {
                    fragment(&mut payloads, unit);
                }
            }
        }
    }
    aggregate(&mut payloads, &mut parameter_sets);
    payloads
}

/// One STAP-A (RFC 6184 §5.7.1), or the units alone where they do not fit together.
fn aggregate(payloads: &mut Vec<Bytes>, units: &mut Vec<&[u8]>) {
    let bytes: usize = 1 + units.iter().map(|unit| unit.len() + 2).sum::<usize>();
    match units.as_slice() {
        [] => {}
        [_, _, ..] if bytes <= PAYLOAD_MAX => {
            let importance = units.iter().map(|unit| unit[0] & 0x60).max().unwrap_or(0);
            let mut payload = BytesMut::with_capacity(bytes);
            payload.put_u8(importance | STAP_A);
            for unit in units.iter() {
                payload.put_u16(unit.len() as u16);
                payload.put_slice(unit);
            }
            payloads.push(payload.freeze());
        }
        alone => {
            for unit in alone {
                if unit.len() <= PAYLOAD_MAX {
                    payloads.push(Bytes::copy_from_slice(unit));
                } else {
                    fragment(payloads, unit);
                }
            }
        }
    }
    units.clear();
}

/// FU-A (RFC 6184 §5.8) in pieces of nearly equal size, so that the last is no dwarf.
fn fragment(payloads: &mut Vec<Bytes>, unit: &[u8]) {
    let (header, body) = (unit[0], &unit[1..]);
    let pieces = body.len().div_ceil(PAYLOAD_MAX - 2);
    let size = body.len().div_ceil(pieces);
    for (index, piece) in body.chunks(size).enumerate() {
        let start = if index == 0 { 0x80 } else { 0 };
        let end = if index + 1 == body.len().div_ceil(size) { 0x40 } else { 0 };
        let mut payload = BytesMut::with_capacity(piece.len() + 2);
        payload.put_u8(header & 0xe0 | FU_A);
        payload.put_u8(start | end | header & 0x1f);
        payload.put_slice(piece);
        payloads.push(payload.freeze());
    }
}

/// Why an RTP payload is no piece of H.264 that we can use.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PayloadError {
    #[error("the payload ends inside a header or a unit")]
    Truncated,
    #[error("a fragment continues a unit whose start is missing")]
    NoStart,
    #[error("packets of type {0} belong to another packetization mode")]
    UnsupportedType(u8),
    #[error("the access unit is longer than any real one")]
    TooLong,
}

/// Puts access units together again from payloads in order.
#[derive(Default)]
pub struct Depacketiser {
    unit: BytesMut,
    /// Inside a fragmented NAL unit.
    fragmented: bool,
    key: bool,
}

impl Depacketiser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was collected, as after a loss.
    pub fn reset(&mut self) {
        self.unit.clear();
        self.fragmented = false;
        self.key = false;
    }

    /// Takes the next payload of the access unit. After an error what was collected is gone.
    pub fn push(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        let result = self.try_push(payload);
        if result.is_err() {
            self.reset();
        }
        result
    }

    /// The access unit in Annex B, and whether it holds an IDR picture; `None` when nothing whole came.
    pub fn take(&mut self) -> Option<(Bytes, bool)> {
        let whole = !self.unit.is_empty() && !self.fragmented;
        let taken = whole.then(|| (self.unit.split().freeze(), self.key));
        self.reset();
        taken
    }

    fn try_push(&mut self, payload: &[u8]) -> Result<(), PayloadError> {
        if self.unit.len() + payload.len() > ACCESS_UNIT_MAX {
            return Err(PayloadError::TooLong);
        }
        let (&header, body) = payload.split_first().ok_or(PayloadError::Truncated)?;
        match header & 0x1f {
            1..=23 => {
                self.put_unit(payload);
                Ok(())
            }
            STAP_A => self.put_aggregate(body),
            FU_A => self.put_fragment(header, body),
            other => Err(PayloadError::UnsupportedType(other)),
        }
    }

    fn put_unit(&mut self, unit: &[u8]) {
        self.fragmented = false;
        self.key |= unit[0] & 0x1f == IDR;
        self.unit.put_slice(&START_CODE);
        self.unit.put_slice(unit);
    }

    fn put_aggregate(&mut self, mut body: &[u8]) -> Result<(), PayloadError> {
        while !body.is_empty() {
            let (length, rest) = body.split_at_checked(2).ok_or(PayloadError::Truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let (unit, rest) = rest.split_at_checked(length).ok_or(PayloadError::Truncated)?;
            if unit.is_empty() {
                return Err(PayloadError::Truncated);
            }
            self.put_unit(unit);
            body = rest;
        }
        Ok(())
    }

    fn put_fragment(&mut self, indicator: u8, body: &[u8]) -> Result<(), PayloadError> {
        let (&header, piece) = body.split_first().ok_or(PayloadError::Truncated)?;
        if header & 0x80 != 0 {
            self.put_unit(&[indicator & 0xe0 | header & 0x1f]);
            self.fragmented = true;
        } else if !self.fragmented {
            return Err(PayloadError::NoStart);
        }
        self.unit.put_slice(piece);
        if header & 0x40 != 0 {
            self.fragmented = false;
        }
        Ok(())
    }
}

/// `profile-level-id` (RFC 6184 §8.1) of Constrained Baseline at the lowest level that holds `track`.
pub fn profile_level_id(track: &VideoTrack) -> String {
    // ITU-T H.264 table A-1: level_idc, macroblocks a second, macroblocks a frame, kbit/s.
    const LEVELS: [(u8, u64, u64, u32); 9] = [
        (30, 40_500, 1_620, 10_000),
        (31, 108_000, 3_600, 14_000),
        (32, 216_000, 5_120, 20_000),
        (40, 245_760, 8_192, 20_000),
        (41, 245_760, 8_192, 50_000),
        (42, 522_240, 8_704, 50_000),
        (50, 589_824, 22_080, 135_000),
        (51, 983_040, 36_864, 240_000),
        (52, 2_073_600, 36_864, 240_000),
    ];
    let blocks = u64::from(track.size.width.div_ceil(16)) * u64::from(track.size.height.div_ceil(16));
    let rate = track.frame_rate;
    let fits = |&(_, per_second, per_frame, kbps): &(u8, u64, u64, u32)| {
        blocks <= per_frame
            && blocks * u64::from(rate.frames()) <= per_second * u64::from(rate.seconds())
            && track.bitrate_kbps <= kbps
    };
    let level = LEVELS.iter().find(|level| fits(level)).map_or(52, |level| level.0);
    // 42: Baseline; e0: also decodable as Main and Extended, hence Constrained (RFC 6184 table 5).
    format!("42e0{level:02x}")
}

#[cfg(test)]
mod tests;
