//! Words: section headings, labelled values, and states that are said, not only coloured.

use egui::{
    Align, Color32, FontId, Label, Layout, Rect, Response, RichText, Role, Sense, TextStyle, Ui, WidgetInfo,
    vec2,
};

use crate::number::{tabular, tabular_width};
use crate::theme::{Palette, Tokens, strong};

/// A dot's width, and what is between it and its word.
const DOT: f32 = 8.0;
const GAP: f32 = 6.0;
/// Between a value's name and the value.
const NAMED: f32 = 5.0;

/// How something is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Quiet,
    Good,
    Warn,
    Bad,
    /// On air, and nothing else.
    Live,
    Money,
}

impl Tone {
    pub fn colour(self, palette: &Palette) -> Color32 {
        match self {
            Self::Quiet => palette.text_low,
            Self::Good => palette.good,
            Self::Warn => palette.warn,
            Self::Bad => palette.bad,
            Self::Live => palette.live,
            Self::Money => palette.money,
        }
    }
}

/// A panel's heading.
pub fn section(ui: &mut Ui, title: &str) {
    section_with(ui, title, |_| ());
}

/// A heading with a control at its right.
pub fn section_with(ui: &mut Ui, title: &str, right: impl FnOnce(&mut Ui)) {
    let heading = RichText::new(title).font(strong(12.0)).color(Palette::of(ui).text_mid);
    row(ui, Tokens::get().space.control, |ui| _ = ui.add(Label::new(heading).truncate()), right);
}

/// A name that is cut where there is no room; the pointer shows `whole`.
pub fn name(ui: &mut Ui, name: &str, whole: &str) -> Response {
    let text = RichText::new(name).color(Palette::of(ui).text_high);
    // A cut label would tell its own text beside ours.
    ui.add(Label::new(text).truncate().show_tooltip_when_elided(false)).on_hover_text(whole)
}

/// How wide [`status`] is with this word.
pub fn status_width(ui: &Ui, word: &str) -> f32 {
    DOT + GAP + width(ui, word, TextStyle::Body.resolve(ui.style()))
}

/// How wide `text` is in one line.
pub fn width(ui: &Ui, text: &str, font: FontId) -> f32 {
    ui.painter().layout_no_wrap(text.to_owned(), font, Color32::WHITE).size().x
}

/// A dot of the tone's colour.
pub fn dot(ui: &mut Ui, tone: Tone) -> Response {
    let colour = tone.colour(Palette::of(ui));
    let height = ui.text_style_height(&TextStyle::Body);
    let (rect, response) = ui.allocate_exact_size(vec2(DOT, height), Sense::hover());
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
        ui.spacing_mut().item_spacing.x = GAP;
        ui.horizontal(|ui| {
            let label = Label::new(RichText::new(word).color(colour)).truncate();
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
        ui.spacing_mut().item_spacing.x = NAMED;
        let response = ui.horizontal(|ui| {
            ui.label(RichText::new(name).color(palette.text_low));
            tabular(ui, text, FontId::proportional(13.0), colour)
        });
        response.response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name} {text}")));
        response.inner
    })
    .inner
}

/// How wide [`value`] is.
pub fn value_width(ui: &Ui, name: &str, text: &str) -> f32 {
    let font = TextStyle::Body.resolve(ui.style());
    width(ui, name, font.clone()) + NAMED + tabular_width(ui, text, &font)
}

/// A line of small text that may wrap.
pub fn note(ui: &mut Ui, text: &str, tone: Tone) -> Response {
    let colour = tone.colour(Palette::of(ui));
    ui.add(Label::new(RichText::new(text).size(12.0).color(colour)).wrap())
}

/// With a capital, as what stands by itself begins.
pub fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Something to the left, something to the right, in one row of `height`. Where there is no room for both, the left
/// is cut.
pub fn row(ui: &mut Ui, height: f32, left: impl FnOnce(&mut Ui), right: impl FnOnce(&mut Ui)) {
    let size = vec2(ui.available_width(), height);
    ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
        right(ui);
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let kept = ui.clip_rect().intersect(Rect::everything_left_of(ui.max_rect().right()));
            ui.set_clip_rect(kept);
            left(ui);
        });
    });
}
