//! Numbers in the 58 digits that look like no other (the alphabet of Bitcoin's addresses).

pub(crate) fn encode(bytes: &[u8]) -> String {
    bs58::encode(bytes).into_string()
}

/// At most `most` bytes; `None` where there are more, or another character is among the digits.
pub(crate) fn decode(text: &str, most: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; most];
    let length = bs58::decode(text).onto(&mut bytes[..]).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the Internet-Draft "The Base58 Encoding Scheme", section 5.
    #[test]
    fn the_drafts_vectors_hold() {
        for (bytes, text) in [
            (&b"Hello World!"[..], "2NEpo7TZRRrLZSi2U"),
            (
                b"The quick brown fox jumps over the lazy dog.",
                "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
            ),
            (&[0x00, 0x00, 0x28, 0x7f, 0xb4, 0xcd], "11233QC4"),
            (b"", ""),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text, 64).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn what_is_too_long_or_no_digit_is_refused() {
        assert_eq!(decode("0", 64), None);
        assert_eq!(decode("é", 64), None);
        assert_eq!(decode(&"1".repeat(65), 64), None);
        assert_eq!(decode(&"z".repeat(100_000), 64), None);
    }
}
