//! From a picture's bytes to rows of linear light, whatever its format, matrix and range.

use media::{Picture, PixelFormat};

use super::isa::{Isa, for_each_isa};
use super::row::LightMut;
use crate::color::{FromYuv, decode, unit};

/// Whether pictures of `format` carry alpha.
pub const fn has_alpha(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::Rgba8 | PixelFormat::Bgra8)
}

/// Room for one row of chroma while it is brought to full width.
#[derive(Default, Debug)]
pub struct ChromaRows {
    cb_half: Vec<f32>,
    cr_half: Vec<f32>,
    cb: Vec<f32>,
    cr: Vec<f32>,
    luma: Vec<u8>,
}

/// Columns `x..x + out.red.len()` of row `y`, premultiplied; `alpha` is written for formats that carry it.
///
/// The columns and the row must lie inside the picture.
pub fn read_row(
    isa: Isa,
    picture: &Picture,
    (x, y): (usize, usize),
    out: LightMut<'_>,
    alpha: &mut [f32],
    chroma: &mut ChromaRows,
) {
    let len = out.red.len();
    let LightMut { red, green, blue } = out;
    match picture.format() {
        PixelFormat::Rgba8 | PixelFormat::Bgra8 => {
            let (bytes, plane) = picture.plane(0);
            let start = y * plane.stride + x * 4;
            let pixels = &bytes[start..start + len * 4];
            if picture.format() == PixelFormat::Rgba8 {
                rgba_row(isa, pixels, red, green, blue, &mut alpha[..len]);
            } else {
                rgba_row(isa, pixels, blue, green, red, &mut alpha[..len]);
            }
        }
        PixelFormat::Nv12 | PixelFormat::I420 | PixelFormat::Yuyv => {
            let width = picture.size().width as usize;
            chroma.fit(width);
            chroma.load(isa, picture, y);
            let (bytes, plane) = picture.plane(0);
            let luma = if picture.format() == PixelFormat::Yuyv {
                &chroma.luma[x..x + len]
            } else {
                &bytes[y * plane.stride + x..][..len]
            };
            let m = FromYuv::new(picture.matrix(), picture.range());
            yuv_row(isa, m, luma, &chroma.cb[x..x + len], &chroma.cr[x..x + len], red, green, blue);
        }
    }
}

impl ChromaRows {
    fn fit(&mut self, width: usize) {
        let half = width.div_ceil(2);
        if self.cb.len() < half * 2 {
            self.cb_half.resize(half + 1, 0.0);
            self.cr_half.resize(half + 1, 0.0);
            self.cb.resize(half * 2, 0.0);
            self.cr.resize(half * 2, 0.0);
            self.luma.resize(half * 2, 0);
        }
    }

    /// Row `y`'s chroma less 128, at full width. Samples sit on the even columns (siting "left"); between rows of
    /// 4:2:0 they sit midway.
    fn load(&mut self, isa: Isa, picture: &Picture, y: usize) {
        let half = (picture.size().width as usize).div_ceil(2);
        let (cb_half, cr_half) = (&mut self.cb_half[..half + 1], &mut self.cr_half[..half + 1]);
        if picture.format() == PixelFormat::Yuyv {
            let (bytes, plane) = picture.plane(0);
            let row = &bytes[y * plane.stride..][..half * 4];
            split_yuyv(isa, row, &mut self.luma[..half * 2], cb_half, cr_half);
        } else {
            let rows = (picture.size().height as usize).div_ceil(2);
            let near = y / 2;
            let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(rows - 1) };
            let row = |index: usize, row: usize, len: usize| {
                let (bytes, plane) = picture.plane(index);
                &bytes[row * plane.stride..][..len]
            };
            if picture.format() == PixelFormat::Nv12 {
                mix_pairs(isa, row(1, near, half * 2), row(1, far, half * 2), cb_half, cr_half);
            } else {
                mix_plane(isa, row(1, near, half), row(1, far, half), cb_half);
                mix_plane(isa, row(2, near, half), row(2, far, half), cr_half);
            }
        }
        // The column after the last repeats it.
        cb_half[half] = cb_half[half - 1];
        cr_half[half] = cr_half[half - 1];
        widen(isa, cb_half, &mut self.cb[..half * 2]);
        widen(isa, cr_half, &mut self.cr[..half * 2]);
    }
}

for_each_isa! {
    fn rgba_row(pixels: &[u8], red: &mut [f32], green: &mut [f32], blue: &mut [f32], alpha: &mut [f32]) {
        let (pixels, _) = pixels.as_chunks::<4>();
        for ((((pixel, r), g), b), a) in pixels.iter().zip(red).zip(green).zip(blue).zip(alpha) {
            let p = u32::from_le_bytes(*pixel);
            let light = |shift: u32| decode(((p >> shift) & 255) as i32 as f32 * (1.0 / 255.0));
            let opacity = (p >> 24) as i32 as f32 * (1.0 / 255.0);
            *r = light(0) * opacity;
            *g = light(8) * opacity;
            *b = light(16) * opacity;
            *a = opacity;
        }
    }
}

for_each_isa! {
    #[allow(clippy::too_many_arguments, reason = "separate slices tell the compiler that they do not overlap")]
    fn yuv_row(
        m: FromYuv, luma: &[u8], cb: &[f32], cr: &[f32],
        red: &mut [f32], green: &mut [f32], blue: &mut [f32],
    ) {
        let chroma = cb.iter().zip(cr);
        for ((((y, (cb, cr)), r), g), b) in luma.iter().zip(chroma).zip(red).zip(green).zip(blue) {
            let y = (f32::from(*y) - m.y_zero) * m.y_scale;
            *r = decode(unit(y + m.red_cr * cr));
            *g = decode(unit(y + m.green_cb * cb + m.green_cr * cr));
            *b = decode(unit(y + m.blue_cb * cb));
        }
    }
}

for_each_isa! {
    fn mix_pairs(near: &[u8], far: &[u8], cb: &mut [f32], cr: &mut [f32]) {
        let (near, _) = near.as_chunks::<2>();
        let (far, _) = far.as_chunks::<2>();
        for (((n, f), cb), cr) in near.iter().zip(far).zip(cb).zip(cr) {
            *cb = f32::from(n[0]) * 0.75 + f32::from(f[0]) * 0.25 - 128.0;
            *cr = f32::from(n[1]) * 0.75 + f32::from(f[1]) * 0.25 - 128.0;
        }
    }
}

for_each_isa! {
    fn mix_plane(near: &[u8], far: &[u8], out: &mut [f32]) {
        for ((n, f), out) in near.iter().zip(far).zip(out) {
            *out = f32::from(*n) * 0.75 + f32::from(*f) * 0.25 - 128.0;
        }
    }
}

for_each_isa! {
    fn split_yuyv(row: &[u8], luma: &mut [u8], cb: &mut [f32], cr: &mut [f32]) {
        let (row, _) = row.as_chunks::<4>();
        let (luma, _) = luma.as_chunks_mut::<2>();
        for (((quad, y), cb), cr) in row.iter().zip(luma).zip(cb).zip(cr) {
            *y = [quad[0], quad[2]];
            *cb = f32::from(quad[1]) - 128.0;
            *cr = f32::from(quad[3]) - 128.0;
        }
    }
}

for_each_isa! {
    fn widen(half: &[f32], full: &mut [f32]) {
        let (full, _) = full.as_chunks_mut::<2>();
        for ((pair, this), next) in full.iter_mut().zip(half).zip(&half[1..]) {
            *pair = [*this, (*this + *next) * 0.5];
        }
    }
}
