//! Numbers in the 58 digits that look like no other (the alphabet of Bitcoin's addresses).

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // Digits, the lowest first.
    let mut digits: Vec<u8> = Vec::new();
    for byte in &bytes[zeros..] {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let digits = std::iter::repeat_n(0, zeros).chain(digits.into_iter().rev());
    digits.map(|digit| char::from(ALPHABET[usize::from(digit)])).collect()
}

/// At most `most` bytes; `None` where there are more, or another character is among the digits.
pub(crate) fn decode(text: &str, most: usize) -> Option<Vec<u8>> {
    let zeros = text.bytes().take_while(|digit| *digit == b'1').count();
    let mut bytes: Vec<u8> = Vec::new();
    for digit in &text.as_bytes()[zeros..] {
        let mut carry = ALPHABET.iter().position(|known| known == digit)? as u32;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
        if zeros + bytes.len() > most {
            return None;
        }
    }
    let within = zeros + bytes.len() <= most;
    within.then(|| std::iter::repeat_n(0, zeros).chain(bytes.into_iter().rev()).collect())
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
