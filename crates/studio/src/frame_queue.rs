//! The queue between the compositor and one encoder: two frames deep, and an IDR always gets in.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use media::Picture;

/// Depth: one frame being waited for, one being made. More would only be delay.
const DEPTH: usize = 2;

/// One composed frame on its way to an encoder.
#[derive(Debug)]
pub struct Frame {
    pub picture: Picture,
    /// Whether it must become an IDR: on the grid, or asked for.
    pub key: bool,
    /// When the compositor began it, for the lag.
    pub begun: Instant,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Frame>,
    closed: bool,
}

/// Full: a frame that is no IDR is refused; an IDR takes the place of the oldest that is none.
#[derive(Default)]
pub struct FrameQueue {
    state: Mutex<State>,
    ready: Condvar,
}

/// What became of a pushed frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pushed {
    Queued,
    /// It, or an older one, was dropped: one frame of this rendition is missing.
    DroppedOne,
}

impl FrameQueue {
    pub fn push(&self, frame: Frame) -> Pushed {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.frames.len() < DEPTH {
            state.frames.push_back(frame);
            self.ready.notify_one();
            return Pushed::Queued;
        }
        if frame.key {
            // Two IDRs in a row cannot fill the queue: they are at least a second apart. Should they, the
            // older is the useless one.
            let oldest = state.frames.iter().position(|f| !f.key).unwrap_or(0);
            state.frames.remove(oldest);
            state.frames.push_back(frame);
        }
        Pushed::DroppedOne
    }

    /// Waits for a frame; `None` once closed and empty.
    pub fn pop(&self) -> Option<Frame> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(frame) = state.frames.pop_front() {
                return Some(frame);
            }
            if state.closed {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What is queued is still handed out.
    pub fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.ready.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use media::{Size, Timescale, Timestamp};

    use super::*;

    fn frame(number: i64, key: bool) -> Frame {
        let at = Timestamp::new(number, Timescale::VIDEO);
        let picture = Picture::nv12(Size::new(2, 2), vec![0; 6].into(), at).unwrap();
        Frame { picture, key, begun: Instant::now() }
    }

    fn numbers(queue: &FrameQueue) -> Vec<i64> {
        queue.close();
        std::iter::from_fn(|| queue.pop()).map(|f| f.picture.timestamp().ticks()).collect()
    }

    #[test]
    fn a_full_queue_refuses_a_frame_and_keeps_the_older() {
        let queue = FrameQueue::default();
        assert_eq!(queue.push(frame(0, false)), Pushed::Queued);
        assert_eq!(queue.push(frame(1, false)), Pushed::Queued);
        assert_eq!(queue.push(frame(2, false)), Pushed::DroppedOne);
        assert_eq!(numbers(&queue), [0, 1]);
    }

    #[test]
    fn an_idr_is_never_the_frame_that_is_dropped() {
        let queue = FrameQueue::default();
        queue.push(frame(0, true));
        queue.push(frame(1, false));
        assert_eq!(queue.push(frame(2, true)), Pushed::DroppedOne);
        assert_eq!(numbers(&queue), [0, 2]);
    }
}
