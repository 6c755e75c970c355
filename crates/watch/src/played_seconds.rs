//! Which of a lane's numbered seconds played: those of whose pictures ninety in a hundred were shown in time. How many a
//! second has is told by its timestamps, never by how many came. No clock and no money inside.

use std::collections::{BTreeMap, VecDeque};

use media::Timescale;
use pay::Tick;

/// In hundredths: what must be shown of a second for it to have played.
const SHARE: u64 = 90;
/// The interval between pictures is the median of so many.
const INTERVALS: usize = 30;
/// Pictures a second until a stream has told its own.
const NOMINAL: i64 = 30;
/// A step this much longer than the usual interval is a freeze, as in [`crate::FreezeMeter`]: in thousandths of a second.
const EXCESS_MS: i64 = 150;
/// Units that are remembered, so that a beginning which is told late finds them: four seconds of 60 pictures, each of
/// which comes and is shown.
const RECENT: usize = 512;
/// Seconds with units that are not decided. Beyond it units count for nothing, which costs a viewer nothing.
const OPEN: usize = 64;
/// Beginnings that are not over.
const SEGMENTS: usize = 8;

/// What became of a run of seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decided {
    Played(Tick),
    /// All up to this one, from the last that was decided on.
    UnplayedThrough(Tick),
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    Came { at: i64, after_gap: bool },
    Shown { at: i64 },
}

impl Unit {
    const fn at(&self) -> i64 {
        match self {
            Self::Came { at, .. } | Self::Shown { at } => *at,
        }
    }
}

/// The tick `first` begins at the timestamp `at`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Segment {
    at: i64,
    first: u64,
}

#[derive(Clone, Copy, Default, Debug)]
struct Count {
    due: u64,
    shown: u64,
}

/// Timestamps are RTP timestamps that were continued over their 32 bits.
#[derive(Debug)]
pub struct PlayedSeconds {
    rate: i64,
    intervals: VecDeque<i64>,
    segments: VecDeque<Segment>,
    recent: VecDeque<Unit>,
    /// Of what came and was counted.
    newest: Option<i64>,
    /// The first second that is not decided.
    next: u64,
    open: BTreeMap<u64, Count>,
}

impl PlayedSeconds {
    pub fn new(scale: Timescale) -> Self {
        Self {
            rate: scale.ticks_per_second().into(),
            intervals: VecDeque::new(),
            segments: VecDeque::new(),
            recent: VecDeque::new(),
            newest: None,
            next: 0,
            open: BTreeMap::new(),
        }
    }

    /// Nothing counts until a second's beginning is told anew. What was decided stays so.
    pub fn reset(&mut self) {
        self.segments.clear();
        self.recent.clear();
        self.open.clear();
        self.newest = None;
    }

    /// The second `first` begins at the RTP timestamp `at`. What came before this was told counts as well.
    pub fn begin(&mut self, first: Tick, at: u32) {
        let at = self.recent.back().map_or(i64::from(at), |near| nearest(near.at(), at));
        if self.segments.contains(&Segment { at, first: first.0 }) {
            return;
        }
        if self.segments.is_empty() {
            self.next = self.next.max(first.0);
        }
        self.segments.retain(|known| known.at < at);
        if self.segments.len() == SEGMENTS {
            self.segments.pop_front();
        }
        self.segments.push_back(Segment { at, first: first.0 });
        // What lies behind it was counted as other seconds, or as none.
        self.open.split_off(&first.0);
        let recent = std::mem::take(&mut self.recent);
        self.newest = recent.iter().filter(|unit| unit.at() < at).map(Unit::at).max();
        for unit in recent {
            if unit.at() < at {
                self.recent.push_back(unit);
            } else {
                self.take(unit, at);
            }
        }
    }

    /// A unit came. They come in order; `after_gap`: something before it is missing.
    pub fn came(&mut self, at: i64, after_gap: bool) {
        self.take(Unit::Came { at, after_gap }, i64::MIN);
    }

    /// A unit that came was shown in time.
    pub fn shown(&mut self, at: i64) {
        self.take(Unit::Shown { at }, i64::MIN);
    }

    /// What is shown next lies at `at`: the seconds before it are over.
    pub fn reach(&mut self, at: i64) -> Vec<Decided> {
        self.tick_of(at).map_or_else(Vec::new, |tick| self.decide_before(tick))
    }

    /// Which second a timestamp lies in, where that is known.
    pub fn second_of(&self, at: i64) -> Option<Tick> {
        self.tick_of(at).map(Tick)
    }

    /// The second of the newest unit.
    pub fn newest(&self) -> Option<Tick> {
        self.tick_of(self.newest?).map(Tick)
    }

    /// The seconds up to `last` are over, though nothing behind them came: what their rest would have had is missing.
    pub fn expire(&mut self, last: Tick) -> Vec<Decided> {
        let interval = self.interval();
        if let Some(newest) = self.newest
            && let Some(tick) = self.tick_of(newest).filter(|tick| *tick <= last.0)
            && let Some((_, end)) = self.span_of(newest)
            && let Some(count) = self.open.get_mut(&tick)
        {
            count.due += u64::try_from((end - newest - 1) / interval).unwrap_or(0);
        }
        self.decide_before(last.0.saturating_add(1))
    }

