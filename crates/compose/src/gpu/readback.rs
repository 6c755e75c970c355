//! Results on their way back: three buffers in turn, each mapped while the next frames are drawn.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

use media::Timestamp;
use wgpu::{Buffer, BufferAsyncError, BufferDescriptor, BufferUsages, Device, MapMode};

use super::outputs::Part;
use crate::compositor::ComposeError;

/// One that is drawn, one that is mapped, one that is read.
const SLOTS: usize = 3;

/// A device that has not answered after so long hangs: even a software adapter draws in less.
pub const HUNG: Duration = Duration::from_secs(10);

/// A buffer and what lies in it.
#[derive(Debug)]
pub struct Slot {
    pub buffer: Buffer,
    pub formats: Vec<Part>,
}

#[derive(Debug)]
struct Flight {
    slot: Slot,
    timestamp: Timestamp,
    mapped: Receiver<Result<(), BufferAsyncError>>,
}

/// A frame whose buffer is mapped.
#[derive(Debug)]
pub struct Finished {
    pub timestamp: Timestamp,
    pub parts: Slot,
}

#[derive(Debug)]
pub struct Ring {
    free: Vec<Slot>,
    /// Oldest first; at most [`SLOTS`].
    flights: VecDeque<Flight>,
}

impl Ring {
    pub fn new() -> Self {
        Self { free: Vec::new(), flights: VecDeque::new() }
    }

    pub fn is_full(&self) -> bool {
        self.flights.len() >= SLOTS
    }

    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// A buffer of at least `bytes`; one that is too small is replaced.
    pub fn take(&mut self, device: &Device, formats: Vec<Part>, bytes: u64) -> Slot {
        match self.free.pop() {
            Some(slot) if slot.buffer.size() >= bytes => Slot { formats, ..slot },
            _ => {
                let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
                let label = Some("finished pictures");
                let descriptor = BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false };
                Slot { buffer: device.create_buffer(&descriptor), formats }
            }
        }
    }

    /// The commands that fill `slot` were submitted.
    pub fn submitted(&mut self, slot: Slot, timestamp: Timestamp) {
        let (tell, mapped) = sync_channel(1);
        slot.buffer.map_async(MapMode::Read, .., move |result| {
            // Nobody waits any more where the compositor has ended.
            let _ = tell.send(result);
        });
        self.flights.push_back(Flight { slot, timestamp, mapped });
    }

    /// The oldest frame, if its buffer is mapped.
    pub fn finished(&mut self) -> Result<Option<Finished>, ComposeError> {
        let Some(oldest) = self.flights.front() else { return Ok(None) };
        match oldest.mapped.try_recv() {
            Err(TryRecvError::Empty) => Ok(None),
            Ok(Ok(())) => Ok(self.pop()),
            Ok(Err(_)) | Err(TryRecvError::Disconnected) => Err(self.fail()),
        }
    }

    /// The oldest frame, whose commands the device has done. Whichever thread polls a device first calls back for all,
    /// so that another one may still be about to.
    pub fn await_finished(&mut self) -> Result<Option<Finished>, ComposeError> {
        let Some(oldest) = self.flights.front() else { return Ok(None) };
        match oldest.mapped.recv_timeout(HUNG) {
            Ok(Ok(())) => Ok(self.pop()),
            Ok(Err(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(self.fail()),
        }
    }

    fn pop(&mut self) -> Option<Finished> {
        self.flights.pop_front().map(|Flight { slot, timestamp, .. }| Finished { timestamp, parts: slot })
    }

    fn fail(&mut self) -> ComposeError {
        self.flights.pop_front();
        ComposeError::Gpu("a finished picture could not be read back".into())
    }

    pub fn give_back(&mut self, slot: Slot) {
        if self.free.len() < SLOTS {
            self.free.push(slot);
        }
    }
}
