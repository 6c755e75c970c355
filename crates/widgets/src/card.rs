//! A card in the middle of a window, for something to be read before it is agreed to.

use egui::{
    Align, Area, FontId, Frame, Id, Layout, Margin, Order, Pos2, Rect, RichText, ScrollArea, Stroke, Ui,
    UiBuilder, pos2, vec2,
};

use crate::number::tabular;
use crate::text::{Tone, note, row};
use crate::theme::{Palette, Tokens, strong};

const WIDTH: f32 = 440.0;
/// Within the card's edge, and around it.
const MARGIN: f32 = 20.0;
const EDGE: f32 = 12.0;
/// Above the footer.
const GAP: f32 = 12.0;
/// Of figures, over a picture: enough of it is hidden for any of them to be read.
const FIGURES: f32 = 300.0;
const FIGURES_OPACITY: f32 = 0.96;
/// The column of names.
pub const NAMES: f32 = 92.0;

/// Names and their values at a place in the window, above all else, and what `below` adds to them.
pub fn figures(ui: &Ui, at: Pos2, figures: &[(impl AsRef<str>, String)], below: impl FnOnce(&mut Ui)) {
    let palette = Palette::of(ui);
    Area::new(Id::unique("figures")).fixed_pos(at).order(Order::Foreground).show(ui.ctx(), |ui| {
        let fill = palette.panel.gamma_multiply(FIGURES_OPACITY);
        Frame::new().fill(fill).corner_radius(6).inner_margin(Margin::same(12)).show(ui, |ui| {
            ui.set_width(FIGURES);
            for (name, value) in figures {
                row(
                    ui,
                    20.0,
                    |ui| _ = ui.label(RichText::new(name.as_ref()).size(12.0).color(palette.text_mid)),
                    |ui| _ = tabular(ui, value, FontId::proportional(12.0), palette.text_high),
                );
            }
            below(ui);
        });
    });
}

/// What is remembered from one frame to the next.
#[derive(Debug, Default)]
pub struct Card {
    height: f32,
    /// Of what is always there.
    footer: f32,
}

impl Card {
    /// `body` may be long, and scrolls then; `footer` is below it, and is always there.
    pub fn show<S, A, R>(
        &mut self,
        ui: &mut Ui,
        state: &mut S,
        body: impl FnOnce(&mut S, &mut Ui) -> A,
        footer: impl FnOnce(&mut S, &mut Ui, &A) -> R,
    ) -> R {
        let room = ui.max_rect();
        let palette = Palette::of(ui);
        let width = WIDTH.min(room.width() - 2.0 * (MARGIN + EDGE));
        let (left, top) = (room.center().x - width / 2.0 - MARGIN, room.center().y - self.height / 2.0);
        let place = Rect::from_min_max(pos2(left, top.max(room.top() + EDGE)), room.max);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(place).layout(Layout::top_down(Align::Min)));
        let line = Stroke::new(1.0, palette.line);
        let frame = Frame::new().fill(palette.panel).stroke(line).corner_radius(Tokens::get().space.radius);
        let shown = frame.inner_margin(Margin::same(MARGIN as i8)).show(&mut ui, |ui| {
            ui.set_width(width);
            let most = room.height() - 2.0 * (EDGE + MARGIN) - GAP - self.footer;
            let scroll = ScrollArea::vertical().max_height(most).auto_shrink([false, true]);
            let answer = scroll.show(ui, |ui| {
                ui.set_width(width - crate::scroll::margin());
                body(state, ui)
            });
            ui.add_space(GAP);
            let foot = ui.scope(|ui| footer(state, ui, &answer.inner));
            (foot.inner, foot.response.rect.height())
        });
        // It has its room, and stands in the middle, from the next frame on.
        let (answer, footer) = shown.inner;
        let height = shown.response.rect.height();
        if (self.height, self.footer) != (height, footer) {
            (self.height, self.footer) = (height, footer);
            ui.ctx().request_repaint();
        }
        answer
    }
}

/// A card's buttons, the one that matters first: from the right.
pub fn buttons<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let size = vec2(ui.available_width(), Tokens::get().space.control);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), add).inner
}

/// Something to be read before it is agreed to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Agreement {
    pub title: String,
    /// What it is, and its value.
    pub lines: Vec<(String, String)>,
    pub warnings: Vec<String>,
}

impl Agreement {
    /// All but its title.
    pub fn show(&self, ui: &mut Ui) {
        let palette = Palette::of(ui);
        for (name, value) in &self.lines {
            ui.horizontal_top(|ui| {
                ui.allocate_ui_with_layout(vec2(NAMES, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(NAMES);
                    ui.label(RichText::new(name).size(12.0).color(palette.text_mid));
                });
                let value = RichText::new(value).size(12.0).color(palette.text_high);
                // In a row of its own, else later lines would begin elsewhere.
                ui.vertical(|ui| ui.add(egui::Label::new(value).wrap()));
            });
        }
        for warning in &self.warnings {
            note(ui, warning, Tone::Warn);
        }
    }
}

pub fn heading(ui: &mut Ui, text: &str) {
    let text = RichText::new(text).font(strong(18.0)).color(Palette::of(ui).text_high);
    ui.add(egui::Label::new(text).wrap());
}

/// What it is, and the control for it beside.
pub fn line(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui)) {
    let control = Tokens::get().space.control;
    ui.horizontal(|ui| {
        ui.set_min_height(control);
        let column = Layout::left_to_right(Align::Center);
        ui.allocate_ui_with_layout(vec2(NAMES, control), column, |ui| {
            ui.set_width(NAMES);
            ui.label(RichText::new(name).color(Palette::of(ui).text_mid));
        });
        add(ui);
    });
}
