//! Action Message Format: the values in commands and metadata, in both of its encodings.

mod amf0;
mod amf3;
mod decoder;

use bytes::Bytes;
use thiserror::Error;

pub use amf0::encode as encode_amf0;
pub use amf3::encode as encode_amf3;

/// Values may nest this deep; real messages need three.
pub const MAX_DEPTH: usize = 32;
/// Values that one message may hold, so that a short message cannot decode to a large tree.
pub const MAX_VALUES: usize = 16_384;
/// Bytes of text that one message may decode to: AMF3 names text again by number.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// One value of either encoding.
///
/// References to earlier objects stay numbers: commands do not use them, and following them would let a
/// short message decode to a huge tree.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Number(f64),
    Boolean(bool),
    Text(String),
    /// Anonymous or of a named class; its members in order.
    Object(Vec<(String, Value)>),
    /// AMF0's ECMA array, AMF3's array with names: members in order, dense ones named by their index.
    EcmaArray(Vec<(String, Value)>),
    StrictArray(Vec<Value>),
    /// Milliseconds since 1970 in UTC.
    Date(f64),
    Xml(String),
    Binary(Bytes),
    Reference(u32),
    Null,
    Undefined,
}

/// Why bytes are not AMF that we take.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum AmfError {
    #[error("the value ends before it is whole")]
    Truncated,
    #[error("marker 0x{0:02x} is not a value that messages carry")]
    Marker(u8),
    #[error("values nest deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("more than {MAX_VALUES} values in one message")]
    TooMany,
    #[error("more than {MAX_TEXT_BYTES} bytes of text in one message")]
    TooMuchText,
    #[error("an AMF3 reference to text or traits that were not sent")]
    BadReference,
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An object of `members`, in order.
    pub fn object<const N: usize>(members: [(&str, Value); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// The member called `name` of an object or a named array.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Object(members) | Self::EcmaArray(members) => {
                members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

/// All values of an AMF0 body; those behind an AVM+ marker (0x11) are AMF3.
pub fn decode_amf0(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    decode_all(bytes, amf0::decode)
}

/// All values of a body that is AMF3 throughout.
pub fn decode_amf3(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    decode_all(bytes, amf3::decode)
}

/// The first value of an AMF0 body, and the bytes after it.
pub fn decode_first_amf0(bytes: &[u8]) -> Result<(Value, &[u8]), AmfError> {
    let mut decoder = decoder::Decoder::new(bytes);
    let value = amf0::decode(&mut decoder, 0)?;
    Ok((value, decoder.rest()))
}

type DecodeValue = fn(&mut decoder::Decoder<'_>, usize) -> Result<Value, AmfError>;

fn decode_all(bytes: &[u8], decode: DecodeValue) -> Result<Vec<Value>, AmfError> {
    let mut decoder = decoder::Decoder::new(bytes);
    let mut values = Vec::new();
    while !decoder.rest().is_empty() {
        values.push(decode(&mut decoder, 0)?);
    }
    Ok(values)
}
