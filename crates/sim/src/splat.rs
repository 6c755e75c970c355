//! From particles to light: projection, sorting into bands of rows, and adding up in fixed point.
//!
//! Each particle lights the four pixels round its place by how near they are. A band of 32 rows stays in
//! the second cache while its particles are added, where straight scattering over a whole picture misses it
//! on every one. Sums are whole numbers that saturate, so their order, and with it the number of threads,
//! does not matter.
// Loops run over lanes by number: one index into many arrays is what becomes vector code.
#![allow(clippy::needless_range_loop)]

use crate::block::{Block, LANES};
use crate::camera::View;
use crate::isa::{Isa, for_each_isa};
use crate::look::PALETTE_LEN;
use crate::params::RINGS;
use crate::pool::Threads;

/// Rows of a band.
pub const BAND_ROWS: usize = 32;
/// A band's own rows and the one below, which its last row's particles light too.
pub const BAND_STORE: usize = BAND_ROWS + 1;
/// Parts of a pixel that places are told apart by.
const SUB: u32 = 32;
/// What one particle's light is counted in: this many for white.
pub const WHITE: f32 = 2_048.0;
/// One particle's intensity 1 in its 16-bit form; up to 4 can be said.
const INTENSITY_ONE: f32 = 16_384.0;
/// The band of a particle that is not seen.
const HIDDEN: u32 = u32::MAX;
/// Palettes: one for each ring of the present preset and of the one before.
pub const PALETTES: usize = 2 * RINGS;

/// A palette entry twice, for two neighbouring pixels at once.
pub type Entry = [u16; 8];

/// What a picture is made from besides the particles.
#[derive(Clone, Debug)]
pub struct Frame {
    pub view: View,
    pub width: u32,
    pub height: u32,
    /// Light by palette and phase.
    pub palettes: Vec<[[f32; 3]; PALETTE_LEN]>,
    /// Light of every particle times this.
    pub gain: f32,
    pub sparkle: f32,
    /// Spheres that hide what is behind them: centre and radius.
    pub hiders: Vec<[f32; 4]>,
    /// Height of a mirroring floor and its share of the light.
    pub mirror: Option<[f32; 2]>,
    pub glow: [f32; 2],
}

impl Frame {
    /// The palettes in the units that particles' light is added in.
    pub(crate) fn palette_words(&self) -> impl Iterator<Item = [u16; 3]> {
        // Four times WHITE, since intensity 1 is a quarter of what 16 bits hold.
        let word = |light: f32| (light * WHITE * 4.0 + 0.5).clamp(0.0, 65_535.0) as u16;
        self.palettes.iter().flatten().map(move |entry| entry.map(word))
    }
}

/// One seen particle: column and palette entry; row in its band, intensity and some random bits.
type Record = [u32; 2];

/// Records by band.
#[derive(Default)]
struct Bins {
    bands: Vec<Vec<Record>>,
}

/// Light by band: [`BAND_STORE`] rows of r, g, b and a spare, in [`WHITE`]ths.
#[derive(Default)]
pub struct Splatter {
    bins: Vec<Bins>,
    light: Vec<Vec<u16>>,
    palette: Vec<Entry>,
}

struct Projected {
    column: [u32; LANES],
    row: [u32; LANES],
    band: [u32; LANES],
}

