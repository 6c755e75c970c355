//! What a node accepts, what it refuses and why, when it sends and when it settles.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

mod world;

use tickcast_pay::ledger::{Forward, SettleReason, Standing, verify_all};
use tickcast_pay::message::{Ending, Pay, Report};
use tickcast_pay::*;
use world::*;

/// What a voucher is refused for, signed as it should be.
fn refusal(world: &World, ledger: &mut Ledger, voucher: Voucher) -> Refusal {
    world.accept(ledger, world.signed(voucher)).unwrap_err()
}

/// Paid up to tick 3: 400 of it, five more seconds sent.
fn at_tick_3(world: &World) -> Ledger {
    let mut ledger = world.watching();
    for tick in 0..4 {
        assert_eq!(world.send(&mut ledger), Ok(Tick(tick)));
    }
    world.accept(&mut ledger, world.pay(3, 4 * PRICE)).unwrap();
    assert_eq!(world.send_all(&mut ledger), Hold::GraceSpent);
    ledger
}

#[test]
fn each_wrong_voucher_is_refused_for_its_own_reason() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    let right = world.voucher(4, 5 * PRICE);
    let amount = Amount::new;
    let cases = [
        (Refusal::WrongGenesis, Voucher { genesis: Genesis([9; 32]), ..right }),
        (Refusal::WrongChannel, Voucher { channel: ChannelId([9; 32]), ..right }),
        (Refusal::UnknownOffer, Voucher { offer: OfferHash([9; 32]), ..right }),
        (Refusal::Replayed, world.voucher(3, 4 * PRICE)),
        (Refusal::Conflicting, world.voucher(3, 5 * PRICE)),
        (Refusal::RolledBack, world.voucher(2, 3 * PRICE)),
        (Refusal::WrongStep, Voucher { cumulative: amount(4 * PRICE), ..right }),
        (Refusal::WrongStep, Voucher { cumulative: amount(3 * PRICE), ..right }),
        (Refusal::WrongStep, Voucher { cumulative: amount(5 * PRICE - 1), ..right }),
        (Refusal::WrongStep, Voucher { cumulative: amount(5 * PRICE + 1), ..right }),
        (Refusal::WrongStep, Voucher { cumulative: amount(6 * PRICE), ..right }),
        (Refusal::WrongStep, Voucher { cumulative: Amount::MAX, ..right }),
        (Refusal::NotServed, world.voucher(10, 11 * PRICE)),
        (Refusal::NotServed, world.voucher((1 << 53) - 1, 5 * PRICE)),
    ];
    for (reason, voucher) in cases {
        assert_eq!(refusal(&world, &mut ledger, voucher), reason, "{voucher:?}");
    }
    assert_eq!(ledger.accepted(), amount(4 * PRICE));
    world.accept(&mut ledger, world.signed(right)).unwrap();
    assert_eq!(ledger.accepted(), amount(5 * PRICE));
}

#[test]
fn a_voucher_that_the_session_key_did_not_sign_is_refused_alone_and_in_a_batch() {
    for scheme in [KeyScheme::Sr25519, KeyScheme::Ed25519] {
        let world = World::new(scheme);
        let ledger = at_tick_3(&world);
        let voucher = world.voucher(4, 5 * PRICE);
        let by_another = Signed::sign(voucher, &keypair(scheme, 77)).unwrap();
        // Over the voucher's bytes without their domain.
        let bare = Signed { body: voucher, signature: world.session.sign(&voucher.to_bytes()).unwrap() };
        let mut flipped = world.pay(4, 5 * PRICE).voucher;
        flipped.signature.bytes[10] ^= 4;
        let forged = [by_another, bare, flipped];
        let pays =
            forged.map(|voucher| message::Pay { voucher, unplayed: Unplayed::default(), in_advance: false });
        let examine = |pay: &message::Pay| ledger.examine(pay.clone(), &world.book, NOW).unwrap();
        for pay in &pays {
            assert_eq!(examine(pay).verify().unwrap_err(), Refusal::BadSignature);
        }
        let right = world.pay(4, 5 * PRICE);
        let batch = [&pays[0], &right, &pays[1], &pays[2], &right].map(examine);
        let results = verify_all(batch.into());
        let results: Vec<_> = results.into_iter().map(|result| result.err()).collect();
        let bad = Some(Refusal::BadSignature);
        assert_eq!(results, [bad, None, bad, bad, None]);
    }
}

#[test]
fn a_signature_over_a_receipt_or_a_close_is_none_over_a_voucher() {
    let world = World::default();
    let ledger = at_tick_3(&world);
    let body = world.voucher(4, 5 * PRICE);
    let close = CloseTerms { genesis: body.genesis, channel: body.channel, cumulative: body.cumulative };
    let signature = Signed::sign(close, &world.session).unwrap().signature;
    let pay = message::Pay {
        voucher: Signed { body, signature },
        unplayed: Unplayed::default(),
        in_advance: false,
    };
    let examined = ledger.examine(pay, &world.book, NOW).unwrap();
    assert_eq!(examined.verify().unwrap_err(), Refusal::BadSignature);
}

#[test]
fn nothing_is_sent_before_the_first_tick_is_paid_nor_beyond_the_grace() {
    let world = World::default();
    let mut ledger = world.ledger();
    assert_eq!(ledger.forward(&world.book, NOW).unwrap_err(), Hold::NoSession);
    world.start(&mut ledger);
    assert_eq!(ledger.forward(&world.book, NOW).unwrap_err(), Hold::Unpaid);
    world.accept(&mut ledger, world.pay(0, PRICE)).unwrap();
    // The prepaid one, and the grace.
    for tick in 0..=u64::from(GRACE) {
        assert_eq!(world.send(&mut ledger), Ok(Tick(tick)));
    }
    assert_eq!(world.send(&mut ledger), Err(Hold::GraceSpent));
    assert_eq!(Hold::GraceSpent.ending(), Some(Ending::GraceSpent));
    world.accept(&mut ledger, world.pay(1, 2 * PRICE)).unwrap();
    assert_eq!(world.send(&mut ledger), Ok(Tick(6)));
    assert_eq!(world.send(&mut ledger), Err(Hold::GraceSpent));
}

