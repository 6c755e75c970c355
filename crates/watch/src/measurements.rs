//! Everything that is measured of one player, fed with what it presents. No clock inside.

use std::time::Instant;

use media::burn_in::{self, Stamp};
use media::{AudioBlock, Ladder, Picture, PixelFormat, Size, WallTime};

use crate::av_offset::{AvOffset, BeepDetector};
use crate::delay::DelayHistogram;
use crate::frame_numbers::FrameNumbers;
use crate::freeze::FreezeMeter;
use crate::report::{DelayReport, PlayerReport, RenditionText, rendition_of};

/// The measurements of one player.
pub struct Measurements {
    started: Instant,
    ladder: Ladder,
    first_presented: Option<Instant>,
    last_presented: Option<Instant>,
    decoded: u64,
    presented: u64,
    size: Option<Size>,
    numbers: FrameNumbers,
    freezes: FreezeMeter,
    delays: DelayHistogram,
    beeps: BeepDetector,
    av: AvOffset,
}

impl Measurements {
    /// `ladder` names renditions by their sizes.
    pub fn new(started: Instant, ladder: Ladder) -> Self {
        Self {
            started,
            ladder,
            first_presented: None,
            last_presented: None,
            decoded: 0,
            presented: 0,
            size: None,
            numbers: FrameNumbers::default(),
            freezes: FreezeMeter::default(),
            delays: DelayHistogram::default(),
            beeps: BeepDetector::default(),
            av: AvOffset::default(),
        }
    }

    /// A picture was decoded; returns its burnt-in stamp.
    pub fn decoded(&mut self, picture: &Picture) -> Option<Stamp> {
        self.decoded += 1;
        self.size = Some(picture.size());
        let stamp = stamp_of(picture);
        if let Some(stamp) = stamp {
            self.numbers.add(stamp.frame);
        }
        stamp
    }

    /// A decoded picture is shown at `now`, which is `wall` by the clock that stamps are made with.
    pub fn presented(&mut self, stamp: Option<Stamp>, now: Instant, wall: WallTime) {
        self.presented += 1;
        self.first_presented.get_or_insert(now);
        self.last_presented = Some(now);
        self.freezes.presented(now);
        if let Some(stamp) = stamp {
            self.delays.add(stamp.age_ms(wall));
            if stamp.flash {
                self.av.flash(now);
            }
        }
    }

    /// It is paused.
    pub fn rest(&mut self) {
        self.freezes.rest();
    }

    /// Sound whose first frame is heard at `due`.
    pub fn heard(&mut self, block: &AudioBlock, due: Instant) {
        for onset in self.beeps.onsets(block) {
            self.av.beep(due + onset);
        }
    }

    pub fn size(&self) -> Option<Size> {
        self.size
    }

    pub fn report(&self, now: Instant) -> PlayerReport {
        let since = |at: Instant| now.saturating_duration_since(at).as_secs_f64();
        let first = self.first_presented;
        let numbered = self.numbers.seen > 0;
        PlayerReport {
            transport: "webrtc",
            first_frame_ms: first.map(|at| (at - self.started).as_secs_f64() * 1e3),
            // A rate over less than a second says nothing.
            decoded_fps: first.filter(|at| since(*at) >= 1.0).map(|at| self.decoded as f64 / since(at)),
            frozen_ms: first.map(|_| self.freezes.frozen(now).as_secs_f64() * 1e3),
            delay_ms: DelayReport { p50: self.delays.quantile(0.5), p95: self.delays.quantile(0.95) },
            av_offset_ms: self.av.median_ms(),
            rendition: self.size.map(|size| RenditionText(rendition_of(size, &self.ladder))),
            frames_decoded: self.decoded,
            frames_presented: self.presented,
            frames_missing: numbered.then_some(self.numbers.missing),
        }
    }
}

/// The stamp burnt into a picture with a luma plane of its own.
fn stamp_of(picture: &Picture) -> Option<Stamp> {
    if !matches!(picture.format(), PixelFormat::I420 | PixelFormat::Nv12) {
        return None;
    }
    let (luma, plane) = picture.plane(0);
    burn_in::read_luma(luma, plane.stride, picture.size())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use media::{Timescale, Timestamp};
    use std::time::Duration;

    const SIZE: Size = Size::new(320, 180);
    const MS: Duration = Duration::from_millis(1);

    fn wall(ms: u64) -> WallTime {
        WallTime::from_unix_micros(1_700_000_000_000_000 + ms * 1000)
    }

    fn picture(frame: u32, made_ms: u64, flash: bool) -> Picture {
        let mut rgba = vec![90; SIZE.pixels() as usize * 4];
        burn_in::draw_rgba(&mut rgba, SIZE, Stamp::new(frame, wall(made_ms), flash));
        let mut nv12: Vec<u8> =
            rgba.chunks_exact(4).map(|p| 16 + (u32::from(p[0]) * 219 / 255) as u8).collect();
        nv12.resize(nv12.len() * 3 / 2, 128);
        Picture::nv12(SIZE, Bytes::from(nv12), Timestamp::zero(Timescale::VIDEO)).unwrap()
    }

    #[test]
    fn a_report_follows_from_what_was_presented() {
        let start = Instant::now();
        let mut measured = Measurements::new(start, Ladder::default_for(Size::new(1280, 720)));
        assert_eq!(measured.report(start).first_frame_ms, None);
        // 60 pictures, 40 ms apart, shown 70 ms after they were made; number 30 never comes, 25 flashes.
        for n in (0..60u32).filter(|n| *n != 30) {
            let made = u64::from(n) * 40;
            let stamp = measured.decoded(&picture(n, made, n == 25));
            measured.presented(stamp, start + (200 + n * 40) * MS, wall(made + 70));
        }
        // The beep of number 25 is heard 12 ms after its flash.
        let quiet: Vec<f32> = vec![0.0; 48_000];
        let beep: Vec<f32> = vec![0.3; 960];
        let block = |samples: Vec<f32>| AudioBlock {
            rate: 48_000,
            channels: 2,
            samples: samples.into(),
            timestamp: Timestamp::zero(Timescale::AUDIO),
        };
        measured.heard(&block(quiet), start + 700 * MS);
        measured.heard(&block(beep), start + (1200 + 12) * MS);

        // Ten seconds after the first picture; the last was shown at 200 + 59 × 40 ms.
        let report = measured.report(start + 200 * MS + 10_000 * MS);
        assert_eq!(report.first_frame_ms, Some(200.0));
        assert_eq!(report.decoded_fps, Some(5.9));
        assert_eq!(report.delay_ms, DelayReport { p50: Some(70.0), p95: Some(70.0) });
        assert_eq!(report.av_offset_ms, Some(12.0));
        assert_eq!(
            (report.frames_decoded, report.frames_presented, report.frames_missing),
            (59, 59, Some(1))
        );
        assert_eq!(report.frozen_ms, Some(10_000.0 - 59.0 * 40.0));
        assert_eq!(report.rendition, Some(RenditionText(media::RenditionName::VeryLow)));
    }

    #[test]
    fn what_was_not_measured_is_null_in_the_report() {
        let start = Instant::now();
        let measured = Measurements::new(start, Ladder::default_for(Size::new(1280, 720)));
        let json = serde_json::to_value(measured.report(start)).unwrap();
        assert_eq!(json["transport"], "webrtc");
        for name in ["first_frame_ms", "decoded_fps", "frozen_ms", "av_offset_ms", "rendition"] {
            assert!(json[name].is_null(), "{name}");
        }
        assert!(json["delay_ms"]["p50"].is_null() && json["delay_ms"]["p95"].is_null());
    }
}
