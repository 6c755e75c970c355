//! One sound codec to the other.

use codec::{AudioDecoder, AudioEncoder, AudioEncoderConfig, CodecError, Resampler};
use media::{AudioTrack, Codec, Packet};
use tokio::sync::mpsc;

use super::source::SourcePacket;
use crate::hub::{Hub, Lane};

pub struct SoundStage {
    decoder: Option<AudioDecoder>,
    resampler: Resampler,
    encoder: AudioEncoder,
    lane: Lane,
    hub: Hub,
    damaged: u64,
}

impl SoundStage {
    pub fn open(codec: Codec, kbps: u32, hub: Hub) -> Result<(Self, AudioTrack), CodecError> {
        let encoder = AudioEncoder::open(AudioEncoderConfig::new(codec, kbps))?;
        let track = encoder.track();
        let lane = if codec == Codec::Aac { Lane::Aac } else { Lane::Opus };
        let resampler = Resampler::new();
        Ok((Self { decoder: None, resampler, encoder, lane, hub, damaged: 0 }, track))
    }

    pub fn run(mut self, mut packets: mpsc::Receiver<SourcePacket>) -> Result<(), CodecError> {
        while let Some(packet) = packets.blocking_recv() {
            match packet {
                SourcePacket::SoundHeader(track) => self.decoder = Some(AudioDecoder::open(&track)?),
                SourcePacket::Sound(packet) => self.take(&packet)?,
                SourcePacket::Picture(_) => {}
            }
        }
        Ok(())
    }

    /// A damaged packet is a gap, which the encoder fills with silence.
    fn take(&mut self, packet: &Packet) -> Result<(), CodecError> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let blocks = match decoder.decode(packet) {
            Ok(blocks) => blocks,
            Err(err) => {
                self.damaged += 1;
                if self.damaged.is_power_of_two() {
                    tracing::warn!(count = self.damaged, "sound is lost: {err}");
                }
                return Ok(());
            }
        };
        for block in blocks {
            let block = self.resampler.resample(&block)?;
            for made in self.encoder.encode(&block)? {
                self.hub.publish(self.lane, &made);
            }
        }
        Ok(())
    }
}
