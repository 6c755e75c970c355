//! The drawing of the test pattern: a still background made once, and what moves over it.

use std::f32::consts::{PI, TAU};

use media::Size;

use crate::glyphs;

/// Colour bars at 75 % (EBU Tech 3325 order): white, yellow, cyan, green, magenta, red, blue, black.
const BARS: [[u8; 3]; 8] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
    [16, 16, 16],
];

/// A ball: its colour, radius as a share of the height, and laps per second across and down.
const BALLS: [([f32; 3], f32, f32, f32); 4] = [
    ([255.0, 138.0, 76.0], 0.060, 0.19, 0.31),
    ([92.0, 214.0, 255.0], 0.045, 0.27, 0.23),
    ([196.0, 128.0, 255.0], 0.075, 0.13, 0.41),
    ([126.0, 240.0, 150.0], 0.035, 0.37, 0.29),
];

/// Where the flash lights up, as shares of width and height, and its radius as a share of the height.
const FLASH: (f32, f32, f32) = (0.84, 0.70, 0.15);

/// Pixels being drawn, packed RGBA.
pub struct Canvas<'a> {
    pub rgba: &'a mut [u8],
    pub size: Size,
}

impl Canvas<'_> {
    fn height(&self) -> f32 {
        self.size.height as f32
    }

    fn blend(&mut self, x: usize, y: usize, color: [f32; 3], alpha: f32) {
        let offset = (y * self.size.width as usize + x) * 4;
        mix(&mut self.rgba[offset..offset + 4], color, alpha);
    }

    /// Blends `color` where `alpha_at` (of the distance to the centre) says, within `reach`.
    fn round(&mut self, center: [f32; 2], reach: f32, color: [f32; 3], alpha_at: impl Fn(f32) -> f32) {
        let (w, h) = (self.size.width as f32, self.height());
        let span = |middle: f32, end: f32| {
            let from = (middle - reach).clamp(0.0, end) as usize;
            (from, (middle + reach + 1.0).clamp(0.0, end) as usize)
        };
        let ((x0, x1), (y0, y1)) = (span(center[0], w), span(center[1], h));
        let row_bytes = self.size.width as usize * 4;
        for y in y0..y1 {
            let down = y as f32 + 0.5 - center[1];
            let pixels = &mut self.rgba[y * row_bytes..][x0 * 4..x1 * 4];
            for (n, pixel) in pixels.chunks_exact_mut(4).enumerate() {
                let across = (x0 + n) as f32 + 0.5 - center[0];
                // Not `hypot`, which guards against overflow and costs several times as much.
                let square = across * across + down * down;
                if square < reach * reach {
                    mix(pixel, color, alpha_at(square.sqrt()).clamp(0.0, 1.0));
                }
            }
        }
    }

    fn disc(&mut self, center: [f32; 2], radius: f32, color: [f32; 3]) {
        self.round(center, radius + 1.0, color, |distance| radius + 0.5 - distance);
    }

    fn ring(&mut self, center: [f32; 2], radius: f32, width: f32, color: [f32; 3]) {
        let half = width / 2.0;
        self.round(center, radius + half + 1.0, color, |distance| half + 0.5 - (distance - radius).abs());
    }

    /// Fills a rectangle, its edges as shares of the size, with a colour that only changes across: one row is
    /// made and repeated.
    fn fill_across(&mut self, x: [f32; 2], y: [f32; 2], color_at: impl Fn(f32) -> [u8; 3]) {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        let edge = |share: f32, end: usize| ((share * end as f32).round() as usize).min(end);
        let (x0, x1, y0, y1) = (edge(x[0], w), edge(x[1], w), edge(y[0], h), edge(y[1], h));
        let line: Vec<u8> = (0..x1 - x0)
            .flat_map(|n| {
                let [r, g, b] = color_at(n as f32 / (x1 - x0) as f32);
                [r, g, b, 255]
            })
            .collect();
        for row in y0..y1 {
            self.rgba[(row * w + x0) * 4..(row * w + x1) * 4].copy_from_slice(&line);
        }
    }

    /// Draws digits whose cells are `cell` pixels wide, from the upper left corner given.
    fn text(&mut self, text: &str, corner: [usize; 2], cell: usize, color: [f32; 3]) {
        let (w, h) = (self.size.width as usize, self.size.height as usize);
        for (n, glyph) in text.chars().enumerate() {
            let left = corner[0] + n * (glyphs::WIDTH + 1) * cell;
            for (row, bits) in glyphs::rows(glyph).into_iter().enumerate() {
                for column in (0..glyphs::WIDTH).filter(|c| bits & (0x10 >> c) != 0) {
                    let (x0, y0) = (left + column * cell, corner[1] + row * cell);
                    for y in y0..(y0 + cell).min(h) {
                        for x in x0..(x0 + cell).min(w) {
                            self.blend(x, y, color, 1.0);
                        }
                    }
                }
            }
        }
    }
}

fn mix(pixel: &mut [u8], color: [f32; 3], alpha: f32) {
    for (channel, value) in pixel[..3].iter_mut().zip(color) {
        *channel = (f32::from(*channel) + (value - f32::from(*channel)) * alpha) as u8;
    }
}

