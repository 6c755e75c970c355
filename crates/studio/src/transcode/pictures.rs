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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codec::{EncoderChoice, KeyRequest, VideoEncoder, VideoEncoderConfig};
    use media::{RenditionName, Size, Timescale};

    use super::*;
    use crate::hub::{Lane, Subscription};

    const SIZE: Size = Size::new(64, 64);
    /// So long one picture may take here.
    const LIMIT: Duration = Duration::from_secs(20);

    /// Packets that say `times`, in milliseconds, and whether they are key frames.
    fn source(times: impl IntoIterator<Item = (i64, bool)>) -> Vec<Packet> {
        let name = RenditionName::High;
        let config = VideoEncoderConfig {
            choice: EncoderChoice::x264(),
            ..VideoEncoderConfig::new(name, SIZE, FrameRate::FPS_30, 500)
        };
        let mut encoder = VideoEncoder::open(&config).unwrap();
        let encoded = times.into_iter().zip(0..).map(|((ms, key), number)| {
            let picture = Picture::nv12(
                SIZE,
                vec![100 + number as u8; 64 * 96].into(),
                Timestamp::new(number * 3000, Timescale::VIDEO),
            );
            let request = if key { KeyRequest::Yes } else { KeyRequest::No };
            let packet = encoder.encode(&picture.unwrap(), request).unwrap().remove(0);
            assert_eq!(packet.key, key);
            let at = Timestamp::new(ms * 90, Timescale::VIDEO);
            Packet { pts: at, dts: at, ..packet }
        });
        encoded.collect()
    }

    /// The time in milliseconds of what was made, and whether it is a key frame.
    fn made(output: &Subscription, limit: Duration) -> Option<(i64, bool)> {
        let (_, packet) = output.next_within(limit).unwrap()?;
        Some((packet.pts.ticks() / 90, packet.key))
    }

    #[test]
    fn a_picture_that_steps_back_in_time_is_left_out_and_later_ones_go_on() {
        // What comes, and whether anything is made of it: the time and being a key frame.
        let table = [
            ((0, true), Some(true)),
            ((33, false), Some(false)),
            ((67, false), Some(false)),
            ((40, false), None),
            ((100, false), Some(false)),
            ((133, true), Some(true)),
            // The key frame that it should have been is the next picture.
            ((106, true), None),
            ((167, false), Some(true)),
            ((167, false), None),
            ((200, false), Some(false)),
            // A key frame is where an encoder that failed ends the transcode.
            ((233, true), Some(true)),
        ];
        let hub = Hub::default();
        let output = hub.subscribe(|lane| lane == Lane::Video(RenditionName::Low));
        let step = Rendition { name: RenditionName::Low, size: Size::new(32, 32), bitrate_kbps: 100 };
        let wishes = Arc::new(KeyWishes::default());
        let mut stage = PictureStage::open(vec![step], KeyPlacement::Source, hub, wishes).unwrap();
        for (packet, (came, makes)) in source(table.map(|(came, _)| came)).iter().zip(table) {
            stage.take(packet, 0).unwrap();
            // One after the other: an encoder's queue is short, and what is too much for it is dropped.
            if let Some(key) = makes {
                assert_eq!(made(&output, LIMIT), Some((came.0, key)));
            }
        }
        assert_eq!(stage.stale, 3);
        // With its encoders, which finish what they have.
        drop(stage);
        assert_eq!(made(&output, Duration::ZERO), None);
    }
}
