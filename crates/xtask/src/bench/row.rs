//! One figure of a bench: a line that the bench prints and `cargo xtask bench` reads.
//! Compiled into both, so it uses nothing but the standard library.

#![allow(dead_code, reason = "a bench prints, xtask reads")]

/// What a line that carries a figure begins with; its fields are between tabs.
const MARK: &str = "bench-row";

/// Which of two figures is the better one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    More,
    Less,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub metric: String,
    pub unit: String,
    pub better: Better,
    pub ours: f64,
    /// Measured in the same run.
    pub peer: Option<(String, f64)>,
}

impl Row {
    pub fn new(better: Better, metric: impl Into<String>, unit: impl Into<String>, ours: f64) -> Self {
        Self { metric: metric.into(), unit: unit.into(), better, ours, peer: None }
    }

    #[must_use]
    pub fn against(mut self, name: impl Into<String>, peer: f64) -> Self {
        self.peer = Some((name.into(), peer));
        self
    }

    /// Above 1 where ours is better.
    pub fn ratio(&self) -> Option<f64> {
        let (_, peer) = self.peer.as_ref()?;
        let ratio = match self.better {
            Better::More => self.ours / peer,
            Better::Less => peer / self.ours,
        };
        ratio.is_finite().then_some(ratio)
    }

    pub fn to_line(&self) -> String {
        let better = if self.better == Better::More { "more" } else { "less" };
        let (name, peer) = self.peer.as_ref().map_or(("", String::new()), |(n, p)| (n, p.to_string()));
        [MARK, &self.metric, &self.unit, better, &self.ours.to_string(), name, &peer].join("\t")
    }

    /// `None` for any other line.
    pub fn parse(line: &str) -> Option<Self> {
        let [mark, metric, unit, better, ours, name, peer] =
            line.split('\t').collect::<Vec<_>>().try_into().ok()?;
        let better = match better {
            "more" => Better::More,
            "less" => Better::Less,
            _ => return None,
        };
        let peer = if name.is_empty() { None } else { Some((name.to_owned(), peer.parse().ok()?)) };
        let (metric, unit) = (metric.to_owned(), unit.to_owned());
        (mark == MARK).then_some(Self { metric, unit, better, ours: ours.parse().ok()?, peer })
    }

    pub fn to_json(&self) -> String {
        let name = self.peer.as_ref().map_or("null".into(), |(name, _)| quoted(name));
        format!(
            "{{\"metric\":{},\"unit\":{},\"ours\":{},\"peer_name\":{name},\"peer\":{},\"ratio\":{}}}",
            quoted(&self.metric),
            quoted(&self.unit),
            number(Some(self.ours)),
            number(self.peer.as_ref().map(|(_, peer)| *peer)),
            number(self.ratio()),
        )
    }
}

/// JSON has no word for what is no number.
fn number(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or("null".into(), |v| format!("{v}"))
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The middle one of some measurements.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(better: Better) -> Row {
        Row::new(better, "step", "ms", 2.0).against("somebody's", 5.0)
    }

    #[test]
    fn a_ratio_above_one_means_that_ours_is_better() {
        assert_eq!(row(Better::Less).ratio(), Some(2.5));
        assert_eq!(row(Better::More).ratio(), Some(0.4));
        assert_eq!(Row { ours: 0.0, ..row(Better::Less) }.ratio(), None);
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let alone = Row { peer: None, ..row(Better::More) };
        for row in [row(Better::Less), alone] {
            assert_eq!(Row::parse(&row.to_line()), Some(row));
        }
        assert_eq!(Row::parse("a table's line"), None);
    }

    #[test]
    fn json_is_as_others_read_it() {
        let text = r#"{"metric":"step","unit":"ms","ours":2,"peer_name":"somebody's","peer":5,"ratio":2.5}"#;
        assert_eq!(row(Better::Less).to_json(), text);
        let alone = Row { metric: "a \"b\"\\".into(), peer: None, ..row(Better::Less) };
        let text = r#"{"metric":"a \"b\"\\","unit":"ms","ours":2,"peer_name":null,"peer":null,"ratio":null}"#;
        assert_eq!(alone.to_json(), text);
    }
}
