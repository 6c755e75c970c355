//! When a made picture is a key frame: where the source has one, or on the grid, and where one was asked for.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use media::{KeyPlacement, RenditionName, Timescale, Timestamp};

use crate::ladder::KEY_INTERVAL_SECONDS;

/// Key frames of the source that the decoder may still hold: it holds some sixteen pictures at most.
const PENDING: usize = 32;

/// Renditions whose viewers wait for a key frame.
#[derive(Debug, Default)]
pub struct KeyWishes(Mutex<BTreeSet<RenditionName>>);

impl KeyWishes {
    pub fn want(&self, name: RenditionName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Whether one was asked for; asked once.
    pub fn take(&self, name: RenditionName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name)
    }
}

/// See the module.
#[derive(Debug)]
pub struct KeyPlan {
    placement: KeyPlacement,
    /// Presentation times of the source's key frames whose pictures have not come yet.
    source: VecDeque<i64>,
    /// The last cell of the grid that has its key frame.
    cell: Option<i64>,
}

impl KeyPlan {
    pub fn new(placement: KeyPlacement) -> Self {
        Self { placement, source: VecDeque::new(), cell: None }
    }

    /// The source has a key frame at this time.
    pub fn source_key(&mut self, pts: Timestamp) {
        if self.source.len() == PENDING {
            self.source.pop_front();
        }
        self.source.push_back(ticks(pts));
    }

    /// Whether the picture of this time is to be a key frame. Ask once for each, in order of time.
    pub fn is_key(&mut self, pts: Timestamp) -> bool {
        let at = ticks(pts);
        let known = self.source.iter().any(|key| *key == at);
        self.source.retain(|key| *key > at);
        match self.placement {
            KeyPlacement::Source => known,
            KeyPlacement::Grid => {
                let cell =
                    at.div_euclid(i64::from(KEY_INTERVAL_SECONDS * Timescale::VIDEO.ticks_per_second()));
                self.cell.replace(cell) != Some(cell)
            }
        }
    }
}

fn ticks(pts: Timestamp) -> i64 {
    pts.rescale(Timescale::VIDEO).ticks()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::new(ms, Timescale::MILLIS)
    }

    fn keys(plan: &mut KeyPlan, pictures: impl IntoIterator<Item = i64>) -> Vec<i64> {
        pictures.into_iter().filter(|ms| plan.is_key(at(*ms))).collect()
    }

    #[test]
    fn made_key_frames_lie_on_the_sources_own() {
        let mut plan = KeyPlan::new(KeyPlacement::Source);
        plan.source_key(at(1000));
        plan.source_key(at(3400));
        assert_eq!(keys(&mut plan, (900..4000).step_by(100)), [1000, 3400]);
    }

    #[test]
    fn a_key_frame_whose_picture_was_lost_is_forgotten() {
        let mut plan = KeyPlan::new(KeyPlacement::Source);
        plan.source_key(at(1000));
        assert_eq!(keys(&mut plan, [1033, 1066]), Vec::<i64>::new());
        assert!(plan.source.is_empty());
    }

    #[test]
    fn where_the_source_has_too_few_they_lie_on_the_grid_of_two_seconds() {
        let mut plan = KeyPlan::new(KeyPlacement::Grid);
        plan.source_key(at(700));
        assert_eq!(keys(&mut plan, (500..7000).step_by(100)), [500, 2000, 4000, 6000]);
    }

    #[test]
    fn a_wish_is_granted_once_and_to_its_rendition_alone() {
        let wishes = KeyWishes::default();
        wishes.want(RenditionName::Low);
        assert!(!wishes.take(RenditionName::Medium));
        assert!(wishes.take(RenditionName::Low));
        assert!(!wishes.take(RenditionName::Low));
    }
}
