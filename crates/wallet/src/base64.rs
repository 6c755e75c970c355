//! Base64 with padding (RFC 4648, section 4), as keystores carry their bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// `None` for anything but the one spelling of some bytes.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_vectors_hold() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in vectors {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn another_spelling_is_refused() {
        for wrong in ["Zg", "Zg=", "Zg===", "Z===", "Zh==", "Zm9=", "====", "=Zg=", "Zm 9", "Zm9v\n", "Zm-v"]
        {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
