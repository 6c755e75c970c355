//! A viewer's tab and a node's ledger over a network that loses, repeats and reorders, with crashes on both sides, a
//! store that fails, offers that change and somebody who replays and forges: a million random events.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

mod world;

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tickcast_pay::ledger::Forward;
use tickcast_pay::message::{Ending, Pay};
use tickcast_pay::tab::Reaction;
use tickcast_pay::*;
use world::*;

const CASES: u32 = 100;
const EVENTS: usize = 10_000;

struct Both {
    world: World,
    config: LedgerConfig,
    offers: Vec<VerifiedOffer>,
    now: UnixMillis,
    deposit: Amount,
    ledger: Ledger,
    /// What the node's store holds, and the highest total that any stored record had.
    disk: Option<Vec<u8>>,
    durable: Amount,
    storing: Option<Uncommitted>,
    tab: Tab,
    tab_disk: Vec<u8>,
    to_node: Vec<Vec<u8>>,
    to_viewer: Vec<Vec<u8>>,
    /// Seconds that were sent and did not play yet.
    media: VecDeque<Tick>,
    captured: VecDeque<Vec<u8>>,
    /// What each total pays, counted by what really happened.
    ticks: BTreeMap<(Tick, Amount), u64>,
    sent: u64,
    played: u64,
    has_forgotten: bool,
    /// How often the viewer lost all that it knew.
    losses: u64,
    /// Nothing is lost or repeated any more.
    is_whole: bool,
}

impl Both {
    fn new(deposit: u128, scheme: KeyScheme, forgive_ticks: u16) -> Self {
        let config = LedgerConfig { forgive_ticks, ..config() };
        let mut world = World::new(scheme);
        let prices = [PRICE, 3 * PRICE, PRICE / 2];
        let offers = prices.map(|price| {
            world.offer_with(|offer| {
                offer.price = Price::new(Amount::new(price)).unwrap();
                offer.until = NOW.plus(29 * DAY_MS);
            })
        });
        let mut channel = Channel::new(world.terms);
        channel.apply_final(opened(deposit)).unwrap();
        let tab = Tab::new(world.terms, offers[0], Amount::new(deposit)).unwrap();
        Self {
            offers: offers.to_vec(),
            config,
            now: NOW,
            deposit: Amount::new(deposit),
            ledger: Ledger::new(config, channel),
            disk: None,
            durable: Amount::ZERO,
            storing: None,
            tab_disk: tab.to_bytes(),
            tab,
            to_node: Vec::new(),
            to_viewer: Vec::new(),
            media: VecDeque::new(),
            captured: VecDeque::new(),
            ticks: BTreeMap::new(),
            sent: 0,
            played: 0,
            has_forgotten: false,
            losses: 0,
            is_whole: false,
            world,
        }
    }

    fn event(&mut self, what: u8, how: u8) {
        match what {
            0..55 => self.forward(),
            55..110 => self.play(how),
            110..155 => self.node_hears(how),
            155..200 => self.viewer_hears(how),
            200..232 => self.stored(how > 20),
            232..240 => self.repeat(),
            240 if how < 128 => self.reconnect(),
            241 if how < 128 => self.node_crashes(how > 63),
            242 if how < 64 => self.viewer_crashes(how),
            240..243 => {}
            243..245 => self.now = self.now.plus(u64::from(how) * 100),
            245..250 => self.send_start_if_idle(),
            250..253 => self.attack(how),
            _ => self.change_offer(how),
        }
        self.must_hold();
    }

    /// What must be true at every moment.
    fn must_hold(&self) {
        let (spent, accepted) = (self.tab.spent(), self.ledger.accepted());
        assert!(spent <= self.deposit && accepted <= self.deposit, "beyond the deposit");
        let paid = self.ledger.last_voucher().map_or(0, |last| self.ticks_of(&last.body));
        // What was paid in advance is lost with all that was known of it.
        let lost = 1 + self.losses;
        assert!(paid <= self.played + lost, "the viewer lost more than a tick: {paid} of {}", self.played);
        let owed = self.sent.saturating_sub(paid + self.ledger.totals().forgiven);
        assert!(owed <= GRACE.into(), "the creator lost more than the grace: {owed}");
        let standing = self.ledger.standing();
        assert_eq!(standing.paid, paid);
        assert!(standing.forgiven <= self.config.forgivable(paid), "more was forgiven than the bound");
    }

    fn forward(&mut self) {
        match self.ledger.forward(&self.world.book, self.now) {
            Ok(Forward::Send(tick)) => {
                self.sent += 1;
                self.media.push_back(tick);
            }
            Ok(Forward::Reserve(uncommitted)) => self.storing = Some(uncommitted),
            // The node asks again a little later.
            Err(hold) => {
                self.now = self.now.plus(250);
                let channel = self.world.terms.id();
                if hold == Hold::TooManyUnplayed && self.to_viewer.len() < 8 {
                    self.to_viewer.push(ToViewer::Ended(channel, Ending::TooManyUnplayed).to_bytes());
                }
            }
        }
    }

