//! Where in a TOML file something stands, by the keys and positions that lead to it: what was read and cannot be meant
//! is told at its line, as what cannot be read is.

use std::ops::Range;

use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// The way to a value from the top of a file, such as `layers`, 2, `text`, `size`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<Step>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Key(&'static str),
    Item(usize),
}

impl Place {
    /// What the file has under `key`.
    pub fn of(key: &'static str) -> Self {
        Self::default().key(key)
    }

    /// What the table here has under `key`; under `text.size` what its table `text` has under `size`.
    pub fn key(mut self, key: &'static str) -> Self {
        self.0.extend(key.split('.').map(Step::Key));
        self
    }

    /// The entry of the list here, counted from 0.
    pub fn item(mut self, index: usize) -> Self {
        self.0.push(Step::Item(index));
        self
    }

    /// Where it begins, in bytes. What is not written begins where the table does that lacks it.
    pub(super) fn offset(&self, text: &str) -> usize {
        let Ok(file) = DeTable::parse(text) else { return 0 };
        let file = DeValue::Table(file.into_inner());
        let (mut here, mut offset) = (&file, 0);
        for step in &self.0 {
            let next = match (step, here) {
                (Step::Key(key), DeValue::Table(table)) => table.get(*key),
                (Step::Item(index), DeValue::Array(list)) => list.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            (here, offset) = (next.get_ref(), next.span().start);
        }
        offset
    }
}

/// What was read and cannot be meant, and where it stands. [`super::SceneError::of`] finds the line.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Mistake {
    pub place: Place,
    /// For a person.
    pub message: String,
}

impl Mistake {
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// Where `key` begins in the table that `table` is the span of; `None` where no table is.
pub(super) fn key_in(text: &str, table: &Range<usize>, key: &str) -> Option<usize> {
    let file = DeTable::parse(text).ok()?;
    find_key(&DeValue::Table(file.into_inner()), table, key)
}

/// The reader of TOML bounds how deep tables lie in each other.
fn find_key(within: &DeValue<'_>, table: &Range<usize>, key: &str) -> Option<usize> {
    let look = |value: &toml::Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::Table(found) if value.span() == *table => {
            found.get_key_value(key).map(|(key, _)| key.span().start)
        }
        deeper => find_key(deeper, table, key),
    };
    match within {
        DeValue::Table(entries) => entries.values().find_map(look),
        DeValue::Array(entries) => entries.iter().find_map(look),
        _ => None,
    }
}
