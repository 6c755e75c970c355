//! What was seen and what it cost, for people and for programs.

use std::time::Duration;

use ::watch::PlayerReport;
use anyhow::Context;
use pay::{Amount, ChannelId, CloseTerms, Receipt, Signed};
use serde::Serialize;

use super::playing::Ending;

/// Fields are added, never renamed; a missing measurement is `null`.
#[derive(Debug, Serialize)]
pub(super) struct WatchReport {
    pub stream: String,
    /// From the first picture to the end.
    pub seconds: f64,
    pub ended: String,
    pub player: PlayerReport,
    /// Of a paid stream.
    pub payment: Option<PaymentReport>,
}

/// Amounts are decimal strings of smallest units.
#[derive(Debug, Serialize)]
pub(super) struct PaymentReport {
    pub channel: ChannelId,
    /// Of this run, as the channel's tab counts them.
    pub seconds_played: u64,
    pub seconds_unplayed: u64,
    /// A second, by the offer at the end.
    pub price: Amount,
    /// In this run.
    pub paid: Amount,
    /// The channel's running total.
    pub total: Amount,
    /// Whether the node has stored all of it.
    #[serde(rename = "acknowledged")]
    pub is_acknowledged: bool,
    /// After the node had forgotten this viewer, as after a restart.
    pub joined_again: u32,
    /// Whether the chain shows it closed.
    #[serde(rename = "closed")]
    pub is_closed: bool,
    /// Both halves: anybody may hand them to the chain.
    pub close: Option<SignedClose>,
    /// The node's last one.
    pub receipt: Option<Signed<Receipt>>,
    /// Where nothing is locked: what is in final blocks of that total.
    pub transferred: Option<Amount>,
    /// And what is not: it is transferred with what is watched next.
    pub owed: Option<Amount>,
    /// Why no more was transferred.
    pub not_transferred: Option<String>,
    /// Of a channel that was opened for this: why no final block shows it.
    pub not_final: Option<String>,
    #[serde(skip)]
    pub words: String,
}

#[derive(Debug, Serialize)]
pub(super) struct SignedClose {
    pub session: Signed<CloseTerms>,
    pub node: Signed<CloseTerms>,
}

impl WatchReport {
    pub fn new(
        stream: &str,
        (ending, seen): (&Ending, Duration),
        player: PlayerReport,
        payment: Option<PaymentReport>,
    ) -> Self {
        let (stream, ended) = (stream.to_owned(), ending.in_words());
        Self { stream, seconds: seen.as_secs_f64(), ended, player, payment }
    }

    pub fn json(&self) -> anyhow::Result<String> {
        serde_json::to_string_pretty(self).context("the report")
    }

    pub fn text(&self) -> String {
        let seen = format!(
            "{:.1} s of pictures, {} shown; {}",
            self.seconds, self.player.frames_presented, self.ended
        );
        match &self.payment {
            Some(payment) => format!("{seen}\n{}", payment.words),
            None => seen,
        }
    }
}
