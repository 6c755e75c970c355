//! One tag for many players: serialised once for all that share chunk size and message stream.

use bytes::Bytes;

use crate::chunk;
use crate::tag::Tag;

/// What a player's copy of a tag depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PlayerFormat {
    pub stream_id: u32,
    pub chunk_size: u32,
}

/// Formats that are remembered for one tag. Players nearly all have the same; others are serialised anew.
const REMEMBERED: usize = 4;

/// A tag, and the chunks made of it so far.
#[derive(Clone, Debug)]
pub struct SharedTag {
    tag: Tag,
    made: Vec<(PlayerFormat, Bytes)>,
}

impl SharedTag {
    pub fn new(tag: Tag) -> Self {
        Self { tag, made: Vec::new() }
    }

    pub fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The tag's chunks for players of `format`. They begin with a full header, so that a player may join
    /// at any tag.
    pub fn chunks(&mut self, format: PlayerFormat) -> Bytes {
        if let Some((_, bytes)) = self.made.iter().find(|(made, _)| *made == format) {
            return bytes.clone();
        }
        let mut out = Vec::new();
        chunk::append(&mut out, &self.tag.to_raw(format.stream_id), format.chunk_size);
        let bytes = Bytes::from(out);
        if self.made.len() < REMEMBERED {
            self.made.push((format, bytes.clone()));
        }
        bytes
    }
}
