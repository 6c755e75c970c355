//! A field for passphrases. The toolkit's own text field remembers what is typed, to undo it; this one keeps it in one place,
//! zeroed when it is dropped.

use std::fmt;

use egui::{
    CornerRadius, Event, EventFilter, Key, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2,
    vec2,
};
use zeroize::{Zeroize, Zeroizing};

use crate::theme::{Palette, Tokens};

/// Room for so many bytes is made at once: growing would leave copies behind.
const BYTES_MAX: usize = 1_024;
const DOT: f32 = 3.0;
const BETWEEN_DOTS: f32 = 9.0;
const MARGIN: f32 = 8.0;

/// Zeroed when it is dropped, and never shown by a mistake.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What was typed, and can be taken out once.
pub struct SecretField {
    text: Zeroizing<String>,
    /// All of it is selected: what is typed next replaces it.
    is_selected: bool,
}

impl fmt::Debug for SecretField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretField")
    }
}

impl Default for SecretField {
    fn default() -> Self {
        Self { text: Zeroizing::new(String::with_capacity(BYTES_MAX)), is_selected: false }
    }
}

/// What was done to it in this frame.
#[derive(Debug)]
pub struct Typed {
    pub response: Response,
    pub is_changed: bool,
    /// Enter was pressed.
    pub is_entered: bool,
}

impl SecretField {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether the same stands in both.
    pub fn is_same(&self, other: &Self) -> bool {
        *self.text == *other.text
    }

    /// How many words stand in it.
    pub fn words(&self) -> usize {
        self.text.split_whitespace().count()
    }

    /// Hands out what was typed; the field is empty then.
    pub fn take(&mut self) -> Secret {
        Secret(std::mem::take(self).text)
    }

    /// `label` is what a screen reader says.
    pub fn show(&mut self, ui: &mut Ui, label: &str, width: f32) -> Typed {
        let size = vec2(width, Tokens::get().space.control);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click());
        if response.clicked() {
            response.request_focus();
            self.is_selected = false;
        }
        let (mut is_changed, mut is_entered) = (false, false);
        if response.has_focus() {
            // Keys that belong to text do not leave the field; Tab does.
            let kept =
                EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
            ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, kept));
            // Taken out: nobody else hears what is typed here.
            let events = ui.input_mut(|input| {
                let mut all = std::mem::take(&mut input.events);
                let typed = all.extract_if(.., |event| is_text(event)).collect::<Vec<_>>();
                input.events = all;
                typed
            });
            for event in events {
                is_entered |= matches!(event, Event::Key { key: Key::Enter, pressed: true, .. });
                is_changed |= self.hear(event);
            }
        }
        let dots = self.text.chars().count();
        response.widget_info(|| WidgetInfo::labeled(Role::PasswordInput, ui.is_enabled(), label));
        self.draw(ui, rect, &response, dots);
        Typed { response, is_changed, is_entered }
    }

    fn hear(&mut self, event: Event) -> bool {
        match event {
            Event::Text(text) | Event::Paste(text) => {
                let text = Zeroizing::new(text);
                let line = text.trim_end_matches(['\r', '\n']);
                if self.is_selected {
                    self.clear();
                }
                // Half of what was pasted would be a riddle.
                let fits = self.text.len() + line.len() <= BYTES_MAX && !line.contains(char::is_control);
                if fits {
                    self.text.push_str(line);
                }
                fits
            }
            Event::Key { key: Key::Backspace | Key::Delete, pressed: true, modifiers, .. } => {
                if self.is_selected || modifiers.command {
                    self.clear();
                } else {
                    self.text.pop();
                }
                true
            }
            Event::Key { key: Key::A, pressed: true, modifiers, .. } if modifiers.command => {
                self.is_selected = !self.text.is_empty();
                false
            }
            _ => false,
        }
    }

    fn clear(&mut self) {
        self.text.zeroize();
        self.is_selected = false;
    }

    fn draw(&self, ui: &Ui, rect: egui::Rect, response: &Response, dots: usize) {
        let palette = Palette::of(ui);
        let visuals = ui.style().interact(response);
        let radius = CornerRadius::from(Tokens::get().space.radius);
        let line = if response.has_focus() {
            Stroke::new(1.0, palette.select)
        } else if response.hovered() {
            visuals.bg_stroke
        } else {
            Stroke::new(1.0, palette.line)
        };
        ui.painter().rect(rect, radius, ui.visuals().extreme_bg_color, line, StrokeKind::Inside);
        // The last ones are seen where there is no room for all.
        let room = ((rect.width() - 2.0 * MARGIN) / BETWEEN_DOTS).max(0.0) as usize;
        let shown = dots.min(room);
        let at = |n: usize| pos2(rect.left() + MARGIN + (n as f32 + 0.5) * BETWEEN_DOTS, rect.center().y);
        if self.is_selected {
            let (from, to) = (at(0).x - BETWEEN_DOTS / 2.0, at(shown).x - BETWEEN_DOTS / 2.0);
            let marked = egui::Rect::from_x_y_ranges(from..=to, rect.shrink(5.0).y_range());
            ui.painter().rect_filled(marked, CornerRadius::ZERO, ui.visuals().selection.bg_fill);
        }
        for n in 0..shown {
            ui.painter().circle_filled(at(n), DOT, palette.text_high);
        }
        if response.has_focus() && ui.is_enabled() {
            let x = at(shown).x - BETWEEN_DOTS / 2.0 + 1.0;
            let caret = Stroke::new(1.0, palette.text_high);
            ui.painter().vline(x, rect.shrink(7.0).y_range(), caret);
        }
    }
}

