//! Tracks and samples, and how packets become samples with exact durations.

use bytes::Bytes;
use media::{Packet, Size, Timescale, Timestamp};

use crate::aac::{AacError, AudioSpecificConfig, FRAME_SAMPLES};
use crate::h264::{AvcConfig, Colour, H264Error, InBand, parameter_sets, to_length_prefixed};
use crate::opus::{OpusHead, packet_samples};

/// What a track's sample entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrackConfig {
    H264 { config: AvcConfig, size: Size, colour: Option<Colour> },
    Aac { config: AudioSpecificConfig, bytes: Bytes },
    Opus(OpusHead),
}

impl TrackConfig {
    /// # Errors
    /// [`H264Error`] when the first SPS cannot be read.
    pub fn h264(config: AvcConfig) -> Result<Self, H264Error> {
        let sps = config.first_sps()?;
        let colour = sps.vui.and_then(|vui| vui.colour);
        Ok(Self::H264 { config, size: sps.size, colour })
    }

    /// From AudioSpecificConfig, which is kept as it came.
    ///
    /// # Errors
    /// [`AacError`] when it cannot be read.
    pub fn aac(config: Bytes) -> Result<Self, AacError> {
        Ok(Self::Aac { config: AudioSpecificConfig::parse(&config)?, bytes: config })
    }

    pub const fn is_video(&self) -> bool {
        matches!(self, Self::H264 { .. })
    }

    /// 90 000 for video, the sample rate for sound.
    pub fn timescale(&self) -> Timescale {
        match self {
            Self::H264 { .. } => Timescale::VIDEO,
            Self::Aac { config, .. } => Timescale::new(config.rate).unwrap_or(Timescale::AUDIO),
            Self::Opus(_) => Timescale::AUDIO,
        }
    }

    /// RFC 6381, as playlists and MSE want it.
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264 { config, .. } => match config.first_sps() {
                Ok(sps) => sps.codec_string(),
                Err(_) => "avc1".to_owned(),
            },
            Self::Aac { config, .. } => config.codec_string(),
            Self::Opus(_) => "opus".to_owned(),
        }
    }

    /// A packet's payload as MP4 carries it.
    fn sample_bytes(&self, packet: &Packet) -> Bytes {
        let Self::H264 { config, .. } = self else { return packet.payload.clone() };
        // Parameter sets that are not the sample entry's stay in the sample: without them it is lost.
        let known = match parameter_sets(&packet.payload) {
            Some((sps, pps)) => config.sps.contains(&sps) && config.pps.contains(&pps),
            None => true,
        };
        let in_band = if known { InBand::Drop } else { InBand::Keep };
        to_length_prefixed(&packet.payload, in_band).into()
    }
}

/// One sample in its track's timescale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    pub dts: i64,
    /// Presentation time less decoding time.
    pub composition: i32,
    pub duration: u32,
    pub key: bool,
    /// H.264 behind four-byte lengths.
    pub data: Bytes,
}

impl Sample {
    pub fn pts(&self) -> i64 {
        self.dts + i64::from(self.composition)
    }

    pub fn end(&self) -> i64 {
        self.dts + i64::from(self.duration)
    }
}

/// Turns packets into samples that follow each other without gap or overlap: each lasts until the next
/// begins, so one is held until then.
#[derive(Debug)]
pub struct SampleQueue {
    config: TrackConfig,
    /// Subtracted from every time.
    origin: Timestamp,
    held: Option<Sample>,
    /// The held packet's own idea of its length, for the last one.
    nominal: u32,
}

impl SampleQueue {
    pub fn new(config: TrackConfig, origin: Timestamp) -> Self {
        Self { config, origin, held: None, nominal: 1 }
    }

    pub fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// Whether a packet begins before the zero of this queue's time.
    pub fn starts_before_origin(&self, packet: &Packet) -> bool {
        packet.dts < self.origin
    }

    /// Whether a packet begins more than `gap` after the one that is held.
    pub fn is_behind(&self, packet: &Packet, gap: Timestamp) -> bool {
        let Some(held) = &self.held else { return false };
        let begun = Timestamp::new(held.dts, self.config.timescale()).plus(self.origin);
        packet.dts.minus(begun) > gap
    }

    /// Whether a packet begins more than `gap` before the one that is held.
    pub fn is_ahead(&self, packet: &Packet, gap: Timestamp) -> bool {
        let Some(held) = &self.held else { return false };
        let begun = Timestamp::new(held.dts, self.config.timescale()).plus(self.origin);
        begun.minus(packet.dts) > gap
    }

