//! Bytes from the device: at once, waiting; or a number as it comes, not waiting.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::buffer;
use crate::simulation::SimError;

/// A device that has not answered after so long hangs: even a software adapter draws in less.
const HUNG: Duration = Duration::from_secs(10);

fn failed(reason: impl std::fmt::Display) -> SimError {
    SimError::Gpu { reason: reason.to_string() }
}

/// Maps `from` and hands its bytes to `read`. Waits for the device.
pub fn read_mapped<T>(
    device: &wgpu::Device,
    from: &wgpu::Buffer,
    read: impl FnOnce(&[u8]) -> T,
) -> Result<T, SimError> {
    let (tell, mapped) = mpsc::sync_channel(1);
    from.map_async(wgpu::MapMode::Read, .., move |result| {
        // Nobody waits any more where the device answered too late.
        let _ = tell.send(result);
    });
    device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(HUNG) }).map_err(failed)?;
    // Whichever thread polls a device first calls back for all: another one may still be about to.
    mapped.recv_timeout(HUNG).map_err(failed)?.map_err(failed)?;
    let view = from.get_mapped_range(..).map_err(failed)?;
    let result = read(&view);
    drop(view);
    from.unmap();
    Ok(result)
}

/// A copy of a whole buffer. Waits for the device.
pub fn read_buffer(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    from: &wgpu::Buffer,
) -> Result<Vec<u8>, SimError> {
    use wgpu::BufferUsages as Use;
    let copy = buffer(device, "sim copy", from.size() as usize, Use::COPY_DST | Use::MAP_READ);
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(from, 0, &copy, 0, from.size());
    queue.submit([encoder.finish()]);
    read_mapped(device, &copy, <[u8]>::to_vec)
}

const IDLE: u8 = 0;
const WAITING: u8 = 1;
const READY: u8 = 2;
const FAILED: u8 = 3;

/// One word that the device reports when it can.
pub struct LateNumber {
    copy: wgpu::Buffer,
    state: Arc<AtomicU8>,
    copied: bool,
    newest: u32,
}

impl LateNumber {
    pub fn new(device: &wgpu::Device) -> Self {
        use wgpu::BufferUsages as Use;
        Self {
            copy: buffer(device, "sim number", 4, Use::COPY_DST | Use::MAP_READ),
            state: Arc::new(AtomicU8::new(IDLE)),
            copied: false,
            newest: 0,
        }
    }

    /// Copies the word, unless the last copy is still on its way.
    pub fn encode(&mut self, encoder: &mut wgpu::CommandEncoder, from: &wgpu::Buffer) {
        self.take();
        self.copied = self.state.load(Ordering::Acquire) == IDLE;
        if self.copied {
            encoder.copy_buffer_to_buffer(from, 0, &self.copy, 0, 4);
        }
    }

    /// To be called when what [`LateNumber::encode`] wrote was submitted.
    pub fn submitted(&mut self) {
        if std::mem::take(&mut self.copied) {
            self.state.store(WAITING, Ordering::Release);
            let state = Arc::clone(&self.state);
            self.copy.map_async(wgpu::MapMode::Read, .., move |result| {
                state.store(if result.is_ok() { READY } else { FAILED }, Ordering::Release);
            });
        }
    }

    fn take(&mut self) {
        match self.state.load(Ordering::Acquire) {
            READY => {
                if let Ok(view) = self.copy.get_mapped_range(..)
                    && let Ok(bytes) = <[u8; 4]>::try_from(&view[..])
                {
                    self.newest = u32::from_le_bytes(bytes);
                }
                self.copy.unmap();
                self.state.store(IDLE, Ordering::Release);
            }
            // The device is lost; whoever waits for it will say so.
            FAILED => self.state.store(IDLE, Ordering::Release),
            _ => {}
        }
    }

    /// The newest word that has come.
    pub fn newest(&mut self, device: &wgpu::Device) -> Result<u32, SimError> {
        device.poll(wgpu::PollType::Poll).map_err(failed)?;
        self.take();
        Ok(self.newest)
    }
}
