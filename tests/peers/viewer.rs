//! A WebRTC viewer that keeps what it decoded, with the capture times that the node's reports give.

use std::sync::Arc;

use api::CreatedStream;
use codec::{AudioDecoder, VideoDecoder, VideoDecoderConfig};
use media::burn_in::{Stamp, read_luma};
use media::{AudioTrack, Codec, Packet, Size, Timescale};
use rtc::{Network, PlayEvent, ReceivedUnit, WhepConfig, WhepPlayer};
use tokio::sync::mpsc::Receiver;
use watch::{BeepDetector, HttpSignalling};

use crate::broadcasts::LIMIT;

/// One decoded picture.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub size: Size,
    /// Where its strip can be read.
    pub stamp: Option<Stamp>,
    /// Microseconds of Unix time by the publisher's clock.
    pub captured: Option<i64>,
}

/// What came so far.
#[derive(Default)]
pub struct Received {
    pub pictures: Vec<Seen>,
    /// When beeps began, as `Seen::captured`.
    pub beeps: Vec<i64>,
    /// Packets of sound.
    pub sounds: usize,
    /// Samples of one channel.
    pub samples: Vec<f32>,
}

impl Received {
    /// Milliseconds from each flash to its beep, by capture times.
    pub fn av_offsets_ms(&self) -> Vec<f64> {
        let flashes = self.pictures.iter().filter(|seen| seen.stamp.is_some_and(|stamp| stamp.flash));
        let offset = |flash: i64| {
            let nearest = self.beeps.iter().min_by_key(|beep| beep.abs_diff(flash))?;
            // They are a second apart: what is further off than half of it belongs to another.
            (nearest.abs_diff(flash) < 450_000).then(|| (nearest - flash) as f64 / 1e3)
        };
        flashes.filter_map(|seen| seen.captured).filter_map(offset).collect()
    }

    /// The burnt-in numbers, as they came.
    pub fn numbers(&self) -> Vec<u32> {
        self.pictures.iter().filter_map(|seen| seen.stamp).map(|stamp| stamp.frame).collect()
    }

    /// The share of the sound's power that is at `hertz`, by Goertzel's algorithm, in its last second.
    pub fn tone(&self, hertz: f64) -> f64 {
        let last = &self.samples[self.samples.len().saturating_sub(48_000)..];
        let omega = 2.0 * std::f64::consts::PI * hertz / 48_000.0;
        let (mut before, mut last_but_one, mut power) = (0.0, 0.0, 0.0);
        for &sample in last {
            let next = f64::from(sample) + 2.0 * omega.cos() * before - last_but_one;
            (last_but_one, before) = (before, next);
            power += f64::from(sample).powi(2);
        }
        let at = before.powi(2) + last_but_one.powi(2) - 2.0 * omega.cos() * before * last_but_one;
        // A pure tone of N samples has N/2 times as much in its bin as in all of them.
        if power > 0.0 { at / (power * last.len() as f64 / 2.0) } else { 0.0 }
    }
}

/// A viewer while it watches; it leaves when it is dropped or closed.
pub struct Viewer {
    player: WhepPlayer,
    events: Receiver<PlayEvent>,
    video: VideoDecoder,
    audio: AudioDecoder,
    beeps: BeepDetector,
    pub received: Received,
}

impl Viewer {
    /// Joins. Call it inside a runtime.
    pub fn join(stream: &CreatedStream) -> Self {
        let signalling = Arc::new(HttpSignalling::new(&stream.whep_url, None).expect("an address"));
        let (player, events) = WhepPlayer::connect(WhepConfig { network: Network::Loopback }, signalling);
        let sound = AudioTrack {
            codec: Codec::Opus,
            rate: 48_000,
            channels: 2,
            bitrate_kbps: 0,
            config: Default::default(),
        };
        Self {
            player,
            events,
            video: VideoDecoder::open(VideoDecoderConfig::default()).expect("a decoder"),
            audio: AudioDecoder::open(&sound).expect("a decoder"),
            beeps: BeepDetector::default(),
            received: Received::default(),
        }
    }

    /// Watches until `enough`; `false` where that does not come in time.
    pub async fn watch(&mut self, enough: impl Fn(&Received) -> bool) -> bool {
        let watching = async {
            while !enough(&self.received) {
                match self.events.recv().await {
                    Some(PlayEvent::Video(unit)) => self.picture(&unit),
                    Some(PlayEvent::Audio(unit)) => self.sound(&unit),
                    Some(PlayEvent::State(_)) => {}
                    None => return false,
                }
            }
            true
        };
        tokio::time::timeout(LIMIT, watching).await.unwrap_or(false)
    }

    pub async fn leave(self) {
        self.player.close().await;
    }

    fn picture(&mut self, unit: &ReceivedUnit) {
        // What is damaged is missing from what was received.
        let Ok(pictures) = self.video.decode(&packet(unit)) else { return };
        for picture in pictures {
            let (luma, plane) = picture.plane(0);
            let stamp = read_luma(luma, plane.stride, picture.size());
            self.received.pictures.push(Seen { size: picture.size(), stamp, captured: captured(unit) });
        }
    }

    fn sound(&mut self, unit: &ReceivedUnit) {
        let Ok(blocks) = self.audio.decode(&packet(unit)) else { return };
        self.received.sounds += 1;
        for block in blocks {
            let onsets = self.beeps.onsets(&block);
            if let Some(start) = captured(unit) {
                self.received.beeps.extend(onsets.iter().map(|onset| start + onset.as_micros() as i64));
            }
            self.received.samples.extend(block.samples.chunks(block.channels).map(|frame| frame[0]));
        }
    }
}

fn captured(unit: &ReceivedUnit) -> Option<i64> {
    unit.captured.map(|at| at.unix_micros() as i64)
}

fn packet(unit: &ReceivedUnit) -> Packet {
    let pts = unit.timestamp.rescale(Timescale::VIDEO);
    Packet { pts, dts: pts, duration_ticks: 0, key: unit.key, payload: unit.payload.clone() }
}
