//! What the node says, and what follows from it.

use pay::message::{Ending, Refused, Started};
use pay::tab::Reaction;
use pay::{PublishedOffer, Refusal, TabError, Tick, ToViewer, VerifiedOffer};

use super::{Close, Leaving, Now, PaySession, Phase, RESTARTS, SOON};
use crate::playout::Lane;

impl PaySession {
    pub fn received(&mut self, message: ToViewer, now: Now) {
        let taken = match message {
            ToViewer::Started(started) => self.started(&started, now),
            ToViewer::Acknowledged(stored) => {
                self.again_at = None;
                self.tab.acknowledged(&stored).and_then(|()| self.pay_due(now))
            }
            ToViewer::Receipt(receipt) => {
                self.outbox.store();
                self.tab.receipt(&receipt).and_then(|()| self.pay_due(now))
            }
            ToViewer::Refused(refused) => self.refused(&refused, now),
            ToViewer::Offer(offer) => {
                self.offer_made(&offer, now);
                Ok(())
            }
            ToViewer::Ended(channel, ending) => {
                self.finish(now);
                self.tab.ended(channel, ending).map(|ending| self.ended(ending, now))
            }
            ToViewer::Closed(theirs) => self.tab.closed(&theirs).map(|()| {
                if let Close::Asked(ours) = self.close {
                    self.close = Close::Agreed(ours, theirs);
                    self.outbox.store();
                }
            }),
        };
        if let Err(err) = taken {
            self.leave(err.into(), now);
        }
        self.settle(now);
    }

    /// The session's second `first` begins at this timestamp of the line.
    pub fn began(&mut self, line: Lane, first: Tick, rtp_timestamp: u32) {
        if self.phase != Phase::Watching {
            return;
        }
        self.counted = line;
        self.line(line).begin(first, rtp_timestamp);
    }

    fn started(&mut self, started: &Started, now: Now) -> Result<(), TabError> {
        if self.phase != Phase::Starting {
            return Ok(());
        }
        let pay = self.tab.started(started, self.signer.as_ref(), now.wall)?;
        self.phase = Phase::Watching;
        self.alive = Some(now.instant);
        if let Some(pay) = pay {
            self.outbox.pay(pay);
        }
        // What is owed and was signed on a total that the node never got.
        self.pay_due(now)?;
        if let Some(report) = self.tab.report() {
            self.outbox.report(report);
        }
        Ok(())
    }

    fn pay_due(&mut self, now: Now) -> Result<(), TabError> {
        if let Some(pay) = self.tab.due(self.signer.as_ref(), now.wall)? {
            self.outbox.pay(pay);
        }
        Ok(())
    }

    fn refused(&mut self, refused: &Refused, now: Now) -> Result<(), TabError> {
        if let Close::Asked(_) = self.close {
            self.close = Close::Refused;
        }
        // A report that is ahead of the node: it stands in the next one as well.
        if refused.tick.is_none() && refused.reason == Refusal::UnplayedOutOfRange {
            return Ok(());
        }
        match self.tab.refused(refused)? {
            Reaction::Nothing => {}
            Reaction::Again if self.phase == Phase::Starting || refused.reason == Refusal::NoSession => {
                self.restart_at = Some(now.instant + SOON);
            }
            Reaction::Again => self.again_at = Some(now.instant + SOON),
            Reaction::Leave(reason) => self.leave(Leaving::Refused(reason), now),
        }
        Ok(())
    }

    fn ended(&mut self, ending: Ending, now: Now) {
        // It may be that what was paid is on its way; and where no more is forgiven, the next second is paid in advance.
        let is_passing = matches!(ending, Ending::GraceSpent | Ending::TooManyUnplayed);
        let may_go_on = is_passing && self.restarts < RESTARTS && self.left.is_none();
        if may_go_on {
            self.restarts += 1;
            self.phase = Phase::Away;
            self.restart_at = Some(now.instant + SOON);
        } else {
            self.leave(Leaving::Ended(ending), now);
        }
    }

    fn offer_made(&mut self, offer: &PublishedOffer, now: Now) {
        // One that is not right is none: the present one stays in force.
        if let Ok(made) = offer.verify(&self.agreed.offer().genesis, now.wall) {
            self.offered(made);
        }
    }

    /// What the node asks from now on: taken where it is no more, or where that was consented to, and else kept for a
    /// person to decide on.
    pub fn offered(&mut self, made: VerifiedOffer) {
        let (present, body) = (*self.agreed.offer(), made.offer());
        if body.content != present.content || made.hash() == self.agreed.hash() {
            return;
        }
        let asks_no_more = body.price <= present.price && body.quality.tier == present.quality.tier;
        if asks_no_more || (self.consent)(&present, body) {
            self.accept(&made);
        } else {
            self.offered = Some(made);
        }
    }
}
