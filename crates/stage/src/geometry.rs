//! Boxes of items: where they are on the screen, what a pointer hits, what a drag makes of them, and what they snap to.
//!
//! Arithmetic alone. Programme pixels throughout, but where it says points, which are the screen's.

use studio::scene::{Crop, Layer};
use widgets::egui::{Pos2, Rect, Vec2, pos2, vec2};

/// A box is not dragged smaller than this, so that its handles stay apart.
const SMALLEST: f32 = 8.0;
/// What a crop leaves of the content at least.
const CROP_LEAVES: f32 = 0.05;

/// The programme's picture on the screen.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// In points.
    pub picture: Rect,
    pub programme: Vec2,
}

impl Mapping {
    /// Points to a programme pixel.
    pub fn scale(&self) -> f32 {
        self.picture.width() / self.programme.x
    }

    pub fn to_programme(&self, at: Pos2) -> Pos2 {
        ((at - self.picture.min) / self.picture.size() * self.programme).to_pos2()
    }

    pub fn to_screen(&self, at: Pos2) -> Pos2 {
        self.picture.min + at.to_vec2() / self.programme * self.picture.size()
    }

    pub fn rect_to_screen(&self, rect: Rect) -> Rect {
        Rect::from_min_max(self.to_screen(rect.min), self.to_screen(rect.max))
    }
}

/// The box of a layer whose content has `natural` size, as the compositor places it.
pub fn box_of(layer: &Layer, natural: Vec2, programme: Vec2) -> Rect {
    let Crop { left, top, right, bottom } = layer.crop;
    let cut =
        |length: f32, first: f32, last: f32| length - (first * length).round() - (last * length).round();
    let own = if layer.fit.is_some() {
        programme
    } else {
        vec2(cut(natural.x, left, right), cut(natural.y, top, bottom))
    };
    let size = layer.size.map_or(own, Vec2::from) * layer.scale;
    let min = anchor(layer) * (programme - size) + Vec2::from(layer.position);
    Rect::from_min_size(min.to_pos2(), size)
}

fn anchor(layer: &Layer) -> Vec2 {
    layer.anchor.fractions().into()
}

/// The position and the size that give `layer` this box, whatever its anchor and its scale.
pub fn placed(layer: &Layer, rect: Rect, programme: Vec2) -> ([f32; 2], [f32; 2]) {
    let position = rect.min.to_vec2() - anchor(layer) * (programme - rect.size());
    (position.into(), (rect.size() / layer.scale).into())
}

/// A line that boxes are brought to: an edge of what they lie within, or its middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Centre,
    Right,
    Top,
    Middle,
    Bottom,
}

/// `rect` moved to that line of `within`, along one axis.
pub fn aligned(rect: Rect, within: Rect, side: Side) -> Rect {
    let room = within.size() - rect.size();
    let by = match side {
        Side::Left => vec2(within.min.x - rect.min.x, 0.0),
        Side::Centre => vec2(within.min.x + room.x / 2.0 - rect.min.x, 0.0),
        Side::Right => vec2(within.min.x + room.x - rect.min.x, 0.0),
        Side::Top => vec2(0.0, within.min.y - rect.min.y),
        Side::Middle => vec2(0.0, within.min.y + room.y / 2.0 - rect.min.y),
        Side::Bottom => vec2(0.0, within.min.y + room.y - rect.min.y),
    };
    rect.translate(by)
}

/// What a pointer drags of a box: its sides by -1, 0 and 1 to the right and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    pub x: i8,
    pub y: i8,
}

impl Handle {
    pub const ALL: [Self; 8] = [
        Self { x: -1, y: -1 },
        Self { x: 0, y: -1 },
        Self { x: 1, y: -1 },
        Self { x: 1, y: 0 },
        Self { x: 1, y: 1 },
        Self { x: 0, y: 1 },
        Self { x: -1, y: 1 },
        Self { x: -1, y: 0 },
    ];

    pub fn on(self, rect: Rect) -> Pos2 {
        let way = vec2(f32::from(self.x), f32::from(self.y));
        rect.center() + way * rect.size() / 2.0
    }

    fn is_corner(self) -> bool {
        self.x != 0 && self.y != 0
    }

    /// The handle of `rect` nearest to `at`, within `reach`. All in points.
    pub fn hit(rect: Rect, at: Pos2, reach: f32) -> Option<Self> {
        let far = |handle: &Self| handle.on(rect).distance(at);
        let near = Self::ALL.into_iter().filter(|handle| far(handle) <= reach);
        near.min_by(|a, b| far(a).total_cmp(&far(b)))
    }
}

/// Whether a corner keeps the box's shape. A side never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    Kept,
    Free,
}

/// One axis: the end that moves goes by `by`, the other stays.
fn stretch((min, max): (f32, f32), way: i8, by: f32) -> (f32, f32) {
    let least = SMALLEST.min(max - min);
    match way {
        -1 => ((min + by).min(max - least), max),
        1 => (min, (max + by).max(min + least)),
        _ => (min, max),
    }
}

fn across(rect: Rect) -> (f32, f32) {
    (rect.min.x, rect.max.x)
}

fn down(rect: Rect) -> (f32, f32) {
    (rect.min.y, rect.max.y)
}

fn of_axes(x: (f32, f32), y: (f32, f32)) -> Rect {
    Rect::from_min_max(pos2(x.0, y.0), pos2(x.1, y.1))
}

/// The box after its handle went by `by`; what is opposite stays where it is.
pub fn resize(start: Rect, handle: Handle, by: Vec2, ratio: Ratio) -> Rect {
    let (x, y) = (stretch(across(start), handle.x, by.x), stretch(down(start), handle.y, by.y));
    if !handle.is_corner() || ratio == Ratio::Free {
        return of_axes(x, y);
    }
    let (times_x, times_y) = ((x.1 - x.0) / start.width(), (y.1 - y.0) / start.height());
    // The side that was dragged farther leads.
    scaled(start, handle, if (times_x - 1.0).abs() >= (times_y - 1.0).abs() { times_x } else { times_y })
}

