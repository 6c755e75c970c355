//! Outputs: each subscribes to the packets it wants and has a fate of its own.

pub mod recording;
pub mod rtmp;
pub mod whip;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::snapshot::OutputFigures;

/// What an output tells, shared with whoever makes the snapshot.
#[derive(Clone, Default)]
pub struct Status(Arc<Mutex<OutputFigures>>);

impl Status {
    pub fn new(kind: &'static str, url: String) -> Self {
        let figures = OutputFigures { kind, url, state: "connecting", ..OutputFigures::default() };
        Self(Arc::new(Mutex::new(figures)))
    }

    fn told(&self) -> MutexGuard<'_, OutputFigures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self) -> OutputFigures {
        self.told().clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut OutputFigures)) {
        let mut told = self.told();
        change(&mut told);
        told.stood |= told.state == "up";
    }

    /// A connection stands. One that was made again after another had stood is counted; attempts are not.
    pub fn stands(&self) {
        self.change(|figures| {
            (figures.state, figures.message) = ("up", None);
            figures.reconnects += u64::from(figures.stood);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connection_after_one_that_stood_is_made_again() {
        let status = Status::new("rtmp", String::new());
        let reconnects = || status.get().reconnects;
        status.change(|figures| figures.state = "lost");
        status.stands();
        assert_eq!((status.get().state, reconnects()), ("up", 0));
        status.change(|figures| figures.state = "lost");
        assert_eq!(reconnects(), 0);
        status.stands();
        assert_eq!(reconnects(), 1);
    }
}
