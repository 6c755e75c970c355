//! Applying an [`Axis`] across a row, and rows onto each other.

use super::isa::{Isa, for_each_isa};
use crate::filter::Axis;

/// `dst[x] = Σ weight · src[first + tap]`.
pub fn across(isa: Isa, axis: &Axis, src: &[f32], dst: &mut [f32]) {
    let dst = &mut dst[..axis.len()];
    taps_across(isa, axis, src, dst);
}

for_each_isa! {
    fn taps_across(axis: &Axis, src: &[f32], dst: &mut [f32]) {
        let needed = axis.first().iter().max().map_or(0, |first| *first as usize + axis.taps());
        assert!(src.len() >= needed, "a row shorter than its axis");
        for tap in 0..axis.taps() {
            let src = &src[tap..];
            for ((d, first), weight) in dst.iter_mut().zip(axis.first()).zip(axis.weights(tap)) {
                // SAFETY: `first + taps <= src.len()` was asserted above.
                let value = weight * unsafe { *src.get_unchecked(*first as usize) };
                *d = if tap == 0 { value } else { *d + value };
            }
        }
    }
}

for_each_isa! {
    /// `dst = src · weight`.
    pub fn set(dst: &mut [f32], src: &[f32], weight: f32) {
        for (d, s) in dst.iter_mut().zip(src) {
            *d = s * weight;
        }
    }
}

for_each_isa! {
    /// `dst += src · weight`.
    pub fn accumulate(dst: &mut [f32], src: &[f32], weight: f32) {
        for (d, s) in dst.iter_mut().zip(src) {
            *d += s * weight;
        }
    }
}
