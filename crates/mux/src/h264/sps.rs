//! The sequence parameter set (ITU-T H.264 §7.3.2.1.1): profile, level, size, and the useful half of VUI.

use media::{FrameRate, Size};

use super::H264Error;
use crate::bits::{BitReader, OutOfBits};

/// More than this no level allows (139 264 macroblocks in a frame at level 6.2, at most √8 times as wide
/// as the square root of it).
const MAX_MACROBLOCKS_A_SIDE: u32 = 1_055;
const MAX_REFERENCE_FRAMES: u32 = 16;

/// What a sequence parameter set says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sps {
    pub profile_idc: u8,
    /// constraint_set0_flag in the most significant bit.
    pub constraints: u8,
    /// Ten times the level: 31 is level 3.1.
    pub level_idc: u8,
    pub id: u8,
    /// 1 is 4:2:0.
    pub chroma_format_idc: u8,
    pub bit_depth: u8,
    /// Of the picture that is shown, after cropping.
    pub size: Size,
    pub reference_frames: u8,
    /// False where fields are coded (interlaced).
    pub progressive: bool,
    pub vui: Option<Vui>,
}

/// Video usability information (annex E).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Vui {
    /// Width to height of a sample.
    pub sample_aspect: Option<(u16, u16)>,
    pub colour: Option<Colour>,
    pub timing: Option<Timing>,
    /// How many frames a decoder must hold back for B-frames; 0 means none.
    pub reorder_frames: Option<u32>,
}

/// video_signal_type; code points of ISO/IEC 23091-2 (2 is "unspecified", 1 is BT.709).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colour {
    pub full_range: bool,
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
}

/// timing_info: a tick is one field, so a frame takes two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    pub units_in_tick: u32,
    pub time_scale: u32,
    pub fixed: bool,
}

impl Timing {
    /// Frames per second; `None` when the stream says zero.
    pub fn frame_rate(self) -> Option<FrameRate> {
        let (mut frames, mut seconds) = (u64::from(self.time_scale), 2 * u64::from(self.units_in_tick));
        let (mut a, mut b) = (frames, seconds);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        frames /= a.max(1);
        seconds /= a.max(1);
        FrameRate::new(u32::try_from(frames).ok()?, u32::try_from(seconds).ok()?)
    }
}

impl Sps {
    /// Parses a NAL unit of type 7, without start code.
    ///
    /// # Errors
    /// [`H264Error::BadSps`] when it is another unit, ends early, or holds what no stream may hold.
    pub fn parse(nal: &[u8]) -> Result<Self, H264Error> {
        if nal.first().map(|byte| byte & 0x1f) != Some(7) {
            return Err(H264Error::BadSps("not of type 7"));
        }
        let payload = without_emulation_prevention(&nal[1..]);
        parse_payload(&mut BitReader::new(&payload))
    }

    /// RFC 6381 §3.3: `avc1.42c01f`.
    pub fn codec_string(&self) -> String {
        format!("avc1.{:02x}{:02x}{:02x}", self.profile_idc, self.constraints, self.level_idc)
    }
}

impl From<OutOfBits> for H264Error {
    fn from(_: OutOfBits) -> Self {
        Self::BadSps("it ends too early")
    }
}

