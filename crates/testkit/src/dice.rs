//! Numbers that look random and are the same in each run.

use std::io::Write;
use std::time::SystemTime;

use crate::soak;

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The same in each usual run; in a long one others each time, by a seed that is printed.
    pub fn of_run() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seed = soak(0, now.as_secs());
        // A closed pipe on the other side is no failure of the test.
        let _ = writeln!(std::io::stdout(), "dice of seed {seed}");
        Self(seed)
    }

    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// At least `from`, and below `to`, which is more.
    pub const fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from)
    }

    /// True so many times in a hundred.
    pub const fn happens(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference_implementation() {
        let mut dice = Dice::new(0);
        let rolled = [dice.roll(), dice.roll(), dice.roll()];
        assert_eq!(rolled, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
        assert!((0..1_000).all(|_| (3..7).contains(&dice.between(3, 7))));
        assert!((0..100).all(|_| !dice.happens(0) && dice.happens(100)));
    }
}
