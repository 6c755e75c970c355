//! Names of 32 bytes: hashes, chains, channels, contents, accounts. As text they are `0x` and 64 hexadecimal digits.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use blake2::Digest as _;
use blake2::digest::consts::U32;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::{DecodeError, Reader, Wire};

/// BLAKE2b with 32 bytes of output (RFC 7693), the hash of Substrate's chains.
pub fn blake2_256(bytes: &[u8]) -> [u8; 32] {
    blake2::Blake2b::<U32>::digest(bytes).into()
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected 0x and an even number of lower-case hexadecimal digits, of the right length")]
pub struct NotHex;

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let digits = text.strip_prefix("0x").ok_or(NotHex)?.as_bytes();
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(NotHex),
    };
    if digits.len() != 2 * N {
        return Err(NotHex);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Ok(bytes)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        /// Shortened, so that a log line names nobody.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}…)", stringify!($name), to_hex(&self.0[..4]))
            }
        }

        impl FromStr for $name {
            type Err = NotHex;

            fn from_str(text: &str) -> Result<Self, NotHex> {
                from_hex(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl Wire for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.0);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.array().map(Self)
            }
        }
    )*};
}

ids! {
    /// The hash of a chain's first block: which chain an amount is on.
    Genesis
    /// A payment channel, named by what it is between; see [`crate::channel::ChannelTerms::id`].
    ChannelId
    /// [`blake2_256`] of an offer's signing bytes.
    OfferHash
    /// [`blake2_256`] of a delegation's signing bytes.
    DelegationHash
    /// [`blake2_256`] of a receipt's signing bytes; zeros before the first.
    ReceiptHash
    /// What is watched: [`blake2_256`] of the stream's playback id.
    ContentId
    /// An account on a chain: of sr25519 and Ed25519 accounts, the public key.
    AccountId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_blake2b_with_32_bytes() {
        // As Substrate has it: the storage prefix of nothing, known from its documentation.
        let empty = "0x0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8";
        assert_eq!(to_hex(&blake2_256(b"")), empty);
    }

    #[test]
    fn ids_have_one_spelling() {
        let id = ChannelId([0xab; 32]);
        let text = format!("0x{}", "ab".repeat(32));
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        for wrong in [&text[2..], &text[..64], &text.to_uppercase(), &text.replace("0x", "0X"), "0xé"] {
            assert_eq!(wrong.parse::<ChannelId>(), Err(NotHex), "{wrong}");
        }
        assert_eq!(format!("{id:?}"), "ChannelId(0xabababab…)");
    }
}
