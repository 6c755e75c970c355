mod liar;

use std::sync::Arc;

use api::pay::MeteredLine;
use chain::{BlockRef, ChannelNews};
use pay::channel::Funds;
use pay::ledger::{SettleReason, verify_all};
use pay::message::{Ending, Pay, Report, Start, ToNode, ToViewer};
use pay::*;
use sfu::{Sfu, SfuConfig};
use uuid::Uuid;

use super::*;
use crate::billing::catalogue::Priced;
use crate::billing::journal::{ChannelRow, LedgerRow, Loaded, Unit};
use crate::billing::tickets::{Ticket, Tickets};
use crate::id::PlaybackId;

/// Of a page that plays, as Chromium makes it.
const OFFER: &str = include_str!("../../../../../fuzz/corpus/offer/chromium-watch.sdp");
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;
const GENESIS: Genesis = Genesis([0x11; 32]);
const PRICE: u128 = 100;
const GRACE: u16 = 3;

fn keys(scheme: KeyScheme, number: u8) -> Keypair {
    Keypair::from_seed(scheme, &[number; 32].into())
}

fn creator() -> Keypair {
    keys(KeyScheme::Sr25519, 1)
}

fn node() -> Keypair {
    keys(KeyScheme::Ed25519, 2)
}

fn rules() -> Rules {
    Rules {
        ledger: LedgerConfig::default(),
        genesis: GENESIS,
        asset: AssetId::Native,
        dispute_window_ms: HOUR_MS,
        settles: true,
        credit: None,
        settle_idle_ms: 5_000,
        settle_at_least: Amount::new(1),
    }
}

/// One whose chain was heard a moment ago, and that has a creator.
fn till(rules: Rules) -> Till {
    let mut till = Till::new(rules, Arc::new(node()));
    till.chain_age(Some(0));
    till.payee(creator().public().account());
    till
}

/// One viewer's wallet: an account, a channel and its tab.
struct Viewer {
    account: AccountId,
    session: Keypair,
    terms: ChannelTerms,
    tab: Tab,
}

impl Viewer {
    fn new(account: u8, nonce: u64, priced: &Priced) -> Self {
        let session = keys(KeyScheme::Sr25519, account);
        let account = AccountId([account; 32]);
        let terms = ChannelTerms {
            genesis: GENESIS,
            asset: AssetId::Native,
            payer: account,
            payee: creator().public().account(),
            node: node().public(),
            session: session.public(),
            nonce,
            dispute_window_ms: HOUR_MS,
        };
        let offer = priced.current[0].verify(&GENESIS, NOW).unwrap();
        let tab = Tab::new(terms, offer, Amount::new(1_000_000)).unwrap();
        Self { account, session, terms, tab }
    }

    fn opened(&self, deposit: u128) -> ChannelNews {
        let deposit = Amount::new(deposit);
        let event = ChannelEvent::Opened { deposit, expires_at: NOW.plus(30 * DAY_MS) };
        ChannelNews { channel: self.terms.id(), event, terms: Some(self.terms) }
    }

    fn start(&mut self) -> ToNode {
        ToNode::Start(self.tab.start().unwrap())
    }

    /// The next second played.
    fn played(&mut self, tick: u64) -> Option<Pay> {
        self.tab.played(Tick(tick), &self.session, NOW).unwrap()
    }
}

/// A till with its media plane, whose disk works or does not.
struct Bench {
    till: Till,
    priced: Arc<Priced>,
    tickets: Tickets,
    sfu: Sfu,
    _events: tokio::sync::mpsc::Receiver<sfu::Event>,
    conns: u64,
    disk_works: bool,
    stored: Vec<Unit>,
    said: Vec<Effect>,
    now: UnixMillis,
}

fn priced(price: u128, tier: u8) -> Priced {
    let playback_id = PlaybackId::parse("0123456789abcdef").unwrap();
    let delegation = Delegation {
        genesis: GENESIS,
        payee: creator().public(),
        node: node().public(),
        from: UnixMillis(0),
        until: NOW.plus(30 * DAY_MS),
    };
    let delegation = Signed::sign(delegation, &creator()).unwrap();
    let offer = Offer {
        genesis: GENESIS,
        asset: AssetId::Native,
        content: crate::billing::catalogue::content_of(&playback_id),
        payee: creator().public(),
        delegation: delegation.body.hash(),
        price: Price::new(Amount::new(price)).unwrap(),
        grace_ticks: GRACE,
        quality: Quality { tier, max_height: 720, max_bitrate_kbps: 2_500 },
        until: NOW.plus(DAY_MS),
    };
    let published = PublishedOffer { offer: Signed::sign(offer, &node()).unwrap(), delegation };
    let mut book = OfferBook::default();
    book.publish(published.verify(&GENESIS, NOW).unwrap(), NOW).unwrap();
    let payee = creator().public().account();
    Priced { stream: Uuid::nil(), playback_id, payee, book, current: vec![published] }
}

impl Bench {
    fn new() -> Self {
        let (sfu, events) = Sfu::start(SfuConfig::default()).unwrap();
        Self {
            till: till(rules()),
            priced: Arc::new(priced(PRICE, 1)),
            tickets: Tickets::default(),
            sfu,
            _events: events,
            conns: 0,
            disk_works: true,
            stored: Vec::new(),
            said: Vec::new(),
            now: NOW,
        }
    }

    /// A viewer whose channel is open for good.
    fn viewer(&mut self, account: u8, deposit: u128) -> Viewer {
        let viewer = Viewer::new(account, 0, &self.priced);
        self.open(&viewer, deposit);
        viewer
    }

    fn open(&mut self, viewer: &Viewer, deposit: u128) {
        let block = BlockRef { number: 1, hash: [1; 32] };
        self.till.finalized(block, &[viewer.opened(deposit)], self.now);
        self.settle();
    }

    fn ticket(&self, viewer: &Viewer) -> Arc<Ticket> {
        let stream = (self.priced.playback_id.clone(), self.priced.stream);
        let payee = self.priced.payee;
        let token = self.tickets.issue(viewer.account, stream, payee, Uuid::new_v4(), self.now).unwrap();
        self.tickets.redeem(&token, self.now).unwrap()
    }

