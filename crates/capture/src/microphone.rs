//! Microphones and other sound inputs, through `speaker`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use media::{AudioBlock, StudioEpoch, Timescale, Timestamp};
use speaker::{Chunk, DeviceError, DeviceInfo, InputStream};

use crate::device::{Device, Driver, Failure, Kind, Session};
use crate::source::{SoundSource, SourceStatus};

/// Blocks that wait for a reader: two seconds. When full, the oldest go; the timestamps show the gap.
const WAITING_BLOCKS: usize = 200;
/// How often the ring is emptied: half a block, so that a block waits little.
const PERIOD: Duration = Duration::from_millis(5);
/// Blocks a second; longer chunks are cut.
const BLOCKS_PER_SECOND: usize = 100;

/// The sound inputs that are connected now, the default one first.
pub fn microphones() -> Result<Vec<DeviceInfo>, DeviceError> {
    speaker::inputs()
}

/// What a microphone lost since it was opened for the first time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SoundLosses {
    /// Frames lost before they reached us, by the sound system's count or our ring's.
    pub dropped_frames: u64,
    /// How often the system reported an interruption.
    pub interruptions: u64,
}

#[derive(Default)]
struct Waiting {
    blocks: VecDeque<AudioBlock>,
    losses: SoundLosses,
}

type Shared = Arc<Mutex<Waiting>>;

fn locked(shared: &Shared) -> std::sync::MutexGuard<'_, Waiting> {
    // A thread that panicked left whole blocks behind.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A microphone, opened in the background and kept open.
pub struct Microphone {
    device: Device,
    waiting: Shared,
}

impl std::fmt::Debug for Microphone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Microphone").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Microphone {
    /// Opens an input by its id or name as listed, or the default one. Returns at once;
    /// [`SoundSource::status`] tells how it goes.
    pub fn open(wanted: Option<String>, epoch: StudioEpoch) -> Self {
        let waiting = Shared::default();
        let name = wanted.clone().unwrap_or_else(|| "default".into());
        let reader = Reader { wanted, epoch, waiting: Arc::clone(&waiting) };
        // What was heard before the loss is still to be heard, so nothing is thrown away.
        Self { device: Device::open(Kind::Microphone, name, reader, || ()), waiting }
    }

    pub fn losses(&self) -> SoundLosses {
        locked(&self.waiting).losses
    }
}

impl SoundSource for Microphone {
    fn read(&mut self, until: Timestamp, out: &mut Vec<AudioBlock>) {
        let mut waiting = locked(&self.waiting);
        while waiting.blocks.front().is_some_and(|block| block.timestamp < until) {
            out.extend(waiting.blocks.pop_front());
        }
    }

    fn status(&self) -> SourceStatus {
        self.device.status()
    }

    fn name(&self) -> &str {
        self.device.name()
    }
}

struct Reader {
    wanted: Option<String>,
    epoch: StudioEpoch,
    waiting: Shared,
}

fn failure(error: DeviceError) -> Failure {
    match error {
        DeviceError::Missing => Failure::Missing,
        DeviceError::Busy => Failure::Busy,
        DeviceError::Refused => Failure::Refused,
        DeviceError::Lost => Failure::Unplugged,
        DeviceError::Other(detail) => Failure::Other(detail),
    }
}

impl Driver for Reader {
    fn run(&self, session: &Session<'_>) -> Result<(), Failure> {
        let mut stream = InputStream::open(self.wanted.as_deref()).map_err(failure)?;
        let before = locked(&self.waiting).losses;
        while !session.is_stopping() {
            let mut heard = false;
            while let Some(chunk) = stream.read() {
                heard = true;
                let mut waiting = locked(&self.waiting);
                for block in blocks(&chunk, stream.rate(), stream.channels(), self.epoch) {
                    waiting.blocks.push_back(block);
                }
                let excess = waiting.blocks.len().saturating_sub(WAITING_BLOCKS);
                waiting.blocks.drain(..excess);
                waiting.losses = SoundLosses {
                    dropped_frames: before.dropped_frames + stream.dropped_frames(),
                    interruptions: before.interruptions + stream.interruptions(),
                };
            }
            if heard {
                session.delivered();
            } else if let Some(error) = stream.error() {
                return Err(match failure(error) {
                    Failure::Missing => Failure::Unplugged,
                    failure => failure,
                });
            }
            thread::park_timeout(PERIOD);
        }
        Ok(())
    }
}

/// Cuts a chunk into blocks of at most 10 ms, each stamped with its own first frame.
fn blocks(chunk: &Chunk, rate: u32, channels: usize, epoch: StudioEpoch) -> Vec<AudioBlock> {
    let frames_per_block = (rate as usize / BLOCKS_PER_SECOND).max(1);
    chunk
        .samples
        .chunks(frames_per_block * channels.max(1))
        .enumerate()
        .map(|(n, samples)| {
            let before = Duration::from_secs_f64((n * frames_per_block) as f64 / f64::from(rate));
            let captured: Instant = chunk.captured + before;
            AudioBlock {
                rate,
                channels,
                samples: Arc::from(samples),
                timestamp: epoch.stamp(captured, Timescale::AUDIO),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::WallTime;

    #[test]
    fn a_long_chunk_is_cut_into_blocks_that_follow_each_other() {
        let now = Instant::now();
        let epoch = StudioEpoch::new(now, WallTime::from_unix_micros(0));
        // 25 ms of mono at 16 kHz, captured 1 s after the epoch.
        let chunk = Chunk { captured: now + Duration::from_secs(1), samples: vec![0.0; 400] };
        let blocks = blocks(&chunk, 16_000, 1, epoch);
        let shape: Vec<(usize, i64)> = blocks.iter().map(|b| (b.frames(), b.timestamp.ticks())).collect();
        assert_eq!(shape, [(160, 48_000), (160, 48_480), (80, 48_960)]);
    }
}
