//! CMAF chunks (ISO/IEC 23000-19 §7.3.3) of one track, as LL-HLS parts are made of.

use bytes::Bytes;
use media::Timestamp;

use super::fragment::put_fragment;
use super::movie::{Trak, put_ftyp, put_moov};
use super::sample::{Sample, TrackConfig};

const TRACK_ID: u32 = 1;

/// One chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub bytes: Bytes,
    /// Decoding time of its first sample.
    pub start: Timestamp,
    /// The sum of its samples' durations.
    pub duration: Timestamp,
    /// Whether decoding can start at its first sample.
    pub independent: bool,
}

/// Makes the header and the chunks of one track.
#[derive(Clone, Debug)]
pub struct PartWriter {
    config: TrackConfig,
    sequence: u32,
}

impl PartWriter {
    pub const fn new(config: TrackConfig) -> Self {
        Self { config, sequence: 0 }
    }

    pub const fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// The CMAF header: `ftyp` and `moov`.
    pub fn init_segment(&self) -> Bytes {
        let mut out = Vec::new();
        put_ftyp(&mut out, b"iso6", &[b"iso6", b"cmfc", b"mp41"]);
        put_moov(&mut out, &[Trak::fragmented(TRACK_ID, &self.config)]);
        out.into()
    }

    /// One chunk of samples that follow each other; `None` for no samples.
    pub fn part(&mut self, samples: &[Sample]) -> Option<Part> {
        let first = samples.first()?;
        self.sequence = self.sequence.wrapping_add(1);
        let mut out = Vec::new();
        put_fragment(&mut out, self.sequence, &[(TRACK_ID, samples)]);
        let scale = self.config.timescale();
        let duration = samples.iter().map(|sample| i64::from(sample.duration)).sum();
        Some(Part {
            bytes: out.into(),
            start: Timestamp::new(first.dts, scale),
            duration: Timestamp::new(duration, scale),
            independent: first.key,
        })
    }
}
