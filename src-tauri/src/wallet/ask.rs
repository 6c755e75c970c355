//! Asking a person: for passphrases, for secrets to import, for a yes.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, bail};
use clap::Args;
use pay::{Amount, RailInfo};
use wallet::approval::Approval;
use wallet::terminal::Terminal;
use wallet::{Account, Asked, KeyHandle, SecretText, Unit};

use super::Shell;

#[cfg(feature = "windows")]
mod window;
#[cfg(feature = "windows")]
pub(crate) use window::agreement;

const PASSPHRASE: &str = "the passphrase";
const HOW_PASSPHRASE: &str = "with --passphrase-fd N";
const HOW_SECRET: &str = "with --secret-fd N";
const THE_WORDS: &str = "These words ARE the account. Write them down on paper, in this order, and show them to nobody: \
                         whoever has them has the money. They are shown this once and stored nowhere; without them a \
                         lost machine is lost money.";

#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Reads passphrases from this open descriptor, one a line, instead of asking at the terminal.
    #[arg(long, global = true, value_name = "N")]
    passphrase_fd: Option<u32>,
    /// Says yes to what is to be signed, which is printed all the same.
    #[arg(long, global = true)]
    yes: bool,
    /// Asks there, and nobody at a terminal.
    #[cfg(feature = "windows")]
    #[arg(skip)]
    window: Option<window::Window>,
}

fn asked(descriptor: Option<u32>) -> anyhow::Result<Asked> {
    Ok(descriptor.map_or(Ok(Asked::Terminal), Asked::descriptor)?)
}

impl Ask {
    /// Nothing is asked at a terminal.
    #[cfg(feature = "windows")]
    pub(crate) fn is_silent(&self) -> bool {
        self.yes && self.passphrase_fd.is_some()
    }

