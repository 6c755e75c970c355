//! Pictures and sound whose every value is known from arithmetic, like enough to a camera's for a rate control.

use bytes::Bytes;
use media::{FrameRate, Picture, PixelFormat, Size, Timescale};

/// A cheap hash to 0..256, the same everywhere.
fn noise(seed: u32) -> u32 {
    let mut x = seed.wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    x = (x ^ (x >> 15)).wrapping_mul(0x2c1b_3c6d);
    x = (x ^ (x >> 12)).wrapping_mul(0x297a_2d39);
    (x ^ (x >> 15)) & 0xff
}

/// A textured scene that pans to the left by two pixels a frame with a disc that crosses it, under sensor noise
/// of at most ±`grain` codes.
pub fn moving(size: Size, index: u64, grain: u32) -> Picture {
    let (width, height) = (size.width as usize, size.height as usize);
    let t = index as usize;
    let mut data = Vec::with_capacity(width * height * 3 / 2);
    let centre = ((t * 5 + width / 3) % width, height / 2);
    let reach = height / 6;
    for y in 0..height {
        for x in 0..width {
            let scene = x + 2 * t;
            // Three scales of blobs, as hair, cloth and walls have, from value noise without interpolation.
            let blob = |cell: usize, depth: u32| {
                let cell_noise = noise((scene / cell) as u32 ^ ((y / cell) as u32) << 16 ^ depth << 28);
                (cell_noise as i32 - 128) * depth as i32 / 16
            };
            let mut luma = 110 + (y * 40 / height) as i32 + blob(48, 3) + blob(12, 2) + blob(3, 1);
            let (dx, dy) = (x.abs_diff(centre.0), y.abs_diff(centre.1));
            if dx * dx + dy * dy < reach * reach {
                luma = 200 - (dx * 40 / reach) as i32;
            }
            if grain > 0 {
                let spread = 2 * grain + 1;
                let sample =
                    noise(((t * height + y) as u32).wrapping_mul(0x1003d) ^ (x as u32) << 7) % spread;
                luma += sample as i32 - grain as i32;
            }
            data.push(luma.clamp(16, 235) as u8);
        }
    }
    for y in 0..height / 2 {
        for x in 0..width / 2 {
            let scene = (x + t) as u32;
            data.push(112 + (noise((scene / 24) ^ ((y as u32 / 24) << 12)) / 8) as u8);
            data.push(120 + (y * 16 / height) as u8);
        }
    }
    let time = FrameRate::FPS_30.timestamp_of(index, Timescale::VIDEO);
    Picture::nv12(size, Bytes::from(data), time).expect("the planes were just filled")
}

/// The luma samples of a picture without its padding.
pub fn luma(picture: &Picture) -> Vec<u8> {
    let (bytes, plane) = picture.plane(0);
    (0..plane.rows).flat_map(|row| bytes[row * plane.stride..][..plane.row_bytes].iter().copied()).collect()
}

/// Blue and red chroma, whatever way the picture stores them.
pub fn chroma(picture: &Picture) -> (Vec<u8>, Vec<u8>) {
    let rows = |index: usize| -> Vec<u8> {
        let (bytes, plane) = picture.plane(index);
        (0..plane.rows).flat_map(|row| bytes[row * plane.stride..][..plane.row_bytes].to_vec()).collect()
    };
    match picture.format() {
        PixelFormat::Nv12 => {
            let pairs = rows(1);
            (pairs.iter().step_by(2).copied().collect(), pairs.iter().skip(1).step_by(2).copied().collect())
        }
        PixelFormat::I420 => (rows(1), rows(2)),
        other => panic!("{other:?} has no chroma planes"),
    }
}

/// Peak signal-to-noise ratio in dB: 10·log10(255² / mean squared error).
pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    if sum == 0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 * a.len() as f64 / sum as f64).log10() }
}

/// The NAL units of an Annex B access unit (ITU-T H.264 B.1), without start codes.
pub fn nal_units(unit: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = Vec::new();
    let mut i = 0;
    while i + 3 <= unit.len() {
        if unit[i..i + 3] == [0, 0, 1] {
            starts.push(i + 3);
            i += 3;
        } else {
            i += 1;
        }
    }
    let ends = starts.iter().skip(1).map(|&next| next - 3).chain([unit.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            let mut nal = &unit[start..end];
            // The zero byte of a four-byte start code, and trailing zeros, belong to no unit.
            while let [rest @ .., 0] = nal {
                nal = rest;
            }
            nal
        })
        .collect()
}

/// The NAL unit types of an access unit, in order.
pub fn nal_types(unit: &[u8]) -> Vec<u8> {
    nal_units(unit).iter().map(|nal| nal[0] & 0x1f).collect()
}
