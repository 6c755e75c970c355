//! Sets text in the embedded Inter: wrapped, aligned, with tabular figures, a shadow and a panel.
//!
//! Everything is drawn as coverage and put together in linear light, so edges keep their weight on any background.

use std::fmt;

use bytes::Bytes;
use cosmic_text::fontdb::{Database, Source};
use cosmic_text::{
    Attrs, Buffer, Ellipsize, EllipsizeHeightLimit, Family, FeatureTag, FontFeatures, FontSystem, Metrics,
    Shaping, SwashCache, SwashContent, Wrap,
};
use media::{Picture, Size, Timescale, Timestamp};

use crate::cpu::straight;
use crate::draw_list::light_of;
use crate::scene::{Align, Text, Weight};

mod mask;

use mask::Mask;

const REGULAR: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/fonts/Inter-Regular.otf"));
const SEMI_BOLD: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/fonts/Inter-SemiBold.otf"));

/// Baseline to baseline, in em.
const LINE_HEIGHT: f32 = 1.25;
/// Glyph pictures that are kept; a clock and a ticker use a few hundred.
const MAX_GLYPHS: usize = 4_096;
/// Edges of a text's picture at most.
const MAX_EDGE: f32 = 8_192.0;
/// A shadow's offset downwards and its softness, in em.
const SHADOW_DROP: f32 = 0.045;
const SHADOW_SOFTNESS: f32 = 0.07;

/// Fonts and glyph pictures.
pub struct Typesetter {
    fonts: FontSystem,
    glyphs: SwashCache,
}

impl fmt::Debug for Typesetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typesetter").field("glyphs", &self.glyphs.image_cache.len()).finish()
    }
}

/// Text broken into lines, with the room around it.
struct Setting {
    buffer: Buffer,
    lines: usize,
    /// Of the lines, without padding.
    width: f32,
    height: f32,
    /// On each side: a panel's padding or a shadow's reach.
    margin: f32,
}

impl Setting {
    fn size(&self) -> Size {
        let edge = |inner: f32| (inner + 2.0 * self.margin).ceil().clamp(1.0, MAX_EDGE) as u32;
        Size::new(edge(self.width), edge(self.height))
    }
}

impl Typesetter {
    pub fn new() -> Self {
        let mut fonts = Database::new();
        for font in [REGULAR, SEMI_BOLD] {
            fonts.load_font_source(Source::Binary(std::sync::Arc::new(font)));
        }
        // No font of the system is loaded: what Inter lacks is drawn as its empty box, the same on every machine.
        let fonts = FontSystem::new_with_locale_and_db("en-US".into(), fonts);
        Self { fonts, glyphs: SwashCache::new() }
    }

    /// The pixels that `text` takes at its own size.
    pub fn measure(&mut self, text: &Text) -> Size {
        self.set(text, 1.0).size()
    }

    /// `text` at `zoom` times its own size.
    pub fn draw(&mut self, text: &Text, zoom: f32) -> Picture {
        let setting = self.set(text, zoom);
        let size = setting.size();
        let glyphs = self.cover(&setting, size);
        let mut layers = Vec::new();
        if let Some(panel) = &text.panel {
            layers.push((Mask::rounded(size, panel.radius * zoom), panel.colour));
        }
        if let Some(colour) = text.shadow {
            let em = text.size * zoom;
            layers.push((glyphs.shadow(em * SHADOW_DROP, em * SHADOW_SOFTNESS), colour));
        }
        layers.push((glyphs, text.colour));
        let mut bytes = Vec::with_capacity(size.pixels() as usize * 4);
        let lights: Vec<_> = layers.iter().map(|(mask, colour)| (mask, light_of(*colour))).collect();
        for at in 0..size.pixels() as usize {
            let mut pixel = [0.0f32; 4];
            for (mask, light) in &lights {
                let cover = mask.at(at);
                let keep = 1.0 - light[3] * cover;
                for (p, l) in pixel.iter_mut().zip(light) {
                    *p = *p * keep + l * cover;
                }
            }
            bytes.extend_from_slice(&straight(pixel));
        }
        Picture::rgba(size, Bytes::from(bytes), Timestamp::zero(Timescale::VIDEO))
            .expect("every pixel was pushed")
    }

