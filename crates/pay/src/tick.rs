//! Numbered seconds of media time, and which of them did not play.

use media::{Timescale, Timestamp};
use serde::{Deserialize, Serialize};

use crate::wire::{DecodeError, MAX_INTEGER, Reader, Wire, write_list};

/// The k-th second of a channel: counted on over every session that is paid from it, never anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tick(pub u64);

impl Wire for Tick {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64("tick").map(Self)
    }
}

/// Which second of a channel a moment of media time lies in: both sides count with the publisher's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TickClock {
    first: Tick,
    start: Timestamp,
}

impl TickClock {
    /// The session's `first` tick begins at `start`, where the viewer's media does.
    pub const fn new(first: Tick, start: Timestamp) -> Self {
        Self { first, start }
    }

    /// `None` before the session's start.
    pub fn tick_at(&self, at: Timestamp) -> Option<Tick> {
        // Within one timescale nothing is rounded, so that a second begins where it begins.
        let past = at.minus(self.start.rescale(at.timescale())).ticks();
        let per_second = u64::from(at.timescale().ticks_per_second());
        let seconds = u64::try_from(past).ok()? / per_second;
        Some(Tick(self.first.0.checked_add(seconds)?))
    }

    /// Where a tick begins; `None` for one of an earlier session.
    pub fn start_of(&self, tick: Tick) -> Option<Timestamp> {
        let seconds = i64::try_from(tick.0.checked_sub(self.first.0)?).ok()?;
        let scale = Timescale::of(1);
        Some(self.start.plus(Timestamp::new(seconds, scale)))
    }
}

/// `count` ticks from `first` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TickRange {
    pub first: Tick,
    pub count: u32,
}

impl TickRange {
    /// The one behind the last.
    fn end(&self) -> u64 {
        self.first.0 + u64::from(self.count)
    }
}

impl Wire for TickRange {
    fn write(&self, out: &mut Vec<u8>) {
        self.first.write(out);
        out.extend(self.count.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let range = Self { first: Tick::read(reader)?, count: reader.u32()? };
        let fits = range.count > 0 && range.end() <= MAX_INTEGER;
        if fits { Ok(range) } else { Err(DecodeError::OutOfRange("range of ticks")) }
    }
}

/// Seconds that did not play: ranges in rising order with something between them, at most [`Unplayed::MAX_RANGES`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Unplayed(Vec<TickRange>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many seconds in pieces, or out of order")]
pub struct UnplayedFull;

impl Unplayed {
    pub const MAX_RANGES: usize = 16;

    pub fn ranges(&self) -> &[TickRange] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds ticks behind all that are in it.
    pub fn push(&mut self, first: Tick, count: u32) -> Result<(), UnplayedFull> {
        let fits = count > 0 && first.0.checked_add(count.into()).is_some_and(|end| end <= MAX_INTEGER);
        if !fits {
            return Err(UnplayedFull);
        }
        let is_full = self.0.len() == Self::MAX_RANGES;
        match self.0.last_mut() {
            Some(last) if first.0 < last.end() => return Err(UnplayedFull),
            Some(last) if first.0 == last.end() => {
                last.count = last.count.checked_add(count).ok_or(UnplayedFull)?;
            }
            _ if is_full => return Err(UnplayedFull),
            _ => self.0.push(TickRange { first, count }),
        }
        Ok(())
    }

    pub fn contains(&self, tick: Tick) -> bool {
        self.0.iter().any(|range| (range.first.0..range.end()).contains(&tick.0))
    }

    /// How many of them lie in `from..to`.
    pub fn count_within(&self, from: u64, to: u64) -> u64 {
        self.0.iter().map(|range| range.end().min(to).saturating_sub(range.first.0.max(from))).sum()
    }

    /// Those in `from..to`.
    pub fn within(&self, from: u64, to: u64) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(move |range| range.first.0.max(from)..range.end().min(to))
    }

    /// The one behind the last.
    pub fn end(&self) -> Option<u64> {
        self.0.last().map(TickRange::end)
    }

    /// Whether all of `from..to` are in it.
    pub fn covers(&self, from: u64, to: u64) -> bool {
        self.count_within(from, to) == to.saturating_sub(from)
    }

    /// Forgets `tick` and those after it.
    pub fn forget_from(&mut self, tick: u64) {
        self.0.retain(|range| range.first.0 < tick);
        if let Some(last) = self.0.last_mut()
            && last.end() > tick
        {
            // What is left of it is at least one and less than what it was.
            last.count = (tick - last.first.0) as u32;
        }
    }

    /// Forgets those before `tick`.
    pub fn forget_before(&mut self, tick: u64) {
        self.0.retain(|range| range.end() > tick);
        if let Some(first) = self.0.first_mut()
            && first.first.0 < tick
        {
            // What is left of it is at least one and at most what it was.
            first.count -= (tick - first.first.0) as u32;
            first.first = Tick(tick);
        }
    }
}

