//! Outputs: each subscribes to the packets it wants and has a fate of its own.

pub mod recording;
pub mod rtmp;
pub mod whip;

use std::sync::{Arc, Mutex, PoisonError};

use crate::snapshot::OutputFigures;

/// What an output tells, shared with whoever makes the snapshot.
#[derive(Clone, Default)]
pub struct Status(Arc<Mutex<OutputFigures>>);

impl Status {
    pub fn new(kind: &'static str, url: String) -> Self {
        Self(Arc::new(Mutex::new(OutputFigures {
            kind,
            url,
            state: "connecting",
            ..OutputFigures::default()
        })))
    }

    pub fn get(&self) -> OutputFigures {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut OutputFigures)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
