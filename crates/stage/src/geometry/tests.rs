//! Geometry by arithmetic that a person can follow.

use studio::scene::{Anchor, Content, Fit};

use super::*;

const HD: Vec2 = vec2(1280.0, 720.0);

fn layer() -> Layer {
    Layer::new(Content::Source("a".into()))
}

fn rect(x: f32, y: f32, width: f32, height: f32) -> Rect {
    Rect::from_min_size(pos2(x, y), vec2(width, height))
}

const fn handle(x: i8, y: i8) -> Handle {
    Handle { x, y }
}

#[test]
fn a_point_of_the_programme_is_found_on_the_screen_and_back() {
    let mapping = Mapping { picture: rect(100.0, 50.0, 640.0, 360.0), programme: HD };
    assert_eq!(mapping.scale(), 0.5);
    assert_eq!(mapping.to_screen(pos2(640.0, 720.0)), pos2(420.0, 410.0));
    assert_eq!(mapping.to_programme(pos2(420.0, 410.0)), pos2(640.0, 720.0));
    assert_eq!(mapping.rect_to_screen(rect(0.0, 0.0, 1280.0, 720.0)), mapping.picture);
}

#[test]
fn a_box_is_where_the_compositor_draws_it() {
    let natural = vec2(640.0, 480.0);
    let place = |layer: &Layer| box_of(layer, natural, HD);
    assert_eq!(place(&Layer { position: [10.0, 20.0], ..layer() }), rect(10.0, 20.0, 640.0, 480.0));
    assert_eq!(place(&Layer { fit: Some(Fit::Contain), ..layer() }), rect(0.0, 0.0, 1280.0, 720.0));
    let corner = Layer {
        anchor: Anchor::BottomRight,
        position: [-24.0, -16.0],
        size: Some([200.0, 100.0]),
        scale: 0.5,
        ..layer()
    };
    assert_eq!(place(&corner), rect(1280.0 - 24.0 - 100.0, 720.0 - 16.0 - 50.0, 100.0, 50.0));
    let crop = Crop { left: 0.25, top: 0.0, right: 0.25, bottom: 0.5 };
    assert_eq!(place(&Layer { crop, ..layer() }), rect(0.0, 0.0, 320.0, 240.0));
}

#[test]
fn a_box_is_put_where_it_is_wanted_whatever_anchor_and_scale() {
    let wanted = rect(33.0, 44.0, 320.0, 180.0);
    for anchor in [Anchor::TopLeft, Anchor::Center, Anchor::Right, Anchor::BottomRight] {
        for scale in [1.0, 0.5, 4.0] {
            let mut layer = Layer { anchor, scale, ..layer() };
            let (position, size) = placed(&layer, wanted, HD);
            (layer.position, layer.size) = (position, Some(size));
            assert_eq!(box_of(&layer, HD, HD), wanted, "{anchor:?} {scale}");
        }
    }
}

#[test]
fn the_nearest_handle_within_reach_is_hit() {
    let on = rect(100.0, 100.0, 200.0, 100.0);
    assert_eq!(Handle::hit(on, pos2(104.0, 97.0), 8.0), Some(handle(-1, -1)));
    assert_eq!(Handle::hit(on, pos2(200.0, 206.0), 8.0), Some(handle(0, 1)));
    assert_eq!(Handle::hit(on, pos2(308.0, 150.0), 8.0), Some(handle(1, 0)));
    assert_eq!(Handle::hit(on, pos2(309.0, 150.0), 8.0), None);
    assert_eq!(Handle::hit(on, on.center(), 8.0), None);
}

#[test]
fn what_is_opposite_of_a_dragged_handle_stays() {
    let start = rect(100.0, 100.0, 200.0, 100.0);
    for handle in Handle::ALL {
        for ratio in [Ratio::Kept, Ratio::Free] {
            let opposite = Handle { x: -handle.x, y: -handle.y };
            let after = resize(start, handle, vec2(30.0, -20.0), ratio);
            assert!(opposite.on(after).distance(opposite.on(start)) < 50.0);
            if handle.x != 0 {
                assert_eq!(opposite.on(after).x, opposite.on(start).x, "{handle:?} {ratio:?}");
            }
            if handle.y != 0 {
                assert_eq!(opposite.on(after).y, opposite.on(start).y, "{handle:?} {ratio:?}");
            }
        }
    }
}

#[test]
fn a_corner_keeps_the_shape_until_it_is_freed_and_a_side_never_does() {
    let start = rect(100.0, 100.0, 200.0, 100.0);
    // 50 % more by its width, 10 % by its height: the width leads.
    let kept = resize(start, handle(1, 1), vec2(100.0, 10.0), Ratio::Kept);
    assert_eq!(kept, rect(100.0, 100.0, 300.0, 150.0));
    let from_top_left = resize(start, handle(-1, -1), vec2(100.0, 10.0), Ratio::Kept);
    assert_eq!(from_top_left, rect(200.0, 150.0, 100.0, 50.0));
    let free = resize(start, handle(1, 1), vec2(100.0, 10.0), Ratio::Free);
    assert_eq!(free, rect(100.0, 100.0, 300.0, 110.0));
    let side = resize(start, handle(-1, 0), vec2(-40.0, 99.0), Ratio::Kept);
    assert_eq!(side, rect(60.0, 100.0, 240.0, 100.0));
}

