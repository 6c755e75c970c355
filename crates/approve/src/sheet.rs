//! What is asked, as a person sees it.

use widgets::Palette;
use widgets::button;
use widgets::card::{Agreement, Card, buttons, heading, line};
use widgets::egui::{Key, Label, RichText, Ui};
use widgets::secret::SecretField;
use widgets::text::{Tone, note};
use widgets::theme::strong;

use crate::{Question, Reply, Showing};

/// What is remembered from one frame to the next.
#[derive(Default)]
pub struct Sheet {
    card: Card,
    chosen: usize,
    passphrase: SecretField,
    /// What it was that had the focus.
    focused: Option<Question>,
}

/// What a person does.
#[derive(Debug)]
pub enum Done {
    Answered(Reply),
    /// Has read it.
    Closed,
}

/// What the buttons say just now.
struct Asked {
    yes: Option<String>,
    no: &'static str,
}

impl Sheet {
    pub fn show(&mut self, ui: &mut Ui, showing: &Showing) -> Option<Done> {
        let mut card = std::mem::take(&mut self.card);
        let done = card.show(
            ui,
            self,
            |sheet, ui| sheet.body(ui, showing),
            |sheet, ui, asked| sheet.foot(ui, showing, asked),
        );
        self.card = card;
        done
    }

    fn body(&mut self, ui: &mut Ui, showing: &Showing) -> Asked {
        let mut asked = Asked { yes: None, no: "Cancel" };
        match showing {
            Showing::Words(words) => heading(ui, words),
            Showing::Over { heading: title, words } => {
                heading(ui, title);
                ui.add_space(8.0);
                let words = RichText::new(words).color(Palette::of(ui).text_mid);
                ui.add(Label::new(words).wrap());
                asked.no = "Close";
            }
            Showing::Asking(Question::Choose { title, name, among }) => {
                heading(ui, title);
                ui.add_space(8.0);
                line(ui, name, |ui| {
                    ui.vertical(|ui| {
                        for (index, text) in among.iter().enumerate() {
                            ui.radio_value(&mut self.chosen, index, text);
                        }
                    });
                });
                asked.yes = Some("Go on".to_owned());
            }
            Showing::Asking(Question::Confirm { agreement, yes }) => {
                heading(ui, &agreement.title);
                ui.add_space(8.0);
                agreement.show(ui);
                asked.yes = Some(yes.clone());
            }
            Showing::Asking(Question::Sign { agreements, .. }) => {
                signed(ui, agreements);
                asked.yes = Some("Sign and send".to_owned());
            }
        }
        asked
    }

    /// The passphrase, where it is asked for, and the buttons.
    fn foot(&mut self, ui: &mut Ui, showing: &Showing, asked: &Asked) -> Option<Done> {
        let (mut is_ready, mut is_entered) = (true, false);
        if let Showing::Asking(question @ Question::Sign { wrong, .. }) = showing {
            line(ui, "Passphrase", |ui| {
                let width = ui.available_width();
                let typed = self.passphrase.show(ui, "Passphrase", width);
                if self.focused.as_ref() != Some(question) {
                    typed.response.request_focus();
                    self.focused = Some(question.clone());
                }
                is_entered = typed.is_entered;
            });
            if let Some(wrong) = wrong {
                note(ui, wrong, Tone::Bad);
            }
            ui.add_space(8.0);
            is_ready = !self.passphrase.is_empty();
        }
        buttons(ui, |ui| {
            let mut done = None;
            if let (Some(yes), Showing::Asking(question)) = (&asked.yes, showing) {
                let pressed = ui.add_enabled_ui(is_ready, |ui| button::primary(ui, yes)).inner.clicked();
                if is_ready && (pressed || is_entered) {
                    done = Some(Done::Answered(match question {
                        Question::Choose { .. } => Reply::Chosen(self.chosen),
                        Question::Confirm { .. } => Reply::Confirmed,
                        Question::Sign { .. } => Reply::Signed(self.passphrase.take()),
                    }));
                }
            }
            if button::quiet(ui, asked.no).clicked() || ui.input(|input| input.key_pressed(Key::Escape)) {
                done = Some(Done::Closed);
            }
            done
        })
    }
}

/// The first one is what it is about; the others follow from it.
fn signed(ui: &mut Ui, agreements: &[Agreement]) {
    for (index, agreement) in agreements.iter().enumerate() {
        if index == 0 {
            heading(ui, &agreement.title);
        } else {
            ui.add_space(12.0);
            let title = RichText::new(&agreement.title).font(strong(13.0));
            ui.label(title.color(Palette::of(ui).text_high));
        }
        ui.add_space(4.0);
        agreement.show(ui);
    }
}

#[cfg(test)]
pub(crate) mod tests;
