use media::FrameRate;
use proptest::prelude::*;

use super::*;

const RATE: i64 = 90_000;
const THIRTY: i64 = 3_000;

fn video() -> PlayedSeconds {
    PlayedSeconds::new(Timescale::VIDEO)
}

/// What became of one picture on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Lost,
    Late,
    Shown,
}

/// Plays pictures at these timestamps; returns what was decided.
fn play(seconds: &mut PlayedSeconds, pictures: impl IntoIterator<Item = (i64, Fate)>) -> Vec<Decided> {
    let (mut decided, mut after_gap) = (Vec::new(), false);
    for (at, fate) in pictures {
        if fate == Fate::Lost {
            after_gap = true;
            continue;
        }
        seconds.came(at, std::mem::take(&mut after_gap));
        decided.extend(seconds.reach(at));
        if fate == Fate::Shown {
            seconds.shown(at);
        }
    }
    decided
}

fn played(ticks: impl IntoIterator<Item = u64>) -> Vec<Decided> {
    ticks.into_iter().map(|tick| Decided::Played(Tick(tick))).collect()
}

fn through(tick: u64) -> Decided {
    Decided::UnplayedThrough(Tick(tick))
}

/// Pictures of `rate` from 0 to behind `seconds`, all shown but the first so many of some seconds.
fn steady(rate: FrameRate, seconds: i64, lost: &[(i64, usize)], how: Fate) -> Vec<(i64, Fate)> {
    let all = (0..).map(|n| rate.timestamp_of(n, Timescale::VIDEO).ticks());
    let mut left: Vec<usize> = (0..seconds).map(|second| of(lost, second)).collect();
    all.take_while(|at| *at <= seconds * RATE)
        .map(|at| match left.get_mut((at / RATE) as usize) {
            Some(left @ 1..) => {
                *left -= 1;
                (at, how)
            }
            _ => (at, Fate::Shown),
        })
        .collect()
}

fn of(lost: &[(i64, usize)], second: i64) -> usize {
    lost.iter().find(|(lossy, _)| *lossy == second).map_or(0, |(_, count)| *count)
}

#[test]
fn a_tenth_of_a_seconds_pictures_may_be_missing_at_every_frame_rate_and_no_more() {
    // A second has 25, 30 (or 29), 30 and 60 pictures; a tenth of them, rounded down.
    for (frames, per, tolerated) in
        [(25, 1, 2), (30_000, 1_001, 3), (30, 1, 3), (60, 1, 6), (24, 1, 2), (10, 1, 1)]
    {
        let rate = FrameRate::new(frames, per).unwrap();
        for how in [Fate::Lost, Fate::Late] {
            let mut seconds = video();
            seconds.begin(Tick(0), 0);
            let lost = [(2, tolerated), (3, tolerated + 1), (5, tolerated)];
            // Behind the seventh second, whatever the rate: so that the sixth is over.
            let decided = play(&mut seconds, steady(rate, 7, &lost, how));
            let expected = [played(0..3), vec![through(3)], played(4..6)].concat();
            assert_eq!(decided[..6], expected, "{frames}/{per} {how:?}");
        }
    }
}

#[test]
fn a_freeze_counts_in_the_seconds_in_which_it_lies() {
    let frozen = |from: i64, to: i64| {
        let mut seconds = video();
        seconds.begin(Tick(0), 0);
        // The publisher made none: nothing was lost on the way.
        let pictures = (0..121).filter(|n| !(from..to).contains(n)).map(|n| (n * THIRTY, Fate::Shown));
        play(&mut seconds, pictures)
    };
    // Three on either side of the boundary at number 60: each second has nine tenths.
    assert_eq!(frozen(57, 63), played(0..4));
    assert_eq!(frozen(57, 64), [played(0..2), vec![through(2)], played([3])].concat());
    assert_eq!(frozen(56, 63), [played([0]), vec![through(1)], played(2..4)].concat());
    // Over a whole second and a bit of both neighbours.
    assert_eq!(frozen(57, 93), [played(0..2), vec![through(2)], played([3])].concat());
}

#[test]
fn steps_of_a_varying_frame_rate_are_no_freezes() {
    let mut seconds = video();
    seconds.begin(Tick(0), 0);
    let (mut at, mut pictures) = (0, Vec::new());
    // By turns a sixtieth, a thirtieth and a twentieth of a second, then ten a second.
    for step in [1_500, 3_000, 4_500].into_iter().cycle().take(90).chain([9_000; 31]) {
        pictures.push((at, Fate::Shown));
        at += step;
    }
    // 90 steps of 3 000 on average are three seconds, 30 of 9 000 three more.
    assert_eq!(play(&mut seconds, pictures), played(0..6));
}

#[test]
fn ticks_go_on_over_the_wrap_of_the_timestamps() {
    let start = i64::from(u32::MAX) + 1 - 45_000;
    let mut seconds = video();
    seconds.begin(Tick(7), start as u32);
    let pictures = (0..91).map(|n| (start + n * THIRTY, Fate::Shown));
    assert_eq!(play(&mut seconds, pictures), played(7..10));
    // The first picture that comes is behind the wrap, and its connection has just begun to count.
    let mut seconds = video();
    seconds.begin(Tick(7), start as u32);
    let pictures = (0..91).map(|n| (n * THIRTY - 45_000, if n < 16 { Fate::Lost } else { Fate::Shown }));
    assert_eq!(play(&mut seconds, pictures), [vec![through(7)], played(8..10)].concat());
}

