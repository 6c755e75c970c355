//! Writes one picture of the test pattern as a binary PPM: `pattern SECONDS > picture.ppm`.

use std::io::Write;

use media::{Size, Timescale, Timestamp};
use tickcast_capture::{PictureSource, Strip, TestPattern, system_wall_clock};

fn main() -> std::io::Result<()> {
    let seconds: f64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0.5);
    let now = Timestamp::new((seconds * 1e3) as i64, Timescale::MILLIS);
    let mut pattern = TestPattern::new(Size::new(1280, 720), Strip::Burnt, system_wall_clock);
    let Some(picture) = pattern.picture_at(now) else { return Ok(()) };
    let rgb: Vec<u8> = picture.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "P6 {} {} 255", picture.size().width, picture.size().height)?;
    out.write_all(&rgb)
}
