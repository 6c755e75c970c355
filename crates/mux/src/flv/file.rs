//! The FLV file: a header, then tags, each followed by its length.

use std::io::{self, Write};

use bytes::{Buf, Bytes, BytesMut};

use super::FlvError;

const HEADER_BYTES: usize = 9;
const TAG_HEADER_BYTES: usize = 11;
const HAS_VIDEO: u8 = 1;
const HAS_AUDIO: u8 = 4;
/// A DataOffset beyond this is not an FLV header of any version.
const MAX_HEADER_BYTES: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TagKind {
    Audio,
    Video,
    /// AMF0: a name and a value, `onMetaData` mostly.
    Script,
}

impl TagKind {
    /// Also the type of the RTMP message (AMF0 data is 18 in both).
    pub const fn code(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Script => 18,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Script),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tag {
    pub kind: TagKind,
    /// Decoding time in milliseconds; wraps after 49.7 days.
    pub timestamp_ms: u32,
    pub body: Bytes,
}

/// Writes an FLV file as it comes: whatever was written whole can be read.
#[derive(Debug)]
pub struct FlvWriter<W> {
    out: W,
}

impl<W: Write> FlvWriter<W> {
    /// Writes the header of a file with video and sound; players take the flags as a hint.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"FLV\x01")?;
        out.write_all(&[HAS_VIDEO | HAS_AUDIO, 0, 0, 0, HEADER_BYTES as u8, 0, 0, 0, 0])?;
        Ok(Self { out })
    }

    /// # Errors
    /// What `out` returns, and `InvalidInput` for a body of 16 MiB or more.
    pub fn write(&mut self, tag: &Tag) -> io::Result<()> {
        let length = tag.body.len();
        if length >= 1 << 24 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, FlvError::TooLarge(length)));
        }
        let time = tag.timestamp_ms.to_be_bytes();
        let mut head = [0; TAG_HEADER_BYTES];
        head[0] = tag.kind.code();
        head[1..4].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
        // The eighth byte holds the upper 8 of 32 bits (annex E.4.1).
        head[4..7].copy_from_slice(&time[1..]);
        head[7] = time[0];
        self.out.write_all(&head)?;
        self.out.write_all(&tag.body)?;
        self.out.write_all(&((TAG_HEADER_BYTES + length) as u32).to_be_bytes())
    }

    pub fn into_inner(self) -> W {
        self.out
    }
}

/// Reads tags from bytes as they arrive. Holds at most one tag (16 MiB by its length field) beyond what
/// is pushed at once.
#[derive(Debug, Default)]
pub struct FlvReader {
    buffer: BytesMut,
    header_read: bool,
}

impl FlvReader {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole tag; `None` until more was pushed. Tags of unknown kinds are passed over.
    ///
    /// # Errors
    /// [`FlvError`] where the bytes are no FLV; nothing sensible follows then.
    pub fn next_tag(&mut self) -> Result<Option<Tag>, FlvError> {
        if !self.header_read && !self.read_header()? {
            return Ok(None);
        }
        while let Some(head) = self.buffer.first_chunk::<TAG_HEADER_BYTES>() {
            // The two upper bits are reserved and the third says that the body is encrypted.
            if head[0] & 0x20 != 0 {
                return Err(FlvError::BadTag("it is encrypted"));
            }
            let kind = TagKind::from_code(head[0] & 0x1f);
            let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
            let timestamp_ms = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
            if self.buffer.len() < TAG_HEADER_BYTES + length + 4 {
                return Ok(None);
            }
            self.buffer.advance(TAG_HEADER_BYTES);
            let body = self.buffer.split_to(length).freeze();
            // Some writers leave the previous tag's size zero, so it is not checked.
            self.buffer.advance(4);
            if let Some(kind) = kind {
                return Ok(Some(Tag { kind, timestamp_ms, body }));
            }
        }
        Ok(None)
    }

    fn read_header(&mut self) -> Result<bool, FlvError> {
        let Some(&[f, l, v, version, _flags, o0, o1, o2, o3]) = self.buffer.first_chunk::<HEADER_BYTES>()
        else {
            return Ok(false);
        };
        if [f, l, v] != *b"FLV" || version != 1 {
            return Err(FlvError::NotFlv("it does not begin with FLV, version 1"));
        }
        let offset = u32::from_be_bytes([o0, o1, o2, o3]) as usize;
        if !(HEADER_BYTES..=MAX_HEADER_BYTES).contains(&offset) {
            return Err(FlvError::NotFlv("its header has an impossible length"));
        }
        if self.buffer.len() < offset + 4 {
            return Ok(false);
        }
        self.buffer.advance(offset + 4);
        self.header_read = true;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tags() -> impl Strategy<Value = Vec<Tag>> {
        let kind = prop_oneof![Just(TagKind::Audio), Just(TagKind::Video), Just(TagKind::Script)];
        let tag = (kind, any::<u32>(), prop::collection::vec(any::<u8>(), 0..60));
        prop::collection::vec(
            tag.prop_map(|(kind, timestamp_ms, body)| Tag { kind, timestamp_ms, body: body.into() }),
            0..10,
        )
    }

    fn written(tags: &[Tag]) -> Vec<u8> {
        let mut writer = FlvWriter::new(Vec::new()).unwrap();
        tags.iter().for_each(|tag| writer.write(tag).unwrap());
        writer.into_inner()
    }

    #[test]
    fn the_upper_byte_of_the_time_stands_last() {
        let tag = Tag { kind: TagKind::Audio, timestamp_ms: 0x0102_0304, body: Bytes::from_static(&[5, 6]) };
        let bytes = written(&[tag]);
        assert_eq!(bytes[..13], *b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00");
        assert_eq!(bytes[13..], [8, 0, 0, 2, 2, 3, 4, 1, 0, 0, 0, 5, 6, 0, 0, 0, 13]);
    }

    #[test]
    fn what_is_no_flv_is_said_so() {
        let mut reader = FlvReader::new();
        reader.push(b"GIF89a...");
        assert!(matches!(reader.next_tag(), Err(FlvError::NotFlv(_))));
    }

    proptest! {
        #[test]
        fn a_file_is_read_as_written_in_pieces_of_any_size(tags in tags(), piece in 1usize..40) {
            let mut reader = FlvReader::new();
            let mut got = Vec::new();
            for piece in written(&tags).chunks(piece) {
                reader.push(piece);
                while let Some(tag) = reader.next_tag().unwrap() {
                    got.push(tag);
                }
            }
            prop_assert_eq!(got, tags);
        }

        #[test]
        fn a_mutated_file_gives_tags_or_an_error(tags in tags(), at: usize, value: u8, cut: usize) {
            let mut bytes = written(&tags);
            let index = at % bytes.len();
            bytes[index] = value;
            bytes.truncate(bytes.len() - cut % bytes.len());
            let mut reader = FlvReader::new();
            reader.push(&bytes);
            let mut read = 0;
            while let Ok(Some(tag)) = reader.next_tag() {
                read += tag.body.len() + TAG_HEADER_BYTES + 4;
            }
            prop_assert!(read <= bytes.len());
        }
    }
}
