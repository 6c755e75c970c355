//! A viewer's paying against a node's ledger: what plays is paid, what does not is not, and a node that lies is left.

#![allow(clippy::unwrap_used, reason = "a test says by panicking what went wrong")]

mod world;

use std::time::{Duration, Instant};

use pay::message::{Ending, Pay};
use pay::*;
use proptest::prelude::*;
use tickcast_watch::{Lane, Leaving, PaySession, Verdict};
use world::*;

/// Pictures a second.
const RATE: u64 = 30;
const SECOND: Duration = Duration::from_secs(1);
/// The line's timestamp of the first picture: it wraps in the second second.
const START: u32 = u32::MAX - 100_000;

/// A viewer and a node on one clock, with a network that loses nothing but pictures.
struct Both {
    node: Node,
    session: PaySession,
    start: Instant,
    passed: Duration,
    /// The picture that is next, of the present session, and which tick its first second is.
    picture: u64,
    first: Option<u64>,
    pays: Vec<Pay>,
    said: Vec<ToNode>,
    records: Vec<Vec<u8>>,
    /// The node will not hear of seconds that did not play.
    is_lying: bool,
}

impl Both {
    fn new(limit: u128) -> Self {
        Self::with(Node::at(NOW), limit, false)
    }

    fn with(node: Node, limit: u128, consent: bool) -> Self {
        let session = node.session(limit, consent);
        let mut both = Self {
            node,
            session,
            start: Instant::now(),
            passed: Duration::ZERO,
            picture: 0,
            first: None,
            pays: Vec::new(),
            said: Vec::new(),
            records: Vec::new(),
            is_lying: false,
        };
        both.connect();
        both
    }

    fn now(&self) -> tickcast_watch::Now {
        after(self.start, self.passed)
    }

    fn connect(&mut self) {
        let now = self.now();
        self.session.connected(now);
        self.session.media_up(now);
        self.exchange();
    }

    /// Everything that is said is heard.
    fn exchange(&mut self) {
        while let Some(batch) = self.session.take() {
            let pays = batch.messages.iter().any(|message| matches!(message, ToNode::Pay(_)));
            assert!(!pays || batch.record.is_some(), "a voucher is sent that was not stored");
            self.records.extend(batch.record);
            for message in batch.messages {
                self.said.push(message.clone());
                if let ToNode::Pay(pay) = &message {
                    self.pays.push(pay.clone());
                }
                if let ToNode::Start(_) = &message {
                    (self.first, self.picture) = (None, 0);
                }
                self.node.now = self.now().wall;
                if self.is_lying
                    && let Some(answer) = self.lie(&message)
                {
                    self.session.received(answer, self.now());
                    continue;
                }
                for answer in self.node.hears(message) {
                    self.session.received(answer, self.now());
                }
            }
        }
    }

    fn lie(&self, message: &ToNode) -> Option<ToViewer> {
        let ToNode::Pay(pay) = message else { return None };
        let tick = Some(pay.voucher.body.tick);
        (!pay.unplayed.is_empty()).then(|| self.node.refuses(tick, Refusal::WrongStep))
    }

    fn hears(&mut self, message: ToViewer) {
        self.session.received(message, self.now());
        self.exchange();
    }

    /// A second of media at its own pace, of which those pictures come that `fate` says: lost, late or shown. Returns
    /// whether the node sent it.
    fn second(&mut self, fate: impl Fn(u64) -> Fate) -> bool {
        let Some(tick) = self.node.sends() else {
            self.passed += SECOND;
            return false;
        };
        if self.first.is_none() {
            self.first = Some(tick.0);
            self.session.began(Lane::Video, tick, START);
        }
        // Seconds that were not sent have no pictures, but the line's clock goes on.
        self.picture = (tick.0 - self.first.unwrap()) * RATE;
        for n in 0..RATE {
            self.passed += SECOND / RATE as u32;
            self.show(fate(n));
        }
        self.session.turn(self.now());
        self.exchange();
        true
    }

    fn show(&mut self, fate: Fate) -> Option<Verdict> {
        let timestamp = i64::from(START) + (self.picture * 90_000 / RATE) as i64;
        self.picture += 1;
        let late = match fate {
            Fate::Lost => return None,
            Fate::Late => Duration::from_millis(151),
            Fate::Shown => Duration::ZERO,
        };
        let now = self.now();
        // How many are missing before it is told by the timestamps alone.
        self.session.came(Lane::Video, timestamp, true, now);
        let verdict = self.session.showing(Lane::Video, timestamp, late, now);
        self.exchange();
        Some(verdict)
    }

