//! From light to codes: exposure as film answers to it, hue kept, sRGB, dithered to eight bits.

// Loops run over pixels by number: one index into many rows is what becomes vector code.
#![allow(clippy::needless_range_loop)]

use crate::exact::ROUND;
use crate::glow::{CELL, Glow, between, stretch};
use crate::isa::{Isa, for_each_isa};
use crate::pool::Threads;
use crate::splat::{BAND_ROWS, Band, Pixel, WHITE};

/// Writes RGBA, opaque, from light by band and its spill.
pub fn develop(light: &[Band], glow: &Glow, width: usize, rgba: &mut [u8], threads: &Threads, isa: Isa) {
    let mut bands: Vec<&mut [u8]> = rgba.chunks_mut(BAND_ROWS * width * 4).collect();
    threads.each(&mut bands, |band, pixels| {
        develop_band(isa, &light[band].pixels, glow, band, width, pixels);
    });
}

for_each_isa! {
    fn develop_band(light: &[Pixel], glow: &Glow, band: usize, width: usize, pixels: &mut [u8]) = develop_body
}

#[inline(always)]
fn develop_body(light: &[Pixel], glow: &Glow, band: usize, width: usize, pixels: &mut [u8]) {
    let planes = glow.planes();
    // Some kilobytes, and the same ones for each band of a thread: they stay in the first cache.
    let row = || [(); 3].map(|()| vec![0.0; planes[0].width * CELL]);
    let (mut upper, mut lower, mut dither) = (row(), row(), vec![0.0; width]);
    let mut above = None;
    for (y, out) in pixels.chunks_exact_mut(width * 4).enumerate() {
        let whole = band * BAND_ROWS + y;
        let (row, part) = between(whole);
        if above != Some(row) {
            if above.map(|above| above + 1) == Some(row) {
                std::mem::swap(&mut upper, &mut lower);
            } else {
                for c in 0..3 {
                    stretch(planes[c].row(row), &mut upper[c]);
                }
            }
            for c in 0..3 {
                stretch(planes[c].row(row + 1), &mut lower[c]);
            }
            above = Some(row);
        }
        noise(whole, &mut dither);
        let spill = [0, 1, 2].map(|c| (&upper[c][..width], &lower[c][..width]));
        develop_row(&light[y * width..][..width], spill, part, &dither, out);
    }
}

/// Interleaved gradient noise (Jimenez, "Next Generation Post Processing in Call of Duty", SIGGRAPH 2014),
/// in [0, 1). It stands still, so an encoder does not pay for it again in every frame.
#[inline(always)]
fn noise(y: usize, out: &mut [f32]) {
    let down = 0.005_837_15 * y as f32;
    for (x, value) in out.iter_mut().enumerate() {
        let sum = 0.067_110_56 * x as f32 + down;
        let inner = 52.982_918 * (sum - floor(sum));
        *value = inner - floor(inner);
    }
}

/// For 0 ≤ x < 2^22.
#[inline(always)]
fn floor(x: f32) -> f32 {
    let whole = (x + 8_388_608.0) - 8_388_608.0;
    if whole > x { whole - 1.0 } else { whole }
}

#[inline(always)]
fn develop_row(light: &[Pixel], spill: [(&[f32], &[f32]); 3], part: f32, dither: &[f32], out: &mut [u8]) {
    let width = dither.len();
    // Equal lengths that the compiler can see: then nothing in the loop can fail, and it becomes vector code.
    // An array of them would hide that, and leave a scalar rest of sixteen pixels in every row.
    let [(red, red_below), (green, green_below), (blue, blue_below)] = spill;
    let (red, green, blue) = (&red[..width], &green[..width], &blue[..width]);
    let (red_below, green_below) = (&red_below[..width], &green_below[..width]);
    let blue_below = &blue_below[..width];
    let light = &light[..width];
    let out = &mut out.as_chunks_mut::<4>().0[..width];
    for x in 0..width {
        let of = |own: u32, upper: f32, lower: f32| {
            own as i32 as f32 * (1.0 / WHITE) + (upper + (lower - upper) * part)
        };
        let [red_green, own_blue] = light[x];
        let r = of(red_green & 0xffff, red[x], red_below[x]);
        let g = of(red_green >> 16, green[x], green_below[x]);
        let b = of(own_blue, blue[x], blue_below[x]);
        let most = if r > g { r } else { g };
        let most = if most > b { most } else { b };
        let answer = film(most);
        let peak = most * answer;
        // Only what is far brighter than white bleaches: fire stays orange until its very core.
        let peak2 = peak * peak;
        let peak4 = peak2 * peak2;
        let bleach = peak4 * peak4 * 0.92;
        let (kept, white) = (answer - answer * bleach, peak * bleach);
        let code = |light: f32| {
            // From −½ to 255.4: no light is more than the peak, and the curve ends a little below 1.
            let level = srgb(light * kept + white) * 255.0 + (dither[x] - 0.5);
            // Rounds; a whole number then stands in the low bits of the float.
            (level + ROUND).to_bits() & 0xff
        };
        out[x] = (code(r) | (code(g) << 8) | (code(b) << 16) | 0xff00_0000).to_le_bytes();
    }
}

/// (1 − 1/(1 + m + m²/2 + m³/6))/m: how much of light m is kept. Close to 1 − e^−m over m, without an
/// exponential, and without dividing by a small m.
#[inline(always)]
fn film(m: f32) -> f32 {
    // Beyond this, white; and the cube stays finite.
    let m = if m < 1_000.0 { m } else { 1_000.0 };
    let rest = 1.0 + m * (0.5 + m * (1.0 / 6.0));
    rest / (1.0 + m * rest)
}

/// The sRGB curve (IEC 61966-2-1) for 0 ≤ x ≤ 1.
#[inline(always)]
fn srgb(x: f32) -> f32 {
    let root = x.sqrt();
    // Least greatest error over the curved part: 7.5e-4, a fifth of a code.
    let curve = 0.842_906_5 - 0.309_606_76 * root;
    let curve = 1.447_939_6 + root * (-0.944_975_26 + root * curve);
    let curve = -0.037_008_606 + root * curve;
    if x < 0.003_130_8 { 12.92 * x } else { curve }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_srgb_curve_is_the_standards_within_a_quarter_of_a_code() {
        for i in 0..=10_000 {
            let x = f64::from(i) / 10_000.0;
            let standard = if x <= 0.0031308 { 12.92 * x } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 };
            assert!((f64::from(srgb(x as f32)) - standard).abs() < 0.25 / 255.0, "at {x}");
        }
    }

    #[test]
    fn no_light_is_black_and_any_amount_stays_in_range() {
        assert_eq!(film(0.0), 1.0);
        let mut before = 0.0;
        for i in 0..2_000 {
            let m = i as f32 * 0.05;
            let shown = m * film(m);
            assert!(shown >= before - 1e-6 && shown <= 1.0, "{m} gives {shown}");
            before = shown;
        }
    }
}
