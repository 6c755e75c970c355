//! What a viewer signs, and above all what it does not.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

mod world;

use tickcast_pay::message::{Acknowledged, Ending, Pay, Refused, Started};
use tickcast_pay::tab::Reaction;
use tickcast_pay::*;
use world::*;

fn begin(world: &World) -> Started {
    Started { channel: world.terms.id(), last: None, receipt: None, next: Tick(0) }
}

/// A tab with a session, its prepaid tick stored.
fn watching(world: &World) -> Tab {
    let mut tab = world.tab();
    let prepaid = tab.started(&begin(world), &world.session, NOW).unwrap().unwrap();
    acknowledge(&mut tab, &prepaid);
    tab
}

/// As the node's message says it.
fn stored(pay: &Pay) -> Acknowledged {
    let body = pay.voucher.body;
    let mut bytes = vec![1, 1];
    body.channel.write(&mut bytes);
    body.tick.write(&mut bytes);
    body.cumulative.write(&mut bytes);
    match ToViewer::from_bytes(&bytes).unwrap() {
        ToViewer::Acknowledged(stored) => stored,
        other => panic!("{other:?}"),
    }
}

fn acknowledge(tab: &mut Tab, pay: &Pay) {
    tab.acknowledged(&stored(pay)).unwrap();
}

fn play(tab: &mut Tab, world: &World, tick: u64) -> Result<Option<Pay>, TabError> {
    tab.played(Tick(tick), &world.session, NOW)
}

fn body(pay: Option<Pay>) -> (u64, u128) {
    let body = pay.unwrap().voucher.body;
    (body.tick.0, body.cumulative.units())
}

#[test]
fn the_first_tick_is_signed_in_advance_and_then_one_for_each_second_that_played() {
    let world = World::default();
    let mut tab = world.tab();
    let prepaid = tab.started(&begin(&world), &world.session, NOW).unwrap();
    assert_eq!(body(prepaid.clone()), (0, PRICE));
    prepaid.unwrap().voucher.verify(&world.session.public()).unwrap();
    // It is the one for second 0.
    assert_eq!(play(&mut tab, &world, 0), Ok(None));
    assert_eq!(body(play(&mut tab, &world, 1).unwrap()), (1, 2 * PRICE));
    assert_eq!(body(play(&mut tab, &world, 2).unwrap()), (2, 3 * PRICE));
    assert_eq!(tab.spent(), Amount::new(3 * PRICE));
}

#[test]
fn seconds_that_did_not_play_are_named_and_not_paid() {
    let world = World::default();
    let mut tab = watching(&world);
    assert_eq!(play(&mut tab, &world, 0), Ok(None));
    let report = tab.did_not_play(Tick(1)).unwrap();
    assert_eq!(report.unplayed, unplayed(&[(1, 1)]));
    // 2 and 3 were never heard of.
    let pay = play(&mut tab, &world, 4).unwrap();
    assert_eq!(pay.as_ref().unwrap().unplayed, unplayed(&[(1, 3)]));
    assert_eq!(body(pay), (4, 2 * PRICE));
    assert_eq!((tab.totals().played, tab.totals().unplayed), (2, 3));
}

#[test]
fn the_prepaid_tick_pays_the_first_second_that_plays() {
    let world = World::default();
    let mut tab = watching(&world);
    tab.did_not_play(Tick(0)).unwrap();
    assert_eq!(play(&mut tab, &world, 1), Ok(None));
    let pay = play(&mut tab, &world, 2).unwrap();
    assert_eq!(pay.as_ref().unwrap().unplayed, unplayed(&[(0, 1)]));
    assert_eq!(body(pay), (2, 2 * PRICE));
}

#[test]
fn no_second_is_counted_twice() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 3).unwrap();
    for tick in 0..=3 {
        assert_eq!(play(&mut tab, &world, tick), Err(TabError::AlreadyCounted));
        assert_eq!(tab.did_not_play(Tick(tick)), Err(TabError::AlreadyCounted));
    }
}

#[test]
fn nothing_is_signed_beyond_the_cap() {
    let world = World::default();
    let mut tab = Tab::new(world.terms, world.offer, Amount::new(2 * PRICE)).unwrap();
    tab.started(&begin(&world), &world.session, NOW).unwrap();
    play(&mut tab, &world, 0).unwrap();
    assert!(tab.affords_next());
    play(&mut tab, &world, 1).unwrap();
    assert!(!tab.affords_next());
    assert_eq!(play(&mut tab, &world, 2), Err(TabError::CapReached));
    assert_eq!((tab.spent(), tab.left()), (Amount::new(2 * PRICE), Amount::ZERO));
    tab.set_limit(Amount::new(3 * PRICE));
    assert_eq!(body(tab.due(&world.session, NOW).unwrap()), (2, 3 * PRICE));
    let mut poor = Tab::new(world.terms, world.offer, Amount::new(PRICE - 1)).unwrap();
    assert_eq!(poor.started(&begin(&world), &world.session, NOW), Err(TabError::CapReached));
}

