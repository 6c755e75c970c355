//! What H.264 of ours is announced as.

use media::VideoTrack;

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
mod tests {
    use media::{Codec, FrameRate, RenditionName, Size};

    use super::*;

    #[test]
    fn the_level_follows_size_and_rate() {
        let id = |width, height, fps| {
            profile_level_id(&VideoTrack {
                codec: Codec::H264,
                rendition: RenditionName::High,
                size: Size::new(width, height),
                frame_rate: FrameRate::new(fps, 1).unwrap(),
                bitrate_kbps: 4000,
            })
        };
        // ITU-T H.264 table A-5: 720p30 is level 3.1 (1f), 720p60 3.2, 1080p30 4 (28), 2160p30 5.1 (33).
        assert_eq!(id(1280, 720, 30), "42e01f");
        assert_eq!(id(1280, 720, 60), "42e020");
        assert_eq!(id(1920, 1080, 30), "42e028");
        assert_eq!(id(3840, 2160, 30), "42e033");
    }
}
