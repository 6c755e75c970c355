//! Colour arithmetic that both backends share: sRGB's curve as polynomials, and the Y′CbCr matrices.
//!
//! Written with plain multiplications and additions (Rust never fuses them), so every instruction set gives
//! the same bits. `shaders/common/color.wgsl` repeats the constants; a test compares the two.

use media::{ColorMatrix, ColorRange};

/// Where sRGB's straight part meets its curve, linear (IEC 61966-2-1).
pub const TOE_LINEAR: f32 = 0.003_130_8;
/// The same, encoded.
pub const TOE_ENCODED: f32 = 0.040_45;
const TOE_SLOPE: f32 = 12.92;

/// Minimax fit of `1.055·s^(2/2.4) − 0.055` in `s = √x` over [`TOE_LINEAR`, 1], constant term first. Its error of
/// 7.2e-5 is a 55th of a code. One root and degree 7 cost less than two roots and degree 4: roots are slow.
pub const ENCODE: [f32; 8] =
    [-0.043_782_77, 1.623_919_4, -2.425_736, 6.528_085, -11.812_204, 12.843_184, -7.557_302, 1.843_908];

/// Minimax fit of `((x + 0.055)/1.055)^2.4` over [`TOE_ENCODED`, 1], weighted so that the error is at most 4.9e-5
/// after encoding again.
pub const DECODE: [f32; 6] =
    [0.000_916_890_7, 0.032_746_08, 0.519_381_94, 0.667_160_7, -0.307_377_72, 0.087_282_44];

/// Clamped to 0..=1; NaN becomes 0. Compiles to two instructions, where `clamp` takes four.
#[inline(always)]
pub fn unit(x: f32) -> f32 {
    let x = if x > 0.0 { x } else { 0.0 };
    if x < 1.0 { x } else { 1.0 }
}

/// Linear light to sRGB; clamps to 0..=1.
#[inline(always)]
pub fn encode(x: f32) -> f32 {
    let x = unit(x);
    let s = x.sqrt();
    let mut curve = ENCODE[7];
    for c in [ENCODE[6], ENCODE[5], ENCODE[4], ENCODE[3], ENCODE[2], ENCODE[1], ENCODE[0]] {
        curve = curve * s + c;
    }
    let toe = TOE_SLOPE * x;
    if x > TOE_LINEAR { curve } else { toe }
}

/// sRGB to linear light, for 0..=1.
#[inline(always)]
pub fn decode(x: f32) -> f32 {
    let mut curve = DECODE[5];
    for c in [DECODE[4], DECODE[3], DECODE[2], DECODE[1], DECODE[0]] {
        curve = curve * x + c;
    }
    let toe = x * (1.0 / TOE_SLOPE);
    if x > TOE_ENCODED { curve } else { toe }
}

/// 0..=1 to a code, rounded to nearest.
#[inline(always)]
pub fn code(x: f32, scale: f32, offset: f32) -> u8 {
    let value = x * scale + (offset + 0.5);
    // SAFETY: callers hand in encoded colour, so the value lies in 0.0..256.0.
    unsafe { value.to_int_unchecked::<i32>() as u8 }
}

/// Red's and blue's share of luma.
pub const fn luma_weights(matrix: ColorMatrix) -> (f32, f32) {
    match matrix {
        // BT.601-7 §2.5.1.
        ColorMatrix::Bt601 => (0.299, 0.114),
        // BT.709-6 §3.2; RGB pictures have no matrix, and this one is the programme's.
        ColorMatrix::Bt709 | ColorMatrix::Identity => (0.2126, 0.0722),
    }
}

/// How codes of Y′CbCr become R′G′B′: `R = y + rv·Cr` and so on, with `y = (Y − y_zero)·y_scale` and chroma
/// codes less 128.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FromYuv {
    pub y_zero: f32,
    pub y_scale: f32,
    pub red_cr: f32,
    pub green_cb: f32,
    pub green_cr: f32,
    pub blue_cb: f32,
}