#[test]
fn grace_comes_back_neither_with_a_new_connection_nor_with_a_restart() {
    let world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    for _ in 0..3 {
        ledger.stop();
        world.start(&mut ledger);
        assert_eq!(world.send(&mut ledger), Err(Hold::GraceSpent));
    }
    // What was stored last, at a moment when more had been sent than the last voucher said.
    let mut ledger = world.watching();
    let mut record = None;
    while let Ok(forward) = ledger.forward(&world.book, NOW) {
        if let Forward::Reserve(uncommitted) = forward {
            record = Some(uncommitted.record().to_vec());
            ledger.committed(uncommitted).unwrap();
        }
    }
    let mut again = Ledger::restore(config(), world.channel(), &record.unwrap()).unwrap();
    world.start(&mut again);
    assert_eq!(world.send(&mut again), Err(Hold::GraceSpent));
    // It is the same account on another channel, once the old one is settled.
    let settled = ChannelEvent::Settled { cumulative: ledger.accepted() };
    ledger.on_final(settled, NOW).unwrap();
    let mut channel = Channel::new(ChannelTerms { nonce: 1, ..world.terms });
    channel.apply_final(opened(DEPOSIT)).unwrap();
    let stored = ledger.replace_channel(channel).unwrap();
    ledger.committed(stored).unwrap();
    assert_eq!(ledger.unpaid_ticks(), i64::from(GRACE));
    world.start(&mut ledger);
    let voucher = Voucher { channel: ledger.channel().id(), ..world.voucher(0, PRICE) };
    world.accept(&mut ledger, world.signed(voucher)).unwrap();
    // Two were paid, so two of the five are forgiven; the prepaid second is the third that may be sent.
    for _ in 0..3 {
        world.send(&mut ledger).unwrap();
    }
    assert_eq!(world.send(&mut ledger), Err(Hold::GraceSpent));
}

#[test]
fn an_ordered_end_gives_reserved_seconds_back() {
    let world = World::default();
    let mut ledger = world.watching();
    assert_eq!(world.send(&mut ledger), Ok(Tick(0)));
    let record = ledger.final_record().unwrap();
    let mut again = Ledger::restore(config(), world.channel(), &record).unwrap();
    assert_eq!(world.start(&mut again).next, Tick(1));
    assert_eq!(world.send(&mut again), Ok(Tick(1)));
}

#[test]
fn a_channel_is_replaced_only_once_it_is_settled_and_only_by_the_same_parties() {
    let world = World::default();
    let mut ledger = world.watching();
    let other = |terms| {
        let mut channel = Channel::new(terms);
        channel.apply_final(opened(DEPOSIT)).unwrap();
        channel
    };
    let next = ChannelTerms { nonce: 1, ..world.terms };
    assert_eq!(ledger.replace_channel(other(next)).unwrap_err(), Refusal::Unsettled);
    for wrong in [
        world.terms,
        ChannelTerms { payer: AccountId([8; 32]), ..next },
        ChannelTerms { payee: AccountId([8; 32]), ..next },
        ChannelTerms { node: keypair(KeyScheme::Ed25519, 8).public(), ..next },
    ] {
        assert_eq!(ledger.replace_channel(other(wrong)).unwrap_err(), Refusal::WrongChannel);
    }
    assert_eq!(
        Ledger::restore(config(), other(next), &world.watching().final_record().unwrap()).unwrap_err(),
        ledger::RestoreError::OtherChannel
    );
}

#[test]
fn an_acknowledgement_exists_only_once_its_voucher_is_stored() {
    let world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    let stage = |ledger: &mut Ledger, pay: message::Pay| {
        let verified = ledger.examine(pay, &world.book, NOW).unwrap().verify().unwrap();
        ledger.stage(verified, &world.book, &world.node, NOW).unwrap()
    };
    let staged = stage(&mut ledger, world.pay(1, 2 * PRICE));
    assert_eq!(staged.voucher().unwrap().body, world.voucher(1, 2 * PRICE));
    // Until then it is as if it had never come, and nothing else is taken.
    assert_eq!(ledger.accepted(), Amount::new(PRICE));
    assert_eq!(refusal(&world, &mut ledger, world.voucher(2, 3 * PRICE)), Refusal::Committing);
    assert_eq!(ledger.refused(None, Refusal::Committing).last.unwrap().body, world.voucher(0, PRICE));
    ledger.aborted(&staged).unwrap();
    assert!(ledger.committed(staged).is_err());
    assert_eq!(ledger.accepted(), Amount::new(PRICE));
    let staged = stage(&mut ledger, world.pay(1, 2 * PRICE));
    let record = staged.record().to_vec();
    let stored = ledger.committed(staged).unwrap().acknowledged.unwrap();
    assert_eq!((stored.tick(), stored.cumulative()), (Tick(1), Amount::new(2 * PRICE)));
    let again = Ledger::restore(config(), world.channel(), &record).unwrap();
    assert_eq!(again.last_voucher().unwrap().body, world.voucher(1, 2 * PRICE));
}

#[test]
fn what_another_ledger_staged_is_not_taken() {
    let world = World::default();
    let (mut one, mut two) = (world.ledger(), world.ledger());
    for ledger in [&mut one, &mut two] {
        world.start(ledger);
    }
    let verified = one.examine(world.pay(0, PRICE), &world.book, NOW).unwrap().verify().unwrap();
    let staged = one.stage(verified, &world.book, &world.node, NOW).unwrap();
    assert!(two.committed(staged).is_err());
}

