use std::collections::BTreeSet;

use media::{Timestamp, WallTime};
use mux::hls::SegmentStart;
use proptest::prelude::*;

use super::*;

/// Of media time zero, in microseconds since 1970.
const EPOCH_US: u64 = 1_800_000_000_000_000;
const LOW: TrackName = TrackName::Video(RenditionName::Low);
const MEDIUM: TrackName = TrackName::Video(RenditionName::Medium);

fn ms(ms: i64) -> Timestamp {
    Timestamp::new(ms * 90, Timescale::VIDEO)
}

/// What lies from `start` to `end` in the segment of two seconds that begins at `segment`; all in milliseconds.
fn file(track: TrackName, segment: i64, (start, end): (i64, i64)) -> Extent {
    let wall = WallTime::from_unix_micros(EPOCH_US).plus(ms(segment));
    let segment = SegmentStart { msn: 0, start: ms(segment), wall, discontinuity: 0, init: 0 };
    Extent { track, segment, start: ms(start), end: ms(end) }
}

/// The part of that number, a third of a second long, from the stream's beginning on.
fn part(track: TrackName, number: i64) -> Extent {
    let at = |number: i64| number * 1_000 / 3;
    file(track, number / 6 * 2_000, (at(number), at(number + 1)))
}

fn segment(track: TrackName, number: i64) -> Extent {
    file(track, number * 2_000, (number * 2_000, number * 2_000 + 2_000))
}

/// One whose run is the first, that may have the medium rendition and so many seconds.
fn meter(until: u64) -> HlsMeter {
    let mut meter = HlsMeter::default();
    meter.begin(1);
    meter.set_cap(RenditionName::Medium);
    meter.allow(1, until);
    meter
}

/// Sent whole.
fn takes(meter: &mut HlsMeter, file: &Extent) {
    let Verdict::Send(passage) = meter.ask(file, true) else { panic!("it is not sent") };
    meter.finished(passage, true);
}

fn said(meter: &mut HlsMeter) -> Vec<MeterNews> {
    meter.news().into_iter().map(|(_, news)| news).collect()
}

fn unsent(second: u64) -> MeterNews {
    MeterNews::Over { second, sent: 0, withheld: 0, acknowledged: 0 }
}

fn over(second: u64, acknowledged: u32) -> MeterNews {
    MeterNews::Over { second, sent: 100, withheld: 0, acknowledged }
}

#[test]
fn a_viewer_is_sent_what_is_allowed_and_what_comes_after_it_is_asked_for() {
    let mut meter = meter(1);
    takes(&mut meter, &part(MEDIUM, 30));
    let began = MeterNews::Began {
        // Ten seconds from the epoch.
        timestamp: 900_000,
        line: MeteredLine::Video,
        wall_ms: Some(EPOCH_US / 1_000 + 10_000),
    };
    assert_eq!(said(&mut meter), [began, MeterNews::Reached { second: 0, until: 1 }]);
    takes(&mut meter, &part(MEDIUM, 31));
    takes(&mut meter, &part(MEDIUM, 32));
    assert_eq!(said(&mut meter), []);
    assert_eq!(meter.ask(&part(MEDIUM, 33), true), Verdict::Wait);
    assert_eq!(said(&mut meter), [MeterNews::Reached { second: 1, until: 1 }]);
    meter.allow(1, 2);
    takes(&mut meter, &part(MEDIUM, 33));
}

#[test]
fn nothing_is_sent_before_anything_is_allowed_nor_by_another_run() {
    let mut meter = meter(0);
    assert_eq!(meter.ask(&part(LOW, 0), true), Verdict::Wait);
    meter.allow(2, 5);
    assert_eq!(meter.ask(&part(LOW, 0), true), Verdict::Wait);
    assert_eq!(said(&mut meter), []);
}

#[test]
fn what_lies_before_the_beginning_is_refused() {
    let mut meter = meter(2);
    takes(&mut meter, &part(MEDIUM, 30));
    // A part of sound that goes on into it is not older.
    let sound = file(TrackName::Audio, 8_000, (9_800, 10_100));
    assert!(matches!(meter.ask(&sound, true), Verdict::Send(_)));
    let whole = file(TrackName::Audio, 8_000, (8_000, 10_100));
    for older in [part(MEDIUM, 29), part(LOW, 24), segment(MEDIUM, 4), part(TrackName::Audio, 29), whole] {
        assert_eq!(meter.ask(&older, true), Verdict::Refused(Withheld::Passed), "{older:?}");
    }
}

/// A segment is two seconds, and both have to be paid for.
#[test]
fn a_whole_segment_waits_until_each_of_its_seconds_is_allowed() {
    let mut meter = meter(1);
    assert_eq!(meter.ask(&segment(MEDIUM, 0), true), Verdict::Wait);
    assert!(said(&mut meter).contains(&MeterNews::Reached { second: 1, until: 1 }));
    meter.allow(1, 2);
    takes(&mut meter, &segment(MEDIUM, 0));
}

