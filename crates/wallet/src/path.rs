//! Derivation paths as Substrate's wallets write them: `//hard`, `/soft`, and a password after `///`.

use pay::KeyScheme;
use zeroize::Zeroizing;

use crate::key::{KeyError, SecretKey};
use crate::words::{Words, WordsError};

/// A chain code: the number or text of one part of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Junction {
    Hard([u8; 32]),
    Soft([u8; 32]),
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathError {
    #[error("a path begins with / or //, and each of its parts has a name")]
    Malformed,
    #[error("a path has at most {} parts of {} bytes", Path::MAX_PARTS, Path::MAX_PART_BYTES)]
    TooLong,
    /// Substrate's tools and polkadot-js would derive different keys from it.
    #[error("a number in a path has at most 15 digits and no sign: wallets read others in different ways")]
    Ambiguous,
    #[error("a password does not belong here: it is asked for")]
    Password,
    #[error("a password is for words: a seed has none")]
    SeedPassword,
    #[error("a seed is 0x and 64 hexadecimal digits")]
    Seed,
    #[error("words or a seed are missing")]
    NoSecret,
    #[error(transparent)]
    Words(#[from] WordsError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// `//polkadot//0/soft`; without a password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Path(Vec<Junction>);

impl Path {
    pub const MAX_PARTS: usize = 32;
    pub const MAX_PART_BYTES: usize = 256;

    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut junctions = Vec::new();
        let mut left = text;
        while !left.is_empty() {
            if left.starts_with("///") {
                return Err(PathError::Password);
            }
            let (hard, rest) = match left.strip_prefix("//") {
                Some(rest) => (true, rest),
                None => (false, left.strip_prefix('/').ok_or(PathError::Malformed)?),
            };
            let end = rest.find('/').unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            if junctions.len() == Self::MAX_PARTS || part.len() > Self::MAX_PART_BYTES {
                return Err(PathError::TooLong);
            }
            let code = chain_code(part)?;
            junctions.push(if hard { Junction::Hard(code) } else { Junction::Soft(code) });
            left = after;
        }
        Ok(Self(junctions))
    }

    pub fn derive(&self, key: &SecretKey) -> Result<SecretKey, KeyError> {
        self.0.iter().try_fold(key.copied(), |key, junction| key.derive(junction))
    }
}

/// A number as 64 bits in little-endian order, a text as SCALE has it, hashed where that is longer than 32 bytes.
fn chain_code(part: &str) -> Result<[u8; 32], PathError> {
    if part.is_empty() {
        return Err(PathError::Malformed);
    }
    let digits = part.strip_prefix('+').unwrap_or(part);
    let encoded = if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let plain = digits.len() == part.len() && digits.len() <= 15;
        let number: u64 = part.parse().ok().filter(|_| plain).ok_or(PathError::Ambiguous)?;
        number.to_le_bytes().to_vec()
    } else {
        let mut bytes = Vec::new();
        pay::wire::write_length(&mut bytes, part.len());
        bytes.extend(part.as_bytes());
        bytes
    };
    let mut code = [0; 32];
    match code.get_mut(..encoded.len()) {
        Some(start) => start.copy_from_slice(&encoded),
        None => code = pay::id::blake2_256(&encoded),
    }
    Ok(code)
}

/// A whole secret: words or a seed, a path, a password: `word word …//hard/soft///password`, `0x…//hard`.
pub fn key_from_secret(scheme: KeyScheme, text: &str) -> Result<SecretKey, PathError> {
    let text = text.trim();
    let (phrase, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
    let (path, password) = match rest.split_once("///") {
        Some((path, password)) => (path, Some(password)),
        None => (rest, None),
    };
    let path = Path::parse(path)?;
    let phrase = phrase.trim();
    let root = if phrase.is_empty() {
        return Err(PathError::NoSecret);
    } else if let Some(digits) = phrase.strip_prefix("0x") {
        if password.is_some() {
            return Err(PathError::SeedPassword);
        }
        let seed = seed_from_hex(digits)?;
        SecretKey::from_seed(scheme, &seed)
    } else {
        let seed = Words::parse(phrase)?.seed(password.unwrap_or_default());
        SecretKey::from_seed(scheme, seed.first_chunk().expect("a seed has 32 bytes"))
    };
    Ok(path.derive(&root)?)
}

fn seed_from_hex(digits: &str) -> Result<Zeroizing<[u8; 32]>, PathError> {
    let mut seed = Zeroizing::new([0; 32]);
    if digits.len() != 64 {
        return Err(PathError::Seed);
    }
    for (byte, pair) in seed.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16).ok_or(PathError::Seed);
        *byte = (value(pair[0])? << 4 | value(pair[1])?) as u8;
    }
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> [u8; 32] {
        match Path::parse(text).unwrap().0[..] {
            [Junction::Hard(code) | Junction::Soft(code)] => code,
            _ => panic!("{text} has one part"),
        }
    }

    #[test]
    fn numbers_and_texts_are_encoded_as_scale_has_them() {
        let mut number = [0; 32];
        number[0] = 1;
        assert_eq!(code("//1"), number);
        let mut text = [0; 32];
        text[..6].copy_from_slice(b"\x14Alice");
        assert_eq!(code("/Alice"), text);
        // With its length it no longer fits, so it is hashed.
        let long = "a".repeat(32);
        let scale = [&[32 << 2], long.as_bytes()].concat();
        assert_eq!(code(&format!("//{long}")), pay::id::blake2_256(&scale));
    }

    #[test]
    fn paths_that_wallets_read_in_different_ways_are_refused() {
        assert_eq!(Path::parse("//1234567890123456").err(), Some(PathError::Ambiguous));
        assert_eq!(Path::parse("/+5").err(), Some(PathError::Ambiguous));
        assert_eq!(Path::parse("a").err(), Some(PathError::Malformed));
        assert_eq!(Path::parse("//").err(), Some(PathError::Malformed));
        assert_eq!(Path::parse("/a/").err(), Some(PathError::Malformed));
        assert_eq!(Path::parse("//a///secret").err(), Some(PathError::Password));
        assert_eq!(Path::parse(&"/a".repeat(33)).err(), Some(PathError::TooLong));
        assert_eq!(Path::parse(&format!("//{}", "a".repeat(257))).err(), Some(PathError::TooLong));
    }

    #[test]
    fn a_secret_that_cannot_be_one_says_why() {
        let error = |text: &str| key_from_secret(KeyScheme::Ed25519, text).err();
        assert_eq!(error("//Alice"), Some(PathError::NoSecret));
        assert_eq!(error("0x12//Alice"), Some(PathError::Seed));
        let seed = format!("0x{}", "é".repeat(32));
        assert_eq!(error(&seed), Some(PathError::Seed));
        let seed = format!("0x{}", "1a".repeat(32));
        assert_eq!(error(&format!("{seed}///x")), Some(PathError::SeedPassword));
        assert_eq!(error(&format!("{seed}/soft")), Some(PathError::Key(KeyError::SoftEd25519)));
    }
}
