//! Paying where nothing is locked: what transfers have paid and a window of credit stand for a deposit.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

mod world;

use proptest::prelude::*;
use tickcast_pay::channel::EventRefused;
use tickcast_pay::*;
use world::*;

/// Seven seconds of credit.
const WINDOW: u128 = 7 * PRICE;

fn payer() -> Keypair {
    keypair(KeyScheme::Sr25519, 4)
}

/// A world whose payer has a credit account.
fn world() -> World {
    let mut world = World::default();
    world.terms.payer = payer().public().account();
    world.terms.dispute_window_ms = 0;
    world
}

fn ledger(world: &World) -> Ledger {
    let credit = CreditTerms::try_from(world.terms).unwrap();
    Ledger::new(config(), credit.open(Amount::new(WINDOW)).unwrap())
}

/// Everything that is sent is signed for at once.
fn watch(world: &World, ledger: &mut Ledger, from: u64) -> (u64, Hold) {
    let mut next = from;
    loop {
        match world.send(ledger) {
            Ok(tick) => {
                assert_eq!(tick, Tick(next));
                next += 1;
                if tick.0 > 0 {
                    world.accept(ledger, world.pay(tick.0, u128::from(tick.0 + 1) * PRICE)).unwrap();
                }
            }
            Err(hold) => return (next, hold),
        }
    }
}

fn begin(world: &World) -> Ledger {
    let mut ledger = ledger(world);
    world.start(&mut ledger);
    world.accept(&mut ledger, world.pay(0, PRICE)).unwrap();
    ledger
}

fn transfer(ledger: &mut Ledger, amount: u128) {
    ledger.on_transfer(Amount::new(amount), NOW).unwrap();
}

#[test]
fn a_payer_that_transfers_nothing_is_served_the_window_and_not_a_second_more() {
    let world = world();
    let mut ledger = begin(&world);
    let (sent, hold) = watch(&world, &mut ledger, 0);
    assert_eq!((sent, hold), (7, Hold::CreditSpent));
    assert_eq!(hold.ending(), None, "it passes once a transfer is final");
    assert_eq!(ledger.accepted(), Amount::new(WINDOW));
    ledger.audit().unwrap();
    // A voucher beyond it would be a promise that nobody waits for.
    let beyond = message::Pay { in_advance: true, ..world.pay(7, 8 * PRICE) };
    assert_eq!(world.accept(&mut ledger, beyond).unwrap_err(), Refusal::OverDeposit);
}

#[test]
fn each_transfer_opens_the_gate_for_as_much_as_it_paid() {
    let world = world();
    let mut ledger = begin(&world);
    let (sent, _) = watch(&world, &mut ledger, 0);
    transfer(&mut ledger, 3 * PRICE);
    let (sent, hold) = watch(&world, &mut ledger, sent);
    assert_eq!((sent, hold), (10, Hold::CreditSpent));
    // Less than a second's price opens nothing, and is not lost.
    transfer(&mut ledger, PRICE - 1);
    assert_eq!(world.send(&mut ledger), Err(Hold::CreditSpent));
    transfer(&mut ledger, 1);
    assert_eq!(world.send(&mut ledger), Ok(Tick(10)));
    ledger.audit().unwrap();
}

#[test]
fn seconds_that_nobody_signed_for_count_against_the_window_too() {
    let world = world();
    let mut ledger = begin(&world);
    // The grace is less than the window: unsigned seconds end there.
    assert_eq!(world.send_all(&mut ledger), Hold::GraceSpent);
    world.accept(&mut ledger, world.pay(5, 6 * PRICE)).unwrap();
    // Six of seven prices are owed: one second is left of the window.
    assert_eq!(world.send(&mut ledger), Ok(Tick(6)));
    assert_eq!(world.send(&mut ledger), Err(Hold::CreditSpent));
}

#[test]
fn who_pays_ahead_is_served_what_was_paid_and_the_window() {
    let world = world();
    let mut ledger = begin(&world);
    transfer(&mut ledger, 20 * PRICE);
    ledger.audit().unwrap();
    let (sent, hold) = watch(&world, &mut ledger, 0);
    assert_eq!((sent, hold), (27, Hold::CreditSpent));
    assert_eq!(ledger.channel().credit().unwrap().paid, Amount::new(20 * PRICE));
}

#[test]
fn a_restart_gives_no_new_window_and_forgets_no_transfer() {
    let world = world();
    let mut ledger = begin(&world);
    transfer(&mut ledger, 2 * PRICE);
    let (sent, _) = watch(&world, &mut ledger, 0);
    assert_eq!(sent, 9);
    let channel = Channel::from_bytes(&ledger.channel().to_bytes()).unwrap();
    let record = ledger.final_record().unwrap();
    let mut ledger = Ledger::restore(config(), channel, &record).unwrap();
    assert_eq!(world.start(&mut ledger).next, Tick(9));
    assert_eq!(world.send(&mut ledger), Err(Hold::CreditSpent));
    transfer(&mut ledger, PRICE);
    assert_eq!(world.send(&mut ledger), Ok(Tick(9)));
}

