//! Lists that scroll, with the bar in the margin of their panel: it covers nothing, and nothing moves for it.

use egui::{Margin, ScrollArea, Ui, UiBuilder, vec2};

use crate::theme::Tokens;

/// What a panel leaves free to its left and right, in points.
pub fn margin() -> f32 {
    3.0 * Tokens::get().space.grid
}

/// Fills what is left of `ui`, and [`margin`] beyond its right edge with the bar.
pub fn list(ui: &mut Ui, id: &str, add: impl FnOnce(&mut Ui)) {
    let room = ui.available_rect_before_wrap();
    let mut with_bar = room;
    with_bar.max.x += margin();
    // A child of its own, so that the panel does not grow by its own margin.
    let mut child = ui.new_child(UiBuilder::new().max_rect(with_bar));
    ScrollArea::vertical()
        .id_salt(id)
        .auto_shrink(false)
        .content_margin(Margin { right: margin() as i8, ..Margin::ZERO })
        .show(&mut child, add);
    ui.allocate_space(vec2(room.width().max(0.0), room.height().max(0.0)));
}
