//! Draws a frame's layers into a band of the programme.

use super::blend::{blend_colour, blend_row};
use super::isa::Isa;
use super::read::{ChromaRows, has_alpha, read_row};
use super::row::{Band, LightMut, Row};
use super::scaler::Scaler;
use crate::draw_list::{Draw, What};
use crate::geometry::Rect;
use crate::scene::Blend;

/// What drawing needs besides the band.
#[derive(Debug)]
pub struct Painter {
    isa: Isa,
    programme: Rect,
    scratch: Row,
    chroma: ChromaRows,
    /// One for each layer of the frame, used where a layer is scaled.
    scalers: Vec<Scaler>,
}

impl Painter {
    pub fn new(isa: Isa, programme: Rect) -> Self {
        let scratch = Row::new(programme.width as usize);
        Self { isa, programme, scratch, chroma: ChromaRows::default(), scalers: Vec::new() }
    }

    /// Prepares for a frame of `draws`.
    pub fn begin(&mut self, draws: &[Draw]) {
        self.scalers.resize_with(draws.len(), Scaler::default);
        for (draw, scaler) in draws.iter().zip(&mut self.scalers) {
            if let (true, Some(visible)) = (draw.is_scaled(), draw.placement.dest.intersect(self.programme)) {
                scaler.begin(self.isa, draw.placement, visible);
            }
        }
    }

    /// Draws rows `top..top + rows` of the programme.
    pub fn paint(&mut self, draws: &[Draw], band: &mut Band, top: u32, rows: u32) {
        if !draws.first().is_some_and(|draw| draw.covers(self.programme)) {
            band.clear();
        }
        let area = Rect { x: 0, y: top as i32, width: self.programme.width, height: rows };
        for (number, draw) in draws.iter().enumerate() {
            let Some(part) = draw.placement.dest.intersect(area) else { continue };
            for y in part.y..part.bottom() {
                self.paint_row(number, draw, part, y, band, (y - area.y) as usize);
            }
        }
    }

    fn paint_row(&mut self, number: usize, draw: &Draw, part: Rect, y: i32, band: &mut Band, row: usize) {
        let isa = self.isa;
        let (from, to) = (part.x as usize, part.right() as usize);
        let placement = draw.placement;
        let line = (y - placement.dest.y) as usize;
        let picture = match &draw.what {
            What::Colour(light) => {
                let light = light.map(|part| part * draw.opacity);
                return blend_colour(isa, draw.blend, light, band.part_mut(row, from, to));
            }
            What::Still(still) => {
                // Columns of the programme that the still touches in this row.
                let (first, end) = still.touched(line);
                let from = from.max((placement.dest.x + first as i32).max(0) as usize);
                let to = to.min((placement.dest.x + end as i32).max(0) as usize);
                if from < to {
                    self.paint_unscaled(draw, still.picture(), line, (from, to), band, row);
                }
                return;
            }
            What::Live(picture) => picture,
        };
        if draw.is_scaled() {
            let visible_line = (y - placement.dest.y.max(0)) as usize;
            let scaled =
                self.scalers[number].row(isa, picture, placement.source, visible_line, &mut self.chroma);
            let len = to - from;
            let alpha = has_alpha(picture.format()).then(|| &scaled.alpha[..len]);
            let dst = band.part_mut(row, from, to);
            blend_row(isa, draw.blend, draw.opacity, dst, scaled.light(len), alpha);
        } else {
            self.paint_unscaled(draw, picture, line, (from, to), band, row);
        }
    }

    /// Programme columns `from..to` of the content's line `line`, pixel for pixel.
    fn paint_unscaled(
        &mut self,
        draw: &Draw,
        picture: &media::Picture,
        line: usize,
        (from, to): (usize, usize),
        band: &mut Band,
        row: usize,
    ) {
        let isa = self.isa;
        let placement = draw.placement;
        let x = (from as i32 - placement.dest.x + placement.source.x) as usize;
        let at = (x, placement.source.y as usize + line);
        let len = to - from;
        let dst = band.part_mut(row, from, to);
        let opaque = draw.what.is_opaque();
        if opaque && draw.blend == Blend::Normal && draw.opacity == 1.0 {
            return read_row(isa, picture, at, dst, &mut self.scratch.alpha, &mut self.chroma);
        }
        let Row { red, green, blue, alpha } = &mut self.scratch;
        let light = LightMut { red: &mut red[..len], green: &mut green[..len], blue: &mut blue[..len] };
        read_row(isa, picture, at, light, alpha, &mut self.chroma);
        let alpha = (!opaque).then(|| &self.scratch.alpha[..len]);
        blend_row(isa, draw.blend, draw.opacity, dst, self.scratch.light(len), alpha);
    }
}
