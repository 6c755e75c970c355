//! Which seconds the media plane may send: asked of the ledger one by one, and what became of them.

use api::pay::{MeteredLine, SessionBegin};
use media::RenditionName;
use pay::ledger::Forward;
use pay::message::{Ending, ToViewer};
use pay::{Hold, Tick, UnixMillis};

use super::sessions::Run;
use super::storing::{Staged, Why};
use super::{Effect, MeteredPeer, Till};
use crate::billing::catalogue::cap_of;
use crate::billing::tickets::TicketId;

/// So many seconds of media go by without payment before a viewer is told that it is over.
const PATIENCE: u64 = 3;
/// A viewer that goes on so many seconds later than where it was begins anew.
const AWAY: u64 = 60;
/// The same by the clock, which ticks each second: for whoever is sent nothing at all.
const PATIENCE_TICKS: u32 = 5;
/// Of a second's packets, in percent, the viewer must have so many for it to be delivered.
const DELIVERED_PERCENT: u64 = 95;

/// What the media plane says of a metered session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeterNews {
    /// `wall_ms`: the same as date, in milliseconds since 1970, where media have dates.
    Began {
        timestamp: u32,
        line: MeteredLine,
        wall_ms: Option<u64>,
    },
    Reached {
        second: u64,
        until: u64,
    },
    Over {
        second: u64,
        sent: u32,
        withheld: u32,
        acknowledged: u32,
    },
}

/// A viewer that names many seconds unplayed gets less long before it gets none.
fn best_that_plays(named: u16, of: u16) -> RenditionName {
    let (named, of) = (u32::from(named), u32::from(of));
    if named * 4 >= of * 3 {
        RenditionName::VeryLow
    } else if named * 2 >= of {
        RenditionName::Low
    } else {
        RenditionName::Ultra
    }
}

/// What goes by itself or is the node's own doing; the rest is for the viewer to end.
fn is_viewers(hold: Hold) -> bool {
    !matches!(hold, Hold::NoSession | Hold::Unconfirmed | Hold::ChainAway | Hold::Committing)
}

impl Till {
    /// Begins to count where there is somebody who pays and somebody who is sent to.
    pub(super) fn meter(&mut self, ticket: TicketId, now: UnixMillis) {
        let Some(session) = self.sessions.get_mut(&ticket) else { return };
        let (Some(run), Some(peer)) = (&mut session.run, session.peer) else { return };
        if run.peer.is_none() {
            run.peer = Some(peer);
            self.effects.push(Effect::Meter { peer, session: run.number });
            self.cap(ticket, now);
        }
        self.pump(ticket, now);
    }

    /// The media plane sends no better layer than the offer that is paid by, nor than what seems to play.
    pub(super) fn cap(&mut self, ticket: TicketId, now: UnixMillis) {
        let Some(session) = self.sessions.get_mut(&ticket) else { return };
        let Some(run) = &mut session.run else { return };
        let Some(ledger) = self.accounts.get(&session.party).map(|account| &account.ledger) else { return };
        let Some(offer) = ledger.offer() else { return };
        let (named, of) = ledger.named(now);
        let ahead = ledger.paid_ahead().filter(|(tick, _)| run.tick(run.reached.unwrap_or(0)) <= *tick);
        let tier = offer.offer().quality.tier;
        let tier = ahead.map_or(tier, |(_, paid)| tier.min(paid));
        let cap = cap_of(tier).min(best_that_plays(named, of));
        if let (Some(peer), true) = (run.peer, run.cap != Some(cap)) {
            run.cap = Some(cap);
            self.effects.push(Effect::Cap { peer, cap });
        }
    }

