//! The time of day as it is signed and stored. It is always handed in.

use serde::{Deserialize, Serialize};

use crate::wire::{DecodeError, MAX_INTEGER, Reader, Wire};

/// Milliseconds since 1970 (UTC, no leap seconds), as Substrate's timestamp pallet counts them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// Stays within what the encodings carry.
    #[must_use]
    pub fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis).min(MAX_INTEGER))
    }

    /// Zero where `earlier` is later: a clock may be set back.
    pub fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<media::WallTime> for UnixMillis {
    fn from(time: media::WallTime) -> Self {
        Self((time.unix_micros() / 1_000).min(MAX_INTEGER))
    }
}

impl Wire for UnixMillis {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64("time").map(Self)
    }
}
