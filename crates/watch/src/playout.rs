//! When each picture and block of sound is to be presented: as early as the network's jitter lets almost all
//! of them be ready, and both media by one clock. No clock inside: `Instant`s come in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use media::WallTime;

/// A point of the media timeline in microseconds. Where the publisher's clock is known it is Unix time by
/// that clock, and both media can be compared; else each lane has an axis of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MediaTime {
    pub micros: i64,
    /// Whether it is the publisher's wall time.
    pub synchronised: bool,
}

impl MediaTime {
    pub fn captured(at: WallTime) -> Self {
        Self { micros: at.unix_micros() as i64, synchronised: true }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    Video,
    Audio,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PlayoutConfig {
    /// The share of units that are ready in time; the others are presented late.
    pub in_time: f64,
    /// Added to what that share needs.
    pub margin: Duration,
    /// How fast the delay shrinks after a disturbance, in milliseconds a second: fast enough to be gone in
    /// time, slow enough not to be seen.
    pub shrink_ms_per_second: u32,
}

impl Default for PlayoutConfig {
    fn default() -> Self {
        Self { in_time: 0.95, margin: Duration::from_millis(1), shrink_ms_per_second: 10 }
    }
}

/// Units of this many are looked at: about four seconds.
const WINDOW: usize = 120;
/// Two media of one capture that seem further apart than this have a wrong clock: then each has its own.
const APART_MAX: i64 = 2_000_000;

#[derive(Default)]
struct LaneState {
    /// Microseconds from media time to readiness, by our clock; offsets between clocks cancel out.
    transits: VecDeque<i64>,
    synchronised: bool,
    applied: Option<i64>,
    applied_at: Option<Instant>,
}

/// The presentation clock of one stream.
pub struct Playout {
    config: PlayoutConfig,
    start: Instant,
    video: LaneState,
    audio: LaneState,
}

impl Playout {
    /// `start` is any instant before the first unit.
    pub fn new(config: PlayoutConfig, start: Instant) -> Self {
        Self { config, start, video: LaneState::default(), audio: LaneState::default() }
    }

    /// Forgets a lane's past, as when its stream begins anew.
    pub fn reset(&mut self, lane: Lane) {
        *self.lane_mut(lane) = LaneState::default();
    }

    /// A unit of `media` time was ready to be presented at `now`; returns when it is due, which may be past.
    pub fn ready(&mut self, lane: Lane, media: MediaTime, now: Instant) -> Instant {
        if self.lane(lane).synchronised != media.synchronised {
            self.reset(lane);
        }
        let transit = self.micros_of(now) - media.micros;
        let state = self.lane_mut(lane);
        state.synchronised = media.synchronised;
        if state.transits.len() == WINDOW {
            state.transits.pop_front();
        }
        state.transits.push_back(transit);
        let target = self.target(lane).unwrap_or(transit);
        let shrink = i64::from(self.config.shrink_ms_per_second) * 1000;
        let state = self.lane_mut(lane);
        let applied = match state.applied.zip(state.applied_at) {
            // Growing must be at once: what is late now would be late again.
            Some((applied, _)) if target >= applied => target,
            Some((applied, at)) => {
                let elapsed = now.saturating_duration_since(at).as_micros() as i64;
                target.max(applied - elapsed.saturating_mul(shrink) / 1_000_000)
            }
            None => target,
        };
        (state.applied, state.applied_at) = (Some(applied), Some(now));
        self.instant_of(media.micros.saturating_add(applied))
    }

    /// When sound or picture of `media` time is due by what is known now; `None` before the lane began.
    pub fn due(&self, lane: Lane, media: MediaTime) -> Option<Instant> {
        let applied = self.lane(lane).applied?;
        Some(self.instant_of(media.micros.saturating_add(applied)))
    }

    /// What a lane waits beyond its fastest unit of late: the jitter buffer's share of the delay.
    pub fn jitter_delay(&self, lane: Lane) -> Option<Duration> {
        let state = self.lane(lane);
        let fastest = state.transits.iter().min()?;
        Some(Duration::from_micros((state.applied? - fastest).max(0) as u64))
    }

    /// The offset that this lane wants: its own, or the slower one's where both have one clock.
    fn target(&self, lane: Lane) -> Option<i64> {
        let own = self.own_target(lane)?;
        let other = match lane {
            Lane::Video => Lane::Audio,
            Lane::Audio => Lane::Video,
        };
        let both = self.video.synchronised && self.audio.synchronised;
        let common = self.own_target(other).filter(|other| both && (own - other).abs() <= APART_MAX);
        Some(common.map_or(own, |other| own.max(other)))
    }

    fn own_target(&self, lane: Lane) -> Option<i64> {
        let mut sorted: Vec<i64> = self.lane(lane).transits.iter().copied().collect();
        sorted.sort_unstable();
        let rank = ((sorted.len() as f64 * self.config.in_time).ceil() as usize).max(1);
        Some(sorted.get(rank - 1)?.saturating_add(self.config.margin.as_micros() as i64))
    }

    fn lane(&self, lane: Lane) -> &LaneState {
        match lane {
            Lane::Video => &self.video,
            Lane::Audio => &self.audio,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut LaneState {
        match lane {
            Lane::Video => &mut self.video,
            Lane::Audio => &mut self.audio,
        }
    }

    fn micros_of(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(i64::MAX / 4)
    }

    fn instant_of(&self, micros: i64) -> Instant {
        // A foreign clock may say anything; an hour is long past any use.
        const LATEST: i64 = 86_400_000_000;
        self.start + Duration::from_micros(micros.clamp(0, LATEST) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Unix time of the first unit: clocks of two machines need not agree.
    const ORIGIN: i64 = 1_700_000_000_000_000;

    fn media(ms: i64) -> MediaTime {
        MediaTime { micros: ORIGIN + ms * 1000, synchronised: true }
    }

    fn playout(start: Instant) -> Playout {
        let config = PlayoutConfig { margin: Duration::ZERO, ..PlayoutConfig::default() };
        Playout::new(config, start)
    }

    #[test]
    fn without_jitter_everything_is_due_when_it_is_ready() {
        let start = Instant::now();
        let mut playout = playout(start);
        for n in 0..200u32 {
            let now = start + 33 * MS * n + 20 * MS;
            assert_eq!(playout.ready(Lane::Video, media(i64::from(n) * 33), now), now);
        }
        assert_eq!(playout.jitter_delay(Lane::Video), Some(Duration::ZERO));
    }

    #[test]
    fn jitter_is_evened_out_at_the_cost_of_its_spread() {
        let start = Instant::now();
        let mut playout = playout(start);
        let mut dues = Vec::new();
        for n in 0..200u32 {
            // Ready 20 ms after capture, every third 8 ms later.
            let jitter = if n.is_multiple_of(3) { 8 } else { 0 };
            dues.push(playout.ready(
                Lane::Video,
                media(i64::from(n) * 33),
                start + (33 * n + 20 + jitter) * MS,
            ));
        }
        assert!(dues.windows(2).skip(1).all(|pair| pair[1] - pair[0] == 33 * MS));
        assert_eq!(playout.jitter_delay(Lane::Video), Some(8 * MS));
    }

    #[test]
    fn one_late_unit_in_a_hundred_does_not_delay_the_others() {
        let start = Instant::now();
        let mut playout = playout(start);
        let ready = |n: u32| start + (33 * n + 20 + if n == 60 { 90 } else { 0 }) * MS;
        for n in 0..100 {
            playout.ready(Lane::Video, media(i64::from(n) * 33), ready(n));
        }
        assert_eq!(playout.jitter_delay(Lane::Video), Some(Duration::ZERO));
    }

    #[test]
    fn the_delay_grows_at_once_and_shrinks_slowly() {
        let start = Instant::now();
        let mut playout = playout(start);
        let mut feed = |n: u32, transit: u32| {
            let now = start + (20 * n + transit) * MS;
            playout.ready(Lane::Video, media(i64::from(n) * 20), now);
            playout.jitter_delay(Lane::Video).unwrap()
        };
        let before = (0..100).map(|n| feed(n, 10)).max();
        assert_eq!(before, Some(Duration::ZERO));
        // Seven of 120 are over five in a hundred.
        assert_eq!((100..107).map(|n| feed(n, 60)).max(), Some(50 * MS));
        assert_eq!(feed(107, 10), 50 * MS);
        // When all of them have left the window, it shrinks by 10 ms a second: 0.2 ms a unit of 20 ms.
        let after: Vec<_> = (108..228).map(|n| feed(n, 10)).collect();
        let steps = after.windows(2).map(|pair| pair[0].saturating_sub(pair[1]));
        assert!(steps.clone().all(|step| step <= Duration::from_micros(1_200)), "{after:?}");
        assert!(after.last().unwrap() < &(50 * MS));
    }

    #[test]
    fn both_media_wait_for_the_slower_one() {
        let start = Instant::now();
        let mut playout = playout(start);
        for n in 0..100u32 {
            let captured = media(i64::from(n) * 20);
            playout.ready(Lane::Audio, captured, start + (20 * n + 5) * MS);
            playout.ready(Lane::Video, captured, start + (20 * n + 45) * MS);
        }
        let at = media(1980);
        assert_eq!(playout.due(Lane::Audio, at), Some(start + (1980 + 45) * MS));
        assert_eq!(playout.due(Lane::Video, at), playout.due(Lane::Audio, at));
    }

    #[test]
    fn lanes_without_a_common_clock_do_not_wait_for_each_other() {
        let start = Instant::now();
        let mut playout = playout(start);
        let own = |ms: i64| MediaTime { micros: ms * 1000, synchronised: false };
        playout.ready(Lane::Video, own(7), start + 50 * MS);
        assert_eq!(playout.ready(Lane::Audio, media(0), start + 5 * MS), start + 5 * MS);
        // Nor where a clock is off by an hour.
        playout.ready(Lane::Video, media(3_600_000), start + 60 * MS);
        assert_eq!(playout.ready(Lane::Audio, media(20), start + 25 * MS), start + 25 * MS);
    }

    #[test]
    fn a_clock_that_becomes_known_starts_the_lane_anew() {
        let start = Instant::now();
        let mut playout = playout(start);
        playout.ready(Lane::Video, MediaTime { micros: 0, synchronised: false }, start + 500 * MS);
        assert_eq!(playout.ready(Lane::Video, media(0), start + 520 * MS), start + 520 * MS);
    }
}
