//! The programme as viewers get it, and the hand on it.

use studio::{Command, Hand, Touch};
use widgets::egui::{
    self, Color32, CornerRadius, FontId, Id, Pos2, Rect, RichText, Sense, Stroke, StrokeKind, Ui, Vec2, pos2,
    vec2,
};
use widgets::icon::{self, Icon};
use widgets::picture::fit;
use widgets::text::{Tone, row, width};
use widgets::{Palette, button};

use super::Shown;
use super::arrange::Hands;
use super::statistics::{self, Own};
use crate::autosave::Saving;
use crate::editor::Editor;
use crate::geometry::Mapping;
use crate::hotkeys::Action;
use crate::view::{Order, View};

/// Under the picture: its figures and what the mouse does.
const CAPTION: f32 = 24.0;
/// The same with tools in it.
const TOOLS: f32 = 36.0;

/// What the mouse does in the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tool {
    /// Selects, moves and resizes sources.
    #[default]
    Arrange,
    /// Pushes particles.
    Push,
    /// Attracts them.
    Attract,
}

/// The hand on the picture, remembered from one frame to the next.
#[derive(Default)]
pub struct Pointer {
    tool: Tool,
    hands: Hands,
    pub has_statistics: bool,
    /// Which keys do what was asked for.
    pub wants_keys: bool,
    /// Where it was, in shares of the picture, and when.
    last: Option<(Vec2, f64)>,
}

impl Pointer {
    pub fn show(
        &mut self,
        ui: &mut Ui,
        (view, own): (&View, &Own),
        shown: Option<Shown>,
        mut editor: Option<&mut Editor>,
        orders: &mut Vec<Order>,
    ) {
        let programme = &view.snapshot.programme;
        let size = match shown {
            Some(shown) => shown.size,
            None if programme.width > 0 => vec2(programme.width as f32, programme.height as f32),
            None => vec2(16.0, 9.0),
        };
        let room = ui.available_rect_before_wrap();
        let below = if editor.is_some() { TOOLS } else { CAPTION };
        let fitted = fit(Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - below)), size);
        let touchable = view.snapshot.simulation.is_some();
        if !touchable {
            self.tool = Tool::Arrange;
        }
        let arranges = editor.is_some() && self.tool == Tool::Arrange && programme.width > 0;
        let sense = if touchable || arranges { Sense::click_and_drag() } else { Sense::hover() };
        // An id of its own: one by its place among the panels would change with every notice, and end a drag.
        let response = ui.interact(fitted, Id::unique("programme"), sense);
        ui.advance_cursor_after_rect(fitted);
        let said = "Programme preview";
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, said));
        let palette = Palette::of(ui);
        let painter = ui.painter();
        painter.rect_filled(fitted, CornerRadius::ZERO, Color32::BLACK);
        match shown {
            Some(shown) => {
                let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
                painter.image(shown.texture, fitted, whole, Color32::WHITE);
            }
            None => {
                // White on black in both themes: it stands where the picture will.
                let font = egui::FontId::proportional(13.0);
                let text = "Waiting for the first picture";
                painter.text(
                    fitted.center(),
                    egui::Align2::CENTER_CENTER,
                    text,
                    font,
                    Color32::from_gray(170),
                );
            }
        }
        let line = Stroke::new(1.0, palette.line);
        painter.rect_stroke(fitted, CornerRadius::ZERO, line, StrokeKind::Outside);
        match &mut editor {
            Some(editor) if arranges => {
                let programme = vec2(programme.width as f32, programme.height as f32);
                self.hands.show(ui, &response, Mapping { picture: fitted, programme }, editor);
            }
            _ if touchable => self.touch(ui, &response, fitted, orders),
            _ => {}
        }
        match editor {
            Some(editor) => self.tools(ui, view, fitted, editor),
            None => caption(ui, view, fitted),
        }
        if self.has_statistics {
            statistics::show(ui, fitted.left_top() + vec2(12.0, 12.0), view, own);
        }
    }

    fn touch(&mut self, ui: &Ui, response: &egui::Response, picture: Rect, orders: &mut Vec<Order>) {
        let held = response.is_pointer_button_down_on();
        let Some(at) = response.interact_pointer_pos().filter(|_| held) else {
            self.last = None;
            return;
        };
        let (now, secondary, modifiers) =
            ui.input(|input| (input.time, input.pointer.secondary_down(), input.modifiers));
        let at = (at - picture.min) / picture.size();
        let hand = if modifiers.alt {
            Some(Hand::Repel)
        } else if secondary || modifiers.shift || self.tool == Tool::Attract {
            Some(Hand::Attract)
        } else {
            let moved = self.last.map(|(last, then)| ((at - last), now - then));
            moved.filter(|(way, seconds)| *seconds > 0.0 && way.length() > 1e-4).map(|(way, seconds)| {
                let speed = way / seconds as f32;
                Hand::Push([speed.x, speed.y])
            })
        };
        self.last = Some((at, now));
        if let Some(hand) = hand {
            orders.push(Order::Command(Command::Touch(Touch { at: [at.x, at.y], hand })));
        }
        // A hand that rests still attracts.
        ui.ctx().request_repaint_after(std::time::Duration::from_millis(33));
    }
}

