//! A command of the wallet that asks in a window of its own: for whoever has no terminal, and for the Desk, whose page sees
//! no passphrase.

use approve::Prompt;

use super::ask::Ask;
use crate::look::Look;
use crate::supervised;

const NOT_DONE: &str = "It was not done";

// Not a documentation comment: clap would take it for that of whatever this is flattened into.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct InWindow {
    /// Asks, and shows what is signed, in a window instead of at the terminal.
    #[arg(long, global = true, conflicts_with_all = ["passphrase_fd", "yes"])]
    window: bool,
    /// The window closes with standard input: whoever opened it is gone.
    #[arg(long, global = true, requires = "window", hide = true)]
    supervised: bool,
    #[command(flatten)]
    look: Look,
}

impl InWindow {
    pub(super) const fn is_wanted(&self) -> bool {
        self.window
    }

    /// Closes by itself where it went well, since what came of it is told on standard output; and where it did not, if
    /// whoever opened it tells of that.
    pub(super) fn show(&self, work: impl FnOnce(Ask) -> anyhow::Result<()> + Send) -> anyhow::Result<()> {
        let prompt = Prompt::default();
        if self.supervised {
            let told = prompt.clone();
            supervised::listen(move |_| told.close())?;
        }
        beside(&prompt, &self.look, |prompt| {
            let ended = work(Ask::in_window(prompt.clone()));
            match &ended {
                Err(err) if !self.supervised => prompt.over(NOT_DONE, &crate::in_words(err)),
                _ => prompt.close(),
            }
            ended
        })
    }
}

/// Whatever becomes of it stays to be read: the words that come back, or why it was not done.
pub(super) fn show_and_tell(
    look: &Look,
    first: &str,
    work: impl FnOnce(Ask) -> anyhow::Result<String> + Send,
) -> anyhow::Result<()> {
    let prompt = Prompt::default();
    prompt.say(first);
    beside(&prompt, look, |prompt| {
        let ended = work(Ask::in_window(prompt.clone()));
        match &ended {
            Ok(words) => prompt.over("Done", words),
            Err(err) => prompt.over(NOT_DONE, &crate::in_words(err)),
        }
        ended.map(drop)
    })
}

/// The window has the process's first thread, as windows must.
fn beside(
    prompt: &Prompt,
    look: &Look,
    work: impl FnOnce(&Prompt) -> anyhow::Result<()> + Send,
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| work(prompt));
        let shown = approve::run(prompt, look.of_window());
        let ended = asked.join().map_err(|_| anyhow::anyhow!("the wallet's part of the program failed"))?;
        shown?;
        ended
    })
}