    /// Asks for seconds until one is in hand beyond the one that is on its way.
    pub(super) fn pump(&mut self, ticket: TicketId, now: UnixMillis) {
        let Some(session) = self.sessions.get_mut(&ticket) else { return };
        let (Some(run), Some(peer)) = (&mut session.run, session.peer) else { return };
        // A peer that came later begins anew, with the next start.
        if run.peer != Some(peer) || run.waits {
            return;
        }
        let Some(account) = self.accounts.get_mut(&session.party) else { return };
        let is_blind = !account.ledger.channel().terms().is_served_at_age(self.chain_age_ms);
        let before = run.allowed;
        run.hold = None;
        let held_ticks = std::mem::take(&mut run.held_ticks);
        while run.allowed < run.reached.map_or(1, |second| second + 2) {
            // Of a channel that is at its end anyway the ledger says so, which does not pass.
            let is_held = is_blind && account.ledger.channel().funding(now).is_ok();
            let asked = if is_held {
                Err(Hold::ChainAway)
            } else {
                account.ledger.forward(&session.priced.book, now)
            };
            match asked {
                Ok(Forward::Send(tick)) => {
                    debug_assert_eq!(tick, run.tick(run.allowed), "ticks follow each other");
                    // It went by while nothing could be sent: it is nobody's debt.
                    if run.reached.is_some_and(|reached| run.allowed < reached) {
                        account.ledger.failed(tick);
                    }
                    run.allowed += 1;
                }
                Ok(Forward::Reserve(uncommitted)) => {
                    account.is_busy = true;
                    let why = Why::Reserve { ticket };
                    self.staged.push(Staged { party: session.party, uncommitted, why });
                    break;
                }
                Err(hold) => {
                    run.hold = Some(hold);
                    // Whoever pays for a second at a time, and fetches as much ahead as it may, is held all the time.
                    run.held_ticks = if run.allowed > before { 0 } else { held_ticks };
                    break;
                }
            }
        }
        if run.allowed > before {
            self.effects.push(Effect::Allow { peer, session: run.number, until: run.allowed });
        }
    }

    pub fn metered(&mut self, peer: MeteredPeer, number: u32, news: MeterNews, now: UnixMillis) {
        let Some(ticket) = self.peers.get(&peer).copied() else { return };
        match news {
            MeterNews::Began { timestamp, line, wall_ms } => {
                let Some(run) = self.run(ticket, number) else { return };
                let begin = SessionBegin { tick: run.first, rtp_timestamp: timestamp, line, wall_ms };
                let conn = run.conn;
                if self.conns.contains_key(&conn) {
                    self.effects.push(Effect::Begin { conn, begin });
                }
            }
            MeterNews::Reached { second, until } => self.reached(ticket, number, second, until, now),
            MeterNews::Over { second, sent, withheld, acknowledged } => {
                self.over(ticket, number, second, (sent, withheld, acknowledged));
            }
        }
    }

    fn run(&mut self, ticket: TicketId, number: u32) -> Option<&mut Run> {
        self.sessions.get_mut(&ticket)?.run.as_mut().filter(|run| run.number == number)
    }

    fn reached(&mut self, ticket: TicketId, number: u32, second: u64, until: u64, now: UnixMillis) {
        // One that is over goes on to the end of what was allowed: else that would count as never sent.
        let last = self.sessions.get_mut(&ticket).and_then(|session| session.last_run.as_mut());
        if let Some(run) = last.filter(|run| run.number == number) {
            run.reached = run.reached.max(Some(second));
            return;
        }
        let Some(run) = self.run(ticket, number) else { return };
        if run.hold.is_none() && second >= run.allowed + AWAY {
            // Each of them would be written down, and none of them was sent.
            self.tell_end(ticket, Ending::GraceSpent);
            return;
        }
        run.reached = run.reached.max(Some(second));
        if second >= until && run.hold.is_some_and(is_viewers) {
            run.blame(second);
        }
        self.cap(ticket, now);
        self.pump(ticket, now);
        let Some(run) = self.run(ticket, number) else { return };
        let lasts = second >= run.allowed + PATIENCE;
        if let Some(ending) = run.hold.filter(|_| lasts).and_then(Hold::ending) {
            self.tell_end(ticket, ending);
        }
    }

    /// A run ends, and its viewer is told why.
    pub(super) fn tell_end(&mut self, ticket: TicketId, ending: Ending) {
        let run = self.sessions.get(&ticket).and_then(|session| session.run.as_ref());
        if let Some((conn, channel)) = run.map(|run| (run.conn, run.channel)) {
            self.say(conn, ToViewer::Ended(channel, ending));
            self.end_run(ticket);
        }
    }

    /// Whoever has named all that is unpaid, and more than is forgiven, is told at once: it does not pass by itself.
    pub(super) fn end_if_barred(&mut self, ticket: TicketId) {
        let run = self.sessions.get(&ticket).and_then(|session| session.run.as_ref());
        if run.is_some_and(|run| run.hold == Some(Hold::TooManyUnplayed)) {
            self.tell_end(ticket, Ending::TooManyUnplayed);
        }
    }

