//! What a person is asked before the first paid second: what it costs, from which account, up to how much. One screen, one
//! button.

pub use widgets::card::Agreement;
use widgets::card::{Card, buttons, heading, line};
use widgets::egui::{self, Align2, ComboBox, Key, RichText, TextEdit, Ui, vec2};
use widgets::secret::{Secret, SecretField};
use widgets::text::{Tone, note};
use widgets::theme::strong;
use widgets::{Palette, Tokens, button};

/// What whoever plays wants to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// Whether something is as it is said to be.
    Confirm {
        agreement: Agreement,
        yes: String,
    },
    Terms(Box<Terms>),
}

/// On what terms it is watched.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// Who is paid.
    pub payee: String,
    /// That can pay, by name.
    pub accounts: Vec<String>,
    /// The best first, each with what a second costs.
    pub qualities: Vec<String>,
    /// The symbol that the cap is in.
    pub unit: String,
    /// To begin with; afterwards the person's own holds.
    pub choice: Choice,
    /// What a choice would mean, once that is known.
    pub draft: Option<(Choice, Draft)>,
    /// What became of the last attempt, if nothing.
    pub failed: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    /// Of [`Terms::accounts`].
    pub account: usize,
    /// Of [`Terms::qualities`].
    pub quality: usize,
    /// As it was typed.
    pub cap: String,
    /// What is left is given back at the end.
    pub is_closing: bool,
}

/// What is made of a [`Choice`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Draft {
    Ready {
        /// What happens to the money, in a sentence or two.
        words: String,
        /// All that is signed.
        agreements: Vec<Agreement>,
    },
    /// Why it cannot be.
    Wrong(String),
}

/// What a person does with a [`Question`].
#[derive(Debug)]
pub enum Reply {
    Confirmed,
    /// Wants to know what that means.
    Chosen(Choice),
    Agreed(Choice, Secret),
    /// Watches nothing.
    Declined,
}

/// What may be answered just now.
struct Asked {
    yes: String,
    is_ready: bool,
    /// Enter was pressed where that means yes.
    is_entered: bool,
}

/// What is remembered from one frame to the next.
#[derive(Default)]
pub struct Sheet {
    choice: Option<Choice>,
    /// Nobody has been told the choice.
    is_changed: bool,
    card: Card,
    passphrase: SecretField,
    is_shown_whole: bool,
    /// The first control has had the focus.
    is_begun: bool,
}

impl Sheet {
    /// It was not there for a while.
    pub fn begin(&mut self) {
        self.is_begun = false;
    }

    pub fn show(&mut self, ui: &mut Ui, title: &str, question: &Question) -> Option<Reply> {
        let mut card = std::mem::take(&mut self.card);
        let body = |sheet: &mut Self, ui: &mut Ui| match question {
            Question::Confirm { agreement, yes } => {
                heading(ui, &agreement.title);
                ui.add_space(8.0);
                agreement.show(ui);
                Asked { yes: yes.clone(), is_ready: true, is_entered: false }
            }
            Question::Terms(terms) => sheet.terms(ui, title, terms),
        };
        let reply =
            card.show(ui, self, body, |sheet, ui, asked| buttons(ui, |ui| sheet.answer(ui, question, asked)));
        self.card = card;
        reply
    }

    /// The buttons.
    fn answer(&mut self, ui: &mut Ui, question: &Question, asked: &Asked) -> Option<Reply> {
        let mut reply = None;
        let yes = ui.add_enabled_ui(asked.is_ready, |ui| button::primary(ui, &asked.yes)).inner;
        if asked.is_ready && (yes.clicked() || asked.is_entered) {
            reply = Some(match (question, &self.choice) {
                (Question::Terms(_), Some(choice)) => Reply::Agreed(choice.clone(), self.passphrase.take()),
                _ => Reply::Confirmed,
            });
        }
        if button::quiet(ui, "Cancel").clicked() || ui.input(|input| input.key_pressed(Key::Escape)) {
            reply = Some(Reply::Declined);
        }
        if reply.is_none() && std::mem::take(&mut self.is_changed) {
            reply = self.choice.clone().map(Reply::Chosen);
        }
        reply
    }

