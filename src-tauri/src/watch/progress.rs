//! What a person at a terminal sees while it plays: one line, written anew each second.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use ::wallet::Unit;
use ::watch::{PayStatus, Snapshot};
use pay::Amount;
use rtc::LinkState;

const EACH: Duration = Duration::from_secs(1);
/// Erases what stands to the right of the cursor.
const ERASE: &str = "\x1b[K";

/// What watching costs.
pub(super) struct Spending {
    pub unit: Unit,
    /// The channel's seconds and total when it began.
    pub seconds: u64,
    pub before: Amount,
}

/// Nothing where nobody is at a terminal. The cursor stays at the line's start, so that what is logged meanwhile writes
/// over it; the line is erased at the end.
pub(super) struct Progress {
    shown: Option<Instant>,
    is_terminal: bool,
    spending: Option<Spending>,
}

impl Progress {
    pub fn new(spending: Option<Spending>) -> Self {
        Self { shown: None, is_terminal: std::io::stderr().is_terminal(), spending }
    }

    /// `played` is counted from the first picture.
    pub fn show(&mut self, played: Option<Duration>, seen: &Snapshot, paid: Option<&PayStatus>) {
        if !self.is_terminal || self.shown.is_some_and(|at| at.elapsed() < EACH) {
            return;
        }
        self.shown = Some(Instant::now());
        let mut line = in_words(played, seen);
        if let (Some(Spending { unit, before, .. }), Some(status)) = (&self.spending, paid) {
            let spent = status.spent.checked_sub(*before).unwrap_or(Amount::ZERO);
            line += &format!(" │ {} paid, {} left", unit.shortly(spent), unit.shortly(status.left));
        }
        write(&format!("{line}{ERASE}\r"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            write(ERASE);
        }
    }
}

fn write(text: &str) {
    let mut err = std::io::stderr().lock();
    // It may be closed; what is watched is not less for it.
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

fn in_words(played: Option<Duration>, seen: &Snapshot) -> String {
    let report = &seen.report;
    let Some(played) = played else { return "Connecting".to_owned() };
    let mut words = format!("{} s", played.as_secs());
    if seen.state != LinkState::Up {
        words += " │ Reconnecting";
    }
    let size = seen.size.map(|size| format!("{}×{}", size.width, size.height));
    let pictures = report.decoded_fps.map(|fps| format!("{fps:.1} fps"));
    let delay = report.delay_ms.p50.map(|delay| format!("{delay:.0} ms behind"));
    for part in [size, pictures, delay].into_iter().flatten() {
        words += " │ ";
        words += &part;
    }
    words
}

#[cfg(test)]
mod tests {
    use ::watch::{DelayReport, PlayerReport};
    use media::Size;

    use super::*;

    #[test]
    fn the_line_says_how_long_and_how_well_it_plays_and_that_it_does_not() {
        let mut seen = Snapshot {
            state: LinkState::Connecting,
            report: PlayerReport {
                transport: "webrtc",
                first_frame_ms: None,
                decoded_fps: None,
                frozen_ms: None,
                delay_ms: DelayReport::default(),
                av_offset_ms: None,
                rendition: None,
                frames_decoded: 0,
                frames_presented: 0,
                frames_missing: None,
            },
            network: rtc::ReceiveStats::default(),
            size: None,
            jitter_delay_ms: None,
        };
        assert_eq!(in_words(None, &seen), "Connecting");
        (seen.state, seen.size) = (LinkState::Up, Some(Size::new(1280, 720)));
        (seen.report.decoded_fps, seen.report.delay_ms.p50) = (Some(29.96), Some(57.4));
        let played = Some(Duration::from_millis(12_900));
        assert_eq!(in_words(played, &seen), "12 s │ 1280×720 │ 30.0 fps │ 57 ms behind");
        (seen.state, seen.size) = (LinkState::Lost { reason: "gone".into() }, None);
        assert_eq!(in_words(played, &seen), "12 s │ Reconnecting │ 30.0 fps │ 57 ms behind");
    }
}
