//! Keeps stills while they are shown, and the files and text measures that they are made from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use media::{Picture, Size};

use crate::cpu::scale_rgba;
use crate::geometry::{Placement, Rect};
use crate::image_file::ImageError;
use crate::image_reader::ImageReader;
use crate::scene::Text;
use crate::still::{Still, StillContent, slate_text};
use crate::text::Typesetter;

/// Frames after which something that is not shown any more is dropped, and a file that could not be read is tried again.
const KEPT_FRAMES: u64 = 150;
/// Frames after which a file that is still not read is named: ten seconds at thirty a second.
const SLOW_FRAMES: u64 = 300;
/// Stills at most: each layer's, and those of a few scenes before it.
const MAX_STILLS: usize = 256;
/// Bytes of decoded images at most, all together.
const MAX_IMAGE_BYTES: usize = 512 << 20;
/// The largest edge at which text is set; larger text is scaled up from there.
const MAX_TEXT_EDGE: f32 = 4_096.0;
const SLATE_PANEL: [u8; 4] = [0x1a, 0x1d, 0x23, 0xff];

#[derive(Debug)]
struct StillEntry {
    content: StillContent,
    placement: Placement,
    visible: Rect,
    still: Arc<Still>,
    last_used: u64,
}

#[derive(Debug)]
struct ImageEntry {
    path: PathBuf,
    image: Image,
    last_used: u64,
    /// When it was wanted first or tried last, and whether it is still being read.
    tried: u64,
    is_reading: bool,
}

/// What a scene's image is now.
#[derive(Debug)]
pub enum Image {
    /// Not read yet.
    Awaited,
    Ready(Picture),
    /// Why it cannot be shown.
    Failed(String),
}

impl Image {
    fn ready(&self) -> Option<&Picture> {
        match self {
            Self::Ready(picture) => Some(picture),
            Self::Awaited | Self::Failed(_) => None,
        }
    }
}

#[derive(Debug)]
struct Measure {
    text: Text,
    size: Size,
    last_used: u64,
}

#[derive(Debug)]
pub struct StillCache {
    frame: u64,
    typesetter: Typesetter,
    stills: Vec<StillEntry>,
    images: Vec<ImageEntry>,
    reader: ImageReader,
    measures: Vec<Measure>,
}

impl StillCache {
    pub fn new() -> Self {
        Self {
            frame: 0,
            typesetter: Typesetter::new(),
            stills: Vec::new(),
            images: Vec::new(),
            reader: ImageReader::new(),
            measures: Vec::new(),
        }
    }

    /// Forgets what was not shown for a while.
    pub fn next_frame(&mut self) {
        self.frame += 1;
        let frame = self.frame;
        let fresh = |last_used: u64| frame - last_used <= KEPT_FRAMES;
        self.stills.retain(|entry| fresh(entry.last_used));
        self.measures.retain(|entry| fresh(entry.last_used));
        self.images.retain(|entry| fresh(entry.last_used));
        self.take_images();
        if self.stills.len() > MAX_STILLS {
            self.stills.sort_by_key(|entry| std::cmp::Reverse(entry.last_used));
            self.stills.truncate(MAX_STILLS);
        }
        self.measures.truncate(MAX_STILLS);
    }

    fn take_images(&mut self) {
        while let Some((path, read)) = self.reader.take() {
            let held: usize =
                self.images.iter().filter_map(|entry| entry.image.ready()).map(|p| p.data().len()).sum();
            // One that is not shown any more is let go.
            let Some(entry) = self.images.iter_mut().find(|entry| entry.path == path) else { continue };
            let read = read.and_then(|picture| {
                let total = held + picture.data().len();
                if total > MAX_IMAGE_BYTES { Err(ImageError::TooMany { total }) } else { Ok(picture) }
            });
            entry.is_reading = false;
            entry.image = read.map_or_else(|err| Image::Failed(err.to_string()), Image::Ready);
        }
    }

    /// The image at `path`, which is read in the background where it was not read before, or could not be.
    pub fn image(&mut self, path: &Path) -> &Image {
        let frame = self.frame;
        let at = self.images.iter().position(|entry| entry.path == path).unwrap_or_else(|| {
            let (path, image) = (path.to_owned(), Image::Awaited);
            self.images.push(ImageEntry { path, image, last_used: frame, tried: frame, is_reading: false });
            self.images.len() - 1
        });
        let entry = &mut self.images[at];
        entry.last_used = frame;
        let is_due = match entry.image {
            Image::Awaited => true,
            Image::Ready(_) => false,
            Image::Failed(_) => frame - entry.tried > KEPT_FRAMES,
        };
        if is_due && !entry.is_reading && self.reader.ask(&entry.path) {
            (entry.tried, entry.is_reading) = (frame, true);
        }
        // It may come yet, and is shown when it does.
        if matches!(entry.image, Image::Awaited) && frame - entry.tried > SLOW_FRAMES {
            entry.image = Image::Failed("it is not read yet: a disk or network does not answer".into());
        }
        &entry.image
    }