    /// A second is delivered by what the viewer's feedback says, and failed only where the node sent nothing, or held
    /// something back by its own doing. One that was cut because it was paid too late is the viewer's to name: else
    /// whoever pays a moment too late each time would pay for none.
    fn over(&mut self, ticket: TicketId, number: u32, second: u64, counts: (u32, u32, u32)) {
        let (sent, withheld, acknowledged) = counts;
        let Some(session) = self.sessions.get_mut(&ticket) else { return };
        let mut runs = session.run.iter_mut().chain(&mut session.last_run);
        let Some(run) = runs.find(|run| run.number == number) else { return };
        let Some(account) = self.accounts.get_mut(&session.party) else { return };
        if account.ledger.channel().id() != run.channel {
            return;
        }
        // What was not allowed has no tick: the number after the last one is the next run's.
        if second >= run.allowed {
            return;
        }
        let tick = run.tick(second);
        let enough = u64::from(acknowledged) * 100 >= u64::from(sent) * DELIVERED_PERCENT;
        if sent == 0 {
            account.ledger.failed(tick);
        } else if withheld > 0 {
            // After a hold pictures wait for a key frame, perhaps into the next second: that is of the same doing.
            let before = second.checked_sub(1);
            if run.blamed.contains(&second) || before.is_some_and(|before| run.blamed.contains(&before)) {
                run.blame(second);
            } else {
                account.ledger.failed(tick);
            }
        } else if enough {
            account.ledger.delivered(tick);
        }
    }

    /// The peer is gone. What was allowed and never reached was not sent; what was sent may still be paid.
    /// Returns whether it was known.
    pub fn peer_gone(&mut self, peer: MeteredPeer, is_over: bool) -> bool {
        let Some(ticket) = self.peers.remove(&peer) else { return false };
        let Some(session) = self.sessions.get_mut(&ticket) else { return true };
        if session.peer == Some(peer) {
            session.peer = None;
        }
        let runs = session.run.iter().chain(&session.last_run);
        for run in runs.filter(|run| run.peer == Some(peer)) {
            let Some(account) = self.accounts.get_mut(&session.party) else { continue };
            if account.ledger.channel().id() != run.channel {
                continue;
            }
            for second in run.reached.map_or(0, |reached| reached + 1)..run.allowed {
                account.ledger.failed(Tick(run.first + second));
            }
        }
        let ended =
            session.run.as_ref().filter(|run| run.peer == Some(peer)).map(|run| (run.conn, run.channel));
        if let Some((conn, channel)) = ended {
            self.end_run(ticket);
            if is_over {
                self.say(conn, ToViewer::Ended(channel, Ending::StreamOver));
            }
        }
        self.forget_idle(ticket);
        true
    }

    /// What was to be stored for the next second was not.
    pub(super) fn wait_for_store(&mut self, ticket: TicketId) {
        if let Some(run) = self.sessions.get_mut(&ticket).and_then(|session| session.run.as_mut()) {
            run.waits = true;
            run.hold = Some(Hold::Committing);
        }
    }

    /// How old the last final block is that was read. Told before anything that it matters to.
    pub fn chain_age(&mut self, age_ms: Option<u64>) {
        self.chain_age_ms = age_ms;
    }

    /// Whether a channel that is opened now would be served.
    pub fn hears_chain(&self) -> bool {
        let is_recent = |age_ms| age_ms <= self.rules.dispute_window_ms / 2;
        self.rules.credit.is_some() || self.chain_age_ms.is_some_and(is_recent)
    }

    /// Asked each second: what passes by itself has perhaps passed.
    pub fn tick(&mut self, now: UnixMillis) {
        let mut held = Vec::new();
        for session in self.sessions.values_mut() {
            let Some(run) = &mut session.run else { continue };
            run.waits = false;
            if run.hold.is_some() || run.allowed == 0 {
                held.push(session.ticket.id);
            }
        }
        for ticket in held {
            self.pump(ticket, now);
            self.count_hold(ticket);
        }
    }

    /// Where nothing was sent yet no media tells how long it lasts: the clock does.
    fn count_hold(&mut self, ticket: TicketId) {
        let Some(run) = self.sessions.get_mut(&ticket).and_then(|session| session.run.as_mut()) else {
            return;
        };
        let Some(ending) = run.hold.and_then(Hold::ending) else {
            run.held_ticks = 0;
            return;
        };
        run.held_ticks += 1;
        if run.held_ticks >= PATIENCE_TICKS {
            self.tell_end(ticket, ending);
        }
    }
}
