//! A layer at another size than its content's, one programme row at a time, in linear light.

use media::Picture;

use super::isa::Isa;
use super::read::{ChromaRows, has_alpha, read_row};
use super::resample::{Columns, accumulate, set};
use super::row::{LightMut, Row};
use crate::color::{code, encode, unit};
use crate::filter::Axis;
use crate::geometry::{Placement, Rect};

/// Filters and rows of one layer, kept from frame to frame.
#[derive(Default, Debug)]
pub struct Scaler {
    made_for: Option<(Placement, Rect)>,
    columns: Columns,
    rows: Axis,
    /// Content rows in linear light: row `y` lies at `y % ring.len()`, if `held` says so.
    ring: Vec<Row>,
    held: Vec<Option<u32>>,
    sum: Row,
    out: Row,
}

impl Scaler {
    /// Prepares for a frame: only `visible` (in programme pixels, inside the destination) will be asked for.
    pub fn begin(&mut self, isa: Isa, placement: Placement, visible: Rect) {
        self.held.fill(None);
        if self.made_for == Some((placement, visible)) {
            return;
        }
        let Placement { source, dest } = placement;
        let columns = (visible.x - dest.x) as u32..(visible.right() - dest.x) as u32;
        let rows = (visible.y - dest.y) as u32..(visible.bottom() - dest.y) as u32;
        self.columns = Columns::new(isa, Axis::new(source.width, dest.width, columns));
        self.rows = Axis::new(source.height, dest.height, rows);
        self.ring.resize_with(self.rows.taps(), Row::default);
        self.held = vec![None; self.rows.taps()];
        self.ring.iter_mut().for_each(|row| row.fit(source.width as usize));
        self.sum.fit(source.width as usize);
        self.out.fit(visible.width as usize);
        self.made_for = Some((placement, visible));
    }

    /// Row `y` of what is visible; its alpha is meaningful only for formats that carry it.
    pub fn row(
        &mut self,
        isa: Isa,
        picture: &Picture,
        source: Rect,
        y: usize,
        chroma: &mut ChromaRows,
    ) -> &Row {
        let width = source.width as usize;
        let first = self.rows.first()[y];
        for tap in 0..self.rows.taps() {
            let weight = self.rows.weights(y)[tap];
            let row = first + tap as u32;
            let slot = row as usize % self.ring.len();
            if weight != 0.0 && self.held[slot] != Some(row) {
                let Row { red, green, blue, alpha } = &mut self.ring[slot];
                let light =
                    LightMut { red: &mut red[..width], green: &mut green[..width], blue: &mut blue[..width] };
                let at = (source.x as usize, source.y as usize + row as usize);
                read_row(isa, picture, at, light, &mut alpha[..width], chroma);
                self.held[slot] = Some(row);
            }
            let combine = if tap == 0 { set } else { accumulate };
            if weight != 0.0 || tap == 0 {
                let from = &self.ring[slot];
                combine(isa, &mut self.sum.red[..width], &from.red[..width], weight);
                combine(isa, &mut self.sum.green[..width], &from.green[..width], weight);
                combine(isa, &mut self.sum.blue[..width], &from.blue[..width], weight);
                if has_alpha(picture.format()) {
                    combine(isa, &mut self.sum.alpha[..width], &from.alpha[..width], weight);
                }
            }
        }
        self.columns.across(&self.sum.red, &mut self.out.red);
        self.columns.across(&self.sum.green, &mut self.out.green);
        self.columns.across(&self.sum.blue, &mut self.out.blue);
        if has_alpha(picture.format()) {
            self.columns.across(&self.sum.alpha, &mut self.out.alpha);
        }
        &self.out
    }
}

/// The `visible` part (in the destination's coordinates) of an RGBA picture scaled by `placement`, as straight
/// sRGB-encoded RGBA: for what is scaled once and kept.
pub fn scale_rgba(picture: &Picture, placement: Placement, visible: Rect) -> Vec<u8> {
    let isa = Isa::best();
    let mut scaler = Scaler::default();
    let mut chroma = ChromaRows::default();
    scaler.begin(isa, placement, visible);
    let mut bytes = Vec::with_capacity(visible.size().pixels() as usize * 4);
    for y in 0..visible.height as usize {
        let row = scaler.row(isa, picture, placement.source, y, &mut chroma);
        for x in 0..visible.width as usize {
            let light = [row.red[x], row.green[x], row.blue[x], row.alpha[x]];
            bytes.extend_from_slice(&straight(light));
        }
    }
    bytes
}

/// Premultiplied linear light to a straight sRGB-encoded pixel.
pub fn straight([red, green, blue, alpha]: [f32; 4]) -> [u8; 4] {
    if alpha <= 0.0 {
        return [0; 4];
    }
    let [r, g, b] = [red, green, blue].map(|light| code(encode(light / alpha), 255.0, 0.0));
    [r, g, b, code(unit(alpha), 255.0, 0.0)]
}