#[test]
fn a_second_that_was_passed_over_is_said_to_be_unsent_and_is_never_sent() {
    let mut meter = meter(2);
    takes(&mut meter, &part(MEDIUM, 0));
    said(&mut meter);
    assert_eq!(meter.ask(&part(MEDIUM, 15), true), Verdict::Wait);
    assert_eq!(said(&mut meter), [unsent(1), MeterNews::Reached { second: 5, until: 2 }]);
    meter.allow(1, 4);
    assert_eq!(said(&mut meter), [unsent(2), unsent(3)], "it was known to be passed over before");
    meter.allow(1, 7);
    said(&mut meter);
    takes(&mut meter, &part(MEDIUM, 15));
    for passed in [part(MEDIUM, 3), part(LOW, 11), part(TrackName::Audio, 6), segment(MEDIUM, 1)] {
        assert_eq!(meter.ask(&passed, true), Verdict::Refused(Withheld::Passed), "{passed:?}");
    }
    takes(&mut meter, &part(MEDIUM, 0));
}

#[test]
fn sound_begins_nothing_and_goes_no_further_than_one_second_before_the_pictures() {
    let mut meter = meter(5);
    assert_eq!(meter.ask(&part(TrackName::Audio, 0), true), Verdict::Wait);
    assert_eq!(said(&mut meter), []);
    takes(&mut meter, &part(MEDIUM, 0));
    takes(&mut meter, &part(TrackName::Audio, 0));
    takes(&mut meter, &part(TrackName::Audio, 3));
    // The sound of a second that is paid for is that second's.
    assert_eq!(meter.ask(&part(TrackName::Audio, 9), true), Verdict::Wait);
    let alone = |meter: &mut HlsMeter| meter.ask(&part(TrackName::Audio, 0), false);
    let mut of_sound = HlsMeter::default();
    of_sound.begin(1);
    of_sound.allow(1, 1);
    assert!(matches!(alone(&mut of_sound), Verdict::Send(_)), "where there are no pictures it leads");
}

#[test]
fn a_second_in_two_renditions_is_one_second_whatever_is_sent_twice() {
    let mut meter = meter(9);
    takes(&mut meter, &part(LOW, 0));
    takes(&mut meter, &part(LOW, 0));
    takes(&mut meter, &part(MEDIUM, 1));
    takes(&mut meter, &part(MEDIUM, 2));
    takes(&mut meter, &part(LOW, 1));
    for number in 3..12 {
        takes(&mut meter, &part(MEDIUM, number));
    }
    let overs: Vec<_> =
        said(&mut meter).into_iter().filter(|news| matches!(news, MeterNews::Over { .. })).collect();
    assert_eq!(overs, [over(0, 100), over(1, 100)]);
}

#[test]
fn what_was_not_sent_whole_is_not_delivered() {
    let mut meter = meter(9);
    for number in 0..12 {
        let Verdict::Send(passage) = meter.ask(&part(MEDIUM, number), true) else { panic!("{number}") };
        meter.finished(passage, number != 1);
    }
    // Its second third is missing: from 33 to 67 hundredths, rounded.
    assert!(said(&mut meter).contains(&over(0, 66)));
}

#[test]
fn what_is_better_than_the_tier_is_refused_and_before_the_tier_is_known_nothing_is_sent() {
    let mut meter = meter(5);
    let high = part(TrackName::Video(RenditionName::High), 0);
    assert_eq!(meter.ask(&high, true), Verdict::Refused(Withheld::AboveTier));
    takes(&mut meter, &part(MEDIUM, 0));
    meter.begin(2);
    meter.allow(2, 5);
    assert_eq!(meter.ask(&part(LOW, 6), true), Verdict::Wait);
}

/// A player asks for the next part while the one before it still waits: that one must not count as passed over.
#[test]
fn what_waits_goes_before_what_comes_after_it() {
    let mut meter = meter(1);
    takes(&mut meter, &part(MEDIUM, 0));
    let (first, second) = (part(MEDIUM, 3), part(MEDIUM, 6));
    assert_eq!(meter.ask(&first, true), Verdict::Wait);
    let place = meter.queue(&first);
    assert_eq!(meter.ask(&second, true), Verdict::Wait);
    meter.queue(&second);
    said(&mut meter);
    meter.allow(1, 3);
    assert_eq!(meter.ask(&second, true), Verdict::Wait);
    takes(&mut meter, &first);
    meter.leave_queue(place);
    takes(&mut meter, &second);
    assert!(!said(&mut meter).contains(&unsent(1)));
}

