//! `tickcast film FILE`: what a recording is, and a small picture of it. A process of its own: a file may be anything, and what
//! reads it may fail at it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use codec::{FileOptions, FilePiece, FileReader, Need, Scaler};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use media::{Picture, Size, Timescale, Timestamp};
use serde_json::json;

/// Of the small picture, in pixels.
const WIDTH: u32 = 320;
/// Of a hundred.
const JPEG_QUALITY: u8 = 80;
/// What begins a film is often black: the picture is of a moment later.
const SECONDS: i64 = 2;

#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    file: PathBuf,
    /// Where the picture goes, as a JPEG.
    #[arg(long, value_name = "FILE")]
    picture: PathBuf,
}

/// Prints one line of JSON.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let wanted = FileOptions { pictures: Need::Required, ..FileOptions::default() };
    let mut film = FileReader::open(&options.file, wanted)?;
    let info = film.info().clone();
    let shown = early_picture(&mut film)?.context("the film has no picture")?;
    write(&shown, &options.picture).with_context(|| format!("{}", options.picture.display()))?;
    let size = info.video.map_or(shown.size(), |video| video.size);
    let seconds = info.duration.map(Timestamp::as_secs_f64);
    let told = json!({
        "seconds": seconds,
        "width": size.width,
        "height": size.height,
        "has_sound": info.sound.is_some(),
    });
    crate::say(&told.to_string());
    Ok(())
}

/// The one at two seconds, or the last of a shorter film.
fn early_picture(film: &mut FileReader) -> anyhow::Result<Option<Picture>> {
    let from = Timestamp::new(SECONDS, Timescale::of(1));
    let mut latest = None;
    while let Some(piece) = film.read()? {
        let FilePiece::Picture(picture) = piece else { continue };
        let is_it = picture.timestamp() >= from;
        latest = Some(picture);
        if is_it {
            break;
        }
    }
    Ok(latest)
}

/// There is no half of it at any time.
fn write(picture: &Picture, to: &Path) -> anyhow::Result<()> {
    let small = Scaler::new(small(picture.size()))?.scale(picture)?;
    let small = Scaler::for_screens()?.scale(&small)?;
    let (pixels, plane) = small.plane(0);
    let rows = pixels.chunks(plane.stride).take(plane.rows).flat_map(|row| &row[..plane.row_bytes]);
    let bytes: Vec<u8> = rows.copied().collect();
    let rgb: Vec<u8> = bytes.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect();
    let unfinished = to.with_extension("part");
    let mut file = BufWriter::new(File::create(&unfinished)?);
    let Size { width, height } = small.size();
    JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY).encode(
        &rgb,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    file.flush()?;
    drop(file);
    Ok(std::fs::rename(unfinished, to)?)
}

/// As wide as all of them, in the film's shape, of even sides.
fn small(size: Size) -> Size {
    let height = u64::from(WIDTH) * u64::from(size.height) / u64::from(size.width.max(1));
    let height = u32::try_from(height).unwrap_or(u32::MAX).clamp(2, 4 * WIDTH);
    Size::new(WIDTH, height & !1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_has_the_films_shape() {
        assert_eq!(small(Size::new(1920, 1080)), Size::new(320, 180));
        assert_eq!(small(Size::new(1080, 1920)), Size::new(320, 568));
        assert_eq!(small(Size::new(4096, 2)), Size::new(320, 2));
        assert_eq!(small(Size::new(2, 16_384)), Size::new(320, 1280));
    }
}