#[test]
fn what_changed_since_a_voucher_was_examined_counts() {
    let world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    let verify = |ledger: &Ledger, pay| ledger.examine(pay, &world.book, NOW).unwrap().verify().unwrap();
    let (first, again) = (verify(&ledger, world.pay(1, 2 * PRICE)), verify(&ledger, world.pay(1, 2 * PRICE)));
    let staged = ledger.stage(first, &world.book, &world.node, NOW).unwrap();
    ledger.committed(staged).unwrap();
    assert_eq!(ledger.stage(again, &world.book, &world.node, NOW).unwrap_err(), Refusal::Replayed);
    let late = verify(&ledger, world.pay(2, 3 * PRICE));
    ledger.on_pending(&[ChannelEvent::ClosingStarted { closes_at: NOW }]).unwrap();
    assert_eq!(ledger.stage(late, &world.book, &world.node, NOW).unwrap_err(), Refusal::ChannelClosing);
}

#[test]
fn the_deposit_is_the_cap_of_vouchers_and_of_what_is_sent() {
    let world = World::default();
    let mut channel = Channel::new(world.terms);
    channel.apply_final(opened(3 * PRICE - 1)).unwrap();
    let mut ledger = Ledger::new(config(), channel);
    world.start(&mut ledger);
    world.accept(&mut ledger, world.pay(0, PRICE)).unwrap();
    assert_eq!(world.send(&mut ledger), Ok(Tick(0)));
    assert_eq!(world.send(&mut ledger), Ok(Tick(1)));
    assert_eq!(world.send(&mut ledger), Err(Hold::DepositSpent));
    world.accept(&mut ledger, world.pay(1, 2 * PRICE)).unwrap();
    assert_eq!(world.send(&mut ledger), Err(Hold::DepositSpent));
    // A top-up counts when it is final.
    let topped = ChannelEvent::ToppedUp { deposit: Amount::new(3 * PRICE) };
    ledger.on_pending(&[topped]).unwrap();
    assert_eq!(world.send(&mut ledger), Err(Hold::DepositSpent));
    ledger.on_final(topped, NOW).unwrap();
    assert_eq!(world.send(&mut ledger), Ok(Tick(2)));

    let mut channel = Channel::new(world.terms);
    channel.apply_final(opened(PRICE - 1)).unwrap();
    let mut poor = Ledger::new(config(), channel);
    world.start(&mut poor);
    assert_eq!(refusal(&world, &mut poor, world.voucher(0, PRICE)), Refusal::OverDeposit);
}

#[test]
fn vouchers_are_refused_by_the_state_of_the_channel() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    let next = world.voucher(4, 5 * PRICE);
    ledger.on_pending(&[ChannelEvent::ClosingStarted { closes_at: NOW.plus(1) }]).unwrap();
    assert_eq!(refusal(&world, &mut ledger, next), Refusal::ChannelClosing);
    assert_eq!(world.send(&mut ledger), Err(Hold::Refused(Refusal::ChannelClosing)));
    assert_eq!(ledger.start(&world.offer.hash(), &world.book, NOW).unwrap_err(), Refusal::ChannelClosing);
    // The block with it lost.
    ledger.on_pending(&[]).unwrap();
    world.accept(&mut ledger, world.signed(next)).unwrap();
    ledger.on_final(ChannelEvent::Closed { paid: Amount::ZERO }, NOW).unwrap();
    assert_eq!(refusal(&world, &mut ledger, world.voucher(5, 6 * PRICE)), Refusal::ChannelClosed);

    let mut unknown = Ledger::new(config(), Channel::new(world.terms));
    assert_eq!(unknown.start(&world.offer.hash(), &world.book, NOW).unwrap_err(), Refusal::ChannelUnknown);
}

#[test]
fn seconds_that_were_sent_are_paid_while_the_channel_closes_and_no_other() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    let closes_at = NOW.plus(DISPUTE_MS);
    ledger.on_pending(&[ChannelEvent::ClosingStarted { closes_at }]).unwrap();
    assert_eq!(world.send(&mut ledger), Err(Hold::Refused(Refusal::ChannelClosing)));
    // 8 is the last one that was sent.
    assert_eq!(refusal(&world, &mut ledger, world.voucher(9, 10 * PRICE)), Refusal::ChannelClosing);
    let half = NOW.plus(DISPUTE_MS / 2);
    let before = UnixMillis(half.0 - 1);
    let late = world.accept_at(&mut ledger, world.pay(4, 5 * PRICE), half);
    assert_eq!(
        late.unwrap_err(),
        Refusal::ChannelClosing,
        "the chain may be slower than the rest of the window"
    );
    world.accept_at(&mut ledger, world.pay(4, 5 * PRICE), before).unwrap();
    ledger.on_final(ChannelEvent::ClosingStarted { closes_at }, before).unwrap();
    world.accept_at(&mut ledger, world.pay(8, 9 * PRICE), before).unwrap();
    let due = ledger.settlement_due(before).unwrap();
    assert_eq!((due.reason, due.voucher.body.cumulative.units()), (SettleReason::CounterClose, 9 * PRICE));
    // Closed in a block that is not final: nothing can be settled any more.
    ledger.on_pending(&[ChannelEvent::Closed { paid: Amount::ZERO }]).unwrap();
    assert_eq!(ledger.channel().redeems_while_closing(before), None);
}

#[test]
fn a_channel_is_served_only_while_a_dispute_could_still_be_settled() {
    let mut world = World::default();
    let long = world.offer_with(|offer| offer.until = NOW.plus(29 * DAY_MS + DAY_MS - 1));
    let mut ledger = world.ledger();
    let end = NOW.plus(30 * DAY_MS - DISPUTE_MS);
    let before = UnixMillis(end.0 - 1);
    ledger.start(&long.hash(), &world.book, before).unwrap();
    let pay = world.signed(Voucher { offer: long.hash(), ..world.voucher(0, PRICE) });
    world.accept_at(&mut ledger, pay, before).unwrap();
    assert_eq!(world.send_at(&mut ledger, before), Ok(Tick(0)));
    assert_eq!(world.send_at(&mut ledger, end), Err(Hold::Refused(Refusal::ChannelExpiring)));
    let pay = world.signed(Voucher { offer: long.hash(), ..world.voucher(1, 2 * PRICE) });
    assert_eq!(world.accept_at(&mut ledger, pay, end).unwrap_err(), Refusal::ChannelExpiring);
    assert_eq!(ledger.settlement_due(end).unwrap().reason, SettleReason::Expiring);
}

