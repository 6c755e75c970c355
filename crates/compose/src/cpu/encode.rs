//! From rows of linear light to the codes that encoders and screens take.

use super::isa::{Isa, for_each_isa};
use super::row::Light;
use crate::color::{ToYuv, code, encode};

/// Chroma of a pair of rows at full width, with one pixel of padding on the left.
#[derive(Debug)]
pub struct ChromaPair {
    cb: [Vec<f32>; 2],
    cr: [Vec<f32>; 2],
}

impl ChromaPair {
    pub fn new(width: usize) -> Self {
        // Room for the padding on the left and, for odd widths, for the repeated last column.
        let row = || vec![0.0; width + 2];
        Self { cb: [row(), row()], cr: [row(), row()] }
    }

    /// One row's luma, and its chroma kept for [`ChromaPair::finish`]. `parity` is 0 for the upper row.
    pub fn row(&mut self, isa: Isa, light: Light<'_>, parity: usize, luma: &mut [u8]) {
        let width = luma.len();
        let (cb, cr) = (&mut self.cb[parity][1..], &mut self.cr[parity][1..]);
        let Light { red, green, blue } = light;
        yuv_row(isa, red, green, blue, luma, &mut cb[..width], &mut cr[..width]);
        for plane in [&mut self.cb[parity], &mut self.cr[parity]] {
            plane[0] = plane[1];
            plane[width + 1] = plane[width];
        }
    }

    /// The last row of a picture of odd height has no other: it pairs with itself.
    pub fn repeat_row(&mut self) {
        for [upper, lower] in [&mut self.cb, &mut self.cr] {
            lower.copy_from_slice(upper);
        }
    }

    /// The pair's interleaved Cb, Cr: midway between the rows, on the even columns (siting "left"), from one, two and
    /// one quarters of the columns around.
    pub fn finish(&mut self, isa: Isa, out: &mut [u8]) {
        for [upper, lower] in [&mut self.cb, &mut self.cr] {
            sum(isa, upper, lower);
        }
        chroma_row(isa, &self.cb[0], &self.cr[0], out);
    }
}

for_each_isa! {
    fn yuv_row(red: &[f32], green: &[f32], blue: &[f32], luma: &mut [u8], cb: &mut [f32], cr: &mut [f32]) {
        let light = red.iter().zip(green).zip(blue);
        for (((((r, g), b), y), cb), cr) in light.zip(luma).zip(cb).zip(cr) {
            let (r, g, b) = (encode(*r), encode(*g), encode(*b));
            let bright = ToYuv::RED * r + ToYuv::GREEN * g + ToYuv::BLUE * b;
            *y = code(bright, ToYuv::Y_SCALE, ToYuv::Y_ZERO);
            *cb = b - bright;
            *cr = r - bright;
        }
    }
}

for_each_isa! {
    fn sum(upper: &mut [f32], lower: &[f32]) {
        for (u, l) in upper.iter_mut().zip(lower) {
            *u += l;
        }
    }
}

for_each_isa! {
    fn chroma_row(cb: &[f32], cr: &[f32], out: &mut [u8]) {
        // Two rows and weights of 1, 2, 1.
        const SHARE: f32 = 1.0 / 8.0;
        let (out, _) = out.as_chunks_mut::<2>();
        let columns = |plane: &[f32], i: usize| plane[2 * i] + 2.0 * plane[2 * i + 1] + plane[2 * i + 2];
        let (cb, cr) = (&cb[..2 * out.len() + 1], &cr[..2 * out.len() + 1]);
        for (i, pair) in out.iter_mut().enumerate() {
            *pair = [
                code(columns(cb, i), ToYuv::CB_SCALE * SHARE, ToYuv::C_ZERO),
                code(columns(cr, i), ToYuv::CR_SCALE * SHARE, ToYuv::C_ZERO),
            ];
        }
    }
}

for_each_isa! {
    /// One row as opaque RGBA.
    pub fn rgba_row(red: &[f32], green: &[f32], blue: &[f32], out: &mut [u8]) {
        let (out, _) = out.as_chunks_mut::<4>();
        for (((pixel, r), g), b) in out.iter_mut().zip(red).zip(green).zip(blue) {
            let [r, g, b] = [*r, *g, *b].map(|light| u32::from(code(encode(light), 255.0, 0.0)));
            *pixel = (r | g << 8 | b << 16 | 0xff00_0000).to_le_bytes();
        }
    }
}
