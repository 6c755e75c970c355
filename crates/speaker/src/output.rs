//! Playback: what a person hears.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, OutputCallbackInfo, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::device::{DeviceError, configs, find, host, is_passing};

const OPEN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Shared {
    /// Samples that were due and not there.
    missing: AtomicU64,
    /// Microseconds from the callback to the loudspeaker.
    latency_micros: AtomicU64,
    error: Mutex<Option<DeviceError>>,
}

/// An open output. Plays what is pushed and silence where nothing is; closes when dropped.
pub struct OutputStream {
    _stream: cpal::Stream,
    rate: u32,
    channels: usize,
    samples: Producer<f32>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for OutputStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (rate, channels) = (self.rate, self.channels);
        f.debug_struct("OutputStream")
            .field("rate", &rate)
            .field("channels", &channels)
            .finish_non_exhaustive()
    }
}

impl OutputStream {
    /// Opens an output by its id or name, or the default one, for stereo at `rate`, with room for
    /// `buffer` of sound.
    pub fn open(wanted: Option<&str>, rate: u32, buffer: Duration) -> Result<Self, DeviceError> {
        let host = host();
        let device = find(wanted, host.default_output_device(), host.output_devices()?)?;
        let default = device.default_output_config()?;
        let mut failure = DeviceError::Missing;
        for config in configs(&default) {
            let config = StreamConfig { channels: 2, sample_rate: rate, ..config };
            let opened = match default.sample_format() {
                SampleFormat::I16 => Self::build::<i16>(&device, config, buffer),
                SampleFormat::I32 => Self::build::<i32>(&device, config, buffer),
                _ => Self::build::<f32>(&device, config, buffer),
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn build<T>(device: &cpal::Device, config: StreamConfig, buffer: Duration) -> Result<Self, DeviceError>
    where
        T: SizedSample + FromSample<f32>,
    {
        let (rate, channels) = (config.sample_rate, usize::from(config.channels));
        let capacity = (buffer.as_secs_f64() * f64::from(rate)) as usize * channels;
        let (samples, mut pending) = RingBuffer::new(capacity.max(channels));
        let shared = Arc::new(Shared::default());
        let (counted, noted) = (Arc::clone(&shared), Arc::clone(&shared));
        let stream = device.build_output_stream::<T, _, _>(
            config,
            move |data: &mut [T], info: &OutputCallbackInfo| {
                let stamp = info.timestamp();
                let latency = stamp.playback.saturating_duration_since(stamp.callback);
                counted.latency_micros.store(latency.as_micros() as u64, Ordering::Relaxed);
                let missing = play(data, &mut pending);
                counted.missing.fetch_add(missing, Ordering::Relaxed);
            },
            move |error| {
                if !is_passing(&error) {
                    let mut first = noted.error.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(error.into());
                }
            },
            Some(OPEN_LIMIT),
        )?;
        stream.play()?;
        Ok(Self { _stream: stream, rate, channels, samples, shared })
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Queues interleaved stereo; returns how many samples found room. Whole frames only.
    pub fn push(&mut self, samples: &[f32]) -> usize {
        let room = self.samples.slots().min(samples.len()) / self.channels * self.channels;
        let Ok(chunk) = self.samples.write_chunk_uninit(room) else { return 0 };
        chunk.fill_from_iter(samples.iter().copied())
    }

    /// How long a sample pushed now waits until it is heard.
    pub fn delay(&self) -> Duration {
        self.queued() + Duration::from_micros(self.shared.latency_micros.load(Ordering::Relaxed))
    }

    /// How long it waits for the device alone to take it.
    pub fn queued(&self) -> Duration {
        let queued = (self.samples.buffer().capacity() - self.samples.slots()) / self.channels.max(1);
        Duration::from_secs_f64(queued as f64 / f64::from(self.rate))
    }

    /// Frames that were due and not there: silence was played.
    pub fn missing_frames(&self) -> u64 {
        self.shared.missing.load(Ordering::Relaxed) / self.channels.max(1) as u64
    }

    /// What ended the stream, if anything did.
    pub fn error(&self) -> Option<DeviceError> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Fills a period; returns how many samples of it were missing.
fn play<T: SizedSample + FromSample<f32>>(data: &mut [T], pending: &mut Consumer<f32>) -> u64 {
    let ready = pending.slots().min(data.len());
    let mut filled = 0;
    if let Ok(chunk) = pending.read_chunk(ready) {
        for (slot, sample) in data.iter_mut().zip(chunk) {
            *slot = T::from_sample(sample);
            filled += 1;
        }
    }
    data[filled..].fill(T::EQUILIBRIUM);
    (data.len() - filled) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_silence_and_counted() {
        let (mut samples, mut pending) = RingBuffer::new(8);
        [0.5_f32, -0.5].into_iter().for_each(|v| samples.push(v).unwrap());
        let mut period = [9_i16; 4];
        assert_eq!(play(&mut period, &mut pending), 2);
        // ±0.5 of 16 bits.
        assert_eq!(period, [16_384, -16_384, 0, 0]);
    }
}
