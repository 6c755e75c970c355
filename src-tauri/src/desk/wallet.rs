//! The wallet as the Desk has it: `tickcast wallet` and `tickcast stream`, processes of their own that ask for passphrases in
//! windows of their own. Nothing secret comes by here, and nothing that the page composed is signed unseen.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Mutex;

/// What is asked without a person is answered by then: a chain may be far away.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// More of an answer is not read.
const ANSWER_MAX: u64 = 1 << 20;

/// An account as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Account {
    pub name: String,
    pub address: String,
    /// `own`, or `watched` where its key is elsewhere.
    pub kind: String,
}

/// What an account has, in smallest units.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Balance {
    pub name: String,
    pub address: String,
    pub free: String,
    pub symbol: String,
    pub decimals: u8,
}

/// What is known of the wallet just now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accounts {
    /// `None` until it was read.
    pub known: Option<Vec<Account>>,
    pub trouble: Option<String>,
    /// A window of the wallet's is open.
    pub is_asking: bool,
}

#[derive(Debug)]
pub struct Wallet {
    program: PathBuf,
    folder: PathBuf,
    /// One window at a time: two that ask at once are mistaken for each other.
    window: Mutex<()>,
}

impl Wallet {
    /// `folder` is where its processes run.
    pub fn new(program: PathBuf, folder: PathBuf) -> Self {
        Self { program, folder, window: Mutex::default() }
    }

    /// What it knows without asking anybody.
    pub async fn ask<T: for<'a> Deserialize<'a>>(&self, arguments: &[&str]) -> Result<T, String> {
        let before = ["wallet", "--json"];
        let answered = tokio::time::timeout(ANSWER_LIMIT, self.run(before.iter().chain(arguments))).await;
        read(answered.map_err(|_| "The wallet did not answer in time. Try again.".to_owned())??)
    }

    /// What a person answers in a window. `command` is `wallet` or `stream`.
    ///
    /// # Errors
    /// While another window is open; where it was declined; or why it was not done, in words.
    pub async fn prompt<T: for<'a> Deserialize<'a>>(
        &self,
        command: &str,
        arguments: &[&str],
    ) -> Result<T, String> {
        let Ok(_open) = self.window.try_lock() else {
            return Err("A window of the wallet is open already. Answer what it asks first.".into());
        };
        let before = [command, "--json", "--window", "--supervised"];
        read(self.run(before.iter().chain(arguments)).await?)
    }

    /// Whether a window is open.
    pub fn is_asking(&self) -> bool {
        self.window.try_lock().is_err()
    }

    async fn run<'a>(&self, arguments: impl Iterator<Item = &'a &'a str>) -> Result<Value, String> {
        let mut command = Command::new(&self.program);
        command.args(arguments.map(OsString::from)).current_dir(&self.folder).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |err: std::io::Error| format!("The wallet could not be started: {err}.");
        let mut child = command.spawn().map_err(failed)?;
        // Held until it has ended: a window closes with its pipe.
        let _pipe = child.stdin.take();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (out, err, status) = tokio::join!(text(out), text(err), child.wait());
        match status {
            Ok(status) if status.success() => {
                serde_json::from_str(&out).map_err(|_| "The wallet gave no answer.".to_owned())
            }
            Ok(_) => Err(sentence(&err)),
            Err(err) => Err(failed(err)),
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(answer: Value) -> Result<T, String> {
    serde_json::from_value(answer).map_err(|err| format!("The wallet answered something else: {err}."))
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read until then is shown.
        let _ = stream.take(ANSWER_MAX).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why a command ended, as a sentence.
fn sentence(said: &str) -> String {
    // Ours, wherever it stands: libraries say things that begin as errors do.
    let begun = |with: &str| said.lines().find_map(|line| line.strip_prefix(with));
    let begun = begun("tickcast: ").or_else(|| begun("error: "));
    let why = begun.unwrap_or("the wallet said nothing of why it ended").trim();
    let mut letters = why.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let end = if why.ends_with(['.', '?']) { "" } else { "." };
    first.chain(letters).collect::<String>() + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_command_ended_is_a_sentence() {
        assert_eq!(sentence("Note: x\ntickcast: the chain is away\n"), "The chain is away.");
        assert_eq!(sentence("error: XDG_RUNTIME_DIR is not set\ntickcast: no name\n"), "No name.");
        assert_eq!(sentence("error: unrecognized subcommand"), "Unrecognized subcommand.");
        assert_eq!(sentence(""), "The wallet said nothing of why it ended.");
    }

    #[tokio::test]
    async fn a_second_window_is_refused_while_one_is_open() {
        let wallet = Wallet::new("cat".into(), "/".into());
        let open = wallet.window.try_lock().expect("none is open");
        let refused = wallet.prompt::<Value>("wallet", &["new", "--", "me"]).await;
        assert!(refused.unwrap_err().contains("open already"));
        assert!(wallet.is_asking());
        drop(open);
        assert!(!wallet.is_asking());
    }
}
