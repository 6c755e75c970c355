//! Resampling along one axis: an area filter downwards, linear interpolation upwards. Both backends follow it.

/// For each destination pixel the source pixels that it is made of, and their shares (which add up to 1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// Source pixels a destination pixel takes at most.
    taps: usize,
    /// The first source pixel of each destination pixel; `first + taps` never passes the source's end.
    first: Vec<u32>,
    /// `weights[x · taps + tap]`.
    weights: Vec<f32>,
    /// How long the source is.
    source: usize,
}

impl Axis {
    /// From `source` pixels to `dest` pixels, for destination pixels `range` only.
    pub fn new(source: u32, dest: u32, range: std::ops::Range<u32>) -> Self {
        assert!(source > 0 && dest > 0 && range.end <= dest, "an axis of nothing");
        let shares: Vec<(u32, Vec<f32>)> = range
            .map(|x| if source >= dest { area(source, dest, x) } else { linear(source, dest, x) })
            .collect();
        let taps = shares.iter().map(|(_, w)| w.len()).max().unwrap_or(0);
        let len = shares.len();
        let (first, weights) = (Vec::with_capacity(len), vec![0.0; taps * len]);
        let mut axis = Self { taps, first, weights, source: source as usize };
        for (x, (first, weights)) in shares.into_iter().enumerate() {
            // Taps that a pixel does not need weigh nothing, but must lie inside.
            let inside = first.min(source - taps as u32);
            axis.first.push(inside);
            for (tap, weight) in weights.into_iter().enumerate() {
                axis.weights[x * taps + tap + (first - inside) as usize] = weight;
            }
        }
        axis
    }

    /// Destination pixels.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    pub fn taps(&self) -> usize {
        self.taps
    }

    pub fn first(&self) -> &[u32] {
        &self.first
    }

    /// The weights of destination pixel `x`, one for each tap.
    pub fn weights(&self, x: usize) -> &[f32] {
        &self.weights[x * self.taps..][..self.taps]
    }

    /// All of them, destination pixel by destination pixel.
    pub fn all_weights(&self) -> &[f32] {
        &self.weights
    }

    /// The source's length: every `first + taps` lies within it.
    pub fn source(&self) -> usize {
        self.source
    }
}

/// Destination pixel `x` covers `[x·source, (x+1)·source)` in units of a `dest`th of a source pixel.
fn area(source: u32, dest: u32, x: u32) -> (u32, Vec<f32>) {
    let (source, dest, x) = (u64::from(source), u64::from(dest), u64::from(x));
    let (start, end) = (x * source, (x + 1) * source);
    let (first, last) = (start / dest, (end - 1) / dest);
    let weights = (first..=last)
        .map(|pixel| {
            let covered = end.min((pixel + 1) * dest) - start.max(pixel * dest);
            (covered as f64 / source as f64) as f32
        })
        .collect();
    (first as u32, weights)
}

/// Between the two source pixels whose middles surround that of destination pixel `x`; edges repeat.
fn linear(source: u32, dest: u32, x: u32) -> (u32, Vec<f32>) {
    let centre = (f64::from(x) + 0.5) * f64::from(source) / f64::from(dest) - 0.5;
    if centre <= 0.0 {
        return (0, vec![1.0]);
    }
    let first = centre.floor();
    if first as u32 >= source - 1 {
        return (source - 1, vec![1.0]);
    }
    let share = (centre - first) as f32;
    (first as u32, vec![1.0 - share, share])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(axis: &Axis, x: usize) -> Vec<(u32, f32)> {
        (0..axis.taps())
            .map(|tap| (axis.first()[x] + tap as u32, axis.weights(x)[tap]))
            .filter(|(_, w)| *w > 0.0)
            .collect()
    }

    #[test]
    fn three_pixels_to_two_share_the_middle_one() {
        let axis = Axis::new(3, 2, 0..2);
        let third = 1.0 / 3.0;
        assert_eq!(shares(&axis, 0), [(0, 2.0 * third), (1, third)]);
        assert_eq!(shares(&axis, 1), [(1, third), (2, 2.0 * third)]);
    }

    #[test]
    fn doubling_interpolates_at_quarters_and_repeats_the_edges() {
        let axis = Axis::new(2, 4, 0..4);
        assert_eq!(shares(&axis, 0), [(0, 1.0)]);
        assert_eq!(shares(&axis, 1), [(0, 0.75), (1, 0.25)]);
        assert_eq!(shares(&axis, 2), [(0, 0.25), (1, 0.75)]);
        assert_eq!(shares(&axis, 3), [(1, 1.0)]);
    }

    proptest! {
        #[test]
        fn shares_add_up_to_one_and_lie_inside(source in 1u32..3000, dest in 1u32..3000) {
            let axis = Axis::new(source, dest, 0..dest);
            for x in 0..dest as usize {
                let sum: f32 = (0..axis.taps()).map(|tap| axis.weights(x)[tap]).sum();
                prop_assert!((sum - 1.0).abs() < 1e-4);
                prop_assert!(axis.first()[x] as usize + axis.taps() <= source as usize);
            }
        }

        #[test]
        fn downwards_every_source_pixel_counts_the_same(dest in 1u32..400, more in 0u32..800) {
            let source = dest + more;
            let axis = Axis::new(source, dest, 0..dest);
            let mut total = vec![0.0f32; source as usize];
            for x in 0..dest as usize {
                for (pixel, weight) in shares(&axis, x) {
                    total[pixel as usize] += weight;
                }
            }
            let each = dest as f32 / source as f32;
            prop_assert!(total.iter().all(|t| (t - each).abs() < 1e-4));
        }
    }
}
