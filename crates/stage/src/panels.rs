//! The window's parts: drawn from a [`View`], answered with [`Order`]s.

mod dialogs;
mod mixer;
mod outputs;
mod particles;
mod preview;
mod sources;
mod top;

use std::collections::BTreeMap;

use studio::snapshot::OnAir;
use widgets::egui::{self, Frame, Key, KeyboardShortcut, Margin, Modifiers, Panel, Stroke, Ui};
use widgets::{Palette, PeakHold};

use crate::view::{Order, Phase, View};

pub const GO_LIVE_KEY: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::L);
pub const RECORD_KEY: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::R);

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

/// What the window asks before it does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    End,
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
    /// The number of the failed recording that was asked about.
    unrecorded_seen: Option<u64>,
    /// The number of the summary that was put away.
    summary_seen: Option<u64>,
    /// What was said of leftovers and put away.
    leftovers_seen: Option<String>,
    holds: BTreeMap<String, PeakHold>,
    particles: particles::Controls,
    preview: preview::Pointer,
}

impl Panels {
    /// Draws everything and adds what was asked for to `orders`.
    pub fn show(&mut self, ui: &mut Ui, view: &View, shown: Option<Shown>, orders: &mut Vec<Order>) {
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
                    sources::show(ui, view);
                });
            }
            if let Some(simulation) = view.snapshot.simulation.as_ref().filter(|_| width >= PARTICLES_FROM) {
                Panel::right("particles").exact_size(272.0).resizable(false).frame(area).show(ui, |ui| {
                    self.particles.show(ui, simulation, orders);
                });
            }
        }
        let middle = Frame::new().fill(palette.app).inner_margin(Margin::same(12));
        egui::CentralPanel::no_frame().frame(middle).show(ui, |ui| match &view.phase {
            Phase::Running => self.preview.show(ui, view, shown, orders),
            phase => dialogs::phase(ui, phase, orders),
        });
        self.ask(ui, view, orders);
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

    fn take_keys(&mut self, ui: &Ui, view: &View, orders: &mut Vec<Order>) {
        if view.phase != Phase::Running || self.question.is_some() {
            return;
        }
        if ui.input_mut(|input| input.consume_shortcut(&GO_LIVE_KEY)) {
            match view.snapshot.on_air {
                OnAir::Preview if top::may_go_live(view) => orders.push(Order::GoLive),
                OnAir::Live => self.question = Some(Question::End),
                OnAir::Preview | OnAir::Ending => {}
            }
        }
        if ui.input_mut(|input| input.consume_shortcut(&RECORD_KEY)) {
            orders.push(top::record_order(view));
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
                ui.vertical(|ui| mixer::show(ui, view, &mut self.holds, orders));
            });
            let rest = ui.available_width();
            if rest < outputs::LEAST {
                return;
            }
            ui.allocate_ui(egui::vec2(rest, height), |ui| {
                ui.set_width(rest);
                ui.spacing_mut().item_spacing.x = 8.0;
                ui.vertical(|ui| outputs::show(ui, view));
            });
        });
    }

    fn ask(&mut self, ui: &Ui, view: &View, orders: &mut Vec<Order>) {
        if let Some((number, _)) = &view.unrecorded
            && self.unrecorded_seen != Some(*number)
            && self.question.is_none()
        {
            (self.unrecorded_seen, self.question) = (Some(*number), Some(Question::Unrecorded));
        }
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

#[cfg(test)]
mod tests;
