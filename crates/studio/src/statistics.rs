//! Medians over a bounded window.

use std::collections::VecDeque;

/// How many of the newest values count: half a minute of frames.
const WINDOW: usize = 900;

/// The newest values of something measured once a frame.
#[derive(Clone, Debug, Default)]
pub struct Window(VecDeque<f32>);

impl Window {
    pub fn push(&mut self, value: f32) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The value that `share` (0 to 1) of the window is at or below; `None` while it is empty.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let mut sorted: Vec<f32> = self.0.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        // Nearest rank.
        let rank = (share.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
        Some(f64::from(sorted[rank.saturating_sub(1).min(last)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut window = Window::default();
        assert_eq!(window.percentile(0.5), None);
        [15.0, 20.0, 35.0, 40.0, 50.0].into_iter().for_each(|v| window.push(v));
        // The textbook example of the nearest-rank method.
        assert_eq!(window.percentile(0.05), Some(15.0));
        assert_eq!(window.percentile(0.4), Some(20.0));
        assert_eq!(window.percentile(0.5), Some(35.0));
        assert_eq!(window.percentile(1.0), Some(50.0));
    }

    #[test]
    fn only_the_newest_count() {
        let mut window = Window::default();
        (0..WINDOW * 2).for_each(|v| window.push(v as f32));
        assert_eq!(window.percentile(0.0), Some(WINDOW as f64));
    }
}
