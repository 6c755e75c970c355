//! A bounded cursor over one message's AMF bytes.

use super::{AmfError, MAX_DEPTH, MAX_TEXT_BYTES, MAX_VALUES};
use crate::amf::amf3::Traits;

/// Reads bytes and counts what they decode to.
pub struct Decoder<'a> {
    rest: &'a [u8],
    values: usize,
    text_bytes: usize,
    /// AMF3: text and traits sent so far, which later values name by number.
    pub texts: Vec<String>,
    pub traits: Vec<Traits>,
}

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, values: 0, text_bytes: 0, texts: Vec::new(), traits: Vec::new() }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Counts one value at `depth`; every value passes here before it is read.
    pub fn enter(&mut self, depth: usize) -> Result<(), AmfError> {
        self.values += 1;
        match () {
            () if depth > MAX_DEPTH => Err(AmfError::TooDeep),
            () if self.values > MAX_VALUES => Err(AmfError::TooMany),
            () => Ok(()),
        }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], AmfError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, AmfError> {
        self.array().map(|[byte]| byte)
    }

    pub fn f64(&mut self) -> Result<f64, AmfError> {
        self.array().map(f64::from_be_bytes)
    }

    /// `count` bytes of text. Encoders also send Latin-1, so what is not UTF-8 is replaced, not refused.
    pub fn text(&mut self, count: usize) -> Result<String, AmfError> {
        let text = String::from_utf8_lossy(self.take(count)?).into_owned();
        self.count_text(text.len())?;
        Ok(text)
    }

    /// Counts text that was copied from an earlier place.
    pub fn count_text(&mut self, bytes: usize) -> Result<(), AmfError> {
        self.text_bytes += bytes;
        if self.text_bytes > MAX_TEXT_BYTES { Err(AmfError::TooMuchText) } else { Ok(()) }
    }
}