    fn terms(&mut self, ui: &mut Ui, title: &str, terms: &Terms) -> Asked {
        let palette = Palette::of(ui);
        let mut choice = self.choice.clone().unwrap_or_else(|| terms.choice.clone());
        heading(ui, title);
        note(
            ui,
            "This stream is paid by the second. You pay for what plays, and for nothing else.",
            Tone::Quiet,
        );
        ui.add_space(8.0);
        line(ui, "Paid to", |ui| _ = ui.add(egui::Label::new(&terms.payee).truncate()));
        choose(ui, "Quality", &terms.qualities, &mut choice.quality);
        choose(ui, "From account", &terms.accounts, &mut choice.account);
        line(ui, "At most", |ui| {
            let cap = TextEdit::singleline(&mut choice.cap).desired_width(140.0).align(Align2::LEFT_CENTER);
            let response = ui.add_sized(vec2(140.0, Tokens::get().space.control), cap);
            response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "At most"));
            ui.label(RichText::new(&terms.unit).color(palette.text_mid));
        });
        let mut is_entered = false;
        line(ui, "Passphrase", |ui| {
            let width = ui.available_width();
            let typed = self.passphrase.show(ui, "Passphrase", width);
            if !std::mem::replace(&mut self.is_begun, true) {
                typed.response.request_focus();
            }
            is_entered = typed.is_entered;
        });
        ui.checkbox(&mut choice.is_closing, "Give back what is left when I stop");
        ui.add_space(4.0);
        let known = terms.draft.as_ref().filter(|(drafted, _)| *drafted == choice).map(|(_, draft)| draft);
        let is_ready = match known {
            None => {
                note(ui, "Looking what that takes …", Tone::Quiet);
                false
            }
            Some(Draft::Wrong(why)) => {
                note(ui, why, Tone::Bad);
                false
            }
            Some(Draft::Ready { words, agreements }) => {
                note(ui, words, Tone::Quiet);
                self.signed(ui, agreements);
                true
            }
        };
        if let Some(failed) = &terms.failed {
            note(ui, failed, Tone::Bad);
        }
        self.is_changed |= self.choice.as_ref() != Some(&choice);
        self.choice = Some(choice);
        let is_ready = is_ready && !self.passphrase.is_empty();
        Asked { yes: "Watch and pay".to_owned(), is_ready, is_entered }
    }

    /// Every signature in full, for who wants to read it.
    fn signed(&mut self, ui: &mut Ui, agreements: &[Agreement]) {
        let text = if self.is_shown_whole { "Hide what is signed" } else { "Show what is signed" };
        if ui.link(text).clicked() {
            self.is_shown_whole = !self.is_shown_whole;
        }
        if self.is_shown_whole {
            for agreement in agreements {
                ui.add_space(8.0);
                ui.label(RichText::new(&agreement.title).font(strong(13.0)));
                agreement.show(ui);
            }
        }
    }
}

fn choose(ui: &mut Ui, name: &str, offered: &[String], chosen: &mut usize) {
    let shown = offered.get(*chosen).map_or("", String::as_str);
    line(ui, name, |ui| {
        if offered.len() < 2 {
            ui.add(egui::Label::new(shown).truncate());
            return;
        }
        let list = ComboBox::from_id_salt(name).selected_text(shown).width(ui.available_width()).truncate();
        let answer = list.show_ui(ui, |ui| {
            for (index, text) in offered.iter().enumerate() {
                ui.selectable_value(chosen, index, text);
            }
        });
        answer.response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, name));
    });
}

#[cfg(test)]
pub(crate) mod tests;
