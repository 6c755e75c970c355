//! From particles to light: projection, sorting into bands of rows, and adding up in fixed point.
//!
//! Each particle lights the four pixels round its place by how near they are. A band of 32 rows stays in
//! the second cache while it is cleared, its particles are added and its means are taken for the glow, where
//! straight scattering over a whole picture misses it on every one. Sums are whole numbers that saturate, so
//! their order, and with it the number of threads, does not matter.
//!
//! Counting wraps by name in the hot loops: a check for overflow would keep them from becoming vector code.
// Loops run over lanes by number: one index into many arrays is what becomes vector code.
#![allow(clippy::needless_range_loop)]

use crate::block::{Block, LANES};
use crate::camera::View;
use crate::glow::{CELL_ROWS, Cells, shrink_band};
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
/// Records that are taken apart together, by vector code, before each is added.
const BATCH: usize = 64;
/// Palettes: one for each ring of the present preset and of the one before.
pub const PALETTES: usize = 2 * RINGS;

/// Light of a pixel in [`WHITE`]ths: red in the low half of the first word and green in its high half, blue in
/// the second.
pub type Pixel = [u32; 2];

/// A palette entry twice, for two neighbouring pixels at once, laid out as they are.
type Entry = [u16; 8];

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

/// Records of one band; the first `used` count. Room is made for a block's at once, so that none asks for it.
#[derive(Default)]
struct Bin {
    records: Vec<Record>,
    used: usize,
}

impl Bin {
    fn make_room(&mut self) {
        if self.records.len() - self.used < LANES {
            self.records.resize(self.records.len() * 2 + LANES, [0; 2]);
        }
    }
}

/// Light of a band: its rows, the one below, and means over cells of its own rows.
#[derive(Default)]
pub struct Band {
    pub pixels: Vec<Pixel>,
    pub cells: Cells,
}

/// Light by band.
#[derive(Default)]
pub struct Splatter {
    /// By run of blocks and by band; the last of a run takes what is not seen.
    bins: Vec<Vec<Bin>>,
    light: Vec<Band>,
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
        self.palette.extend(frame.palette_words().map(|[r, g, b]| {
            let pixel = [u32::from(r) | (u32::from(g) << 16), u32::from(b)];
            bytemuck::cast::<_, Entry>([pixel, pixel])
        }));
        // More runs than threads, so that a late thread has less left to do.
        let runs = if threads.count() == 1 { 1 } else { threads.count() * 3 };
        self.bins.resize_with(runs, Vec::new);
        let run = blocks.len().div_ceil(runs).max(1);
        threads.each(&mut self.bins, |index, bins| {
            bins.resize_with(bands + 1, Bin::default);
            bins.iter_mut().for_each(|bin| bin.used = 0);
            let start = (index * run).min(blocks.len());
            let end = (start + run).min(blocks.len());
            sort_into_bands(isa, &blocks[start..end], start, frame, bins);
        });
        self.light.resize_with(bands, Band::default);
        let (bins, palette) = (&self.bins, &self.palette);
        let width = frame.width as usize;
        threads.each(&mut self.light, |index, band| {
            band.pixels.clear();
            band.pixels.resize(BAND_STORE * width, [0; 2]);
            for bins in bins {
                let bin = &bins[index];
                add_records(isa, &bin.records[..bin.used], palette, &mut band.pixels, width);
            }
            // The first row of cells waits for what falls on it from above.
            band.cells.resize(width);
            shrink_band(isa, &band.pixels, width, 1..CELL_ROWS, &mut band.cells);
        });
        for index in 0..bands {
            let (above, below) = self.light.split_at_mut(index);
            let band = &mut below[0];
            if let Some(above) = above.last() {
                let spilled: &[u16] = bytemuck::cast_slice(&above.pixels[BAND_ROWS * width..]);
                let own: &mut [u16] = bytemuck::cast_slice_mut(&mut band.pixels[..width]);
                own.iter_mut().zip(spilled).for_each(|(to, from)| *to = to.saturating_add(*from));
            }
            shrink_band(isa, &band.pixels, width, 0..1, &mut band.cells);
        }
    }

    pub fn light(&self) -> &[Band] {
        &self.light
    }
}

for_each_isa! {
    fn sort_into_bands(blocks: &[Block], first: usize, frame: &Frame, bins: &mut [Bin]) = sort_body
}