    /// Takes a packet and gives the one before, whose duration is now known.
    pub fn push(&mut self, packet: &Packet) -> Option<Sample> {
        let scale = self.config.timescale();
        // Whoever publishes says any time at all.
        let zero = self.origin.rescale(scale).ticks();
        let ticks = |time: Timestamp| time.rescale(scale).ticks().saturating_sub(zero);
        let said =
            Timestamp::new(packet.duration_ticks.into(), packet.pts.timescale()).rescale(scale).ticks();
        // Sound says exactly how long it is, where a time line in milliseconds would round it.
        let own = match &self.config {
            TrackConfig::Aac { .. } => Some(FRAME_SAMPLES),
            TrackConfig::Opus(_) => packet_samples(&packet.payload),
            TrackConfig::H264 { .. } => None,
        };
        // What came by RTP does not know how long it lasts: as long as what came before.
        let nominal = own.or(u32::try_from(said).ok()).filter(|&ticks| ticks > 0).unwrap_or(self.nominal);
        let mut dts = ticks(packet.dts).max(0);
        if let Some(held) = &self.held {
            let expected = held.dts.saturating_add(self.nominal.into());
            // Sound that was stamped in milliseconds jitters round its true place: it is put there.
            if !self.config.is_video() && (dts - expected).abs() < i64::from(self.nominal) / 2 {
                dts = expected;
            }
            // Time that stands still or goes back would end the file for most players.
            dts = dts.max(held.dts.saturating_add(1));
        }
        let composition = if self.config.is_video() { ticks(packet.pts).saturating_sub(dts) } else { 0 };
        let sample = Sample {
            dts,
            composition: composition.clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            duration: nominal,
            key: packet.key,
            data: self.config.sample_bytes(packet),
        };
        self.nominal = nominal;
        let mut done = self.held.replace(sample)?;
        done.duration = u32::try_from(dts - done.dts).unwrap_or(u32::MAX);
        if said == 0 && own.is_none() {
            self.nominal = done.duration;
            if let Some(held) = &mut self.held {
                held.duration = done.duration;
            }
        }
        Some(done)
    }

    /// The last sample, with the duration that its packet says.
    pub fn finish(&mut self) -> Option<Sample> {
        self.held.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn aac() -> TrackConfig {
        TrackConfig::aac(AudioSpecificConfig::lc(48_000, 2).to_bytes().unwrap()).unwrap()
    }

    fn packet(dts: Timestamp, duration_ticks: u32) -> Packet {
        Packet { pts: dts, dts, duration_ticks, key: true, payload: Bytes::from_static(&[1]) }
    }

    #[test]
    fn times_at_the_ends_of_their_range_are_samples_like_others() {
        let at = |ticks| Timestamp::new(ticks, Timescale::AUDIO);
        for origin in [i64::MIN, 0, i64::MAX] {
            let mut queue = SampleQueue::new(aac(), at(origin));
            let samples: Vec<_> = [i64::MIN, i64::MAX, i64::MIN, i64::MAX]
                .iter()
                .filter_map(|&ticks| queue.push(&packet(at(ticks), 1_024)))
                .collect();
            assert_eq!(samples.len(), 3);
            assert!(samples.is_sorted_by_key(|sample| sample.dts), "{samples:?}");
        }
    }

    #[test]
    fn sound_stamped_in_milliseconds_lasts_1024_samples_each() {
        let mut queue = SampleQueue::new(aac(), Timestamp::zero(Timescale::MILLIS));
        // 1024 / 48 000 s is 21.33 ms.
        let times = (0..200).map(|i| Timestamp::new(i * 64 / 3, Timescale::MILLIS));
        let samples: Vec<_> = times.filter_map(|time| queue.push(&packet(time, 21))).collect();
        assert_eq!(samples.len(), 199);
        assert!(samples.iter().all(|sample| sample.duration == 1024));
    }

    #[test]
    fn a_last_sample_that_does_not_say_its_length_is_as_long_as_the_one_before() {
        // A packet that is no Opus packet does not say its own length either.
        let mut queue =
            SampleQueue::new(TrackConfig::Opus(OpusHead::new(2)), Timestamp::zero(Timescale::AUDIO));
        for index in 0..3 {
            let time = Timestamp::new(index * 960, Timescale::AUDIO);
            queue.push(&Packet { payload: Bytes::new(), ..packet(time, 0) });
        }
        assert_eq!(queue.finish().unwrap().duration, 960);
    }

    proptest! {
        #[test]
        fn samples_follow_each_other_without_gap(steps in prop::collection::vec(-2000i64..9000, 1..50)) {
            let mut queue = SampleQueue::new(aac(), Timestamp::new(500, Timescale::AUDIO));
            let mut time = 0;
            let mut samples: Vec<_> = steps.iter().filter_map(|step| {
                time += step;
                queue.push(&packet(Timestamp::new(time, Timescale::AUDIO), 1024))
            }).collect();
            samples.extend(queue.finish());
            prop_assert_eq!(samples.len(), steps.len());
            prop_assert!(samples.windows(2).all(|pair| pair[0].end() == pair[1].dts));
            prop_assert!(samples.iter().all(|sample| sample.dts >= 0 && sample.duration > 0));
        }
    }
}