#[test]
fn a_box_is_never_turned_inside_out() {
    let start = rect(100.0, 100.0, 200.0, 100.0);
    let side = resize(start, handle(1, 0), vec2(-1000.0, 0.0), Ratio::Free);
    assert_eq!(side, rect(100.0, 100.0, 8.0, 100.0));
    let corner = resize(start, handle(-1, -1), vec2(1000.0, 1000.0), Ratio::Kept);
    assert_eq!((corner.max, corner.width() > 0.0, corner.height() > 0.0), (start.max, true, true));
    // One that is smaller already is not made larger for it.
    let small = rect(0.0, 0.0, 4.0, 4.0);
    assert_eq!(resize(small, handle(1, 1), vec2(-3.0, -3.0), Ratio::Free), small);
}

#[test]
fn cropping_moves_an_edge_and_not_the_content() {
    let start = rect(100.0, 0.0, 400.0, 200.0);
    let (after, cut) = crop(start, Crop::default(), handle(-1, 0), vec2(100.0, 7.0));
    assert_eq!((after, cut), (rect(200.0, 0.0, 300.0, 200.0), Crop { left: 0.25, ..Crop::default() }));
    // The whole is still 400 wide: 100 more off its other side are a quarter of that.
    let (after, cut) = crop(after, cut, handle(1, 1), vec2(-100.0, -50.0));
    assert_eq!(after, rect(200.0, 0.0, 200.0, 150.0));
    assert_eq!(cut, Crop { left: 0.25, top: 0.0, right: 0.25, bottom: 0.25 });
    // Outwards until all of it is seen, and inwards until a twentieth is left.
    let (out, whole) = crop(after, cut, handle(-1, 0), vec2(-500.0, 0.0));
    assert_eq!((out, whole.left), (rect(100.0, 0.0, 300.0, 150.0), 0.0));
    let (_, least) = crop(after, cut, handle(-1, 0), vec2(500.0, 0.0));
    assert!((1.0 - least.left - least.right - 0.05).abs() < 1e-6, "{least:?}");
}

#[test]
fn a_moved_box_snaps_to_edges_middles_and_other_boxes() {
    let other = rect(300.0, 200.0, 100.0, 50.0);
    let lines = Lines::new(HD, &[other]);
    let (at, guides) = lines.moved(rect(5.0, 500.0, 120.0, 40.0), 8.0);
    assert_eq!((at.min, guides), (pos2(0.0, 500.0), Guides { x: Some(0.0), y: None }));
    // Its right edge to the other's left, its bottom to the programme's.
    let (at, guides) = lines.moved(rect(185.0, 673.0, 120.0, 40.0), 8.0);
    assert_eq!((at.max, guides), (pos2(300.0, 720.0), Guides { x: Some(300.0), y: Some(720.0) }));
    let (at, guides) = lines.moved(rect(577.0, 343.0, 120.0, 40.0), 8.0);
    assert_eq!((at.center(), guides), (pos2(640.0, 360.0), Guides { x: Some(640.0), y: Some(360.0) }));
    let far = rect(50.0, 500.0, 120.0, 40.0);
    assert_eq!(lines.moved(far, 8.0), (far, Guides::default()));
}

#[test]
fn a_resized_box_snaps_by_the_edges_that_move() {
    let lines = Lines::new(HD, &[]);
    let start = rect(100.0, 100.0, 200.0, 100.0);
    let snapped =
        |by: Vec2, handle, ratio| lines.resized(start, resize(start, handle, by, ratio), handle, ratio, 8.0);
    let (at, guides) = snapped(vec2(335.0, 0.0), handle(1, 0), Ratio::Kept);
    assert_eq!((at, guides), (rect(100.0, 100.0, 540.0, 100.0), Guides { x: Some(640.0), y: None }));
    let (at, guides) = snapped(vec2(-95.0, -97.0), handle(-1, -1), Ratio::Free);
    assert_eq!((at, guides), (rect(0.0, 0.0, 300.0, 200.0), Guides { x: Some(0.0), y: Some(0.0) }));
    // 535 wide and 267.5 high: the right edge is 5 from the middle, and the bottom 7.5 from it, so the right decides.
    let (at, guides) = snapped(vec2(335.0, 0.0), handle(1, 1), Ratio::Kept);
    assert_eq!((at, guides), (rect(100.0, 100.0, 540.0, 270.0), Guides { x: Some(640.0), y: None }));
    let (at, guides) = snapped(vec2(0.0, 157.0), handle(0, 1), Ratio::Kept);
    assert_eq!((at, guides), (rect(100.0, 100.0, 200.0, 260.0), Guides { x: None, y: Some(360.0) }));
}

#[test]
fn a_box_is_brought_to_each_line_along_one_axis() {
    let within = Rect::from_min_size(pos2(100.0, 50.0), vec2(400.0, 300.0));
    let rect = Rect::from_min_size(pos2(7.0, 9.0), vec2(60.0, 40.0));
    let at = |side| aligned(rect, within, side).min;
    assert_eq!(at(Side::Left), pos2(100.0, 9.0));
    // 400 − 60 are 340, of which half lies before it.
    assert_eq!(at(Side::Centre), pos2(270.0, 9.0));
    assert_eq!(at(Side::Right), pos2(440.0, 9.0));
    assert_eq!(at(Side::Top), pos2(7.0, 50.0));
    assert_eq!(at(Side::Middle), pos2(7.0, 180.0));
    assert_eq!(at(Side::Bottom), pos2(7.0, 310.0));
    let larger = Rect::from_min_size(pos2(0.0, 0.0), vec2(500.0, 500.0));
    assert_eq!(aligned(larger, within, Side::Centre).min, pos2(50.0, 0.0), "over both edges alike");
    assert_eq!(aligned(larger, within, Side::Bottom).size(), larger.size());
}
