//! The H.264 level of a picture size, rate and bitrate, from Rec. ITU-T H.264 (08/2021) Table A-1.
//! A level too high is refused by small decoders, one too low is a lie to all of them.

use media::{FrameRate, Size};

/// One row: level_idc, MaxMBPS, MaxFS, MaxBR in units of 1000 bit/s (as baseline's VCL takes them).
type Row = (u8, u64, u64, u64);

/// Table A-1 without 1b, which WebRTC cannot name in its short form.
const TABLE: [Row; 17] = [
    (10, 1_485, 99, 64),
    (11, 3_000, 396, 192),
    (12, 6_000, 396, 384),
    (13, 11_880, 396, 768),
    (20, 11_880, 396, 2_000),
    (21, 19_800, 792, 4_000),
    (22, 20_250, 1_620, 4_000),
    (30, 40_500, 1_620, 10_000),
    (31, 108_000, 3_600, 14_000),
    (32, 216_000, 5_120, 20_000),
    (40, 245_760, 8_192, 20_000),
    (41, 245_760, 8_192, 50_000),
    (42, 522_240, 8_704, 50_000),
    (50, 589_824, 22_080, 135_000),
    (51, 983_040, 36_864, 240_000),
    (52, 2_073_600, 36_864, 240_000),
    (60, 4_177_920, 139_264, 240_000),
];

/// The lowest level that allows the stream, as level_idc (31 for level 3.1); `None` when none does.
pub(crate) fn level_idc(size: Size, rate: FrameRate, bitrate_kbps: u32) -> Option<u8> {
    let (width, height) = (u64::from(size.width.div_ceil(16)), u64::from(size.height.div_ceil(16)));
    let frame = width * height;
    let per_second = (frame * u64::from(rate.frames())).div_ceil(u64::from(rate.seconds()));
    TABLE
        .iter()
        .find(|&&(_, max_per_second, max_frame, max_kbps)| {
            // A.3.1: neither side may exceed the square root of eight times the frame's limit.
            let side = |blocks: u64| blocks * blocks <= 8 * max_frame;
            per_second <= max_per_second
                && frame <= max_frame
                && side(width)
                && side(height)
                && u64::from(bitrate_kbps) <= max_kbps
        })
        .map(|&(level, ..)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(width: u32, height: u32, fps: u32, kbps: u32) -> Option<u8> {
        level_idc(Size::new(width, height), FrameRate::new(fps, 1).unwrap(), kbps)
    }

    #[test]
    fn the_ladder_has_the_levels_of_table_a_1() {
        // 3 600 macroblocks × 30 = 108 000 a second, exactly level 3.1.
        assert_eq!(level(1280, 720, 30, 4000), Some(31));
        assert_eq!(level(1280, 720, 60, 4000), Some(32));
        // 54 × 30 = 1 620 macroblocks fit level 3, 48 600 a second do not.
        assert_eq!(level(854, 480, 30, 2000), Some(31));
        assert_eq!(level(854, 480, 25, 2000), Some(30));
        assert_eq!(level(640, 360, 30, 1000), Some(30));
        assert_eq!(level(320, 180, 30, 500), Some(13));
        // 8 160 macroblocks × 30 = 244 800.
        assert_eq!(level(1920, 1080, 30, 8000), Some(40));
        assert_eq!(level(3840, 2160, 60, 40_000), Some(52));
    }

    #[test]
    fn a_bitrate_alone_can_raise_the_level() {
        assert_eq!(level(320, 180, 30, 769), Some(20));
        assert_eq!(level(320, 180, 30, 4001), Some(30));
    }

    #[test]
    fn what_no_level_allows_has_none() {
        assert_eq!(level(16_384, 16_384, 1, 1), None);
        assert_eq!(level(1280, 720, 30, 240_001), None);
        // 100 × 2 blocks fit level 1.1's 396, but 100² > 8 × 396: level 2.1 (792) is still too narrow.
        assert_eq!(level(1600, 32, 10, 100), Some(22));
    }
}
