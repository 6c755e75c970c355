//! Identifiers: the secret stream key, the public playback id, and the names of sessions.

use std::fmt;

/// 32 letters and digits without look-alikes (Crockford's base 32): five bits a character.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn random_text(characters: usize) -> String {
    let mut bytes = vec![0u8; characters];
    getrandom::fill(&mut bytes).expect("the operating system has randomness; without it no key is safe");
    bytes.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])).collect()
}

/// What publishes a stream. 160 bits; never shown to viewers, never logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamKey(String);

impl StreamKey {
    pub fn random() -> Self {
        Self(format!("sk_{}", random_text(32)))
    }

    /// A key as somebody sent it; whether it is one is for the store to say.
    pub fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(…)")
    }
}

/// What viewers, pages, playlists and logs see. 80 bits: not guessable, short enough for a link.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PlaybackId(String);

impl PlaybackId {
    pub fn random() -> Self {
        Self(random_text(16))
    }

    /// `None` for text that no playback id can be.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && text.bytes().all(|b| ALPHABET.contains(&b))).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlaybackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The unguessable last part of a WHIP or WHEP session's address: who knows it may end the session.
pub fn session_token() -> String {
    random_text(26)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_key_is_not_debugged() {
        let key = StreamKey::random();
        assert!(!format!("{key:?}").contains(key.expose()));
    }

    #[test]
    fn a_playback_id_is_found_again_from_its_text_and_nothing_else_is_one() {
        let id = PlaybackId::random();
        assert_eq!(PlaybackId::parse(id.as_str()), Some(id));
        for wrong in ["", "../../../etc/pas", "0123456789abcdeu", "0123456789abcde", "0123456789ABCDEF"] {
            assert_eq!(PlaybackId::parse(wrong), None, "{wrong}");
        }
    }
}
