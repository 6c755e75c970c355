//! The window's parts: drawn from a [`View`], answered with [`Order`]s.

mod adding;
mod arrange;
mod dialogs;
mod items;
mod keys;
mod mixer;
mod outputs;
mod particles;
mod preview;
mod properties;
mod rows;
mod scenes;
mod sources;
mod statistics;
mod top;

use std::collections::BTreeMap;

use studio::scene::Content;
use studio::snapshot::OnAir;
use widgets::egui::{self, Frame, Key, Margin, Panel, Stroke, Ui};
use widgets::{Palette, PeakHold};

use crate::editor::Editor;
use crate::hotkeys::Action;
use crate::view::{Order, Phase, View};

pub use statistics::Own;

/// The programme's newest picture on the graphics device.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub texture: egui::TextureId,
    /// In pixels.
    pub size: egui::Vec2,
}

/// Narrower windows than these have no room for the panel beside the picture.
const SOURCES_FROM: f32 = 760.0;
const PARTICLES_FROM: f32 = 520.0;

/// The scenes' share of their column.
const SCENES_SHARE: f32 = 0.36;

/// The properties' share of theirs, beside the particles' controls.
const PROPERTIES_SHARE: f32 = 0.58;

/// What the window asks before it does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    End,
    /// Something was found before going live: go live all the same?
    Found,
    /// The recording cannot be written: go live without it?
    Unrecorded,
    /// The window is to close while live or recording.
    Close,
}

/// What the panels remember from one frame to the next.
#[derive(Default)]
pub struct Panels {
    question: Option<Question>,
    /// What was asked in the last frame.
    asked: Option<Question>,
    /// The number of what was found before going live, and asked about.
    found_seen: Option<u64>,
    /// The number of the failed recording that was asked about.
    unrecorded_seen: Option<u64>,
    /// The number of the summary that was put away.
    summary_seen: Option<u64>,
    /// What was said of leftovers and put away.
    leftovers_seen: Option<String>,
    /// What the window says of itself.
    pub own: Own,
    holds: BTreeMap<String, PeakHold>,
    particles: particles::Controls,
    preview: preview::Pointer,
    /// The scenes, with the number of the opening that they came from.
    editor: Option<(u64, Editor)>,
    scenes: scenes::Scenes,
    items: items::Items,
    keys: keys::Keys,
}

impl Panels {
    /// Draws everything and adds what was asked for to `orders`.
    pub fn show(&mut self, ui: &mut Ui, view: &View, shown: Option<Shown>, orders: &mut Vec<Order>) {
        self.adopt(view);
        self.take_keys(ui, view, orders);
        let palette = Palette::of(ui);
        let framed = |margin: Margin| Frame::new().fill(palette.panel).inner_margin(margin);
        let width = ui.available_width();
        let line = Stroke::new(1.0, palette.line);
        ui.visuals_mut().widgets.noninteractive.bg_stroke = line;
        let strip = framed(Margin::symmetric(12, 0));
        Panel::top("top").exact_size(48.0).resizable(false).frame(strip).show(ui, |ui| {
            top::show(ui, view, &mut self.question, orders);
        });
        if view.phase == Phase::Running {
            top::notice(ui, view, &mut self.leftovers_seen);
            let side = widgets::scroll::margin() as i8;
            let area = framed(Margin { left: side, right: side, top: 4, bottom: 8 });
            Panel::bottom("bottom").exact_size(164.0).resizable(false).frame(area).show(ui, |ui| {
                self.bottom(ui, view, orders);
            });
            if width >= SOURCES_FROM {
                Panel::left("sources").exact_size(220.0).resizable(false).frame(area).show(ui, |ui| {
                    self.left(ui, view, orders);
                });
            }
            if width >= PARTICLES_FROM && self.has_right(view) {
                Panel::right("particles").exact_size(272.0).resizable(false).frame(area).show(ui, |ui| {
                    self.right(ui, view, orders);
                });
            }
        }
        let middle = Frame::new().fill(palette.app).inner_margin(Margin::same(12));
        egui::CentralPanel::no_frame().frame(middle).show(ui, |ui| match &view.phase {
            Phase::Running => {
                let editor = self.editor.as_mut().map(|(_, editor)| editor);
                self.preview.show(ui, (view, &self.own), shown, editor, orders);
                if std::mem::take(&mut self.preview.wants_keys) {
                    self.keys.open();
                }
            }
            phase => dialogs::phase(ui, phase, orders),
        });
        self.ask(ui, view, orders);
        if let Some((_, editor)) = &mut self.editor {
            end_gesture(ui, editor);
            editor.tell(orders);
        }
    }

