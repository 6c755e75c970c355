//! Asking in the native prompt: what is signed is shown with the field for the passphrase, which is the consent.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::approve::{Agreement, Kept, Prompt, Question, Reply};
use anyhow::bail;
use wallet::approval::Approval;
use wallet::{SecretText, Wallet};

use super::Ask;

const DECLINED: &str = "you did not agree, so nothing was signed";
const UNMADE: &str = "you did not go on, so there is no account";

pub(super) struct Window {
    prompt: Prompt,
    /// What was said, and is shown with the next signature.
    told: Mutex<Vec<Agreement>>,
    /// For the next of these.
    notes: Mutex<Vec<String>>,
    wrong: Mutex<Option<String>>,
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Window")
    }
}

impl Ask {
    pub(in crate::wallet) fn in_window(prompt: Prompt) -> Self {
        let window =
            Window { prompt, told: Mutex::default(), notes: Mutex::default(), wrong: Mutex::default() };
        Self { passphrase_fd: None, yes: false, window: Some(window) }
    }

    /// The passphrase that was asked for last: it is asked for anew.
    pub(super) fn was_wrong(&self) {
        if let Some(window) = &self.window {
            *whole(&window.wrong) = Some("That is not the account's passphrase.".to_owned());
        }
    }
}

impl Window {
    pub fn show(&self, approval: &Approval) {
        let mut shown = agreement(approval);
        shown.warnings.append(&mut whole(&self.notes));
        whole(&self.told).push(shown);
    }

    pub fn note(&self, words: &str) {
        whole(&self.notes).push(words.to_owned());
    }

    pub fn passphrase(&self) -> anyhow::Result<SecretText> {
        let (mut agreements, wrong) = (whole(&self.told).clone(), whole(&self.wrong).take());
        if agreements.is_empty() {
            agreements.push(Agreement { title: "Unlock the account".to_owned(), ..Agreement::default() });
        }
        let Reply::Typed(secret) = self.prompt.ask(Question::Sign { agreements, wrong }) else {
            bail!(DECLINED)
        };
        self.prompt.say("Signing, and waiting for an answer");
        Ok(SecretText::new(secret.as_str())?)
    }

    /// Until it is one that will do.
    pub fn new_passphrase(&self) -> anyhow::Result<SecretText> {
        let mut wrong = None;
        loop {
            let Reply::Typed(secret) = self.prompt.ask(Question::NewPassphrase {
                title: "Choose a passphrase".to_owned(),
                words: format!(
                    "It locks the account on this machine, and is asked for whenever something is signed. It has at \
                     least {} characters. Nobody can bring it back: if it is forgotten, the account's words make a \
                     new one.",
                    Wallet::MIN_PASSPHRASE
                ),
                wrong,
            }) else {
                bail!(UNMADE)
            };
            let secret = SecretText::new(secret.as_str())?;
            match Wallet::strong(&secret) {
                Ok(()) => {
                    self.prompt.say("Locking the account");
                    return Ok(secret);
                }
                Err(err) => wrong = Some(crate::in_words(&err.into())),
            }
        }
    }

    /// `what` as in "the words".
    pub fn secret(&self, what: &str) -> anyhow::Result<SecretText> {
        let question = Question::Import {
            title: format!("Type {what}"),
            name: what.trim_start_matches("the ").to_owned(),
            words: format!("They stay in this window: nothing else on this machine sees {what}."),
        };
        match self.prompt.ask(question) {
            Reply::Typed(secret) => Ok(SecretText::new(secret.as_str())?),
            _ => bail!(UNMADE),
        }
    }

    pub fn show_words(&self, about: &str, words: &SecretText) -> anyhow::Result<()> {
        let question = Question::WriteDown {
            title: "Write these words down".to_owned(),
            words: about.to_owned(),
            secret: Kept::new(words.as_str()?),
        };
        match self.prompt.ask(question) {
            Reply::Confirmed => Ok(()),
            _ => bail!(UNMADE),
        }
    }

    pub fn confirm(&self, approval: &Approval, yes: &str) -> anyhow::Result<()> {
        self.consent(agreement(approval), yes)
    }

    pub fn consent(&self, agreement: Agreement, yes: &str) -> anyhow::Result<()> {
        match self.prompt.ask(Question::Confirm { agreement, yes: yes.to_owned() }) {
            Reply::Confirmed => Ok(()),
            _ => bail!(DECLINED),
        }
    }

    pub fn choose(&self, title: &str, name: &str, among: Vec<String>) -> anyhow::Result<usize> {
        let question = Question::Choose { title: title.to_owned(), name: name.to_owned(), among };
        match self.prompt.ask(question) {
            Reply::Chosen(index) => Ok(index),
            _ => bail!(DECLINED),
        }
    }
}

/// As windows show it.
pub(crate) fn agreement(approval: &Approval) -> Agreement {
    Agreement {
        title: approval.title.clone(),
        lines: approval.lines.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        warnings: approval.warnings.iter().map(ToString::to_string).collect(),
    }
}

/// Each is whole between any two operations, also when a holder panicked.
fn whole<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
