//! Three kinds of time, never mixed: `Instant` for scheduling, [`Timestamp`] for media, [`WallTime`]
//! for people and for protocols that speak NTP. A [`StudioEpoch`] ties them together.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Ticks per second of a media clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// 90 kHz: video in RTP (RFC 6184 §8.2.1) and in every timestamp of ours.
    pub const VIDEO: Self = Self::of(90_000);
    /// 48 kHz: audio in every timestamp of ours, and Opus in RTP (RFC 7587 §4.1).
    pub const AUDIO: Self = Self::of(48_000);
    /// RTMP's clock.
    pub const MILLIS: Self = Self::of(1_000);
    pub const MICROS: Self = Self::of(1_000_000);
    pub const NANOS: Self = Self::of(1_000_000_000);

    /// A timescale from a non-zero constant; panics at compile time when used in a `const`.
    pub const fn of(ticks_per_second: u32) -> Self {
        match NonZeroU32::new(ticks_per_second) {
            Some(n) => Self(n),
            None => panic!("a timescale has at least one tick per second"),
        }
    }

    /// `None` for zero ticks per second.
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match NonZeroU32::new(ticks_per_second) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    pub const fn ticks_per_second(self) -> u32 {
        self.0.get()
    }
}

/// A point of media time: whole ticks of a stated timescale since the epoch of its stream. It is also
/// used for spans, as the time since zero.
///
/// Timestamps of different timescales compare by the time they mean: 90 000 ticks of [`Timescale::VIDEO`]
/// equal 48 000 of [`Timescale::AUDIO`].
#[derive(Clone, Copy)]
pub struct Timestamp {
    ticks: i64,
    timescale: Timescale,
}

impl Timestamp {
    pub const fn new(ticks: i64, timescale: Timescale) -> Self {
        Self { ticks, timescale }
    }

    pub const fn zero(timescale: Timescale) -> Self {
        Self::new(0, timescale)
    }

    pub const fn ticks(self) -> i64 {
        self.ticks
    }

    pub const fn timescale(self) -> Timescale {
        self.timescale
    }

    /// The same time in another timescale, rounded to the nearest tick (halves away from zero).
    pub fn rescale(self, timescale: Timescale) -> Self {
        if timescale == self.timescale {
            return self;
        }
        let from = i128::from(self.timescale.ticks_per_second());
        let scaled = i128::from(self.ticks) * i128::from(timescale.ticks_per_second());
        let half = if scaled < 0 { -(from / 2) } else { from / 2 };
        Self::new(saturate((scaled + half) / from), timescale)
    }

    pub fn from_duration(span: Duration, timescale: Timescale) -> Self {
        Self::new(saturate(span.as_nanos().min(i128::MAX as u128) as i128), Timescale::NANOS)
            .rescale(timescale)
    }

    /// `None` for a time before zero.
    pub fn to_duration(self) -> Option<Duration> {
        u64::try_from(self.rescale(Timescale::NANOS).ticks).ok().map(Duration::from_nanos)
    }

    pub fn as_secs_f64(self) -> f64 {
        self.ticks as f64 / f64::from(self.timescale.ticks_per_second())
    }

    pub fn as_millis_f64(self) -> f64 {
        self.as_secs_f64() * 1e3
    }

    /// `self + span`, in the timescale of `self`.
    #[must_use]
    pub fn plus(self, span: Timestamp) -> Self {
        Self::new(self.ticks.saturating_add(span.rescale(self.timescale).ticks), self.timescale)
    }

    /// `self − other` (negative when `other` is later), in the timescale of `self`.
    #[must_use]
    pub fn minus(self, other: Timestamp) -> Self {
        Self::new(self.ticks.saturating_sub(other.rescale(self.timescale).ticks), self.timescale)
    }
}

fn saturate(ticks: i128) -> i64 {
    ticks.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        let a = i128::from(self.ticks) * i128::from(other.timescale.ticks_per_second());
        let b = i128::from(other.ticks) * i128::from(self.timescale.ticks_per_second());
        a.cmp(&b)
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timestamp {}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ticks, self.timescale.ticks_per_second())
    }
}

/// Frames per second as a fraction: 30000/1001 stays exact.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FrameRate {
    frames: NonZeroU32,
    seconds: NonZeroU32,
}

impl FrameRate {
    pub const FPS_30: Self = match Self::new(30, 1) {
        Some(rate) => rate,
        None => panic!("30/1 is a frame rate"),
    };

