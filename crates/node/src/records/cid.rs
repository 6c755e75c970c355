//! Content ids: the name of bytes is their hash (CIDv1, "raw" codec, SHA2-256, in base32).

use std::fmt;

use data_encoding::{Encoding, Specification};
use sha2::{Digest, Sha256};

/// Version 1; the codec "raw" of the multicodec table; the multihash of SHA2-256 and its length.
const HEAD: [u8; 4] = [0x01, 0x55, 0x12, 0x20];
/// Multibase's letter for base32 in lower case without padding.
const BASE32: char = 'b';

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cid([u8; 32]);

impl Cid {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The form that goes on chain.
    pub fn to_bytes(self) -> Vec<u8> {
        [&HEAD[..], &self.0].concat()
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BASE32}{}", base32().encode(&self.to_bytes()))
    }
}

/// RFC 4648, section 6, in lower case.
fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("32 symbols make an encoding")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `ipfs add --cid-version=1 --raw-leaves` prints for nothing, and for "hello world" without an end of line.
    #[test]
    fn bytes_have_the_names_that_ipfs_gives_them() {
        assert_eq!(Cid::of(b"").to_string(), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
        let hello = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
        assert_eq!(Cid::of(b"hello world").to_string(), hello);
        assert_eq!(Cid::of(b"").to_bytes().len(), 36);
    }
}
