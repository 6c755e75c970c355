//! Pay sockets and what is said on them. One ticket has one socket and one peer at a time; one account has one viewer.

use std::collections::BTreeSet;
use std::sync::Arc;

use media::RenditionName;
use pay::message::{Ending, Pay, Refused, Report, Start, Started, ToNode, ToViewer};
use pay::{ChannelId, CloseTerms, Refusal, Signed, Tick, UnixMillis};

use super::storing::{Staged, Why};
use super::{ConnId, Effect, MeteredPeer, Party, Payment, Till};
use crate::billing::catalogue::Priced;
use crate::billing::tickets::{Ticket, TicketId};

/// Messages of one account that wait for what is being stored. A viewer signs sixteen vouchers at most that are not
/// acknowledged.
const WAITING_MAX: usize = 64;

/// Seconds that are remembered as held back; the media plane says what became of one three seconds later.
const BLAMED_MAX: usize = 16;

pub(super) struct Conn {
    pub ticket: TicketId,
}

/// What waits in an account's queue.
pub(super) enum Word {
    Said(Box<ToNode>),
    /// The connection is closed: after what was said on it.
    Gone,
}

/// One ticket in use.
pub(super) struct Session {
    pub ticket: Arc<Ticket>,
    pub priced: Arc<Priced>,
    pub party: Party,
    pub conn: Option<ConnId>,
    pub peer: Option<MeteredPeer>,
    /// Between a start that was taken and its end.
    pub run: Option<Run>,
    /// The one before: what became of its last seconds comes late.
    pub last_run: Option<Run>,
    /// Runs so far; the media plane's number of the newest.
    pub runs: u32,
}

/// Seconds that are counted from one start on.
#[derive(Debug)]
pub(super) struct Run {
    pub number: u32,
    pub conn: ConnId,
    pub channel: ChannelId,
    /// The tick of second 0.
    pub first: u64,
    /// The media plane counts it, by this peer.
    pub peer: Option<MeteredPeer>,
    /// Seconds below this may be sent.
    pub allowed: u64,
    /// The newest second of which media has come.
    pub reached: Option<u64>,
    pub hold: Option<pay::Hold>,
    /// For so many ticks of the clock.
    pub held_ticks: u32,
    /// Seconds that were held back because the viewer had not paid.
    pub blamed: BTreeSet<u64>,
    /// What it needs could not be stored: it is asked for again with the next tick of the clock.
    pub waits: bool,
    /// As the media plane knows it.
    pub cap: Option<RenditionName>,
}

impl Run {
    fn new(number: u32, conn: ConnId, started: &Started) -> Self {
        Self {
            number,
            conn,
            channel: started.channel,
            first: started.next.0,
            peer: None,
            allowed: 0,
            reached: None,
            hold: None,
            held_ticks: 0,
            blamed: BTreeSet::new(),
            waits: false,
            cap: None,
        }
    }

    /// The viewer had not paid for what was held back of it.
    pub fn blame(&mut self, second: u64) {
        self.blamed.insert(second);
        if self.blamed.len() > BLAMED_MAX {
            self.blamed.pop_first();
        }
    }

    pub fn tick(&self, second: u64) -> Tick {
        Tick(self.first.saturating_add(second))
    }
}

impl Till {
    /// A pay socket whose viewer has shown its token. One of the same ticket before it is closed.
    pub fn opened(&mut self, conn: ConnId, ticket: &Arc<Ticket>, priced: &Arc<Priced>, now: UnixMillis) {
        if let Some(old) = self.session(ticket, priced).conn {
            // Its task says when it is gone.
            self.effects.push(Effect::Drop { conn: old, why: "another connection took its place" });
            self.leave(Party { payer: ticket.account, payee: ticket.payee }, ticket.id, now);
        }
        self.conns.insert(conn, Conn { ticket: ticket.id });
        self.session(ticket, priced).conn = Some(conn);
    }

    /// A viewer's peer, that gets nothing before it is paid for.
    pub fn attach(&mut self, peer: MeteredPeer, ticket: &Arc<Ticket>, priced: &Arc<Priced>, now: UnixMillis) {
        let session = self.session(ticket, priced);
        if let Some(old) = session.peer.replace(peer) {
            // A player of HLS is not told by a connection that it has ended.
            let is_its = session.run.as_ref().is_some_and(|run| run.peer == Some(old));
            if is_its && matches!(old, MeteredPeer::Hls(_)) {
                self.tell_end(ticket.id, Ending::GraceSpent);
            }
            // It is known until it is gone: what it was not sent is told until then.
            self.effects.push(Effect::Hang { peer: old });
        }
        self.peers.insert(peer, ticket.id);
        self.meter(ticket.id, now);
    }