    fn connect(&mut self, ticket: &Arc<Ticket>) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.till.opened(conn, ticket, &self.priced, self.now);
        self.settle();
        conn
    }

    fn unattached(&self) -> MeteredPeer {
        let config = sfu::ViewerConfig {
            stream: sfu::StreamId(1),
            max_layer: RenditionName::VeryLow,
            choice: sfu::LayerChoice::Auto,
            metered: true,
        };
        self.sfu.handle().accept_viewer(OFFER, config).unwrap().peer.into()
    }

    fn peer(&mut self, ticket: &Arc<Ticket>) -> MeteredPeer {
        let peer = self.unattached();
        self.till.attach(peer, ticket, &self.priced, self.now);
        self.settle();
        peer
    }

    fn say(&mut self, conn: ConnId, message: impl Into<Option<ToNode>>) {
        if let Some(message) = message.into() {
            self.till.said(conn, message, self.now);
            self.settle();
        }
    }

    fn pay(&mut self, conn: ConnId, pay: Option<Pay>) {
        self.say(conn, pay.map(ToNode::Pay));
    }

    fn reach(&mut self, peer: MeteredPeer, session: u32, second: u64, until: u64) {
        self.till.metered(peer, session, MeterNews::Reached { second, until }, self.now);
        self.settle();
    }

    fn over(&mut self, peer: MeteredPeer, session: u32, second: u64, (sent, withheld): (u32, u32)) {
        let news = MeterNews::Over { second, sent, withheld, acknowledged: sent };
        self.till.metered(peer, session, news, self.now);
        self.settle();
    }

    /// As the cashier does it, until nothing is left to do.
    fn settle(&mut self) {
        loop {
            let (vetted, examined) = self.till.examined();
            let checks = examined.len();
            self.till.verified(vetted, verify_all(examined), self.now);
            let units = self.till.units();
            let is_idle = checks == 0 && units.is_empty();
            if !units.is_empty() {
                self.till.stored(&vec![self.disk_works; units.len()], self.now);
            }
            if self.disk_works {
                self.stored.extend(units);
            }
            self.said.extend(self.till.effects());
            if is_idle || !self.disk_works {
                return;
            }
        }
    }

    /// What was said since it was asked last.
    fn heard(&mut self, to: ConnId) -> Vec<ToViewer> {
        let (theirs, others) = std::mem::take(&mut self.said)
            .into_iter()
            .partition::<Vec<_>, _>(|effect| is_said_to(effect, to));
        self.said = others;
        let said = |effect| match effect {
            Effect::Say { what, .. } => Some(*what),
            _ => None,
        };
        theirs.into_iter().filter_map(said).collect()
    }

    /// How far the newest session of a peer may go.
    fn allowed(&self, peer: MeteredPeer) -> Option<u64> {
        self.said.iter().rev().find_map(|effect| match effect {
            Effect::Allow { peer: of, until, .. } if *of == peer => Some(*until),
            _ => None,
        })
    }

    fn account(&self, viewer: &Viewer) -> &Account {
        &self.till.accounts[&Party { payer: viewer.account, payee: self.priced.payee }]
    }

    /// Connects, starts, and pays the first second in advance.
    fn watch(&mut self, viewer: &mut Viewer) -> (ConnId, MeteredPeer, Arc<Ticket>) {
        let ticket = self.ticket(viewer);
        let (conn, peer) = (self.connect(&ticket), self.peer(&ticket));
        self.begin(viewer, conn);
        (conn, peer, ticket)
    }

    fn begin(&mut self, viewer: &mut Viewer, conn: ConnId) {
        let start = viewer.start();
        self.say(conn, start);
        for message in self.heard(conn) {
            let ToViewer::Started(started) = message else { continue };
            let first = viewer.tab.started(&started, &viewer.session, self.now).unwrap();
            self.pay(conn, first);
        }
        self.take_heard(viewer, conn);
    }

    /// The viewer reads what it was told.
    fn take_heard(&mut self, viewer: &mut Viewer, conn: ConnId) {
        for message in self.heard(conn) {
            match message {
                ToViewer::Acknowledged(stored) => viewer.tab.acknowledged(&stored).unwrap(),
                ToViewer::Receipt(receipt) => viewer.tab.receipt(&receipt).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn is_said_to(effect: &Effect, conn: ConnId) -> bool {
    matches!(effect, Effect::Say { conn: to, .. } if *to == conn)
}

fn refusals(messages: &[ToViewer]) -> Vec<Refusal> {
    let reason = |message: &ToViewer| match message {
        ToViewer::Refused(refused) => Some(refused.reason),
        _ => None,
    };
    messages.iter().filter_map(reason).collect()
}

fn last_ledger(units: &[Unit]) -> LedgerRow {
    units.iter().rev().find_map(|unit| unit.ledger.clone()).unwrap()
}

#[test]
fn a_viewer_that_pays_each_second_is_sent_each_second() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    assert_eq!(bench.allowed(peer), Some(1), "the first second was paid in advance");
    for second in 0..25 {
        bench.reach(peer, 1, second, second + 1);
        assert_eq!(bench.allowed(peer), Some(second + 2), "one is always in hand");
        bench.over(peer, 1, second, (30, 0));
        let paid = viewer.played(second);
        bench.pay(conn, paid);
        bench.take_heard(&mut viewer, conn);
    }
    // Seconds 0 to 24 at 100: the first was prepaid.
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(2_500));
    let watched: u64 = bench.stored.iter().filter_map(|unit| unit.watched).map(|watched| watched.ticks).sum();
    assert_eq!(watched, 25);
    // One with each tenth paid tick.
    assert_eq!(bench.stored.iter().filter(|unit| unit.receipt.is_some()).count(), 2);
    assert_eq!(viewer.tab.last_receipt().map(|receipt| receipt.body.number), Some(2));
    bench.account(&viewer).ledger.audit().unwrap();
}

#[test]
fn a_voucher_that_is_not_stored_is_not_acknowledged_and_the_gate_stays_shut_until_the_disk_works_again() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let ticket = bench.ticket(&viewer);
    let (conn, peer) = (bench.connect(&ticket), bench.peer(&ticket));
    let start = viewer.start();
    bench.say(conn, start);
    let [ToViewer::Started(started)] = &bench.heard(conn)[..] else { panic!("it was not started") };
    let first = viewer.tab.started(started, &viewer.session, NOW).unwrap();
    bench.disk_works = false;
    bench.pay(conn, first.clone());
    assert_eq!(refusals(&bench.heard(conn)), [Refusal::NodeFault]);
    assert_eq!((bench.allowed(peer), bench.account(&viewer).ledger.accepted()), (None, Amount::ZERO));
    // A clock that goes on changes nothing, and asks the disk each second at most.
    bench.till.tick(NOW);
    bench.settle();
    assert_eq!(bench.allowed(peer), None);
    bench.disk_works = true;
    bench.pay(conn, first);
    assert!(matches!(bench.heard(conn)[..], [ToViewer::Acknowledged(_)]));
    assert_eq!(bench.allowed(peer), Some(1));
}

#[test]
fn a_reservation_that_cannot_be_stored_shuts_the_gate_and_is_asked_for_again_with_the_clock() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (_conn, peer, _ticket) = bench.watch(&mut viewer);
    bench.disk_works = false;
    for second in 0..3 {
        bench.reach(peer, 1, second, second + 1);
    }
    let until = bench.allowed(peer).unwrap();
    assert!(until < u64::from(GRACE) + 1, "what was reserved is used up: {until}");
    bench.disk_works = true;
    bench.till.tick(NOW);
    bench.settle();
    assert!(bench.allowed(peer).unwrap() > until);
}