#[test]
fn a_second_that_was_sent_by_the_lower_tier_is_not_had_in_the_better_one_later() {
    let mut meter = HlsMeter::default();
    meter.begin(1);
    meter.set_cap(RenditionName::Low);
    meter.allow(1, 3);
    for number in 0..6 {
        takes(&mut meter, &part(LOW, number));
    }
    meter.set_cap(RenditionName::Medium);
    for older in [part(MEDIUM, 1), part(MEDIUM, 5), segment(MEDIUM, 0)] {
        assert_eq!(meter.ask(&older, true), Verdict::Refused(Withheld::AboveTier), "{older:?}");
    }
    takes(&mut meter, &part(MEDIUM, 6));
    takes(&mut meter, &part(LOW, 1));
}

#[test]
fn a_second_is_sent_four_times_in_all_renditions_together_and_its_sound_likewise() {
    let whole = |meter: &mut HlsMeter, track| (0..3).for_each(|number| takes(meter, &part(track, number)));
    let mut meter = meter(2);
    for track in [LOW, MEDIUM, LOW, MEDIUM] {
        whole(&mut meter, track);
    }
    for file in [part(LOW, 0), part(MEDIUM, 2), segment(LOW, 0)] {
        assert_eq!(meter.ask(&file, true), Verdict::Refused(Withheld::TooOften), "{file:?}");
    }
    (0..4).for_each(|_| whole(&mut meter, TrackName::Audio));
    assert_eq!(meter.ask(&part(TrackName::Audio, 1), true), Verdict::Refused(Withheld::TooOften));
    // The next one is another.
    takes(&mut meter, &part(LOW, 3));
}

#[test]
fn a_run_ends_with_what_is_known_of_its_seconds_and_what_was_not_sent_of_them() {
    let mut meter = meter(3);
    takes(&mut meter, &part(MEDIUM, 0));
    let Verdict::Send(late) = meter.ask(&part(MEDIUM, 1), true) else { panic!("it is not sent") };
    said(&mut meter);
    meter.begin(2);
    assert_eq!(meter.news(), [(1, unsent(1)), (1, unsent(2)), (1, over(0, 33))]);
    meter.finished(late, true);
    assert_eq!(meter.news(), []);
}

/// Which seconds a till lets through, and those that it takes for unsent.
#[derive(Default)]
struct Books {
    allowed: u64,
    unowed: BTreeSet<u64>,
}

impl Books {
    /// As a till whose gate is open does it.
    fn hear(&mut self, news: MeterNews) {
        match news {
            MeterNews::Began { .. } => {}
            MeterNews::Reached { second, .. } => {
                while self.allowed < second + 2 {
                    if self.allowed < second {
                        self.unowed.insert(self.allowed);
                    }
                    self.allowed += 1;
                }
            }
            MeterNews::Over { second, sent, .. } => {
                if sent == 0 && second < self.allowed {
                    self.unowed.insert(second);
                }
            }
        }
    }
}

proptest! {
    /// Whatever is asked for in whichever order, by however many connections: each second that was sent was allowed, and
    /// in the end those are owed and no others.
    #[test]
    fn what_was_sent_is_owed_and_nothing_else_is(
        asks in prop::collection::vec((0_i64..60, 0_u8..4, any::<bool>(), any::<bool>()), 1..120),
    ) {
        let (mut meter, mut books) = (meter(1), Books { allowed: 1, ..Books::default() });
        let (mut begin, mut sent, mut waits) = (None, BTreeSet::new(), Vec::new());
        for (number, kind, waits_on, is_told) in asks {
            let asked = match kind {
                0 => part(LOW, number),
                1 => part(MEDIUM, number),
                2 => part(TrackName::Audio, number),
                _ => segment(MEDIUM, number / 6),
            };
            let verdict = meter.ask(&asked, true);
            for news in said(&mut meter) {
                if let MeterNews::Began { wall_ms, .. } = news {
                    begin = wall_ms.map(|wall| wall as i64 * 1_000);
                }
                books.hear(news);
            }
            if let Verdict::Send(passage) = verdict {
                let (start, end) = span_of(&asked);
                let from = start - begin.unwrap();
                prop_assert!(from >= 0 || (kind == 2 && from >= -SOUND_LEAD_US));
                sent.extend((from + SLACK_US).max(0) as u64 / 1_000_000..=(end - begin.unwrap() - SLACK_US) as u64 / 1_000_000);
                meter.finished(passage, true);
            } else if waits_on && kind != 2 {
                waits.push(meter.queue(&asked));
            }
            if waits.len() > 2 {
                meter.leave_queue(waits.remove(0));
            }
            if is_told {
                meter.allow(1, books.allowed);
            }
            said(&mut meter).into_iter().for_each(|news| books.hear(news));
            prop_assert!(sent.iter().all(|second| *second < books.allowed), "{:?}", sent);
            prop_assert!(sent.is_disjoint(&books.unowed), "{:?} {:?}", sent, books.unowed);
        }
        meter.allow(1, books.allowed);
        meter.end();
        said(&mut meter).into_iter().for_each(|news| books.hear(news));
        let owed: BTreeSet<u64> = (0..books.allowed).filter(|second| !books.unowed.contains(second)).collect();
        prop_assert_eq!(owed, sent);
    }
}
