//! The child's side of supervision: a pipe on standard input, whose end means that the supervisor is gone.
//!
//! A child says on standard output what it offers, one `name value` to a line, then `ready`.

use std::io::BufRead;

/// What the pipe tells a supervised process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The line `stop`: end in order, now.
    Stop,
    /// End of file: the supervisor ended or was killed. Finish what is live, then end.
    Gone,
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

    #[test]
    fn what_is_no_word_is_passed_over() {
        assert_eq!(heard(b"hello\n\nstopp\n stop \nst"), [Word::Stop, Word::Gone]);
        assert_eq!(heard(b"\xff\xfe\n"), [Word::Gone]);
    }
}