#[test]
fn a_viewer_that_stops_paying_is_sent_the_grace_and_then_told_that_it_is_over() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..10 {
        let until = bench.allowed(peer).unwrap();
        bench.reach(peer, 1, second, until);
    }
    // The prepaid second, and the grace beyond it.
    assert_eq!(bench.allowed(peer), Some(1 + u64::from(GRACE)));
    let id = viewer.terms.id();
    assert_eq!(bench.heard(conn), [ToViewer::Ended(id, Ending::GraceSpent)]);
    // Coming back gives no new grace.
    let (conn, again, _ticket) = bench.watch(&mut viewer);
    assert_eq!(bench.allowed(again), None);
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), i64::from(GRACE));
    // Nothing is sent that would tell how long that lasts; the clock does.
    (0..5).for_each(|_| bench.till.tick(NOW));
    bench.settle();
    assert_eq!(bench.heard(conn), [ToViewer::Ended(id, Ending::GraceSpent)]);
}

#[test]
fn seconds_that_went_by_at_a_shut_gate_are_nobodys_debt() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..6 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
    }
    assert_eq!(bench.allowed(peer), Some(4));
    // Four played; the payments come late, at second 5.
    for second in 0..4 {
        let paid = viewer.played(second);
        bench.pay(conn, paid);
    }
    bench.take_heard(&mut viewer, conn);
    // Second 4 went by unsent, 5 is on its way, 6 in hand.
    assert_eq!(bench.allowed(peer), Some(7));
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), 2);
    assert!(bench.heard(conn).is_empty());
}

#[test]
fn a_viewer_that_goes_on_much_later_begins_anew_and_nothing_of_the_gap_is_written_down() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    bench.reach(peer, 1, 0, bench.allowed(peer).unwrap());
    let until = bench.allowed(peer).unwrap();
    bench.reach(peer, 1, until + 60, until);
    assert_eq!(bench.heard(conn), [ToViewer::Ended(viewer.terms.id(), Ending::GraceSpent)]);
    assert_eq!((bench.allowed(peer), until), (Some(2), 2));
    // What was allowed and not sent is given back as the run ends; the viewer owes nothing.
    bench.over(peer, 1, 1, (0, 0));
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), 0);
}

#[test]
fn a_second_that_was_cut_because_it_was_paid_too_late_is_not_given_away() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..5 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
    }
    assert_eq!(bench.allowed(peer), Some(4), "second 4 has begun, and is held");
    let paid: Vec<_> = (0..3).filter_map(|second| viewer.played(second)).collect();
    bench.pay(conn, paid.into_iter().next_back());
    assert_eq!(bench.allowed(peer), Some(6));
    let before = bench.account(&viewer).ledger.unpaid_ticks();
    // Most of it went out after all; the next one waited for a key frame.
    bench.over(peer, 1, 4, (28, 2));
    bench.over(peer, 1, 5, (20, 10));
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), before);
    // What the node itself held back is not owed.
    bench.over(peer, 1, 3, (28, 2));
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), before - 1);
}

#[test]
fn a_second_of_which_nothing_was_sent_is_not_owed_and_false_loss_is() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (_conn, peer, _ticket) = bench.watch(&mut viewer);
    bench.reach(peer, 1, 0, 1);
    bench.reach(peer, 1, 1, 2);
    let before = bench.account(&viewer).ledger.unpaid_ticks();
    let lost = MeterNews::Over { second: 1, sent: 30, withheld: 0, acknowledged: 0 };
    bench.till.metered(peer, 1, lost, NOW);
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), before, "by its own word alone");
    bench.over(peer, 1, 2, (0, 0));
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), before - 1);
}

#[test]
fn a_second_viewer_on_one_channel_takes_the_place_of_the_first() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (first, ..) = bench.watch(&mut viewer);
    let ticket = bench.ticket(&viewer);
    let second = bench.connect(&ticket);
    bench.begin(&mut viewer, second);
    assert_eq!(bench.heard(first), [ToViewer::Ended(viewer.terms.id(), Ending::Superseded)]);
    let unpaid = viewer.tab.unacknowledged();
    assert_eq!(unpaid, None);
    // What the first says now does not count.
    let voucher = Voucher {
        genesis: GENESIS,
        channel: viewer.terms.id(),
        offer: bench.priced.current[0].offer.body.hash(),
        tick: Tick(1),
        cumulative: Amount::new(200),
    };
    let voucher = Signed::sign(voucher, &viewer.session).unwrap();
    bench.pay(first, Some(Pay { voucher, unplayed: Unplayed::default(), in_advance: false }));
    assert_eq!(refusals(&bench.heard(first)), [Refusal::NoSession]);
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(100));
}

#[test]
fn forged_replayed_and_foreign_vouchers_are_refused_by_name_and_move_nothing() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 450);
    let stranger = bench.viewer(8, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..4 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
    }
    let paid = [0, 1, 2].map(|second| viewer.played(second)).into_iter().flatten().collect::<Vec<_>>();
    for pay in paid.clone() {
        bench.pay(conn, Some(pay));
    }
    bench.take_heard(&mut viewer, conn);
    let right = Voucher { tick: Tick(3), cumulative: Amount::new(400), ..paid[1].voucher.body };
    let offer = OfferHash([9; 32]);
    let cases = [
        (paid[1].voucher.body, Refusal::Replayed),
        (paid[0].voucher.body, Refusal::RolledBack),
        (Voucher { cumulative: Amount::new(301), ..paid[1].voucher.body }, Refusal::Conflicting),
        (Voucher { genesis: Genesis([2; 32]), ..right }, Refusal::WrongGenesis),
        (Voucher { channel: stranger.terms.id(), ..right }, Refusal::WrongChannel),
        (Voucher { offer, ..right }, Refusal::UnknownOffer),
        (Voucher { cumulative: Amount::new(399), ..right }, Refusal::WrongStep),
        (Voucher { tick: Tick(99), cumulative: Amount::new(10_000), ..right }, Refusal::NotServed),
    ];
    for (body, reason) in cases {
        let voucher = Signed::sign(body, &viewer.session).unwrap();
        bench.pay(conn, Some(Pay { voucher, unplayed: Unplayed::default(), in_advance: false }));
        assert_eq!(refusals(&bench.heard(conn)), [reason]);
    }
    let forged = Signed::sign(right, &stranger.session).unwrap();
    bench.pay(conn, Some(Pay { voucher: forged, unplayed: Unplayed::default(), in_advance: false }));
    assert_eq!(refusals(&bench.heard(conn)), [Refusal::BadSignature]);
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(300));
    // The right one is taken after all of them; the next is more than the deposit.
    let pay = viewer.played(3);
    bench.pay(conn, pay);
    bench.take_heard(&mut viewer, conn);
    let over = Voucher { tick: Tick(4), cumulative: Amount::new(500), ..right };
    let over = Signed::sign(over, &viewer.session).unwrap();
    bench.pay(conn, Some(Pay { voucher: over, unplayed: Unplayed::default(), in_advance: false }));
    assert!(matches!(refusals(&bench.heard(conn))[..], [Refusal::OverDeposit | Refusal::NotServed]));
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(400));
}

