//! Pictures in windows: as images for the graphics device, and as large as there is room for.

use egui::{ColorImage, Rect, Vec2};
use media::{Picture, PixelFormat};

/// `None` for a picture that is not RGBA.
pub fn image(picture: &Picture) -> Option<ColorImage> {
    let (bytes, plane) = (picture.format() == PixelFormat::Rgba8).then(|| picture.plane(0))?;
    let size = [picture.size().width as usize, picture.size().height as usize];
    let line = size[0] * 4;
    // Opaque, so straight alpha is premultiplied already.
    if plane.stride == line {
        return Some(ColorImage::from_rgba_premultiplied(size, bytes.get(..line * size[1])?));
    }
    let mut packed = Vec::with_capacity(line * size[1]);
    for row in bytes.chunks(plane.stride).take(size[1]) {
        packed.extend_from_slice(row.get(..line)?);
    }
    (packed.len() == line * size[1]).then(|| ColorImage::from_rgba_premultiplied(size, &packed))
}

/// The largest rectangle of `size`'s shape in the middle of `room`.
pub fn fit(room: Rect, size: Vec2) -> Rect {
    let scale = (room.width() / size.x).min(room.height() / size.y).max(0.0);
    Rect::from_center_size(room.center(), size * scale)
}

#[cfg(test)]
mod tests {
    use egui::{Pos2, vec2};

    use super::*;

    #[test]
    fn a_picture_keeps_its_shape_in_any_room() {
        let wide = fit(Rect::from_min_size(Pos2::ZERO, vec2(1000.0, 90.0)), vec2(1280.0, 720.0));
        assert_eq!((wide.width(), wide.height(), wide.center().x), (160.0, 90.0, 500.0));
        let high = fit(Rect::from_min_size(Pos2::ZERO, vec2(160.0, 900.0)), vec2(1280.0, 720.0));
        assert_eq!((high.width(), high.height(), high.center().y), (160.0, 90.0, 450.0));
    }
}