#[test]
fn a_channel_of_the_best_block_is_served_up_to_what_the_node_allows_and_the_grace_at_least() {
    let world = World::default();
    for (unconfirmed_ticks, served) in [(0, GRACE), (GRACE - 1, GRACE), (GRACE + 3, GRACE + 3)] {
        let mut channel = Channel::new(world.terms);
        channel.set_pending(&[opened(DEPOSIT)]).unwrap();
        let mut ledger = Ledger::new(LedgerConfig { unconfirmed_ticks, ..config() }, channel);
        world.start(&mut ledger);
        world.accept(&mut ledger, world.pay(0, PRICE)).unwrap();
        for tick in 0..u64::from(served) {
            assert_eq!(world.send(&mut ledger), Ok(Tick(tick)));
            if tick > 0 {
                world.accept(&mut ledger, world.pay(tick, PRICE * u128::from(tick + 1))).unwrap();
            }
        }
        assert_eq!(world.send(&mut ledger), Err(Hold::Unconfirmed));
        assert_eq!(ledger.settlement_due(NOW), None);
        ledger.on_final(opened(DEPOSIT), NOW).unwrap();
        assert_eq!(world.send(&mut ledger), Ok(Tick(served.into())));
    }
}

#[test]
fn what_is_unpaid_of_a_channel_of_the_best_block_is_bounded_by_the_grace_all_the_same() {
    let world = World::default();
    let mut channel = Channel::new(world.terms);
    channel.set_pending(&[opened(DEPOSIT)]).unwrap();
    let mut ledger = Ledger::new(LedgerConfig { unconfirmed_ticks: 10 * GRACE, ..config() }, channel);
    world.start(&mut ledger);
    world.accept(&mut ledger, world.pay(0, PRICE)).unwrap();
    // The first was paid in advance.
    for tick in 0..=u64::from(GRACE) {
        assert_eq!(world.send(&mut ledger), Ok(Tick(tick)));
    }
    assert_eq!(world.send(&mut ledger), Err(Hold::GraceSpent));
}

#[test]
fn seconds_that_did_not_play_cost_nothing_within_the_bound_and_then_end_the_session() {
    let world = World::default();
    let mut ledger = world.watching();
    for _ in 0..4 {
        world.send(&mut ledger).unwrap();
    }
    // 1 and 2 did not play: tick 3 is the second one that is paid.
    let mut pay = world.pay(3, 2 * PRICE);
    pay.unplayed = unplayed(&[(1, 2)]);
    world.accept(&mut ledger, pay).unwrap();
    // Two are paid, so both of the others are forgiven.
    assert_eq!((ledger.standing(), ledger.unpaid_ticks()), (&Standing { paid: 2, forgiven: 2 }, 0));
    assert_eq!((ledger.totals().paid, ledger.totals().unplayed), (2, 2));
    // One more is forgiven, the next one not: it stays unpaid.
    for _ in 4..7 {
        world.send(&mut ledger).unwrap();
    }
    let mut pay = world.pay(6, 3 * PRICE);
    pay.unplayed = unplayed(&[(4, 2)]);
    world.accept(&mut ledger, pay).unwrap();
    assert_eq!((ledger.standing(), ledger.unpaid_ticks()), (&Standing { paid: 3, forgiven: 3 }, 1));
    for _ in 7..11 {
        world.send(&mut ledger).unwrap();
    }
    assert_eq!(world.send(&mut ledger), Err(Hold::GraceSpent));
    // Once nothing is left that could be paid, time opens nothing, whichever way it goes.
    let report = Report { channel: world.terms.id(), unplayed: unplayed(&[(7, 4)]) };
    ledger.report(&report, NOW).unwrap();
    for now in [NOW, NOW.plus(DAY_MS / 2), UnixMillis(NOW.0 - 3_600_000)] {
        assert_eq!(world.send_at(&mut ledger, now), Err(Hold::TooManyUnplayed));
    }
}

#[test]
fn beyond_the_first_seconds_one_is_forgiven_for_each_ten_that_are_paid() {
    let forgivable = |paid| config().forgivable(paid);
    assert_eq!([0, 1, 2, 3, 4, 9, 10, 19, 20, 1_000].map(forgivable), [0, 1, 2, 3, 3, 3, 4, 4, 5, 103]);
}

#[test]
fn whoever_is_forgiven_no_more_goes_on_by_paying_the_next_second_in_advance() {
    let world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    let channel = world.terms.id();
    let name = |ledger: &mut Ledger, first, count| {
        ledger.report(&Report { channel, unplayed: unplayed(&[(first, count)]) }, NOW).unwrap();
    };
    let pay = |tick, total, named: (u64, u32)| Pay { unplayed: unplayed(&[named]), ..world.pay(tick, total) };
    // 0 played. One was paid, so one is forgiven.
    name(&mut ledger, 1, 5);
    assert_eq!(world.send(&mut ledger), Ok(Tick(6)));
    name(&mut ledger, 1, 6);
    assert_eq!(world.send(&mut ledger), Err(Hold::TooManyUnplayed));
    let ahead = |tick, total, named| Pay { in_advance: true, ..pay(tick, total, named) };
    let refused = [ahead(8, 3 * PRICE, (1, 6)), pay(7, 2 * PRICE, (1, 6))];
    for pay in refused {
        assert_eq!(
            world.accept(&mut ledger, pay).unwrap_err(),
            Refusal::NotServed,
            "two, or one that is said to have played"
        );
    }
    world.accept(&mut ledger, ahead(7, 2 * PRICE, (1, 6))).unwrap();
    assert_eq!(ledger.unpaid_ticks(), 3, "of the five one more is forgiven, and one is paid in advance");
    // 7 did not play: the next one is paid by it, also after a restart.
    assert_eq!(world.send(&mut ledger), Ok(Tick(7)));
    name(&mut ledger, 7, 1);
    assert_eq!((ledger.unpaid_ticks(), world.send(&mut ledger)), (4, Ok(Tick(8))));
    let mut again = Ledger::restore(config(), world.channel(), &ledger.final_record().unwrap()).unwrap();
    world.start(&mut again);
    let paid_by_it = pay(8, 3 * PRICE, (7, 1));
    assert_eq!(world.accept(&mut again, paid_by_it).unwrap_err(), Refusal::WrongStep);
    assert_eq!(world.send(&mut again), Err(Hold::TooManyUnplayed));
    world.accept(&mut again, ahead(9, 3 * PRICE, (7, 1))).unwrap();
    again.audit().unwrap();
}