#[test]
fn a_channel_of_another_account_or_node_or_with_too_short_a_window_starts_nothing() {
    let mut bench = Bench::new();
    let mut victim = bench.viewer(7, 100_000);
    let thief = bench.viewer(8, 100_000);
    let mut hasty = Viewer::new(9, 0, &bench.priced);
    hasty.terms.dispute_window_ms = HOUR_MS - 1;
    bench.open(&hasty, 100_000);
    let ticket = bench.ticket(&thief);
    let conn = bench.connect(&ticket);
    let start = victim.start();
    bench.say(conn, start);
    let said = bench.heard(conn);
    assert_eq!(refusals(&said), [Refusal::WrongChannel]);
    let ticket = bench.ticket(&hasty);
    let conn = bench.connect(&ticket);
    let offer = bench.priced.current[0].offer.body.hash();
    bench.say(conn, ToNode::Start(Start { channel: hasty.terms.id(), offer }));
    assert_eq!(refusals(&bench.heard(conn)), [Refusal::WrongChannel]);
    // One that names another node is none of ours, whoever else serves it.
    let mut elsewhere = Viewer::new(9, 1, &bench.priced);
    elsewhere.terms.node = keys(KeyScheme::Ed25519, 77).public();
    bench.open(&elsewhere, 100_000);
    for channel in [ChannelId([1; 32]), elsewhere.terms.id()] {
        bench.say(conn, ToNode::Start(Start { channel, offer }));
        assert_eq!(refusals(&bench.heard(conn)), [Refusal::ChannelUnknown]);
    }
}

#[test]
fn what_is_said_while_something_is_stored_waits_in_order_and_so_does_a_goodbye() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..4 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
    }
    let paid = [0, 1, 2, 3].map(|second| viewer.played(second));
    // All before anything is checked or stored.
    for pay in paid.into_iter().flatten() {
        bench.till.said(conn, ToNode::Pay(pay), NOW);
    }
    bench.till.gone(conn, NOW);
    bench.settle();
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(400));
    assert!(bench.account(&viewer).watcher.is_none() && bench.account(&viewer).waiting.is_empty());
    // Its voucher is due once nobody has watched for a while.
    assert_eq!(bench.till.due(9, NOW), []);
    let due = bench.till.due(9, NOW.plus(5_000));
    assert_eq!(
        due.iter().map(|due| due.settlement.voucher.body.cumulative.units()).collect::<Vec<_>>(),
        [400]
    );
}

#[test]
fn a_viewer_that_floods_is_dropped() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    bench.reach(peer, 1, 0, 1);
    viewer.played(0);
    bench.reach(peer, 1, 1, 2);
    let pay = viewer.played(1).unwrap();
    bench.said.clear();
    for _ in 0..200 {
        bench.till.said(conn, ToNode::Pay(pay.clone()), NOW);
    }
    assert!(bench.account(&viewer).waiting.len() <= 64);
    bench.settle();
    assert!(bench.said.iter().any(|effect| matches!(effect, Effect::Drop { conn: of, .. } if *of == conn)));
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(200));
}

#[test]
fn a_channel_that_was_left_for_another_is_never_taken_again() {
    let mut bench = Bench::new();
    let mut first = bench.viewer(7, 100_000);
    let mut second = Viewer::new(7, 1, &bench.priced);
    bench.open(&second, 100_000);
    let (conn, ..) = bench.watch(&mut first);
    // What was accepted must be settled first.
    let ticket = bench.ticket(&second);
    let other = bench.connect(&ticket);
    let start = second.start();
    bench.say(other, start);
    assert_eq!(refusals(&bench.heard(other)), [Refusal::Unsettled]);
    let settled = ChannelEvent::Settled { cumulative: Amount::new(100) };
    let news = ChannelNews { channel: first.terms.id(), event: settled, terms: None };
    bench.till.finalized(BlockRef { number: 2, hash: [2; 32] }, &[news], NOW);
    bench.settle();
    bench.begin(&mut second, other);
    assert_eq!(bench.account(&second).ledger.accepted(), Amount::new(100));
    assert_eq!(bench.account(&second).ledger.channel().id(), second.terms.id());
    let start = first.start();
    bench.say(conn, start);
    assert!(refusals(&bench.heard(conn)).contains(&Refusal::ChannelExpiring));
    let retired: Vec<_> =
        bench.stored.iter().flat_map(|unit| &unit.channels).filter(|row| row.is_retired).collect();
    assert_eq!(retired.iter().map(|row| row.channel.id()).collect::<Vec<_>>(), [first.terms.id()]);
}

#[test]
fn a_channel_is_settled_at_once_where_another_is_to_take_its_place_and_once_for_each() {
    let mut bench =
        Bench { till: till(Rules { settle_at_least: Amount::new(1_000_000), ..rules() }), ..Bench::new() };
    let mut first = bench.viewer(7, 100_000);
    let second = Viewer::new(7, 1, &bench.priced);
    bench.open(&second, 100_000);
    let party = Party { payer: first.account, payee: bench.priced.payee };
    let least = Price::new(Amount::new(PRICE)).unwrap();
    let able = |bench: &Bench| bench.till.is_able(party, second.terms.id(), least, NOW);
    let (conn, ..) = bench.watch(&mut first);
    assert_eq!(able(&bench), Err(Unable::Watching));
    bench.till.gone(conn, NOW);
    assert_eq!(able(&bench), Err(Unable::Unsettled));
    let later = NOW.plus(DAY_MS);
    assert_eq!(bench.till.due(9, later), [], "it is not worth its fee");
    // Going on with the first takes it back, and the second's turn is still to come.
    bench.till.hurry(party, second.terms.id());
    let (conn, ..) = bench.watch(&mut first);
    bench.till.gone(conn, NOW);
    assert_eq!(bench.till.due(9, later), []);
    bench.till.hurry(party, second.terms.id());
    let [due] = bench.till.due(9, NOW)[..] else { panic!("it is not settled at once") };
    assert_eq!(due.settlement.voucher.body.cumulative, Amount::new(PRICE));
    bench.till.settling(&due);
    let event = ChannelEvent::Settled { cumulative: Amount::new(PRICE) };
    let news = ChannelNews { channel: first.terms.id(), event, terms: None };
    bench.till.finalized(BlockRef { number: 2, hash: [2; 32] }, &[news], NOW);
    assert_eq!(able(&bench), Ok(()));
    // Its payer goes on with the first instead: nobody has the next second settled for the same deposit.
    let (conn, peer, ticket) = bench.watch(&mut first);
    // The first second is the one that was paid in advance.
    for second in 0..2 {
        bench.reach(peer, 1, second, second + 1);
        let tick = bench.till.sessions[&ticket.id].run.as_ref().unwrap().tick(second);
        let paid = first.played(tick.0);
        bench.pay(conn, paid);
    }
    assert_eq!(bench.account(&first).ledger.accepted(), Amount::new(2 * PRICE));
    bench.till.gone(conn, NOW);
    assert_eq!(able(&bench), Err(Unable::SettledLater));
    bench.till.hurry(party, second.terms.id());
    assert_eq!(bench.till.due(9, later), []);
}

