//! What the window shows, and what a person asks of it.

use media::RenditionName;
use rtc::LinkState;
use widgets::window::Holdups;

use crate::pay_session::PayStatus;
use crate::quality::QualityView;
use crate::report::Snapshot;

/// How the stream is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    #[default]
    Connecting,
    Playing,
    /// By the person who watches.
    Paused,
    /// The connection broke; another attempt follows by itself.
    Reconnecting {
        reason: String,
    },
    /// Why nothing plays any more.
    Over {
        words: String,
    },
}

impl Phase {
    pub(crate) fn of(seen: &Snapshot, is_paused: bool) -> Self {
        match &seen.state {
            LinkState::Lost { reason } => Self::Reconnecting { reason: reason.clone() },
            LinkState::Up if is_paused => Self::Paused,
            LinkState::Up if seen.report.first_frame_ms.is_some() => Self::Playing,
            // Why one is closed is told by whoever plays.
            LinkState::Up | LinkState::Connecting | LinkState::Closed { .. } => Self::Connecting,
        }
    }
}

/// What watching costs, in words of the chain's unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// A second.
    pub price: String,
    pub spent: String,
    pub cap: String,
    pub seconds: u64,
    /// A dearer offer that waits for consent: its price a second.
    pub offered: Option<String>,
}

/// A figure of the statistics, with its name.
pub type Figure = (&'static str, String);

#[derive(Clone, PartialEq, Debug, Default)]
pub struct View {
    pub title: String,
    pub phase: Phase,
    pub cost: Option<Cost>,
    /// Glass to glass, where it can be measured.
    pub delay_ms: Option<f64>,
    /// In lines.
    pub height: Option<u32>,
    pub quality: QualityView,
    pub figures: Vec<Figure>,
    /// A share of full volume.
    pub volume: f32,
    pub is_muted: bool,
    pub is_paused: bool,
    /// Why nothing is heard.
    pub silent_because: Option<String>,
    pub is_full_screen: bool,
    pub is_on_top: bool,
    pub has_statistics: bool,
}

/// In the words of people: by its lines.
pub fn lines(height: u32) -> String {
    format!("{height}p")
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Order {
    Volume(f32),
    Mute(bool),
    Pause(bool),
    FullScreen(bool),
    OnTop(bool),
    Statistics(bool),
    /// `None`: as good as gets through.
    Quality(Option<RenditionName>),
    /// Takes the dearer offer.
    Consent,
    /// What is over begins again, where it can.
    Again,
    /// Watches no more: the window closes.
    Stop,
}

/// The statistics, as far as they are known.
pub(crate) fn figures(seen: &Snapshot, holdups: Holdups) -> Vec<Figure> {
    let (report, network) = (&seen.report, &seen.network);
    let ms = |value: Option<f64>| value.map(|ms| format!("{ms:.0} ms"));
    let known: [(&'static str, Option<String>); 13] = [
        ("Picture", seen.size.map(|size| format!("{}×{} H.264", size.width, size.height))),
        ("Layer", report.rendition.map(|name| name.0.as_str().replace('_', " "))),
        ("Pictures a second", report.decoded_fps.map(|fps| format!("{fps:.1}"))),
        ("First picture after", ms(report.first_frame_ms)),
        ("Behind", ms(report.delay_ms.p50)),
        ("Behind at most, of twenty", ms(report.delay_ms.p95)),
        ("Jitter buffer", ms(seen.jitter_delay_ms)),
        ("Sound late", ms(report.av_offset_ms)),
        ("Frozen", ms(report.frozen_ms)),
        ("Packets lost", Some(share(network.lost, network.packets + network.lost))),
        ("Received", Some(format!("{:.1} MB", network.bytes as f64 / 1e6))),
        ("Reconnected", (network.reconnects > 0).then(|| format!("{} times", network.reconnects))),
        ("Window held up at most", Some(holdups.in_words())),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn share(part: u64, whole: u64) -> String {
    let percent = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
    format!("{part} ({percent:.2} %)")
}

/// `word` makes words of amounts.
pub(crate) fn cost(
    status: &PayStatus,
    before: (u64, pay::Amount),
    word: impl Fn(pay::Amount) -> String,
) -> Cost {
    let (seconds_before, spent_before) = before;
    let spent = status.spent.checked_sub(spent_before).unwrap_or_default();
    let price = |offer: &pay::VerifiedOffer| word(offer.offer().price.per_tick());
    Cost {
        price: price(&status.offer),
        spent: word(spent),
        cap: word(spent.checked_add(status.left).unwrap_or(pay::Amount::MAX)),
        seconds: status.totals.played.saturating_sub(seconds_before),
        offered: status.offered.as_ref().map(price),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_a_share_is_nothing() {
        assert_eq!(share(0, 0), "0 (0.00 %)");
        assert_eq!(share(1, 8), "1 (12.50 %)");
    }
}
