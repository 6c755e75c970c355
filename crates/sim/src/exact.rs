//! Arithmetic that gives the same bits on every machine: only IEEE 754 additions, multiplications,
//! divisions and square roots, in a written order, never fused, and random numbers that are counted.

/// 1.5 · 2^23: adding and taking it away again rounds to the nearest whole number (ties to even), for
/// magnitudes below 2^22. Unlike `round` it needs no instruction that SSE2 lacks.
pub const ROUND: f32 = 12_582_912.0;

/// The nearest whole number, for |x| < 2^22.
#[inline(always)]
pub fn nearest(x: f32) -> f32 {
    (x + ROUND) - ROUND
}

/// sin(2π·turns), within 3e-7, for |turns| < 2^22.
#[inline(always)]
pub fn sin_turns(turns: f32) -> f32 {
    let r = turns - nearest(turns);
    // The second half of each half-wave mirrors the first.
    let half = if r < 0.0 { -0.5 } else { 0.5 };
    let r = if r.abs() > 0.25 { half - r } else { r };
    let r2 = r * r;
    // The Taylor series of sin(2πr) to the eleventh power: below 6e-8 for |r| ≤ 1/4.
    let mut sum = -15.094_643;
    sum = sum * r2 + 42.058_693;
    sum = sum * r2 - 76.705_86;
    sum = sum * r2 + 81.605_25;
    sum = sum * r2 - 41.341_7;
    sum = sum * r2 + 6.283_185_5;
    sum * r
}

/// cos(2π·turns), within 3e-7.
#[inline(always)]
pub fn cos_turns(turns: f32) -> f32 {
    sin_turns(turns + 0.25)
}

/// sin(2π·turns) within 1.1e-3: enough for noise, in half the work.
#[inline(always)]
pub fn rough_sin_turns(turns: f32) -> f32 {
    let r = turns - nearest(turns);
    let parabola = r * (8.0 - 16.0 * r.abs());
    parabola * (0.775 + 0.225 * parabola.abs())
}

/// Four random words for a counter: pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering",
/// JCGT 9(3), 2020. Whole numbers only, so a shader gives the same.
#[inline(always)]
pub fn pcg4d(mut v: [u32; 4]) -> [u32; 4] {
    for word in &mut v {
        *word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    }
    let mix = |v: &mut [u32; 4]| {
        v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[3]));
        v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
        v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
        v[3] = v[3].wrapping_add(v[1].wrapping_mul(v[2]));
    };
    mix(&mut v);
    for word in &mut v {
        *word ^= *word >> 16;
    }
    mix(&mut v);
    v
}

/// A word as a number in [0, 1): its upper 24 bits, which a float holds exactly.
#[inline(always)]
pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[inline(always)]
pub fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub fn scaled(a: [f32; 3], by: f32) -> [f32; 3] {
    [a[0] * by, a[1] * by, a[2] * by]
}

pub fn plus(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// `a` at length one; up where it has no direction.
pub fn normalized(a: [f32; 3]) -> [f32; 3] {
    let length = dot(a, a).sqrt();
    if length > 1e-12 { scaled(a, 1.0 / length) } else { [0.0, 1.0, 0.0] }
}

/// Two unit vectors that make a right-handed frame with the unit vector `axis`.
pub fn frame_of(axis: [f32; 3]) -> ([f32; 3], [f32; 3]) {
    let other = if axis[1].abs() < 0.9 { [0.0, 1.0, 0.0] } else { [1.0, 0.0, 0.0] };
    let a = normalized(cross(other, axis));
    (a, cross(axis, a))
}

/// `v` turned about the y axis by whole turns.
pub fn turned_about_y(v: [f32; 3], turns: f32) -> [f32; 3] {
    let (sin, cos) = (sin_turns(turns), cos_turns(turns));
    [v[0] * cos + v[2] * sin, v[1], v[2] * cos - v[0] * sin]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    #[test]
    fn sine_and_cosine_stay_within_their_stated_error() {
        for i in -40_000..40_000 {
            let turns = i as f32 / 8_192.0;
            let true_sin = (f64::from(turns) * TAU).sin();
            assert!((f64::from(sin_turns(turns)) - true_sin).abs() < 3e-7, "sin at {turns}");
            let true_cos = (f64::from(turns) * TAU).cos();
            assert!((f64::from(cos_turns(turns)) - true_cos).abs() < 3e-7, "cos at {turns}");
            assert!((f64::from(rough_sin_turns(turns)) - true_sin).abs() < 1.1e-3, "rough at {turns}");
        }
    }

    #[test]
    fn random_words_are_even_and_differ_by_every_part_of_the_counter() {
        let base = pcg4d([1, 2, 3, 4]);
        for part in 0..4 {
            let mut counter = [1, 2, 3, 4];
            counter[part] ^= 1;
            let differing: u32 = pcg4d(counter).iter().zip(base).map(|(a, b)| (a ^ b).count_ones()).sum();
            // 128 bits, half of them on average; six standard deviations are 34.
            assert!((30..=98).contains(&differing), "part {part}: {differing} bits");
        }
        let mean = (0..65_536).map(|i| f64::from(unit(pcg4d([i, 0, 0, 0])[0]))).sum::<f64>() / 65_536.0;
        // The standard error of the mean is 0.289/256 = 0.0011.
        assert!((mean - 0.5).abs() < 0.006, "{mean}");
    }
}
