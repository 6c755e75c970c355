//! A publisher's times, made to go on where its clock jumps or is of no use.
//!
//! What reads a stream takes its times for one line: a playlist whose times went back would wait for ever.

use std::collections::BTreeMap;

use media::{Timescale, Timestamp};

use super::Lane;

/// A lane's times may go back by so much: senders jitter, and correct their clocks a little.
const BACK: Timestamp = Timestamp::new(1, Timescale::of(1));
/// And ahead by so much more than it took to arrive; a pause is no jump.
const AHEAD: Timestamp = Timestamp::new(10, Timescale::of(1));
/// After a jump the next packet is at least so much later than the one before: a frame at 25 fps.
const STEP: Timestamp = Timestamp::new(40, Timescale::MILLIS);
/// Times that come no further than `CRAWL` in so many packets stand still: the shortest frames of sound make forty.
const STILL_PACKETS: u32 = 60;
const CRAWL: Timestamp = Timestamp::new(100, Timescale::MILLIS);
/// A clock that jumps so often, each time within `STILL_PACKETS` of the last, says nothing.
const WILD_JUMPS: u32 = 5;

/// What a packet's time tells of its publisher's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// It goes on.
    Steady,
    /// Another timeline begins.
    Jumped,
    /// From now on packets are placed by when they come.
    Useless,
}

#[derive(Debug)]
struct Course {
    /// What is added to the lane's times.
    offset: Timestamp,
    /// Of its last packet, with the offset.
    last: Timestamp,
    /// Its own time when it last came on by `CRAWL`, and how many packets there were since.
    mark: Timestamp,
    since_mark: u32,
}

/// How far a timeline came: its latest time, and when that packet came.
pub type Reached = (Timestamp, Timestamp);

/// See the module. Lanes of one timeline keep their places to each other: one that jumps takes up the offset of
/// another where that makes it go on.
#[derive(Debug, Default)]
pub struct Continuity {
    lanes: BTreeMap<Lane, Course>,
    /// The latest time that was given, and when that packet came.
    newest: Option<Reached>,
    /// What was given to a publisher before this one: nothing is placed there again.
    floor: Option<Timestamp>,
    since_jump: u32,
    wild_jumps: u32,
    by_arrival: bool,
}

impl Continuity {
    /// Of a publisher that goes on with a broadcast in which another came so far. Seconds that were sent once, and paid
    /// for, do not come again.
    pub fn after(reached: Option<Reached>) -> Self {
        Self { newest: reached, floor: reached.map(|(newest, _)| newest), ..Self::default() }
    }

    pub const fn reached(&self) -> Option<Reached> {
        self.newest
    }

    /// Where a packet of `lane` that says `time` and came at `arrived` belongs.
    pub fn place(&mut self, lane: Lane, time: Timestamp, arrived: Timestamp) -> (Timestamp, Finding) {
        let mut finding = Finding::Steady;
        if !self.by_arrival {
            let known = self.lanes.get(&lane).map(|course| course.offset);
            let others = self.lanes.values().map(|course| course.offset);
            // The first packet of all may mean what it says.
            let own = self.lanes.is_empty().then(|| Timestamp::zero(time.timescale()));
            let mut candidates = known.into_iter().chain(others).chain(own);
            let fitting = candidates.find(|offset| self.fits(lane, time, *offset, arrived));
            let offset = fitting.unwrap_or_else(|| match self.follow_up(arrived) {
                Some(next) => next.rescale(time.timescale()).minus(time),
                // The first packet of all says what its times mean.
                None => Timestamp::zero(time.timescale()),
            });
            if known.is_some() && fitting.is_none() {
                finding = self.note_jump();
            }
            self.since_jump = self.since_jump.saturating_add(1);
            if self.note(lane, time, offset) {
                finding = Finding::Useless;
            }
            self.by_arrival |= finding == Finding::Useless;
        }
        let course = self.lanes.get(&lane);
        let at = match course.filter(|_| !self.by_arrival) {
            Some(course) => time.plus(course.offset),
            None => {
                let now = self.newest.map_or(arrived, |(at, came)| at.plus(arrived.minus(came)));
                course.map_or(now, |course| now.max(course.last)).rescale(time.timescale())
            }
        };
        if let Some(course) = self.lanes.get_mut(&lane) {
            course.last = at;
        }
        if self.newest.is_none_or(|(newest, _)| at >= newest) {
            self.newest = Some((at, arrived));
        }
        (at, finding)
    }

