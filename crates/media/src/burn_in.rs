//! A frame number and a clock that are part of the picture, so that delay and loss can be measured from
//! outside, behind any encoder and network.
//!
//! The strip is two rows of 64 square cells, each a sixty-fourth of the picture's width; at 320 pixels a
//! cell is 5 pixels, which the lowest rendition's encoder still carries. Every row begins and ends with a
//! white and a black cell that give the reader its threshold. Between them lie 120 bits, first row first,
//! most significant bit first: frame number (32), wall clock in microseconds modulo 2^48 (48), flash (1),
//! zeros (23), CRC-16/CCITT-FALSE over those thirteen bytes (16).

use crate::picture::Size;
use crate::time::WallTime;

const COLUMNS: usize = 64;
const ROWS: usize = 2;
/// Cells of four pixels: below that the blur of scaling reaches their middle.
const MIN_WIDTH: usize = 4 * COLUMNS;
const PAYLOAD_PER_ROW: usize = COLUMNS - 4;
const BYTES: usize = 15;
const CLOCK_MASK: u64 = (1 << 48) - 1;

/// What a strip says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Counts from 0 when the source was opened.
    pub frame: u32,
    /// When the picture was made: microseconds of Unix time modulo 2^48.
    pub clock_micros: u64,
    /// Whether this picture begins a flash, which a beep accompanies.
    pub flash: bool,
}

impl Stamp {
    pub fn new(frame: u32, clock: WallTime, flash: bool) -> Self {
        Self { frame, clock_micros: clock.unix_micros() & CLOCK_MASK, flash }
    }

    /// Milliseconds from the making of the picture to `now`, for spans of less than four years.
    pub fn age_ms(self, now: WallTime) -> f64 {
        let span = (now.unix_micros() & CLOCK_MASK).wrapping_sub(self.clock_micros) & CLOCK_MASK;
        let signed = if span > CLOCK_MASK / 2 { span as i64 - (1 << 48) } else { span as i64 };
        signed as f64 / 1e3
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..4].copy_from_slice(&self.frame.to_be_bytes());
        bytes[4..10].copy_from_slice(&self.clock_micros.to_be_bytes()[2..]);
        bytes[10] = u8::from(self.flash) << 7;
        let crc = crc16(&bytes[..BYTES - 2]);
        bytes[BYTES - 2..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; BYTES]) -> Option<Self> {
        let (body, crc) = bytes.split_at(BYTES - 2);
        if crc != crc16(body).to_be_bytes() {
            return None;
        }
        let mut clock = [0; 8];
        clock[2..].copy_from_slice(&body[4..10]);
        let frame = u32::from_be_bytes([body[0], body[1], body[2], body[3]]);
        Some(Self { frame, clock_micros: u64::from_be_bytes(clock), flash: body[10] & 0x80 != 0 })
    }
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, initial value 0xffff.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc: u16, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 }
        })
    })
}

/// The height of the strip, in pixels, in a picture of `width`.
pub fn strip_height(width: u32) -> u32 {
    (width * ROWS as u32).div_ceil(COLUMNS as u32)
}

/// Whether the cell at (`row`, `column`) is white.
fn cell(bytes: &[u8; BYTES], row: usize, column: usize) -> bool {
    match column {
        0 | 62 => true,
        1 | 63 => false,
        _ => {
            let bit = row * PAYLOAD_PER_ROW + column - 2;
            bytes[bit / 8] & (0x80 >> (bit % 8)) != 0
        }
    }
}

/// Draws the strip over the top of a tightly packed RGBA picture, from its left edge to its right.
///
/// # Panics
/// When `rgba` is shorter than `size` needs or the picture is lower than its strip.
pub fn draw_rgba(rgba: &mut [u8], size: Size, stamp: Stamp) {
    let bytes = stamp.to_bytes();
    let (width, height) = (size.width as usize, strip_height(size.width) as usize);
    assert!(size.height as usize >= height, "a picture is higher than its strip");
    for y in 0..height {
        let row = (y * COLUMNS / width).min(ROWS - 1);
        for (x, pixel) in rgba[y * width * 4..(y + 1) * width * 4].chunks_exact_mut(4).enumerate() {
            let level = if cell(&bytes, row, x * COLUMNS / width) { 255 } else { 0 };
            pixel.copy_from_slice(&[level, level, level, 255]);
        }
    }
}

