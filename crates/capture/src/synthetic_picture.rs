//! Pictures that need no hardware and make delay and loss measurable: a moving test pattern, and the
//! burnt-in strip alone.

use std::time::SystemTime;

use bytes::Bytes;
use media::burn_in::{self, Stamp};
use media::{Picture, Size, Timescale, Timestamp, WallTime};

use crate::pattern::{self, Canvas};
use crate::source::{PictureSource, SourceStatus};

/// Where a synthetic picture takes the wall time of its making from.
pub type WallClock = fn() -> WallTime;

/// The system's clock.
pub fn system_wall_clock() -> WallTime {
    WallTime::from_system(SystemTime::now())
}

/// Whether the machine-readable strip is burnt into the top of a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strip {
    Burnt,
    Absent,
}

/// How long the flash stays lit: as long as the beep sounds.
const FLASH_MILLIS: i64 = 100;

/// Numbers the pictures, and knows which one is the first of a second.
#[derive(Debug)]
struct Stamper {
    clock: WallClock,
    next_frame: u32,
    last_second: Option<i64>,
}

impl Stamper {
    fn new(clock: WallClock) -> Self {
        Self { clock, next_frame: 0, last_second: None }
    }

    fn stamp(&mut self, now: Timestamp) -> Stamp {
        let millis = now.rescale(Timescale::MICROS).ticks().div_euclid(1_000);
        let second = millis.div_euclid(1_000);
        // The very first picture flashes only if it stands at the beginning of its second.
        let flash = match self.last_second {
            Some(last) => second > last,
            None => millis.rem_euclid(1_000) == 0,
        };
        self.last_second = Some(second);
        let frame = self.next_frame;
        self.next_frame = frame.wrapping_add(1);
        Stamp::new(frame, (self.clock)(), flash)
    }
}

fn whole_pixels(size: Size) -> Size {
    // The strip needs 256 columns, and its own height under it.
    let width = size.width.max(256);
    Size::new(width, size.height.max(burn_in::strip_height(width)))
}

/// A test pattern with colour bars, a scrolling rainbow, moving balls, and a dial that lights up at each
/// whole second of media time, when [`crate::TestTone`] beeps.
///
/// It is drawn in the caller's [`PictureSource::picture_at`], so its stamp tells when it was made.
#[derive(Debug)]
pub struct TestPattern {
    size: Size,
    strip: Strip,
    stamper: Stamper,
    background: Vec<u8>,
}

impl TestPattern {
    /// `size` is raised to at least 256 pixels across and the strip's height.
    pub fn new(size: Size, strip: Strip, clock: WallClock) -> Self {
        let size = whole_pixels(size);
        Self { size, strip, stamper: Stamper::new(clock), background: pattern::background(size) }
    }
}

impl PictureSource for TestPattern {
    fn picture_at(&mut self, now: Timestamp) -> Option<Picture> {
        // The time of the making is when the work begins: drawing is part of the delay.
        let stamp = self.stamper.stamp(now);
        let mut rgba = self.background.clone();
        let mut canvas = Canvas { rgba: &mut rgba, size: self.size };
        let seconds = now.as_secs_f64();
        pattern::moving(&mut canvas, seconds);
        pattern::clock_text(&mut canvas, seconds, stamp.frame);
        let into_second = now.rescale(Timescale::MILLIS).ticks().rem_euclid(1_000);
        if stamp.flash || into_second < FLASH_MILLIS {
            pattern::flash(&mut canvas);
        }
        if self.strip == Strip::Burnt {
            burn_in::draw_rgba(&mut rgba, self.size, stamp);
        }
        Picture::rgba(self.size, Bytes::from(rgba), now).ok()
    }

    fn status(&self) -> SourceStatus {
        SourceStatus::Live
    }

    fn name(&self) -> &str {
        "Test pattern"
    }
}

/// The strip alone, as wide as asked for and as high as it is: to lie over any scene.
#[derive(Debug)]
pub struct StripOnly {
    size: Size,
    stamper: Stamper,
}

impl StripOnly {
    /// `width` is raised to 256.
    pub fn new(width: u32, clock: WallClock) -> Self {
        let size = whole_pixels(Size::new(width, 0));
        Self { size, stamper: Stamper::new(clock) }
    }