#[test]
fn without_a_session_nothing_is_signed() {
    let world = World::default();
    let mut tab = world.tab();
    assert_eq!(play(&mut tab, &world, 0), Err(TabError::NotWatching));
    assert_eq!(tab.did_not_play(Tick(0)), Err(TabError::NotWatching));
    let mut tab = watching(&world);
    tab.stop();
    assert_eq!(play(&mut tab, &world, 0), Err(TabError::NotWatching));
    let mut tab = watching(&world);
    assert_eq!(tab.ended(tab.channel(), Ending::GraceSpent), Ok(Ending::GraceSpent));
    assert_eq!(play(&mut tab, &world, 0), Err(TabError::NotWatching));
    let mut tab = watching(&world);
    let wrong = tab.played(Tick(1), &world.creator, NOW);
    assert_eq!(wrong, Ok(None));
    assert_eq!(tab.played(Tick(2), &world.creator, NOW), Err(TabError::WrongSigner));
}

#[test]
fn what_is_not_acknowledged_is_sent_again_with_what_did_not_play() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    let first = play(&mut tab, &world, 2).unwrap().unwrap();
    let second = play(&mut tab, &world, 4).unwrap().unwrap();
    assert_eq!(second.unplayed, unplayed(&[(1, 1), (3, 1)]));
    assert_eq!(tab.unacknowledged(), Some(second.clone()));
    acknowledge(&mut tab, &first);
    assert_eq!(tab.unacknowledged().unwrap().unplayed, unplayed(&[(3, 1)]));
    acknowledge(&mut tab, &second);
    assert_eq!(tab.unacknowledged(), None);
    // Late ones change nothing, invented ones are refused.
    acknowledge(&mut tab, &first);
    let invented = stored(&world.pay(9, 10 * PRICE));
    assert_eq!(tab.acknowledged(&invented), Err(TabError::NotOurs));
}

#[test]
fn a_node_that_does_not_answer_gets_no_more_signatures() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    for tick in 1..=16 {
        assert!(play(&mut tab, &world, tick).unwrap().is_some());
    }
    assert_eq!(play(&mut tab, &world, 17), Err(TabError::Unacknowledged));
}

#[test]
fn a_viewer_that_lost_everything_goes_on_from_its_own_last_voucher() {
    let world = World::default();
    let mut tab = world.tab();
    let last = Some(world.pay(41, 40 * PRICE).voucher);
    let started = Started { last, next: Tick(43), ..begin(&world) };
    assert_eq!(tab.started(&started, &world.session, NOW), Ok(None));
    // 42 was sent, and nobody here saw it.
    let pay = play(&mut tab, &world, 43).unwrap();
    assert_eq!(pay.as_ref().unwrap().unplayed, unplayed(&[(42, 1)]));
    assert_eq!(body(pay), (43, 41 * PRICE));
}

#[test]
fn what_stands_on_a_forgotten_total_is_owed_again_and_its_second_not_signed_twice() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    assert_eq!(body(play(&mut tab, &world, 3).unwrap()), (3, 2 * PRICE));
    // Of an earlier life, which nobody here remembers.
    let last = Some(world.pay(2, 3 * PRICE).voucher);
    let reason = Refusal::WrongStep;
    let refused = Refused { channel: world.terms.id(), tick: Some(Tick(3)), reason, last };
    assert_eq!(tab.refused(&refused), Ok(Reaction::Nothing));
    assert_eq!(tab.due(&world.session, NOW), Ok(None));
    let pay = play(&mut tab, &world, 4).unwrap();
    assert!(pay.as_ref().unwrap().unplayed.is_empty());
    assert_eq!(body(pay), (4, 5 * PRICE));
}

