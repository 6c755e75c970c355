//! A metered viewer's gate and clock: which seconds of its stream may pass, and what became of each. Knows
//! nothing of prices: whoever allows seconds does.

mod receipts;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use str0m::rtp::RawPacket;

use crate::event::{MeteredLine, Metering};
use crate::session::OutLine;

use receipts::Receipts;

/// A second whose packets are not all with the viewer is given up this long after its end.
const SETTLE: Duration = Duration::from_secs(3);
/// A second ends when media of a later one comes, or when none came for so long.
const SILENCE: Duration = Duration::from_secs(1);
/// Seconds that are not over; more end early. Four are open at most where time goes by as it should.
const MAX_OPEN: usize = 96;
/// Seconds without media that are named one by one; whoever allows more ahead than this can tell by
/// the second that comes next.
const MAX_PASSED: u64 = 64;
/// A stream that has no pictures for so long, while seconds are allowed, has none: it is counted by its sound.
const NO_PICTURES: Duration = Duration::from_secs(2);
/// What nobody has read; with more, the gate shuts.
const MAX_UNREAD: usize = 128;

/// One metered viewer's.
#[derive(Debug)]
pub(crate) struct Meter {
    video: Option<OutLine>,
    audio: Option<OutLine>,
    /// What the session is counted by.
    line: MeteredLine,
    session: Option<Session>,
    receipts: Receipts,
    unread: VecDeque<(u32, Metering)>,
    /// The shard knows that there is something to read.
    pub announced: bool,
}

#[derive(Debug)]
struct Session {
    number: u32,
    /// Seconds below this may pass.
    until: u64,
    clock: Option<Clock>,
    /// Nothing passes before the next key frame of an allowed second.
    held: bool,
    /// When sound first came that could have begun it.
    heard: Option<Instant>,
    /// Not over, oldest first.
    seconds: VecDeque<Second>,
}

/// Where the stream is in the session.
#[derive(Debug)]
struct Clock {
    /// The newest outgoing timestamp.
    timestamp: u32,
    /// Ticks from the first packet to it.
    position: u64,
    /// The newest second of which media came.
    reached: Option<u64>,
}

#[derive(Debug)]
struct Second {
    number: u64,
    sent: u32,
    withheld: u32,
    acknowledged: u32,
    /// When its newest packet came.
    latest: Instant,
    ended: Option<Instant>,
}

/// What the gate waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gate {
    /// Being allowed, or being read.
    Shut,
    /// A key frame.
    Ready,
    Open,
}

impl Meter {
    /// For a viewer with these lines; `None` for one that receives nothing.
    pub fn new(video: Option<OutLine>, audio: Option<OutLine>) -> Option<Self> {
        let out = video.or(audio)?;
        let line = if video.is_some() { MeteredLine::Video } else { MeteredLine::Audio };
        let receipts = Receipts::new(out.ssrc, out.rtx);
        Some(Self { video, audio, line, session: None, receipts, unread: VecDeque::new(), announced: false })
    }

    pub fn line(&self) -> MeteredLine {
        self.line
    }

    fn count_by(&mut self, line: MeteredLine) {
        let out = if line == MeteredLine::Video { self.video } else { self.audio };
        if let (true, Some(out)) = (self.line != line, out) {
            self.line = line;
            self.receipts = Receipts::new(out.ssrc, out.rtx);
        }
    }

    /// Sound came of a stream without pictures: it begins the session that pictures did not.
    pub fn hear(&mut self, now: Instant) {
        let ready = !self.has_begun() && self.gate() == Gate::Ready;
        let session = self.session.as_mut().filter(|_| ready);
        if session.is_some_and(|session| now >= *session.heard.get_or_insert(now) + NO_PICTURES) {
            self.count_by(MeteredLine::Audio);
        }
    }

