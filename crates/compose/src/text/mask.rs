//! Coverage: how much of each pixel a shape fills.

use media::Size;

/// 0 to 1 for each pixel.
#[derive(Clone, Debug)]
pub struct Mask {
    size: Size,
    cover: Vec<f32>,
}

impl Mask {
    pub fn empty(size: Size) -> Self {
        Self { size, cover: vec![0.0; size.pixels() as usize] }
    }

    /// The whole picture with rounded corners.
    pub fn rounded(size: Size, radius: f32) -> Self {
        let (half_w, half_h) = (size.width as f32 / 2.0, size.height as f32 / 2.0);
        let radius = radius.min(half_w).min(half_h);
        let mut mask = Self::empty(size);
        for y in 0..size.height {
            for x in 0..size.width {
                // Distance to the edge of a rounded rectangle, negative inside.
                let dx = (x as f32 + 0.5 - half_w).abs() - (half_w - radius);
                let dy = (y as f32 + 0.5 - half_h).abs() - (half_h - radius);
                let outside = dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - radius;
                mask.cover[(y * size.width + x) as usize] = (0.5 - outside).clamp(0.0, 1.0);
            }
        }
        mask
    }

    pub fn at(&self, index: usize) -> f32 {
        self.cover[index]
    }

    /// Adds a glyph's pixel; outside the picture it is dropped.
    pub fn add(&mut self, x: i32, y: i32, cover: u8) {
        let (width, height) = (self.size.width as i32, self.size.height as i32);
        if (0..width).contains(&x) && (0..height).contains(&y) {
            let at = &mut self.cover[(y * width + x) as usize];
            *at = (*at + f32::from(cover) / 255.0).min(1.0);
        }
    }

    /// Moved down by `drop` pixels and blurred by about `softness` pixels.
    pub fn shadow(&self, drop: f32, softness: f32) -> Self {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let mut shadow = Self::empty(self.size);
        let drop = (drop.round() as usize).min(height);
        shadow.cover[drop * width..].copy_from_slice(&self.cover[..(height - drop) * width]);
        let reach = (softness.round() as usize).max(1);
        // Two box blurs each way are close to a bell.
        for _ in 0..2 {
            for y in 0..height {
                blur(&mut shadow.cover, y * width, 1, width, reach);
            }
            for x in 0..width {
                blur(&mut shadow.cover, x, width, height, reach);
            }
        }
        shadow
    }
}

/// Averages over `reach` values to each side, in the `count` values from `start` on, `step` apart.
fn blur(values: &mut [f32], start: usize, step: usize, count: usize, reach: usize) {
    let line: Vec<f32> = (0..count).map(|i| values[start + i * step]).collect();
    let span = (2 * reach + 1) as f32;
    let mut sum: f32 = line.iter().take(reach).sum();
    for i in 0..count {
        sum += line.get(i + reach).unwrap_or(&0.0);
        if i > reach {
            sum -= line[i - reach - 1];
        }
        values[start + i * step] = (sum / span).max(0.0);
    }
}