    pub fn size(&self) -> Size {
        self.size
    }
}

impl PictureSource for StripOnly {
    fn picture_at(&mut self, now: Timestamp) -> Option<Picture> {
        let mut rgba = vec![255; self.size.pixels() as usize * 4];
        burn_in::draw_rgba(&mut rgba, self.size, self.stamper.stamp(now));
        Picture::rgba(self.size, Bytes::from(rgba), now).ok()
    }

    fn status(&self) -> SourceStatus {
        SourceStatus::Live
    }

    fn name(&self) -> &str {
        "Clock strip"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::FrameRate;

    fn noon() -> WallTime {
        WallTime::from_unix_micros(1_700_000_000_123_456)
    }

    /// The strip as a viewer reads it: from the green channel, which is luma for black and white.
    fn stamp_of(picture: &Picture) -> Stamp {
        let luma: Vec<u8> = picture.data().chunks_exact(4).map(|p| p[1]).collect();
        let size = picture.size();
        burn_in::read_luma(&luma, size.width as usize, size).expect("the strip is readable")
    }

    fn at_frame(index: u64) -> Timestamp {
        FrameRate::FPS_30.timestamp_of(index, Timescale::VIDEO)
    }

    fn brightness_of_dial(picture: &Picture) -> u32 {
        let size = picture.size();
        let (x, y) = (size.width as usize * 84 / 100, size.height as usize * 62 / 100);
        let offset = (y * size.width as usize + x) * 4;
        picture.data()[offset..offset + 3].iter().map(|&v| u32::from(v)).sum()
    }

    #[test]
    fn pictures_are_numbered_and_flash_once_a_second() {
        let mut pattern = TestPattern::new(Size::new(640, 360), Strip::Burnt, noon);
        let pictures: Vec<Picture> = (0..65).map(|n| pattern.picture_at(at_frame(n)).unwrap()).collect();
        let stamps: Vec<Stamp> = pictures.iter().map(stamp_of).collect();
        assert!(stamps.iter().enumerate().all(|(n, stamp)| stamp.frame == n as u32));
        assert!(stamps.iter().all(|stamp| stamp.age_ms(noon()) == 0.0));
        let flashes: Vec<usize> = (0..65).filter(|&n| stamps[n].flash).collect();
        assert_eq!(flashes, [0, 30, 60]);
        // 100 ms are three frames of 30 a second.
        let lit: Vec<usize> = (25..40).filter(|&n| brightness_of_dial(&pictures[n]) > 700).collect();
        assert_eq!(lit, [30, 31, 32]);
        assert_eq!(pictures[64].timestamp(), at_frame(64));
    }

    #[test]
    fn a_second_that_no_picture_begins_on_flashes_with_the_next_one() {
        let ntsc = FrameRate::new(30_000, 1_001).unwrap();
        let mut strip = StripOnly::new(640, noon);
        let flashes: Vec<u64> = (1..100)
            .filter(|&n| stamp_of(&strip.picture_at(ntsc.timestamp_of(n, Timescale::VIDEO)).unwrap()).flash)
            .collect();
        // Frame n lies at n × 1001/30000 s: the first past 1, 2 and 3 s are 30, 60 and 90.
        assert_eq!(flashes, [30, 60, 90]);
    }

    #[test]
    fn the_picture_moves_everywhere_an_encoder_looks() {
        let mut pattern = TestPattern::new(Size::new(1280, 720), Strip::Absent, noon);
        let first = pattern.picture_at(at_frame(7)).unwrap();
        let second = pattern.picture_at(at_frame(8)).unwrap();
        let changed = first.data().iter().zip(second.data().iter()).filter(|(a, b)| a != b).count();
        let share = changed as f64 / first.data().len() as f64;
        assert!(share > 0.03, "{share}");
    }

    #[test]
    fn a_tiny_size_still_holds_the_strip() {
        let mut pattern = TestPattern::new(Size::new(1, 1), Strip::Burnt, noon);
        let picture = pattern.picture_at(at_frame(3)).unwrap();
        assert_eq!((picture.size(), stamp_of(&picture).frame), (Size::new(256, 8), 0));
    }
}