for_each_isa! {
    fn add_records(records: &[Record], palette: &[Entry], light: &mut [Pixel], width: usize) = add_body
}

#[inline(always)]
fn sort_body(blocks: &[Block], first: usize, frame: &Frame, bins: &mut [Bin]) {
    let unseen = bins.len() - 1;
    let mut out = Projected { column: [0; LANES], row: [0; LANES], band: [0; LANES] };
    for (index, block) in blocks.iter().enumerate() {
        if !block.any_alive() {
            continue;
        }
        project(block, frame, [1.0, 0.0, frame.gain], unseen as u32, &mut out);
        keep_seen(&out, bins);
        // Every second block stands for its neighbour in the mirror too, at twice the light.
        if let Some([height, share]) = frame.mirror
            && (first + index).is_multiple_of(2)
        {
            project(block, frame, [-1.0, 2.0 * height, 2.0 * share * frame.gain], unseen as u32, &mut out);
            keep_seen(&out, bins);
        }
    }
}

#[inline(always)]
fn keep_seen(seen: &Projected, bins: &mut [Bin]) {
    for bin in &mut *bins {
        bin.make_room();
    }
    for lane in 0..LANES {
        // Always there, and written without asking whether the lane is seen: that would be guessed wrongly.
        if let Some(bin) = bins.get_mut(seen.band[lane] as usize)
            && let Some(record) = bin.records.get_mut(bin.used)
        {
            *record = [seen.column[lane], seen.row[lane]];
            bin.used = bin.used.wrapping_add(1);
        }
    }
    if let Some(unseen) = bins.last_mut() {
        unseen.used = 0;
    }
}