#[test]
fn a_second_that_was_sent_while_its_payment_in_advance_was_under_way_may_be_named_and_the_next_one_is_paid_by_it()
 {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    // For the viewer 4 was the next to be sent; for the node it was not, when the voucher came.
    world.accept(&mut ledger, Pay { in_advance: true, ..world.pay(4, 5 * PRICE) }).unwrap();
    assert_eq!(ledger.unpaid_ticks(), 4);
    let named = |tick, total, first| Pay { unplayed: unplayed(&[(first, 1)]), ..world.pay(tick, total) };
    assert_eq!(world.accept(&mut ledger, named(5, 6 * PRICE, 4)).unwrap_err(), Refusal::WrongStep);
    world.accept(&mut ledger, named(6, 6 * PRICE, 4)).unwrap();
    // This one was paid after it had played.
    assert_eq!(world.accept(&mut ledger, named(8, 7 * PRICE, 6)).unwrap_err(), Refusal::WrongStep);
    world.accept(&mut ledger, named(8, 8 * PRICE, 6)).unwrap();
    assert_eq!(ledger.standing(), &Standing { paid: 8, forgiven: 1 });
    ledger.audit().unwrap();
}

#[test]
fn seconds_that_were_named_and_are_paid_after_all_are_forgiven_no_more() {
    let world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    let report = Report { channel: world.terms.id(), unplayed: unplayed(&[(1, 3)]) };
    ledger.report(&report, NOW).unwrap();
    assert_eq!((ledger.standing().forgiven, ledger.unpaid_ticks()), (1, 4));
    world.accept(&mut ledger, world.pay(3, 4 * PRICE)).unwrap();
    assert_eq!((ledger.standing(), ledger.unpaid_ticks()), (&Standing { paid: 4, forgiven: 0 }, 2));
}

#[test]
fn a_report_opens_the_gate_for_seconds_that_did_not_play_but_only_once() {
    let world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    let channel = world.terms.id();
    let report = |ranges: &[(u64, u32)]| Report { channel, unplayed: unplayed(ranges) };
    ledger.report(&report(&[(1, 2)]), NOW).unwrap();
    ledger.report(&report(&[(1, 2)]), NOW).unwrap();
    // One was paid, so one is forgiven.
    assert_eq!(ledger.standing(), &Standing { paid: 1, forgiven: 1 });
    assert_eq!(world.send(&mut ledger), Ok(Tick(6)));
    assert_eq!(world.send(&mut ledger), Err(Hold::GraceSpent));
    // The voucher names them again: they are not forgiven twice.
    let mut pay = world.pay(3, 2 * PRICE);
    pay.unplayed = unplayed(&[(1, 2)]);
    world.accept(&mut ledger, pay).unwrap();
    assert_eq!(ledger.standing(), &Standing { paid: 2, forgiven: 2 });
    // What was accounted for is passed over.
    ledger.report(&report(&[(1, 2)]), NOW).unwrap();
    assert_eq!(ledger.standing(), &Standing { paid: 2, forgiven: 2 });
    assert_eq!(ledger.report(&report(&[(8, 1)]), NOW), Err(Refusal::UnplayedOutOfRange));
    let foreign = Report { channel: ChannelId([3; 32]), unplayed: Unplayed::default() };
    assert_eq!(ledger.report(&foreign, NOW), Err(Refusal::WrongChannel));
}

#[test]
fn the_prepaid_tick_is_good_for_the_first_second_that_plays() {
    let world = World::default();
    let mut ledger = world.watching();
    for _ in 0..3 {
        world.send(&mut ledger).unwrap();
    }
    // 0 did not play, 1 used the prepaid tick up, 2 is paid.
    let mut pay = world.pay(2, 2 * PRICE);
    pay.unplayed = unplayed(&[(0, 1)]);
    world.accept(&mut ledger, pay).unwrap();
    assert_eq!(ledger.unpaid_ticks(), 0);
}

#[test]
fn seconds_named_unplayed_must_lie_before_the_paid_one() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    for wrong in [(5, 1), (6, 1), (4, 3)] {
        let mut pay = world.pay(5, 6 * PRICE);
        pay.unplayed = unplayed(&[wrong]);
        assert_eq!(world.accept(&mut ledger, pay).unwrap_err(), Refusal::UnplayedOutOfRange);
    }
    // All of them unplayed, and the last one paid once more.
    let mut pay = world.pay(5, 5 * PRICE);
    pay.unplayed = unplayed(&[(4, 1)]);
    world.accept(&mut ledger, pay).unwrap();
}

