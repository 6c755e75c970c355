//! Words: section headings, labelled values, and states that are said, not only coloured.

use egui::{
    Align, Color32, FontId, Layout, Response, RichText, Role, Sense, TextStyle, Ui, WidgetInfo, vec2,
};

use crate::number::tabular;
use crate::theme::{Palette, strong};

/// How something is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Quiet,
    Good,
    Warn,
    Bad,
    /// On air, and nothing else.
    Live,
}

impl Tone {
    pub fn colour(self, palette: &Palette) -> Color32 {
        match self {
            Self::Quiet => palette.text_low,
            Self::Good => palette.good,
            Self::Warn => palette.warn,
            Self::Bad => palette.bad,
            Self::Live => palette.live,
        }
    }
}

/// A panel's heading.
pub fn section(ui: &mut Ui, title: &str) {
    let palette = Palette::of(ui);
    ui.add_space(2.0);
    ui.label(RichText::new(title).font(strong(12.0)).color(palette.text_mid));
    ui.add_space(2.0);
}

/// A dot of the tone's colour.
pub fn dot(ui: &mut Ui, tone: Tone) -> Response {
    let colour = tone.colour(Palette::of(ui));
    let height = ui.text_style_height(&TextStyle::Body);
    let (rect, response) = ui.allocate_exact_size(vec2(8.0, height), Sense::hover());
    ui.painter().circle_filled(rect.center(), 4.0, colour);
    response
}

/// A dot with its word beside it: colour alone says nothing to some.
pub fn status(ui: &mut Ui, tone: Tone, word: &str) -> Response {
    let colour = match tone {
        Tone::Quiet => Palette::of(ui).text_mid,
        tone => tone.colour(Palette::of(ui)),
    };
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        ui.horizontal(|ui| {
            let label = egui::Label::new(RichText::new(word).color(colour)).truncate();
            // The dot stands before its word, also where things are laid out from the right.
            if ui.layout().prefer_right_to_left() {
                let said = ui.add(label);
                dot(ui, tone);
                return said;
            }
            dot(ui, tone);
            ui.add(label)
        })
        .inner
    })
    .inner
}

/// What it is, then how much: the name small and low, the value tabular.
pub fn value(ui: &mut Ui, name: &str, text: &str, tone: Tone) -> Response {
    let palette = Palette::of(ui);
    let colour =
        if matches!(tone, Tone::Quiet | Tone::Good) { palette.text_high } else { tone.colour(palette) };
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let response = ui.horizontal(|ui| {
            ui.label(RichText::new(name).color(palette.text_low));
            tabular(ui, text, FontId::proportional(13.0), colour)
        });
        response.response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name} {text}")));
        response.inner
    })
    .inner
}

/// A line of small text that may wrap.
pub fn note(ui: &mut Ui, text: &str, tone: Tone) -> Response {
    let colour = tone.colour(Palette::of(ui));
    ui.add(egui::Label::new(RichText::new(text).size(12.0).color(colour)).wrap())
}

/// Something to the left, something to the right, in one row of `height`.
pub fn row(ui: &mut Ui, height: f32, left: impl FnOnce(&mut Ui), right: impl FnOnce(&mut Ui)) {
    let size = vec2(ui.available_width(), height);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        right(ui);
        ui.with_layout(Layout::left_to_right(Align::Center), left);
    });
}