fn scaled(start: Rect, handle: Handle, times: f32) -> Rect {
    let grow = start.size() * (times - 1.0);
    let axis =
        |(min, max): (f32, f32), way: i8, by: f32| if way < 0 { (min - by, max) } else { (min, max + by) };
    of_axes(axis(across(start), handle.x, grow.x), axis(down(start), handle.y, grow.y))
}

/// The box and the crop after a handle was dragged inwards by what is to be cut off, or outwards by what is to be seen
/// again. The content keeps its place and its size.
pub fn crop(start: Rect, before: Crop, handle: Handle, by: Vec2) -> (Rect, Crop) {
    let (x, left, right) = crop_axis(across(start), (before.left, before.right), handle.x, by.x);
    let (y, top, bottom) = crop_axis(down(start), (before.top, before.bottom), handle.y, by.y);
    (of_axes(x, y), Crop { left, top, right, bottom })
}

fn crop_axis((min, max): (f32, f32), (first, last): (f32, f32), way: i8, by: f32) -> ((f32, f32), f32, f32) {
    // The whole content's length, which the box shows a part of.
    let whole = (max - min) / (1.0 - first - last);
    match way {
        -1 => {
            let cut = (first + by / whole).clamp(0.0, 1.0 - CROP_LEAVES - last);
            ((min + (cut - first) * whole, max), cut, last)
        }
        1 => {
            let cut = (last - by / whole).clamp(0.0, 1.0 - CROP_LEAVES - first);
            ((min, max - (cut - last) * whole), first, cut)
        }
        _ => ((min, max), first, last),
    }
}

/// Lines that boxes snap to: the programme's edges and middles, and other boxes' edges.
#[derive(Clone, Debug)]
pub struct Lines {
    x: Vec<f32>,
    y: Vec<f32>,
    middle: Pos2,
}

/// Which lines something snapped to, to be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Guides {
    pub x: Option<f32>,
    pub y: Option<f32>,
}

impl Lines {
    pub fn new(programme: Vec2, others: &[Rect]) -> Self {
        let middle = (programme / 2.0).to_pos2();
        let (mut x, mut y) = (vec![0.0, middle.x, programme.x], vec![0.0, middle.y, programme.y]);
        for other in others {
            x.extend([other.min.x, other.max.x]);
            y.extend([other.min.y, other.max.y]);
        }
        Self { x, y, middle }
    }

    /// `rect`, moved by at most `reach` on each axis so that an edge lies on a line, or its middle on the programme's.
    pub fn moved(&self, rect: Rect, reach: f32) -> (Rect, Guides) {
        let axis = |lines: &[f32], (min, max): (f32, f32), middle: f32| {
            let edges = lines.iter().flat_map(|line| [(line - min, *line), (line - max, *line)]);
            nearest(edges.chain([(middle - (min + max) / 2.0, middle)]), reach)
        };
        let (x, y) = (axis(&self.x, across(rect), self.middle.x), axis(&self.y, down(rect), self.middle.y));
        let by = vec2(x.map_or(0.0, |(by, _)| by), y.map_or(0.0, |(by, _)| by));
        (rect.translate(by), Guides { x: x.map(|(_, line)| line), y: y.map(|(_, line)| line) })
    }

    /// `rect`, which came of dragging the handle of `start`, with the edges that moved on lines within `reach`.
    pub fn resized(
        &self,
        start: Rect,
        rect: Rect,
        handle: Handle,
        ratio: Ratio,
        reach: f32,
    ) -> (Rect, Guides) {
        let axis = |lines: &[f32], (min, max): (f32, f32), way: i8| {
            let edge = if way < 0 { min } else { max };
            let near = || nearest(lines.iter().map(|line| (line - edge, *line)), reach);
            if way == 0 { None } else { near() }
        };
        let (x, y) = (axis(&self.x, across(rect), handle.x), axis(&self.y, down(rect), handle.y));
        let guides = |x: Option<(f32, f32)>, y: Option<(f32, f32)>| Guides {
            x: x.map(|(_, line)| line),
            y: y.map(|(_, line)| line),
        };
        if !handle.is_corner() || ratio == Ratio::Free {
            let by = |snap: Option<(f32, f32)>| snap.map_or(0.0, |(by, _)| by);
            let axes = (stretch(across(rect), handle.x, by(x)), stretch(down(rect), handle.y, by(y)));
            return (of_axes(axes.0, axes.1), guides(x, y));
        }
        // With the shape kept one line decides: the nearer.
        let size = rect.size();
        let longer = |by: f32, way: i8| by * f32::from(way);
        match (x, y) {
            (Some(snap), other) if other.is_none_or(|(by, _)| snap.0.abs() <= by.abs()) => {
                let times = (size.x + longer(snap.0, handle.x)) / start.width();
                (scaled(start, handle, times), guides(x, None))
            }
            (_, Some(snap)) => {
                let times = (size.y + longer(snap.0, handle.y)) / start.height();
                (scaled(start, handle, times), guides(None, y))
            }
            _ => (rect, Guides::default()),
        }
    }
}

/// Of ways to lines the shortest, within `reach`.
fn nearest(ways: impl Iterator<Item = (f32, f32)>, reach: f32) -> Option<(f32, f32)> {
    ways.filter(|(by, _)| by.abs() <= reach).min_by(|(a, _), (b, _)| a.abs().total_cmp(&b.abs()))
}

#[cfg(test)]
mod tests;