    /// Its own clock goes on where nothing comes.
    fn pass(&mut self, how: u8) {
        let ahead = self.ledger.unpaid_ticks().unsigned_abs() + self.played + u64::from(how);
        if let Ok(report) = self.tab.did_not_play(Tick(ahead)) {
            self.send(&ToNode::Report(report));
        }
    }

    fn play(&mut self, how: u8) {
        if self.media.is_empty() && how < 8 {
            return self.pass(how);
        }
        if self.media.is_empty() || !self.tab.affords_next() {
            return;
        }
        let tick = self.media.pop_front().unwrap();
        self.now = self.now.plus(1_000);
        if how < 2 {
            if let Ok(report) = self.tab.did_not_play(tick) {
                self.send(&ToNode::Report(report));
            }
            return;
        }
        let before = self.newest();
        let result = self.tab.played(tick, &self.world.session, self.now);
        self.signed(before);
        match result {
            Ok(pay) => {
                self.played += 1;
                self.pay(pay);
            }
            Err(TabError::AlreadyCounted | TabError::NotWatching | TabError::Unacknowledged) => {}
            Err(other) => panic!("{other}"),
        }
    }

    /// The newest voucher, and how many ticks were signed for.
    fn newest(&self) -> (Option<Voucher>, u64) {
        (self.tab.last_voucher().map(|voucher| voucher.body), self.tab.totals().signed)
    }

    /// Keeps a count of its own of what each voucher pays.
    fn signed(&mut self, (before, ticks): (Option<Voucher>, u64)) {
        let (newest, now) = self.newest();
        // Otherwise it was only shown to us.
        if let Some(newest) = newest.filter(|_| now > ticks) {
            let ticks = before.map_or(0, |before| self.ticks_of(&before)) + now - ticks;
            let known = self.ticks.insert((newest.tick, newest.cumulative), ticks);
            assert!(known.is_none() || self.has_forgotten, "a second was signed for twice");
        }
    }

    fn ticks_of(&self, voucher: &Voucher) -> u64 {
        self.ticks[&(voucher.tick, voucher.cumulative)]
    }

    fn pay(&mut self, pay: Option<Pay>) {
        if let Some(pay) = pay {
            self.tab_disk = self.tab.to_bytes();
            self.send(&ToNode::Pay(pay));
        }
    }

    fn send(&mut self, message: &ToNode) {
        self.to_node.push(message.to_bytes());
        self.captured.push_back(message.to_bytes());
        if self.captured.len() > 50 {
            self.captured.pop_front();
        }
    }

    /// One of those under way, in any order; now and then it comes once more, or never.
    fn take(queue: &mut Vec<Vec<u8>>, how: u8) -> Option<Vec<u8>> {
        let at = usize::from(how) % queue.len().max(1);
        match how % 16 {
            _ if queue.is_empty() => None,
            0 => {
                queue.remove(at);
                None
            }
            1 => Some(queue[at].clone()),
            _ => Some(queue.remove(at)),
        }
    }

    fn node_hears(&mut self, how: u8) {
        if let Some(bytes) = Self::take(&mut self.to_node, how)
            && let Some(answer) = self.at_node(&bytes)
        {
            self.to_viewer.push(answer.to_bytes());
        }
    }

    fn at_node(&mut self, bytes: &[u8]) -> Option<ToViewer> {
        let refuse =
            |ledger: &Ledger, tick, reason| Some(ToViewer::Refused(Box::new(ledger.refused(tick, reason))));
        match ToNode::from_bytes(bytes).unwrap() {
            ToNode::Start(start) => match self.ledger.start(&start.offer, &self.world.book, self.now) {
                Ok(started) => Some(ToViewer::Started(Box::new(started))),
                Err(reason) => refuse(&self.ledger, None, reason),
            },
            ToNode::Pay(pay) => {
                let tick = Some(pay.voucher.body.tick);
                let (book, now) = (&self.world.book, self.now);
                let examined = self.ledger.examine(pay, book, now);
                let verified = examined.and_then(|examined| examined.verify());
                match verified.and_then(|v| self.ledger.stage(v, book, &self.world.node, now)) {
                    Ok(uncommitted) => {
                        self.storing = Some(uncommitted);
                        None
                    }
                    Err(reason) => refuse(&self.ledger, tick, reason),
                }
            }
            ToNode::Report(report) => {
                self.ledger.report(&report, self.now).err().and_then(|err| refuse(&self.ledger, None, err))
            }
            ToNode::Stop(_) | ToNode::Close(_) => None,
        }
    }

