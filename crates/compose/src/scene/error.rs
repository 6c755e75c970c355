//! Errors in TOML that a person wrote: the line, and for a mistyped name the nearest known one.

use thiserror::Error;

use super::place::{Mistake, key_in};

/// What is wrong, and where. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {message}")]
pub struct SceneError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl SceneError {
    /// From what the TOML reader says of `text`; files that embed layers use it too.
    pub fn from_toml(text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or_default();
        // Of an entry that serde reads twice the reader knows where it begins, and not where its keys do.
        let key = unknown(error.message(), "field").and_then(|(key, _)| key_in(text, &span, key));
        Self::at(text, key.unwrap_or(span.start), explain(error.message()))
    }

    /// From what was read from `text` and cannot be meant.
    pub fn of(text: &str, mistake: &Mistake) -> Self {
        Self::at(text, mistake.place.offset(text), mistake.message.clone())
    }

    fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
        }
    }
}

/// The name in serde's "unknown field `name`, expected …", and what follows it.
fn unknown<'a>(message: &'a str, what: &str) -> Option<(&'a str, &'a str)> {
    message.strip_prefix("unknown ")?.strip_prefix(what)?.strip_prefix(" `")?.split_once('`')
}

/// serde's messages for unknown keys and variants, said with the nearest known name.
fn explain(message: &str) -> String {
    let key = unknown(message, "field").map(|found| ("key", found));
    let value = || unknown(message, "variant").map(|found| ("value", found));
    let Some((what, (given, expected))) = key.or_else(value) else { return message.to_owned() };
    let given: String = given.chars().take(64).collect();
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(&given, &known) {
        Some(near) => format!("unknown {what} \"{given}\"; did you mean \"{near}\"?"),
        None => format!("unknown {what} \"{given}\"; known here: {}", known.join(", ")),
    }
}

/// The known name with the fewest edits, if they are fewer than half of what was given.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (given.chars().count() / 2).max(1);
    known
        .iter()
        .map(|name| (edits(given, name), *name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions and replacements from `a` to `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
