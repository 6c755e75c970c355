//! What is asked, as a person sees it.

use widgets::Palette;
use widgets::button;
use widgets::card::{Agreement, Card, buttons, heading, line};
use widgets::egui::{Grid, Key, Label, RichText, Ui};
use widgets::secret::SecretField;
use widgets::text::{Tone, capitalised, note};
use widgets::theme::strong;

use crate::{Kept, Question, Reply, Showing};

/// What is remembered from one frame to the next.
#[derive(Default)]
pub struct Sheet {
    card: Card,
    chosen: usize,
    secret: SecretField,
    /// The same once more, where nobody could tell otherwise that it is what was meant.
    again: SecretField,
    is_other: bool,
    /// For which question the field has had the focus.
    focused: Option<Question>,
}

/// Words stand in so many columns.
const COLUMNS: usize = 3;

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
                explained(ui, title, words);
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
                let is_signed = agreements.iter().any(|agreement| !agreement.lines.is_empty());
                asked.yes = Some(if is_signed { "Sign and send" } else { "Unlock" }.to_owned());
            }
            Showing::Asking(Question::NewPassphrase { title, words, .. }) => {
                explained(ui, title, words);
                asked.yes = Some("Go on".to_owned());
            }
            Showing::Asking(Question::Import { title, words, .. }) => {
                explained(ui, title, words);
                asked.yes = Some("Go on".to_owned());
            }
            Showing::Asking(Question::WriteDown { title, words, secret }) => {
                explained(ui, title, words);
                ui.add_space(12.0);
                numbered(ui, secret);
                asked.yes = Some("I have written them down".to_owned());
            }
        }
        asked
    }

    /// What is typed, where something is asked for, and the buttons.
    fn foot(&mut self, ui: &mut Ui, showing: &Showing, asked: &Asked) -> Option<Done> {
        let (mut is_ready, mut is_entered) = (true, false);
        if let Showing::Asking(question) = showing {
            (is_ready, is_entered) = self.fields(ui, question);
        }
        buttons(ui, |ui| {
            let mut done = None;
            if let (Some(yes), Showing::Asking(question)) = (&asked.yes, showing) {
                let pressed = ui.add_enabled_ui(is_ready, |ui| button::primary(ui, yes)).inner.clicked();
                if is_ready && (pressed || is_entered) {
                    done = self.answer(question).map(Done::Answered);
                }
            }
            if button::quiet(ui, asked.no).clicked() || ui.input(|input| input.key_pressed(Key::Escape)) {
                done = Some(Done::Closed);
            }
            done
        })
    }
}

impl Sheet {
    /// Whether all is typed that is asked for, and whether Enter was pressed after it.
    fn fields(&mut self, ui: &mut Ui, question: &Question) -> (bool, bool) {
        let (name, wrong) = match question {
            Question::Choose { .. } | Question::Confirm { .. } | Question::WriteDown { .. } => {
                return (true, false);
            }
            Question::Sign { wrong, .. } | Question::NewPassphrase { wrong, .. } => {
                ("Passphrase".to_owned(), wrong.as_deref())
            }
            Question::Import { name, .. } => (capitalised(name), None),
        };
        let mut is_entered = false;
        line(ui, &name, |ui| {
            let width = ui.available_width();
            let typed = self.secret.show(ui, &name, width);
            if self.focused.as_ref() != Some(question) {
                typed.response.request_focus();
                self.focused = Some(question.clone());
            }
            self.is_other &= !typed.is_changed;
            is_entered = typed.is_entered;
        });
        let mut is_ready = !self.secret.is_empty();
        if let Question::NewPassphrase { .. } = question {
            line(ui, "Once more", |ui| {
                let width = ui.available_width();
                let typed = self.again.show(ui, "The same passphrase once more", width);
                if std::mem::replace(&mut is_entered, typed.is_entered) {
                    typed.response.request_focus();
                }
            });
            is_ready &= !self.again.is_empty();
        }
        if let (Question::Import { .. }, words @ 1..) = (question, self.secret.words()) {
            let told = if words == 1 { "1 word".to_owned() } else { format!("{words} words") };
            ui.label(RichText::new(told).size(12.0).color(Palette::of(ui).text_mid));
        }
        let differ = self.is_other.then_some("The two were not the same. Type it anew, twice.");
        if let Some(wrong) = differ.or(wrong) {
            note(ui, wrong, Tone::Bad);
        }
        ui.add_space(8.0);
        (is_ready, is_entered)
    }

    /// `None` where it is no answer yet.
    fn answer(&mut self, question: &Question) -> Option<Reply> {
        Some(match question {
            Question::Choose { .. } => Reply::Chosen(self.chosen),
            Question::Confirm { .. } | Question::WriteDown { .. } => Reply::Confirmed,
            Question::Sign { .. } | Question::Import { .. } => Reply::Typed(self.secret.take()),
            Question::NewPassphrase { .. } => {
                let is_same = self.secret.is_same(&self.again);
                // Zeroed, whichever it is.
                drop(self.again.take());
                let typed = self.secret.take();
                if !is_same {
                    (self.is_other, self.focused) = (true, None);
                    return None;
                }
                Reply::Typed(typed)
            }
        })
    }
}

fn explained(ui: &mut Ui, title: &str, words: &str) {
    heading(ui, title);
    ui.add_space(8.0);
    let words = RichText::new(words).color(Palette::of(ui).text_mid);
    ui.add(Label::new(words).wrap());
}

/// In their order, line by line.
fn numbered(ui: &mut Ui, secret: &Kept) {
    let palette = Palette::of(ui);
    let width = (ui.available_width() / COLUMNS as f32).floor();
    Grid::new("words").num_columns(COLUMNS).min_col_width(width).spacing([0.0, 4.0]).show(ui, |ui| {
        for (index, word) in secret.words().enumerate() {
            ui.horizontal(|ui| {
                let number = RichText::new(format!("{:>2}", index + 1)).size(12.0);
                ui.label(number.color(palette.text_low));
                ui.add(
                    Label::new(RichText::new(word).font(strong(14.0)).color(palette.text_high))
                        .selectable(false),
                );
            });
            if index % COLUMNS == COLUMNS - 1 {
                ui.end_row();
            }
        }
    });
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
