//! From rows of the programme to every rendition: each is fed by the next larger one, row by row, so that a row is
//! scaled while it is still in the cache.

use media::Size;

use super::encode::{ChromaPair, rgba_row};
use super::isa::Isa;
use super::resample::{Columns, accumulate, set};
use super::row::{Light, Row};
use crate::compositor::feeder;
use crate::filter::Axis;
use crate::frame_format::Nv12Layout;

/// What a level's rows become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Nv12,
    Rgba,
}

/// One size of the picture.
#[derive(Debug)]
struct Level {
    size: Size,
    /// The level that feeds it; the programme has none.
    parent: Option<usize>,
    output: Option<Output>,
    /// A level without use in this frame is passed over.
    active: bool,
    columns: Columns,
    /// The parent's rows, added up to the row that is being made.
    sum: Row,
    /// Rows finished in this frame.
    rows: usize,
    row: Row,
    chroma: ChromaPair,
    bytes: Vec<u8>,
}

/// All sizes, the programme's first; every level stands behind the one that feeds it.
#[derive(Debug)]
pub struct Ladder {
    isa: Isa,
    levels: Vec<Level>,
}

impl Ladder {
    pub fn new(isa: Isa, programme: Size) -> Self {
        let mut ladder = Self { isa, levels: Vec::new() };
        ladder.push_level(programme, None, None);
        ladder
    }

    fn push_level(&mut self, size: Size, parent: Option<usize>, output: Option<Output>) {
        let from = parent.map_or(size, |parent| self.levels[parent].size);
        self.levels.push(Level {
            size,
            parent,
            output,
            active: true,
            columns: Columns::new(self.isa, Axis::new(from.width, size.width, 0..size.width)),
            sum: Row::new(from.width as usize),
            rows: 0,
            row: Row::new(size.width as usize),
            chroma: ChromaPair::new(size.width as usize),
            bytes: Vec::new(),
        });
    }

    /// Adds a picture of `size` (at most the programme's, either way), fed by the smallest level that is not smaller.
    /// Returns the level's number. Larger sizes must be added before smaller ones.
    pub fn add(&mut self, size: Size, output: Output) -> usize {
        if let Some(same) = self.levels.iter().position(|level| level.size == size && level.output.is_none())
        {
            self.levels[same].output = Some(output);
            return same;
        }
        // A preview is the newest level, if there is one, and feeds none.
        let sizes: Vec<Size> = self.levels.iter().map(|level| level.size).collect();
        let parent = feeder(&sizes, size);
        self.push_level(size, Some(parent), Some(output));
        self.levels.len() - 1
    }

    /// Removes the level that was added last.
    pub fn remove_last(&mut self, number: usize) {
        if number == 0 {
            self.levels[0].output = None;
        } else {
            assert_eq!(number + 1, self.levels.len(), "only the newest level feeds no other");
            self.levels.pop();
        }
    }

    pub fn set_active(&mut self, number: usize, active: bool) {
        self.levels[number].active = active;
    }

    /// Begins a frame whose picture of level `number` is written to `bytes`.
    pub fn begin(&mut self, number: usize, bytes: Vec<u8>) {
        self.levels[number].bytes = bytes;
    }

    pub fn begin_frame(&mut self) {
        self.levels.iter_mut().for_each(|level| level.rows = 0);
    }

    /// The finished picture's bytes of level `number`.
    pub fn take(&mut self, number: usize) -> Vec<u8> {
        std::mem::take(&mut self.levels[number].bytes)
    }

    /// The programme's next row.
    pub fn programme_row(&mut self, light: Light<'_>) {
        self.finished_row(0, light);
    }

    /// A finished row of level `number`: to its own picture, and to the levels that it feeds.
    fn finished_row(&mut self, number: usize, light: Light<'_>) {
        let isa = self.isa;
        let level = &mut self.levels[number];
        let y = level.rows;
        level.rows += 1;
        level.write(isa, y, light);
        for child in number + 1..self.levels.len() {
            if self.levels[child].parent == Some(number) && self.levels[child].active {
                self.feed(child, number, y, light);
            }
        }
    }

    /// Row `y` of level `parent` adds to one row of level `number`, or to two where it lies across their border:
    /// never more, since a level is at most as high as its parent.
    fn feed(&mut self, number: usize, parent: usize, y: usize, light: Light<'_>) {
        let isa = self.isa;
        let from = self.levels[parent].size;
        let level = &mut self.levels[number];
        if level.size == from {
            return self.finished_row(number, light);
        }
        // In units of a `to`th of a parent's row, as in `Axis`.
        let (from, to) = (u64::from(from.height), u64::from(level.size.height));
        let (start, end) = (y as u64 * to, (y as u64 + 1) * to);
        let border = (start / from + 1) * from;
        let share = |covered: u64| (covered as f64 / from as f64) as f32;
        level.add(isa, start.is_multiple_of(from), share(end.min(border) - start), light);
        if end < border {
            return;
        }
        let mut done = std::mem::take(&mut level.row);
        level.columns.across(&level.sum.red, &mut done.red);
        level.columns.across(&level.sum.green, &mut done.green);
        level.columns.across(&level.sum.blue, &mut done.blue);
        let width = level.size.width as usize;
        if end > border {
            level.add(isa, true, share(end - border), light);
        }
        self.finished_row(number, done.light(width));
        self.levels[number].row = done;
    }
}

impl Level {
    fn add(&mut self, isa: Isa, is_first: bool, weight: f32, light: Light<'_>) {
        let combine = if is_first { set } else { accumulate };
        for (sum, plane) in self.sum.planes_mut().into_iter().zip(light.planes()) {
            combine(isa, sum, plane, weight);
        }
    }

    fn write(&mut self, isa: Isa, y: usize, light: Light<'_>) {
        if !self.active {
            return;
        }
        let width = self.size.width as usize;
        match self.output {
            None => {}
            Some(Output::Rgba) => {
                let out = &mut self.bytes[y * width * 4..][..width * 4];
                rgba_row(isa, light.red, light.green, light.blue, out);
            }
            Some(Output::Nv12) => {
                let layout = Nv12Layout::new(self.size);
                let luma = &mut self.bytes[y * layout.stride..][..width];
                self.chroma.row(isa, light, y % 2, luma);
                let last = y + 1 == self.size.height as usize;
                let is_upper = y.is_multiple_of(2);
                if is_upper && !last {
                    return;
                }
                if is_upper {
                    self.chroma.repeat_row();
                }
                let at = layout.chroma_offset + y / 2 * layout.stride;
                let out = &mut self.bytes[at..][..width.div_ceil(2) * 2];
                self.chroma.finish(isa, out);
            }
        }
    }
}