#[test]
fn another_account_is_taken_only_once_the_one_before_is_paid() {
    let world = world();
    let mut ledger = begin(&world);
    let next = CreditTerms::try_from(ChannelTerms { nonce: 1, ..world.terms }).unwrap();
    let fresh = || next.open(Amount::new(WINDOW)).unwrap();
    assert_eq!(ledger.replace_channel(fresh()).unwrap_err(), Refusal::Unsettled);
    transfer(&mut ledger, PRICE);
    let staged = ledger.replace_channel(fresh()).unwrap();
    ledger.committed(staged).unwrap();
    assert_eq!(ledger.channel().id(), next.id());
}

#[test]
fn a_credit_account_is_never_redeemed_on_a_chain() {
    let world = world();
    let mut ledger = begin(&world);
    watch(&world, &mut ledger, 0);
    ledger.stop();
    assert_eq!(ledger.settlement_due(NOW.plus(10 * DAY_MS)), None);
}

#[test]
fn a_transfer_pays_no_channel_and_one_of_nothing_is_none() {
    let world = World::default();
    let mut escrow = world.ledger();
    assert_eq!(escrow.on_transfer(Amount::new(1), NOW), Err(EventRefused::NotOpen));
    assert_eq!(escrow.channel().credit(), None);
    let mut credit = begin(&self::world());
    assert!(credit.on_transfer(Amount::ZERO, NOW).is_err());
    assert!(credit.on_transfer(Amount::MAX, NOW).is_err());
    assert_eq!(credit.channel().credit().unwrap().paid, Amount::ZERO);
}

#[test]
fn a_window_may_be_widened_and_is_never_narrowed() {
    let credit = CreditTerms::try_from(world().terms).unwrap();
    assert!(credit.open(Amount::ZERO).is_err());
    let mut channel = credit.open(Amount::new(WINDOW)).unwrap();
    for (asked, is) in [(WINDOW - 1, WINDOW), (WINDOW + 5, WINDOW + 5), (WINDOW, WINDOW + 5)] {
        channel.widen_credit(Amount::new(asked)).unwrap();
        assert_eq!(channel.credit().unwrap().window, Amount::new(is));
    }
}

#[test]
fn the_payer_alone_opens_it_and_its_name_is_no_channels() {
    let world = world();
    let body = CreditTerms::try_from(world.terms).unwrap();
    let opening = Signed::sign(body, &payer()).unwrap();
    opening.verify_payer().unwrap();
    assert!(Signed::sign(body, &world.session).unwrap().verify_payer().is_err());
    let other = CreditTerms::try_from(ChannelTerms { nonce: 9, ..world.terms }).unwrap();
    assert!(Signed { body: other, signature: opening.signature }.verify_payer().is_err());
    // The name is the hash of what was signed, in the envelope of wallets.
    assert_eq!(world.terms.id(), ChannelId(id::blake2_256(&body.signing_bytes())));
    assert!(body.signing_bytes().starts_with(b"<Bytes>tickcast/credit\0\x01"));
    let channel = ChannelTerms { dispute_window_ms: 1, ..world.terms };
    assert!(CreditTerms::try_from(channel).is_err());
    assert!(CreditTerms::from_bytes(&channel.to_bytes()).is_err());
    assert_eq!(CreditTerms::from_bytes(&body.to_bytes()), Ok(body));
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Send,
    /// For the newest second that was sent.
    Sign,
    Transfer(u128),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => Just(Event::Send),
        4 => Just(Event::Sign),
        2 => (1..3 * PRICE).prop_map(Event::Transfer),
        1 => Just(Event::Restart),
    ];
    proptest::collection::vec(event, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens in whatever order, what was sent is worth no more than what was transferred and the window.
    #[test]
    fn nobody_is_ever_sent_more_than_was_paid_and_the_window(events in events()) {
        let world = world();
        let mut ledger = begin(&world);
        let (mut sent, mut signed, mut paid) = (0_u64, 1_u64, 0_u128);
        for event in events {
            match event {
                Event::Send => {
                    if let Ok(tick) = world.send(&mut ledger) {
                        sent = tick.0 + 1;
                    }
                }
                Event::Sign if sent > signed => {
                    world.accept(&mut ledger, world.pay(sent - 1, u128::from(sent) * PRICE)).unwrap();
                    signed = sent;
                }
                Event::Sign => {}
                Event::Transfer(amount) => {
                    transfer(&mut ledger, amount);
                    paid += amount;
                }
                Event::Restart => {
                    let channel = Channel::from_bytes(&ledger.channel().to_bytes()).unwrap();
                    ledger = Ledger::restore(config(), channel, &ledger.final_record().unwrap()).unwrap();
                    prop_assert_eq!(world.start(&mut ledger).next, Tick(sent));
                }
            }
            prop_assert!(u128::from(sent) * PRICE <= paid + WINDOW);
            prop_assert!(sent <= signed + u64::from(GRACE), "the grace bounds what nobody signed for");
            prop_assert_eq!(ledger.accepted(), Amount::new(u128::from(signed) * PRICE));
            prop_assert_eq!(ledger.audit(), Ok(()));
        }
    }
}
