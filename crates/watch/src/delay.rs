//! Quantiles of delays in bounded memory.

/// Tenths of a millisecond up to ten seconds; what is longer counts as that.
const BUCKETS: usize = 100_000;
const PER_MS: f64 = 10.0;

/// Counts delays by tenths of a millisecond.
#[derive(Debug)]
pub struct DelayHistogram {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for DelayHistogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }
}

impl DelayHistogram {
    /// A negative delay, which two clocks can give, counts as none.
    pub fn add(&mut self, delay_ms: f64) {
        let bucket = (delay_ms * PER_MS).round().clamp(0.0, (BUCKETS - 1) as f64) as usize;
        self.buckets[bucket] = self.buckets[bucket].saturating_add(1);
        self.count += 1;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// The delay in milliseconds that the share `quantile` (0 to 1) of all does not exceed; `None` without
    /// any.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = ((self.count as f64 * quantile).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0;
        self.buckets.iter().enumerate().find_map(|(bucket, count)| {
            below += u64::from(*count);
            (below >= rank).then_some(bucket as f64 / PER_MS)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut delays = DelayHistogram::default();
        assert_eq!(delays.quantile(0.5), None);
        // 1 to 100 ms, shuffled by a step that is prime to 100: the nearest-rank quantiles are 50 and 95.
        (0..100).for_each(|n| delays.add(f64::from(n * 37 % 100 + 1)));
        assert_eq!((delays.quantile(0.5), delays.quantile(0.95)), (Some(50.0), Some(95.0)));
        assert_eq!((delays.quantile(0.0), delays.quantile(1.0)), (Some(1.0), Some(100.0)));
    }

    #[test]
    fn impossible_delays_stay_within_the_scale() {
        let mut delays = DelayHistogram::default();
        [-5.0, 1e12, f64::NAN].into_iter().for_each(|delay| delays.add(delay));
        assert_eq!(delays.count(), 3);
        assert_eq!(delays.quantile(1.0), Some(9999.9));
    }
}