/// Removes the 03 of each 00 00 03 (§7.3.1). An SPS is short: what is longer than any is cut.
fn without_emulation_prevention(bytes: &[u8]) -> Vec<u8> {
    const MAX_SPS_BYTES: usize = 4096;
    let bytes = &bytes[..bytes.len().min(MAX_SPS_BYTES)];
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

fn byte(value: u32) -> u8 {
    value as u8
}

fn parse_payload(reader: &mut BitReader<'_>) -> Result<Sps, H264Error> {
    let profile_idc = byte(reader.bits(8)?);
    let constraints = byte(reader.bits(8)?);
    let level_idc = byte(reader.bits(8)?);
    let id = reader.unsigned_exp_golomb()?;
    if id > 31 {
        return Err(H264Error::BadSps("its id is over 31"));
    }
    let (chroma_format_idc, bit_depth, separate_planes) = match profile_idc {
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135 => chroma(reader)?,
        _ => (1, 8, false),
    };
    let frame_num_bits = reader.unsigned_exp_golomb()?;
    if frame_num_bits > 12 {
        return Err(H264Error::BadSps("frame numbers take over 16 bits"));
    }
    picture_order(reader)?;
    let reference_frames = reader.unsigned_exp_golomb()?;
    if reference_frames > MAX_REFERENCE_FRAMES {
        return Err(H264Error::BadSps("over 16 reference frames"));
    }
    reader.bit()?; // gaps_in_frame_num_value_allowed_flag
    let columns = reader.unsigned_exp_golomb()?;
    let rows = reader.unsigned_exp_golomb()?;
    if columns >= MAX_MACROBLOCKS_A_SIDE || rows >= MAX_MACROBLOCKS_A_SIDE {
        return Err(H264Error::BadSps("a picture larger than any level allows"));
    }
    let progressive = reader.bit()?;
    if !progressive {
        reader.bit()?; // mb_adaptive_frame_field_flag
    }
    reader.bit()?; // direct_8x8_inference_flag
    let fields = if progressive { 1 } else { 2 };
    let coded = Size::new((columns + 1) * 16, (rows + 1) * 16 * fields);
    let size = if reader.bit()? {
        let unit = crop_unit(if separate_planes { 0 } else { chroma_format_idc }, fields);
        cropped(coded, unit, reader)?
    } else {
        coded
    };
    let vui = if reader.bit()? { Some(parse_vui(reader)?) } else { None };
    Ok(Sps {
        profile_idc,
        constraints,
        level_idc,
        id: byte(id),
        chroma_format_idc,
        bit_depth,
        size,
        reference_frames: byte(reference_frames),
        progressive,
        vui,
    })
}

/// chroma_format_idc, bit depth of luma, separate_colour_plane_flag; skips the scaling lists.
fn chroma(reader: &mut BitReader<'_>) -> Result<(u8, u8, bool), H264Error> {
    let format = reader.unsigned_exp_golomb()?;
    if format > 3 {
        return Err(H264Error::BadSps("chroma format over 3"));
    }
    let separate = format == 3 && reader.bit()?;
    let luma = reader.unsigned_exp_golomb()?;
    let chroma = reader.unsigned_exp_golomb()?;
    if luma > 6 || chroma > 6 {
        return Err(H264Error::BadSps("over 14 bits a sample"));
    }
    reader.bit()?; // qpprime_y_zero_transform_bypass_flag
    if reader.bit()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if reader.bit()? {
                skip_scaling_list(reader, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok((byte(format), byte(luma + 8), separate))
}

/// §7.3.2.1.1.1
fn skip_scaling_list(reader: &mut BitReader<'_>, length: usize) -> Result<(), H264Error> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..length {
        if next != 0 {
            let delta = reader.signed_exp_golomb()?;
            if !(-128..=127).contains(&delta) {
                return Err(H264Error::BadSps("a scaling list steps too far"));
            }
            next = (last + delta + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

fn picture_order(reader: &mut BitReader<'_>) -> Result<(), H264Error> {
    match reader.unsigned_exp_golomb()? {
        0 => {
            reader.unsigned_exp_golomb()?;
        }
        1 => {
            reader.bit()?;
            reader.signed_exp_golomb()?;
            reader.signed_exp_golomb()?;
            let cycle = reader.unsigned_exp_golomb()?;
            if cycle > 255 {
                return Err(H264Error::BadSps("over 255 frames in a picture order cycle"));
            }
            for _ in 0..cycle {
                reader.signed_exp_golomb()?;
            }
        }
        2 => {}
        _ => return Err(H264Error::BadSps("picture order type over 2")),
    }
    Ok(())
}

/// CropUnitX, CropUnitY (§7.4.2.1.1, table 6-1).
fn crop_unit(chroma_array_type: u8, fields: u32) -> (u32, u32) {
    match chroma_array_type {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    }
}

fn cropped(coded: Size, unit: (u32, u32), reader: &mut BitReader<'_>) -> Result<Size, H264Error> {
    let mut side = |whole: u32, unit: u32| -> Result<u32, H264Error> {
        let before = u64::from(reader.unsigned_exp_golomb()?);
        let after = u64::from(reader.unsigned_exp_golomb()?);
        let cut = (before + after) * u64::from(unit);
        if cut >= u64::from(whole) {
            return Err(H264Error::BadSps("cropping leaves nothing"));
        }
        Ok(whole - cut as u32)
    };
    let width = side(coded.width, unit.0)?;
    let height = side(coded.height, unit.1)?;
    Ok(Size::new(width, height))
}

/// §E.1.1
fn parse_vui(reader: &mut BitReader<'_>) -> Result<Vui, H264Error> {
    let mut vui = Vui::default();
    if reader.bit()? {
        vui.sample_aspect = sample_aspect(reader)?;
    }
    if reader.bit()? {
        reader.bit()?; // overscan_appropriate_flag
    }
    if reader.bit()? {
        vui.colour = Some(colour(reader)?);
    }
    if reader.bit()? {
        reader.unsigned_exp_golomb()?;
        reader.unsigned_exp_golomb()?;
    }
    if reader.bit()? {
        let units_in_tick = reader.bits(32)?;
        let time_scale = reader.bits(32)?;
        vui.timing = Some(Timing { units_in_tick, time_scale, fixed: reader.bit()? });
    }
    let nal_hrd = reader.bit()?;
    if nal_hrd {
        skip_hrd(reader)?;
    }
    let vcl_hrd = reader.bit()?;
    if vcl_hrd {
        skip_hrd(reader)?;
    }
    if nal_hrd || vcl_hrd {
        reader.bit()?; // low_delay_hrd_flag
    }
    reader.bit()?; // pic_struct_present_flag
    if reader.bit()? {
        reader.bit()?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            reader.unsigned_exp_golomb()?;
        }
        vui.reorder_frames = Some(reader.unsigned_exp_golomb()?);
        reader.unsigned_exp_golomb()?; // max_dec_frame_buffering
    }
    Ok(vui)
}

fn sample_aspect(reader: &mut BitReader<'_>) -> Result<Option<(u16, u16)>, H264Error> {
    /// Table E-1, from aspect_ratio_idc 1.
    const KNOWN: [(u16, u16); 16] = [
        (1, 1),
        (12, 11),
        (10, 11),
        (16, 11),
        (40, 33),
        (24, 11),
        (20, 11),
        (32, 11),
        (80, 33),
        (18, 11),
        (15, 11),
        (64, 33),
        (160, 99),
        (4, 3),
        (3, 2),
        (2, 1),
    ];
    const EXTENDED: usize = 255;
    let index = reader.bits(8)? as usize;
    if index == EXTENDED {
        return Ok(Some((reader.bits(16)? as u16, reader.bits(16)? as u16)));
    }
    Ok(index.checked_sub(1).and_then(|index| KNOWN.get(index)).copied())
}

fn colour(reader: &mut BitReader<'_>) -> Result<Colour, H264Error> {
    const UNSPECIFIED: u8 = 2;
    reader.bits(3)?; // video_format
    let full_range = reader.bit()?;
    let (mut primaries, mut transfer, mut matrix) = (UNSPECIFIED, UNSPECIFIED, UNSPECIFIED);
    if reader.bit()? {
        primaries = byte(reader.bits(8)?);
        transfer = byte(reader.bits(8)?);
        matrix = byte(reader.bits(8)?);
    }
    Ok(Colour { full_range, primaries, transfer, matrix })
}

/// §E.1.2
fn skip_hrd(reader: &mut BitReader<'_>) -> Result<(), H264Error> {
    let schedules = reader.unsigned_exp_golomb()?;
    if schedules > 31 {
        return Err(H264Error::BadSps("over 32 buffer schedules"));
    }
    reader.skip(8)?;
    for _ in 0..=schedules {
        reader.unsigned_exp_golomb()?;
        reader.unsigned_exp_golomb()?;
        reader.bit()?;
    }
    reader.skip(20)?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::bits::BitWriter;
    use proptest::prelude::*;

    /// Constrained Baseline, level 3.1, of `columns` × `rows` macroblocks, cropped at the bottom by
    /// `crop` × 2 lines, BT.709 limited range, `units`/`scale` timing; written from §7.3.2.1.1.
    pub(crate) fn written_sps(columns: u32, rows: u32, crop: u32, units: u32, scale: u32) -> Vec<u8> {
        let mut w = BitWriter::default();
        w.bits(66, 8);
        w.bits(0xc0, 8);
        w.bits(31, 8);
        w.unsigned_exp_golomb(0); // id
        w.unsigned_exp_golomb(0); // log2_max_frame_num − 4
        w.unsigned_exp_golomb(2); // picture order type
        w.unsigned_exp_golomb(1); // reference frames
        w.bits(0, 1);
        w.unsigned_exp_golomb(columns - 1);
        w.unsigned_exp_golomb(rows - 1);
        w.bits(0b11, 2); // frames only, 8×8 inference
        w.bits(u32::from(crop > 0), 1);
        if crop > 0 {
            [0, 0, 0, crop].into_iter().for_each(|edge| w.unsigned_exp_golomb(edge));
        }
        w.bits(1, 1); // VUI
        w.bits(1, 1);
        w.bits(1, 8); // square samples
        w.bits(0, 1); // no overscan
        w.bits(1, 1);
        w.bits(5, 3);
        w.bits(0, 1); // limited range
        w.bits(1, 1);
        [1, 1, 1].into_iter().for_each(|code| w.bits(code, 8));
        w.bits(0, 1); // no chroma location
        w.bits(1, 1);
        w.bits(units, 32);
        w.bits(scale, 32);
        w.bits(1, 1); // fixed
        w.bits(0, 3); // no HRD, no picture structure
        w.bits(1, 1);
        w.bits(1, 1);
        [0, 0, 10, 10, 0, 1].into_iter().for_each(|code| w.unsigned_exp_golomb(code));
        w.bits(1, 1); // stop bit
        let mut nal = vec![0x67];
        let mut zeros = 0;
        for byte in w.into_bytes() {
            if zeros >= 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }

    #[test]
    fn a_1080p_stream_is_cropped_from_68_rows_of_macroblocks() {
        // 1080 is not a multiple of 16: 68 × 16 = 1088, less 4 × 2 lines.
        let sps = Sps::parse(&written_sps(120, 68, 4, 1_001, 60_000)).unwrap();
        assert_eq!(sps.size, Size::new(1920, 1080));
        assert_eq!(sps.codec_string(), "avc1.42c01f");
        let vui = sps.vui.unwrap();
        assert_eq!(vui.timing.unwrap().frame_rate(), FrameRate::new(30_000, 1_001));
        assert_eq!(vui.colour, Some(Colour { full_range: false, primaries: 1, transfer: 1, matrix: 1 }));
        assert_eq!(vui.sample_aspect, Some((1, 1)));
        assert_eq!(vui.reorder_frames, Some(0));
    }

    #[test]
    fn timing_of_zero_is_no_frame_rate() {
        let timing = Timing { units_in_tick: 0, time_scale: 0, fixed: false };
        assert_eq!(timing.frame_rate(), None);
    }

    #[test]
    fn a_crop_larger_than_the_picture_is_refused() {
        let nal = written_sps(2, 2, 16, 1, 60);
        assert_eq!(Sps::parse(&nal), Err(H264Error::BadSps("cropping leaves nothing")));
    }

    proptest! {
        #[test]
        fn every_size_is_read_as_written(columns in 1u32..256, rows in 1u32..256, crop in 0u32..8, units in 1u32.., scale in 1u32..) {
            let sps = Sps::parse(&written_sps(columns, rows, crop, units, scale)).unwrap();
            prop_assert_eq!(sps.size, Size::new(columns * 16, rows * 16 - crop * 2));
            let timing = sps.vui.unwrap().timing.unwrap();
            prop_assert_eq!((timing.units_in_tick, timing.time_scale), (units, scale));
        }

        #[test]
        fn a_mutated_sps_gives_an_answer_or_an_error(at in 0usize..40, bits: u8, cut in 0usize..40) {
            let mut nal = written_sps(80, 45, 0, 1, 60);
            let index = at % nal.len();
            nal[index] ^= bits;
            nal.truncate(nal.len() - cut % nal.len());
            if let Ok(sps) = Sps::parse(&nal) {
                prop_assert!(sps.size.width > 0 && sps.size.height > 0);
            }
        }

        #[test]
        fn random_bytes_give_an_answer_or_an_error(mut nal in prop::collection::vec(any::<u8>(), 1..80)) {
            nal[0] = 0x67;
            let _ = Sps::parse(&nal);
        }
    }
}