#[test]
fn an_opening_that_is_not_final_is_served_up_to_the_grace_and_forgotten_when_its_block_loses() {
    let mut bench = Bench::new();
    let mut viewer = Viewer::new(7, 0, &bench.priced);
    bench.till.head(&[viewer.opened(100_000)], NOW);
    bench.settle();
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..6 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
        if second < 3 {
            let paid = viewer.played(second);
            bench.pay(conn, paid);
        }
    }
    assert_eq!(bench.allowed(peer), Some(u64::from(GRACE)));
    bench.take_heard(&mut viewer, conn);
    bench.till.finalized(BlockRef { number: 1, hash: [1; 32] }, &[viewer.opened(100_000)], NOW);
    bench.settle();
    assert!(bench.allowed(peer).unwrap() > u64::from(GRACE));
    // Of another, nothing stays.
    let lost = Viewer::new(8, 0, &bench.priced);
    bench.till.head(&[lost.opened(100_000)], NOW);
    bench.till.head(&[], NOW);
    assert!(!bench.till.channels.contains_key(&lost.terms.id()));
    assert_eq!(bench.till.accounts.len(), 1);
}

#[test]
fn a_node_that_starts_again_knows_each_acknowledged_voucher_and_gives_no_new_grace() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..3 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
    }
    for second in 0..2 {
        let paid = viewer.played(second);
        bench.pay(conn, paid);
    }
    bench.take_heard(&mut viewer, conn);
    let channels = bench.stored.iter().flat_map(|unit| unit.channels.clone()).collect::<Vec<ChannelRow>>();
    let loaded = Loaded {
        channels: channels.into_iter().rev().take(1).collect(),
        ledgers: vec![last_ledger(&bench.stored)],
        ..Loaded::default()
    };
    let sent = bench.allowed(peer).unwrap();
    bench.till = till(rules());
    bench.till.load(loaded).unwrap();
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(200));
    let unpaid = bench.account(&viewer).ledger.unpaid_ticks();
    assert!(unpaid >= sent as i64 - 2, "all that was sent counts: {unpaid}");
    bench.said.clear();
    let (_, again, _ticket) = bench.watch(&mut viewer);
    bench.reach(again, 1, 0, 1);
    bench.reach(again, 1, 1, 2);
    bench.reach(again, 1, 2, 3);
    let sent_again = bench.allowed(again).unwrap_or(0) as i64;
    assert!(unpaid + sent_again <= i64::from(GRACE), "{unpaid} and {sent_again}");
}

#[test]
fn a_close_that_both_signed_is_due_once_and_no_voucher_is_taken_after_it() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, _peer, _ticket) = bench.watch(&mut viewer);
    let close = viewer.tab.close(&viewer.session).unwrap();
    bench.say(conn, ToNode::Close(close));
    let [ToViewer::Closed(ours)] = &bench.heard(conn)[..] else { panic!("it was not agreed to") };
    viewer.tab.closed(ours).unwrap();
    let due = bench.till.closes_due(9, NOW);
    assert_eq!(due.iter().map(|due| due.ours).collect::<Vec<_>>(), [*ours]);
    assert_eq!(bench.till.due(9, NOW.plus(DAY_MS)), [], "the close pays it");
    bench.till.closing(viewer.terms.id());
    assert_eq!(bench.till.closes_due(9, NOW), []);
    // Where it fails, the voucher goes on chain, and the close is tried again: at once when the chain is back.
    bench.till.closing_failed(viewer.terms.id(), NOW);
    assert_eq!(bench.till.due(9, NOW.plus(DAY_MS)).len(), 1);
    assert_eq!(bench.till.closes_due(9, NOW.plus(1_999)), []);
    assert_eq!(bench.till.closes_due(9, NOW.plus(2_000)).len(), 1);
    bench.till.chain_is_back();
    assert_eq!(bench.till.closes_due(9, NOW).len(), 1);
    bench.till.closing(viewer.terms.id());
    bench.till.closing_refused(viewer.terms.id());
    assert_eq!(bench.till.closes_due(9, NOW.plus(DAY_MS)), [], "the chain would refuse it again, for a fee");
}

#[test]
fn a_close_is_due_where_all_was_settled_before_it_and_not_where_nothing_was_paid() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, ..) = bench.watch(&mut viewer);
    let spent = viewer.tab.spent();
    let event = ChannelEvent::Settled { cumulative: spent };
    let news = ChannelNews { channel: viewer.terms.id(), event, terms: None };
    bench.till.head(&[news], NOW);
    bench.till.finalized(BlockRef { number: 2, hash: [2; 32] }, &[news], NOW);
    bench.settle();
    let close = viewer.tab.close(&viewer.session).unwrap();
    bench.say(conn, ToNode::Close(close));
    assert_eq!(bench.till.closes_due(9, NOW).len(), 1, "the rest of the deposit comes back");

    let mut idle = bench.viewer(8, 100_000);
    let ticket = bench.ticket(&idle);
    let conn = bench.connect(&ticket);
    let close = idle.tab.close(&idle.session).unwrap();
    bench.say(conn, ToNode::Close(close));
    let heard = bench.heard(conn);
    assert!(matches!(heard[..], [ToViewer::Closed(_)]), "{heard:?}");
    assert_eq!(bench.till.closes_due(9, NOW).len(), 1, "nothing was paid: its payer may close it");
}

#[test]
fn a_counter_close_is_answered_at_once_and_a_settlement_is_not_said_twice() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let _watching = bench.watch(&mut viewer);
    assert_eq!(bench.till.due(9, NOW), []);
    let event = ChannelEvent::ClosingStarted { closes_at: NOW.plus(HOUR_MS) };
    bench.till.head(&[ChannelNews { channel: viewer.terms.id(), event, terms: None }], NOW);
    let due = bench.till.due(9, NOW);
    assert_eq!(due.len(), 1);
    bench.till.settling(&due[0]);
    assert_eq!(bench.till.due(9, NOW), []);
    bench.till.settling_refused(viewer.terms.id(), NOW);
    assert_eq!(bench.till.due(9, NOW.plus(59_999)), [], "the chain would refuse it again");
    assert_eq!(bench.till.due(9, NOW.plus(60_000)).len(), 1);
}

/// So many seconds, each paid.
fn play(bench: &mut Bench, viewer: &mut Viewer, (conn, peer): (ConnId, MeteredPeer), seconds: u64) {
    for second in 0..seconds {
        bench.reach(peer, 1, second, second + 1);
        let paid = viewer.played(second);
        bench.pay(conn, paid);
        bench.take_heard(viewer, conn);
    }
}

#[test]
fn of_what_is_urgent_that_goes_first_whose_channel_closes_first_and_then_what_is_worth_most() {
    let mut bench = Bench::new();
    let seconds_and_minutes = [(7, 1, 30), (8, 2, 20), (9, 3, 20), (10, 4, 40)];
    let mut news = Vec::new();
    for (account, seconds, minutes) in seconds_and_minutes {
        let mut viewer = bench.viewer(account, 100_000);
        let (conn, peer, _ticket) = bench.watch(&mut viewer);
        play(&mut bench, &mut viewer, (conn, peer), seconds);
        let event = ChannelEvent::ClosingStarted { closes_at: NOW.plus(minutes * 60_000) };
        news.push(ChannelNews { channel: viewer.terms.id(), event, terms: None });
    }
    bench.till.head(&news, NOW);
    let payers =
        |most| -> Vec<u8> { bench.till.due(most, NOW).iter().map(|due| due.party.payer.0[0]).collect() };
    assert_eq!((payers(9), payers(2)), (vec![9, 8, 7, 10], vec![9, 8]));
}