/// Reads the strip at the top of a luma plane; `None` where there is none, or it is damaged.
pub fn read_luma(luma: &[u8], stride: usize, size: Size) -> Option<Stamp> {
    let width = size.width as usize;
    if width < MIN_WIDTH || (size.height as usize) < strip_height(size.width) as usize {
        return None;
    }
    let pitch = width as f32 / COLUMNS as f32;
    // The mean over the middle of a cell: its edges are blurred by scaling.
    let level = |row: usize, column: usize| -> Option<u32> {
        let middle = |index: usize| {
            let centre = (index as f32 + 0.5) * pitch;
            let reach = pitch * 0.2;
            ((centre - reach) as usize, (centre + reach) as usize)
        };
        let ((x0, x1), (y0, y1)) = (middle(column), middle(row));
        let mut sum = 0;
        for y in y0..=y1 {
            let start = y.checked_mul(stride)?;
            sum += luma.get(start + x0..=start + x1)?.iter().map(|&v| u32::from(v)).sum::<u32>();
        }
        Some(sum / ((x1 - x0 + 1) * (y1 - y0 + 1)) as u32)
    };
    let mut bytes = [0u8; BYTES];
    for row in 0..ROWS {
        let white = level(row, 0)?.min(level(row, 62)?);
        let black = level(row, 1)?.max(level(row, 63)?);
        // Limited range spans 219 codes; under 80 there is no strip here.
        if white < black + 80 {
            return None;
        }
        let threshold = (white + black) / 2;
        for column in 2..COLUMNS - 2 {
            if level(row, column)? > threshold {
                let bit = row * PAYLOAD_PER_ROW + column - 2;
                bytes[bit / 8] |= 0x80 >> (bit % 8);
            }
        }
    }
    Stamp::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(320, 180);

    fn luma_of(stamp: Stamp, size: Size) -> Vec<u8> {
        let mut rgba = vec![90; size.pixels() as usize * 4];
        draw_rgba(&mut rgba, size, stamp);
        // Black and white need no matrix: limited range is 16 + 219/255 of the level.
        rgba.chunks_exact(4).map(|p| (16.0 + f32::from(p[0]) * 219.0 / 255.0) as u8).collect()
    }

    #[test]
    fn the_crc_is_the_catalogued_one() {
        // The check value of CRC-16/CCITT-FALSE (also IBM-3740) in the CRC catalogue.
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    #[test]
    fn a_picture_without_a_strip_has_no_stamp() {
        assert_eq!(read_luma(&vec![128; 320 * 180], 320, SIZE), None);
        assert_eq!(read_luma(&[], 320, SIZE), None);
        assert_eq!(read_luma(&[0; 100], 10, Size::new(10, 10)), None);
    }

    #[test]
    fn a_flipped_cell_is_noticed() {
        let stamp = Stamp { frame: 1, clock_micros: 2, flash: false };
        let mut luma = luma_of(stamp, SIZE);
        let cell = 10 * 5;
        for y in 0..5 {
            for x in cell..cell + 5 {
                luma[y * 320 + x] = 251 - luma[y * 320 + x];
            }
        }
        assert_eq!(read_luma(&luma, 320, SIZE), None);
    }

    #[test]
    fn age_survives_the_wrap_of_the_clock() {
        let stamp = Stamp { frame: 0, clock_micros: CLOCK_MASK, flash: false };
        assert_eq!(stamp.age_ms(WallTime::from_unix_micros(CLOCK_MASK + 1001)), 1.001);
        assert_eq!(stamp.age_ms(WallTime::from_unix_micros(CLOCK_MASK - 1000)), -1.0);
    }

    proptest! {
        #[test]
        fn what_is_drawn_is_read_again(frame: u32, clock in 0u64..=CLOCK_MASK, flash: bool, width in 128u32..700) {
            let size = Size::new(width * 2, 200);
            let stamp = Stamp { frame, clock_micros: clock, flash };
            let luma = luma_of(stamp, size);
            prop_assert_eq!(read_luma(&luma, size.width as usize, size), Some(stamp));
        }
    }
}