#[test]
fn a_viewer_believes_no_voucher_that_it_did_not_sign() {
    let world = World::default();
    let forged = |signed| Started { last: Some(signed), next: Tick(50), ..begin(&world) };
    let by_node = Signed::sign(world.voucher(41, 4_000), &world.node).unwrap();
    let mut tab = world.tab();
    assert_eq!(tab.started(&forged(by_node), &world.session, NOW), Err(TabError::NotOurVoucher));
    let elsewhere = Voucher { channel: ChannelId([0; 32]), ..world.voucher(41, 4_000) };
    let elsewhere = Signed::sign(elsewhere, &world.session).unwrap();
    assert_eq!(tab.started(&forged(elsewhere), &world.session, NOW), Err(TabError::WrongChannel));
    let other = Started { channel: ChannelId([0; 32]), ..begin(&world) };
    assert_eq!(tab.started(&other, &world.session, NOW), Err(TabError::WrongChannel));
    let mut tab = watching(&world);
    play(&mut tab, &world, 5).unwrap();
    assert_eq!(tab.started(&begin(&world), &world.session, NOW), Err(TabError::WentBack));
}

#[test]
fn seconds_that_a_viewer_counted_and_the_node_never_sent_may_come_once_more() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    let pay = play(&mut tab, &world, 2).unwrap().unwrap();
    acknowledge(&mut tab, &pay);
    // Its own clock went on while nothing came: 3 to 7.
    tab.did_not_play(Tick(7)).unwrap();
    assert_eq!((tab.totals().unplayed, tab.report().unwrap().unplayed), (6, unplayed(&[(3, 5)])));
    let again = |next| Started { last: Some(pay.voucher), next: Tick(next), ..begin(&world) };
    for next in [2, 1, 0] {
        assert_eq!(
            tab.started(&again(next), &world.session, NOW),
            Err(TabError::WentBack),
            "{next} was signed for"
        );
    }
    tab.started(&again(5), &world.session, NOW).unwrap();
    assert_eq!((tab.totals().unplayed, tab.report().unwrap().unplayed), (3, unplayed(&[(3, 2)])));
    // Each second that plays then is paid once, and those before it stay named.
    let next = play(&mut tab, &world, 5).unwrap();
    assert_eq!(next.as_ref().unwrap().unplayed, unplayed(&[(3, 2)]));
    assert_eq!(body(next), (5, 3 * PRICE));
    assert_eq!(tab.started(&again(5), &world.session, NOW), Err(TabError::WentBack), "5 played");
}

#[test]
fn a_prepaid_second_that_was_never_sent_waits_for_its_viewer() {
    let world = World::default();
    let mut tab = watching(&world);
    let first = tab.last_voucher().copied();
    tab.did_not_play(Tick(3)).unwrap();
    let again = Started { last: first, ..begin(&world) };
    tab.started(&again, &world.session, NOW).unwrap();
    assert_eq!((tab.report(), tab.totals().unplayed), (None, 0));
    assert_eq!(play(&mut tab, &world, 0), Ok(None));
    assert_eq!(tab.started(&again, &world.session, NOW), Err(TabError::WentBack), "it played");
    // One who lost everything knows it by the voucher that it is shown, however often it comes back.
    let mut tab = world.tab();
    for _ in 0..2 {
        assert_eq!(tab.started(&again, &world.session, NOW), Ok(None));
    }
    assert_eq!(play(&mut tab, &world, 0), Ok(None));
    assert_eq!(body(play(&mut tab, &world, 1).unwrap()), (1, 2 * PRICE));
}

#[test]
fn a_viewer_that_is_forgiven_no_more_pays_the_next_second_in_advance_and_no_other() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    let pay = play(&mut tab, &world, 1).unwrap().unwrap();
    acknowledge(&mut tab, &pay);
    let again = |next| Started { last: Some(pay.voucher), next: Tick(next), ..begin(&world) };
    // Of what ended otherwise it owes nothing in advance.
    tab.ended(tab.channel(), Ending::GraceSpent).unwrap();
    assert_eq!(tab.started(&again(4), &world.session, NOW), Ok(None));
    tab.ended(tab.channel(), Ending::TooManyUnplayed).unwrap();
    let mut tab = Tab::from_bytes(&tab.to_bytes()).unwrap();
    let ahead = tab.started(&again(7), &world.session, NOW).unwrap();
    assert_eq!(ahead.as_ref().unwrap().unplayed, unplayed(&[(2, 5)]));
    assert_eq!(body(ahead.clone()), (7, 3 * PRICE));
    let mut tab = Tab::from_bytes(&tab.to_bytes()).unwrap();
    tab.started(&again(7), &world.session, NOW).unwrap();
    acknowledge(&mut tab, &ahead.unwrap());
    // It did not play: the next one is paid by it, and it is named.
    tab.did_not_play(Tick(7)).unwrap();
    assert_eq!(play(&mut tab, &world, 8), Ok(None));
    let next = play(&mut tab, &world, 9).unwrap();
    assert_eq!(next.as_ref().unwrap().unplayed, unplayed(&[(7, 1)]));
    assert_eq!(body(next), (9, 4 * PRICE));
    assert_eq!((tab.totals().played, tab.totals().signed), (4, 4));
    // One that cannot afford it is not told so by an error.
    let mut poor = Tab::new(world.terms, world.offer, Amount::new(PRICE)).unwrap();
    poor.started(&begin(&world), &world.session, NOW).unwrap();
    play(&mut poor, &world, 0).unwrap();
    poor.ended(poor.channel(), Ending::TooManyUnplayed).unwrap();
    let again = Started { last: poor.last_voucher().copied(), next: Tick(3), ..begin(&world) };
    assert!(poor.started(&again, &world.session, NOW).is_ok());
    assert_eq!(poor.spent(), Amount::new(PRICE));
}

