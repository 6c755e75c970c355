use std::f64::consts::TAU;

use bytes::Bytes;
use media::{AudioBlock, ColorMatrix, ColorRange, Picture, PixelFormat, Size, Timescale, Timestamp};
use tickcast_codec::{Resampler, Scaler};

use crate::pattern::{chroma, luma, moving};

const TIME: Timestamp = Timestamp::new(12_345, Timescale::VIDEO);

/// A planar picture of one colour.
fn plain(size: Size, colour: [u8; 3], matrix: ColorMatrix, range: ColorRange) -> Picture {
    let pixels = size.pixels() as usize;
    let mut data = vec![colour[0]; pixels];
    data.extend(vec![colour[1]; pixels / 4]);
    data.extend(vec![colour[2]; pixels / 4]);
    Picture::packed(size, PixelFormat::I420, matrix, range, Bytes::from(data), TIME).unwrap()
}

fn assert_near(samples: &[u8], wanted: u8, what: &str) {
    let worst = samples.iter().map(|sample| sample.abs_diff(wanted)).max().unwrap();
    assert!(worst <= 2, "{what} is {worst} codes off {wanted}");
}

#[test]
fn colours_keep_their_meaning_from_one_matrix_and_range_to_another() {
    let size = Size::new(64, 48);
    // Pure red. BT.601: Kr 0.299, Kb 0.114; BT.709: Kr 0.2126, Kb 0.0722. Limited: Y = 16 + 219·Kr,
    // Cb = 128 − 112·Kr/(1 − Kb), Cr = 240; full: Y = 255·Kr, Cb = 128 − 127.5·Kr/(1 − Kb), Cr = 255.
    let wanted = [63, 102, 240];
    let sources = [
        plain(size, [81, 90, 240], ColorMatrix::Bt601, ColorRange::Limited),
        plain(size, [76, 85, 255], ColorMatrix::Bt601, ColorRange::Full),
        plain(size, [54, 99, 255], ColorMatrix::Bt709, ColorRange::Full),
        plain(size, wanted, ColorMatrix::Bt709, ColorRange::Limited),
        Picture::rgba(size, [255, 0, 0, 255].repeat(64 * 48).into(), TIME).unwrap(),
    ];
    for source in sources {
        for to in [size, Size::new(32, 24), Size::new(100, 70)] {
            let scaled = Scaler::new(to).unwrap().scale(&source).unwrap();
            assert_eq!((scaled.size(), scaled.format()), (to, PixelFormat::Nv12));
            assert_eq!((scaled.matrix(), scaled.range()), (ColorMatrix::Bt709, ColorRange::Limited));
            assert_eq!(scaled.timestamp(), TIME);
            let name = format!("{:?} {:?} {:?} to {to}", source.format(), source.matrix(), source.range());
            let (blue, red) = chroma(&scaled);
            assert_near(&luma(&scaled), wanted[0], &name);
            assert_near(&blue, wanted[1], &name);
            assert_near(&red, wanted[2], &name);
        }
    }
}