#[test]
fn a_close_is_countered_while_nobody_knows_what_became_of_the_last_settlement() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, ..) = bench.watch(&mut viewer);
    let channel = viewer.terms.id();
    bench.say(conn, ToNode::Stop(channel));
    let later = NOW.plus(5_000);
    let [due] = bench.till.due(9, later)[..] else { panic!("it is not due") };
    bench.till.settling(&due);
    bench.till.settling_doubtful(channel);
    assert_eq!(bench.till.due(9, later), []);
    let event = ChannelEvent::ClosingStarted { closes_at: later.plus(HOUR_MS) };
    bench.till.head(&[ChannelNews { channel, event, terms: None }], later);
    let [urgent] = bench.till.due(9, later)[..] else { panic!("it is not countered") };
    assert_eq!(urgent.settlement.reason, SettleReason::CounterClose);
    bench.till.settling(&urgent);
    assert_eq!(bench.till.due(9, later), [], "it is on its way");
}

#[test]
fn however_often_a_settlement_failed_an_urgent_one_is_tried_again_soon() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, ..) = bench.watch(&mut viewer);
    let channel = viewer.terms.id();
    bench.say(conn, ToNode::Stop(channel));
    let now = NOW.plus(5_000);
    for _ in 0..6 {
        bench.till.settling_failed(channel, now);
    }
    assert_eq!(bench.till.due(9, now.plus(59_999)), []);
    let event = ChannelEvent::ClosingStarted { closes_at: now.plus(HOUR_MS) };
    bench.till.head(&[ChannelNews { channel, event, terms: None }], now);
    assert_eq!(bench.till.due(9, now.plus(4_999)), []);
    assert_eq!(bench.till.due(9, now.plus(5_000)).len(), 1);
}

#[test]
fn what_is_worth_less_than_a_fee_waits_until_its_channel_ends() {
    let settle_at_least = Amount::new(3 * PRICE);
    let mut bench = Bench { till: till(Rules { settle_at_least, ..rules() }), ..Bench::new() };
    let (mut poor, mut rich) = (bench.viewer(7, 100_000), bench.viewer(8, 100_000));
    for (viewer, seconds) in [(&mut poor, 2), (&mut rich, 3)] {
        let (conn, peer, _ticket) = bench.watch(viewer);
        play(&mut bench, viewer, (conn, peer), seconds);
        bench.say(conn, ToNode::Stop(viewer.terms.id()));
    }
    assert!(poor.tab.spent() < settle_at_least && settle_at_least <= rich.tab.spent());
    let payers = |bench: &Bench| -> Vec<u8> {
        bench.till.due(9, NOW.plus(HOUR_MS)).iter().map(|due| due.party.payer.0[0]).collect()
    };
    assert_eq!(payers(&bench), [8]);
    let event = ChannelEvent::ClosingStarted { closes_at: NOW.plus(2 * HOUR_MS) };
    bench.till.head(&[ChannelNews { channel: poor.terms.id(), event, terms: None }], NOW);
    assert_eq!(payers(&bench), [7, 8]);
}

/// The chain has settled all of it, and closed it.
fn closed(bench: &mut Bench, viewer: &Viewer, number: u32) {
    let (channel, paid) = (viewer.terms.id(), bench.account(viewer).ledger.accepted());
    let events = [ChannelEvent::Settled { cumulative: paid }, ChannelEvent::Closed { paid }];
    let news = events.map(|event| ChannelNews { channel, event, terms: None });
    bench.till.finalized(BlockRef { number, hash: [2; 32] }, &news, bench.now);
    bench.settle();
}

/// What a node that was killed knows when it starts again.
fn loaded(bench: &Bench) -> Loaded {
    let rows = bench.stored.iter().flat_map(|unit| unit.channels.iter());
    let channels: BTreeMap<_, _> = rows.map(|row| (row.channel.id(), row.clone())).collect();
    let channels = channels.into_values().collect();
    Loaded { channels, ledgers: vec![last_ledger(&bench.stored)], ..Loaded::default() }
}

#[test]
fn what_an_account_was_forgiven_is_not_given_again_by_a_restart_and_a_further_channel() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    play(&mut bench, &mut viewer, (conn, peer), 3);
    bench.reach(peer, 1, 3, 4);
    let mut unplayed = Unplayed::default();
    unplayed.push(Tick(3), 1).unwrap();
    bench.say(conn, ToNode::Report(Report { channel: viewer.terms.id(), unplayed }));
    bench.till.gone(conn, NOW);
    bench.till.peer_gone(peer, false);
    let standing = *bench.account(&viewer).ledger.standing();
    assert_eq!((standing.paid, standing.forgiven), (3, 1));
    closed(&mut bench, &viewer, 2);
    let units = std::mem::replace(&mut bench.till, till(rules())).last_units();
    bench.stored.extend(units);
    bench.till.load(loaded(&bench)).unwrap();
    assert!(bench.till.accounts.is_empty(), "nothing of it is open");
    let further = Viewer::new(7, 1, &bench.priced);
    bench.till.head(&[further.opened(100_000)], NOW);
    assert_eq!(*bench.account(&further).ledger.standing(), standing);
    // Its block lost, and another one has it.
    bench.till.head(&[], NOW);
    assert!(bench.till.accounts.is_empty());
    bench.open(&further, 100_000);
    assert_eq!(*bench.account(&further).ledger.standing(), standing);
}

#[test]
fn channels_for_those_who_never_named_this_node_take_no_place() {
    let mut bench = Bench::new();
    let mut strangers: Vec<_> = (1..=9).map(|nonce| Viewer::new(7, nonce, &bench.priced)).collect();
    for (stranger, payee) in strangers.iter_mut().zip(100..) {
        stranger.terms.payee = AccountId([payee; 32]);
    }
    let opened = |viewer: &Viewer| viewer.opened(1);
    let news: Vec<_> = strangers.iter().map(opened).collect();
    bench.till.head(&news, NOW);
    bench.till.finalized(BlockRef { number: 1, hash: [1; 32] }, &news, NOW);
    bench.settle();
    assert!(bench.till.accounts.is_empty() && bench.till.channels.is_empty());
    assert!(bench.stored.iter().all(|unit| unit.channels.is_empty()));
    // Once one has, it is paid like any other.
    bench.till.payee(strangers[0].terms.payee);
    let funds = Funds { deposit: Amount::new(1), settled: Amount::ZERO, expires_at: NOW.plus(30 * DAY_MS) };
    let state = chain::ChannelState {
        terms: strangers[0].terms,
        finalized: Phase::Open(funds),
        head: Phase::Open(funds),
    };
    // What a block had said of it might be newer than the first answer.
    bench.till.import(&state);
    assert!(bench.till.channels.is_empty());
    bench.till.import(&state);
    assert_eq!(bench.till.accounts.len(), 1);
}