    fn stored(&mut self, succeeds: bool) {
        let Some(uncommitted) = self.storing.take() else { return };
        if !succeeds {
            self.ledger.aborted(&uncommitted).unwrap();
            return;
        }
        self.on_disk(&uncommitted);
        let committed = self.ledger.committed(uncommitted).unwrap();
        if let Some(acknowledged) = committed.acknowledged {
            assert!(acknowledged.cumulative() <= self.durable, "acknowledged before it was stored");
            self.to_viewer.push(ToViewer::Acknowledged(acknowledged).to_bytes());
        }
        if let Some(receipt) = committed.receipt {
            self.to_viewer.push(ToViewer::Receipt(receipt).to_bytes());
        }
    }

    fn on_disk(&mut self, uncommitted: &Uncommitted) {
        self.disk = Some(uncommitted.record().to_vec());
        if let Some(voucher) = uncommitted.voucher() {
            assert!(voucher.body.cumulative > self.durable, "a total that does not rise was taken");
            self.durable = voucher.body.cumulative;
        }
    }

    fn viewer_hears(&mut self, how: u8) {
        if let Some(bytes) = Self::take(&mut self.to_viewer, how) {
            self.at_viewer(&bytes);
        }
    }

    fn at_viewer(&mut self, bytes: &[u8]) {
        let before = self.newest();
        match ToViewer::from_bytes(bytes).unwrap() {
            ToViewer::Started(started) => {
                assert!(started.last.is_none_or(|last| last.body.cumulative <= self.durable));
                match self.tab.started(&started, &self.world.session, self.now) {
                    Ok(pay) => {
                        self.signed(before);
                        self.pay(pay);
                        let report = self.tab.report();
                        report.into_iter().for_each(|report| self.send(&ToNode::Report(report)));
                    }
                    // An earlier answer, late.
                    Err(TabError::WentBack) if !self.is_whole => {}
                    Err(TabError::Unacknowledged) => {}
                    Err(TabError::CapReached) => assert!(!self.tab.affords_next()),
                    Err(other) => panic!("{other}"),
                }
            }
            ToViewer::Acknowledged(stored) => {
                let known = self.tab.acknowledged(&stored);
                assert!(known.is_ok() || self.has_forgotten);
            }
            ToViewer::Refused(refused) => match self.tab.refused(&refused).unwrap() {
                Reaction::Leave(reason) => assert_eq!(refused.tick, None, "an honest viewer: {reason}"),
                Reaction::Nothing | Reaction::Again => {}
            },
            ToViewer::Receipt(receipt) => match self.tab.receipt(&receipt) {
                Ok(()) | Err(TabError::BadReceipt) => {}
                Err(TabError::ReceiptMismatch) => assert!(self.has_forgotten),
                Err(other) => panic!("{other}"),
            },
            ToViewer::Ended(channel, ending) => {
                self.tab.ended(channel, ending).unwrap();
            }
            other => panic!("{other:?}"),
        }
        let before = self.newest();
        if let Ok(pay) = self.tab.due(&self.world.session, self.now) {
            self.signed(before);
            self.pay(pay);
        }
    }

    fn repeat(&mut self) {
        let pay = self.tab.unacknowledged();
        pay.into_iter().for_each(|pay| self.send(&ToNode::Pay(pay)));
        let report = self.tab.report();
        report.into_iter().for_each(|report| self.send(&ToNode::Report(report)));
    }

    fn send_start_if_idle(&mut self) {
        if !self.tab.is_watching() {
            let start = self.tab.start().unwrap();
            self.send(&ToNode::Start(start));
        }
    }

    /// What was under way on the old connection is lost with it.
    fn reconnect(&mut self) {
        self.ledger.stop();
        self.to_node.clear();
        self.to_viewer.clear();
        self.media.clear();
        let start = self.tab.start().unwrap();
        self.send(&ToNode::Start(start));
    }

    fn node_crashes(&mut self, was_stored: bool) {
        if let Some(uncommitted) = self.storing.take().filter(|_| was_stored) {
            self.on_disk(&uncommitted);
        }
        let channel = self.ledger.channel().clone();
        self.ledger = match &self.disk {
            Some(record) => Ledger::restore(self.config, channel, record).unwrap(),
            None => Ledger::new(self.config, channel),
        };
        assert_eq!(self.ledger.accepted(), self.durable);
        self.reconnect();
    }

    fn viewer_crashes(&mut self, how: u8) {
        self.has_forgotten = true;
        self.tab = match how % 4 {
            0 => {
                self.losses += 1;
                Tab::new(self.world.terms, self.offers[0], self.deposit).unwrap()
            }
            _ => Tab::from_bytes(&self.tab_disk).unwrap(),
        };
        self.reconnect();
    }

