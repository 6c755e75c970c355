//! The backend that runs everywhere, and that every other is held to.

use media::{Picture, Size, Timestamp};

use crate::block::Block;
use crate::glow::Glow;
use crate::isa::{Isa, for_each_isa};
use crate::kernel::advance_block;
use crate::params::StepParams;
use crate::pool::{PicturePool, Threads};
use crate::simulation::{Backend, SimError};
use crate::splat::{Frame, Splatter};
use crate::tone::develop;

/// Blocks that one thread takes at a time: 147 kB, well inside the second cache.
const CHUNK: usize = 64;

/// Particles in memory, stepped and drawn by vector code on one thread or several.
pub struct CpuBackend {
    threads: Threads,
    isa: Isa,
    blocks: Vec<Block>,
    alive: u32,
    splatter: Splatter,
    glow: Glow,
    pictures: PicturePool,
}

for_each_isa! {
    fn advance_chunk(blocks: &mut [Block], first: u32, steps: &[StepParams]) -> u32 = advance_body
}

#[inline(always)]
fn advance_body(blocks: &mut [Block], first: u32, steps: &[StepParams]) -> u32 {
    let mut alive = 0;
    for (offset, block) in blocks.iter_mut().enumerate() {
        alive += advance_block(block, first + offset as u32, steps);
    }
    alive
}

impl CpuBackend {
    /// `threads` 0 leaves one core free; `isa` is replaced by the baseline where the machine lacks it.
    pub fn new(threads: usize, isa: Isa) -> Result<Self, SimError> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            some => some,
        };
        Ok(Self {
            threads: Threads::new(threads)?,
            isa: isa.checked(),
            blocks: Vec::new(),
            alive: 0,
            splatter: Splatter::default(),
            glow: Glow::default(),
            pictures: PicturePool::default(),
        })
    }

    pub fn threads(&self) -> usize {
        self.threads.count()
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The first half of [`Backend::render`]: adds up the light. For measuring.
    pub fn splat(&mut self, frame: &Frame) {
        self.splatter.splat(&self.blocks, frame, &self.threads, self.isa);
    }

    /// Light by pixel as the last picture had it: red, green, blue, where 1 is white.
    pub fn light(&self, size: Size) -> Vec<[f32; 3]> {
        let (width, height) = (size.width as usize, size.height as usize);
        let bands = self.splatter.light().iter();
        let white = |word: u32| word as f32 / crate::splat::WHITE;
        bands
            .flat_map(|band| &band.pixels[..crate::splat::BAND_ROWS * width])
            .take(width * height)
            .map(|&[red_green, blue]| [white(red_green & 0xffff), white(red_green >> 16), white(blue)])
            .collect()
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn advance(&mut self, steps: &[StepParams]) -> Result<(), SimError> {
        let isa = self.isa;
        self.alive = self.threads.each_chunk(&mut self.blocks, CHUNK, |chunk, blocks| {
            advance_chunk(isa, blocks, (chunk * CHUNK) as u32, steps)
        });
        Ok(())
    }

    fn alive(&mut self) -> Result<u32, SimError> {
        Ok(self.alive)
    }

    fn blocks(&mut self) -> Result<std::borrow::Cow<'_, [Block]>, SimError> {
        Ok(std::borrow::Cow::Borrowed(&self.blocks))
    }

    fn set_blocks(&mut self, blocks: Vec<Block>) -> Result<(), SimError> {
        self.alive = blocks.iter().flat_map(|b| b.phase).map(|phase| u32::from(phase < 1.0)).sum();
        self.blocks = blocks;
        Ok(())
    }

    fn render(&mut self, frame: &Frame, timestamp: Timestamp) -> Result<Picture, SimError> {
        let (width, height) = (frame.width as usize, frame.height as usize);
        self.splat(frame);
        let light = self.splatter.light();
        self.glow.make(light, (width, height), frame.glow, &self.threads, self.isa);
        let mut rgba = self.pictures.take(width * height * 4);
        develop(light, &self.glow, width, &mut rgba, &self.threads, self.isa);
        let size = Size::new(frame.width, frame.height);
        Ok(Picture::rgba(size, self.pictures.share(rgba), timestamp)?)
    }
}
