//! A stream's media time: zero when its broadcast began, the same for every lane.

use media::{StudioEpoch, Timescale, Timestamp, WallTime};
use mux::rtp::TimestampUnwrapper;

/// How far an RTP clock may run from what sender reports say before it is tied anew: reports jitter by a
/// few milliseconds, and a tie must not jump with them.
const DRIFT_MAX_MS: f64 = 40.0;

/// Ties one RTP clock to media time by the capture times that sender reports give.
#[derive(Debug)]
pub struct RtpTimeline {
    timescale: Timescale,
    unwrapper: TimestampUnwrapper,
    /// RTP ticks (unwrapped) that media time zero would have.
    zero: Option<i64>,
}

impl RtpTimeline {
    pub fn new(timescale: Timescale) -> Self {
        Self { timescale, unwrapper: TimestampUnwrapper::default(), zero: None }
    }

    /// Whether a sender report has come.
    pub fn is_tied(&self) -> bool {
        self.zero.is_some()
    }

    /// The media time of an RTP timestamp; `None` before the first sender report.
    pub fn place(&mut self, rtp: u32, captured: Option<WallTime>, epoch: StudioEpoch) -> Option<Timestamp> {
        let ticks = self.unwrapper.unwrap(rtp);
        if let Some(captured) = captured {
            let since_epoch_ms = captured.millis_since(epoch.wall());
            let expected =
                (since_epoch_ms * f64::from(self.timescale.ticks_per_second()) / 1e3).round() as i64;
            let drift_max = DRIFT_MAX_MS * f64::from(self.timescale.ticks_per_second()) / 1e3;
            let off = self.zero.map(|zero| (ticks - zero - expected).unsigned_abs() as f64);
            if off.is_none_or(|off| off > drift_max) {
                self.zero = Some(ticks - expected);
            }
        }
        self.zero.map(|zero| Timestamp::new(ticks - zero, self.timescale))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn epoch() -> StudioEpoch {
        StudioEpoch::new(Instant::now(), WallTime::from_unix_micros(1_000_000_000))
    }

    fn at(ms: i64) -> Option<WallTime> {
        Some(WallTime::from_unix_micros((1_000_000_000 + ms * 1000) as u64))
    }

    #[test]
    fn media_time_is_unknown_until_a_sender_report_tells_it() {
        let mut line = RtpTimeline::new(Timescale::VIDEO);
        assert_eq!(line.place(1000, None, epoch()), None);
        assert_eq!(line.place(4000, at(100), epoch()), Some(Timestamp::new(9000, Timescale::VIDEO)));
        assert_eq!(line.place(7000, None, epoch()), Some(Timestamp::new(12_000, Timescale::VIDEO)));
    }

    #[test]
    fn a_report_that_jitters_moves_nothing_and_one_that_jumps_does() {
        let mut line = RtpTimeline::new(Timescale::VIDEO);
        line.place(0, at(0), epoch());
        assert_eq!(line.place(9000, at(103), epoch()), Some(Timestamp::new(9000, Timescale::VIDEO)));
        assert_eq!(line.place(18_000, at(260), epoch()), Some(Timestamp::new(23_400, Timescale::VIDEO)));
    }

    #[test]
    fn the_clock_goes_on_over_the_wrap_of_32_bits() {
        let mut line = RtpTimeline::new(Timescale::VIDEO);
        line.place(u32::MAX - 2999, at(0), epoch());
        assert_eq!(line.place(0, None, epoch()), Some(Timestamp::new(3000, Timescale::VIDEO)));
    }
}