impl Splatter {
    /// Adds up the light of all `blocks`; read it with [`Splatter::light`].
    pub fn splat(&mut self, blocks: &[Block], frame: &Frame, threads: &Threads, isa: Isa) {
        let bands = (frame.height as usize).div_ceil(BAND_ROWS);
        self.palette.clear();
        self.palette.extend(frame.palette_words().map(|[r, g, b]| [r, g, b, 0, r, g, b, 0]));
        // More runs than threads, so that a late thread has less left to do.
        let runs = if threads.count() == 1 { 1 } else { threads.count() * 3 };
        self.bins.resize_with(runs, Bins::default);
        let run = blocks.len().div_ceil(runs).max(1);
        threads.each(&mut self.bins, |index, bins| {
            bins.bands.resize_with(bands, Vec::new);
            bins.bands.iter_mut().for_each(Vec::clear);
            let start = (index * run).min(blocks.len());
            let end = (start + run).min(blocks.len());
            sort_into_bands(isa, &blocks[start..end], start, frame, &mut bins.bands);
        });
        self.light.resize_with(bands, Vec::new);
        let (bins, palette) = (&self.bins, &self.palette);
        let row = frame.width as usize * 4;
        threads.each(&mut self.light, |band, light| {
            light.clear();
            light.resize(BAND_STORE * row, 0);
            for bins in bins {
                add_records(isa, &bins.bands[band], palette, light, row);
            }
        });
        // What fell on the row below a band belongs to the next one.
        for band in 1..bands {
            let (above, below) = self.light.split_at_mut(band);
            let spilled = &above[band - 1][BAND_ROWS * row..];
            for (to, from) in below[0][..row].iter_mut().zip(spilled) {
                *to = to.saturating_add(*from);
            }
        }
    }

    pub fn light(&self) -> &[Vec<u16>] {
        &self.light
    }
}

for_each_isa! {
    fn sort_into_bands(blocks: &[Block], first: usize, frame: &Frame, bands: &mut [Vec<Record>]) = sort_body
}

for_each_isa! {
    fn add_records(records: &[Record], palette: &[Entry], light: &mut [u16], row: usize) = add_body
}

#[inline(always)]
fn sort_body(blocks: &[Block], first: usize, frame: &Frame, bands: &mut [Vec<Record>]) {
    let mut out = Projected { column: [0; LANES], row: [0; LANES], band: [HIDDEN; LANES] };
    for (index, block) in blocks.iter().enumerate() {
        if !block.any_alive() {
            continue;
        }
        project(block, frame, [1.0, 0.0, frame.gain], &mut out);
        keep_seen(&out, bands);
        // Every second block stands for its neighbour in the mirror too, at twice the light.
        if let Some([height, share]) = frame.mirror
            && (first + index).is_multiple_of(2)
        {
            project(block, frame, [-1.0, 2.0 * height, 2.0 * share * frame.gain], &mut out);
            keep_seen(&out, bands);
        }
    }
}

#[inline(always)]
fn keep_seen(seen: &Projected, bands: &mut [Vec<Record>]) {
    for lane in 0..LANES {
        // Hidden ones have a band beyond the last.
        if let Some(band) = bands.get_mut(seen.band[lane] as usize) {
            band.push([seen.column[lane], seen.row[lane]]);
        }
    }
}

/// Where each lane of `block` falls. `mirror` is the factor on y, what is added to it, and the gain.
#[inline(always)]
fn project(block: &Block, frame: &Frame, mirror: [f32; 3], out: &mut Projected) {
    let View { eye, right, up, forward } = frame.view;
    let [flip, shift, gain] = mirror;
    // Adding 2^23 puts a whole number into the low bits of a float.
    const BITS: f32 = 8_388_608.0;
    let most_x = (frame.width - 1) as f32;
    let most_y = (frame.height - 1) as f32;
    let brightest = gain * eye[3] * INTENSITY_ONE;
    let (plain, uneven) = (1.0 - frame.sparkle, frame.sparkle * 9.0);
    let mut hidden = [0u32; LANES];
    for hider in &frame.hiders {
        hide(block, eye, [flip, shift], hider, &mut hidden);
    }
    for i in 0..LANES {
        let dx = block.px[i] - eye[0];
        let dy = block.py[i] * flip + shift - eye[1];
        let dz = block.pz[i] - eye[2];
        let depth = forward[0] * dx + forward[1] * dy + forward[2] * dz;
        let inverse = 1.0 / depth;
        // A pixel's middle is half a pixel from its corner, and it is middles that share the light.
        let x = (right[0] * dx + right[1] * dy + right[2] * dz) * inverse + (right[3] - 0.5);
        let y = (up[3] - 0.5) - (up[0] * dx + up[1] * dy + up[2] * dz) * inverse;
        let phase = block.phase[i];
        let seen = (phase < 1.0)
            & (depth > forward[3])
            & (x >= 0.0)
            & (x < most_x)
            & (y >= 0.0)
            & (y < most_y)
            & (hidden[i] == 0);
        // Whatever is not seen must still be a number that fits.
        let x = if seen { x } else { 0.0 };
        let y = if seen { y } else { 0.0 };
        let inverse = if seen { inverse } else { 0.0 };
        let phase = if phase >= 0.0 { phase } else { 0.0 };
        let phase = if seen { phase } else { 0.0 };
        let look = block.look[i];
        let u = (look & 0xffff) as f32 * (1.0 / 65_536.0);
        let u2 = u * u;
        let u4 = u2 * u2;
        let own = plain + uneven * u4 * u4;
        let intensity = brightest * own * inverse * inverse;
        let intensity = if intensity < 65_535.0 { intensity } else { 65_535.0 };
        let whole = |v: f32| (v + BITS).to_bits() & 0x007f_ffff;
        let column = whole(x * SUB as f32);
        let row = whole(y * SUB as f32);
        let intensity = whole(intensity);
        let entry = whole(phase * (PALETTE_LEN - 1) as f32);
        let palette = look >> 28;
        out.column[i] = column | ((palette * PALETTE_LEN as u32 + entry) << 18);
        out.row[i] = (row & (SUB * BAND_ROWS as u32 - 1)) | (intensity << 10) | ((look >> 16) << 26);
        let band = row / (SUB * BAND_ROWS as u32);
        out.band[i] = if seen { band } else { HIDDEN };
    }
}

