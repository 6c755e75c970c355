//! A place for the newest of something: a slow reader skips, it never queues.

use std::sync::{Arc, Mutex, PoisonError};

struct State<T> {
    newest: Option<T>,
    /// Whether `newest` was read since it was put.
    seen: bool,
    put: u64,
    skipped: u64,
}

/// Shared between one writer and any readers; clones are the same slot.
pub struct Slot<T>(Arc<Mutex<State<T>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { newest: None, seen: true, put: 0, skipped: 0 })))
    }
}

impl<T> Slot<T> {
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<T>> {
        // A writer that panicked left a whole value or none: both are fine to read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what is there; a value that nobody read counts as skipped.
    pub fn put(&self, value: T) {
        let mut state = self.state();
        if !state.seen {
            state.skipped += 1;
        }
        let old = state.newest.replace(value);
        state.seen = false;
        state.put += 1;
        drop(state);
        // Freed outside the lock: a picture's last clone may be large.
        drop(old);
    }

    /// Takes the value out.
    pub fn take(&self) -> Option<T> {
        let mut state = self.state();
        state.seen = true;
        state.newest.take()
    }

    /// Empties the slot, as when its device is lost.
    pub fn clear(&self) {
        drop(self.take());
    }

    /// How many values were put, and how many of them were replaced unread.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.put, state.skipped)
    }
}

impl<T: Clone> Slot<T> {
    /// The newest value, left in place for the next reader.
    pub fn latest(&self) -> Option<T> {
        let mut state = self.state();
        state.seen = true;
        state.newest.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_gets_the_newest_and_the_rest_is_counted() {
        let slot = Slot::new();
        (1..=3).for_each(|n| slot.put(n));
        assert_eq!(slot.latest(), Some(3));
        assert_eq!(slot.counts(), (3, 2));
        assert_eq!(slot.take(), Some(3));
        assert_eq!(slot.latest(), None);
    }
}
