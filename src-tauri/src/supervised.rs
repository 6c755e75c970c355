//! The child's side of supervision: a pipe on standard input, whose end means that the supervisor is gone.
//!
//! A child says on standard output what it offers, one `name value` to a line, then `ready`.

use std::io::BufRead;

/// A pipe says no more than this before its `go`.
#[cfg(feature = "windows")]
const BEFORE_GO_MAX: u64 = 64 << 10;

/// What the pipe tells a supervised process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The line `stop`: end in order, now.
    Stop,
    /// End of file: the supervisor ended or was killed. Finish what is live, then end.
    Gone,
}

/// What a supervisor says before anything is opened.
#[cfg(feature = "windows")]
#[derive(Default)]
pub struct Outputs {
    pub whip: Vec<WhipOutput>,
    /// Where they can be watched.
    pub watch_url: Option<String>,
    /// All of them are on this machine.
    pub on_loopback: bool,
}

/// A WHIP output that the supervisor names: by its pipe, since arguments and environment are seen by others.
#[cfg(feature = "windows")]
#[derive(Clone, PartialEq, Eq)]
pub struct WhipOutput {
    pub url: String,
    pub key: String,
}

/// Reads outputs from standard input, `whip ADDRESS KEY` to a line, `watch ADDRESS`, or `loopback`, until the line `go`; to be
/// called before [`listen`]. A supervisor that is gone leaves what it had named.
#[cfg(feature = "windows")]
pub fn outputs() -> Outputs {
    outputs_of(std::io::stdin().lock())
}

#[cfg(feature = "windows")]
fn outputs_of(pipe: impl BufRead) -> Outputs {
    let mut outputs = Outputs::default();
    let lines = pipe.take(BEFORE_GO_MAX).lines().map_while(Result::ok);
    for line in lines.take_while(|line| line != "go") {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["whip", url, key] => outputs.whip.push(WhipOutput { url: url.to_owned(), key: key.to_owned() }),
            ["watch", url] => outputs.watch_url = Some(url.to_owned()),
            ["loopback"] => outputs.on_loopback = true,
            _ => {}
        }
    }
    outputs
}

/// Reads standard input in a thread of its own and hands on each word; the last one is [`Word::Gone`].
///
/// A thread rather than a task: a runtime waits at its end for a read of standard input, which may never return.
pub fn listen(mut hear: impl FnMut(Word) + Send + 'static) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("supervision".into());
    thread.spawn(move || read(std::io::stdin().lock(), &mut hear)).map(drop)
}

fn read(pipe: impl BufRead, hear: &mut impl FnMut(Word)) {
    for line in pipe.lines().map_while(Result::ok) {
        if line.trim() == "stop" {
            hear(Word::Stop);
        }
    }
    hear(Word::Gone);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(bytes: &[u8]) -> Vec<Word> {
        let mut words = Vec::new();
        read(bytes, &mut |word| words.push(word));
        words
    }

    #[test]
    fn the_end_of_the_pipe_is_heard_after_every_stop() {
        assert_eq!(heard(b"stop\n"), [Word::Stop, Word::Gone]);
        assert_eq!(heard(b""), [Word::Gone]);
    }

    #[cfg(feature = "windows")]
    #[test]
    fn outputs_come_before_the_line_go_and_words_after_it() {
        let mut pipe = &b"whip http://127.0.0.1:8080/whip key\nhello\nwhip http://alone\nwatch http://127.0.0.1:8080/watch/id\ngo\nstop\n"[..];
        let Outputs { whip, watch_url, on_loopback } = outputs_of(&mut pipe);
        assert!(whip.len() == 1 && !on_loopback);
        assert_eq!(watch_url.as_deref(), Some("http://127.0.0.1:8080/watch/id"));
        assert_eq!((whip[0].url.as_str(), whip[0].key.as_str()), ("http://127.0.0.1:8080/whip", "key"));
        assert_eq!(heard(pipe), [Word::Stop, Word::Gone]);
        let last = outputs_of(&b"loopback\nwhip http://never"[..]);
        assert!(last.whip.is_empty() && last.on_loopback);
    }

    #[test]
    fn what_is_no_word_is_passed_over() {
        assert_eq!(heard(b"hello\n\nstopp\n stop \nst"), [Word::Stop, Word::Gone]);
        assert_eq!(heard(b"\xff\xfe\n"), [Word::Gone]);
    }
}