    fn session(&mut self, ticket: &Arc<Ticket>, priced: &Arc<Priced>) -> &mut Session {
        self.sessions.entry(ticket.id).or_insert_with(|| Session {
            ticket: Arc::clone(ticket),
            priced: Arc::clone(priced),
            party: Party { payer: ticket.account, payee: ticket.payee },
            conn: None,
            peer: None,
            run: None,
            last_run: None,
            runs: 0,
        })
    }

    /// The socket is closed: nobody watches by it any more, once what was said on it is heard.
    pub fn gone(&mut self, conn: ConnId, now: UnixMillis) {
        let Some(party) = self.party_of(conn) else {
            self.conns.remove(&conn);
            return;
        };
        match self.accounts.get_mut(&party) {
            Some(account) if account.is_busy || !account.waiting.is_empty() => {
                account.waiting.push_back((conn, Word::Gone));
            }
            _ => self.close_conn(conn, now),
        }
    }

    fn close_conn(&mut self, conn: ConnId, now: UnixMillis) {
        let Some(Conn { ticket }) = self.conns.remove(&conn) else { return };
        if let Some(session) = self.sessions.get_mut(&ticket)
            && session.conn == Some(conn)
        {
            session.conn = None;
            let party = session.party;
            self.leave(party, ticket, now);
        }
        self.forget_idle(ticket);
    }

    /// A session without socket and peer is none.
    pub(super) fn forget_idle(&mut self, ticket: TicketId) {
        let is_idle = |session: &Session| session.conn.is_none() && session.peer.is_none();
        if self.sessions.get(&ticket).is_some_and(is_idle) {
            self.sessions.remove(&ticket);
        }
    }

    /// Its viewer leaves, if it is the one that watches.
    fn leave(&mut self, party: Party, ticket: TicketId, now: UnixMillis) {
        self.end_run(ticket);
        if let Some(account) = self.accounts.get_mut(&party)
            && account.watcher == Some(ticket)
        {
            account.watcher = None;
            account.left_at = now;
            account.ledger.stop();
        }
    }

    /// Nothing more is sent of it; what was sent may still be paid.
    pub(super) fn end_run(&mut self, ticket: TicketId) {
        if let Some(session) = self.sessions.get_mut(&ticket)
            && let Some(run) = session.run.take()
        {
            if let Some(MeteredPeer::Hls(viewer)) = run.peer {
                self.effects.push(Effect::Rest { viewer });
            }
            session.last_run = Some(run);
        }
    }

    /// What a viewer said. While something of its account is being stored, the rest waits in order.
    pub fn said(&mut self, conn: ConnId, message: ToNode, now: UnixMillis) {
        let Some(party) = self.party_of(conn) else { return };
        match self.accounts.get_mut(&party) {
            Some(account) if account.is_busy || !account.waiting.is_empty() => {
                if account.waiting.len() < WAITING_MAX {
                    account.waiting.push_back((conn, Word::Said(Box::new(message))));
                } else {
                    // Its task says that it is gone.
                    self.effects.push(Effect::Drop { conn, why: "it said too much at once" });
                }
            }
            _ => self.hear(conn, message, now),
        }
    }

    /// What waited for something that is stored now.
    pub(super) fn resume(&mut self, party: Party, now: UnixMillis) {
        while let Some(account) = self.accounts.get_mut(&party)
            && !account.is_busy
            && let Some((conn, word)) = account.waiting.pop_front()
        {
            match word {
                Word::Said(message) => self.hear(conn, *message, now),
                Word::Gone => self.close_conn(conn, now),
            }
        }
        if let Some(ticket) = self.accounts.get(&party).and_then(|account| account.watcher) {
            self.pump(ticket, now);
        }
    }

    fn party_of(&self, conn: ConnId) -> Option<Party> {
        let ticket = self.conns.get(&conn)?.ticket;
        Some(self.sessions.get(&ticket)?.party)
    }