#[test]
fn a_new_offer_counts_only_once_it_was_consented_to_and_what_was_signed_is_stored() {
    let mut world = World::default();
    let mut tab = watching(&world);
    let dearer = world.offer_with(|offer| offer.price = Price::new(Amount::new(3 * PRICE)).unwrap());
    play(&mut tab, &world, 0).unwrap();
    tab.offered(dearer).unwrap();
    let old = play(&mut tab, &world, 1).unwrap();
    assert_eq!(old.as_ref().unwrap().voucher.body.offer, world.offer.hash());
    assert_eq!(tab.consent(&world.offer.hash()), Err(TabError::NoSuchOffer));
    tab.consent(&dearer.hash()).unwrap();
    // The old price's voucher is not stored yet.
    assert_eq!(play(&mut tab, &world, 2), Ok(None));
    acknowledge(&mut tab, &old.unwrap());
    let new = tab.due(&world.session, NOW).unwrap();
    assert_eq!(new.as_ref().unwrap().voucher.body.offer, dearer.hash());
    assert_eq!(body(new), (2, 2 * PRICE + 3 * PRICE));
    for change in [
        |offer: &mut Offer| offer.asset = AssetId::Asset(1),
        |offer: &mut Offer| offer.genesis = Genesis([0; 32]),
    ] {
        let mut body = plain_offer(&world.delegation.body);
        change(&mut body);
        let delegation = Delegation { genesis: body.genesis, ..world.delegation.body };
        body.delegation = delegation.hash();
        let delegation = Signed::sign(delegation, &world.creator).unwrap();
        let foreign = publish(body, &world.node, delegation).verify(&body.genesis, NOW).unwrap();
        assert_eq!(tab.offered(foreign), Err(TabError::ForeignOffer));
    }
}

#[test]
fn what_played_by_another_tier_is_paid_by_its_own_offer_first() {
    let mut world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    // The cap is reached, and raised once nobody watches any more.
    tab.set_limit(Amount::new(PRICE));
    assert_eq!(play(&mut tab, &world, 1), Err(TabError::CapReached));
    tab.set_limit(Amount::new(DEPOSIT));
    let low = world.offer_with(|offer| {
        offer.price = Price::new(Amount::new(PRICE / 2)).unwrap();
        offer.quality.tier = 0;
    });
    tab.offered(low).unwrap();
    tab.consent(&low.hash()).unwrap();
    assert_eq!(tab.start().unwrap().offer, low.hash());
    let last = tab.last_voucher().copied();
    let started = Started { channel: world.terms.id(), last, receipt: None, next: Tick(2) };
    let old = tab.started(&started, &world.session, NOW).unwrap();
    assert_eq!(old.as_ref().unwrap().voucher.body.offer, world.offer.hash());
    assert_eq!(body(old.clone()), (1, 2 * PRICE));
    // Nothing by the new one before that is stored.
    assert_eq!(play(&mut tab, &world, 2), Ok(None));
    acknowledge(&mut tab, &old.unwrap());
    let new = tab.due(&world.session, NOW).unwrap();
    assert_eq!(new.as_ref().unwrap().voucher.body.offer, low.hash());
    assert_eq!(body(new), (2, 2 * PRICE + PRICE / 2));
}

#[test]
fn an_offer_that_is_over_is_not_paid_by() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    let late = world.offer.offer().until.plus(offer::PAYABLE_AFTER_MS);
    let before = UnixMillis(late.0 - 1);
    assert!(tab.played(Tick(1), &world.session, before).unwrap().is_some());
    assert_eq!(tab.played(Tick(2), &world.session, late), Err(TabError::OfferExpired));
}

