//! What a node orders of a transcoder: one order and then commands, as lines of text on its standard input,
//! so that tokens are in no argument and no environment.
//!
//! ```text
//! node 127.0.0.1:1935
//! play TOKEN
//! keys source
//! picture very_low 320 180 500 TOKEN
//! sound opus 96 TOKEN
//! go
//! key very_low
//! ```

use std::fmt::{self, Write};
use std::net::SocketAddr;

use thiserror::Error;

use crate::packet::Codec;
use crate::picture::Size;
use crate::rendition::{Rendition, RenditionName};

/// The line after which an order is whole.
pub const ORDER_END: &str = "go";
/// Lanes that one transcoder may make.
pub const OUTPUTS_MAX: usize = 8;

/// What plays or publishes one lane of one stream, once. Never shown: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneToken(String);

impl LaneToken {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LaneToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaneToken(…)")
    }
}

/// Where made renditions have key frames, besides those that are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyPlacement {
    /// On the source's own.
    Source,
    /// Every two seconds of media time, as the source's are too far apart.
    Grid,
}

/// One lane that is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    Picture(Rendition),
    /// AAC or Opus.
    Sound {
        codec: Codec,
        kbps: u32,
    },
}

/// What one transcoder makes of one lane of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TranscodeOrder {
    /// Where the node takes RTMP.
    pub node: SocketAddr,
    /// Plays the source's lane.
    pub play: LaneToken,
    pub keys: KeyPlacement,
    /// Each with what publishes it.
    pub outputs: Vec<(Made, LaneToken)>,
}

/// What is said to a transcoder that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TranscodeCommand {
    /// The next picture of this rendition is to be a key frame.
    KeyFrame(RenditionName),
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadOrder {
    #[error("line {line} of a transcoder's order cannot be read")]
    Line { line: usize },
    #[error("a transcoder's order lacks its {0}")]
    Lacks(&'static str),
    #[error("a transcoder makes at most {OUTPUTS_MAX} lanes")]
    TooMany,
}

impl TranscodeOrder {
    /// Its lines, the last of which is [`ORDER_END`].
    pub fn to_text(&self) -> String {
        let keys = match self.keys {
            KeyPlacement::Source => "source",
            KeyPlacement::Grid => "grid",
        };
        let mut out = format!("node {}\nplay {}\nkeys {keys}\n", self.node, self.play.expose());
        for (made, token) in &self.outputs {
            // Writing to a string cannot fail.
            let _ = match made {
                Made::Picture(Rendition { name, size, bitrate_kbps }) => writeln!(
                    out,
                    "picture {name} {} {} {bitrate_kbps} {}",
                    size.width,
                    size.height,
                    token.expose()
                ),
                Made::Sound { codec, kbps } => {
                    writeln!(out, "sound {} {kbps} {}", sound_name(*codec), token.expose())
                }
            };
        }
        out.push_str(ORDER_END);
        out.push('\n');
        out
    }

    /// Reads the lines in front of [`ORDER_END`].
    ///
    /// # Errors
    /// The first line that cannot be read; what it says is not repeated, as it may hold a token.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, BadOrder> {
        let (mut node, mut play, mut keys, mut outputs) = (None, None, None, Vec::new());
        for (index, line) in lines.into_iter().enumerate() {
            let bad = || BadOrder::Line { line: index + 1 };
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["node", address] => node = Some(address.parse().map_err(|_| bad())?),
                ["play", token] => play = Some(LaneToken::new(token)),
                ["keys", "source"] => keys = Some(KeyPlacement::Source),
                ["keys", "grid"] => keys = Some(KeyPlacement::Grid),
                _ => outputs.push(output(&words).ok_or_else(bad)?),
            }
            if outputs.len() > OUTPUTS_MAX {
                return Err(BadOrder::TooMany);
            }
        }
        if outputs.is_empty() {
            return Err(BadOrder::Lacks("outputs"));
        }
        Ok(Self {
            node: node.ok_or(BadOrder::Lacks("node"))?,
            play: play.ok_or(BadOrder::Lacks("source"))?,
            keys: keys.ok_or(BadOrder::Lacks("key placement"))?,
            outputs,
        })
    }
}

fn output(words: &[&str]) -> Option<(Made, LaneToken)> {
    match *words {
        ["picture", name, width, height, kbps, token] => {
            let size = Size::new(width.parse().ok()?, height.parse().ok()?);
            let rendition = Rendition { name: name.parse().ok()?, size, bitrate_kbps: kbps.parse().ok()? };
            Some((Made::Picture(rendition), LaneToken::new(token)))
        }
        ["sound", codec, kbps, token] => {
            let codec = match codec {
                "aac" => Codec::Aac,
                "opus" => Codec::Opus,
                _ => return None,
            };
            Some((Made::Sound { codec, kbps: kbps.parse().ok()? }, LaneToken::new(token)))
        }
        _ => None,
    }
}

fn sound_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Aac => "aac",
        // No order is made for pictures as sound.
        Codec::Opus | Codec::H264 => "opus",
    }
}

impl TranscodeCommand {
    /// One line, with its end.
    pub fn to_text(self) -> String {
        match self {
            Self::KeyFrame(name) => format!("key {name}\n"),
        }
    }

    /// `None` for a line that is no command.
    pub fn parse(line: &str) -> Option<Self> {
        let name = line.trim().strip_prefix("key ")?;
        Some(Self::KeyFrame(name.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order() -> TranscodeOrder {
        let size = Size::new(320, 180);
        let picture = Rendition { name: RenditionName::VeryLow, size, bitrate_kbps: 500 };
        TranscodeOrder {
            node: SocketAddr::from(([127, 0, 0, 1], 1935)),
            play: LaneToken::new("abc"),
            keys: KeyPlacement::Grid,
            outputs: vec![
                (Made::Picture(picture), LaneToken::new("def")),
                (Made::Sound { codec: Codec::Aac, kbps: 128 }, LaneToken::new("ghi")),
            ],
        }
    }

    #[test]
    fn an_order_is_read_as_it_was_written_and_its_tokens_are_not_shown() {
        let text = order().to_text();
        let lines = text.lines().take_while(|line| *line != ORDER_END);
        assert_eq!(TranscodeOrder::parse(lines), Ok(order()));
        assert!(text.ends_with("\ngo\n"));
        let shown = format!("{:?}", order());
        assert!(!shown.contains("abc") && !shown.contains("def"), "{shown}");
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_alone() {
        let wrong = ["node 127.0.0.1:1", "play secret", "picture huge 1 1 1 secret"];
        let err = TranscodeOrder::parse(wrong).unwrap_err();
        assert_eq!(err, BadOrder::Line { line: 3 });
        assert!(!err.to_string().contains("secret"));
        assert_eq!(TranscodeOrder::parse([]), Err(BadOrder::Lacks("outputs")));
        assert_eq!(TranscodeOrder::parse(["sound opus 96 t"; 9]), Err(BadOrder::TooMany));
    }

    #[test]
    fn a_command_is_read_as_it_was_written() {
        let command = TranscodeCommand::KeyFrame(RenditionName::Medium);
        assert_eq!(command.to_text(), "key medium\n");
        assert_eq!(TranscodeCommand::parse(&command.to_text()), Some(command));
        assert_eq!(TranscodeCommand::parse("key hihg"), None);
    }

    proptest! {
        #[test]
        fn any_text_gives_an_order_or_an_error(lines in prop::collection::vec("(node|play|keys|picture|sound)?[ a-z0-9.:_]{0,30}", 0..12)) {
            let _ = TranscodeOrder::parse(lines.iter().map(String::as_str));
        }
    }
}
