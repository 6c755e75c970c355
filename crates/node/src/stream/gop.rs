//! The source's picture since its last key frame: with it a transcoder begins at once.

use std::collections::VecDeque;
use std::sync::Arc;

use media::{Packet, Timescale, Timestamp};

use super::Unit;

/// Ten seconds at 60 frames a second, or at 6 Mbit/s. A longer group is not kept: a transcoder then begins with
/// the next.
const PACKETS_MAX: usize = 600;
const BYTES_MAX: usize = 8 << 20;
/// Key frames that are further apart keep WebRTC viewers waiting.
const SPARSE: Timestamp = Timestamp::new(4, Timescale::of(1));
/// Half a frame of forgiveness for key frames that are four seconds apart.
const SLACK: Timestamp = Timestamp::new(20, Timescale::MILLIS);

/// See the module; also what was seen of the order and of the key frames.
#[derive(Debug, Default)]
pub struct Gop {
    units: VecDeque<Arc<Unit>>,
    bytes: usize,
    last_key: Option<Timestamp>,
    reordered: bool,
    sparse_keys: bool,
}

impl Gop {
    /// Takes note of the next packet.
    pub fn observe(&mut self, packet: &Packet) {
        self.reordered |= packet.pts != packet.dts;
        let late = |key: Timestamp| packet.pts.minus(key) > SPARSE.plus(SLACK);
        self.sparse_keys |= self.last_key.is_some_and(late);
        if packet.key {
            self.last_key = Some(packet.pts);
        }
    }

    /// Keeps it for those who begin later.
    pub fn keep(&mut self, unit: &Arc<Unit>) {
        if unit.packet.key {
            self.forget();
        } else if self.units.is_empty() {
            // Without its key frame nothing of a group is of use.
            return;
        }
        self.bytes += unit.packet.payload.len();
        self.units.push_back(Arc::clone(unit));
        if self.units.len() > PACKETS_MAX || self.bytes > BYTES_MAX {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.units.clear();
        self.bytes = 0;
    }

    pub fn units(&self) -> Vec<Arc<Unit>> {
        self.units.iter().cloned().collect()
    }

    /// Whether pictures came in another order than they are shown.
    pub fn is_reordered(&self) -> bool {
        self.reordered
    }

    /// Whether key frames were more than four seconds apart.
    pub fn has_sparse_keys(&self) -> bool {
        self.sparse_keys
    }
}

#[cfg(test)]
mod tests {
    use media::RenditionName;

    use super::*;
    use crate::stream::Lane;

    fn unit(ms: i64, key: bool, bytes: usize) -> Arc<Unit> {
        let at = Timestamp::new(ms, Timescale::MILLIS);
        let packet = Packet { pts: at, dts: at, duration_ticks: 0, key, payload: vec![0; bytes].into() };
        Arc::new(Unit { lane: Lane::Video(RenditionName::High), packet })
    }

    fn kept(gop: &Gop) -> Vec<i64> {
        gop.units().iter().map(|unit| unit.packet.pts.ticks()).collect()
    }

    #[test]
    fn a_group_is_kept_from_its_key_frame_to_the_next() {
        let mut gop = Gop::default();
        for (ms, key) in [(0, false), (40, true), (80, false), (120, false)] {
            gop.keep(&unit(ms, key, 10));
        }
        assert_eq!(kept(&gop), [40, 80, 120]);
        gop.keep(&unit(160, true, 10));
        assert_eq!(kept(&gop), [160]);
    }

    #[test]
    fn a_group_without_end_is_not_kept() {
        let mut gop = Gop::default();
        gop.keep(&unit(0, true, 10));
        (1..=PACKETS_MAX as i64).for_each(|ms| gop.keep(&unit(ms, false, 10)));
        assert!(kept(&gop).is_empty());
        gop.keep(&unit(0, true, BYTES_MAX));
        assert_eq!(kept(&gop).len(), 1);
        gop.keep(&unit(1, false, 1));
        assert!(kept(&gop).is_empty());
    }

    #[test]
    fn key_frames_four_seconds_apart_are_near_enough_and_further_ones_are_not() {
        let mut gop = Gop::default();
        (0..=80).for_each(|n| gop.observe(&unit(n * 50, n % 80 == 0, 1).packet));
        assert!(!gop.has_sparse_keys());
        (81..=162).for_each(|n| gop.observe(&unit(n * 50, false, 1).packet));
        assert!(gop.has_sparse_keys());
    }

    #[test]
    fn a_picture_that_is_shown_later_than_it_is_decoded_tells_of_another_order() {
        let mut gop = Gop::default();
        let mut packet = unit(0, true, 1).packet.clone();
        gop.observe(&packet);
        assert!(!gop.is_reordered());
        packet.pts = Timestamp::new(80, Timescale::MILLIS);
        gop.observe(&packet);
        assert!(gop.is_reordered());
    }
}
