//! Content ids: the name of bytes is their hash (CIDv1, SHA2-256, in base32; github.com/multiformats/cid).

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use sha2::{Digest, Sha256};
use thiserror::Error;

const VERSION: u8 = 1;
/// The multihash of SHA2-256, and its length.
const SHA2_256: [u8; 2] = [0x12, 0x20];
/// Of the multicodec table: the bytes themselves, and a tree of blocks, as IPFS makes it of what is large.
const RAW: u8 = 0x55;
const DAG_PB: u8 = 0x70;
/// Multibase's letter for base32 in lower case without padding.
const BASE32: char = 'b';
/// Bytes that are read at a time.
const AT_ONCE: usize = 1 << 16;

/// A name that is no content id, or one of another kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("a content id is of version 1 and of SHA2-256, in base32: bafk… or bafy…")]
pub struct NotACid;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cid {
    codec: u8,
    hash: [u8; 32],
}

impl Cid {
    /// Of the bytes themselves.
    pub fn of(bytes: &[u8]) -> Self {
        Self { codec: RAW, hash: Sha256::digest(bytes).into() }
    }

    /// The same of what is too large to be held.
    pub fn read(mut source: impl Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut some = vec![0; AT_ONCE];
        loop {
            match source.read(&mut some) {
                Ok(0) => return Ok(Self { codec: RAW, hash: hasher.finalize().into() }),
                Ok(length) => hasher.update(some.get(..length).unwrap_or_default()),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// The form that goes on chain.
    pub fn to_bytes(self) -> Vec<u8> {
        [&[VERSION, self.codec][..], &SHA2_256, &self.hash].concat()
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BASE32}{}", base32().encode(&self.to_bytes()))
    }
}

impl FromStr for Cid {
    type Err = NotACid;

    fn from_str(text: &str) -> Result<Self, NotACid> {
        let bytes = text.strip_prefix(BASE32).and_then(|text| base32().decode(text.as_bytes()).ok());
        match bytes.as_deref() {
            Some([VERSION, codec @ (RAW | DAG_PB), rest @ ..]) => {
                let hash = rest.strip_prefix(&SHA2_256).and_then(|hash| hash.try_into().ok());
                hash.map(|hash| Self { codec: *codec, hash }).ok_or(NotACid)
            }
            _ => Err(NotACid),
        }
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
        let large = vec![7; 3 * AT_ONCE + 1];
        assert_eq!(Cid::read(&large[..]).unwrap(), Cid::of(&large));
    }

    /// The second is the example of IPFS's documentation, of a tree of blocks.
    #[test]
    fn a_name_is_read_again_and_one_of_another_kind_is_none() {
        for name in [
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
            "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        ] {
            assert_eq!(name.parse::<Cid>().map(|cid| cid.to_string()), Ok(name.to_owned()));
            let upper = name.to_uppercase();
            let long = format!("{name}aa");
            for wrong in [&name[1..], &name[..name.len() - 1], &upper, &long] {
                assert_eq!(wrong.parse::<Cid>(), Err(NotACid), "{wrong}");
            }
        }
        for wrong in ["", "b", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPlB7", "bé", "../../etc/passwd"] {
            assert_eq!(wrong.parse::<Cid>(), Err(NotACid), "{wrong}");
        }
    }
}