#[test]
fn what_the_node_failed_to_send_is_nobodys_debt_and_uses_no_forgiveness() {
    let world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    ledger.failed(Tick(2));
    ledger.delivered(Tick(1));
    ledger.delivered(Tick(3));
    assert_eq!(world.send(&mut ledger), Ok(Tick(6)));
    let mut pay = world.pay(3, 3 * PRICE);
    pay.unplayed = unplayed(&[(2, 1)]);
    world.accept(&mut ledger, pay).unwrap();
    assert_eq!((ledger.standing().forgiven, ledger.named(NOW)), (0, (0, 3)));
    assert_eq!(ledger.totals().paid_and_delivered, 2);
    // A viewer that claims what feedback contradicts is counted.
    ledger.delivered(Tick(4));
    let claim = Report { channel: world.terms.id(), unplayed: unplayed(&[(4, 1)]) };
    ledger.report(&claim, NOW).unwrap();
    assert_eq!(ledger.totals().contested, 1);
}

#[test]
fn a_new_price_counts_once_a_voucher_names_it_and_never_before() {
    let mut world = World::default();
    let mut ledger = at_tick_3(&world);
    let dearer = world.offer_with(|offer| offer.price = Price::new(Amount::new(3 * PRICE)).unwrap());
    // At the old price while the old offer is in force.
    world.accept(&mut ledger, world.pay(4, 5 * PRICE)).unwrap();
    // The new price under the old name, the old one under the new name.
    assert_eq!(refusal(&world, &mut ledger, world.voucher(5, 8 * PRICE)), Refusal::WrongStep);
    let named = Voucher { offer: dearer.hash(), ..world.voucher(5, 6 * PRICE) };
    assert_eq!(refusal(&world, &mut ledger, named), Refusal::WrongStep);
    let consent = Voucher { offer: dearer.hash(), ..world.voucher(5, 8 * PRICE) };
    world.accept(&mut ledger, world.signed(consent)).unwrap();
    assert_eq!(ledger.offer().unwrap().hash(), dearer.hash());
    // The old one is withdrawn: what was consented to stays.
    let old = world.offer.hash();
    world.book.withdraw(&old, NOW);
    let back = world.voucher(6, 9 * PRICE);
    assert_eq!(refusal(&world, &mut ledger, back), Refusal::OfferExpired);
}

/// One of the best tier, which costs three times as much; the world's own is of tier 1.
fn best(world: &mut World) -> VerifiedOffer {
    world.offer_with(|offer| {
        offer.price = Price::new(Amount::new(3 * PRICE)).unwrap();
        offer.quality.tier = 3;
    })
}

/// Ticks 9 to 13 were sent by the best tier, and none of them is paid.
fn sent_by(best: &VerifiedOffer, world: &World) -> Ledger {
    let mut ledger = at_tick_3(world);
    world.accept(&mut ledger, world.pay(8, 9 * PRICE)).unwrap();
    ledger.start(&best.hash(), &world.book, NOW).unwrap();
    assert_eq!(world.send_all(&mut ledger), Hold::GraceSpent);
    ledger
}

#[test]
fn the_best_tier_is_not_had_for_the_price_of_a_lower_one() {
    let mut world = World::default();
    let best = best(&mut world);
    let record = sent_by(&best, &world).final_record().unwrap();
    let restored = Ledger::restore(config(), world.channel(), &record).unwrap();
    for mut ledger in [sent_by(&best, &world), restored] {
        // Whatever is begun afterwards, and however often.
        for tier in [1, 0, 2, 1, 2, 0, 1] {
            let other = world.offer_with(|offer| offer.quality.tier = tier);
            ledger.start(&other.hash(), &world.book, NOW).unwrap();
            let low = Voucher { offer: other.hash(), ..world.voucher(13, 14 * PRICE) };
            assert_eq!(refusal(&world, &mut ledger, low), Refusal::ForeignOffer, "tier {tier}");
        }
        ledger.start(&best.hash(), &world.book, NOW).unwrap();
        let paid = Voucher { offer: best.hash(), ..world.voucher(13, (9 + 5 * 3) * PRICE) };
        world.accept(&mut ledger, world.signed(paid)).unwrap();
        // What is sent from now on may be of the lower one again.
        world.start(&mut ledger);
        assert_eq!(world.send(&mut ledger), Ok(Tick(14)));
        world.accept(&mut ledger, world.pay(14, (9 + 5 * 3 + 1) * PRICE)).unwrap();
    }
}

#[test]
fn what_was_allowed_when_the_better_tier_was_named_is_paid_by_that() {
    let mut world = World::default();
    let best = best(&mut world);
    // Five seconds are unpaid, of which a player may not have fetched the newest.
    let mut ledger = at_tick_3(&world);
    let up = Voucher { offer: best.hash(), ..world.voucher(4, (4 + 3) * PRICE) };
    world.accept(&mut ledger, world.signed(up)).unwrap();
    world.start(&mut ledger);
    assert_eq!(refusal(&world, &mut ledger, world.voucher(8, (7 + 4) * PRICE)), Refusal::ForeignOffer);
    let paid = Voucher { offer: best.hash(), ..world.voucher(8, (7 + 4 * 3) * PRICE) };
    world.accept(&mut ledger, world.signed(paid)).unwrap();
}

#[test]
fn seconds_of_the_best_tier_that_did_not_play_are_named_by_whoever_goes_down() {
    let mut world = World::default();
    let best = best(&mut world);
    let mut ledger = at_tick_3(&world);
    world.accept(&mut ledger, world.pay(8, 9 * PRICE)).unwrap();
    ledger.start(&best.hash(), &world.book, NOW).unwrap();
    assert_eq!((world.send(&mut ledger), world.send(&mut ledger)), (Ok(Tick(9)), Ok(Tick(10))));
    world.start(&mut ledger);
    assert_eq!(world.send(&mut ledger), Ok(Tick(11)));
    let low = world.signed(world.voucher(11, 10 * PRICE));
    let half = Pay { unplayed: unplayed(&[(9, 1)]), ..world.signed(world.voucher(11, 11 * PRICE)) };
    assert_eq!(world.accept(&mut ledger, half).unwrap_err(), Refusal::ForeignOffer);
    world.accept(&mut ledger, Pay { unplayed: unplayed(&[(9, 2)]), ..low }).unwrap();
}