    fn decide_before(&mut self, end: u64) -> Vec<Decided> {
        let mut decided = Vec::new();
        while let Some((&tick, &count)) = self.open.first_key_value().filter(|(tick, _)| **tick < end) {
            self.open.pop_first();
            if tick < self.next {
                continue;
            }
            if tick > self.next {
                decided.push(Decided::UnplayedThrough(Tick(tick - 1)));
            }
            let has_played = count.shown > 0 && count.shown * 100 >= count.due * SHARE;
            decided.push(match has_played {
                true => Decided::Played(Tick(tick)),
                false => Decided::UnplayedThrough(Tick(tick)),
            });
            self.next = tick + 1;
        }
        if self.next < end {
            decided.push(Decided::UnplayedThrough(Tick(end - 1)));
            self.next = end;
        }
        decided
    }

    /// Counts a unit, and remembers it. What is missing before `from` was counted before.
    fn take(&mut self, unit: Unit, from: i64) {
        if self.recent.is_empty() {
            // Only now it is known which turn of the 32 bits this is.
            self.segments.iter_mut().for_each(|segment| segment.at = nearest(unit.at(), segment.at as u32));
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(unit);
        match unit {
            Unit::Came { at, after_gap } => self.count(at, after_gap, from),
            Unit::Shown { at } => {
                if let Some(tick) = self.tick_of(at)
                    && let Some(count) = self.open.get_mut(&tick)
                {
                    count.shown += 1;
                }
            }
        }
    }

    fn count(&mut self, at: i64, after_gap: bool, from: i64) {
        let interval = self.interval();
        let Some(before) = self.newest else {
            // The first of all. What its second began with may be missing.
            self.newest = Some(at);
            if let Some(begin) = self.segments.back().map(|segment| segment.at).filter(|begin| *begin < at) {
                let pictures = ((at - begin + interval / 2) / interval).max(1);
                self.missing(begin, at, pictures, 0, from);
            }
            self.due(at, 1);
            return;
        };
        let step = at.saturating_sub(before);
        if step <= 0 {
            // Decoding order need not be showing order.
            self.due(at, u64::from(step < 0));
            return;
        }
        self.newest = Some(at);
        let is_freeze = step >= (interval * 3).max(interval + self.rate * EXCESS_MS / 1000);
        if after_gap || is_freeze {
            let pictures = ((step + interval / 2) / interval).max(1);
            self.missing(before, at, pictures, 1, from);
        }
        if !after_gap {
            if self.intervals.len() == INTERVALS {
                self.intervals.pop_front();
            }
            self.intervals.push_back(step.min(self.rate));
        }
        self.due(at, 1);
    }

    /// Of `pictures` that lie evenly from `before` on, the one behind them at `at`, those from number `first` on never
    /// came.
    fn missing(&mut self, before: i64, at: i64, pictures: i64, first: i64, from: i64) {
        let mut ends = [self.tick_of(before), self.tick_of(at)];
        if ends[0] == ends[1] {
            ends[0] = None;
        }
        // Only the seconds at both ends can have anything that was shown.
        for (tick, within) in ends.into_iter().zip([before, at]) {
            let Some((tick, (start, end))) = tick.and_then(|tick| Some((tick, self.span_of(within)?))) else {
                continue;
            };
            // Number n lies at before + (at - before) · n / pictures.
            let number_at = |place: i64| divide_up((place - before) * pictures, at - before);
            let count = number_at(end).min(pictures) - number_at(start.max(from)).max(first);
            self.due_of(tick, u64::try_from(count).unwrap_or(0));
        }
    }

    fn due(&mut self, at: i64, count: u64) {
        if let Some(tick) = self.tick_of(at) {
            self.due_of(tick, count);
        }
    }

    fn due_of(&mut self, tick: u64, count: u64) {
        if tick >= self.next && (self.open.len() < OPEN || self.open.contains_key(&tick)) {
            self.open.entry(tick).or_default().due += count;
        }
    }

    /// `None` before the first beginning, and for what lies between the last second of one and the beginning of the next.
    fn tick_of(&self, at: i64) -> Option<u64> {
        let index = self.segments.iter().rposition(|segment| segment.at <= at)?;
        let segment = self.segments[index];
        let tick = segment.first.checked_add(u64::try_from((at - segment.at) / self.rate).ok()?)?;
        let is_taken = self.segments.get(index + 1).is_some_and(|next| tick >= next.first);
        (!is_taken).then_some(tick)
    }

    /// From where to where the second of a timestamp lies.
    fn span_of(&self, within: i64) -> Option<(i64, i64)> {
        let index = self.segments.iter().rposition(|segment| segment.at <= within)?;
        let begin = self.segments[index].at;
        let start = begin + (within - begin) / self.rate * self.rate;
        let next = self.segments.get(index + 1).map_or(i64::MAX, |segment| segment.at);
        Some((start, (start + self.rate).min(next)))
    }

    /// The usual one between two pictures.
    fn interval(&self) -> i64 {
        let mut sorted: Vec<i64> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(self.rate / NOMINAL)
    }
}

/// The value nearest to `near` that has these 32 bits.
fn nearest(near: i64, bits: u32) -> i64 {
    near + i64::from(bits.wrapping_sub(near as u32) as i32)
}

fn divide_up(value: i64, by: i64) -> i64 {
    value.div_euclid(by) + i64::from(value.rem_euclid(by) > 0)
}

#[cfg(test)]
mod tests;
