//! Applying an [`Axis`] across a row, and rows onto each other.
//!
//! Across a row, a group of destination pixels takes its source pixels from two registers by a shuffle: a gather
//! or scalar loads cost six times as much.

use super::isa::{Isa, Kind, for_each_isa};
use crate::filter::Axis;

/// An axis made ready for an instruction set.
#[derive(Debug, Default)]
pub struct Columns {
    axis: Axis,
    /// Destination pixels that are made at once; 0 where the axis is applied one by one.
    lanes: usize,
    groups: Vec<Group>,
    /// For each group and tap, `lanes` places within its two registers.
    places: Vec<i32>,
    /// For each group and tap, `lanes` weights.
    weights: Vec<f32>,
}

/// `lanes` destination pixels; the last group may repeat some of the one before.
#[derive(Clone, Copy, Debug)]
struct Group {
    dest: u32,
    /// The source pixel that its two registers begin with: `2 · lanes` of them are read.
    source: u32,
}

impl Columns {
    pub fn new(isa: Isa, axis: Axis) -> Self {
        let lanes = match isa.kind() {
            Kind::Baseline => 0,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => 8,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => 16,
        };
        let mut columns = Self { axis, ..Self::default() };
        if lanes > 0 && columns.axis.len() >= lanes && columns.axis.source() >= 2 * lanes {
            columns.group(lanes);
        }
        columns
    }

    /// Fails silently, leaving no groups, where a group's sources do not fit two registers (more than twofold
    /// reduction).
    fn group(&mut self, lanes: usize) {
        let axis = &self.axis;
        let (first, taps) = (axis.first(), axis.taps());
        let (mut groups, mut places, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for start in (0..axis.len()).step_by(lanes) {
            let dest = start.min(axis.len() - lanes);
            let source = (first[dest] as usize).min(axis.source() - 2 * lanes);
            for tap in 0..taps {
                for (x, first) in first.iter().enumerate().skip(dest).take(lanes) {
                    let place = *first as usize + tap - source;
                    if place >= 2 * lanes {
                        return;
                    }
                    places.push(place as i32);
                    weights.push(axis.weights(x)[tap]);
                }
            }
            groups.push(Group { dest: dest as u32, source: source as u32 });
        }
        (self.lanes, self.groups, self.places, self.weights) = (lanes, groups, places, weights);
    }

    /// `dst[x] = Σ weight · src[first + tap]`, summed in the order of the taps whatever the instruction set.
    pub fn across(&self, src: &[f32], dst: &mut [f32]) {
        let (src, dst) = (&src[..self.axis.source()], &mut dst[..self.axis.len()]);
        match self.lanes {
            // SAFETY: lanes are 16 or 8 only for an `Isa` that was seen to have the instructions. Of every group,
            // `new` saw to it that `dest + lanes` is within `dst` and `source + 2 · lanes` within `src`.
            #[cfg(target_arch = "x86_64")]
            16 => unsafe { x86::across_avx512(self, src, dst) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            8 => unsafe { x86::across_avx2(self, src, dst) },
            _ => self.one_by_one(src, dst),
        }
    }

    fn one_by_one(&self, src: &[f32], dst: &mut [f32]) {
        match self.axis.taps() {
            1 => self.fixed::<1>(src, dst),
            2 => self.fixed::<2>(src, dst),
            3 => self.fixed::<3>(src, dst),
            4 => self.fixed::<4>(src, dst),
            _ => self.any_taps(src, dst),
        }
    }

    /// With a count of taps that the compiler knows, which unrolls them.
    fn fixed<const TAPS: usize>(&self, src: &[f32], dst: &mut [f32]) {
        let (weights, _) = self.axis.all_weights().as_chunks::<TAPS>();
        for ((d, first), weights) in dst.iter_mut().zip(self.axis.first()).zip(weights) {
            let taps = &src[*first as usize..][..TAPS];
            let mut sum = weights[0] * taps[0];
            for tap in 1..TAPS {
                sum += weights[tap] * taps[tap];
            }
            *d = sum;
        }
    }

    fn any_taps(&self, src: &[f32], dst: &mut [f32]) {
        for (x, (d, first)) in dst.iter_mut().zip(self.axis.first()).enumerate() {
            let weights = self.axis.weights(x);
            let taps = &src[*first as usize..][..weights.len()];
            let mut sum = weights[0] * taps[0];
            for (weight, tap) in weights[1..].iter().zip(&taps[1..]) {
                sum += weight * tap;
            }
            *d = sum;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_add_ps, _mm256_blendv_ps, _mm256_castsi256_ps, _mm256_loadu_ps,
        _mm256_loadu_si256, _mm256_mul_ps, _mm256_permutevar8x32_ps, _mm256_slli_epi32, _mm256_storeu_ps,
        _mm512_add_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_permutex2var_ps,
        _mm512_storeu_ps,
    };

    use super::Columns;

    /// # Safety
    /// Every group's destination and sources lie within the slices.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn across_avx512(columns: &Columns, src: &[f32], dst: &mut [f32]) {
        let taps = columns.axis.taps();
        for (number, group) in columns.groups.iter().enumerate() {
            // SAFETY: the caller's promise; places and weights hold `taps · 16` values for each group.
            unsafe {
                let from = src.as_ptr().add(group.source as usize);
                let (low, high) = (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16)));
                let mut at = number * taps * 16;
                let tap = |at: usize| {
                    let place = _mm512_loadu_si512(columns.places.as_ptr().add(at).cast::<__m512i>());
                    let weight = _mm512_loadu_ps(columns.weights.as_ptr().add(at));
                    _mm512_mul_ps(weight, _mm512_permutex2var_ps(low, place, high))
                };
                let mut sum = tap(at);
                for _ in 1..taps {
                    at += 16;
                    sum = _mm512_add_ps(sum, tap(at));
                }
                _mm512_storeu_ps(dst.as_mut_ptr().add(group.dest as usize), sum);
            }
        }
    }

    /// # Safety
    /// Every group's destination and sources lie within the slices.
    #[target_feature(enable = "avx2")]
    pub unsafe fn across_avx2(columns: &Columns, src: &[f32], dst: &mut [f32]) {
        let taps = columns.axis.taps();
        for (number, group) in columns.groups.iter().enumerate() {
            // SAFETY: the caller's promise; places and weights hold `taps · 8` values for each group.
            unsafe {
                let from = src.as_ptr().add(group.source as usize);
                let (low, high) = (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)));
                let mut at = number * taps * 8;
                let tap = |at: usize| {
                    let place = _mm256_loadu_si256(columns.places.as_ptr().add(at).cast::<__m256i>());
                    let weight = _mm256_loadu_ps(columns.weights.as_ptr().add(at));
                    // A shuffle takes the place's low three bits; the fourth, made the sign, chooses the register.
                    let choose = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(place));
                    let (low, high) =
                        (_mm256_permutevar8x32_ps(low, place), _mm256_permutevar8x32_ps(high, place));
                    _mm256_mul_ps(weight, _mm256_blendv_ps(low, high, choose))
                };
                let mut sum = tap(at);
                for _ in 1..taps {
                    at += 8;
                    sum = _mm256_add_ps(sum, tap(at));
                }
                _mm256_storeu_ps(dst.as_mut_ptr().add(group.dest as usize), sum);
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