    fn set(&mut self, text: &Text, zoom: f32) -> Setting {
        let em = text.size * zoom;
        let mut buffer = Buffer::new(&mut self.fonts, Metrics::new(em, em * LINE_HEIGHT));
        let limit = text.max_lines.map_or(usize::MAX, |lines| lines as usize);
        buffer.set_size(text.width.map(|width| width * zoom), None);
        buffer.set_wrap(if text.width.is_some() { Wrap::WordOrGlyph } else { Wrap::None });
        if let (Some(_), Some(lines)) = (text.width, text.max_lines) {
            buffer.set_ellipsize(Ellipsize::End(EllipsizeHeightLimit::Lines(lines as usize)));
        }
        let mut features = FontFeatures::new();
        // Figures of one width: a clock or a counter does not tremble.
        features.enable(FeatureTag::new(b"tnum"));
        let weight = match text.weight {
            Weight::Regular => cosmic_text::Weight::NORMAL,
            Weight::SemiBold => cosmic_text::Weight::SEMIBOLD,
        };
        let attrs = Attrs::new().family(Family::Name("Inter")).weight(weight).font_features(features);
        let align = match text.align {
            Align::Left => cosmic_text::Align::Left,
            Align::Center => cosmic_text::Align::Center,
            Align::Right => cosmic_text::Align::Right,
        };
        buffer.set_text(&text.content, &attrs, Shaping::Advanced, Some(align));
        buffer.shape_until_scroll(&mut self.fonts, false);
        let (lines, widest) = buffer
            .layout_runs()
            .take(limit)
            .fold((0, 0.0f32), |(lines, widest), run| (lines + 1, widest.max(run.line_w)));
        if text.width.is_none() && text.align != Align::Left {
            // Lines align within the longest.
            buffer.set_size(Some(widest.ceil()), None);
            buffer.shape_until_scroll(&mut self.fonts, false);
        }
        let shadow = text.shadow.map_or(0.0, |_| em * (SHADOW_DROP + 2.0 * SHADOW_SOFTNESS));
        let padding = text.panel.map_or(0.0, |panel| panel.padding * zoom);
        Setting {
            buffer,
            lines,
            width: text.width.map_or(widest, |width| width * zoom),
            height: lines as f32 * em * LINE_HEIGHT,
            margin: shadow.max(padding),
        }
    }

    fn cover(&mut self, setting: &Setting, size: Size) -> Mask {
        if self.glyphs.image_cache.len() > MAX_GLYPHS {
            self.glyphs.image_cache.clear();
        }
        let mut mask = Mask::empty(size);
        for run in setting.buffer.layout_runs().take(setting.lines) {
            for glyph in run.glyphs {
                let placed = glyph.physical((setting.margin, setting.margin + run.line_y.round()), 1.0);
                let Some(image) = self.glyphs.get_image(&mut self.fonts, placed.cache_key) else { continue };
                let left = placed.x + image.placement.left;
                let top = placed.y - image.placement.top;
                let step = match image.content {
                    SwashContent::Mask => 1,
                    // Alpha is the last of four.
                    SwashContent::Color | SwashContent::SubpixelMask => 4,
                };
                let width = image.placement.width as usize;
                for (row, line) in image.data.chunks_exact((width * step).max(1)).enumerate() {
                    for (column, pixel) in line.chunks_exact(step).enumerate() {
                        mask.add(left + column as i32, top + row as i32, pixel[step - 1]);
                    }
                }
            }
        }
        mask
    }
}

#[cfg(test)]
mod tests;
