//! One child process: its order goes in by its standard input, its complaints come out by its standard error.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use media::{TranscodeCommand, TranscodeOrder};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStderr, ChildStdin, Command};
use tokio::sync::mpsc;

/// From the end of its input to its own end; then it is killed.
const GOODBYE: Duration = Duration::from_secs(2);
/// Of a longer line the rest counts as the next.
const LINE_MAX: u64 = 2048;

/// What is said to whoever runs a child.
pub enum Word {
    /// For the child.
    Command(TranscodeCommand),
    /// It does nothing any more, and has to go.
    Hangs,
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It was told to.
    Dismissed,
    /// It was told to, as it did nothing.
    Hung,
    /// By itself, which it should not.
    ByItself(Option<ExitStatus>),
}

/// Runs one child until `words` closes, it hangs or it ends by itself. Dropping the future kills it.
pub async fn run(
    executable: &Path,
    order: &TranscodeOrder,
    words: &mut mpsc::Receiver<Word>,
) -> std::io::Result<End> {
    let mut child = Command::new(executable)
        .args(["--log", "warn", "engine", "--transcode"])
        // Its lines become ours, which are no terminal's.
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let process = child.id();
    tracing::info!(process, outputs = order.outputs.len(), "a transcoder starts");
    let mut input = child.stdin.take();
    let log = child.stderr.take().map(|lines| tokio::spawn(tell(process, lines)));
    if let Some(pipe) = &mut input {
        say(pipe, &order.to_text()).await?;
    }
    let end = loop {
        tokio::select! {
            ended = child.wait() => break End::ByItself(ended.ok()),
            word = words.recv() => match (word, &mut input) {
                (Some(Word::Command(command)), Some(pipe)) => say(pipe, &command.to_text()).await?,
                (Some(Word::Hangs), _) => break End::Hung,
                _ => break End::Dismissed,
            },
        }
    };
    // The end of its input is its word to go.
    drop(input);
    let is_told = matches!(end, End::Dismissed | End::Hung);
    if is_told && tokio::time::timeout(GOODBYE, child.wait()).await.is_err() {
        tracing::warn!(process, "a transcoder did not end and is killed");
        child.kill().await?;
    }
    if let Some(log) = log {
        // It ends with the pipe, unless somebody else holds that.
        let _ = tokio::time::timeout(GOODBYE, log).await;
    }
    tracing::info!(process, ?end, "a transcoder ended");
    Ok(end)
}

/// A child that does not read is not waited for.
async fn say(pipe: &mut ChildStdin, text: &str) -> std::io::Result<()> {
    let written = tokio::time::timeout(GOODBYE, pipe.write_all(text.as_bytes())).await;
    written.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// Hands a child's lines to our own log.
async fn tell(process: Option<u32>, stream: ChildStderr) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => tracing::warn!(process, "transcoder: {}", String::from_utf8_lossy(&line).trim_end()),
        }
    }
}
