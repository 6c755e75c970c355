//! Colours as people write them: `#rrggbb` or `#rrggbbaa`, sRGB-encoded.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An sRGB-encoded colour with straight alpha. White by default.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
    /// 255 is opaque.
    pub alpha: u8,
}

impl Colour {
    pub const WHITE: Self = Self::rgb(255, 255, 255);
    pub const BLACK: Self = Self::rgb(0, 0, 0);

    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue, alpha: 255 }
    }

    pub const fn rgba(red: u8, green: u8, blue: u8, alpha: u8) -> Self {
        Self { red, green, blue, alpha }
    }
}

impl Default for Colour {
    fn default() -> Self {
        Self::WHITE
    }
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("\"{0}\" is no colour; write #rrggbb or #rrggbbaa")]
pub struct ColourError(String);

impl FromStr for Colour {
    type Err = ColourError;

    fn from_str(text: &str) -> Result<Self, ColourError> {
        let error = || ColourError(text.chars().take(32).collect());
        let digits = text.strip_prefix('#').ok_or_else(error)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(error());
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| error())?;
        let [red, green, blue, alpha] = match digits.len() {
            6 => (value << 8 | 0xff).to_be_bytes(),
            8 => value.to_be_bytes(),
            _ => return Err(error()),
        };
        Ok(Self { red, green, blue, alpha })
    }
}

impl TryFrom<String> for Colour {
    type Error = ColourError;

    fn try_from(text: String) -> Result<Self, ColourError> {
        text.parse()
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> Self {
        let Colour { red, green, blue, alpha } = colour;
        if alpha == 255 {
            format!("#{red:02x}{green:02x}{blue:02x}")
        } else {
            format!("#{red:02x}{green:02x}{blue:02x}{alpha:02x}")
        }
    }
}
