//! Buttons: quiet ones, the one that matters, and the one that goes live.

use egui::{Button, Color32, CornerRadius, Response, RichText, Stroke, StrokeKind, Ui, vec2};

use crate::theme::{Palette, Tokens, strong};

/// The ring of a button that has the focus, in points, and what lies between the two.
const RING: f32 = 2.0;
const RING_GAP: f32 = 2.0;

fn filled(ui: &mut Ui, text: &str, fill: Color32) -> Response {
    let space = Tokens::get().space;
    let size = Tokens::get().text.stage;
    let palette = Palette::of(ui);
    let (fill, ink) =
        if ui.is_enabled() { (fill, Palette::on(fill)) } else { (palette.raised, palette.text_low) };
    let text = RichText::new(text).font(strong(size)).color(ink);
    let response = ui
        .scope(|ui| {
            ui.spacing_mut().button_padding.x = 4.0 * space.grid;
            ui.add(Button::new(text).fill(fill).stroke(Stroke::NONE).min_size(vec2(0.0, space.control)))
        })
        .inner;
    if response.has_focus() {
        // Apart from the fill, which may have the same colour.
        let ring = response.rect.expand(RING_GAP);
        let stroke = Stroke::new(RING, palette.select);
        ui.painter().rect_stroke(ring, CornerRadius::same(space.radius), stroke, StrokeKind::Outside);
    }
    response
}

/// The one thing that a view is for.
pub fn primary(ui: &mut Ui, text: &str) -> Response {
    let fill = Palette::of(ui).select;
    filled(ui, text, fill)
}

/// Goes live, or ends it.
pub fn live(ui: &mut Ui, text: &str) -> Response {
    let fill = Palette::of(ui).live;
    filled(ui, text, fill)
}

/// Everything else.
pub fn quiet(ui: &mut Ui, text: &str) -> Response {
    let mut text = RichText::new(text);
    if !ui.is_enabled() {
        text = text.color(Palette::of(ui).text_low);
    }
    ui.add(Button::new(text).min_size(vec2(0.0, Tokens::get().space.control)))
}

/// A quiet one that stays down while `on`.
pub fn toggle(ui: &mut Ui, on: bool, text: &str) -> Response {
    let palette = Palette::of(ui);
    let control = Tokens::get().space.control;
    let mut button = Button::new(text).selected(on).min_size(vec2(0.0, control));
    if on {
        let text = RichText::new(text).color(Palette::on(palette.select));
        button = Button::new(text).fill(palette.select).stroke(Stroke::NONE).min_size(vec2(0.0, control));
    }
    let response = ui.add(button);
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, on, text));
    response
}
