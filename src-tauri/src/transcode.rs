//! `tickcast engine --transcode`: a node's child, which makes other lanes of one lane of a stream.

use std::io::BufRead;

use anyhow::Context;
use media::TranscodeCommand;
use media::transcode::{ORDER_END, TranscodeOrder};
use tokio::sync::mpsc;

/// Commands that wait. Full: the pipe is not read, and the node drops what does not fit there.
const COMMANDS: usize = 16;
/// Lines of an order; it has one for each lane and four more.
const LINES_MAX: usize = 64;

/// Reads the order, then works until standard input ends.
pub fn run() -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.context("the order")?;
        if line.trim() == ORDER_END {
            break;
        }
        anyhow::ensure!(lines.len() < LINES_MAX, "the order has no end");
        lines.push(line);
    }
    let order = TranscodeOrder::parse(lines.iter().map(String::as_str))?;
    let (tell, commands) = mpsc::channel(COMMANDS);
    // A thread rather than a task: a runtime waits at its end for a read of standard input, which may never
    // return.
    let thread = std::thread::Builder::new().name("commands".into());
    thread.spawn(move || listen(std::io::stdin().lock(), &tell)).context("a thread")?;
    // Its work is two small sockets and a clock; the codecs have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the async runtime could not be started")?;
    Ok(runtime.block_on(studio::transcode::run(order, commands))?)
}

/// Ends with the pipe, and with whoever obeys.
fn listen(pipe: impl BufRead, tell: &mpsc::Sender<TranscodeCommand>) {
    for line in pipe.lines().map_while(Result::ok) {
        if let Some(command) = TranscodeCommand::parse(&line)
            && tell.blocking_send(command).is_err()
        {
            return;
        }
    }
}