    pub(crate) fn passphrase(&self) -> anyhow::Result<SecretText> {
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.passphrase();
        }
        Ok(asked(self.passphrase_fd)?.secret(PASSPHRASE, HOW_PASSPHRASE)?)
    }

    pub(super) fn new_passphrase(&self) -> anyhow::Result<SecretText> {
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.new_passphrase();
        }
        Ok(asked(self.passphrase_fd)?.new_secret("a new passphrase", HOW_PASSPHRASE)?)
    }

    /// Two in a row, from the same descriptor.
    pub(super) fn old_and_new_passphrase(&self) -> anyhow::Result<(SecretText, SecretText)> {
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return Ok((window.passphrase()?, window.new_passphrase()?));
        }
        let mut asked = asked(self.passphrase_fd)?;
        let old = asked.secret("the passphrase that it has", HOW_PASSPHRASE)?;
        Ok((old, asked.new_secret("a new passphrase", HOW_PASSPHRASE)?))
    }

    /// Words or a seed.
    pub(super) fn secret(&self, what: &'static str, descriptor: Option<u32>) -> anyhow::Result<SecretText> {
        #[cfg(feature = "windows")]
        if let (Some(window), None) = (&self.window, descriptor) {
            return window.secret(what);
        }
        Ok(asked(descriptor)?.secret(what, HOW_SECRET)?)
    }

    /// Shows what belongs to what is signed next.
    pub(super) fn show(&self, approval: &Approval) {
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.show(approval);
        }
        let _ = write!(std::io::stderr(), "{approval}");
    }

    /// Says what is to be known, and is no reason not to go on.
    pub(super) fn note(&self, words: &str) {
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.note(words);
        }
        let _ = writeln!(std::io::stderr(), "Note: {words}");
    }

    /// Which of several, where there is somebody to ask.
    pub(super) fn choose(
        &self,
        title: &str,
        name: &str,
        among: Vec<String>,
    ) -> anyhow::Result<Option<usize>> {
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.choose(title, name, among).map(Some);
        }
        drop((title, name, among));
        Ok(None)
    }

    /// Shows what is to be signed, and goes on only where that is wanted.
    pub(crate) fn approve(&self, approval: &Approval) -> anyhow::Result<()> {
        self.show(approval);
        // There the passphrase is the consent.
        if self.yes || self.is_window() {
            return Ok(());
        }
        let mut terminal = Terminal::open("your consent", "with --yes")?;
        Ok(terminal.confirm("Sign this?")?)
    }

    #[cfg(feature = "windows")]
    const fn is_window(&self) -> bool {
        self.window.is_some()
    }

    #[cfg(not(feature = "windows"))]
    const fn is_window(&self) -> bool {
        false
    }

    /// A chain that a node names and this wallet has never met.
    pub(crate) fn trust(&self, info: &RailInfo, unit: &Unit) -> anyhow::Result<()> {
        let approval = stranger(info, unit);
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.confirm(&approval, "That is its unit");
        }
        let _ = write!(std::io::stderr(), "{approval}");
        if self.yes {
            bail!(
                "--yes does not speak for a chain that the node names: name it yourself the first time, with --chain"
            );
        }
        Ok(Terminal::open("your consent", "with --chain")?.confirm("Is that the chain's unit?")?)
    }

    /// Shows the words once, and waits until they are written down; or hands them to a descriptor.
    pub(super) fn show_words(&self, words: &SecretText, descriptor: Option<u32>) -> anyhow::Result<()> {
        if let Some(number) = descriptor {
            let failed = || format!("descriptor {number} cannot be written to");
            let mut file =
                OpenOptions::new().write(true).open(format!("/dev/fd/{number}")).with_context(failed)?;
            return file
                .write_all(words.as_bytes())
                .and_then(|()| file.write_all(b"\n"))
                .with_context(failed);
        }
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.show_words(THE_WORDS, words);
        }
        let mut terminal = Terminal::open("the words to write down", "with --words-fd N")?;
        terminal.say(&format!("\n{THE_WORDS}\n\n  "))?;
        terminal.show(words)?;
        terminal.say("\n\n")?;
        let confirmed = terminal.confirm("Have you written them down?");
        // The screen, and what can be scrolled back to.
        terminal.say("\x1b[H\x1b[2J\x1b[3J")?;
        Ok(confirmed?)
    }

    /// Something that is signed with a key that is unlocked already, and that nobody was told of before.
    pub(super) fn agree(&self, approval: &Approval, yes: &str) -> anyhow::Result<()> {
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            return window.confirm(approval, yes);
        }
        self.approve(approval)
    }

    /// Whether nobody is there who could be asked something that was not foreseen.
    pub(super) const fn is_script(&self) -> bool {
        self.yes
    }

    /// Something that cannot be undone, and is not signed.
    pub(super) fn confirm(&self, question: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        #[cfg(feature = "windows")]
        if let Some(window) = &self.window {
            let title = "This cannot be undone".to_owned();
            let warnings = vec![question.to_owned()];
            return window.consent(::approve::Agreement { title, lines: Vec::new(), warnings }, "Do it");
        }
        Ok(Terminal::open("your consent", "with --yes")?.confirm(question)?)
    }
}

/// What is to be compared before a chain is taken for what its endpoint says: every amount is read by that.
pub(crate) fn stranger(info: &RailInfo, unit: &Unit) -> Approval {
    let one = unit.parse("1").unwrap_or(Amount::MAX);
    Approval {
        title: "The node is paid on a chain that this wallet does not know".to_owned(),
        lines: vec![
            ("chain", info.chain.chars().filter(|c| !c.is_control()).take(40).collect()),
            ("genesis", info.genesis.to_string()),
            ("unit", format!("1 {} is {one} of its smallest units", unit.symbol())),
            (
                "meaning",
                "who names a wrong unit could take many times what you mean to pay: compare it with what the chain \
                 itself publishes"
                    .to_owned(),
            ),
        ],
        warnings: Vec::new(),
    }
}

impl Shell {
    /// Asks for the account's passphrase.
    pub(super) fn unlock(&self, account: &Account) -> anyhow::Result<KeyHandle> {
        loop {
            match self.wallet.unlock(account, &self.ask.passphrase()?) {
                #[cfg(feature = "windows")]
                Err(err) if err.is_wrong_passphrase() && self.ask.is_window() => self.ask.was_wrong(),
                unlocked => return Ok(unlocked?.into()),
            }
        }
    }
}