    fn left(&self) -> Option<Leaving> {
        self.session.status().left_because
    }

    fn spent(&self) -> u128 {
        self.session.status().spent.units()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Lost,
    Late,
    Shown,
}

fn shown(_: u64) -> Fate {
    Fate::Shown
}

#[test]
fn each_second_that_played_is_paid_once_and_the_first_in_advance() {
    let mut both = Both::new(DEPOSIT);
    assert_eq!(both.spent(), PRICE, "the first is paid before it plays");
    for _ in 0..12 {
        assert!(both.second(shown));
    }
    // The twelfth is not over.
    assert_eq!(both.spent(), 11 * PRICE);
    both.session.stop(both.now());
    both.exchange();
    assert_eq!(both.spent(), 12 * PRICE);
    assert_eq!(both.node.ledger.accepted(), Amount::new(12 * PRICE));
    let status = both.session.status();
    assert_eq!((status.totals.played, status.totals.unplayed), (12, 0));
    assert_eq!(status.receipt.map(|receipt| receipt.body.cumulative), Some(Amount::new(10 * PRICE)));
    assert!(matches!(both.said.last(), Some(ToNode::Stop(_))));
    assert!(both.session.is_over(both.now()));
}

#[test]
fn a_second_that_did_not_play_is_named_and_not_paid() {
    let mut both = Both::new(DEPOSIT);
    for second in 0..6 {
        // 26 of 30 in the third, 27 in the fourth; in the fifth they come, but too late.
        both.second(|n| match (second, n) {
            (2, ..4) | (3, ..3) => Fate::Lost,
            (4, ..4) => Fate::Late,
            _ => Fate::Shown,
        });
    }
    both.session.stop(both.now());
    both.exchange();
    assert_eq!(both.spent(), 4 * PRICE);
    assert_eq!(both.node.ledger.accepted().units(), 4 * PRICE);
    assert_eq!(both.node.ledger.unpaid_ticks(), 0);
    let named: Vec<u64> = both.pays.iter().flat_map(|pay| pay.unplayed.within(0, 100)).collect();
    assert_eq!(named, [2, 4]);
}

#[test]
fn a_second_that_is_cut_short_by_the_viewer_is_not_paid() {
    for (pictures, expected) in [(26, 2), (27, 3)] {
        let mut both = Both::new(DEPOSIT);
        both.second(shown);
        both.second(shown);
        both.node.sends().unwrap();
        for _ in 0..pictures {
            both.passed += SECOND / 30;
            both.show(Fate::Shown);
        }
        both.session.stop(both.now());
        both.exchange();
        assert_eq!(both.spent(), expected * PRICE, "{pictures} pictures");
    }
}

#[test]
fn nothing_plays_that_the_cap_does_not_pay() {
    let mut both = Both::new(3 * PRICE + PRICE / 2);
    for _ in 0..3 {
        assert!(both.second(shown));
    }
    assert_eq!(both.left(), None);
    both.node.sends().unwrap();
    assert_eq!(both.show(Fate::Shown), Some(Verdict::Leave));
    assert_eq!(both.left(), Some(Leaving::CapReached));
    assert_eq!(both.spent(), 3 * PRICE);
    // More was allowed too late: who left comes back by a session of its own.
    both.session.set_limit(Amount::new(DEPOSIT));
    assert_eq!(both.show(Fate::Shown), Some(Verdict::Leave));
}

#[test]
fn a_higher_cap_in_time_lets_it_go_on() {
    let mut both = Both::new(3 * PRICE);
    (0..3).for_each(|_| assert!(both.second(shown)));
    both.session.set_limit(Amount::new(5 * PRICE));
    (0..2).for_each(|_| assert!(both.second(shown)));
    both.session.stop(both.now());
    assert_eq!(both.spent(), 5 * PRICE);
}

#[test]
fn a_pause_costs_nothing_and_is_said() {
    let mut both = Both::new(DEPOSIT);
    (0..3).for_each(|_| assert!(both.second(shown)));
    both.session.pause(both.now());
    both.exchange();
    assert!(matches!(both.said.last(), Some(ToNode::Stop(_))));
    assert_eq!(both.spent(), 3 * PRICE);
    both.passed += 100 * SECOND;
    both.session.turn(both.now());
    assert_eq!(both.left(), None);
    both.session.resume(both.now());
    both.exchange();
    (0..3).for_each(|_| assert!(both.second(shown)));
    both.session.stop(both.now());
    both.exchange();
    assert_eq!(both.spent(), 6 * PRICE);
    assert_eq!(both.node.ledger.accepted().units(), 6 * PRICE);
}

#[test]
fn what_was_sent_and_never_came_is_named_so_that_the_gate_stays_open() {
    let mut both = Both::new(DEPOSIT);
    // What is forgiven is forgiven to those who have paid.
    (0..22).for_each(|_| assert!(both.second(shown)));
    // Four times the grace.
    (0..20).for_each(|_| assert!(both.second(|_| Fate::Lost)));
    assert!(both.second(shown));
    both.session.stop(both.now());
    both.exchange();
    assert_eq!(both.spent(), 23 * PRICE);
    assert_eq!((both.node.ledger.accepted().units(), both.node.ledger.unpaid_ticks()), (23 * PRICE, 0));
}

#[test]
fn over_a_new_connection_what_was_not_heard_is_said_again() {
    let mut both = Both::new(DEPOSIT);
    (0..3).for_each(|_| assert!(both.second(shown)));
    let tick = both.node.sends().unwrap();
    // The connection breaks before the third second's voucher is sent.
    both.session.disconnected();
    both.show(Fate::Shown);
    assert_eq!((both.spent(), both.node.ledger.accepted().units()), (3 * PRICE, 2 * PRICE));
    both.connect();
    assert_eq!(both.node.ledger.accepted().units(), 3 * PRICE);
    (0..2).for_each(|_| assert!(both.second(shown)));
    both.session.stop(both.now());
    both.exchange();
    // What was sent when it broke did not play.
    assert_eq!(both.spent(), 5 * PRICE);
    assert_eq!(both.node.ledger.accepted().units(), 5 * PRICE);
    assert!(both.pays.iter().any(|pay| pay.unplayed.contains(tick)));
}

#[test]
fn while_the_node_is_away_no_second_is_decided_that_it_may_still_send() {
    let mut both = Both::new(DEPOSIT);
    for _ in 0..3 {
        assert!(both.second(shown));
    }
    both.session.disconnected();
    for _ in 0..200 {
        both.passed += SECOND / 10;
        both.session.turn(both.now());
    }
    // It is back, and numbers on.
    both.session.media_lost(both.now());
    both.connect();
    for _ in 0..3 {
        assert!(both.second(shown));
    }
    let status = both.session.status();
    assert_eq!((status.left_because, status.totals.played), (None, 5));
    assert_eq!(both.node.ledger.accepted(), status.spent);
}

#[test]
fn a_tab_goes_on_from_its_record_after_a_crash() {
    let mut both = Both::new(DEPOSIT);
    (0..4).for_each(|_| assert!(both.second(shown)));
    let tab = Tab::from_bytes(both.records.last().unwrap()).unwrap();
    assert_eq!(tab.spent().units(), 3 * PRICE);
    let consent: tickcast_watch::Consent = std::sync::Arc::new(|_, _| false);
    // Another price by now, which its person consented to.
    let offer = both.node.offers(|offer| offer.price = price(2 * PRICE));
    let offer = offer.verify(&GENESIS, NOW).unwrap();
    both.session = PaySession::new(tab, offer, std::sync::Arc::new(keypair(3)), consent).unwrap();
    both.connect();
    (0..2).for_each(|_| assert!(both.second(shown)));
    both.session.stop(both.now());
    both.exchange();
    assert_eq!((both.spent(), both.node.ledger.accepted().units()), (7 * PRICE, 7 * PRICE));
}

#[test]
fn a_higher_price_without_consent_ends_with_the_old_one() {
    let mut both = Both::with(Node::at(NOW), DEPOSIT, false);
    (0..2).for_each(|_| assert!(both.second(shown)));
    let dearer = both.node.offers(|offer| offer.price = price(3 * PRICE));
    both.hears(ToViewer::Offer(Box::new(dearer)));
    let offered = both.session.status().offered.unwrap();
    (0..2).for_each(|_| assert!(both.second(shown)));
    assert_eq!(both.spent(), 3 * PRICE, "the old price, as long as nobody consented");
    // A person takes it: from the next voucher on.
    assert!(both.session.consent(&offered.hash()));
    (0..2).for_each(|_| assert!(both.second(shown)));
    assert_eq!(both.spent(), 3 * PRICE + 2 * 3 * PRICE);
    // Nobody takes the next; the present one ends.
    let dearest = both.node.offers(|offer| offer.price = price(9 * PRICE));
    both.hears(ToViewer::Offer(Box::new(dearest)));
    both.passed = Duration::from_millis(DAY_MS);
    assert_eq!(both.show(Fate::Shown), Some(Verdict::Leave));
    assert_eq!(both.left(), Some(Leaving::OfferOver));
}

#[test]
fn a_lower_price_is_taken_and_a_consented_one_too() {
    for (asked, consent) in [(PRICE / 2, false), (3 * PRICE, true)] {
        let mut both = Both::with(Node::at(NOW), DEPOSIT, consent);
        (0..2).for_each(|_| assert!(both.second(shown)));
        let other = both.node.offers(|offer| offer.price = price(asked));
        both.hears(ToViewer::Offer(Box::new(other)));
        (0..2).for_each(|_| assert!(both.second(shown)));
        assert_eq!(both.spent(), PRICE + 2 * asked);
        assert_eq!(both.node.ledger.accepted().units(), PRICE + 2 * asked);
    }
}

#[test]
fn an_offer_for_something_else_is_none() {
    let mut both = Both::with(Node::at(NOW), DEPOSIT, true);
    let foreign = both.node.offers(|offer| offer.content = ContentId([8; 32]));
    both.hears(ToViewer::Offer(Box::new(foreign)));
    let mut forged = both.node.offers(|offer| offer.price = price(1));
    forged.offer.body.price = price(7 * PRICE);
    both.hears(ToViewer::Offer(Box::new(forged)));
    (0..3).for_each(|_| assert!(both.second(shown)));
    assert_eq!((both.spent(), both.left()), (2 * PRICE, None));
    assert!(both.session.status().offered.is_none());
}

#[test]
fn a_node_that_wants_payment_for_what_it_did_not_deliver_gets_none_and_is_left() {
    let mut both = Both::new(DEPOSIT);
    both.is_lying = true;
    (0..2).for_each(|_| assert!(both.second(shown)));
    // It sends half of the pictures, and counts the second.
    both.second(|n| if n % 2 == 0 { Fate::Lost } else { Fate::Shown });
    both.second(shown);
    assert_eq!(both.left(), None);
    both.second(shown);
    assert_eq!(both.left(), Some(Leaving::Refused(Refusal::WrongStep)));
    assert_eq!(both.spent(), 3 * PRICE, "what played was signed for, and nothing else");
    assert_eq!(both.show(Fate::Shown), Some(Verdict::Leave));
}

#[test]
fn a_clock_that_runs_too_fast_is_not_paid() {
    let mut both = Both::new(DEPOSIT);
    let mut seconds = 0;
    while both.left().is_none() {
        assert!(seconds < 100, "the viewer stays");
        both.second(shown);
        // Each took half a second.
        both.passed -= SECOND / 2;
        seconds += 1;
    }
    assert_eq!(both.left(), Some(Leaving::ClockTooFast));
    let passed = both.passed.as_secs_f64();
    assert!(both.spent() as f64 <= (passed + 3.0) * PRICE as f64, "{} in {passed} s", both.spent());
}

#[test]
fn ending_sessions_gives_a_fast_clock_no_new_start() {
    let mut both = Both::new(DEPOSIT);
    let channel = both.node.terms.id();
    for _ in 0..20 {
        let began = both.passed;
        both.second(shown);
        both.second(shown);
        // Two seconds in one, of which the second is decided by the session's end.
        both.passed = began + SECOND / 2;
        both.hears(ToViewer::Ended(channel, Ending::GraceSpent));
        both.passed += SECOND / 2;
        both.session.turn(both.now());
        both.exchange();
    }
    assert_eq!(both.left(), Some(Leaving::ClockTooFast));
    assert!(both.spent() < 10 * PRICE, "{}", both.spent());
}

#[test]
fn what_was_not_signed_is_not_confirmed() {
    let mut both = Both::new(DEPOSIT);
    (0..2).for_each(|_| assert!(both.second(shown)));
    let mut other = Both::new(DEPOSIT);
    (0..5).for_each(|_| assert!(other.second(shown)));
    // Another viewer's node has stored more of the same channel.
    let signed = other.pays.last().unwrap().voucher;
    let receipt = Receipt {
        genesis: GENESIS,
        channel: both.node.terms.id(),
        number: 1,
        previous: ReceiptHash([0; 32]),
        tick: signed.body.tick,
        cumulative: signed.body.cumulative,
        at: NOW,
    };
    let receipt = Signed::sign(receipt, &both.node.key).unwrap();
    both.hears(ToViewer::Receipt(receipt));
    assert_eq!(both.left(), Some(Leaving::Tab(TabError::ReceiptMismatch)));
    assert_eq!(both.spent(), PRICE, "the second one is not over");
}

#[test]
fn a_node_that_sends_nothing_for_a_minute_is_left() {
    let mut both = Both::new(DEPOSIT);
    for _ in 0..59 {
        both.passed += SECOND;
        both.session.turn(both.now());
    }
    assert_eq!(both.left(), None);
    both.passed += SECOND;
    both.session.turn(both.now());
    assert_eq!(both.left(), Some(Leaving::NothingPlays));
    assert_eq!(both.spent(), PRICE, "the prepaid tick");
}

#[test]
fn what_the_node_ends_is_over_but_for_want_of_payment_it_is_asked_again() {
    let mut both = Both::new(DEPOSIT);
    both.second(shown);
    let channel = both.node.terms.id();
    both.hears(ToViewer::Ended(channel, Ending::GraceSpent));
    assert_eq!(both.left(), None);
    both.passed += SECOND;
    both.session.turn(both.now());
    both.exchange();
    (0..2).for_each(|_| assert!(both.second(shown)));
    assert!(both.spent() >= 2 * PRICE);
    both.hears(ToViewer::Ended(channel, Ending::TooManyUnplayed));
    assert_eq!(both.left(), None);
    both.hears(ToViewer::Ended(channel, Ending::StreamOver));
    assert_eq!(both.left(), Some(Leaving::Ended(Ending::StreamOver)));
    assert!(both.left().is_some_and(|why| why.is_in_order()));
}

#[test]
fn a_close_has_both_signatures_over_the_total_that_was_paid() {
    let mut both = Both::new(DEPOSIT);
    (0..3).for_each(|_| assert!(both.second(shown)));
    both.session.close(both.now());
    assert!(!both.session.is_over(both.now()));
    both.exchange();
    let (ours, theirs) = both.session.status().closed.unwrap();
    assert_eq!((ours.body.cumulative.units(), ours.body), (3 * PRICE, theirs.body));
    ours.verify(&both.node.terms.session).unwrap();
    theirs.verify(&both.node.terms.node).unwrap();
    assert!(both.session.is_over(both.now()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_is_billed_is_what_played(
        fates in prop::collection::vec(prop_oneof![20 => Just(Fate::Shown), 1 => Just(Fate::Lost), 1 => Just(Fate::Late)], 40 * 30),
        deaf in 0_u64..20,
    ) {
        let mut both = Both::new(DEPOSIT);
        // As many as may then be forgiven.
        let mut played = 40;
        (0..played).for_each(|_| assert!(both.second(shown)));
        for (second, fates) in fates.chunks(RATE as usize).enumerate() {
            // Now and then nothing of a second comes at all.
            let is_deaf = deaf > 0 && second as u64 % 20 == deaf;
            let fate = |n: u64| if is_deaf { Fate::Lost } else { fates[n as usize] };
            prop_assert!(both.second(fate));
            let count = (0..RATE).filter(|n| fate(*n) == Fate::Shown).count() as u64;
            played += u128::from(count * 10 >= RATE * 9);
        }
        both.session.stop(both.now());
        both.exchange();
        prop_assert_eq!(both.left(), Some(Leaving::Stopped));
        prop_assert_eq!(both.spent(), PRICE * played);
        prop_assert_eq!(both.node.ledger.accepted().units(), both.spent());
        prop_assert_eq!(u128::from(both.session.status().totals.played), played);
    }
}