    /// Whether `time` with `offset` goes on from what the lane had.
    fn fits(&self, lane: Lane, time: Timestamp, offset: Timestamp, arrived: Timestamp) -> bool {
        let at = time.plus(offset);
        let Some((newest, came)) = self.newest else { return true };
        let earliest = match self.lanes.get(&lane) {
            Some(course) => course.last.minus(BACK),
            None => newest.minus(AHEAD),
        };
        let passed = arrived.minus(came).max(Timestamp::zero(Timescale::MILLIS));
        let is_first = self.lanes.is_empty();
        // Lanes of one timeline stay together: the second one may begin a little before the first.
        let floor = self.floor.map(|floor| if is_first { floor } else { floor.minus(BACK) });
        let is_new = floor.is_none_or(|floor| at > floor);
        // Whoever lagged before may be on time now.
        let now = newest.plus(passed);
        let latest = if is_first { now.max(arrived) } else { now };
        is_new && earliest <= at && at <= latest.plus(AHEAD)
    }

    /// As long after the newest packet as this one came after it.
    fn follow_up(&self, arrived: Timestamp) -> Option<Timestamp> {
        self.newest.map(|(at, came)| at.plus(arrived.minus(came).max(STEP)))
    }

    fn note_jump(&mut self) -> Finding {
        self.wild_jumps = if self.since_jump < STILL_PACKETS { self.wild_jumps + 1 } else { 0 };
        self.since_jump = 0;
        if self.wild_jumps >= WILD_JUMPS { Finding::Useless } else { Finding::Jumped }
    }

    /// Keeps a lane's offset. Whether its own times stand still.
    fn note(&mut self, lane: Lane, time: Timestamp, offset: Timestamp) -> bool {
        let begun = Course { offset, last: time.plus(offset), mark: time, since_mark: 0 };
        let course = self.lanes.entry(lane).or_insert(begun);
        if course.offset != offset || time > course.mark.plus(CRAWL) {
            (course.offset, course.mark, course.since_mark) = (offset, time, 0);
        }
        course.since_mark += 1;
        course.since_mark > STILL_PACKETS
    }
}

#[cfg(test)]
mod tests {
    use media::{Codec, RenditionName};

    use super::*;

    const VIDEO: Lane = Lane::Video(RenditionName::High);
    const SOUND: Lane = Lane::Audio(Codec::Aac);

    fn ms(ms: i64) -> Timestamp {
        Timestamp::new(ms, Timescale::MILLIS)
    }

    /// Where packets of a lane, time and arrival in milliseconds, are put, and what else was found.
    fn placed(continuity: &mut Continuity, packets: &[(Lane, i64, i64)]) -> (Vec<i64>, Vec<Finding>) {
        let mut findings = Vec::new();
        let times = packets.iter().map(|&(lane, time, arrived)| {
            let (at, finding) = continuity.place(lane, ms(time), ms(arrived));
            findings.extend(Some(finding).filter(|finding| *finding != Finding::Steady));
            at.ticks()
        });
        (times.collect(), findings)
    }

    #[test]
    fn times_that_restart_go_on_from_where_they_were_and_lanes_keep_their_places() {
        let packets = [
            (VIDEO, 8000, 100),
            (SOUND, 8010, 110),
            (VIDEO, 8040, 140),
            // Pictures and sound begin again at 0, sound 10 ms after them.
            (VIDEO, 0, 200),
            (SOUND, 10, 205),
            (VIDEO, 40, 240),
        ];
        let (times, findings) = placed(&mut Continuity::default(), &packets);
        assert_eq!(times, [8000, 8010, 8040, 8100, 8110, 8140]);
        assert_eq!(findings, [Finding::Jumped]);
    }

    #[test]
    fn a_jump_ahead_goes_on_too_and_a_pause_is_none() {
        let mut continuity = Continuity::default();
        let (times, findings) = placed(&mut continuity, &[(VIDEO, 0, 0), (VIDEO, 3_600_000, 10)]);
        assert_eq!((times, findings), (vec![0, 40], vec![Finding::Jumped]));
        // A minute passed for both: nothing is moved.
        let (times, findings) =
            placed(&mut continuity, &[(VIDEO, 3_660_000, 60_010), (SOUND, 3_660_000, 60_020)]);
        assert_eq!((times, findings), (vec![60_040, 60_040], vec![]));
    }

