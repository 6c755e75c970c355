//! Why a viewer watches no more.

use pay::message::Ending;
use pay::{Refusal, TabError};
use thiserror::Error;

#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Leaving {
    #[error("the viewer stopped")]
    Stopped,
    #[error("another second would cost more than the cap, or than the channel holds")]
    CapReached,
    #[error("the offer is over, and no other was consented to")]
    OfferOver,
    #[error("the node ended it: {0}")]
    Ended(#[from] Ending),
    #[error("the node refused: {0}")]
    Refused(Refusal),
    /// What the node says does not fit what was signed.
    #[error("{0}")]
    Tab(#[from] TabError),
    #[error("nothing has played for a minute")]
    NothingPlays,
    /// More seconds of media than seconds passed.
    #[error("the node counts seconds faster than they pass")]
    ClockTooFast,
    #[error("what was to be paid could not be stored: {0}")]
    NotStored(String),
    #[error("the node does not take this viewer: {0}")]
    TurnedAway(String),
}

impl Leaving {
    /// Whether it is what a person asked for, be it by the cap, or the stream's own end.
    pub fn is_in_order(&self) -> bool {
        matches!(self, Self::Stopped | Self::CapReached | Self::Ended(Ending::StreamOver))
    }

    /// Whether waiting for the node's last words is in vain.
    pub(super) fn is_useless(&self) -> bool {
        matches!(self, Self::NotStored(_) | Self::TurnedAway(_))
    }
}