#[test]
fn a_close_that_came_while_the_chain_was_asked_of_the_channel_is_not_missed() {
    let mut bench = Bench::new();
    let viewer = Viewer::new(7, 0, &bench.priced);
    let funds =
        Funds { deposit: Amount::new(100_000), settled: Amount::ZERO, expires_at: NOW.plus(30 * DAY_MS) };
    let (terms, channel, closes_at) = (viewer.terms, viewer.terms.id(), NOW.plus(HOUR_MS));
    let open = chain::ChannelState { terms, finalized: Phase::Open(funds), head: Phase::Open(funds) };
    let event = ChannelEvent::ClosingStarted { closes_at };
    let news = ChannelNews { channel, event, terms: None };
    bench.till.finalized(BlockRef { number: 2, hash: [2; 32] }, &[news], NOW);
    bench.till.import(&open);
    assert!(!bench.till.channels.contains_key(&channel), "the answer is older");
    let closing = Phase::Closing { funds, closes_at };
    bench.till.import(&chain::ChannelState { terms, finalized: closing, head: closing });
    assert_eq!(bench.account(&viewer).ledger.channel().finalized(), closing);
}

#[test]
fn a_credit_account_for_which_there_is_no_room_leaves_nothing_behind() {
    let mut bench = Bench::new();
    bench.till = till(Rules { credit: Some(Amount::new(1_000)), settles: false, ..rules() });
    bench.till.newest = Some(BlockRef { number: 1, hash: [1; 32] });
    let account = keys(KeyScheme::Sr25519, 50);
    let opening = |payee, nonce| {
        let plain = Viewer::new(7, nonce, &bench.priced).terms;
        let payer = account.public().account();
        let terms = ChannelTerms { payer, payee, dispute_window_ms: 0, ..plain };
        Signed::sign(CreditTerms::try_from(terms).unwrap(), &account).unwrap()
    };
    let creator = creator().public().account();
    let [stranger, taken] = [opening(AccountId([9; 32]), 0), opening(creator, 1)];
    let crowd: Vec<_> = (2..30).map(|nonce| opening(creator, nonce)).collect();
    assert_eq!(bench.till.open_credit(&stranger), Err(Unable::NotYours));
    assert!(bench.till.credits.is_empty() && bench.till.openings.is_empty() && bench.till.cursor.is_none());
    assert_eq!(bench.till.open_credit(&taken), Ok(taken.body.id()));
    let entered = crowd.iter().filter(|opening| bench.till.open_credit(opening).is_ok()).count();
    assert_eq!(entered, 16, "beside the one in use");
    let left = [bench.till.credits.len(), bench.till.openings.len(), bench.till.acts.len()];
    assert_eq!(left, [17; 3]);
}

#[test]
fn half_a_dispute_window_without_the_chain_shuts_the_gate_until_it_is_heard_again() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, ticket) = bench.watch(&mut viewer);
    bench.till.chain_age(Some(HOUR_MS / 2));
    play(&mut bench, &mut viewer, (conn, peer), 2);
    assert_eq!(bench.allowed(peer), Some(3));
    bench.till.chain_age(Some(HOUR_MS / 2 + 1));
    // What was sent is paid for; nothing more is sent, and it is not over.
    (2..9).for_each(|second| bench.reach(peer, 1, second, 3));
    let paid = viewer.played(2);
    bench.pay(conn, paid);
    (0..9).for_each(|_| bench.till.tick(NOW));
    bench.settle();
    assert_eq!(bench.allowed(peer), Some(3));
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(3 * PRICE));
    bench.take_heard(&mut viewer, conn);
    // Nobody is let in, and a start is to be said again later.
    let party = Party { payer: viewer.account, payee: bench.priced.payee };
    let least = Price::new(Amount::new(PRICE)).unwrap();
    let able = bench.till.is_able(party, viewer.terms.id(), least, NOW);
    assert_eq!(able, Err(Unable::ChainAway));
    let again = bench.connect(&ticket);
    viewer.tab.stop();
    let start = viewer.start();
    bench.say(again, start.clone());
    assert_eq!(refusals(&bench.heard(again)), [Refusal::NodeFault]);
    assert!(Refusal::NodeFault.is_passing());
    bench.till.chain_age(Some(1_000));
    bench.say(again, start);
    assert!(matches!(bench.heard(again)[..], [ToViewer::Started(_)]));
    assert_eq!(bench.till.is_able(party, viewer.terms.id(), least, NOW), Ok(()));
}

#[test]
fn seconds_that_went_by_while_the_chain_was_away_are_nobodys_debt() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (_conn, peer, _ticket) = bench.watch(&mut viewer);
    bench.till.chain_age(None);
    (0..6).for_each(|second| bench.reach(peer, 1, second, 1));
    assert_eq!(bench.allowed(peer), Some(1));
    bench.over(peer, 1, 0, (30, 0));
    bench.till.chain_age(Some(0));
    bench.till.tick(NOW);
    bench.settle();
    assert_eq!(bench.allowed(peer), Some(7), "one is on its way, one in hand");
    // The first was prepaid, 1 to 4 went by unsent.
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), 2);
}

#[test]
fn what_does_not_get_to_the_chain_is_tried_ever_more_rarely_and_at_once_when_the_chain_is_back() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, ..) = bench.watch(&mut viewer);
    let channel = viewer.terms.id();
    bench.say(conn, ToNode::Stop(channel));
    let mut now = NOW.plus(5_000);
    for pause_ms in [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        let due = bench.till.due(9, now);
        bench.till.settling(&due[0]);
        bench.till.settling_failed(channel, now);
        assert_eq!(bench.till.due(9, now.plus(pause_ms - 1)), [], "{pause_ms} ms");
        now = now.plus(pause_ms);
        assert_eq!(bench.till.due(9, now).len(), 1, "{pause_ms} ms");
    }
    bench.till.settling_failed(channel, now);
    bench.till.chain_is_back();
    assert_eq!(bench.till.due(9, now).len(), 1, "at once");
    // And from the beginning.
    bench.till.settling_failed(channel, now);
    assert_eq!(bench.till.due(9, now.plus(2_000)).len(), 1);
    // One that got there forgets what was.
    bench.till.settling_failed(channel, now);
    bench.till.settling_done(channel);
    assert_eq!(bench.till.due(9, now).len(), 1);
}

#[test]
fn a_channel_that_nears_its_expiry_is_settled_at_once_when_the_chain_is_back() {
    let mut bench = Bench::new();
    let mut viewers = [7, 8].map(|number| bench.viewer(number, 100_000));
    viewers.iter_mut().for_each(|viewer| drop(bench.watch(viewer)));
    let late = NOW.plus(30 * DAY_MS - 1);
    let expiring = bench.till.due(9, late);
    assert!(expiring.iter().all(|due| due.settlement.reason == SettleReason::Expiring), "{expiring:?}");
    assert_eq!(expiring.len(), 2);
    for due in &expiring {
        bench.till.settling(due);
        bench.till.settling_failed(due.settlement.voucher.body.channel, late);
    }
    assert_eq!(bench.till.due(9, late), []);
    bench.till.chain_is_back();
    assert_eq!(bench.till.due(9, late), expiring);
}

