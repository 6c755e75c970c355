//! Capture: what a microphone hears, in chunks that say when they were heard.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, InputCallbackInfo, Sample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::device::{DeviceError, configs, find, host, is_passing};

/// How long the system may take to open a stream.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// What the ring holds: a reader that is later than a second loses the newest, and it is counted.
const RING_SECONDS: usize = 1;
const MARKS: usize = 1_024;
/// A latency beyond this is the driver's error.
const MAX_LATENCY: Duration = Duration::from_secs(1);

/// What one callback brought.
#[derive(Clone, Copy)]
struct Mark {
    captured: Instant,
    samples: usize,
}

#[derive(Default)]
struct Shared {
    dropped_frames: AtomicU64,
    interruptions: AtomicU64,
    error: Mutex<Option<DeviceError>>,
}

impl Shared {
    fn note(&self, error: cpal::Error) {
        if is_passing(&error) {
            self.interruptions.fetch_add(1, Ordering::Relaxed);
        } else {
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error.into());
        }
    }
}

/// A run of sound as the device delivered it.
#[derive(Clone, PartialEq, Debug)]
pub struct Chunk {
    /// When its first frame was captured.
    pub captured: Instant,
    /// Interleaved; full scale is ±1.
    pub samples: Vec<f32>,
}

/// An open input. Closes when dropped.
pub struct InputStream {
    _stream: cpal::Stream,
    rate: u32,
    channels: usize,
    samples: Consumer<f32>,
    marks: Consumer<Mark>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for InputStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rate, channels) = (self.rate, self.channels);
        f.debug_struct("InputStream")
            .field("rate", &rate)
            .field("channels", &channels)
            .finish_non_exhaustive()
    }
}

impl InputStream {
    /// Opens an input by its id or name, or the default one, at its own rate and channels. Blocks while the
    /// system opens it: five seconds and what the sound server needs to answer.
    pub fn open(wanted: Option<&str>) -> Result<Self, DeviceError> {
        let host = host();
        let device = find(wanted, host.default_input_device(), host.input_devices()?)?;
        let default = device.default_input_config()?;
        let mut failure = DeviceError::Missing;
        for config in configs(&default) {
            let opened = match default.sample_format() {
                SampleFormat::I16 => Self::build::<i16>(&device, config),
                SampleFormat::I32 => Self::build::<i32>(&device, config),
                SampleFormat::U8 => Self::build::<u8>(&device, config),
                // Sound servers convert to it, and most drivers have it.
                _ => Self::build::<f32>(&device, config),
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn build<T>(device: &cpal::Device, config: StreamConfig) -> Result<Self, DeviceError>
    where
        T: SizedSample,
        f32: FromSample<T>,
    {
        let (rate, channels) = (config.sample_rate, usize::from(config.channels));
        let (samples_in, samples) = RingBuffer::new(rate as usize * channels * RING_SECONDS);
        let (marks_in, marks) = RingBuffer::new(MARKS);
        let shared = Arc::new(Shared::default());
        let mut writer =
            Writer { samples: samples_in, marks: marks_in, channels, shared: Arc::clone(&shared) };
        let noted = Arc::clone(&shared);
        let stream = device.build_input_stream::<T, _, _>(
            config,
            move |data: &[T], info: &InputCallbackInfo| writer.write(data, info),
            move |error| noted.note(error),
            Some(OPEN_LIMIT),
        )?;
        stream.play()?;
        Ok(Self { _stream: stream, rate, channels, samples, marks, shared })
    }

    /// Frames per second, as the device states it.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// What was captured since the last call, oldest first; `None` when there is nothing more yet.
    pub fn read(&mut self) -> Option<Chunk> {
        let mark = self.marks.pop().ok()?;
        // The callback writes the samples before their mark.
        let chunk = self.samples.read_chunk(mark.samples).ok()?;
        Some(Chunk { captured: mark.captured, samples: chunk.into_iter().collect() })
    }

    /// What ended the stream, if anything did.
    pub fn error(&self) -> Option<DeviceError> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Frames thrown away because nobody read for a second.
    pub fn dropped_frames(&self) -> u64 {
        self.shared.dropped_frames.load(Ordering::Relaxed)
    }

    /// How often the system reported that sound was lost or rerouted.
    pub fn interruptions(&self) -> u64 {
        self.shared.interruptions.load(Ordering::Relaxed)
    }
}

/// The callback's end of the rings.
struct Writer {
    samples: Producer<f32>,
    marks: Producer<Mark>,
    channels: usize,
    shared: Arc<Shared>,
}

impl Writer {
    fn write<T>(&mut self, data: &[T], info: &InputCallbackInfo)
    where
        T: SizedSample,
        f32: FromSample<T>,
    {
        let now = Instant::now();
        let stamp = info.timestamp();
        let latency = stamp.callback.saturating_duration_since(stamp.capture).min(MAX_LATENCY);
        let captured = now.checked_sub(latency).unwrap_or(now);
        let room = self.marks.slots() > 0;
        match self.samples.write_chunk_uninit(data.len()) {
            Ok(chunk) if room => {
                chunk.fill_from_iter(data.iter().map(|sample| f32::from_sample(*sample)));
                let _ = self.marks.push(Mark { captured, samples: data.len() });
            }
            _ => {
                let frames = (data.len() / self.channels.max(1)) as u64;
                self.shared.dropped_frames.fetch_add(frames, Ordering::Relaxed);
            }
        }
    }
}