#[test]
fn a_leap_of_the_clock_names_what_lies_between_at_once() {
    let mut seconds = video();
    seconds.begin(Tick(0), 0);
    let leap = 1_000_000 * RATE;
    let before = (0..45).map(|n| (n * THIRTY, Fate::Shown));
    let after = (0..31).map(|n| (leap + n * THIRTY, Fate::Shown));
    let decided = play(&mut seconds, before.chain(after));
    assert_eq!(decided, [played([0]), vec![through(1), through(999_999)], played([1_000_000])].concat());
}

#[test]
fn what_nothing_follows_is_over_when_it_is_said_to_be() {
    let mut seconds = video();
    seconds.begin(Tick(0), 0);
    // 27 of 30, 26 of 30, and nothing.
    for (tick, shown, expected) in [(0, 27, Decided::Played(Tick(0))), (1, 26, through(1))] {
        play(&mut seconds, (0..shown).map(|n| (tick * RATE + n * THIRTY, Fate::Shown)));
        assert_eq!(seconds.expire(Tick(tick as u64)), [expected]);
    }
    assert_eq!(seconds.expire(Tick(4)), [through(4)]);
    assert_eq!(seconds.expire(Tick(4)), []);
    // What comes for a second that is decided counts no more.
    assert_eq!(play(&mut seconds, (0..30).map(|n| (4 * RATE + n * THIRTY, Fate::Shown))), []);
    assert_eq!(seconds.reach(5 * RATE), []);
}

#[test]
fn after_a_hold_seconds_begin_anew_where_the_node_says() {
    let mut seconds = video();
    seconds.begin(Tick(5), 0);
    let mut decided = play(&mut seconds, (0..75).map(|n| (n * THIRTY, Fate::Shown)));
    // Two and a half seconds, three withheld; it is told when some of what follows came already.
    let start = 5 * RATE + 45_000;
    let pictures: Vec<i64> = (0..61).map(|n| start + n * THIRTY).collect();
    pictures[..10].iter().for_each(|at| seconds.came(*at, false));
    seconds.begin(Tick(8), start as u32);
    pictures[10..].iter().for_each(|at| seconds.came(*at, false));
    for at in pictures {
        decided.extend(seconds.reach(at));
        seconds.shown(at);
    }
    assert_eq!(decided, [played(5..7), vec![through(7)], played(8..10)].concat());
}

#[test]
fn foreign_timestamps_take_neither_memory_nor_a_panic() {
    let mut seconds = video();
    seconds.begin(Tick(u64::MAX - 3), 0);
    let mut at: i64 = 0;
    for n in 0..10_000_i64 {
        at += n * n * 7_919 % (1 << 31);
        seconds.came(at, n % 3 == 0);
        seconds.shown(at);
        seconds.begin(Tick(n as u64), (at / 3) as u32);
    }
    assert!(
        seconds.open.len() <= OPEN && seconds.recent.len() <= RECENT && seconds.segments.len() <= SEGMENTS
    );
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![1 => Just(Fate::Lost), 1 => Just(Fate::Late), 30 => Just(Fate::Shown)]
}

proptest! {
    #[test]
    fn what_is_decided_is_what_was_shown(fates in prop::collection::vec(fate(), 60..400), per in prop::sample::select(vec![25, 30, 60])) {
        let interval = RATE / per;
        let mut seconds = video();
        seconds.begin(Tick(0), 0);
        // A second that tells the interval, then chance.
        let fates: Vec<Fate> = std::iter::repeat_n(Fate::Shown, per as usize).chain(fates).collect();
        let pictures = fates.iter().enumerate().map(|(n, fate)| (n as i64 * interval, *fate));
        let decided = play(&mut seconds, pictures);
        let last = fates.iter().rposition(|fate| *fate != Fate::Lost).unwrap() / per as usize;
        for (tick, second) in fates.chunks(per as usize).enumerate().take(last) {
            let shown = second.iter().filter(|fate| **fate == Fate::Shown).count();
            let expected = shown * 10 >= per as usize * 9;
            prop_assert_eq!(decided.contains(&Decided::Played(Tick(tick as u64))), expected, "{}", tick);
        }
    }

    #[test]
    fn it_does_not_matter_when_the_beginning_is_told(fates in prop::collection::vec(fate(), 200), told in 0_usize..100, start in any::<u32>()) {
        let pictures = |range: std::ops::Range<usize>| {
            let fates = &fates;
            range.map(move |n| (i64::from(start) + n as i64 * THIRTY, fates[n])).collect::<Vec<_>>()
        };
        let mut early = video();
        early.begin(Tick(3), start);
        let expected = play(&mut early, pictures(0..200));
        let mut late = video();
        // What is lost is told by the picture after it.
        let told = (0..=told).rev().find(|told| *told == 0 || fates[told - 1] != Fate::Lost).unwrap_or(0);
        let mut decided = play(&mut late, pictures(0..told));
        late.begin(Tick(3), start);
        decided.extend(play(&mut late, pictures(told..200)));
        prop_assert_eq!(decided, expected);
    }
}