    /// Whether the session's first packet went out.
    pub fn has_begun(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.clock.is_some())
    }

    /// Begins a session; the one before is over.
    pub fn begin(&mut self, number: u32) {
        self.end();
        self.count_by(MeteredLine::Video);
        let seconds = VecDeque::new();
        self.session = Some(Session { number, until: 0, clock: None, held: false, heard: None, seconds });
    }

    /// Closes what is open with what is known of it.
    pub fn end(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        for second in session.seconds.drain(..) {
            let acknowledged = second.acknowledged + self.receipts.close(second.number);
            self.say(session.number, second.over(acknowledged));
        }
        self.receipts.forget();
    }

    pub fn allow(&mut self, number: u32, until: u64) {
        if let Some(session) = self.session.as_mut().filter(|session| session.number == number) {
            session.until = session.until.max(until);
        }
    }

    pub fn gate(&self) -> Gate {
        let Some(session) = &self.session else { return Gate::Shut };
        let newest = session.clock.as_ref().and_then(|clock| clock.reached).unwrap_or(0);
        let allowed = newest < session.until;
        match &session.clock {
            Some(_) if !session.held => Gate::Open,
            _ if allowed && self.unread.len() < MAX_UNREAD => Gate::Ready,
            _ => Gate::Shut,
        }
    }

    /// Whether a packet of another line may pass that is `ticks` of the metered line's clock after the newest
    /// packet of that line. So sound ends with what was allowed even where pictures stop coming.
    pub fn passes_beside(&self, ticks: u32) -> bool {
        let Some(Session { until, clock: Some(clock), held: false, .. }) = &self.session else {
            return false;
        };
        (clock.position + u64::from(ticks)) / u64::from(self.line.rate()) < *until
    }

    /// Whether the source went back in time by a second or more: a session's time only goes on.
    pub fn goes_back(&self, timestamp: u32) -> bool {
        let clock = self.session.as_ref().and_then(|session| session.clock.as_ref());
        clock.is_some_and(|clock| clock.behind(timestamp).is_some_and(|ticks| ticks >= self.line.rate()))
    }

    /// Judges `packets` packets of the metered line with an outgoing `timestamp`; `starts` says that a viewer
    /// can start with them. Returns the second that they belong to if they may pass.
    pub fn judge(&mut self, timestamp: u32, starts: bool, packets: u32, now: Instant) -> Option<u64> {
        let gate = self.gate();
        let (line, full) = (self.line, self.unread.len() >= MAX_UNREAD);
        let session = self.session.as_mut()?;
        if session.clock.is_none() {
            if !starts || gate != Gate::Ready {
                return None;
            }
            session.clock = Some(Clock { timestamp, position: 0, reached: None });
            let number = session.number;
            self.say(number, Metering::Began { timestamp, line });
        }
        let session = self.session.as_mut()?;
        let clock = session.clock.as_mut()?;
        let number = clock.advance(timestamp, line.rate());
        if number >= session.until || full {
            session.held = true;
        } else if starts {
            session.held = false;
        }
        let passes = !session.held;
        self.reach(number, now);
        let session = self.session.as_mut()?;
        if let Some(second) = session.seconds.iter_mut().rfind(|second| second.number == number) {
            second.latest = now;
            second.withheld += if passes { 0 } else { packets };
        }
        passes.then_some(number)
    }

    /// A packet that was judged was written.
    pub fn sent(&mut self, number: u64, seq: u64, now: Instant) {
        let seconds = self.session.iter_mut().flat_map(|session| &mut session.seconds);
        if let Some(second) = seconds.rev().find(|second| second.number == number) {
            second.sent += 1;
            self.receipts.sent(seq, number, now);
        }
    }

    /// What the session sent, or what the viewer said of it.
    pub fn observe(&mut self, raw: RawPacket, now: Instant) {
        let Self { receipts, session, .. } = self;
        receipts.observe(raw, now, &mut |number| {
            let seconds = session.as_mut().map(|session| &mut session.seconds);
            let second = seconds.and_then(|seconds| seconds.iter_mut().find(|s| s.number == number));
            if let Some(second) = second {
                second.acknowledged += 1;
            }
        });
        self.close_due(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(newest) = self.session.as_mut().and_then(|session| session.seconds.back_mut())
            && newest.ended.is_none()
            && now >= newest.latest + SILENCE
        {
            newest.ended = Some(now);
        }
        self.close_due(now);
    }

    pub fn deadline(&self) -> Option<Instant> {
        let seconds = &self.session.as_ref()?.seconds;
        let oldest = seconds.front().and_then(|second| second.ended).map(|ended| ended + SETTLE);
        let newest = seconds.back().filter(|second| second.ended.is_none());
        oldest.into_iter().chain(newest.map(|second| second.latest + SILENCE)).min()
    }

    /// The next thing that nobody has read.
    pub fn read(&mut self) -> Option<(u32, Metering)> {
        self.unread.pop_front()
    }

    /// Puts back what was read last.
    pub fn unread(&mut self, session: u32, what: Metering) {
        self.unread.push_front((session, what));
    }

    pub fn has_news(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Media of a second has come.
    fn reach(&mut self, number: u64, now: Instant) {
        let Some(session) = &mut self.session else { return };
        let Some(clock) = session.clock.as_mut() else { return };
        if clock.reached.is_some_and(|reached| number <= reached) {
            return;
        }
        for second in &mut session.seconds {
            second.ended.get_or_insert(now);
        }
        let next = clock.reached.map_or(0, |reached| reached + 1);
        let passed = next..number.min(session.until).min(next + MAX_PASSED);
        clock.reached = Some(number);
        session.seconds.extend(passed.map(|number| Second { ended: Some(now), ..Second::new(number, now) }));
        session.seconds.push_back(Second::new(number, now));
        let (session, until) = (session.number, session.until);
        self.close_due(now);
        self.say(session, Metering::Reached { second: number, until });
    }

    /// Says what became of seconds that are over, in order.
    fn close_due(&mut self, now: Instant) {
        while let Some(session) = &mut self.session {
            let early = session.seconds.len() > MAX_OPEN;
            let Some(second) = session.seconds.pop_front_if(|second| early || second.is_over(now)) else {
                return;
            };
            let number = session.number;
            let acknowledged = second.acknowledged + self.receipts.close(second.number);
            self.say(number, second.over(acknowledged));
        }
    }

    fn say(&mut self, session: u32, what: Metering) {
        let reached = |what: &Metering| matches!(what, Metering::Reached { .. });
        let empty = |what: &Metering| matches!(what, Metering::Over { sent: 0, .. });
        if reached(&what) {
            self.unread.retain(|(_, earlier)| !reached(earlier));
        }
        if self.unread.len() >= MAX_UNREAD
            && let Some(at) = self.unread.iter().position(|(_, what)| empty(what))
        {
            // Nothing is owed for it. Of seconds with packets there are no more: the gate is shut.
            self.unread.remove(at);
        }
        self.unread.push_back((session, what));
    }
}

impl Clock {
    /// How far a timestamp is behind the newest, if it is.
    fn behind(&self, timestamp: u32) -> Option<u32> {
        let ticks = timestamp.wrapping_sub(self.timestamp).cast_signed();
        (ticks < 0).then_some(ticks.unsigned_abs())
    }

    /// The second of a timestamp; moves on to it if it is newer.
    fn advance(&mut self, timestamp: u32, rate: u32) -> u64 {
        let position = match self.behind(timestamp).filter(|&ticks| ticks < rate) {
            Some(ticks) => self.position.saturating_sub(ticks.into()),
            None => {
                self.position += u64::from(timestamp.wrapping_sub(self.timestamp));
                self.timestamp = timestamp;
                self.position
            }
        };
        position / u64::from(rate)
    }
}

impl Second {
    fn new(number: u64, now: Instant) -> Self {
        Self { number, sent: 0, withheld: 0, acknowledged: 0, latest: now, ended: None }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.ended.is_some_and(|ended| self.acknowledged == self.sent || now >= ended + SETTLE)
    }

    fn over(&self, acknowledged: u32) -> Metering {
        let Self { number: second, sent, withheld, .. } = *self;
        Metering::Over { second, sent, withheld, acknowledged }
    }
}
