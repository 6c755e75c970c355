//! Which keys do what, and other ones for it.

use widgets::egui::{self, Align, Event, Key, KeyboardShortcut, Layout, RichText, ScrollArea, Ui};
use widgets::text::{Tone, note, row};
use widgets::{Palette, button};

use super::dialogs::modal;
use crate::health::sentence;
use crate::hotkeys::{Action, Hotkeys};
use crate::view::Order;

/// What is remembered while it is open.
#[derive(Debug, Default)]
pub struct Keys {
    pub is_open: bool,
    /// Whose keys are pressed next.
    changing: Option<Action>,
    /// What became of the last change.
    said: Option<(Tone, String)>,
}

impl Keys {
    pub fn open(&mut self) {
        *self = Self { is_open: true, ..Self::default() };
    }

    /// Shows them, and asks for what was changed.
    pub fn show(&mut self, ui: &Ui, hotkeys: &Hotkeys, orders: &mut Vec<Order>) {
        if !self.is_open {
            return;
        }
        self.take(ui, hotkeys, orders);
        let shown = modal(ui, "keys").show(ui.ctx(), |ui| {
            ui.set_width(380.0);
            ui.heading("Keys");
            note(
                ui,
                "They hold in this window. Press Change, then the keys; Delete takes them away.",
                Tone::Quiet,
            );
            ui.add_space(8.0);
            let most = (ui.ctx().content_rect().height() - 240.0).max(120.0);
            ScrollArea::vertical().max_height(most).auto_shrink([false, true]).show(ui, |ui| {
                ui.set_width(ui.available_width() - widgets::scroll::margin());
                for action in Action::all() {
                    self.line(ui, hotkeys, action);
                }
            });
            ui.add_space(8.0);
            let (tone, said) = self.said.clone().unwrap_or((Tone::Quiet, String::new()));
            note(ui, &said, tone);
            ui.add_space(8.0);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if button::primary(ui, "Done").clicked() {
                    self.is_open = false;
                }
                let is_usual = *hotkeys == Hotkeys::default();
                let usual = ui.add_enabled_ui(!is_usual, |ui| button::quiet(ui, "As usual")).inner;
                if usual.on_hover_text("Gives everything the keys that it had at first").clicked() {
                    orders.push(Order::Hotkeys(Hotkeys::default()));
                    (self.changing, self.said) = (None, None);
                }
            });
        });
        // While keys are waited for, Escape gives that up and no more.
        if shown.should_close() && self.changing.is_none() {
            self.is_open = false;
        }
    }

    fn line(&mut self, ui: &mut Ui, hotkeys: &Hotkeys, action: Action) {
        let palette = Palette::of(ui);
        let is_changing = self.changing == Some(action);
        let label = action.label();
        row(
            ui,
            32.0,
            |ui| _ = ui.label(RichText::new(&label).color(palette.text_high)),
            |ui| {
                let word = if is_changing { "Press keys" } else { "Change" };
                let change = button::toggle(ui, is_changing, word);
                change.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::Button, true, format!("{word}: {label}"))
                });
                if change.clicked() {
                    self.changing = (!is_changing).then_some(action);
                    self.said = None;
                }
                ui.add_space(8.0);
                let keys = hotkeys.shown(ui.ctx(), action).unwrap_or_else(|| "none".to_owned());
                ui.label(RichText::new(keys).color(palette.text_mid));
            },
        );
    }

    /// The keys that were waited for.
    fn take(&mut self, ui: &Ui, hotkeys: &Hotkeys, orders: &mut Vec<Order>) {
        let Some(action) = self.changing else { return };
        let Some(keys) = ui.input_mut(pressed) else { return };
        self.changing = None;
        let mut changed = hotkeys.clone();
        match keys.logical_key {
            Key::Escape if !keys.modifiers.any() => return,
            Key::Delete | Key::Backspace if !keys.modifiers.any() => changed.clear(action),
            _ => match changed.set(action, keys) {
                Ok(None) => {}
                Ok(Some(before)) => {
                    let said = format!("{} had these keys, and has none now.", before.label());
                    self.said = Some((Tone::Warn, said));
                }
                Err(reserved) => {
                    self.said = Some((Tone::Bad, sentence(&reserved.to_string())));
                    return;
                }
            },
        }
        orders.push(Order::Hotkeys(changed));
    }
}

/// The first key that went down, which nothing else gets.
fn pressed(input: &mut egui::InputState) -> Option<KeyboardShortcut> {
    let at = input.events.iter().position(|event| matches!(event, Event::Key { pressed: true, .. }))?;
    let Event::Key { key, modifiers, .. } = input.events.remove(at) else { return None };
    // What it writes is not written either.
    input.events.retain(|event| !matches!(event, Event::Text(_)));
    let held = egui::Modifiers { ctrl: false, mac_cmd: false, ..modifiers };
    Some(KeyboardShortcut::new(held, key))
}
