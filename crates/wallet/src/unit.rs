//! Amounts as people read and write them: decimals of a unit, and always the exact number of smallest units too.

use pay::Amount;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnitError {
    #[error("an amount is written as 12 or 12.5, without signs, spaces or thousands' marks")]
    NotANumber,
    #[error("the amount has more decimals than the unit has ({0})")]
    TooFine(u8),
    #[error("the amount is larger than any balance")]
    TooLarge,
}

/// What a chain calls its money. It comes from a node or a chain, so it is made harmless to show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    symbol: String,
    decimals: u8,
}

impl Unit {
    /// 2^128 has 39 digits.
    pub const MAX_DECIMALS: u8 = 38;

    /// Without the characters that could hide or reorder what stands beside it, and no longer than twelve.
    pub fn new(symbol: &str, decimals: u8) -> Self {
        let symbol: String = symbol.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let symbol = if symbol.is_empty() { "UNIT".to_owned() } else { symbol };
        Self { symbol, decimals: decimals.min(Self::MAX_DECIMALS) }
    }

    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    pub const fn decimals(&self) -> u8 {
        self.decimals
    }

    /// `1.5`, of 1 500 000 000 000 smallest units where there are 12 decimals.
    pub fn decimal(&self, amount: Amount) -> String {
        let decimals = usize::from(self.decimals);
        let digits = format!("{:0>width$}", amount.units(), width = decimals + 1);
        let (whole, part) = digits.split_at(digits.len() - decimals);
        match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        }
    }

    /// `1.5 UNIT (exactly 1500000000000 of its smallest units)`
    pub fn exactly(&self, amount: Amount) -> String {
        format!("{} {} (exactly {amount} of its smallest units)", self.decimal(amount), self.symbol)
    }

    /// At most six digits, rounded down: `0.123456 UNIT`. What is smaller than those show is shown whole.
    pub fn shortly(&self, amount: Amount) -> String {
        const DIGITS: usize = 6;
        let decimal = self.decimal(amount);
        let (whole, part) = decimal.split_once('.').unwrap_or((&decimal, ""));
        let taken = if whole == "0" { 0 } else { whole.len() };
        let kept = part.get(..DIGITS.saturating_sub(taken)).unwrap_or(part).trim_end_matches('0');
        let number = match (whole, kept) {
            ("0", "") => decimal.as_str(),
            (whole, "") => whole,
            (whole, kept) => &format!("{whole}.{kept}"),
        };
        format!("{number} {}", self.symbol)
    }

    pub fn parse(&self, text: &str) -> Result<Amount, UnitError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) {
            return Err(UnitError::NotANumber);
        }
        let part = part.trim_end_matches('0');
        let decimals = usize::from(self.decimals);
        if part.len() > decimals {
            return Err(UnitError::TooFine(self.decimals));
        }
        let units = format!("{whole}{part:0<decimals$}").parse();
        units.map(Amount::new).map_err(|_| UnitError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_is_shown_in_units_and_exactly() {
        let dot = Unit::new("DOT", 10);
        assert_eq!(
            dot.exactly(Amount::new(15_000_000_000)),
            "1.5 DOT (exactly 15000000000 of its smallest units)"
        );
        assert_eq!(dot.decimal(Amount::new(1)), "0.0000000001");
        assert_eq!(dot.decimal(Amount::ZERO), "0");
        assert_eq!(Unit::new("X", 0).decimal(Amount::new(70)), "70");
        assert_eq!(Unit::new("X", 38).decimal(Amount::MAX), "3.40282366920938463463374607431768211455");
    }

    #[test]
    fn an_amount_that_is_no_number_of_smallest_units_is_refused() {
        let dot = Unit::new("DOT", 10);
        assert_eq!(dot.parse("1.5"), Ok(Amount::new(15_000_000_000)));
        assert_eq!(dot.parse("0.00000000010"), Ok(Amount::new(1)));
        assert_eq!(dot.parse("0.00000000001"), Err(UnitError::TooFine(10)));
        assert_eq!(dot.parse("99999999999999999999999999999999"), Err(UnitError::TooLarge));
        for wrong in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1 000", "١"] {
            assert_eq!(dot.parse(wrong), Err(UnitError::NotANumber), "{wrong}");
        }
    }

    #[test]
    fn a_symbol_cannot_change_what_stands_beside_it() {
        assert_eq!(Unit::new("DOT\u{202e}\n0 paid", 10).symbol(), "DOT0paid");
        assert_eq!(Unit::new("\u{1b}[2J", 200), Unit::new("2J", 38));
        assert_eq!(Unit::new("€", 2).symbol(), "UNIT");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(units: u128, decimals in 0_u8..=38) {
            let unit = Unit::new("U", decimals);
            prop_assert_eq!(unit.parse(&unit.decimal(Amount::new(units))), Ok(Amount::new(units)));
        }
    }
}
