//! One row of a layer meets the programme, in linear light.

use super::isa::{Isa, for_each_isa};
use super::row::{Light, LightMut};
use crate::scene::Blend;

/// Blends premultiplied `src` over `dst`; without `alpha` it is opaque.
pub fn blend_row(
    isa: Isa,
    blend: Blend,
    opacity: f32,
    dst: LightMut<'_>,
    src: Light<'_>,
    alpha: Option<&[f32]>,
) {
    let LightMut { red, green, blue } = dst;
    for (d, s) in [red, green, blue].into_iter().zip(src.planes()) {
        match (blend, alpha) {
            (Blend::Normal, Some(a)) => over(isa, d, s, a, opacity),
            (Blend::Normal, None) => mix(isa, d, s, opacity),
            (Blend::Add, _) => add(isa, d, s, opacity),
            (Blend::Screen, _) => screen(isa, d, s, opacity),
            (Blend::Multiply, Some(a)) => multiply(isa, d, s, a, opacity),
            (Blend::Multiply, None) => multiply_opaque(isa, d, s, opacity),
        }
    }
}

/// Mixes a row of the scene that goes into the same row of the one that comes, of which there is `share`.
pub fn fade_row(isa: Isa, share: f32, to: LightMut<'_>, from: Light<'_>) {
    let LightMut { red, green, blue } = to;
    for (to, from) in [red, green, blue].into_iter().zip(from.planes()) {
        fade(isa, to, from, share);
    }
}

/// Blends one premultiplied colour over `dst`.
pub fn blend_colour(isa: Isa, blend: Blend, [r, g, b, alpha]: [f32; 4], dst: LightMut<'_>) {
    let LightMut { red, green, blue } = dst;
    for (d, s) in [red, green, blue].into_iter().zip([r, g, b]) {
        // Each mode is `d·k + s` for one colour.
        let keep = match blend {
            Blend::Normal => 1.0 - alpha,
            Blend::Add => 1.0,
            Blend::Screen => {
                screen_colour(isa, d, s);
                continue;
            }
            Blend::Multiply => {
                scale_add(isa, d, 1.0 - alpha + s, 0.0);
                continue;
            }
        };
        scale_add(isa, d, keep, s);
    }
}

for_each_isa! {
    fn over(dst: &mut [f32], src: &[f32], alpha: &[f32], opacity: f32) {
        for ((d, s), a) in dst.iter_mut().zip(src).zip(alpha) {
            *d = *d * (1.0 - a * opacity) + s * opacity;
        }
    }
}

for_each_isa! {
    fn mix(dst: &mut [f32], src: &[f32], opacity: f32) {
        let keep = 1.0 - opacity;
        for (d, s) in dst.iter_mut().zip(src) {
            *d = *d * keep + s * opacity;
        }
    }
}

for_each_isa! {
    fn fade(to: &mut [f32], from: &[f32], share: f32) {
        let rest = 1.0 - share;
        for (t, f) in to.iter_mut().zip(from) {
            *t = f * rest + *t * share;
        }
    }
}

for_each_isa! {
    fn add(dst: &mut [f32], src: &[f32], opacity: f32) {
        for (d, s) in dst.iter_mut().zip(src) {
            *d += s * opacity;
        }
    }
}

for_each_isa! {
    /// What is brighter than white already stays so, since `s` is at most 1.
    fn screen(dst: &mut [f32], src: &[f32], opacity: f32) {
        for (d, s) in dst.iter_mut().zip(src) {
            *d += s * opacity * (1.0 - *d);
        }
    }
}

for_each_isa! {
    fn multiply(dst: &mut [f32], src: &[f32], alpha: &[f32], opacity: f32) {
        for ((d, s), a) in dst.iter_mut().zip(src).zip(alpha) {
            *d *= 1.0 - a * opacity + s * opacity;
        }
    }
}

for_each_isa! {
    fn multiply_opaque(dst: &mut [f32], src: &[f32], opacity: f32) {
        let keep = 1.0 - opacity;
        for (d, s) in dst.iter_mut().zip(src) {
            *d *= keep + s * opacity;
        }
    }
}

for_each_isa! {
    fn scale_add(dst: &mut [f32], scale: f32, plus: f32) {
        for d in dst {
            *d = *d * scale + plus;
        }
    }
}

for_each_isa! {
    fn screen_colour(dst: &mut [f32], s: f32) {
        for d in dst {
            *d += s * (1.0 - *d);
        }
    }
}