#[test]
fn a_second_that_was_paid_in_advance_is_sent_by_the_tier_that_paid_it() {
    let mut world = World::default();
    let best = best(&mut world);
    let mut ledger = world.watching();
    assert_eq!(ledger.paid_ahead(), Some((Tick(0), 1)));
    ledger.start(&best.hash(), &world.book, NOW).unwrap();
    assert_eq!(ledger.paid_ahead(), Some((Tick(0), 1)));
    // Where its offer was forgotten over others it counts for the lowest.
    for tier in [0, 2, 4] {
        let other = world.offer_with(|offer| offer.quality.tier = tier);
        ledger.start(&other.hash(), &world.book, NOW).unwrap();
    }
    assert_eq!(ledger.paid_ahead(), Some((Tick(0), 0)));
    world.start(&mut ledger);
    assert_eq!((world.send(&mut ledger), world.send(&mut ledger)), (Ok(Tick(0)), Ok(Tick(1))));
    world.accept(&mut ledger, world.pay(1, 2 * PRICE)).unwrap();
    assert_eq!(ledger.paid_ahead(), None);
}

#[test]
fn a_withdrawn_offer_sends_nothing_more_and_what_was_sent_is_still_paid() {
    let mut world = World::default();
    let mut ledger = world.watching();
    world.send_all(&mut ledger);
    world.accept(&mut ledger, world.pay(1, 2 * PRICE)).unwrap();
    let hash = world.offer.hash();
    world.book.withdraw(&hash, NOW);
    assert_eq!(world.send(&mut ledger), Err(Hold::Refused(Refusal::OfferExpired)));
    world.accept(&mut ledger, world.pay(5, 6 * PRICE)).unwrap();
    // Also over a new session by another offer, for the seconds before it.
    let mut ledger = at_tick_3(&World::default());
    let next = world.offer_with(|offer| offer.content = ContentId([8; 32]));
    ledger.start(&next.hash(), &world.book, NOW).unwrap();
    world.accept(&mut ledger, world.pay(8, 9 * PRICE)).unwrap();
    assert_eq!(world.send(&mut ledger), Ok(Tick(9)));
    assert_eq!(refusal(&world, &mut ledger, world.voucher(9, 10 * PRICE)), Refusal::OfferExpired);
}

#[test]
fn an_offer_for_something_else_pays_nothing() {
    let mut world = World::default();
    let mut ledger = at_tick_3(&world);
    let content = world.offer_with(|offer| offer.content = ContentId([8; 32]));
    let asset = world.offer_with(|offer| offer.asset = AssetId::Asset(7));
    for offer in [content, asset] {
        let voucher = Voucher { offer: offer.hash(), ..world.voucher(4, 5 * PRICE) };
        assert_eq!(refusal(&world, &mut ledger, voucher), Refusal::ForeignOffer);
    }
    assert_eq!(ledger.start(&asset.hash(), &world.book, NOW).unwrap_err(), Refusal::ForeignOffer);
    assert_eq!(ledger.start(&OfferHash([1; 32]), &world.book, NOW).unwrap_err(), Refusal::UnknownOffer);
    assert_eq!(
        ledger.start(&world.offer.hash(), &world.book, NOW.plus(DAY_MS)).unwrap_err(),
        Refusal::OfferExpired
    );
    ledger.stop();
    assert_eq!(refusal(&world, &mut ledger, world.voucher(4, 5 * PRICE)), Refusal::NoSession);
}

#[test]
fn a_channel_of_one_node_is_not_served_by_another() {
    let world = World::default();
    let terms = ChannelTerms { node: keypair(KeyScheme::Ed25519, 99).public(), ..world.terms };
    let mut channel = Channel::new(terms);
    channel.apply_final(opened(DEPOSIT)).unwrap();
    let mut ledger = Ledger::new(config(), channel);
    assert_eq!(ledger.start(&world.offer.hash(), &world.book, NOW).unwrap_err(), Refusal::ForeignOffer);
}

#[test]
fn each_ten_ticks_a_receipt_is_stored_with_the_voucher_and_chained_to_the_last() {
    let world = World::default();
    let mut ledger = world.watching();
    let mut receipts = Vec::new();
    for tick in 1..40 {
        world.send_all(&mut ledger);
        let total = PRICE * u128::from(tick + 1_u64);
        let committed = world.accept(&mut ledger, world.pay(tick, total)).unwrap();
        receipts.extend(committed.receipt.map(|receipt| (tick, receipt)));
    }
    // The prepaid tick is the first: ten are paid with tick 9.
    assert_eq!(receipts.iter().map(|(tick, _)| *tick).collect::<Vec<_>>(), [9, 19, 29, 39]);
    let mut previous = ReceiptHash([0; 32]);
    for (at, (tick, receipt)) in receipts.iter().enumerate() {
        receipt.verify(&world.node.public()).unwrap();
        let body = receipt.body;
        assert_eq!((body.number, body.tick, body.previous), (at as u64 + 1, Tick(*tick), previous));
        assert_eq!(body.cumulative, Amount::new(PRICE * u128::from(tick + 1)));
        previous = body.hash();
    }
    ledger.audit().unwrap();
}

#[test]
fn a_node_key_that_is_not_the_channels_takes_nothing() {
    let world = World::default();
    let mut ledger = world.watching();
    for _ in 0..12 {
        world.send_all(&mut ledger);
        let tick = ledger.last_voucher().unwrap().body.tick.0 + 1;
        let pay = world.pay(tick, PRICE * u128::from(tick + 1));
        let verified = ledger.examine(pay, &world.book, NOW).unwrap().verify().unwrap();
        match ledger.stage(verified, &world.book, &world.creator, NOW) {
            Ok(staged) => drop(ledger.committed(staged).unwrap()),
            Err(reason) => {
                assert_eq!((tick, reason), (9, Refusal::NodeFault));
                return;
            }
        }
    }
    panic!("a receipt was due");
}