/// Where each lane of `block` falls. `mirror` is the factor on y, what is added to it, and the gain;
/// `unseen` is the band of those that are not seen.
#[inline(always)]
fn project(block: &Block, frame: &Frame, mirror: [f32; 3], unseen: u32, out: &mut Projected) {
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
        out.column[i] = column | ((palette.wrapping_mul(PALETTE_LEN as u32).wrapping_add(entry)) << 18);
        out.row[i] = (row & (SUB * BAND_ROWS as u32 - 1)) | (intensity << 10) | ((look >> 16) << 26);
        let band = row / (SUB * BAND_ROWS as u32);
        out.band[i] = if seen { band } else { unseen };
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

/// Records taken apart: the first pixel, the palette entry, random bits twice, and what each of the four
/// pixels gets of the light in 65 536ths, twice too.
struct Batch {
    start: [u32; BATCH],
    entry: [u32; BATCH],
    chance: [u32; BATCH],
    shares: [[u32; 4]; BATCH],
}

#[inline(always)]
fn add_body(records: &[Record], palette: &[Entry], light: &mut [Pixel], width: usize) {
    let mut batch =
        Batch { start: [0; BATCH], entry: [0; BATCH], chance: [0; BATCH], shares: [[0; 4]; BATCH] };
    let (whole, rest) = records.as_chunks::<BATCH>();
    for records in whole {
        take_apart(records, width, &mut batch);
        add_batch(&batch, BATCH, palette, light, width);
    }
    let mut last = [[0; 2]; BATCH];
    last[..rest.len()].copy_from_slice(rest);
    take_apart(&last, width, &mut batch);
    add_batch(&batch, rest.len(), palette, light, width);
}

#[inline(always)]
fn take_apart(records: &[Record; BATCH], width: usize, batch: &mut Batch) {
    const TWICE: u32 = 0x1_0001;
    for i in 0..BATCH {
        let [column, place] = records[i];
        let (x, y) = (column & 0x3_ffff, place & 0x3ff);
        batch.start[i] = (y / SUB).wrapping_mul(width as u32).wrapping_add(x / SUB);
        batch.entry[i] = (column >> 18) & (PALETTES * PALETTE_LEN - 1) as u32;
        // Rounding up or down by chance keeps dim colours true on average.
        batch.chance[i] = ((place >> 26) << 10).wrapping_mul(TWICE);
        let intensity = (place >> 10) & 0xffff;
        let (fx, fy) = (x % SUB, y % SUB);
        let (near, far) = (SUB.wrapping_sub(fx), SUB.wrapping_sub(fy));
        let share = |wx: u32, wy: u32| {
            let share = (intensity.wrapping_mul(wx.wrapping_mul(wy)) >> 10) & 0xffff;
            share.wrapping_mul(TWICE)
        };
        batch.shares[i] = [share(near, far), share(fx, far), share(near, fy), share(fx, fy)];
    }
}

#[inline(always)]
fn add_batch(batch: &Batch, count: usize, palette: &[Entry], light: &mut [Pixel], width: usize) {
    // One comparison for both rows: what starts before this has a whole pair in the row below.
    let Some(pairs) = light.len().checked_sub(width + 1) else { return };
    let palette = &palette[..PALETTES * PALETTE_LEN];
    for i in 0..count.min(BATCH) {
        let start = batch.start[i] as usize;
        let entry = &palette[batch.entry[i] as usize & (PALETTES * PALETTE_LEN - 1)];
        if start >= pairs {
            continue;
        }
        let [a, b, c, d] = batch.shares[i];
        let chance = batch.chance[i];
        for (start, left, right) in [(start, a, b), (start + width, c, d)] {
            if let Some(pixels) = light.get_mut(start..).and_then(<[Pixel]>::first_chunk_mut) {
                deposit(pixels, entry, left, right, chance);
            }
        }
    }
}

/// Adds `entry` to two neighbouring pixels, `left` and `right` 65 536ths of it.
#[inline(always)]
fn deposit(pixels: &mut [Pixel; 2], entry: &Entry, left: u32, right: u32, chance: u32) {
    let weights = bytemuck::cast([left, left, right, right]);
    let chances = bytemuck::cast([chance; 4]);
    *pixels = bytemuck::cast(weighted_sum(bytemuck::cast(*pixels), *entry, weights, chances));
}

/// `sums` and, on top, products of the others' 65 536ths, rounded up when the rest and the chance exceed one.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
fn weighted_sum_by_lane(mut sums: Entry, entry: Entry, weights: Entry, chances: Entry) -> Entry {
    for c in 0..8 {
        let product = u32::from(entry[c]) * u32::from(weights[c]);
        let up = u16::from((product as u16).checked_add(chances[c]).is_none());
        sums[c] = sums[c].saturating_add(((product >> 16) as u16).wrapping_add(up));
    }
    sums
}

#[cfg(not(target_arch = "x86_64"))]
use weighted_sum_by_lane as weighted_sum;

/// The same by SSE2, which every x86-64 has: the compiler itself widens the products to 32 bits, at twice the
/// instructions in the loop that half of the drawing is spent in.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn weighted_sum(sums: Entry, entry: Entry, weights: Entry, chances: Entry) -> Entry {
    use std::arch::x86_64::*;
    let [sums, entry, weights, chances]: [__m128i; 4] = bytemuck::cast([sums, entry, weights, chances]);
    // SAFETY: SSE2 is part of x86-64.
    let sums = unsafe {
        let (high, low) = (_mm_mulhi_epu16(entry, weights), _mm_mullo_epi16(entry, weights));
        // Signed comparison orders as an unsigned one does once both top bits are turned round.
        let most = _mm_xor_si128(chances, _mm_set1_epi16(0x7fff));
        let carries = _mm_cmpgt_epi16(_mm_xor_si128(low, _mm_set1_epi16(i16::MIN)), most);
        _mm_adds_epu16(sums, _mm_sub_epi16(high, carries))
    };
    bytemuck::cast(sums)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words() -> impl Strategy<Value = Entry> {
        let word = prop_oneof![any::<u16>(), Just(0), Just(u16::MAX), Just(0x7fff), Just(0x8000)];
        prop::array::uniform8(word)
    }

    proptest! {
        #[test]
        fn vector_instructions_add_up_what_plain_arithmetic_does(
            sums in words(), entry in words(), weights in words(), chances in words(),
        ) {
            let expected: Entry = std::array::from_fn(|c| {
                let exact = u64::from(entry[c]) * u64::from(weights[c]) + u64::from(chances[c]);
                (u64::from(sums[c]) + (exact >> 16)).min(0xffff) as u16
            });
            prop_assert_eq!(weighted_sum(sums, entry, weights, chances), expected);
            prop_assert_eq!(weighted_sum_by_lane(sums, entry, weights, chances), expected);
        }
    }
}
