//! Results on their way back: three buffers in turn, each mapped while the next frames are drawn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use media::Timestamp;
use wgpu::{Buffer, BufferDescriptor, BufferUsages, Device, MapMode};

use super::outputs::Part;
use crate::compositor::ComposeError;

/// One that is drawn, one that is mapped, one that is read.
const SLOTS: usize = 3;

const WAITING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

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
    state: Arc<AtomicU8>,
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
        let state = Arc::new(AtomicU8::new(WAITING));
        let seen = Arc::clone(&state);
        slot.buffer.map_async(MapMode::Read, .., move |result| {
            seen.store(if result.is_ok() { MAPPED } else { FAILED }, Ordering::Release);
        });
        self.flights.push_back(Flight { slot, timestamp, state });
    }

    /// The oldest frame, if its buffer is mapped.
    pub fn finished(&mut self) -> Result<Option<Finished>, ComposeError> {
        let Some(oldest) = self.flights.front() else { return Ok(None) };
        match oldest.state.load(Ordering::Acquire) {
            WAITING => Ok(None),
            state => {
                let flight = self.flights.pop_front().expect("the front was just seen");
                if state == FAILED {
                    return Err(ComposeError::Gpu("a finished picture could not be read back".into()));
                }
                Ok(Some(Finished { timestamp: flight.timestamp, parts: flight.slot }))
            }
        }
    }

    pub fn give_back(&mut self, slot: Slot) {
        if self.free.len() < SLOTS {
            self.free.push(slot);
        }
    }
}
