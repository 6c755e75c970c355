//! Where a layer lies: which whole pixels of its content go to which whole pixels of the programme.
//!
//! Edges are rounded to pixels here, once, so that both backends draw the same pixels and a layer at its own
//! size is copied, never resampled.

use media::Size;

use crate::scene::{Fit, Layer};

/// A rectangle of whole pixels; a destination may reach outside the programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rect {
    pub x: i32,
    pub y: i32,
    pub width: u32,
    pub height: u32,
}

impl Rect {
    pub const fn of(size: Size) -> Self {
        Self { x: 0, y: 0, width: size.width, height: size.height }
    }

    pub const fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    /// One past the last column.
    pub const fn right(self) -> i32 {
        self.x + self.width as i32
    }

    /// One past the last row.
    pub const fn bottom(self) -> i32 {
        self.y + self.height as i32
    }

    /// What both cover; `None` when nothing.
    pub fn intersect(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        (right > x && bottom > y).then(|| Self {
            x,
            y,
            width: (right - x) as u32,
            height: (bottom - y) as u32,
        })
    }
}

/// A layer's content against the programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Inside the content.
    pub source: Rect,
    /// In programme pixels.
    pub dest: Rect,
}

/// Places content of `natural` size; `None` when nothing of it reaches the programme.
pub fn place(layer: &Layer, natural: Size, programme: Size) -> Option<Placement> {
    let (width, height) = (natural.width as f32, natural.height as f32);
    let crop = layer.crop;
    // Cropped content: x, y, width and height.
    let (mut sx, mut sy) = ((crop.left * width).round(), (crop.top * height).round());
    let (mut sw, mut sh) =
        (width - sx - (crop.right * width).round(), height - sy - (crop.bottom * height).round());
    if sw < 1.0 || sh < 1.0 {
        return None;
    }
    let whole = [programme.width as f32, programme.height as f32];
    let own = if layer.fit.is_some() { whole } else { [sw, sh] };
    let [box_w, box_h] = layer.size.unwrap_or(own).map(|edge| edge * layer.scale);
    let (mut dw, mut dh) = (box_w, box_h);
    match layer.fit.unwrap_or_default() {
        Fit::Stretch => {}
        Fit::Contain => {
            let ratio = (box_w / sw).min(box_h / sh);
            (dw, dh) = (sw * ratio, sh * ratio);
        }
        Fit::Cover => {
            let ratio = (box_w / sw).max(box_h / sh);
            let (keep_w, keep_h) =
                ((box_w / ratio).round().clamp(1.0, sw), (box_h / ratio).round().clamp(1.0, sh));
            sx += ((sw - keep_w) / 2.0).floor();
            sy += ((sh - keep_h) / 2.0).floor();
            (sw, sh) = (keep_w, keep_h);
        }
    }
    let [ax, ay] = layer.anchor.fractions();
    let x0 = ax * (whole[0] - box_w) + layer.position[0] + (box_w - dw) / 2.0;
    let y0 = ay * (whole[1] - box_h) + layer.position[1] + (box_h - dh) / 2.0;
    let edges = |start: f32, len: f32| {
        let first = start.round();
        (first as i32, ((start + len).round() - first).max(1.0) as u32)
    };
    let ((x, dest_w), (y, dest_h)) = (edges(x0, dw), edges(y0, dh));
    let dest = Rect { x, y, width: dest_w, height: dest_h };
    dest.intersect(Rect::of(programme))?;
    let source = Rect { x: sx as i32, y: sy as i32, width: sw as u32, height: sh as u32 };
    Some(Placement { source, dest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::{Anchor, Content, Crop};

    const HD: Size = Size::new(1280, 720);

    fn layer() -> Layer {
        Layer::new(Content::Source("a".into()))
    }

    fn rect(x: i32, y: i32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn content_without_a_size_keeps_its_own() {
        let at = Layer { position: [10.0, 20.0], ..layer() };
        let placed = place(&at, Size::new(64, 48), HD).unwrap();
        assert_eq!(placed, Placement { source: rect(0, 0, 64, 48), dest: rect(10, 20, 64, 48) });
    }

    #[test]
    fn contain_centres_a_4_by_3_camera_in_the_programme() {
        let at = Layer { fit: Some(Fit::Contain), ..layer() };
        let placed = place(&at, Size::new(640, 480), HD).unwrap();
        assert_eq!(placed.dest, rect(160, 0, 960, 720));
    }

    #[test]
    fn cover_cuts_a_4_by_3_camera_above_and_below() {
        let at = Layer { fit: Some(Fit::Cover), ..layer() };
        let placed = place(&at, Size::new(640, 480), HD).unwrap();
        assert_eq!(placed, Placement { source: rect(0, 60, 640, 360), dest: rect(0, 0, 1280, 720) });
    }

    #[test]
    fn an_anchor_is_the_same_point_of_programme_and_layer() {
        let at = Layer { anchor: Anchor::BottomRight, position: [-24.0, -16.0], ..layer() };
        let placed = place(&at, Size::new(100, 50), HD).unwrap();
        assert_eq!(placed.dest, rect(1280 - 24 - 100, 720 - 16 - 50, 100, 50));
    }

    #[test]
    fn a_crop_takes_fractions_off_each_side_before_anything_else() {
        let crop = Crop { left: 0.25, top: 0.0, right: 0.25, bottom: 0.5 };
        let placed = place(&Layer { crop, ..layer() }, Size::new(640, 480), HD).unwrap();
        assert_eq!(placed, Placement { source: rect(160, 0, 320, 240), dest: rect(0, 0, 320, 240) });
    }

    #[test]
    fn a_layer_wholly_outside_is_not_drawn_and_one_partly_outside_is() {
        let at = |x: f32| place(&Layer { position: [x, 0.0], ..layer() }, Size::new(64, 64), HD);
        assert_eq!(at(-64.0), None);
        assert_eq!(at(1280.0), None);
        assert_eq!(at(-63.0).unwrap().dest, rect(-63, 0, 64, 64));
    }
}