    /// `frames` in `seconds`; `None` when either is zero.
    pub const fn new(frames: u32, seconds: u32) -> Option<Self> {
        match (NonZeroU32::new(frames), NonZeroU32::new(seconds)) {
            (Some(frames), Some(seconds)) => Some(Self { frames, seconds }),
            _ => None,
        }
    }

    pub const fn frames(self) -> u32 {
        self.frames.get()
    }

    pub const fn seconds(self) -> u32 {
        self.seconds.get()
    }

    pub fn as_f64(self) -> f64 {
        f64::from(self.frames.get()) / f64::from(self.seconds.get())
    }

    /// When frame `index` is due, counted from frame 0 at zero; exact before rounding to a tick.
    pub fn timestamp_of(self, index: u64, timescale: Timescale) -> Timestamp {
        let num =
            i128::from(index) * i128::from(self.seconds.get()) * i128::from(timescale.ticks_per_second());
        let den = i128::from(self.frames.get());
        Timestamp::new(saturate((num + den / 2) / den), timescale)
    }

    /// The length of one frame, rounded to a tick.
    pub fn frame_duration(self, timescale: Timescale) -> Timestamp {
        self.timestamp_of(1, timescale)
    }

    /// The length of one frame as a scheduling span.
    pub fn interval(self) -> Duration {
        Duration::from_secs(1) * self.seconds.get() / self.frames.get()
    }

    /// How many frames are due at or before `time` counted from zero, less one: the index of the newest.
    pub fn index_at(self, time: Timestamp) -> u64 {
        let num = i128::from(time.ticks.max(0)) * i128::from(self.frames.get());
        let den = i128::from(time.timescale.ticks_per_second()) * i128::from(self.seconds.get());
        u64::try_from(num / den).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds.get() == 1 {
            write!(f, "{}", self.frames)
        } else {
            write!(f, "{}/{}", self.frames, self.seconds)
        }
    }
}

/// Wall-clock time: for people, and for protocols that need NTP. Never for scheduling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WallTime(SystemTime);

/// Seconds from the NTP era (1900) to the Unix epoch (RFC 5905 §6).
const NTP_UNIX_OFFSET_SECONDS: u64 = 2_208_988_800;

impl WallTime {
    pub const fn from_system(time: SystemTime) -> Self {
        Self(time)
    }

    pub const fn to_system(self) -> SystemTime {
        self.0
    }

    pub fn from_unix_micros(micros: u64) -> Self {
        Self(UNIX_EPOCH + Duration::from_micros(micros))
    }

    /// Microseconds since 1970; 0 for a clock set before that.
    pub fn unix_micros(self) -> u64 {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// NTP's 32.32 fixed-point format (RFC 5905 §6), as RTCP sender reports carry it.
    pub fn to_ntp(self) -> u64 {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().wrapping_add(NTP_UNIX_OFFSET_SECONDS) << 32;
        let fraction = ((u64::from(since.subsec_nanos()) << 32) + 500_000_000) / 1_000_000_000;
        seconds.wrapping_add(fraction)
    }

    /// The inverse of [`WallTime::to_ntp`], in NTP's first era (until 2036).
    pub fn from_ntp(ntp: u64) -> Self {
        let seconds = (ntp >> 32).saturating_sub(NTP_UNIX_OFFSET_SECONDS);
        let nanos = ((ntp & 0xffff_ffff) * 1_000_000_000 + (1 << 31)) >> 32;
        Self(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanos))
    }

    #[must_use]
    pub fn plus(self, span: Timestamp) -> Self {
        let nanos = span.rescale(Timescale::NANOS).ticks();
        let magnitude = Duration::from_nanos(nanos.unsigned_abs());
        Self(if nanos < 0 { self.0 - magnitude } else { self.0 + magnitude })
    }

    /// Milliseconds from `earlier` to `self`, negative when `earlier` is later.
    pub fn millis_since(self, earlier: WallTime) -> f64 {
        match self.0.duration_since(earlier.0) {
            Ok(span) => span.as_secs_f64() * 1e3,
            Err(err) => -(err.duration().as_secs_f64() * 1e3),
        }
    }
}

/// The zero of one broadcast's media time, as both a scheduling instant and a wall time taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StudioEpoch {
    instant: Instant,
    wall: WallTime,
}

