//! A paid LL-HLS viewer's gate and clock: which files it may be sent, and what became of the seconds in them. It knows
//! no socket, no clock of its own and no price.
//!
//! Second k is [k, k + 1) seconds after the beginning of the first file of pictures that was asked for. A file is sent where
//! all of its seconds are allowed. A viewer asks for what it wants when it wants it, so seconds go by in the order of what it
//! asks: one that it passed over is sent never more, since nobody owes it.

use std::collections::{BTreeMap, VecDeque};

use api::pay::MeteredLine;
use media::{RenditionName, Timescale};
use mux::hls::{Extent, TrackName};

use super::till::MeterNews;

#[cfg(test)]
mod tests;

const SECOND_US: i64 = 1_000_000;
/// By so much the same moment may lie elsewhere in another rendition, and times are rounded.
const SLACK_US: i64 = 20_000;
/// Sound may begin so much before the pictures: its parts end where they like.
const SOUND_LEAD_US: i64 = 400_000;
/// A second is looked at in so many pieces: which of them the viewer has, by whichever renditions.
const PIECES: u32 = 100;
const PIECE_US: i64 = SECOND_US / PIECES as i64;
/// What became of a second is said once one that lies so much later was sent: its last files may be on their way, and sound
/// is asked for ahead of pictures.
const LAG: u64 = 2;
/// A second is sent so often at most, in all renditions together: a player fetches some again as its quality changes, and
/// what is fetched for others is theirs to pay for.
const COPIES: u32 = 4;
/// Seconds that were sent and are remembered: more than files are kept for.
const REMEMBERED: usize = 128;

/// One viewer's.
#[derive(Debug, Default)]
pub struct HlsMeter {
    /// The best rendition that is paid for; `None` until it is told.
    cap: Option<RenditionName>,
    run: Option<Run>,
    /// Where pictures begin that were asked for and wait, and how many there are.
    waiting: BTreeMap<i64, usize>,
    news: Vec<(u32, MeterNews)>,
}

#[derive(Debug)]
struct Run {
    number: u32,
    /// Seconds below this may be sent.
    until: u64,
    /// Where second 0 begins, in microseconds since 1970.
    begin: Option<i64>,
    /// The newest second that was sent or asked for.
    reached: Option<u64>,
    /// All below are in `seconds`, or passed.
    next: u64,
    /// Of which anything was sent, oldest first.
    seconds: VecDeque<Second>,
}

#[derive(Debug)]
struct Second {
    number: u64,
    /// The pieces that were sent whole.
    has: u128,
    /// Files of it that are on their way.
    sending: u32,
    /// What was paid for when the first of it was sent.
    cap: Option<RenditionName>,
    /// Pieces of pictures that were handed out, whatever became of them, and of sound.
    handed: [u32; 2],
    is_over: bool,
}

/// What an answer may be.
#[derive(PartialEq, Eq, Debug)]
pub enum Verdict {
    Send(Passage),
    /// Until something changes.
    Wait,
    Refused(Withheld),
}

/// Why something is never sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Withheld {
    /// Better than what is paid for.
    AboveTier,
    /// From before the beginning, or passed over.
    Passed,
    /// As often as a second is sent.
    TooOften,
    /// The viewer is none any more.
    Over,
}

/// A file on its way: to be handed back once it is sent, or is not.
#[must_use = "its seconds stay open until it is handed back"]
#[derive(PartialEq, Eq, Debug)]
pub struct Passage {
    run: u32,
    /// Seconds, and the pieces of each.
    holds: Vec<(u64, u128)>,
}

/// In microseconds since 1970.
fn span_of(file: &Extent) -> (i64, i64) {
    let segment = i64::try_from(file.segment.wall.unix_micros()).unwrap_or(i64::MAX);
    let at = |time: media::Timestamp| {
        segment.saturating_add(time.minus(file.segment.start).rescale(Timescale::MICROS).ticks())
    };
    (at(file.start), at(file.end))
}

impl HlsMeter {
    pub fn cap(&self) -> Option<RenditionName> {
        self.cap
    }

    /// Nothing was asked for that could be sent.
    pub fn is_untouched(&self) -> bool {
        self.run.as_ref().is_none_or(|run| run.begin.is_none())
    }

    pub fn set_cap(&mut self, cap: RenditionName) {
        self.cap = Some(cap);
    }

