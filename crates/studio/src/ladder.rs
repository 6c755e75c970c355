//! One encoder thread per rendition.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use codec::{CodecError, EncoderChoice, KeyRequest, SpeedPreset, VideoEncoder, VideoEncoderConfig};
use media::{FrameRate, Ladder, Rendition, VideoTrack, Worker};

use crate::frame_queue::{Frame, FrameQueue, Pushed};
use crate::hub::{Hub, Lane};
use crate::snapshot::RenditionFigures;
use crate::statistics::Window;

/// Key frames lie on a grid of this long, which segments are cut on.
pub const KEY_INTERVAL_SECONDS: u32 = 2;

#[derive(Default)]
struct Counts {
    frames: u64,
    dropped: u64,
    bytes: u64,
    /// Media time from the first packet to the end of the last, in seconds.
    first: Option<f64>,
    last: f64,
    encode_ms: Window,
    lag_ms: Window,
    failed: Option<String>,
}

/// One rendition's encoder, on a thread of its own.
pub struct Encoder {
    queue: Arc<FrameQueue>,
    counts: Arc<Mutex<Counts>>,
    rendition: Rendition,
    track: VideoTrack,
    name: String,
    // Last: dropped after the queue was closed by `Drop`.
    worker: Mutex<Option<Worker>>,
}

impl Encoder {
    fn start(config: VideoEncoderConfig, rendition: Rendition, hub: Hub) -> Result<Self, EncoderError> {
        let encoder = VideoEncoder::open(&config)?;
        let (track, name) = (encoder.track(), encoder.name().to_owned());
        let queue = Arc::new(FrameQueue::default());
        let counts = Arc::new(Mutex::new(Counts::default()));
        let (frames, tally) = (Arc::clone(&queue), Arc::clone(&counts));
        let seconds_per_frame = 1.0 / config.frame_rate.as_f64();
        let worker = Worker::spawn(format!("enc-{}", rendition.name), move |_| {
            let mut encoder = encoder;
            while let Some(frame) = frames.pop() {
                encode(&mut encoder, &frame, seconds_per_frame, &tally, |packet| {
                    hub.publish(Lane::Video(rendition.name), packet);
                });
            }
        })?;
        Ok(Self { queue, counts, rendition, track, name, worker: Mutex::new(Some(worker)) })
    }

    pub fn rendition(&self) -> Rendition {
        self.rendition
    }

    pub fn track(&self) -> &VideoTrack {
        &self.track
    }

    pub fn push(&self, frame: Frame) {
        if self.queue.push(frame) == Pushed::DroppedOne {
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).dropped += 1;
        }
    }

    pub fn figures(&self) -> RenditionFigures {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let span = counts.first.map(|first| counts.last - first).filter(|span| *span >= 1.0);
        RenditionFigures {
            name: self.rendition.name.as_str(),
            width: self.rendition.size.width,
            height: self.rendition.size.height,
            encoder: self.name.clone(),
            target_kbps: self.rendition.bitrate_kbps,
            kbps: span.map(|span| counts.bytes as f64 * 8.0 / 1e3 / span),
            frames: counts.frames,
            dropped: counts.dropped,
            encode_ms_p50: counts.encode_ms.percentile(0.5),
        }
    }

    /// Encodes what is queued, and tells of all.
    pub fn end(&self) -> RenditionFigures {
        self.queue.close();
        drop(self.worker.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.figures()
    }

    /// From the compositor's tick to the packet, in milliseconds.
    pub fn lag_ms_p50(&self) -> Option<f64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).lag_ms.percentile(0.5)
    }

    /// Why the encoder failed, where it did.
    pub fn failure(&self) -> Option<String> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).failed.clone()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn encode(
    encoder: &mut VideoEncoder,
    frame: &Frame,
    seconds_per_frame: f64,
    counts: &Mutex<Counts>,
    mut publish: impl FnMut(&media::Packet),
) {
    let begun = Instant::now();
    let key = if frame.key { KeyRequest::Yes } else { KeyRequest::No };
    let packets = encoder.encode(&frame.picture, key);
    let done = Instant::now();
    // Out before the bookkeeping: every microsecond here is delay for everybody.
    for packet in packets.iter().flatten() {
        publish(packet);
    }
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.encode_ms.push((done - begun).as_secs_f32() * 1e3);
    counts.lag_ms.push((done - frame.begun).as_secs_f32() * 1e3);
    match packets {
        Ok(packets) => {
            for packet in packets {
                counts.frames += 1;
                counts.bytes += packet.payload.len() as u64;
                let at = packet.pts.as_secs_f64();
                counts.first.get_or_insert(at);
                counts.last = at + seconds_per_frame;
            }
        }
        Err(err) => {
            counts.dropped += 1;
            if counts.failed.is_none() {
                tracing::error!("an encoder failed: {err}");
            }
            counts.failed = Some(err.to_string());
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("an encoder's thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Opens an encoder for every step of `ladder`, each of the best kind that opens for it.
pub fn start(ladder: &Ladder, rate: FrameRate, hub: &Hub) -> Result<Vec<Encoder>, EncoderError> {
    ladder
        .renditions()
        .iter()
        .map(|&rendition| {
            let config = VideoEncoderConfig {
                key_interval_seconds: KEY_INTERVAL_SECONDS,
                choice: EncoderChoice::Auto,
                preset: SpeedPreset::Superfast,
                ..VideoEncoderConfig::new(rendition.name, rendition.size, rate, rendition.bitrate_kbps)
            };
            Encoder::start(config, rendition, hub.clone())
        })
        .collect()
}