    #[test]
    fn a_lane_that_was_silent_while_another_went_on_has_not_jumped() {
        let mut continuity = Continuity::default();
        placed(&mut continuity, &[(SOUND, 0, 0)]);
        // In a burst, so that nothing can be told from arrivals.
        let pictures: Vec<_> = (0..100).map(|tenths| (VIDEO, tenths * 400, 0)).collect();
        placed(&mut continuity, &pictures);
        assert_eq!(placed(&mut continuity, &[(SOUND, 39_600, 1)]), (vec![39_600], vec![]));
    }

    #[test]
    fn a_clock_that_jitters_or_is_an_hour_off_is_left_alone() {
        let hour = 3_600_000;
        let packets = [(VIDEO, hour, 5), (VIDEO, hour + 900, 50), (VIDEO, hour, 90), (SOUND, hour - 500, 90)];
        let (times, findings) = placed(&mut Continuity::default(), &packets);
        assert_eq!((times, findings), (packets.iter().map(|packet| packet.1).collect(), vec![]));
    }

    #[test]
    fn times_that_stand_still_are_replaced_by_when_packets_come() {
        let mut continuity = Continuity::default();
        let packets: Vec<_> = (0..200).map(|index| (VIDEO, 0, index * 40)).collect();
        let (times, findings) = placed(&mut continuity, &packets);
        assert_eq!(findings, [Finding::Useless]);
        let steps: Vec<_> = times[60..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| *step == 40), "{times:?}");
        // Sound that comes then is placed beside them.
        assert_eq!(placed(&mut continuity, &[(SOUND, 0, 8000)]).0, [times[199] + 40]);
    }

    #[test]
    fn a_clock_that_jumps_with_every_packet_is_of_no_use() {
        let mut continuity = Continuity::default();
        let packets: Vec<_> = (0..200).map(|index| (VIDEO, index % 2 * 100_000, index * 40)).collect();
        let (times, findings) = placed(&mut continuity, &packets);
        assert_eq!(findings.last(), Some(&Finding::Useless));
        assert_eq!(findings.len(), WILD_JUMPS as usize);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 40), "{times:?}");
    }

    #[test]
    fn a_publisher_that_returns_is_placed_after_what_was_sent_before_it() {
        let mut before = Continuity::default();
        // Sent ahead of time: eight seconds more than passed.
        placed(&mut before, &[(VIDEO, 0, 0), (SOUND, 10_000, 2_000), (VIDEO, 10_040, 2_040)]);
        let mut back = Continuity::after(before.reached());
        let packets = [(VIDEO, 3_040, 3_040), (SOUND, 3_030, 3_045), (VIDEO, 3_080, 3_080)];
        assert_eq!(placed(&mut back, &packets), (vec![11_040, 11_030, 11_080], vec![]));
        // One whose times are later keeps them; one that begins within what was sent does not.
        let mut later = Continuity::after(before.reached());
        assert_eq!(placed(&mut later, &[(VIDEO, 10_041, 3_040)]).0, [10_041]);
        let mut within = Continuity::after(before.reached());
        assert_eq!(placed(&mut within, &[(VIDEO, 10_040, 3_040)]).0, [11_040]);
        // At once, and with sound that begins before the pictures: they stay together.
        let mut at_once = Continuity::after(before.reached());
        assert_eq!(placed(&mut at_once, &[(VIDEO, 2_040, 2_041), (SOUND, 1_900, 2_042)]).0, [10_080, 9_940]);
        // Of one that lagged by half a minute nothing stays behind.
        let mut lagged = Continuity::default();
        placed(&mut lagged, &[(VIDEO, 0, 30_000)]);
        let mut in_time = Continuity::after(lagged.reached());
        assert_eq!(placed(&mut in_time, &[(VIDEO, 31_000, 31_000)]).0, [31_000]);
    }

    #[test]
    fn a_file_sent_again_and_again_is_on_one_line() {
        let mut continuity = Continuity::default();
        let packets: Vec<_> = (0..1000).map(|index| (VIDEO, index % 250 * 40, index * 40)).collect();
        let (times, findings) = placed(&mut continuity, &packets);
        assert_eq!(times, (0..1000).map(|index| index * 40).collect::<Vec<_>>());
        assert_eq!(findings, [Finding::Jumped; 3]);
    }
}
