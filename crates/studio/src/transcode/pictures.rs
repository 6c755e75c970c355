//! One rendition to several: decoded once, each scaled from the next larger, each encoded on a thread of its own.

use std::sync::Arc;
use std::time::Instant;

use codec::{CodecError, Latency, Scaler, VideoDecoder, VideoDecoderConfig};
use media::{FrameRate, KeyPlacement, Ladder, Packet, Picture, Rendition, Timestamp};
use mux::h264::AvcConfig;
use tokio::sync::mpsc;

use super::TranscodeError;
use super::keys::{KeyPlan, KeyWishes};
use super::source::SourcePacket;
use crate::frame_queue::Frame;
use crate::hub::Hub;
use crate::ladder::{self, Encoder};

/// Packets that wait from which on pictures are decoded and not encoded: what came in one piece when we began,
/// or what this machine is too slow for.
const BEHIND: usize = 6;
/// A source that claims more is not believed: rate control follows the timestamps in any case.
const FASTEST: f64 = 120.0;

struct Step {
    rendition: Rendition,
    scaler: Scaler,
}

pub struct PictureStage {
    decoder: VideoDecoder,
    keys: KeyPlan,
    wishes: Arc<KeyWishes>,
    /// Largest first.
    steps: Vec<Step>,
    ladder: Ladder,
    /// As `steps`; none before the source's first key frame said its rate.
    encoders: Vec<Encoder>,
    hub: Hub,
    begun: bool,
    left_out: u64,
    /// Of the last picture that was encoded.
    last: Option<Timestamp>,
    /// A key frame was due at a picture that was left out.
    owes_key: bool,
    /// Pictures that were not later than the one before.
    stale: u64,
}

impl PictureStage {
    pub fn open(
        renditions: Vec<Rendition>,
        keys: KeyPlacement,
        hub: Hub,
        wishes: Arc<KeyWishes>,
    ) -> Result<Self, TranscodeError> {
        let ladder = Ladder::new(renditions).ok_or(TranscodeError::Mixed)?;
        let largest_first = ladder.renditions().iter().rev();
        let steps =
            largest_first.map(|&rendition| Ok(Step { rendition, scaler: Scaler::new(rendition.size)? }));
        let steps = steps.collect::<Result<_, CodecError>>()?;
        // Pictures may come in another order than they are shown, and the node does not decode to find out.
        let decoder =
            VideoDecoder::open(VideoDecoderConfig { latency: Latency::Reorder, ..Default::default() })?;
        let (keys, encoders) = (KeyPlan::new(keys), Vec::new());
        let (begun, left_out, last, owes_key, stale) = (false, 0, None, false, 0);
        Ok(Self {
            decoder,
            keys,
            wishes,
            steps,
            ladder,
            encoders,
            hub,
            begun,
            left_out,
            last,
            owes_key,
            stale,
        })
    }

    pub fn run(mut self, mut packets: mpsc::Receiver<SourcePacket>) -> Result<(), TranscodeError> {
        while let Some(packet) = packets.blocking_recv() {
            if let SourcePacket::Picture(packet) = packet {
                self.take(&packet, packets.len())?;
            }
        }
        Ok(())
    }

    fn take(&mut self, packet: &Packet, waiting: usize) -> Result<(), TranscodeError> {
        if packet.key {
            self.keys.source_key(packet.pts);
            if self.encoders.is_empty() {
                self.encoders = ladder::start(&self.ladder, rate_of(packet), &self.hub)?;
                self.encoders.reverse();
            }
            if let Some(failed) = self.encoders.iter().find_map(Encoder::failure) {
                return Err(TranscodeError::Encoding(failed));
            }
        }
        let pictures = match self.decoder.decode(packet) {
            Ok(pictures) => pictures,
            Err(err) => {
                let count = self.decoder.counts().damaged;
                if count.is_power_of_two() {
                    tracing::warn!(count, "pictures are lost up to the next key frame: {err}");
                }
                return Ok(());
            }
        };
        for picture in pictures {
            self.make(picture, waiting)?;
        }
        Ok(())
    }

    fn make(&mut self, picture: Picture, waiting: usize) -> Result<(), CodecError> {
        let begun = Instant::now();
        let key = self.keys.is_key(picture.timestamp());
        if waiting > BEHIND && !(key && self.begun) {
            if self.begun {
                self.left_out += 1;
                if self.left_out.is_power_of_two() {
                    tracing::warn!(count = self.left_out, "pictures are left out: this machine is too slow");
                }
            }
            return Ok(());
        }
        // Encoders take later pictures alone: one that steps back is left out, not the whole stream.
        if self.last.is_some_and(|last| picture.timestamp() <= last) {
            self.owes_key |= key;
            self.stale += 1;
            if self.stale.is_power_of_two() {
                tracing::warn!(
                    count = self.stale,
                    "pictures that are not later than the one before are left out"
                );
            }
            return Ok(());
        }
        let key = key | std::mem::take(&mut self.owes_key);
        self.last = Some(picture.timestamp());
        self.begun = true;
        let mut larger = picture;
        for (step, encoder) in self.steps.iter_mut().zip(&self.encoders) {
            larger = step.scaler.scale(&larger)?;
            let key = key | self.wishes.take(step.rendition.name);
            encoder.push(Frame { picture: larger.clone(), key, begun });
        }
        Ok(())
    }
}

/// What the source's headers say of its rate; 30 where they say nothing.
fn rate_of(packet: &Packet) -> FrameRate {
    let sps = AvcConfig::from_annex_b(&packet.payload).and_then(|config| config.first_sps());
    let timing = sps.ok().and_then(|sps| sps.vui).and_then(|vui| vui.timing);
    let stated = timing.and_then(|timing| timing.frame_rate());
    stated.filter(|rate| (1.0..=FASTEST).contains(&rate.as_f64())).unwrap_or(FrameRate::FPS_30)
}
