//! Asking a person for a secret: at the terminal, without showing it, or from a descriptor that a script gives. Never
//! from arguments or the environment, which others can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroize;

use crate::secret::{SecretText, TextError};

#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("there is no terminal to ask at: give {what} by a descriptor instead, {how}")]
    NoTerminal { what: &'static str, how: &'static str },
    #[error("descriptor {number} cannot be used: {cause}")]
    Descriptor { number: u32, cause: io::Error },
    #[error("the descriptor ended before {0} was read from it")]
    Ended(&'static str),
    #[error("it was cancelled")]
    Cancelled,
    #[error("the two were not the same")]
    NotTheSame,
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}

/// Where secrets come from and words are shown.
#[derive(Debug)]
pub enum Asked {
    Terminal,
    /// One secret a line.
    Descriptor {
        number: u32,
        file: File,
    },
}

impl Asked {
    /// One that whoever started this process left open.
    pub fn descriptor(number: u32) -> Result<Self, PromptError> {
        let file = File::open(format!("/dev/fd/{number}"));
        let file = file.map_err(|cause| PromptError::Descriptor { number, cause })?;
        Ok(Self::Descriptor { number, file })
    }

    /// `what` as in "the passphrase"; `how` says which argument names a descriptor for it.
    pub fn secret(&mut self, what: &'static str, how: &'static str) -> Result<SecretText, PromptError> {
        match self {
            Self::Terminal => Terminal::open(what, how)?.secret(what),
            Self::Descriptor { number, file } => {
                let number = *number;
                line(file, what).map_err(|err| match err {
                    PromptError::Terminal(cause) => PromptError::Descriptor { number, cause },
                    other => other,
                })
            }
        }
    }

    /// A new one: typed twice at a terminal, since nobody sees it.
    pub fn new_secret(&mut self, what: &'static str, how: &'static str) -> Result<SecretText, PromptError> {
        let first = self.secret(what, how)?;
        if let Self::Terminal = self {
            let again = Terminal::open(what, how)?.secret("the same once more")?;
            if first.as_bytes() != again.as_bytes() {
                return Err(PromptError::NotTheSame);
            }
        }
        Ok(first)
    }
}

/// To its end or the end of the line. Byte by byte: what follows is the next one's.
fn line(file: &mut File, what: &'static str) -> Result<SecretText, PromptError> {
    let mut text = SecretText::empty();
    let mut byte = [0];
    let mut is_empty = true;
    while file.read(&mut byte)? == 1 {
        is_empty = false;
        match byte[0] {
            b'\n' => break,
            byte => text.push(byte)?,
        }
    }
    byte.zeroize();
    if is_empty { Err(PromptError::Ended(what)) } else { Ok(text) }
}

/// The terminal that a person sits at, whatever standard input and output are.
#[derive(Debug)]
pub struct Terminal(File);

impl Terminal {
    pub fn open(what: &'static str, how: &'static str) -> Result<Self, PromptError> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        terminal.map(Self).map_err(|_| PromptError::NoTerminal { what, how })
    }

    pub fn say(&mut self, text: &str) -> Result<(), PromptError> {
        Ok(self.0.write_all(text.as_bytes())?)
    }

    /// Shows a secret. It stays on the screen until a person clears it.
    pub fn show(&mut self, secret: &SecretText) -> Result<(), PromptError> {
        Ok(self.0.write_all(secret.as_bytes())?)
    }

    fn secret(&mut self, what: &str) -> Result<SecretText, PromptError> {
        self.say(&format!("{what}: "))?;
        let typed = Silent::begin(&self.0)?.read();
        self.say("\n")?;
        typed
    }

    /// Only a typed "yes" is one.
    pub fn confirm(&mut self, question: &str) -> Result<(), PromptError> {
        self.say(&format!("{question} Type yes to go on: "))?;
        let mut answer = SecretText::empty();
        let mut byte = [0];
        while self.0.read(&mut byte)? == 1 && byte[0] != b'\n' {
            answer.push(byte[0])?;
        }
        if answer.as_str()?.trim() == "yes" { Ok(()) } else { Err(PromptError::Cancelled) }
    }
}

/// A terminal that shows nothing of what is typed, and hands on every key, until this is dropped.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        // Signals too: a Ctrl-C that ended the process here would leave the terminal dumb.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }

    fn read(&self) -> Result<SecretText, PromptError> {
        const CTRL_C: u8 = 3;
        const CTRL_D: u8 = 4;
        const CTRL_U: u8 = 21;
        let (mut text, mut byte, mut terminal) = (SecretText::empty(), [0], self.terminal);
        while terminal.read(&mut byte)? == 1 {
            match byte[0] {
                b'\r' | b'\n' => return Ok(text),
                CTRL_C | CTRL_D => break,
                CTRL_U => text.clear(),
                8 | 127 => text.pop(),
                key => text.push(key)?,
            }
        }
        Err(PromptError::Cancelled)
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_gives_one_secret_a_line() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"first passphrase\n\nlast").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let mut asked = Asked::Descriptor { number: 3, file };
        let mut next = || asked.secret("the passphrase", "").map(|text| text.as_str().unwrap().to_owned());
        assert_eq!(next().unwrap(), "first passphrase");
        assert_eq!(next().unwrap(), "");
        assert_eq!(next().unwrap(), "last");
        assert!(matches!(next(), Err(PromptError::Ended("the passphrase"))));
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_named() {
        let err = Asked::descriptor(999).unwrap_err();
        assert!(err.to_string().starts_with("descriptor 999 cannot be used"), "{err}");
    }
}
