//! The one way to start a thread: named, with one owner, ended when its owner drops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// Told to a worker's thread when it must end.
#[derive(Clone, Debug, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A named thread; dropping it asks it to stop and waits until it did.
///
/// A thread that waits on a channel must be woken by its owner (usually by dropping the sender first); one
/// that may hang in a driver is [`Worker::abandon`]ed after its time limit.
#[derive(Debug)]
pub struct Worker {
    stop: StopSignal,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `body` on a thread called `name` (at most 15 bytes show in the system's tools).
    pub fn spawn(
        name: impl Into<String>,
        body: impl FnOnce(&StopSignal) + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = StopSignal::new();
        let inner = stop.clone();
        let thread = Builder::new().name(name.into()).spawn(move || body(&inner))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    pub fn stop_signal(&self) -> &StopSignal {
        &self.stop
    }

    /// Whether the thread has returned.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Wakes a thread that is parked.
    pub fn unpark(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Asks it to stop and does not wait: for a thread stuck in a driver. It ends when the driver returns.
    pub fn abandon(mut self) {
        self.stop.set();
        self.thread = None;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.set();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // Its panic was already printed by the hook; the owner goes on.
            let _ = thread.join();
        }
    }
}