/// Marks the lanes that a sphere stands before.
#[inline(always)]
fn hide(block: &Block, eye: [f32; 4], [flip, shift]: [f32; 2], hider: &[f32; 4], hidden: &mut [u32; LANES]) {
    let (ox, oy, oz) = (hider[0] - eye[0], hider[1] - eye[1], hider[2] - eye[2]);
    let r2 = hider[3] * hider[3] * 0.98;
    for i in 0..LANES {
        let dx = block.px[i] - eye[0];
        let dy = block.py[i] * flip + shift - eye[1];
        let dz = block.pz[i] - eye[2];
        let way = (ox * dx + oy * dy + oz * dz) / (dx * dx + dy * dy + dz * dz);
        let way = if way < 1.0 { way } else { 1.0 };
        let (mx, my, mz) = (ox - dx * way, oy - dy * way, oz - dz * way);
        hidden[i] |= u32::from(mx * mx + my * my + mz * mz < r2);
    }
}

#[inline(always)]
fn add_body(records: &[Record], palette: &[Entry], light: &mut [u16], row: usize) {
    for &[column, place] in records {
        let x = column & 0x3_ffff;
        let entry = &palette[((column >> 18) as usize) & (PALETTES * PALETTE_LEN - 1)];
        let y = place & 0x3ff;
        let intensity = (place >> 10) & 0xffff;
        // Rounding up or down by chance keeps dim colours true on average.
        let chance = ((place >> 26) << 10) as u16;
        let (fx, fy) = (x % SUB, y % SUB);
        let start = (y / SUB) as usize * row + (x / SUB) as usize * 4;
        let share = |wx: u32, wy: u32| ((intensity * (wx * wy)) >> 10) as u16;
        let (near, far) = (SUB - fx, SUB - fy);
        if let Some(pixels) = light.get_mut(start..).and_then(<[u16]>::first_chunk_mut) {
            deposit(pixels, entry, share(near, far), share(fx, far), chance);
        }
        if let Some(pixels) = light.get_mut(start + row..).and_then(<[u16]>::first_chunk_mut) {
            deposit(pixels, entry, share(near, fy), share(fx, fy), chance);
        }
    }
}

/// Adds `entry` to two neighbouring pixels, `left` and `right` 65 536ths of it.
#[inline(always)]
fn deposit(pixels: &mut Entry, entry: &Entry, left: u16, right: u16, chance: u16) {
    let weights = [left, left, left, left, right, right, right, right];
    let mut sums = *pixels;
    for c in 0..8 {
        let product = u32::from(entry[c]) * u32::from(weights[c]);
        let low = product as u16;
        let up = u16::from(low.wrapping_add(chance) < low);
        sums[c] = sums[c].saturating_add((product >> 16) as u16 + up);
    }
    *pixels = sums;
}