    /// The window was told to close: asks first where something would be lost.
    pub fn close(&mut self, view: &View, orders: &mut Vec<Order>) {
        let recording = view.snapshot.recording.as_ref().is_some_and(|r| r.state == "recording");
        if view.snapshot.on_air != OnAir::Preview || recording {
            self.question = Some(Question::Close);
        } else {
            orders.push(Order::Close);
        }
    }

    /// Takes over the scenes of a studio that was opened.
    fn adopt(&mut self, view: &View) {
        if let Some((number, collection)) = &view.editing
            && self.editor.as_ref().map(|(known, _)| known) != Some(number)
        {
            self.editor = Some((*number, Editor::new(collection.clone())));
        }
    }

    /// Scenes over sources; what the engine runs alone where nothing is to be arranged.
    fn left(&mut self, ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
        let Some((_, editor)) = &mut self.editor else { return sources::show(ui, view) };
        let height = (ui.available_height() * SCENES_SHARE).round();
        let width = ui.available_width();
        ui.allocate_ui(egui::vec2(width, height), |ui| {
            ui.set_min_size(egui::vec2(width, height));
            ui.vertical(|ui| self.scenes.show(ui, editor));
        });
        self.items.show(ui, view, editor, orders);
    }

    /// Whether there may be something in it: a column that came and went would move the picture under the pointer.
    fn has_right(&self, view: &View) -> bool {
        self.editor.is_some() || view.snapshot.simulation.is_some()
    }

    /// The properties of what is selected, and the particles' where they are selected or nothing is.
    fn right(&mut self, ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
        let simulation = view.snapshot.simulation.as_ref();
        let editor = self.editor.as_mut().map(|(_, editor)| editor);
        let selected = editor.filter(|editor| !editor.selection().is_empty() || simulation.is_none());
        let particles = simulation.filter(|_| selected.as_ref().is_none_or(|editor| shows_particles(editor)));
        if let Some(editor) = selected {
            let share = if particles.is_some() { PROPERTIES_SHARE } else { 1.0 };
            let size = egui::vec2(ui.available_width(), (ui.available_height() * share).round());
            ui.allocate_ui(size, |ui| {
                ui.set_min_size(size);
                properties::show(ui, view, editor);
            });
        }
        if let Some(simulation) = particles {
            self.particles.show(ui, simulation, orders);
        }
    }

    fn take_keys(&mut self, ui: &Ui, view: &View, orders: &mut Vec<Order>) {
        if view.phase != Phase::Running || self.question.is_some() || self.keys.is_open {
            return;
        }
        for action in view.hotkeys.pressed(ui) {
            self.act(action, view, orders);
        }
    }

    fn act(&mut self, action: Action, view: &View, orders: &mut Vec<Order>) {
        match action {
            Action::GoLive => match view.snapshot.on_air {
                OnAir::Preview if top::may_go_live(view) && !view.is_checking => orders.push(Order::GoLive),
                OnAir::Live => self.question = Some(Question::End),
                OnAir::Preview | OnAir::Ending => {}
            },
            Action::Record => orders.push(top::record_order(view)),
            Action::Statistics => self.preview.has_statistics ^= true,
            Action::Undo | Action::Redo | Action::NextScene | Action::PreviousScene | Action::Scene(_) => {
                if let Some((_, editor)) = &mut self.editor {
                    edit(editor, action);
                }
            }
        }
    }