    /// Begins a run; the one before is over.
    pub fn begin(&mut self, number: u32) {
        self.end();
        self.cap = None;
        self.run =
            Some(Run { number, until: 0, begin: None, reached: None, next: 0, seconds: VecDeque::new() });
    }

    /// Closes what is open with what is known of it.
    pub fn end(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        let (next, until) = (run.next, run.until);
        run.pass(next, until.max(next), &mut self.news);
        for second in run.seconds.iter_mut().filter(|second| !second.is_over) {
            self.news.push((run.number, second.over()));
        }
    }

    pub fn allow(&mut self, number: u32, until: u64) {
        if let Some(run) = self.run.as_mut().filter(|run| run.number == number && run.until < until) {
            let before = std::mem::replace(&mut run.until, until);
            // What was passed over before it was known to be allowed.
            run.pass(before, run.next, &mut self.news);
        }
    }

    /// What there is to say since it was asked last, with the run's number.
    pub fn news(&mut self) -> Vec<(u32, MeterNews)> {
        std::mem::take(&mut self.news)
    }

    /// Pictures were asked for, and wait: those that begin later wait for them.
    pub fn queue(&mut self, file: &Extent) -> i64 {
        let start = span_of(file).0;
        *self.waiting.entry(start).or_default() += 1;
        start
    }

    /// They wait no longer.
    pub fn leave_queue(&mut self, start: i64) {
        if let Some(count) = self.waiting.get_mut(&start) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&start);
            }
        }
    }

    /// What becomes of a request for a file that is there. `has_pictures` says whether the stream has any: then they lead,
    /// and sound goes beside them.
    pub fn ask(&mut self, file: &Extent, has_pictures: bool) -> Verdict {
        if let TrackName::Video(name) = file.track {
            match self.cap {
                None => return Verdict::Wait,
                Some(cap) if name > cap => return Verdict::Refused(Withheld::AboveTier),
                Some(_) => {}
            }
        }
        let leads = matches!(file.track, TrackName::Video(_)) || !has_pictures;
        let (start, end) = span_of(file);
        let earliest = self.waiting.keys().next().copied().unwrap_or(start).min(start);
        let Some(run) = &mut self.run else { return Verdict::Wait };
        if run.begin.is_none() && leads && run.until > 0 && earliest == start {
            run.begin_at(file, has_pictures, &mut self.news);
        }
        let Some(begin) = run.begin else { return Verdict::Wait };
        let lead = if leads { SLACK_US } else { SOUND_LEAD_US };
        if start < begin - lead || end <= begin + SLACK_US {
            return Verdict::Refused(Withheld::Passed);
        }
        let first = second_at(start + SLACK_US - begin);
        let last = second_at(end - SLACK_US - 1 - begin).max(first);
        if (first..=last).any(|number| run.is_passed(number)) {
            return Verdict::Refused(Withheld::Passed);
        }
        if let TrackName::Video(name) = file.track
            && run.sent_within(first, last).any(|second| second.cap < Some(name))
        {
            return Verdict::Refused(Withheld::AboveTier);
        }
        let of = |number: u64| pieces(number, start - begin, end - begin);
        let kind = usize::from(!matches!(file.track, TrackName::Video(_)));
        let is_worn =
            |second: &Second| second.handed[kind] + of(second.number).count_ones() > COPIES * PIECES;
        if run.sent_within(first, last).any(is_worn) {
            return Verdict::Refused(Withheld::TooOften);
        }
        let skips = first > run.next;
        if skips && (!leads || earliest < start) {
            return Verdict::Wait;
        }
        if last < run.until {
            run.claim(first, last, self.cap, &mut self.news);
            for second in run.seconds.iter_mut().filter(|second| (first..=last).contains(&second.number)) {
                second.sending += 1;
                second.handed[kind] += of(second.number).count_ones();
            }
            let holds = (first..=last).map(|number| (number, if leads { of(number) } else { 0 })).collect();
            return Verdict::Send(Passage { run: run.number, holds });
        }
        if leads {
            // One second after the other is asked for, but for those that are passed over.
            let wanted = second_at(earliest + SLACK_US - begin).max(run.until);
            if wanted > run.until {
                run.pass(run.next, wanted, &mut self.news);
                run.next = run.next.max(wanted);
            }
            run.reach(wanted, &mut self.news);
        }
        Verdict::Wait
    }

    /// A file was sent whole, or is not sent any more.
    pub fn finished(&mut self, passage: Passage, is_whole: bool) {
        let Some(run) = self.run.as_mut().filter(|run| run.number == passage.run) else { return };
        for (number, pieces) in passage.holds {
            if let Some(second) = run.seconds.iter_mut().find(|second| second.number == number) {
                second.sending -= 1;
                second.has |= if is_whole { pieces } else { 0 };
            }
        }
        run.close_due(&mut self.news);
    }
}

