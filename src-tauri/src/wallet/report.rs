//! What a command says: lines for a person, or one JSON value.

use serde_json::Value;

use crate::say;

pub(super) struct Report {
    is_json: bool,
}

impl Report {
    pub(super) const fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    /// The same twice: whichever is wanted is printed.
    pub(super) fn done(&self, json: &Value, text: &str) {
        if self.is_json {
            say(&json.to_string());
        } else if !text.is_empty() {
            say(text);
        }
    }
}

/// Columns beside each other, the first line being their names.
pub(super) fn table<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([names[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(names)).chain(rows).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["Zoë".to_owned(), "1".to_owned()], ["A".to_owned(), "20".to_owned()]];
        assert_eq!(table(["name", "n"], &rows), "name  n\nZoë   1\nA     20");
        assert_eq!(table(["name"], &[]), "name");
    }
}