    fn bottom(&mut self, ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
        let height = ui.available_height();
        let half = ((ui.available_width() - 24.0) * 0.56).max(mixer::LEAST).floor();
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 24.0;
            ui.allocate_ui(egui::vec2(half, height), |ui| {
                ui.set_width(half);
                ui.spacing_mut().item_spacing.x = 8.0;
                let editor = self.editor.as_mut().map(|(_, editor)| editor);
                ui.vertical(|ui| mixer::show(ui, view, editor, &mut self.holds, orders));
            });
            let rest = ui.available_width();
            if rest < outputs::LEAST {
                return;
            }
            ui.allocate_ui(egui::vec2(rest, height), |ui| {
                ui.set_width(rest);
                ui.spacing_mut().item_spacing.x = 8.0;
                ui.vertical(|ui| outputs::show(ui, view, orders));
            });
        });
    }

    fn ask(&mut self, ui: &Ui, view: &View, orders: &mut Vec<Order>) {
        if let Some((number, _)) = &view.found
            && self.found_seen != Some(*number)
            && self.question.is_none()
        {
            (self.found_seen, self.question) = (Some(*number), Some(Question::Found));
        }
        if let Some((number, _)) = &view.unrecorded
            && self.unrecorded_seen != Some(*number)
            && self.question.is_none()
        {
            (self.unrecorded_seen, self.question) = (Some(*number), Some(Question::Unrecorded));
        }
        self.keys.show(ui, &view.hotkeys, orders);
        let fresh = self.question != self.asked;
        self.asked = self.question;
        if let Some(question) = self.question
            && dialogs::ask(ui, question, view, fresh, orders)
        {
            self.question = None;
        }
        if let Some((number, summary)) = &view.summary
            && self.summary_seen != Some(*number)
            && view.phase == Phase::Running
            && dialogs::summary(ui, summary)
        {
            self.summary_seen = Some(*number);
        }
    }
}

/// Of what the scenes are edited and shown by.
fn edit(editor: &mut Editor, action: Action) {
    let scenes = editor.collection().scenes();
    let shown = scenes.iter().position(|scene| scene.id == editor.scene().id).unwrap_or_default();
    let wanted = match action {
        Action::Undo => return editor.undo(),
        Action::Redo => return editor.redo(),
        Action::NextScene => shown + 1,
        // Before the first there is none.
        Action::PreviousScene => shown.wrapping_sub(1),
        Action::Scene(place) => place.into(),
        Action::GoLive | Action::Record | Action::Statistics => return,
    };
    if let Some(scene) = scenes.get(wanted).map(|scene| scene.id).filter(|_| wanted != shown) {
        editor.switch(scene);
    }
}

fn shows_particles(editor: &Editor) -> bool {
    let sources = editor.collection().sources();
    let is_simulation =
        |name: &str| sources.iter().any(|source| source.name() == name && source.kind() == "simulation");
    editor.selected().any(|item| matches!(&item.layer.content, Content::Source(name) if is_simulation(name)))
}

/// A step is over once nothing holds it: no button of the mouse, no key that repeats, no field that is written in.
fn end_gesture(ui: &Ui, editor: &mut Editor) {
    let Some(control) = editor.control() else { return };
    let arrows = [Key::ArrowUp, Key::ArrowDown, Key::ArrowLeft, Key::ArrowRight];
    let held =
        ui.input(|input| input.pointer.any_down() || arrows.into_iter().any(|arrow| input.key_down(arrow)));
    let written = ui.ctx().text_edit_focused() && ui.memory(|memory| memory.has_focus(control));
    if !held && !written {
        editor.end_gesture();
    }
}

#[cfg(test)]
mod tests;