impl Run {
    fn begin_at(&mut self, file: &Extent, has_pictures: bool, news: &mut Vec<(u32, MeterNews)>) {
        let begin = span_of(file).0;
        let (line, scale) = if has_pictures {
            (MeteredLine::Video, Timescale::VIDEO)
        } else {
            (MeteredLine::Audio, Timescale::AUDIO)
        };
        // Modulo 2^32, as RTP's are.
        let timestamp = file.start.rescale(scale).ticks() as u32;
        // As playlists have it: whole milliseconds.
        let wall_ms = u64::try_from(begin / 1_000).ok();
        self.begin = Some(begin);
        news.push((self.number, MeterNews::Began { timestamp, line, wall_ms }));
    }

    fn is_passed(&self, number: u64) -> bool {
        number < self.next && !self.seconds.iter().any(|second| second.number == number)
    }

    /// Of `from..to` nothing will be sent. What was not allowed is nobody's debt anyway.
    fn pass(&self, from: u64, to: u64, news: &mut Vec<(u32, MeterNews)>) {
        for second in (from..to.min(self.until)).filter(|number| !self.is_sent(*number)) {
            let over = MeterNews::Over { second, sent: 0, withheld: 0, acknowledged: 0 };
            news.push((self.number, over));
        }
    }

    fn sent_within(&self, first: u64, last: u64) -> impl Iterator<Item = &Second> {
        self.seconds.iter().filter(move |second| (first..=last).contains(&second.number))
    }

    fn is_sent(&self, number: u64) -> bool {
        self.seconds.iter().any(|second| second.number == number)
    }

    fn reach(&mut self, second: u64, news: &mut Vec<(u32, MeterNews)>) {
        if self.reached.is_none_or(|reached| reached < second) {
            self.reached = Some(second);
            news.push((self.number, MeterNews::Reached { second, until: self.until }));
        }
    }

    /// These seconds are sent from now on, and those before them that were not are passed.
    fn claim(&mut self, first: u64, last: u64, cap: Option<RenditionName>, news: &mut Vec<(u32, MeterNews)>) {
        self.pass(self.next, first, news);
        for number in self.next.max(first)..=last {
            self.seconds.push_back(Second {
                number,
                has: 0,
                sending: 0,
                cap,
                handed: [0; 2],
                is_over: false,
            });
        }
        self.next = self.next.max(last + 1);
        self.reach(last, news);
        self.close_due(news);
        while self.seconds.len() > REMEMBERED {
            let oldest = self.seconds.pop_front();
            news.extend(
                oldest.filter(|second| !second.is_over).map(|mut second| (self.number, second.over())),
            );
        }
    }

    /// Says what became of seconds behind which others were sent.
    fn close_due(&mut self, news: &mut Vec<(u32, MeterNews)>) {
        let next = self.next;
        let is_due =
            |second: &&mut Second| second.number + LAG < next && second.sending == 0 && !second.is_over;
        for second in self.seconds.iter_mut().filter(is_due) {
            news.push((self.number, second.over()));
        }
    }
}

impl Second {
    fn over(&mut self) -> MeterNews {
        self.is_over = true;
        MeterNews::Over {
            second: self.number,
            sent: PIECES,
            withheld: 0,
            acknowledged: self.has.count_ones(),
        }
    }
}

/// The second in which something lies that is so far from the beginning.
fn second_at(us: i64) -> u64 {
    u64::try_from(us.div_euclid(SECOND_US)).unwrap_or(0)
}

/// The pieces of a second that lie within `start..end`, rounded alike, so that files that follow each other leave no gap.
fn pieces(number: u64, start: i64, end: i64) -> u128 {
    let begin = i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(SECOND_US);
    let piece = |us: i64| ((us - begin + PIECE_US / 2).div_euclid(PIECE_US)).clamp(0, PIECES.into()) as u32;
    let below = |piece: u32| (1_u128 << piece) - 1;
    below(piece(end)) & !below(piece(start))
}
