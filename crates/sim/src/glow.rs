//! Light that spills: the picture at a quarter of its size, blurred a little and a lot.

use std::ops::Range;

use crate::isa::{Isa, for_each_isa};
use crate::pool::Threads;
use crate::splat::{BAND_ROWS, Band, Pixel, WHITE};

/// Pixels along the edge of a glow cell.
pub const CELL: usize = 4;
/// Rows of cells in a band.
pub const CELL_ROWS: usize = BAND_ROWS / CELL;

/// Means over the cells of a band: a row of red, green and blue for each row of cells.
#[derive(Default)]
pub struct Cells {
    means: Vec<f32>,
    /// Sums of the four rows of a row of cells, by colour.
    sums: [Vec<u32>; 3],
}

impl Cells {
    /// For pictures of `width` pixels.
    pub fn resize(&mut self, width: usize) {
        let columns = width.div_ceil(CELL);
        self.means.resize(3 * CELL_ROWS * columns, 0.0);
        self.sums.iter_mut().for_each(|sums| sums.resize(columns * CELL, 0));
    }
}

/// A plane of one colour.
#[derive(Clone, Default)]
pub struct Plane {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

impl Plane {
    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.values.clear();
        self.values.resize(width * height, 0.0);
    }

    pub fn row(&self, y: usize) -> &[f32] {
        let y = y.min(self.height - 1);
        &self.values[y * self.width..(y + 1) * self.width]
    }
}

/// Red, green and blue spill, and what making them needs.
#[derive(Default)]
pub struct Glow {
    colours: [Colour; 3],
}

#[derive(Default)]
struct Colour {
    near: Plane,
    far: Plane,
    scratch: Plane,
}

impl Glow {
    /// From light by band; `amounts` are the shares of the near and of the far blur.
    pub fn make(
        &mut self,
        light: &[Band],
        (width, height): (usize, usize),
        amounts: [f32; 2],
        threads: &Threads,
        isa: Isa,
    ) {
        let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
        threads.each(&mut self.colours, |index, colour| {
            colour.near.resize(columns, rows);
            for (y, row) in colour.near.values.chunks_exact_mut(columns).enumerate() {
                let from = ((y % CELL_ROWS) * 3 + index) * columns;
                row.copy_from_slice(&light[y / CELL_ROWS].cells.means[from..from + columns]);
            }
            spill(isa, colour, amounts);
        });
    }

    /// Planes of the spill: red, green, blue.
    pub fn planes(&self) -> [&Plane; 3] {
        [&self.colours[0].near, &self.colours[1].near, &self.colours[2].near]
    }
}

for_each_isa! {
    /// Takes the means of `rows` of cells.
    pub(crate) fn shrink_band(light: &[Pixel], width: usize, rows: Range<usize>, cells: &mut Cells) = shrink_body
}

for_each_isa! {
    fn spill(colour: &mut Colour, amounts: [f32; 2]) = spill_body
}

#[inline(always)]
fn shrink_body(light: &[Pixel], width: usize, rows: Range<usize>, cells: &mut Cells) {
    let columns = width.div_ceil(CELL);
    let by = 1.0 / (WHITE * (CELL * CELL) as f32);
    for cell_row in rows {
        let row = |y: usize| &light[(cell_row * CELL + y) * width..][..width];
        let four = [row(0), row(1), row(2), row(3)];
        let [red, green, blue] = cells.sums.each_mut().map(|sums| &mut sums[..width]);
        for x in 0..width {
            let (mut r, mut g, mut b) = (0u32, 0u32, 0u32);
            for row in four {
                let [red_green, blue] = row[x];
                r = r.wrapping_add(red_green & 0xffff);
                g = g.wrapping_add(red_green >> 16);
                b = b.wrapping_add(blue);
            }
            (red[x], green[x], blue[x]) = (r, g, b);
        }
        let means = &mut cells.means[cell_row * 3 * columns..][..3 * columns];
        for (means, sums) in means.chunks_exact_mut(columns).zip(&cells.sums) {
            for (mean, four) in means.iter_mut().zip(sums.as_chunks::<CELL>().0) {
                let [a, b, c, d] = *four;
                *mean = a.wrapping_add(b).wrapping_add(c.wrapping_add(d)) as f32 * by;
            }
        }
    }
}