    fn change_offer(&mut self, how: u8) {
        let offer = self.offers[usize::from(how) % self.offers.len()];
        self.tab.offered(offer).unwrap();
        self.tab.consent(&offer.hash()).unwrap();
    }

    /// Somebody repeats what was said, or changes it; the answers go elsewhere.
    fn attack(&mut self, how: u8) {
        let Some(bytes) = self.captured.get(usize::from(how) % self.captured.len().max(1)).cloned() else {
            return;
        };
        let Ok(ToNode::Pay(mut pay)) = ToNode::from_bytes(&bytes) else { return };
        let (accepted, staged) = (self.ledger.accepted(), self.storing.is_some());
        let voucher = &mut pay.voucher;
        let mut is_forged = true;
        match how % 8 {
            0 => voucher.body.cumulative = Amount::new(voucher.body.cumulative.units() + PRICE),
            1 => voucher.body.tick.0 += 1,
            2 => voucher.body.genesis = Genesis([0; 32]),
            3 => voucher.body.channel = ChannelId([0; 32]),
            4 => voucher.body.offer = self.offers[2].hash(),
            5 => voucher.signature.bytes[usize::from(how) % 64] ^= 1,
            _ => is_forged = false,
        }
        is_forged &= ToNode::Pay(pay.clone()).to_bytes() != bytes;
        let answer = self.at_node(&ToNode::Pay(pay).to_bytes());
        if is_forged {
            assert!(matches!(answer, Some(ToViewer::Refused(_))), "a forgery was taken: {how}");
            assert_eq!((self.ledger.accepted(), self.storing.is_some()), (accepted, staged));
        }
    }

    /// The network is whole again, and nobody plays any more: both sides come to the same.
    fn settle(&mut self) {
        self.is_whole = true;
        for _ in 0..50 {
            self.reconnect();
            for _ in 0..20 {
                self.stored(true);
                let to_node = std::mem::take(&mut self.to_node);
                for bytes in to_node {
                    let answer = self.at_node(&bytes);
                    self.to_viewer.extend(answer.map(|answer| answer.to_bytes()));
                    self.stored(true);
                }
                let to_viewer = std::mem::take(&mut self.to_viewer);
                to_viewer.iter().for_each(|bytes| self.at_viewer(bytes));
                self.repeat();
            }
            if self.tab.unacknowledged().is_none() {
                break;
            }
        }
        self.must_hold();
        self.ledger.audit().unwrap();
        assert_eq!(self.tab.unacknowledged(), None, "something stays unacknowledged");
        assert_eq!(self.tab.spent(), self.ledger.accepted(), "the totals differ");
        assert_eq!(self.ledger.accepted(), self.durable);
        if !self.has_forgotten {
            let (totals, paid) = (self.tab.totals(), self.ledger.totals().paid);
            assert_eq!((totals.signed, totals.played), (paid, self.played));
            // Every second that played is paid, and but the prepaid one nothing else is.
            assert!(paid >= self.played && paid <= self.played.max(1), "{paid} for {}", self.played);
        }
    }
}

#[test]
fn viewer_and_node_agree_whatever_happens_between_them() {
    let cases = if std::env::var_os("TICKCAST_SOAK").is_some() { 16 * CASES } else { CASES };
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let events = prop::collection::vec(any::<(u8, u8)>(), EVENTS);
    let deposit = prop_oneof![1 => Just(40_u128), 5 => 1_000..20_000_u128, 30 => Just(DEPOSIT)];
    // What crashes cost is forgiven, or ends most sessions.
    let forgiven = prop_oneof![1 => Just(3_u16), 1 => Just(30), 4 => Just(1_000)];
    let totals = std::cell::Cell::new((0_u64, 0_u64, 0_u64));
    runner
        .run(&(events, deposit, any::<bool>(), forgiven), |(events, deposit, is_ed, forgiven)| {
            let scheme = if is_ed { KeyScheme::Ed25519 } else { KeyScheme::Sr25519 };
            let mut both = Both::new(deposit, scheme, forgiven);
            both.reconnect();
            events.iter().for_each(|(what, how)| both.event(*what, *how));
            both.settle();
            let (sent, played, paid) = totals.get();
            let more = both.ledger.totals().paid;
            totals.set((sent + both.sent, played + both.played, paid + more));
            Ok(())
        })
        .unwrap();
    let (sent, played, paid) = totals.get();
    println!("{} events: {sent} seconds sent, {played} played, {paid} paid", cases as usize * EVENTS);
    // Otherwise nothing was tried.
    assert!(
        paid > 20_000 && played <= paid + 10 * u64::from(cases),
        "{sent} sent, {played} played, {paid} paid"
    );
}
