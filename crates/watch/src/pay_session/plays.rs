//! What plays: which seconds did, and whether the next may.

use std::time::Duration;

use pay::{TabError, Tick};

use super::{AGAIN, BEHIND, BURST, IN_TIME, Leaving, NOTHING_PLAYS, Now, PaySession, Phase, STALL, Verdict};
use crate::played_seconds::{Decided, PlayedSeconds};
use crate::playout::Lane;

impl PaySession {
    /// A unit of the line came whole.
    pub fn came(&mut self, line: Lane, timestamp: i64, after_gap: bool, now: Now) {
        if line == self.counted {
            self.came = Some(now.instant);
        }
        self.line(line).came(timestamp, after_gap);
    }

    /// A picture is about to be shown, so much after its instant. Asked of each, in order.
    pub fn showing(&mut self, line: Lane, timestamp: i64, late: Duration, now: Now) -> Verdict {
        if self.left.is_some() {
            return Verdict::Leave;
        }
        if self.is_paused {
            return Verdict::Show;
        }
        let decided = self.line(line).reach(timestamp);
        if line == self.counted {
            self.count(&decided, now);
            self.enter(timestamp, now);
        }
        if self.left.is_some() {
            return Verdict::Leave;
        }
        if late <= IN_TIME {
            self.line(line).shown(timestamp);
        }
        Verdict::Show
    }

    /// To be called some times a second.
    pub fn turn(&mut self, now: Now) {
        if self.restart_at.is_some_and(|at| now.instant >= at) {
            self.restart_at = None;
            self.start(now);
        }
        self.pass_over_what_stalled(now);
        self.send_again(now);
        let is_dead = self.phase == Phase::Watching
            && self.alive.is_some_and(|at| now.instant.saturating_duration_since(at) >= NOTHING_PLAYS);
        if is_dead {
            self.leave(Leaving::NothingPlays, now);
        }
    }

    /// A record could not be stored: nothing is paid that would be forgotten.
    pub fn not_stored(&mut self, reason: String, now: Now) {
        self.leave(Leaving::NotStored(reason), now);
    }

    /// The node does not take this viewer, or no longer.
    pub fn turned_away(&mut self, reason: String, now: Now) {
        self.leave(Leaving::TurnedAway(reason), now);
    }

    /// Before a second plays it must be certain that it can be paid.
    fn enter(&mut self, timestamp: i64, now: Now) {
        let counted = self.counted;
        let Some(second) = self.line(counted).second_of(timestamp) else { return };
        if Some(second) <= self.entered {
            return;
        }
        self.entered = Some(second);
        if now.wall >= self.agreed.offer().until {
            self.leave(Leaving::OfferOver, now);
        } else if !self.tab.affords_next() {
            self.leave(Leaving::CapReached, now);
        }
    }

    fn count(&mut self, decided: &[Decided], now: Now) {
        for one in decided {
            // What is decided after the viewer left was decided by leaving.
            if self.left.is_some() || self.phase != Phase::Watching {
                return;
            }
            let taken = match *one {
                Decided::Played(tick) => self.played(tick, now),
                Decided::UnplayedThrough(tick) => {
                    self.tab.did_not_play(tick).map(|report| self.outbox.report(report))
                }
            };
            if let Err(err) = taken {
                self.leave(err.into(), now);
            }
        }
    }

    fn played(&mut self, tick: Tick, now: Now) -> Result<(), TabError> {
        let (last, ahead) = self.pace.unwrap_or((now.instant, BURST));
        let passed = now.instant.saturating_duration_since(last);
        // Two crystals differ by less than a thousandth.
        let Some(ahead) = (ahead + passed + passed / 1000).min(BURST).checked_sub(Duration::from_secs(1))
        else {
            self.leave(Leaving::ClockTooFast, now);
            return Ok(());
        };
        self.pace = Some((now.instant, ahead));
        let pay = self.tab.played(tick, self.signer.as_ref(), now.wall)?;
        (self.alive, self.restarts) = (Some(now.instant), 0);
        if let Some(pay) = pay {
            self.outbox.pay(pay);
        }
        Ok(())
    }

    /// Where nothing comes there is nothing that would end a second, and a gate that waits for them to be named would
    /// stay closed.
    fn pass_over_what_stalled(&mut self, now: Now) {
        if self.phase != Phase::Watching {
            return;
        }
        let counted = self.counted;
        let Some(newest) = self.line(counted).newest() else { return };
        let stalled = self.came.map_or(Duration::ZERO, |at| now.instant.saturating_duration_since(at));
        let over = match stalled.checked_sub(STALL) {
            // A node that is away sends nothing: what it will number next it tells when it is back.
            Some(_) if !self.is_connected => Some(newest.0),
            Some(since) => newest.0.checked_add(since.as_secs()),
            None => newest.0.checked_sub(BEHIND),
        };
        if let Some(over) = over {
            let decided = self.line(counted).expire(Tick(over));
            self.count(&decided, now);
        }
    }

    fn send_again(&mut self, now: Now) {
        let Some(pay) =
            self.tab.unacknowledged().filter(|_| self.phase == Phase::Watching || self.left.is_some())
        else {
            self.again_at = None;
            return;
        };
        match self.again_at {
            Some(at) if now.instant >= at => {
                self.outbox.pay(pay);
                self.again_at = Some(now.instant + AGAIN);
            }
            Some(_) => {}
            None => self.again_at = Some(now.instant + AGAIN),
        }
    }

    /// Decides what was shown until now.
    pub(super) fn finish(&mut self, now: Now) {
        if self.phase != Phase::Watching {
            return;
        }
        let counted = self.counted;
        if let Some(newest) = self.line(counted).newest() {
            let decided = self.line(counted).expire(newest);
            self.count(&decided, now);
        }
    }

    pub(super) fn line(&mut self, line: Lane) -> &mut PlayedSeconds {
        match line {
            Lane::Video => &mut self.video,
            Lane::Audio => &mut self.audio,
        }
    }
}
