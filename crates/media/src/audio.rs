//! Sound in blocks of interleaved 32-bit floats.

use std::sync::Arc;

use crate::time::{Timescale, Timestamp};

/// The programme's sample rate in Hz.
pub const PROGRAMME_RATE: u32 = 48_000;
/// The programme's channels: left, right.
pub const PROGRAMME_CHANNELS: usize = 2;
/// Frames (samples per channel) of a programme block: 10 ms.
pub const BLOCK_FRAMES: usize = 480;

/// A run of sound. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AudioBlock {
    /// Frames per second, as the device states it.
    pub rate: u32,
    pub channels: usize,
    /// Interleaved samples; full scale is ±1.
    pub samples: Arc<[f32]>,
    /// When the first sample was captured, against the studio epoch.
    pub timestamp: Timestamp,
}

impl AudioBlock {
    /// Samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels.max(1)
    }

    /// A block of silence in the programme's format.
    pub fn silence(timestamp: Timestamp) -> Self {
        Self {
            rate: PROGRAMME_RATE,
            channels: PROGRAMME_CHANNELS,
            samples: Arc::from([0.0; BLOCK_FRAMES * PROGRAMME_CHANNELS]),
            timestamp,
        }
    }

    /// The time after the last sample.
    pub fn end(&self) -> Timestamp {
        let scale = Timescale::new(self.rate).unwrap_or(Timescale::AUDIO);
        self.timestamp.plus(Timestamp::new(self.frames() as i64, scale))
    }
}
