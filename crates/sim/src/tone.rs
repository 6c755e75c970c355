//! From light to codes: exposure as film answers to it, hue kept, sRGB, dithered to eight bits.

use crate::glow::{CELL, Glow, between, stretch};
use crate::isa::{Isa, for_each_isa};
use crate::pool::Threads;
use crate::splat::{BAND_ROWS, WHITE};

/// A band of the picture and what finishing it needs.
#[derive(Default)]
struct Band {
    upper: [Vec<f32>; 3],
    lower: [Vec<f32>; 3],
    dither: Vec<f32>,
}

/// Makes pictures of light.
#[derive(Default)]
pub struct Toner {
    bands: Vec<Band>,
}

struct Job<'a> {
    scratch: &'a mut Band,
    pixels: &'a mut [u8],
}

impl Toner {
    /// Writes RGBA, opaque, from light by band and its spill.
    pub fn develop(
        &mut self,
        light: &[Vec<u16>],
        glow: &Glow,
        width: usize,
        rgba: &mut [u8],
        threads: &Threads,
        isa: Isa,
    ) {
        self.bands.resize_with(light.len(), Band::default);
        let mut jobs: Vec<Job<'_>> = (self.bands.iter_mut().zip(rgba.chunks_mut(BAND_ROWS * width * 4)))
            .map(|(scratch, pixels)| Job { scratch, pixels })
            .collect();
        threads.each(&mut jobs, |band, job| {
            develop_band(isa, &light[band], glow, band, width, job.scratch, job.pixels);
        });
    }
}

for_each_isa! {
    fn develop_band(
        light: &[u16],
        glow: &Glow,
        band: usize,
        width: usize,
        scratch: &mut Band,
        pixels: &mut [u8],
    ) = develop_body
}

#[inline(always)]
fn develop_body(
    light: &[u16],
    glow: &Glow,
    band: usize,
    width: usize,
    scratch: &mut Band,
    pixels: &mut [u8],
) {
    let planes = glow.planes();
    let padded = planes[0].width * CELL;
    let Band { upper, lower, dither } = scratch;
    for row in upper.iter_mut().chain(lower.iter_mut()) {
        row.resize(padded, 0.0);
    }
    dither.resize(width, 0.0);
    let mut above = usize::MAX;
    for (y, out) in pixels.chunks_exact_mut(width * 4).enumerate() {
        let whole = band * BAND_ROWS + y;
        let (row, part) = between(whole);
        if row != above {
            above = row;
            for c in 0..3 {
                stretch(planes[c].row(row), &mut upper[c]);
                stretch(planes[c].row(row + 1), &mut lower[c]);
            }
        }
        noise(whole, dither);
        let spill = [0, 1, 2].map(|c| (&upper[c][..width], &lower[c][..width]));
        develop_row(&light[y * width * 4..(y + 1) * width * 4], spill, part, dither, out);
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
fn develop_row(light: &[u16], spill: [(&[f32], &[f32]); 3], part: f32, dither: &[f32], out: &mut [u8]) {
    let width = dither.len();
    // Equal lengths that the compiler can see: then nothing in the loop can fail, and it becomes vector code.
    let [red, green, blue] = spill.map(|(upper, lower)| (&upper[..width], &lower[..width]));
    let light = &light.as_chunks::<4>().0[..width];
    let out = &mut out.as_chunks_mut::<4>().0[..width];
    for x in 0..width {
        let of = |c: usize, (upper, lower): (&[f32], &[f32])| {
            f32::from(light[x][c]) * (1.0 / WHITE) + (upper[x] + (lower[x] - upper[x]) * part)
        };
        let (r, g, b) = (of(0, red), of(1, green), of(2, blue));
        let most = if r > g { r } else { g };
        let most = if most > b { most } else { b };
        let answer = film(most);
        let peak = most * answer;
        // Only what is far brighter than white bleaches: fire stays orange until its very core.
        let peak2 = peak * peak;
        let peak4 = peak2 * peak2;
        let bleach = peak4 * peak4 * 0.92;
        let code = |light: f32| {
            let kept = light * answer;
            let level = srgb(kept + (peak - kept) * bleach) * 255.0 + dither[x] - 0.5;
            let level = if level > 0.0 { level } else { 0.0 };
            let level = if level < 255.0 { level } else { 255.0 };
            // Rounds; a whole number then stands in the low bits of the float.
            (level + 8_388_608.0).to_bits() as u8
        };
        out[x] = [code(r), code(g), code(b), 255];
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