#[test]
fn a_smaller_picture_has_the_mean_of_the_pixels_it_covers() {
    let source = moving(Size::new(640, 360), 3, 3);
    let scaled = Scaler::new(Size::new(320, 180)).unwrap().scale(&source).unwrap();
    let (from, to) = (luma(&source), luma(&scaled));
    for (x, y) in [(0, 0), (17, 33), (160, 90), (319, 179), (200, 5)] {
        let at = |dx: usize, dy: usize| u32::from(from[(2 * y + dy) * 640 + 2 * x + dx]);
        let mean = (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4;
        assert!(u32::from(to[y * 320 + x]).abs_diff(mean) <= 1, "at {x}, {y}");
    }
}

#[test]
fn a_picture_that_is_right_already_is_not_copied() {
    let source = moving(Size::new(64, 64), 0, 0);
    let scaled = Scaler::new(Size::new(64, 64)).unwrap().scale(&source).unwrap();
    assert_eq!(scaled.data().as_ptr(), source.data().as_ptr());
}

#[test]
fn a_scaler_follows_pictures_that_change_their_shape() {
    let mut scaler = Scaler::new(Size::new(64, 64)).unwrap();
    for (width, height) in [(128, 128), (16, 16), (1280, 720), (128, 128), (5, 3)] {
        let size = Size::new(width, height);
        let picture = Picture::rgba(size, vec![200; size.pixels() as usize * 4].into(), TIME).unwrap();
        let scaled = scaler.scale(&picture).unwrap();
        // Grey: Y = 16 + 219 · 200/255.
        assert_near(&luma(&scaled), 188, &size.to_string());
    }
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for (width, height) in [(0, 0), (3, 4), (4, 0), (16_386, 16), (u32::MAX, 2)] {
        assert_eq!(Scaler::new(Size::new(width, height)).unwrap_err().code(), "codec_setting");
    }
    let long = Picture::rgba(Size::new(20_000, 1), vec![0; 80_000].into(), TIME).unwrap();
    let err = Scaler::new(Size::new(64, 64)).unwrap().scale(&long).unwrap_err();
    assert_eq!(err.code(), "codec_failed");
    let empty = Picture::rgba(Size::new(0, 0), Bytes::new(), TIME).unwrap();
    let err = Scaler::new(Size::new(64, 64)).unwrap().scale(&empty).unwrap_err();
    assert_eq!(err.code(), "codec_wrong_picture");
}

#[test]
fn resampled_sound_keeps_its_time_its_pitch_and_its_level() {
    for (rate, channels) in [(44_100, 1), (44_100, 2), (16_000, 1), (96_000, 2), (48_000, 1)] {
        let mut resampler = Resampler::new();
        let start = 7_000_000i64;
        let length = 1000;
        let mut left = Vec::new();
        for index in 0..(rate as usize / length) {
            let samples = (0..length * channels)
                .map(|n| {
                    (TAU * 1000.0 * (index * length + n / channels) as f64 / f64::from(rate)).sin() as f32
                })
                .collect();
            let at = Timestamp::new((index * length) as i64, Timescale::new(rate).unwrap());
            let timestamp = Timestamp::new(start, Timescale::AUDIO).plus(at);
            let block = resampler.resample(&AudioBlock { rate, channels, samples, timestamp }).unwrap();
            assert_eq!((block.rate, block.channels), (48_000, 2));
            assert_eq!(block.timestamp.ticks(), start + left.len() as i64, "blocks follow on each other");
            for pair in block.samples.chunks_exact(2) {
                assert!((pair[0] - pair[1]).abs() < 1e-6);
                left.push(f64::from(pair[0]));
            }
        }
        // All but what the filter holds back came out.
        let wanted = (rate as usize / length * length) as i64 * 48_000 / i64::from(rate);
        let missing = wanted - left.len() as i64;
        assert!((0..200).contains(&missing), "{rate} Hz lacks {missing} samples");
        // The sine itself, sample by sample: neither late nor early, neither louder nor softer.
        for (n, sample) in left.iter().enumerate().skip(2000).take(30_000) {
            let sine = (TAU * 1000.0 * n as f64 / 48_000.0).sin();
            assert!((sample - sine).abs() < 0.02, "{rate} Hz: {sample} for {sine} at {n}");
        }
    }
}

#[test]
fn after_a_gap_resampled_sound_begins_at_its_new_time() {
    let mut resampler = Resampler::new();
    let mut give = |at: i64| {
        let timestamp = Timestamp::new(at, Timescale::AUDIO);
        let samples = vec![0.1; 882].into();
        resampler.resample(&AudioBlock { rate: 44_100, channels: 2, samples, timestamp }).unwrap()
    };
    assert_eq!(give(0).timestamp.ticks(), 0);
    give(480);
    assert_eq!(give(480_000).timestamp.ticks(), 480_000);
}

#[test]
fn the_programmes_own_sound_is_passed_on_and_impossible_sound_refused() {
    let mut resampler = Resampler::new();
    let block = AudioBlock::silence(TIME);
    let same = resampler.resample(&block).unwrap();
    assert!(std::sync::Arc::ptr_eq(&same.samples, &block.samples));
    for (rate, channels) in [(0, 2), (44_100, 0), (44_100, 65), (u32::MAX, 2)] {
        let block = AudioBlock { rate, channels, samples: vec![0.0; 130].into(), timestamp: TIME };
        assert_eq!(resampler.resample(&block).unwrap_err().code(), "codec_wrong_sound");
    }
}
