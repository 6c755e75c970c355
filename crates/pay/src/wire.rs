//! Bytes of everything that is signed, sent or stored: SCALE's fixed layouts (little-endian integers, one byte for a
//! variant, compact lengths), read strictly: nothing is left over, no other spelling is taken.

/// The first byte of whatever may change: there is one version so far.
pub const VERSION: u8 = 1;

/// 64-bit fields stay where JavaScript's numbers are exact.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes end too early")]
    Short,
    #[error("{0} bytes are left over")]
    Trailing(usize),
    #[error("version {0} is not known here")]
    Version(u8),
    #[error("{value} is no {what}")]
    Variant { what: &'static str, value: u8 },
    #[error("{0} is too long")]
    TooLong(&'static str),
    #[error("{0} is out of its range")]
    OutOfRange(&'static str),
    #[error("{0} is not in its one spelling")]
    NotCanonical(&'static str),
}

pub trait Wire: Sized {
    fn write(&self, out: &mut Vec<u8>);

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// All of the bytes, and nothing but them.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader { left: bytes };
        let value = Self::read(&mut reader)?;
        if reader.left.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(reader.left.len())) }
    }
}

pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, left) = self.left.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.left = left;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, left) = self.left.split_first_chunk().ok_or(DecodeError::Short)?;
        self.left = left;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_le_bytes)
    }

    /// At most [`MAX_INTEGER`].
    pub fn u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let value = self.array().map(u64::from_le_bytes)?;
        if value <= MAX_INTEGER { Ok(value) } else { Err(DecodeError::OutOfRange(what)) }
    }

    pub fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(DecodeError::Variant { what: "flag", value }),
        }
    }

    pub fn version(&mut self) -> Result<(), DecodeError> {
        match self.u8()? {
            VERSION => Ok(()),
            other => Err(DecodeError::Version(other)),
        }
    }

    /// SCALE's compact length, in its shortest form, at most `most` (below 2^14).
    pub fn length(&mut self, most: usize, what: &'static str) -> Result<usize, DecodeError> {
        let first = self.u8()?;
        let length = match first & 3 {
            0 => usize::from(first >> 2),
            1 => {
                let length = usize::from(u16::from_le_bytes([first, self.u8()?]) >> 2);
                if length < 64 {
                    return Err(DecodeError::NotCanonical(what));
                }
                length
            }
            _ => return Err(DecodeError::TooLong(what)),
        };
        if length <= most { Ok(length) } else { Err(DecodeError::TooLong(what)) }
    }

    pub fn list<T: Wire>(&mut self, most: usize, what: &'static str) -> Result<Vec<T>, DecodeError> {
        let length = self.length(most, what)?;
        (0..length).map(|_| T::read(self)).collect()
    }
}

/// The inverse of [`Reader::length`].
pub fn write_length(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length < 1 << 14, "lists are bounded where they are made");
    match u8::try_from(length) {
        Ok(short) if short < 64 => out.push(short << 2),
        _ => out.extend(((length as u16) << 2 | 1).to_le_bytes()),
    }
}

pub fn write_list<T: Wire>(out: &mut Vec<u8>, list: &[T]) {
    write_length(out, list.len());
    list.iter().for_each(|item| item.write(out));
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(None),
            1 => T::read(reader).map(Some),
            value => Err(DecodeError::Variant { what: "option", value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use parity_scale_codec::{Compact, Encode};

    use super::*;

    #[test]
    fn lengths_are_those_of_scale() {
        for length in [0_usize, 1, 63, 64, 253, 16_383] {
            let mut ours = Vec::new();
            write_length(&mut ours, length);
            assert_eq!(ours, Compact(length as u32).encode(), "{length}");
            let mut reader = Reader { left: &ours };
            assert_eq!(reader.length(16_383, "list"), Ok(length));
        }
    }

    #[test]
    fn a_length_in_a_longer_form_than_it_needs_is_refused() {
        let mut reader = Reader { left: &[63 << 2 | 1, 0] };
        assert_eq!(reader.length(100, "list"), Err(DecodeError::NotCanonical("list")));
        let mut reader = Reader { left: &[2, 0, 4, 0] };
        assert_eq!(reader.length(100, "list"), Err(DecodeError::TooLong("list")));
        let mut reader = Reader { left: &[17 << 2] };
        assert_eq!(reader.length(16, "list"), Err(DecodeError::TooLong("list")));
    }
}
