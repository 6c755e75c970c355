//! Addresses as people see them (SS58): an account, the network it is written for, and a checksum.

use std::fmt;
use std::str::FromStr;

use blake2::Digest as _;
use pay::AccountId;

use crate::base58;

/// The number of a network in Substrate's registry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix(u16);

impl Prefix {
    /// Of no network in particular.
    pub const GENERIC: Self = Self(42);

    /// Below 2^14, and not one of those that are reserved.
    pub const fn new(number: u16) -> Option<Self> {
        if number < 1 << 14 && number != 46 && number != 47 { Some(Self(number)) } else { None }
    }

    pub const fn number(self) -> u16 {
        self.0
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    #[error("this is no address: it has other characters, or another length")]
    Malformed,
    #[error("the address is of a kind that is not an account's")]
    Kind,
    #[error("a character of the address is wrong: its checksum does not fit")]
    Checksum,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    pub account: AccountId,
    pub prefix: Prefix,
}

const CHECKSUM_BYTES: usize = 2;
const MOST_BYTES: usize = 2 + 32 + CHECKSUM_BYTES;

impl Address {
    /// In the spelling that every network takes.
    pub const fn generic(account: AccountId) -> Self {
        Self { account, prefix: Prefix::GENERIC }
    }

    /// The prefix's one or two bytes, and the account.
    fn body(&self) -> Vec<u8> {
        let number = self.prefix.0;
        let mut bytes = match number {
            0..64 => vec![number as u8],
            _ => vec![
                (number >> 2) as u8 & 0b0011_1111 | 0b0100_0000,
                (number >> 8) as u8 | (number as u8 & 3) << 6,
            ],
        };
        bytes.extend(self.account.0);
        bytes
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = blake2::Blake2b512::new().chain_update(b"SS58PRE").chain_update(body).finalize();
    [hash[0], hash[1]]
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.body();
        bytes.extend(checksum(&bytes));
        f.write_str(&base58::encode(&bytes))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bytes = base58::decode(text, MOST_BYTES).ok_or(AddressError::Malformed)?;
        let (prefix, rest) = match *bytes {
            [short @ 0..64, ref rest @ ..] => (u16::from(short), rest),
            [first @ 64..128, second, ref rest @ ..] => {
                let low = (first & 0b0011_1111) << 2 | second >> 6;
                (u16::from(low) | u16::from(second & 0b0011_1111) << 8, rest)
            }
            _ => return Err(AddressError::Malformed),
        };
        let (account, sum) = rest.split_first_chunk::<32>().ok_or(AddressError::Malformed)?;
        if sum.len() != CHECKSUM_BYTES {
            return Err(AddressError::Malformed);
        }
        if checksum(&bytes[..bytes.len() - CHECKSUM_BYTES]) != *sum {
            return Err(AddressError::Checksum);
        }
        let prefix = Prefix::new(prefix).ok_or(AddressError::Kind)?;
        let address = Self { account: AccountId(*account), prefix };
        // A short number in two bytes is another spelling of the same address.
        if address.to_string() == text { Ok(address) } else { Err(AddressError::Malformed) }
    }
}

impl Address {
    /// So many characters at either end are what people compare.
    const COMPARED: usize = 4;

    /// Another account whose address begins and ends alike: made so that it is taken for this one.
    pub fn looks_like(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.to_string(), Self { prefix: self.prefix, ..*other }.to_string());
        let ends =
            |text: &str| (text.get(..Self::COMPARED).map(str::to_owned), tail(text).map(str::to_owned));
        self.account != other.account && ends(&ours) == ends(&theirs)
    }
}

fn tail(text: &str) -> Option<&str> {
    text.get(text.len().checked_sub(Address::COMPARED)?..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALICE: &str = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d";

    #[test]
    fn alice_has_the_addresses_that_everybody_knows() {
        let account = ALICE.parse().unwrap();
        for (number, text) in [
            (42, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"),
            (0, "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"),
            (2, "HNZata7iMYWmk5RvZRTiAsSDhV8366zq2YGb3tLH5Upf74F"),
        ] {
            let address = Address { account, prefix: Prefix::new(number).unwrap() };
            assert_eq!(address.to_string(), text);
            assert_eq!(text.parse(), Ok(address));
        }
    }

    #[test]
    fn a_wrong_character_is_found() {
        let wrong = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ";
        assert_eq!(wrong.parse::<Address>(), Err(AddressError::Checksum));
        for malformed in ["", "5", "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQ0", &"1".repeat(40)] {
            assert_eq!(malformed.parse::<Address>(), Err(AddressError::Malformed), "{malformed}");
        }
    }

    #[test]
    fn an_address_that_begins_and_ends_like_another_is_told() {
        let alice = Address::generic(ALICE.parse().unwrap());
        // Found by trying accounts, as somebody would who makes one to deceive.
        let twin = Address::generic(
            "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e714670b01".parse().unwrap(),
        );
        let (text, other) = (alice.to_string(), twin.to_string());
        assert!(other.starts_with(&text[..4]) && other.ends_with(&text[44..]) && other != text);
        assert!(alice.looks_like(&twin) && twin.looks_like(&alice));
        assert!(!alice.looks_like(&alice));
        assert!(!alice.looks_like(&Address::generic(AccountId([7; 32]))));
    }

    proptest! {
        #[test]
        fn every_address_is_read_back(account: [u8; 32], number in 0_u16..1 << 14) {
            let Some(prefix) = Prefix::new(number) else { return Ok(()) };
            let address = Address { account: AccountId(account), prefix };
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<Address>();
        }
    }
}