impl Pointer {
    /// Undo, redo, what the mouse does, and a word on what is under way.
    fn tools(&mut self, ui: &mut Ui, view: &View, picture: Rect, editor: &mut Editor) {
        let area =
            Rect::from_min_size(picture.left_bottom() + vec2(0.0, 8.0), vec2(picture.width(), TOOLS - 8.0));
        let mut tool = self.tool;
        ui.scope_builder(egui::UiBuilder::new().scope_id(Id::unique("tools")).max_rect(area), |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                steps(ui, view, editor);
                if view.snapshot.simulation.is_some() {
                    ui.add_space(4.0);
                    let tools = [
                        (Tool::Arrange, "Arrange", "Drag sources in the picture"),
                        (Tool::Push, "Push", "Drag pushes the particles"),
                        (Tool::Attract, "Attract", "Drag attracts the particles"),
                    ];
                    for (wanted, word, hint) in tools {
                        if button::toggle(ui, tool == wanted, word).on_hover_text(hint).clicked() {
                            tool = wanted;
                        }
                    }
                }
                ui.add_space(4.0);
                let hint = view.hotkeys.hint(ui.ctx(), "What engineers read", Action::Statistics);
                if button::toggle(ui, self.has_statistics, "Statistics").on_hover_text(hint).clicked() {
                    self.has_statistics ^= true;
                }
                if button::quiet(ui, "Keys")
                    .on_hover_text("Which keys do what, and other ones for it")
                    .clicked()
                {
                    self.wants_keys = true;
                }
                ui.add_space(8.0);
                let (tone, said) = said(view, self.tool, editor);
                let palette = Palette::of(ui);
                let colour = if tone == Tone::Quiet { palette.text_low } else { tone.colour(palette) };
                let text = RichText::new(&said).size(12.0).color(colour);
                let label = egui::Label::new(text).truncate().show_tooltip_when_elided(false);
                ui.add(label).on_hover_text(said);
            });
        });
        self.tool = tool;
    }
}

fn steps(ui: &mut Ui, view: &View, editor: &mut Editor) {
    let (undo, redo) = (editor.undo_label(), editor.redo_label());
    let named = |word: &str, label: &Option<String>, action| {
        let words = label.as_ref().map_or_else(|| word.to_owned(), |label| format!("{word}: {label}"));
        view.hotkeys.hint(ui.ctx(), &words, action)
    };
    let (undo_hint, redo_hint) = (named("Undo", &undo, Action::Undo), named("Redo", &redo, Action::Redo));
    ui.add_enabled_ui(undo.is_some(), |ui| {
        if icon::named_button(ui, Icon::Undo, "Undo", &undo_hint).clicked() {
            editor.undo();
        }
    });
    ui.add_enabled_ui(redo.is_some(), |ui| {
        if icon::named_button(ui, Icon::Redo, "Redo", &redo_hint).clicked() {
            editor.redo();
        }
    });
}

/// What was refused, else where edits go, else what the mouse does.
fn said(view: &View, tool: Tool, editor: &Editor) -> (Tone, String) {
    if let Some(refusal) = editor.refusal() {
        return (Tone::Warn, refusal.to_owned());
    }
    if view.saving == Saving::Nowhere && editor.undo_label().is_some() {
        let told = "Your scenes last as long as this window: it was opened without a file.";
        return (Tone::Quiet, told.into());
    }
    let told = match tool {
        Tool::Arrange if editor.selection().is_empty() => "Click a source in the picture to arrange it",
        Tool::Arrange => "Shift frees the shape · Alt crops · Ctrl does not snap · arrows nudge",
        Tool::Push => "Drag pushes · Shift attracts · Alt repels",
        Tool::Attract => "Drag attracts · Alt repels",
    };
    (Tone::Quiet, told.into())
}

fn caption(ui: &mut Ui, view: &View, picture: Rect) {
    let programme = &view.snapshot.programme;
    let low = Palette::of(ui).text_low;
    let area =
        Rect::from_min_size(picture.left_bottom() + vec2(0.0, 4.0), vec2(picture.width(), CAPTION - 4.0));
    let font = FontId::proportional(12.0);
    let mut size = match programme.width {
        0 => String::new(),
        _ => format!("{}\u{d7}{}", programme.width, programme.height),
    };
    let mut hint = match &view.snapshot.simulation {
        Some(_) => "Drag to push the particles · Shift attracts · Alt repels",
        None => "",
    };
    let wide = width(ui, &size, font.clone());
    if wide + 16.0 + width(ui, hint, font.clone()) > area.width() {
        hint = "";
    }
    if wide > area.width() {
        size.clear();
    }
    ui.scope_builder(egui::UiBuilder::new().max_rect(area), |ui| {
        row(
            ui,
            CAPTION - 4.0,
            |ui| _ = ui.label(RichText::new(size).font(font.clone()).color(low)),
            |ui| _ = ui.label(RichText::new(hint).font(font.clone()).color(low)),
        );
    });
}
