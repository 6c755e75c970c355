//! FFmpeg's scaler on the programme: RGBA to NV12, then each size from the next larger, with the area filter.

use std::time::Instant;

use ffmpeg_next::Error;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;
use ffmpeg_next::software::scaling::{Context, Flags};
use media::Size;

use crate::backends::thread_ms;

const FRAMES: u32 = 60;

/// What it gives up for time.
#[derive(Clone, Copy)]
pub enum Care {
    /// Every second chroma sample of the source passed over, sums cut off instead of rounded.
    None,
    /// As correct as what it is compared with.
    Full,
}

impl Care {
    fn flags(self) -> Flags {
        match self {
            Self::None => Flags::AREA,
            Self::Full => Flags::AREA | Flags::ACCURATE_RND | Flags::FULL_CHR_H_INP,
        }
    }
}

pub struct Ladder {
    source: Video,
    steps: Vec<(Context, Video)>,
}

impl Ladder {
    /// `sizes` from the largest down.
    pub fn new(programme: Size, sizes: &[Size], care: Care) -> Result<Self, Error> {
        let mut source = Video::new(Pixel::RGBA, programme.width, programme.height);
        for (at, byte) in source.data_mut(0).iter_mut().enumerate() {
            *byte = (at * 31 % 251) as u8;
        }
        let mut steps = Vec::new();
        let mut from = (Pixel::RGBA, programme);
        for &size in sizes {
            let (format, larger) = from;
            let context = Context::get(
                format,
                larger.width,
                larger.height,
                Pixel::NV12,
                size.width,
                size.height,
                care.flags(),
            )?;
            steps.push((context, Video::new(Pixel::NV12, size.width, size.height)));
            from = (Pixel::NV12, size);
        }
        Ok(Self { source, steps })
    }

    fn frame(&mut self) -> Result<(), Error> {
        let mut from = &self.source;
        for (context, to) in &mut self.steps {
            context.run(from, to)?;
            from = to;
        }
        Ok(())
    }

    /// The milliseconds of a frame.
    pub fn measure(&mut self) -> Result<f64, Error> {
        self.frame()?;
        let start = Instant::now();
        let before = thread_ms(start);
        for _ in 0..FRAMES {
            self.frame()?;
        }
        Ok((thread_ms(start) - before) / f64::from(FRAMES))
    }
}