fn is_text(event: &Event) -> bool {
    match event {
        Event::Text(_) | Event::Paste(_) => true,
        Event::Key { key: Key::Backspace | Key::Delete | Key::Enter, .. } => true,
        Event::Key { key: Key::A, modifiers, .. } => modifiers.command,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use egui::Modifiers;
    use egui_kittest::Harness;
    use egui_kittest::kittest::{NodeT, Queryable};

    use super::*;

    fn field() -> Harness<'static, (SecretField, bool)> {
        let show = |ui: &mut Ui, state: &mut (SecretField, bool)| {
            state.1 |= state.0.show(ui, "Passphrase", 200.0).is_entered;
        };
        let mut harness = Harness::builder()
            .with_context_setup(crate::install)
            .with_accessibility_check(true)
            .build_ui_state(show, (SecretField::default(), false));
        harness.get_by_label("Passphrase").focus();
        harness.run();
        harness
    }

    fn types(harness: &mut Harness<'_, (SecretField, bool)>, event: Event) {
        harness.event(event);
        harness.run();
    }

    #[test]
    fn what_is_typed_and_pasted_is_kept_and_taken_once() {
        let mut harness = field();
        types(&mut harness, Event::Text("grüß".to_owned()));
        types(&mut harness, Event::Paste(" dich\r\n".to_owned()));
        harness.key_press(Key::Backspace);
        harness.run();
        assert!(!harness.state().1);
        harness.key_press(Key::Enter);
        harness.run();
        let (field, is_entered) = harness.state_mut();
        assert!(*is_entered);
        assert_eq!(field.take().as_str(), "grüß dic");
        assert!(field.is_empty());
    }

    #[test]
    fn what_is_selected_is_replaced_and_what_does_not_fit_is_left_out() {
        let mut harness = field();
        types(&mut harness, Event::Text("wrong".to_owned()));
        harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        harness.run();
        types(&mut harness, Event::Text("right".to_owned()));
        types(&mut harness, Event::Paste("x".repeat(BYTES_MAX)));
        types(&mut harness, Event::Paste("two\nlines".to_owned()));
        assert_eq!(harness.state_mut().0.take().as_str(), "right");
    }

    #[test]
    fn nobody_else_is_told_what_stands_in_it() {
        let mut harness = field();
        types(&mut harness, Event::Text("correct horse".to_owned()));
        let node = harness.get_by_label("Passphrase").accesskit_node();
        assert_eq!((node.role(), node.value()), (Role::PasswordInput, None));
        let drawn = format!("{:?} {:?}", harness.output().shapes, harness.state().0);
        assert!(drawn.contains("Circle") && !drawn.contains("correct"));
    }
}