impl Wire for Unplayed {
    fn write(&self, out: &mut Vec<u8>) {
        write_list(out, &self.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ranges = reader.list::<TickRange>(Self::MAX_RANGES, "list of ranges")?;
        let rising = ranges.windows(2).all(|pair| pair[0].end() < pair[1].first.0);
        if rising { Ok(Self(ranges)) } else { Err(DecodeError::NotCanonical("list of ranges")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[(u64, u32)]) -> Unplayed {
        let mut unplayed = Unplayed::default();
        ranges.iter().for_each(|(first, count)| unplayed.push(Tick(*first), *count).unwrap());
        unplayed
    }

    #[test]
    fn a_tick_begins_exactly_at_its_second_in_every_timescale() {
        let start = Timestamp::new(90_000 * 7 + 45_000, Timescale::VIDEO);
        let clock = TickClock::new(Tick(100), start);
        let at = |ticks| clock.tick_at(Timestamp::new(ticks, Timescale::VIDEO));
        assert_eq!(at(674_999), None);
        assert_eq!(at(675_000), Some(Tick(100)));
        assert_eq!(at(764_999), Some(Tick(100)));
        assert_eq!(at(765_000), Some(Tick(101)));
        let sound = |ticks| clock.tick_at(Timestamp::new(ticks, Timescale::AUDIO));
        assert_eq!(sound(407_999), Some(Tick(100)));
        assert_eq!(sound(408_000), Some(Tick(101)));
        assert_eq!(clock.start_of(Tick(102)), Some(Timestamp::new(855_000, Timescale::VIDEO)));
        assert_eq!(clock.start_of(Tick(99)), None);
    }

    #[test]
    fn neighbours_join_and_what_is_out_of_order_is_refused() {
        let mut unplayed = of(&[(3, 2), (5, 1), (9, 1)]);
        assert_eq!(unplayed, of(&[(3, 3), (9, 1)]));
        assert_eq!(unplayed.push(Tick(9), 1), Err(UnplayedFull));
        assert_eq!(unplayed.push(Tick(20), 0), Err(UnplayedFull));
        assert_eq!(unplayed.push(Tick(u64::MAX), 1), Err(UnplayedFull));
        assert_eq!(unplayed.within(4, 10).collect::<Vec<_>>(), [4, 5, 9]);
        assert_eq!(unplayed.count_within(4, 10), 3);
        assert!(unplayed.contains(Tick(5)) && !unplayed.contains(Tick(6)));
        unplayed.forget_before(5);
        assert_eq!(unplayed, of(&[(5, 1), (9, 1)]));
        unplayed.forget_before(6);
        assert_eq!(unplayed, of(&[(9, 1)]));
    }

    #[test]
    fn what_is_forgotten_from_a_tick_on_leaves_what_is_before_it() {
        let unplayed = of(&[(3, 3), (9, 4)]);
        let without = |tick| {
            let mut left = unplayed.clone();
            left.forget_from(tick);
            left
        };
        assert_eq!(without(13), unplayed);
        assert_eq!(without(11), of(&[(3, 3), (9, 2)]));
        assert_eq!(without(9), of(&[(3, 3)]));
        assert_eq!(without(4), of(&[(3, 1)]));
        assert_eq!(without(0), Unplayed::default());
        assert!(unplayed.covers(3, 6) && unplayed.covers(10, 13) && unplayed.covers(7, 7));
        assert!(!unplayed.covers(3, 7) && !unplayed.covers(5, 10) && !unplayed.covers(12, 14));
    }

    #[test]
    fn the_list_ends_at_its_bound() {
        let mut unplayed = of(&(0..16).map(|at| (at * 2, 1)).collect::<Vec<_>>());
        assert_eq!(unplayed.push(Tick(100), 1), Err(UnplayedFull));
        assert_eq!(Unplayed::from_bytes(&unplayed.to_bytes()), Ok(unplayed.clone()));
        let mut longer = unplayed.to_bytes();
        longer[0] = 17 << 2;
        Tick(100).write(&mut longer);
        longer.extend(1_u32.to_le_bytes());
        assert_eq!(Unplayed::from_bytes(&longer), Err(DecodeError::TooLong("list of ranges")));
    }

    #[test]
    fn ranges_that_touch_overlap_or_are_empty_are_refused() {
        for (first, second, error) in [
            ((5_u64, 2_u32), (7_u64, 1_u32), DecodeError::NotCanonical("list of ranges")),
            ((5, 2), (4, 1), DecodeError::NotCanonical("list of ranges")),
            ((5, 0), (9, 1), DecodeError::OutOfRange("range of ticks")),
            ((5, 1), (MAX_INTEGER, 1), DecodeError::OutOfRange("range of ticks")),
        ] {
            let mut bytes = vec![2 << 2];
            for (first, count) in [first, second] {
                bytes.extend(first.to_le_bytes());
                bytes.extend(count.to_le_bytes());
            }
            assert_eq!(Unplayed::from_bytes(&bytes), Err(error));
        }
    }
}