#[test]
fn receipts_are_checked_against_what_was_signed() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    for tick in 1..10 {
        play(&mut tab, &world, tick).unwrap();
    }
    let right = Receipt {
        genesis: GENESIS,
        channel: world.terms.id(),
        number: 1,
        previous: ReceiptHash([0; 32]),
        tick: Tick(9),
        cumulative: Amount::new(10 * PRICE),
        at: NOW,
    };
    let mut give = |receipt, key: &Keypair| tab.receipt(&Signed::sign(receipt, key).unwrap());
    let node = &world.node;
    assert_eq!(give(right, &world.creator), Err(TabError::BadReceipt));
    let more = Receipt { cumulative: Amount::new(11 * PRICE), ..right };
    assert_eq!(give(more, node), Err(TabError::ReceiptMismatch));
    assert_eq!(give(Receipt { genesis: Genesis([0; 32]), ..right }, node), Err(TabError::BadReceipt));
    assert_eq!(give(Receipt { channel: ChannelId([0; 32]), ..right }, node), Err(TabError::WrongChannel));
    assert_eq!(give(right, node), Ok(()));
    assert_eq!(give(right, node), Ok(()));
    let other = Receipt { at: NOW.plus(1), ..right };
    assert_eq!(give(other, node), Err(TabError::BadReceipt));
    let unchained = Receipt { number: 2, ..right };
    assert_eq!(give(unchained, node), Err(TabError::BadReceipt));
    assert_eq!(tab.last_receipt().unwrap().body, right);
}

#[test]
fn a_refusal_says_whether_to_wait_or_to_leave() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    let pay = play(&mut tab, &world, 1).unwrap().unwrap();
    let last = Some(world.pay(0, PRICE).voucher);
    let refused = |reason| Refused { channel: world.terms.id(), tick: Some(Tick(1)), reason, last };
    assert_eq!(tab.refused(&refused(Refusal::Committing)), Ok(Reaction::Again));
    assert_eq!(tab.refused(&refused(Refusal::OverDeposit)), Ok(Reaction::Leave(Refusal::OverDeposit)));
    let older = Refused { tick: Some(Tick(0)), ..refused(Refusal::RolledBack) };
    assert_eq!(tab.refused(&older), Ok(Reaction::Nothing));
    // A replay that shows the voucher itself is an acknowledgement.
    let replayed = Refused { last: Some(pay.voucher), ..refused(Refusal::Replayed) };
    assert_eq!(tab.refused(&replayed), Ok(Reaction::Nothing));
    assert_eq!(tab.unacknowledged(), None);
}

#[test]
fn a_close_is_of_what_is_stored_and_ends_the_signatures() {
    let world = World::default();
    let mut tab = watching(&world);
    play(&mut tab, &world, 0).unwrap();
    let pay = play(&mut tab, &world, 1).unwrap().unwrap();
    assert_eq!(tab.close(&world.session), Err(TabError::Unacknowledged));
    acknowledge(&mut tab, &pay);
    assert_eq!(tab.close(&world.node), Err(TabError::WrongSigner));
    let ours = tab.close(&world.session).unwrap();
    assert_eq!(ours.body.cumulative, Amount::new(2 * PRICE));
    ours.verify(&world.session.public()).unwrap();
    assert_eq!(play(&mut tab, &world, 2), Err(TabError::Closed));
    assert_eq!(tab.start(), Err(TabError::Closed));
    assert_eq!(tab.closed(&ours), Err(TabError::CloseMismatch));
    let less = CloseTerms { cumulative: Amount::new(PRICE), ..ours.body };
    let less = Signed::sign(less, &world.node).unwrap();
    assert_eq!(tab.closed(&less), Err(TabError::CloseMismatch));
    assert_eq!(tab.closed(&Signed::sign(ours.body, &world.node).unwrap()), Ok(()));
}

#[test]
fn a_stored_tab_goes_on_where_it_was() {
    let world = World::default();
    let mut tab = watching(&world);
    tab.did_not_play(Tick(0)).unwrap();
    let mut again = Tab::from_bytes(&tab.to_bytes()).unwrap();
    let started = Started { last: Some(world.pay(0, PRICE).voucher), next: Tick(2), ..begin(&world) };
    assert_eq!(again.started(&started, &world.session, NOW), Ok(None));
    // The prepaid tick is still good.
    assert_eq!(play(&mut again, &world, 2), Ok(None));
    let pay = play(&mut again, &world, 3).unwrap();
    assert_eq!(pay.as_ref().unwrap().unplayed, unplayed(&[(0, 2)]));
    assert_eq!(body(pay), (3, 2 * PRICE));
}
