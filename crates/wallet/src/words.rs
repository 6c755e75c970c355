//! The words that a person writes down (BIP-39, English): all there is to come back to an account.

use bip39::{Language, Mnemonic};
use zeroize::Zeroize;

use crate::secret::{NoRandomness, SecretBytes, SecretText, TextError};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WordCount {
    #[default]
    Twelve,
    TwentyFour,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WordsError {
    #[error("there are {0} words: 12, 15, 18, 21 or 24 are expected")]
    Count(usize),
    /// Counted from one, and not shown: it may be a typing error in a secret.
    #[error("word {0} is not one of the list: look for a typing error")]
    Unknown(usize),
    #[error("the words do not belong together: one is wrong, or two are swapped")]
    Checksum,
    #[error(transparent)]
    Text(#[from] TextError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Zeroed when dropped, and never shown but by [`Words::text`].
pub struct Words(Mnemonic);

impl Words {
    pub fn generate(count: WordCount) -> Result<Self, WordsError> {
        let entropy = SecretBytes::random(match count {
            WordCount::Twelve => 16,
            WordCount::TwentyFour => 32,
        })?;
        Mnemonic::from_entropy_in(Language::English, &entropy).map(Self).map_err(|_| WordsError::Checksum)
    }

    /// In whatever case and spacing they were typed.
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        let mut lower = SecretText::empty();
        for byte in text.bytes() {
            lower.push(byte.to_ascii_lowercase())?;
        }
        Mnemonic::parse_in_normalized(Language::English, lower.as_str()?).map(Self).map_err(|err| match err {
            bip39::Error::BadWordCount(count) => WordsError::Count(count),
            bip39::Error::UnknownWord(at) => WordsError::Unknown(at + 1),
            _ => WordsError::Checksum,
        })
    }

    pub fn text(&self) -> Result<SecretText, TextError> {
        let mut text = SecretText::empty();
        for (at, word) in self.0.words().enumerate() {
            text.push_all(if at == 0 { b"" } else { b" " })?;
            text.push_all(word.as_bytes())?;
        }
        Ok(text)
    }

    /// The 32 bytes that Substrate's wallets make of them: PBKDF2 over the entropy, not over the text as BIP-39 has it.
    pub(crate) fn seed(&self, password: &str) -> SecretBytes {
        let (mut entropy, length) = self.0.to_entropy_array();
        let mini = substrate_bip39::mini_secret_from_entropy(&entropy[..length], password)
            .expect("words have 16 to 32 bytes of entropy");
        entropy.zeroize();
        SecretBytes::copied(mini.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_wrong_say_where() {
        let words = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
        assert!(Words::parse(&format!("  {} ", words.to_uppercase().replace(' ', "\n"))).is_ok());
        let error = |text: &str| Words::parse(text).err();
        assert_eq!(error("bottom drive"), Some(WordsError::Count(2)));
        assert_eq!(error(&words.replace("lake", "lagoon")), Some(WordsError::Unknown(4)));
        assert_eq!(error(&words.replace("fit walk", "walk fit")), Some(WordsError::Checksum));
        assert_eq!(error(&"bottom ".repeat(1_000)), Some(WordsError::Text(TextError::TooLong)));
    }

    #[test]
    fn new_words_are_as_many_as_asked_for_and_never_the_same() {
        for (count, expected) in [(WordCount::Twelve, 12), (WordCount::TwentyFour, 24)] {
            let one = Words::generate(count).unwrap().text().unwrap();
            let other = Words::generate(count).unwrap().text().unwrap();
            assert_eq!(one.as_str().unwrap().split(' ').count(), expected);
            assert_ne!(one.as_str(), other.as_str());
            assert!(Words::parse(one.as_str().unwrap()).is_ok());
        }
    }
}