#[test]
fn a_cooperative_close_is_of_the_last_total_and_ends_the_vouchers() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    let terms =
        CloseTerms { genesis: GENESIS, channel: world.terms.id(), cumulative: Amount::new(4 * PRICE) };
    let refused = |ledger: &mut Ledger, terms, key: &Keypair| {
        ledger.agree_to_close(&Signed::sign(terms, key).unwrap(), &world.node).unwrap_err()
    };
    let session = &world.session;
    for (reason, wrong) in [
        (Refusal::CloseMismatch, CloseTerms { cumulative: Amount::new(3 * PRICE), ..terms }),
        (Refusal::WrongGenesis, CloseTerms { genesis: Genesis([0; 32]), ..terms }),
        (Refusal::WrongChannel, CloseTerms { channel: ChannelId([0; 32]), ..terms }),
    ] {
        assert_eq!(refused(&mut ledger, wrong, session), reason);
    }
    assert_eq!(refused(&mut ledger, terms, &world.creator), Refusal::BadSignature);
    let theirs = Signed::sign(terms, session).unwrap();
    let staged = ledger.agree_to_close(&theirs, &world.node).unwrap();
    let record = staged.record().to_vec();
    let ours = ledger.committed(staged).unwrap().closed.unwrap();
    ours.verify(&world.node.public()).unwrap();
    assert_eq!(refusal(&world, &mut ledger, world.voucher(4, 5 * PRICE)), Refusal::CloseAgreed);
    assert_eq!(refused(&mut ledger, terms, session), Refusal::CloseAgreed);
    assert_eq!(ledger.forward(&world.book, NOW).unwrap_err(), Hold::NoSession);
    let again = Ledger::restore(config(), world.channel(), &record).unwrap();
    assert_eq!(again.close_agreed(), Some(&(theirs, ours)));
    // Its books are not left before it is carried out, even where all was settled: the rest would not come back.
    let other = || {
        let mut channel = Channel::new(ChannelTerms { nonce: 1, ..world.terms });
        channel.apply_final(opened(DEPOSIT)).unwrap();
        channel
    };
    let paid = Amount::new(4 * PRICE);
    ledger.on_final(ChannelEvent::Settled { cumulative: paid }, NOW).unwrap();
    assert_eq!(ledger.replace_channel(other()).unwrap_err(), Refusal::Unsettled);
    ledger.on_final(ChannelEvent::Closed { paid }, NOW).unwrap();
    assert!(ledger.replace_channel(other()).is_ok());
}

#[test]
fn the_newest_voucher_is_settled_by_amount_by_time_at_the_end_and_against_a_close() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    assert_eq!(ledger.settlement_due(NOW), None);
    let hour = NOW.plus(3_600_000);
    let due = ledger.settlement_due(hour).unwrap();
    assert_eq!((due.reason, due.voucher.body.tick), (SettleReason::Interval, Tick(3)));
    ledger.stop();
    assert_eq!(ledger.settlement_due(NOW).unwrap().reason, SettleReason::End);
    // Submitted once, and again when that failed.
    ledger.settling(&due);
    assert_eq!(ledger.settlement_due(hour), None);
    ledger.settlement_failed();
    assert!(ledger.settlement_due(hour).is_some());
    ledger.settling(&due);
    ledger.on_final(ChannelEvent::Settled { cumulative: Amount::new(4 * PRICE) }, hour).unwrap();
    assert_eq!(ledger.settlement_due(hour), None);
    world.start(&mut ledger);
    world.accept(&mut ledger, world.pay(8, 9 * PRICE)).unwrap();
    assert_eq!(ledger.settlement_due(NOW), None);
    ledger.on_pending(&[ChannelEvent::ClosingStarted { closes_at: hour }]).unwrap();
    assert_eq!(ledger.settlement_due(NOW).unwrap().reason, SettleReason::CounterClose);
    ledger.on_pending(&[]).unwrap();

    let mut rich = world.watching();
    for tick in 1..20_u64 {
        world.send_all(&mut rich);
        world.accept(&mut rich, world.pay(tick, PRICE * u128::from(tick + 1))).unwrap();
        let reason = rich.settlement_due(NOW).map(|due| due.reason);
        assert_eq!(reason, (tick == 19).then_some(SettleReason::Threshold), "{tick}");
    }
    rich.audit().unwrap();
}

#[test]
fn what_is_urgent_does_not_wait_until_it_is_known_whether_the_last_settlement_came_through() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    let hour = NOW.plus(3_600_000);
    let due = ledger.settlement_due(hour).unwrap();
    ledger.settling(&due);
    ledger.settlement_doubtful();
    assert_eq!(ledger.settlement_due(hour), None);
    ledger.on_pending(&[ChannelEvent::ClosingStarted { closes_at: hour }]).unwrap();
    let urgent = ledger.settlement_due(NOW).unwrap();
    assert_eq!((urgent.reason, urgent.voucher), (SettleReason::CounterClose, due.voucher));
    // On its way it is not sent again.
    ledger.settling(&urgent);
    assert_eq!(ledger.settlement_due(NOW), None);
}

#[test]
fn an_account_of_which_no_channel_is_left_stands_where_it_stood_and_owes_nothing() {
    let world = World::default();
    let mut first = at_tick_3(&world);
    world.send_all(&mut first);
    assert_eq!(first.standing().paid, 4);
    let further = Ledger::of_account(LedgerConfig::default(), world.channel(), *first.standing());
    assert_eq!(further.standing(), first.standing());
    assert_eq!((further.accepted(), further.unpaid_ticks()), (Amount::ZERO, 0));
}

#[test]
fn an_audit_finds_a_chain_that_paid_more_than_was_accepted() {
    let world = World::default();
    let mut ledger = at_tick_3(&world);
    ledger.audit().unwrap();
    ledger.on_final(ChannelEvent::Settled { cumulative: Amount::new(5 * PRICE) }, NOW).unwrap();
    assert_eq!(ledger.audit(), Err(ledger::AuditError::SettledBeyondAccepted));
}
