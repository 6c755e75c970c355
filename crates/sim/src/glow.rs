//! Light that spills: the picture at a quarter of its size, blurred a little and a lot.

use crate::isa::{Isa, for_each_isa};
use crate::pool::Threads;
use crate::splat::{BAND_ROWS, WHITE};

/// Pixels along the edge of a glow cell.
pub const CELL: usize = 4;
const CELL_ROWS: usize = BAND_ROWS / CELL;

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
    bands: Vec<Vec<f32>>,
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
        light: &[Vec<u16>],
        (width, height): (usize, usize),
        amounts: [f32; 2],
        threads: &Threads,
        isa: Isa,
    ) {
        let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
        self.bands.resize_with(light.len(), Vec::new);
        threads.each(&mut self.bands, |band, out| {
            out.clear();
            out.resize(3 * CELL_ROWS * columns, 0.0);
            shrink_band(isa, &light[band], width, out);
        });
        let bands = &self.bands;
        threads.each(&mut self.colours, |index, colour| {
            colour.near.resize(columns, rows);
            for y in 0..rows {
                let from = ((y % CELL_ROWS) * 3 + index) * columns;
                let row = &bands[y / CELL_ROWS][from..from + columns];
                colour.near.values[y * columns..(y + 1) * columns].copy_from_slice(row);
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
    fn shrink_band(light: &[u16], width: usize, out: &mut [f32]) = shrink_body
}

for_each_isa! {
    fn spill(colour: &mut Colour, amounts: [f32; 2]) = spill_body
}

/// Means over cells, a row of red, green and blue for each row of cells.
#[inline(always)]
fn shrink_body(light: &[u16], width: usize, out: &mut [f32]) {
    let columns = width.div_ceil(CELL);
    let mut sums = vec![0u32; width * 4];
    for cell_row in 0..CELL_ROWS {
        sums.fill(0);
        for y in 0..CELL {
            let start = (cell_row * CELL + y) * width * 4;
            for (sum, value) in sums.iter_mut().zip(&light[start..start + width * 4]) {
                *sum += u32::from(*value);
            }
        }
        let rows = &mut out[cell_row * 3 * columns..(cell_row + 1) * 3 * columns];
        let (red, rest) = rows.split_at_mut(columns);
        let (green, blue) = rest.split_at_mut(columns);
        for (x, cell) in sums.chunks(CELL * 4).enumerate() {
            let mut total = [0u32; 4];
            for pixel in cell.as_chunks::<4>().0 {
                for c in 0..4 {
                    total[c] += pixel[c];
                }
            }
            let by = 1.0 / (WHITE * (CELL * CELL) as f32);
            red[x] = total[0] as f32 * by;
            green[x] = total[1] as f32 * by;
            blue[x] = total[2] as f32 * by;
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

/// Four values for each one, straight between the middles.
#[inline(always)]
pub fn stretch(from: &[f32], to: &mut [f32]) {
    let last = from.len() - 1;
    for (x, four) in to.chunks_exact_mut(CELL).enumerate().take(from.len()) {
        let here = from[x];
        let left = from[x.saturating_sub(1)];
        let right = from[if x < last { x + 1 } else { last }];
        four[0] = 0.375 * left + 0.625 * here;
        four[1] = 0.125 * left + 0.875 * here;
        four[2] = 0.875 * here + 0.125 * right;
        four[3] = 0.625 * here + 0.375 * right;
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