    /// The size of a still's content, before it is placed; `None` where there is nothing to show.
    pub fn natural_size(&mut self, content: &StillContent) -> Option<Size> {
        match content {
            StillContent::Image(path) => self.image(path).ready().map(Picture::size),
            StillContent::Slate(_) => None,
            StillContent::Text(text) => {
                let frame = self.frame;
                if let Some(known) = self.measures.iter_mut().find(|m| m.text == *text) {
                    known.last_used = frame;
                    return Some(known.size);
                }
                let size = self.typesetter.measure(text);
                self.measures.push(Measure { text: text.clone(), size, last_used: frame });
                Some(size)
            }
        }
    }

    /// The part of `content`, placed by `placement`, that lies in `visible`.
    pub fn still(
        &mut self,
        content: StillContent,
        placement: Placement,
        visible: Rect,
    ) -> Option<Arc<Still>> {
        // Where it lies in the programme does not matter, only which part is visible.
        let shift = |rect: Rect| Rect { x: rect.x - placement.dest.x, y: rect.y - placement.dest.y, ..rect };
        let (visible, placement) = (shift(visible), Placement { dest: shift(placement.dest), ..placement });
        let frame = self.frame;
        if let Some(known) = self
            .stills
            .iter_mut()
            .find(|e| e.placement == placement && e.visible == visible && e.content == content)
        {
            known.last_used = frame;
            return Some(Arc::clone(&known.still));
        }
        let bytes = self.draw(&content, placement, visible)?;
        let still = Arc::new(Still::new(visible.size(), bytes));
        let entry = StillEntry { content, placement, visible, still: Arc::clone(&still), last_used: frame };
        self.stills.push(entry);
        Some(still)
    }

    fn draw(&mut self, content: &StillContent, placement: Placement, visible: Rect) -> Option<Vec<u8>> {
        match content {
            StillContent::Image(path) => Some(scale_rgba(self.image(path).ready()?, placement, visible)),
            StillContent::Text(text) => {
                let natural = self.natural_size(content)?;
                // Set at the size that it is shown at, so that it is as sharp as can be.
                let (source, dest) = (placement.source, placement.dest);
                let wanted =
                    (dest.width as f32 / source.width as f32).max(dest.height as f32 / source.height as f32);
                let edge = natural.width.max(natural.height) as f32;
                let zoom = wanted.min(MAX_TEXT_EDGE / edge);
                let master = self.typesetter.draw(text, zoom);
                if source == Rect::of(natural) && master.size() == dest.size() && visible == dest {
                    return Some(master.data().to_vec());
                }
                // The crop of the natural size, in the master's pixels.
                let size = master.size();
                let (sx, sy) = (
                    f64::from(size.width) / f64::from(natural.width),
                    f64::from(size.height) / f64::from(natural.height),
                );
                let part = Rect {
                    x: (f64::from(source.x) * sx).round() as i32,
                    y: (f64::from(source.y) * sy).round() as i32,
                    width: ((f64::from(source.width) * sx).round() as u32).max(1),
                    height: ((f64::from(source.height) * sy).round() as u32).max(1),
                };
                let source = part.intersect(Rect::of(size))?;
                Some(scale_rgba(&master, Placement { source, dest }, visible))
            }
            StillContent::Slate(message) => {
                let size = visible.size();
                let label = self.typesetter.draw(&slate_text(message, size), 1.0);
                Some(label_on_panel(&label, size))
            }
        }
    }
}

/// `label` in the middle of an opaque panel. Plain sRGB mixing: light text on a dark panel needs no more.
fn label_on_panel(label: &Picture, size: Size) -> Vec<u8> {
    let mut bytes = SLATE_PANEL.repeat(size.pixels() as usize);
    let (width, height) = (size.width as i32, size.height as i32);
    let left = (width - label.size().width as i32) / 2;
    let top = (height - label.size().height as i32) / 2;
    let (pixels, _) = label.data().as_chunks::<4>();
    for (row, line) in pixels.chunks_exact(label.size().width as usize).enumerate() {
        for (column, pixel) in line.iter().enumerate() {
            let (x, y) = (left + column as i32, top + row as i32);
            if (0..width).contains(&x) && (0..height).contains(&y) {
                let at = (y as usize * size.width as usize + x as usize) * 4;
                let alpha = u32::from(pixel[3]);
                for (to, from) in bytes[at..at + 3].iter_mut().zip(pixel) {
                    *to = ((u32::from(*from) * alpha + u32::from(*to) * (255 - alpha) + 127) / 255) as u8;
                }
            }
        }
    }
    bytes
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_not_read_in_ten_seconds_is_named_and_shown_once_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dot.png");
        image::RgbaImage::new(2, 2).save(&path).expect("a picture");
        let mut cache = StillCache::new();
        // A file on a dead network, as the reader sees one: it was asked for, and no answer comes.
        cache.images.push(ImageEntry {
            path: path.clone(),
            image: Image::Awaited,
            last_used: 0,
            tried: 0,
            is_reading: true,
        });
        for _ in 0..SLOW_FRAMES {
            cache.next_frame();
            assert!(matches!(cache.image(&path), Image::Awaited));
        }
        cache.next_frame();
        assert!(matches!(cache.image(&path), Image::Failed(why) if why.contains("does not answer")));

        assert!(cache.reader.ask(&path));
        let begun = std::time::Instant::now();
        while !matches!(cache.image(&path), Image::Ready(_)) {
            assert!(begun.elapsed().as_secs() < 60, "it is never read");
            cache.next_frame();
            std::thread::yield_now();
        }
    }
}
