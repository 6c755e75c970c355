//! The native prompt: a window that shows in words what is about to be signed, takes the passphrase for it, and is where an
//! account's words are shown and taken in.
//!
//! Whoever asks has a [`Prompt`], on a thread of its own; the window has the process's first thread, in [`run`]. It knows
//! nothing of chains and keys: words come in, what was typed goes out.

mod sheet;
mod window;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use widgets::card::Agreement;
use widgets::egui::Context;
pub use widgets::secret::Secret;
use widgets::text::capitalised;
pub use widgets::window::{Look, WindowError};
pub use window::run;

/// What a person is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// One of several.
    Choose { title: String, name: String, among: Vec<String> },
    /// Whether something is as it is said to be.
    Confirm { agreement: Agreement, yes: String },
    /// All that is signed with one passphrase, and what was wrong with the last one.
    Sign { agreements: Vec<Agreement>, wrong: Option<String> },
    /// A passphrase that is new, typed twice, and what was wrong with the last one.
    NewPassphrase { title: String, words: String, wrong: Option<String> },
    /// Words or a seed that are taken in: what is typed is called `name`, as in "words".
    Import { title: String, name: String, words: String },
    /// Words that are shown once, to be written down.
    WriteDown { title: String, words: String, secret: Kept },
}

/// What is shown and forgotten with the last clone.
#[derive(Clone, Debug)]
pub struct Kept(Arc<Secret>);

impl Kept {
    pub fn new(text: &str) -> Self {
        Self(Arc::new(Secret::new(text)))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.0.as_str().split_whitespace()
    }
}

/// What stands in it is compared by nobody.
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Kept {}

/// What a person answers.
#[derive(Debug)]
pub enum Reply {
    /// That one of them.
    Chosen(usize),
    Confirmed,
    /// What was asked for.
    Typed(Secret),
    /// Or has closed the window.
    Declined,
}

/// What the window shows.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Showing {
    /// What is done just now.
    Words(String),
    Asking(Question),
    /// What became of it.
    Over {
        heading: String,
        words: String,
    },
}

/// The window as whoever asks has it. Clones are the same window.
#[derive(Clone)]
pub struct Prompt(Arc<Door>);

struct Door {
    showing: Mutex<Showing>,
    /// There is one question at a time, and one answer to it.
    answers: SyncSender<Reply>,
    answered: Mutex<Receiver<Reply>>,
    /// The window has closed, or never opened.
    is_gone: AtomicBool,
    is_closing: AtomicBool,
    context: OnceLock<Context>,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prompt")
    }
}

impl Default for Prompt {
    fn default() -> Self {
        let (answers, answered) = sync_channel(1);
        Self(Arc::new(Door {
            showing: Mutex::new(Showing::Words("Opening".to_owned())),
            answers,
            answered: Mutex::new(answered),
            is_gone: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            context: OnceLock::new(),
        }))
    }
}

impl Prompt {
    /// Says what is done just now.
    pub fn say(&self, words: &str) {
        self.show(Showing::Words(words.to_owned()));
    }

    /// Waits for an answer: not for async tasks.
    pub fn ask(&self, question: Question) -> Reply {
        let answered = whole(&self.0.answered);
        // A second click on what was asked before.
        while answered.try_recv().is_ok() {}
        self.show(Showing::Asking(question));
        if self.0.is_gone.load(Ordering::Acquire) {
            return Reply::Declined;
        }
        answered.recv().unwrap_or(Reply::Declined)
    }

    /// What became of it; the window stays until it was read.
    pub fn over(&self, heading: &str, words: &str) {
        self.show(Showing::Over { heading: heading.to_owned(), words: capitalised(words) });
    }

    pub fn close(&self) {
        self.0.is_closing.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn showing(&self) -> Showing {
        whole(&self.0.showing).clone()
    }

    fn show(&self, showing: Showing) {
        *whole(&self.0.showing) = showing;
        self.wake();
    }

    fn answer(&self, reply: Reply) {
        self.show(Showing::Words("One moment".to_owned()));
        // A full queue holds an answer to the same question, and nobody is on the other side of a closed one.
        let (Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) =
            self.0.answers.try_send(reply);
    }

    /// The window will answer nothing any more.
    fn leave(&self) {
        self.0.is_gone.store(true, Ordering::Release);
        self.answer(Reply::Declined);
    }

    fn wake(&self) {
        if let Some(context) = self.0.context.get() {
            context.request_repaint();
        }
    }
}

/// Each is whole between any two operations, also when a holder panicked.
fn whole<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn question() -> Question {
        Question::Confirm { agreement: Agreement::default(), yes: "Yes".into() }
    }

    #[test]
    fn a_window_that_has_closed_declines_what_was_asked_and_what_is_asked_afterwards() {
        let prompt = Prompt::default();
        let (asking, asked) = (prompt.clone(), prompt.clone());
        let waiting = std::thread::spawn(move || asking.ask(question()));
        while !matches!(asked.showing(), Showing::Asking(_)) {
            std::thread::yield_now();
        }
        prompt.leave();
        assert!(matches!(waiting.join().unwrap(), Reply::Declined));
        assert!(matches!(prompt.ask(question()), Reply::Declined));
    }

    #[test]
    fn an_answer_to_what_was_asked_before_is_none_to_what_is_asked_now() {
        let prompt = Prompt::default();
        prompt.answer(Reply::Confirmed);
        prompt.answer(Reply::Confirmed);
        let asking = prompt.clone();
        let waiting = std::thread::spawn(move || asking.ask(question()));
        while !matches!(prompt.showing(), Showing::Asking(_)) {
            std::thread::yield_now();
        }
        prompt.answer(Reply::Chosen(3));
        assert!(matches!(waiting.join().unwrap(), Reply::Chosen(3)));
    }
}