fn scaled(value: f32) -> u8 {
    (value * 255.0).clamp(0.0, 255.0) as u8
}

/// A colour of the rainbow, softened, for `hue` in turns.
fn rainbow(hue: f32) -> [u8; 3] {
    [0.0, 1.0 / 3.0, 2.0 / 3.0].map(|phase| scaled(0.5 + 0.42 * (TAU * (hue - phase)).cos()))
}

/// The still part: evening sky with a grid, colour bars, a grey staircase.
pub fn background(size: Size) -> Vec<u8> {
    let mut rgba = vec![255; size.pixels() as usize * 4];
    for (n, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        let u = (n % size.width as usize) as f32 / size.width as f32;
        let v = (n / size.width as usize) as f32 / size.height as f32;
        let glow = (1.0 - (u - 0.5).hypot(v - 0.75) * 1.3).max(0.0);
        let sky = [0.05 + 0.16 * glow, 0.06 + 0.07 * glow, 0.14 + 0.22 * glow];
        pixel[..3].copy_from_slice(&sky.map(scaled));
    }
    let mut canvas = Canvas { rgba: &mut rgba, size };
    let grid = (size.height as usize / 9).max(8);
    for y in 0..size.height as usize {
        for x in 0..size.width as usize {
            if x % grid == 0 || y % grid == 0 {
                canvas.blend(x, y, [140.0, 150.0, 220.0], 0.18);
            }
        }
    }
    canvas.fill_across([0.06, 0.94], [0.12, 0.34], |u| BARS[((u * 8.0) as usize).min(7)]);
    canvas.fill_across([0.06, 0.94], [0.34, 0.38], |u| [((u * 12.0).floor() / 11.0 * 255.0) as u8; 3]);
    rgba
}

/// What moves: a rainbow that scrolls, balls, a dial that turns once a second. `seconds` is media time.
pub fn moving(canvas: &mut Canvas<'_>, seconds: f64) {
    let size = canvas.size;
    let height = canvas.height();
    let (w, h) = (size.width as f32, height);
    // Reduced in double: after a day a float no longer resolves a frame.
    let phase = |laps_per_second: f32| (seconds * f64::from(laps_per_second)).rem_euclid(1.0) as f32;

    let scroll = phase(0.125);
    let palette: Vec<[u8; 3]> = (0..256).map(|n| rainbow(n as f32 / 256.0)).collect();
    canvas.fill_across([0.06, 0.94], [0.38, 0.46], |u| palette[((u + scroll) * 256.0) as usize % 256]);
    for (color, radius, across, down) in BALLS {
        // A triangle wave: there and back at an even speed.
        let there_and_back = |lap: f32| 1.0 - (2.0 * lap - 1.0).abs();
        let r = radius * h;
        let x = r + there_and_back(phase(across)) * (0.66 * w - 2.0 * r) + 0.03 * w;
        let y = 0.50 * h + r + there_and_back(phase(down)) * (0.46 * h - 2.0 * r);
        canvas.round([x, y], r * 1.9, color, |d| 0.35 * (1.0 - d / (r * 1.9)));
        canvas.disc([x, y], r, color);
        canvas.round([x - r * 0.3, y - r * 0.35], r * 0.45, [255.0; 3], |d| 0.6 * (1.0 - d / (r * 0.45)));
    }

    let center = [FLASH.0 * w, FLASH.1 * h];
    let radius = FLASH.2 * h;
    canvas.disc(center, radius, [14.0, 16.0, 34.0]);
    canvas.ring(center, radius, 0.008 * h, [235.0, 240.0, 255.0]);
    let angle = phase(1.0) * TAU - PI / 2.0;
    for n in 0..14 {
        let reach = radius * 0.86 * n as f32 / 13.0;
        let at = [center[0] + reach * angle.cos(), center[1] + reach * angle.sin()];
        canvas.disc(at, 0.008 * h, [255.0, 138.0, 76.0]);
    }
}

/// The flash: the dial lit up.
pub fn flash(canvas: &mut Canvas<'_>) {
    let (w, h) = (canvas.size.width as f32, canvas.height());
    let center = [FLASH.0 * w, FLASH.1 * h];
    let radius = FLASH.2 * h;
    canvas.round(center, radius * 1.6, [255.0, 250.0, 225.0], |d| 1.6 - d / radius);
    canvas.disc(center, radius, [255.0, 255.0, 255.0]);
}

/// Writes hours, minutes, seconds and milliseconds of media time, and the frame number.
pub fn clock_text(canvas: &mut Canvas<'_>, seconds: f64, frame: u32) {
    let millis = (seconds.max(0.0) * 1e3) as u64;
    let (s, ms) = (millis / 1_000, millis % 1_000);
    let time = format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60);
    let cell = (canvas.size.height as usize / 180).max(1);
    let line = (glyphs::HEIGHT + 3) * cell;
    let x = (canvas.size.width as usize * 3) / 50;
    let y = canvas.size.height as usize * 49 / 100;
    canvas.text(&time, [x, y], cell, [245.0, 247.0, 255.0]);
    canvas.text(&format!("{frame:08}"), [x, y + line], cell, [150.0, 160.0, 200.0]);
}