    fn hear(&mut self, conn: ConnId, message: ToNode, now: UnixMillis) {
        let Some(ticket) = self.conns.get(&conn).map(|conn| conn.ticket) else { return };
        match message {
            ToNode::Start(start) => self.start(conn, ticket, &start, now),
            ToNode::Pay(pay) => self.pay(conn, ticket, pay, now),
            ToNode::Report(report) => self.report(conn, ticket, &report, now),
            ToNode::Stop(channel) => self.stop(conn, ticket, channel, now),
            ToNode::Close(terms) => self.close(conn, ticket, &terms),
        }
    }

    pub(super) fn refuse(&mut self, conn: ConnId, channel: ChannelId, tick: Option<Tick>, reason: Refusal) {
        let account = self.party_of(conn).and_then(|party| self.accounts.get(&party));
        let own = account.filter(|account| account.ledger.channel().id() == channel);
        let refused = match own {
            Some(account) => account.ledger.refused(tick, reason),
            // Nothing of another channel is shown.
            None => Refused { channel, tick, reason, last: None },
        };
        self.say(conn, ToViewer::Refused(Box::new(refused)));
    }

    fn start(&mut self, conn: ConnId, ticket: TicketId, start: &Start, now: UnixMillis) {
        let Some(session) = self.sessions.get(&ticket) else { return };
        let (party, priced) = (session.party, Arc::clone(&session.priced));
        if let Err(reason) = self.may_start(party, start, &priced, now) {
            return self.refuse(conn, start.channel, None, reason);
        }
        let Some(account) = self.accounts.get_mut(&party) else { return };
        if account.ledger.channel().id() != start.channel {
            return self.change_channel(conn, party, *start);
        }
        match account.ledger.start(&start.offer, &priced.book, now) {
            Ok(started) => self.started(conn, ticket, party, started, now),
            Err(reason) => self.refuse(conn, start.channel, None, reason),
        }
    }

    fn may_start(
        &self,
        party: Party,
        start: &Start,
        priced: &Priced,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        use super::Unable;
        let offer = priced.book.in_force(&start.offer, now)?;
        match self.is_able(party, start.channel, offer.offer().price, now) {
            // A viewer without a further second may still be told where it stands.
            Ok(()) | Err(Unable::TooLittle | Unable::CreditSpent) => Ok(()),
            Err(Unable::Unknown | Unable::NoBlock | Unable::Full) => Err(Refusal::ChannelUnknown),
            Err(Unable::NotYours | Unable::DisputeWindow | Unable::OtherRail) => Err(Refusal::WrongChannel),
            Err(Unable::Retired) => Err(Refusal::ChannelExpiring),
            // It may be said again later, and passes.
            Err(Unable::ChainAway) => Err(Refusal::NodeFault),
            Err(Unable::Unsettled | Unable::SettledLater | Unable::Watching) => Err(Refusal::Unsettled),
            Err(Unable::Refused(reason)) => Err(reason),
        }
    }

    /// The payer's other channel, once that is stored; then it is started.
    fn change_channel(&mut self, conn: ConnId, party: Party, start: Start) {
        let Some(account) = self.accounts.get_mut(&party) else { return };
        let Some(channel) = account.spare.get(&start.channel).cloned() else {
            return self.refuse(conn, start.channel, None, Refusal::ChannelUnknown);
        };
        let old = account.ledger.channel().clone();
        match account.ledger.replace_channel(channel) {
            Ok(uncommitted) => {
                account.is_busy = true;
                let why = Why::Replace { conn, start, old: Box::new(old) };
                self.staged.push(Staged { party, uncommitted, why });
            }
            Err(reason) => self.refuse(conn, start.channel, None, reason),
        }
    }

    /// Whoever watched before on this account does so no more.
    fn started(&mut self, conn: ConnId, ticket: TicketId, party: Party, started: Started, now: UnixMillis) {
        let Some(account) = self.accounts.get_mut(&party) else { return };
        let before = account.watcher.replace(ticket);
        account.hurried_for = None;
        // What was said on an earlier connection does not count any more.
        account.waiting.retain(|(from, word)| *from == conn || matches!(word, Word::Gone));
        if let Some(old) = before.and_then(|old| self.sessions.get(&old))
            && let Some(run) = &old.run
            && run.conn != conn
        {
            let (channel, to) = (run.channel, run.conn);
            self.say(to, ToViewer::Ended(channel, Ending::Superseded));
        }
        if let Some(old) = before {
            self.end_run(old);
        }
        let Some(session) = self.sessions.get_mut(&ticket) else { return };
        session.runs += 1;
        session.run = Some(Run::new(session.runs, conn, &started));
        self.say(conn, ToViewer::Started(Box::new(started)));
        self.meter(ticket, now);
    }