impl FromYuv {
    pub fn new(matrix: ColorMatrix, range: ColorRange) -> Self {
        let (red, blue) = luma_weights(matrix);
        let green = 1.0 - red - blue;
        let (y_zero, y_span, c_span) = match range {
            ColorRange::Limited => (16.0, 219.0, 224.0),
            ColorRange::Full => (0.0, 255.0, 255.0),
        };
        let (cr, cb) = (2.0 * (1.0 - red) / c_span, 2.0 * (1.0 - blue) / c_span);
        Self {
            y_zero,
            y_scale: 1.0 / y_span,
            red_cr: cr,
            green_cb: -cb * blue / green,
            green_cr: -cr * red / green,
            blue_cb: cb,
        }
    }
}

/// R′G′B′ in 0..=1 to BT.709 limited range, as the programme is sent.
pub struct ToYuv;

impl ToYuv {
    pub const RED: f32 = 0.2126;
    pub const GREEN: f32 = 0.7152;
    pub const BLUE: f32 = 0.0722;
    /// Codes from black to white, and black's code.
    pub const Y_SCALE: f32 = 219.0;
    pub const Y_ZERO: f32 = 16.0;
    pub const C_ZERO: f32 = 128.0;
    /// From B′ − Y′ and R′ − Y′ to codes about 128.
    pub const CB_SCALE: f32 = 224.0 / (2.0 * (1.0 - Self::BLUE));
    pub const CR_SCALE: f32 = 224.0 / (2.0 * (1.0 - Self::RED));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact_encode(x: f64) -> f64 {
        if x > 0.003_130_8 { 1.055 * x.powf(1.0 / 2.4) - 0.055 } else { 12.92 * x }
    }

    fn exact_decode(x: f64) -> f64 {
        if x > 0.040_45 { ((x + 0.055) / 1.055).powf(2.4) } else { x / 12.92 }
    }

    #[test]
    fn encoding_is_within_a_fiftieth_of_a_code_of_the_standard() {
        for i in 0..=100_000 {
            let x = f64::from(i) / 100_000.0;
            let error = (f64::from(encode(x as f32)) - exact_encode(x)).abs();
            assert!(error * 255.0 < 0.02, "{x}: off by {error}");
        }
    }

    #[test]
    fn decoding_then_encoding_exactly_is_within_a_fiftieth_of_a_code() {
        for i in 0..=100_000 {
            let x = f64::from(i) / 100_000.0;
            let error = (exact_encode(f64::from(decode(x as f32))) - x).abs();
            assert!(error * 255.0 < 0.02, "{x}: off by {error}");
            assert!((f64::from(decode(x as f32)) - exact_decode(x)).abs() < 2e-4);
        }
    }

    #[test]
    fn every_byte_survives_decoding_and_encoding() {
        for byte in 0..=255u8 {
            let back = code(encode(decode(f32::from(byte) / 255.0)), 255.0, 0.0);
            assert_eq!(back, byte);
        }
    }

    #[test]
    fn light_that_is_no_number_or_out_of_range_is_clamped() {
        assert_eq!(encode(f32::NAN), 0.0);
        assert_eq!(encode(-3.0), 0.0);
        assert_eq!(code(encode(f32::INFINITY), 255.0, 0.0), 255);
    }

    #[test]
    fn bt709_white_and_red_codes_become_white_and_red() {
        // BT.709-6 §3.5: white is Y 235; red is Y 16 + 219·0.2126 = 62.6, Cr 240.
        let m = FromYuv::new(ColorMatrix::Bt709, ColorRange::Limited);
        assert!(((235.0 - m.y_zero) * m.y_scale - 1.0).abs() < 1e-6);
        let y = (16.0 + 219.0 * 0.2126 - m.y_zero) * m.y_scale;
        let (cb, cr) = (-112.0 * 0.2126 / 0.9278, 112.0);
        assert!((y + m.red_cr * cr - 1.0).abs() < 1e-5);
        assert!((y + m.green_cb * cb + m.green_cr * cr).abs() < 1e-5);
        assert!((y + m.blue_cb * cb).abs() < 1e-5);
    }
}
