//! What a player tells about itself.

use media::{Ladder, RenditionName, Size};
use rtc::{LinkState, ReceiveStats};
use serde::Serialize;

/// What a viewer got; a missing measurement is `None`, never 0.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PlayerReport {
    /// `webrtc`.
    pub transport: &'static str,
    /// From the start to the first presented picture.
    pub first_frame_ms: Option<f64>,
    /// Over the time since the first picture.
    pub decoded_fps: Option<f64>,
    /// Sum of the intervals that count as freezes; see [`crate::FreezeMeter`].
    pub frozen_ms: Option<f64>,
    /// From the burnt-in clock to presentation.
    pub delay_ms: DelayReport,
    /// Sound against picture, positive where the sound is late.
    pub av_offset_ms: Option<f64>,
    /// The one that is received now.
    pub rendition: Option<RenditionText>,
    pub frames_decoded: u64,
    pub frames_presented: u64,
    /// By the burnt-in numbers; `None` where the picture has none.
    pub frames_missing: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct DelayReport {
    pub p50: Option<f64>,
    pub p95: Option<f64>,
}

/// A rendition by its name in reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RenditionText(pub RenditionName);

impl Serialize for RenditionText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// How a player stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    pub state: LinkState,
    pub report: PlayerReport,
    pub network: ReceiveStats,
    pub size: Option<Size>,
    /// What the jitter buffer adds to the delay of pictures.
    pub jitter_delay_ms: Option<f64>,
}

/// The rendition whose picture is `size`, or the nearest by height: decoders crop, and a ladder may be
/// another than the default.
pub fn rendition_of(size: Size, ladder: &Ladder) -> RenditionName {
    let nearest = ladder.renditions().iter().min_by_key(|r| r.size.height.abs_diff(size.height));
    nearest.map_or(RenditionName::High, |rendition| rendition.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendition_is_known_by_its_height() {
        let ladder = Ladder::default_for(Size::new(1280, 720));
        let name = |width, height| rendition_of(Size::new(width, height), &ladder).as_str();
        assert_eq!(name(320, 180), "very_low");
        assert_eq!(name(854, 480), "medium");
        assert_eq!(name(1280, 720), "high");
        assert_eq!(name(1280, 718), "high");
    }
}