    /// Whether that connection is the one by which the account is watched.
    fn watches(&self, conn: ConnId, ticket: TicketId) -> Option<Party> {
        let session = self.sessions.get(&ticket)?;
        let account = self.accounts.get(&session.party)?;
        (session.conn == Some(conn) && account.watcher == Some(ticket)).then_some(session.party)
    }

    fn pay(&mut self, conn: ConnId, ticket: TicketId, pay: Pay, now: UnixMillis) {
        let voucher = pay.voucher.body;
        let tick = voucher.tick;
        let Some(party) = self.watches(conn, ticket) else {
            return self.refuse(conn, voucher.channel, Some(tick), Refusal::NoSession);
        };
        let Some(priced) = self.sessions.get(&ticket).map(|session| Arc::clone(&session.priced)) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(&party) else { return };
        match account.ledger.examine(pay, &priced.book, now) {
            Ok(examined) => {
                account.is_busy = true;
                self.examined.push((Payment { party, ticket, conn, tick }, examined));
            }
            Err(reason) => {
                let refused = account.ledger.refused(Some(tick), reason);
                self.say(conn, ToViewer::Refused(Box::new(refused)));
            }
        }
    }

    fn report(&mut self, conn: ConnId, ticket: TicketId, report: &Report, now: UnixMillis) {
        let Some(party) = self.watches(conn, ticket) else {
            return self.refuse(conn, report.channel, None, Refusal::NoSession);
        };
        let Some(account) = self.accounts.get_mut(&party) else { return };
        match account.ledger.report(report, now) {
            Ok(()) => {
                self.cap(ticket, now);
                self.pump(ticket, now);
                self.end_if_barred(ticket);
            }
            Err(reason) => {
                let refused = account.ledger.refused(None, reason);
                self.say(conn, ToViewer::Refused(Box::new(refused)));
            }
        }
    }

    fn stop(&mut self, conn: ConnId, ticket: TicketId, channel: ChannelId, now: UnixMillis) {
        let Some(party) = self.watches(conn, ticket) else { return };
        let is_own =
            self.accounts.get(&party).is_some_and(|account| account.ledger.channel().id() == channel);
        if is_own {
            self.leave(party, ticket, now);
        }
    }

    /// The viewer's half of a cooperative close; ours follows once both are stored.
    fn close(&mut self, conn: ConnId, ticket: TicketId, terms: &Signed<CloseTerms>) {
        let channel = terms.body.channel;
        let Some(party) = self.sessions.get(&ticket).map(|session| session.party) else { return };
        let signer = Arc::clone(&self.signer);
        let Some(account) = self.accounts.get_mut(&party) else {
            return self.refuse(conn, channel, None, Refusal::ChannelUnknown);
        };
        if let Some((theirs, ours)) = account.ledger.close_agreed()
            && theirs.body == terms.body
        {
            let again = ToViewer::Closed(*ours);
            return self.say(conn, again);
        }
        match account.ledger.agree_to_close(terms, signer.as_ref()) {
            Ok(uncommitted) => {
                account.is_busy = true;
                self.staged.push(Staged { party, uncommitted, why: Why::Close { conn, ticket } });
            }
            Err(reason) => self.refuse(conn, channel, None, reason),
        }
    }

    /// New offers of a stream: its viewers are told, and take them or leave.
    pub fn offers(&mut self, priced: &Arc<Priced>) {
        let mut told = Vec::new();
        for session in self.sessions.values_mut().filter(|session| session.priced.stream == priced.stream) {
            session.priced = Arc::clone(priced);
            let Some(run) = &session.run else { continue };
            let offer = self.accounts.get(&session.party).and_then(|account| account.ledger.offer());
            let Some(tier) = offer.map(|offer| offer.offer().quality.tier) else { continue };
            let of_tier = priced.current.iter().find(|published| published.offer.body.quality.tier == tier);
            told.extend(of_tier.map(|published| (run.conn, *published)));
        }
        for (conn, published) in told {
            self.say(conn, ToViewer::Offer(Box::new(published)));
        }
    }
}