#[inline(always)]
fn spill_body(colour: &mut Colour, [near, far]: [f32; 2]) {
    let Colour { near: plane, far: wide, scratch } = colour;
    for _ in 0..2 {
        blur(plane, scratch);
    }
    let (columns, rows) = (plane.width.div_ceil(CELL), plane.height.div_ceil(CELL));
    wide.resize(columns, rows);
    for y in 0..rows {
        for x in 0..columns {
            let mut sum = 0.0;
            for v in 0..CELL {
                let row = plane.row(y * CELL + v);
                for u in 0..CELL {
                    sum += row[(x * CELL + u).min(row.len() - 1)];
                }
            }
            wide.values[y * columns + x] = sum * (1.0 / (CELL * CELL) as f32);
        }
    }
    for _ in 0..3 {
        blur(wide, scratch);
    }
    let width = plane.width;
    let mut upper = vec![0.0; columns * CELL];
    let mut lower = vec![0.0; columns * CELL];
    for y in 0..plane.height {
        let (row, part) = between(y);
        stretch(wide.row(row), &mut upper);
        stretch(wide.row(row + usize::from(y >= CELL / 2)), &mut lower);
        let values = &mut plane.values[y * width..][..width];
        let (upper, lower) = (&upper[..width], &lower[..width]);
        for x in 0..width {
            let spread = upper[x] + (lower[x] - upper[x]) * part;
            values[x] = values[x] * near + spread * far;
        }
    }
}

/// The row of cells above row `y`'s middle, and how far `y` is on the way to the next.
#[inline(always)]
pub fn between(y: usize) -> (usize, f32) {
    let place = (y as f32 + 0.5) / CELL as f32 - 0.5;
    if place <= 0.0 {
        return (0, 0.0);
    }
    let row = (y * 2 + 1 - CELL) / (CELL * 2);
    (row, place - row as f32)
}

/// Four values for each one, straight between the middles; beyond the last ones, level.
#[inline(always)]
pub fn stretch(from: &[f32], to: &mut [f32]) {
    let four = |left: f32, here: f32, right: f32| {
        [
            0.375 * left + 0.625 * here,
            0.125 * left + 0.875 * here,
            0.875 * here + 0.125 * right,
            0.625 * here + 0.375 * right,
        ]
    };
    let last = from.len() - 1;
    let to = &mut to.as_chunks_mut::<CELL>().0[..from.len()];
    to[0] = four(from[0], from[0], from[last.min(1)]);
    to[last] = four(from[last.saturating_sub(1)], from[last], from[last]);
    let inner = last.saturating_sub(1);
    if inner > 0 {
        let (left, here, right) = (&from[..inner], &from[1..][..inner], &from[2..][..inner]);
        let to = &mut to[1..][..inner];
        for x in 0..inner {
            to[x] = four(left[x], here[x], right[x]);
        }
    }
}

/// Binomial weights 1 4 6 4 1, both ways; edges repeat.
#[inline(always)]
fn blur(plane: &mut Plane, scratch: &mut Plane) {
    let (width, height) = (plane.width, plane.height);
    scratch.resize(width, height);
    let mix = |a: f32, b: f32, c: f32, d: f32, e: f32| (a + e) * (1.0 / 16.0) + (b + d) * 0.25 + c * 0.375;
    for y in 0..height {
        let from = plane.row(y);
        let to = &mut scratch.values[y * width..(y + 1) * width];
        let at = |x: isize| from[x.clamp(0, width as isize - 1) as usize];
        let edge = |x: usize| {
            let x = x as isize;
            mix(at(x - 2), at(x - 1), at(x), at(x + 1), at(x + 2))
        };
        for x in (0..width.min(2)).chain(width.saturating_sub(2).max(2)..width) {
            to[x] = edge(x);
        }
        if width > 4 {
            let inner = &mut to[2..width - 2];
            let count = inner.len();
            let (a, b, c) = (&from[..count], &from[1..][..count], &from[2..][..count]);
            let (d, e) = (&from[3..][..count], &from[4..][..count]);
            for x in 0..count {
                inner[x] = mix(a[x], b[x], c[x], d[x], e[x]);
            }
        }
    }
    for y in 0..height {
        let row = |dy: isize| scratch.row((y as isize + dy).clamp(0, height as isize - 1) as usize);
        let [a, b, c, d, e] = [-2, -1, 0, 1, 2].map(|dy| &row(dy)[..width]);
        let to = &mut plane.values[y * width..][..width];
        for x in 0..width {
            to[x] = mix(a[x], b[x], c[x], d[x], e[x]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_the_sum_of_light_away_from_the_edges() {
        let mut plane = Plane::default();
        plane.resize(21, 17);
        plane.values[8 * 21 + 10] = 1.0;
        blur(&mut plane, &mut Plane::default());
        assert!((plane.values.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // 6/16 both ways.
        assert_eq!(plane.values[8 * 21 + 10], 0.375 * 0.375);
    }

    #[test]
    fn an_even_plane_stays_even() {
        let mut plane = Plane::default();
        for width in 1..9 {
            plane.resize(width, 3);
            plane.values.fill(0.5);
            blur(&mut plane, &mut Plane::default());
            assert!(plane.values.iter().all(|v| *v == 0.5), "{width}: {:?}", plane.values);
        }
    }

    #[test]
    fn rows_lie_between_the_cells_round_them() {
        // Rows 0 and 1 are above the first cell's middle; row 2 is an eighth below it.
        assert_eq!(between(1), (0, 0.0));
        assert_eq!(between(2), (0, 0.125));
        assert_eq!(between(5), (0, 0.875));
        assert_eq!(between(6), (1, 0.125));
    }
}