#[test]
fn a_new_offer_is_told_and_counts_only_once_a_voucher_names_it() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    let dearer = priced(PRICE * 2, 1);
    let mut both = dearer.book.clone();
    both.publish(bench.priced.current[0].verify(&GENESIS, NOW).unwrap(), NOW).unwrap();
    let both = Arc::new(Priced { book: both, ..dearer });
    bench.till.offers(&both);
    bench.settle();
    let [ToViewer::Offer(published)] = &bench.heard(conn)[..] else { panic!("no offer was made") };
    bench.reach(peer, 1, 0, 1);
    viewer.played(0);
    bench.reach(peer, 1, 1, 2);
    let paid = viewer.played(1);
    bench.pay(conn, paid);
    bench.take_heard(&mut viewer, conn);
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(200), "the old price, without consent");
    let offer = published.verify(&GENESIS, NOW).unwrap();
    viewer.tab.offered(offer).unwrap();
    viewer.tab.consent(&offer.hash()).unwrap();
    bench.reach(peer, 1, 2, 3);
    let paid = viewer.played(2);
    bench.pay(conn, paid);
    bench.take_heard(&mut viewer, conn);
    assert_eq!(bench.account(&viewer).ledger.accepted(), Amount::new(400));
}

#[test]
fn seconds_in_hand_of_a_viewer_that_left_are_not_owed() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    bench.reach(peer, 1, 0, 1);
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), 1, "second 1 is in hand");
    bench.till.gone(conn, NOW);
    bench.till.peer_gone(peer, false);
    assert_eq!(bench.account(&viewer).ledger.unpaid_ticks(), 0);
    assert!(bench.till.sessions.is_empty() && bench.till.peers.is_empty() && bench.till.conns.is_empty());
}

#[test]
fn a_report_of_unplayed_seconds_opens_the_gate_within_what_is_forgiven() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..4 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
    }
    assert_eq!(bench.allowed(peer), Some(4));
    let mut unplayed = Unplayed::default();
    unplayed.push(Tick(1), 2).unwrap();
    bench.say(conn, ToNode::Report(Report { channel: viewer.terms.id(), unplayed }));
    // One was paid, so one is forgiven.
    assert_eq!(bench.allowed(peer), Some(5));
    assert_eq!(bench.account(&viewer).ledger.named(NOW).0, 2);
    assert_eq!(bench.account(&viewer).ledger.standing().forgiven, 1);
}

#[test]
fn a_block_without_news_costs_no_write_and_one_with_news_does() {
    let mut bench = Bench::new();
    let block = |number| BlockRef { number, hash: [number as u8; 32] };
    for number in 1..=60 {
        bench.till.finalized(block(number), &[], NOW);
        bench.settle();
    }
    let kept = |bench: &Bench| {
        bench
            .stored
            .iter()
            .filter_map(|unit| unit.cursor)
            .map(|cursor| cursor.block.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&bench), [1]);
    let viewer = Viewer::new(7, 0, &bench.priced);
    bench.till.finalized(block(61), &[viewer.opened(100)], NOW);
    bench.settle();
    bench.till.finalized(block(62), &[], NOW);
    bench.settle();
    assert_eq!(kept(&bench), [1, 61]);
}

#[test]
fn a_viewer_that_names_many_seconds_unplayed_gets_a_lower_layer_before_it_gets_none() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    let caps = |bench: &Bench| {
        let cap = |effect: &Effect| match effect {
            Effect::Cap { cap, .. } => Some(*cap),
            _ => None,
        };
        bench.said.iter().filter_map(cap).collect::<Vec<_>>()
    };
    // Every second one does not play.
    for second in 0..50 {
        bench.reach(peer, 1, second, bench.allowed(peer).unwrap());
        if second % 2 == 0 {
            let paid = viewer.played(second);
            bench.pay(conn, paid);
            bench.take_heard(&mut viewer, conn);
        } else {
            let report = viewer.tab.did_not_play(Tick(second)).unwrap();
            bench.say(conn, ToNode::Report(report));
        }
        // Three quarters of thirty in ten minutes.
        let expected: &[_] =
            if second < 45 { &[RenditionName::Low] } else { &[RenditionName::Low, RenditionName::VeryLow] };
        assert_eq!(caps(&bench), expected, "after second {second}");
    }
    assert_eq!(refusals(&bench.heard(conn)), []);
}

#[test]
fn a_player_of_hls_is_metered_and_gives_way_as_a_peer_does_and_rests_when_its_viewer_stops() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let ticket = bench.ticket(&viewer);
    let (conn, player) = (bench.connect(&ticket), HlsViewerId(1));
    bench.till.attach(player.into(), &ticket, &bench.priced, bench.now);
    bench.begin(&mut viewer, conn);
    assert_eq!(bench.allowed(player.into()), Some(1));
    assert!(bench.said.contains(&Effect::Cap { peer: player.into(), cap: RenditionName::Low }));
    bench.till.metered(
        player.into(),
        1,
        MeterNews::Began { timestamp: 9, line: MeteredLine::Video, wall_ms: Some(8) },
        bench.now,
    );
    bench.settle();
    let begin = SessionBegin { tick: 0, rtp_timestamp: 9, line: MeteredLine::Video, wall_ms: Some(8) };
    assert!(bench.said.contains(&Effect::Begin { conn, begin }));
    bench.reach(player.into(), 1, 0, 1);
    assert_eq!(bench.allowed(player.into()), Some(2));
    bench.say(conn, ToNode::Stop(viewer.terms.id()));
    assert!(bench.said.contains(&Effect::Rest { viewer: player }));
    // What was in hand is owed no more once the player says that it was not sent.
    let unpaid = |bench: &Bench| bench.account(&viewer).ledger.unpaid_ticks();
    assert_eq!(unpaid(&bench), 1);
    bench.over(player.into(), 1, 1, (0, 0));
    assert_eq!(unpaid(&bench), 0);
    let peer = bench.peer(&ticket);
    assert!(bench.said.contains(&Effect::Hang { peer: player.into() }) && peer != player.into());
}

/// Whoever fetches what it plays later is at the end of its grace most of the time.
#[test]
fn a_viewer_that_fetches_as_far_ahead_as_it_may_and_pays_each_second_is_not_told_that_it_is_over() {
    let mut bench = Bench::new();
    let mut viewer = bench.viewer(7, 100_000);
    let (conn, peer, _ticket) = bench.watch(&mut viewer);
    for second in 0..12 {
        loop {
            let until = bench.allowed(peer).unwrap();
            // It waits for what it may not have yet.
            bench.reach(peer, 1, until, until);
            if bench.allowed(peer) == Some(until) {
                break;
            }
        }
        bench.till.tick(bench.now);
        bench.settle();
        let pay = viewer.played(second);
        bench.pay(conn, pay);
        bench.take_heard(&mut viewer, conn);
    }
    assert_eq!(viewer.tab.spent(), Amount::new(12 * PRICE));
}
