//! Wire bytes in JSON: `0x` and lower-case hexadecimal digits, so that what was signed is what is sent.

use std::fmt::Write as _;

use pay::Wire;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nothing that stands in a request or an answer is longer, in bytes.
const BYTES_MAX: usize = 4_096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireHex<T>(pub T);

impl<T: Wire> Serialize for WireHex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0.to_bytes()))
    }
}

impl<'de, T: Wire> Deserialize<'de> for WireHex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = bytes(&text).ok_or_else(|| {
            D::Error::custom("expected 0x and an even number of lower-case hexadecimal digits")
        })?;
        T::from_bytes(&bytes).map(Self).map_err(D::Error::custom)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    if digits.len() % 2 != 0 || digits.len() > 2 * BYTES_MAX {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use pay::UnixMillis;

    use super::*;

    #[test]
    fn bytes_have_one_spelling_and_nothing_is_left_over() {
        // Eight bytes, the lowest first.
        let text = r#""0x0102000000000000""#;
        let time: WireHex<UnixMillis> = serde_json::from_str(text).unwrap();
        assert_eq!(time.0, UnixMillis(0x201));
        assert_eq!(serde_json::to_string(&time).unwrap(), text);
        for wrong in ["", "0x", "0x01", "0x010200000000000000", "0X0102000000000000", "0x010200000000000A"] {
            assert!(serde_json::from_str::<WireHex<UnixMillis>>(&format!("\"{wrong}\"")).is_err(), "{wrong}");
        }
    }
}
