//! Money: whole smallest units of an asset, 128 bits, never a float. JSON carries decimal strings, since JavaScript's
//! numbers end at 2^53.

use std::fmt;
use std::num::NonZeroU128;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::{DecodeError, Reader, Wire};

/// A sum in smallest units. Arithmetic says when it would leave the range; nothing wraps or saturates silently.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Amount(u128);

impl Amount {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u128::MAX);

    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    pub const fn units(self) -> u128 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an amount is written in decimal digits alone, without leading zeros, below 2^128")]
pub struct NotAnAmount;

impl FromStr for Amount {
    type Err = NotAnAmount;

    /// The one way in which [`Amount`] is displayed, so that equal amounts are equal strings.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = digits && (text == "0" || !text.starts_with('0'));
        if canonical { text.parse().map(Self).map_err(|_| NotAnAmount) } else { Err(NotAnAmount) }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Wire for Amount {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u128().map(Self)
    }
}

/// What one tick costs: never nothing, since what is free needs no offer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Price(NonZeroU128);

impl Price {
    pub fn new(per_tick: Amount) -> Option<Self> {
        NonZeroU128::new(per_tick.units()).map(Self)
    }

    pub const fn per_tick(self) -> Amount {
        Amount(self.0.get())
    }

    /// `None` where that is more than an [`Amount`] holds.
    pub fn times(self, ticks: u64) -> Option<Amount> {
        self.0.get().checked_mul(u128::from(ticks)).map(Amount)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.per_tick().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = Amount::deserialize(deserializer)?;
        Self::new(amount).ok_or_else(|| serde::de::Error::custom("a price is at least one unit"))
    }
}

impl Wire for Price {
    fn write(&self, out: &mut Vec<u8>) {
        self.per_tick().write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(Amount::read(reader)?).ok_or(DecodeError::OutOfRange("price"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_spelling() {
        let most = "340282366920938463463374607431768211455"; // 2^128 − 1
        assert_eq!(most.parse(), Ok(Amount::MAX));
        assert_eq!(Amount::MAX.to_string(), most);
        assert_eq!("0".parse(), Ok(Amount::ZERO));
        for wrong in
            ["", "00", "01", "+1", "-1", "1.0", "1e3", " 1", "1_0", "340282366920938463463374607431768211456"]
        {
            assert_eq!(wrong.parse::<Amount>(), Err(NotAnAmount), "{wrong}");
        }
    }

    #[test]
    fn json_carries_amounts_as_strings_alone() {
        assert_eq!(serde_json::to_string(&Amount::new(1 << 60)).unwrap(), r#""1152921504606846976""#);
        assert_eq!(serde_json::from_str::<Amount>(r#""7""#).unwrap(), Amount::new(7));
        assert!(serde_json::from_str::<Amount>("7").is_err());
        assert!(serde_json::from_str::<Price>(r#""0""#).is_err());
    }

    #[test]
    fn a_price_says_when_its_multiple_is_too_much() {
        let price = Price::new(Amount::new(u128::MAX / 3)).unwrap();
        assert_eq!(price.times(3), Some(Amount::new(u128::MAX / 3 * 3)));
        assert_eq!(price.times(4), None);
        assert_eq!(Price::new(Amount::ZERO), None);
    }
}