impl StudioEpoch {
    /// `instant` and `wall` must have been read together.
    pub const fn new(instant: Instant, wall: WallTime) -> Self {
        Self { instant, wall }
    }

    pub const fn instant(self) -> Instant {
        self.instant
    }

    pub const fn wall(self) -> WallTime {
        self.wall
    }

    /// Media time at `now`; negative before the epoch.
    pub fn stamp(self, now: Instant, timescale: Timescale) -> Timestamp {
        match now.checked_duration_since(self.instant) {
            Some(span) => Timestamp::from_duration(span, timescale),
            None => {
                let before = Timestamp::from_duration(self.instant - now, timescale);
                Timestamp::new(-before.ticks(), timescale)
            }
        }
    }

    /// The instant at which `time` is due; the epoch itself for a time before it.
    pub fn instant_of(self, time: Timestamp) -> Instant {
        self.instant + time.to_duration().unwrap_or_default()
    }

    /// The wall time that `time` means, for sender reports and `EXT-X-PROGRAM-DATE-TIME`.
    pub fn wall_of(self, time: Timestamp) -> WallTime {
        self.wall.plus(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_is_a_second_in_every_timescale() {
        let video = Timestamp::new(90_000, Timescale::VIDEO);
        assert_eq!(video, Timestamp::new(48_000, Timescale::AUDIO));
        assert_eq!(video.rescale(Timescale::MILLIS).ticks(), 1_000);
        assert_eq!(video.to_duration(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn rescaling_rounds_to_the_nearest_tick_on_both_sides_of_zero() {
        let third = Timestamp::new(1, Timescale::of(3));
        assert_eq!(third.rescale(Timescale::MILLIS).ticks(), 333);
        assert_eq!(Timestamp::new(-1, Timescale::of(3)).rescale(Timescale::MILLIS).ticks(), -333);
        assert_eq!(Timestamp::new(1, Timescale::of(2_000)).rescale(Timescale::MILLIS).ticks(), 1);
        assert_eq!(Timestamp::new(-1, Timescale::of(2_000)).rescale(Timescale::MILLIS).ticks(), -1);
    }

    #[test]
    fn ntsc_frames_do_not_drift() {
        let ntsc = FrameRate::new(30_000, 1_001).unwrap();
        // 30 000 frames take exactly 1 001 s.
        assert_eq!(ntsc.timestamp_of(30_000, Timescale::VIDEO).ticks(), 1_001 * 90_000);
        assert_eq!(ntsc.frame_duration(Timescale::VIDEO).ticks(), 3_003);
        assert_eq!(ntsc.index_at(Timestamp::new(1_001, Timescale::of(1))), 30_000);
    }

    #[test]
    fn ntp_counts_from_1900() {
        // RFC 5905: 1 January 1970 is 2 208 988 800 s of NTP time.
        assert_eq!(WallTime::from_unix_micros(0).to_ntp(), 2_208_988_800 << 32);
        assert_eq!(WallTime::from_unix_micros(500_000).to_ntp() & 0xffff_ffff, 1 << 31);
    }

    #[test]
    fn an_epoch_stamps_before_and_after_itself() {
        let now = Instant::now();
        let epoch = StudioEpoch::new(now, WallTime::from_unix_micros(1_000_000));
        assert_eq!(epoch.stamp(now + Duration::from_millis(20), Timescale::AUDIO).ticks(), 960);
        assert_eq!(epoch.instant_of(Timestamp::new(960, Timescale::AUDIO)), now + Duration::from_millis(20));
        let wall = epoch.wall_of(Timestamp::new(-500, Timescale::MILLIS));
        assert_eq!(wall.unix_micros(), 500_000);
    }

    proptest! {
        #[test]
        fn ntp_round_trips_to_the_microsecond(micros in 0u64..2_000_000_000_000_000) {
            let wall = WallTime::from_unix_micros(micros);
            prop_assert_eq!(WallTime::from_ntp(wall.to_ntp()).unix_micros().abs_diff(micros) <= 1, true);
        }

        #[test]
        fn an_index_is_found_again_from_its_timestamp(index in 0u64..1_000_000, frames in 1u32..240, seconds in 1u32..1002) {
            let rate = FrameRate::new(frames, seconds).unwrap();
            let nanos = rate.timestamp_of(index, Timescale::NANOS);
            // Rounded to a tick, so the neighbour is allowed on the side the rounding went.
            let found = rate.index_at(nanos);
            prop_assert!(found == index || found + 1 == index);
        }
    }
}
