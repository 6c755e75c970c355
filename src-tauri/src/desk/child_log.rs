//! What a child wrote, as far as a person wants to look back.

use std::collections::VecDeque;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Lines kept; the oldest go.
const LINES_MAX: usize = 200;
/// Bytes kept of a line; no line of ours is longer, and what is longer helps nobody.
const LINE_MAX: usize = 1000;

/// The last lines of a child, each with its number since the Desk began.
#[derive(Debug, Default)]
pub struct ChildLog {
    lines: VecDeque<LogLine>,
    next: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogLine {
    pub number: u64,
    pub text: String,
}

impl ChildLog {
    pub fn push(&mut self, text: String) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(LogLine { number: self.next, text });
        self.next += 1;
    }

    pub fn lines(&self) -> Vec<LogLine> {
        self.lines.iter().cloned().collect()
    }
}

/// The next line without its end, cut at [`LINE_MAX`] bytes; `None` at the end. Bytes that are no UTF-8 are
/// replaced, and so are control characters, such as those that colour a terminal.
pub async fn next_line(reader: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut kept = Vec::new();
    let mut any = false;
    loop {
        let chunk = reader.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(any.then(|| clean(&kept)));
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LINE_MAX - kept.len();
        kept.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(clean(&kept)));
        }
    }
}

fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown = text.trim_end().chars();
    shown.map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        // Small chunks, so that lines cross them.
        let mut reader = tokio::io::BufReader::with_capacity(7, bytes);
        let mut found = Vec::new();
        while let Some(line) = next_line(&mut reader).await.unwrap() {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn lines_are_taken_apart_whatever_ends_them() {
        assert_eq!(
            lines(b"http 127.0.0.1:8080\nready\r\n\nlast").await,
            ["http 127.0.0.1:8080", "ready", "", "last"]
        );
        assert!(lines(b"").await.is_empty());
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'a'; 100_000];
        bytes.extend_from_slice(b"\nnext\n");
        let found = lines(&bytes).await;
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].len(), found[1].as_str()), (LINE_MAX, "next"));
    }

    #[tokio::test]
    async fn what_is_no_text_is_shown_as_such() {
        assert_eq!(lines(b"\x1b[31mred\xff\n").await, ["\u{fffd}[31mred\u{fffd}"]);
    }

    #[test]
    fn the_oldest_lines_go_and_numbers_stay() {
        let mut log = ChildLog::default();
        for number in 0..500 {
            log.push(format!("line {number}"));
        }
        let lines = log.lines();
        assert_eq!(lines.len(), LINES_MAX);
        assert_eq!((lines[0].number, lines[0].text.as_str()), (300, "line 300"));
        assert_eq!(lines[199].text, "line 499");
    }
}
