//! The ends of a channel: together, alone after the window, alone after the expiry.

use super::*;

#[test]
fn both_together_close_at_once() {
    with_channel(|channel| {
        assert_ok!(settle(voucher(channel, 10 * UNIT)));
        assert_ok!(close_together(channel, 25 * UNIT));
        assert_eq!((free(alice()), held(alice()), free(bob())), (975 * UNIT, 0, 1_025 * UNIT));
        assert_eq!(events().last(), Some(&Event::Closed { channel, paid: 25 * UNIT }));
        assert_noop!(close_together(channel, 25 * UNIT), Failure::ChannelClosed);
    });
}

#[test]
fn both_together_close_with_nothing_more_to_pay() {
    with_channel(|channel| {
        assert_ok!(settle(voucher(channel, DEPOSIT)));
        assert_ok!(close_together(channel, DEPOSIT));
        assert_eq!((free(alice()), free(bob())), (900 * UNIT, 1_100 * UNIT));
    });
}

#[test]
fn a_close_below_what_was_settled_is_refused() {
    with_channel(|channel| {
        assert_ok!(settle(voucher(channel, 10 * UNIT)));
        assert_noop!(close_together(channel, 10 * UNIT - 1), Failure::BelowSettled);
    });
}

#[test]
fn a_close_takes_both_keys_over_the_same_total() {
    with_channel(|channel| {
        let close = |cumulative, by_session, by_node| {
            Escrow::cooperative_close(
                RuntimeOrigin::signed(alice()),
                channel,
                cumulative,
                by_session,
                by_node,
            )
        };
        let (by_session, by_node) = agreement(channel, UNIT);
        assert_noop!(close(2 * UNIT, by_session, by_node), Failure::BadSignature);
        assert_noop!(close(UNIT, by_session, agreement(channel, 2 * UNIT).1), Failure::BadSignature);
        assert_noop!(close(UNIT, agreement(channel, 2 * UNIT).0, by_node), Failure::BadSignature);
        assert_noop!(close(UNIT, by_session, by_session), Failure::BadSignature);
        assert_noop!(close(UNIT, by_node, by_session), Failure::BadSignature);
        // Of another channel, and of another chain.
        let elsewhere = agreement(H256([4; 32]), UNIT);
        assert_noop!(close(UNIT, elsewhere.0, elsewhere.1), Failure::BadSignature);
        let bytes = CloseTerms { genesis: H256([8; 32]), channel, cumulative: UNIT }.signing_bytes();
        let foreign = Signature::Sr25519(session().sign(&bytes).0);
        assert_noop!(close(UNIT, foreign, by_node), Failure::BadSignature);
        // A voucher is no close.
        let voucher = voucher(channel, UNIT);
        assert_noop!(close(UNIT, voucher.signature, by_node), Failure::BadSignature);
        assert_ok!(close(UNIT, by_session, by_node));
    });
}

#[test]
fn the_bytes_of_a_close_are_the_protocols() {
    let bytes =
        [b"tickcast/close\0\0".to_vec(), vec![1], vec![7; 32], vec![4; 32], 3_u128.to_le_bytes().to_vec()];
    let close = CloseTerms { genesis: CHAIN, channel: H256([4; 32]), cumulative: 3 };
    assert_eq!(close.signing_bytes(), bytes.concat());
}

#[test]
fn the_payer_alone_waits_for_the_window() {
    with_channel(|channel| {
        assert_noop!(close(alice(), channel), Failure::NotYet);
        assert_ok!(start_close(alice(), channel));
        let closes_at = START + WINDOW;
        assert_eq!(events().last(), Some(&Event::ClosingStarted { channel, closes_at }));
        Timestamp::set_timestamp(closes_at - 1);
        assert_noop!(close(alice(), channel), Failure::NotYet);
        Timestamp::set_timestamp(closes_at);
        assert_ok!(close(alice(), channel));
        assert_eq!((free(alice()), held(alice())), (1_000 * UNIT, 0));
        assert_eq!(events().last(), Some(&Event::Closed { channel, paid: 0 }));
        assert_noop!(close(alice(), channel), Failure::ChannelClosed);
    });
}

#[test]
fn starting_again_does_not_move_the_window() {
    with_channel(|channel| {
        assert_ok!(start_close(alice(), channel));
        Timestamp::set_timestamp(START + 10);
        assert_noop!(start_close(alice(), channel), Failure::ChannelClosing);
        let state = Channels::<Runtime>::get(channel).unwrap().state;
        assert_eq!(state, State::Closing { closes_at: START + WINDOW });
    });
}

#[test]
fn the_window_ends_with_the_channel() {
    with_channel(|channel| {
        Timestamp::set_timestamp(EXPIRES - 10);
        assert_ok!(start_close(alice(), channel));
        assert_eq!(events().last(), Some(&Event::ClosingStarted { channel, closes_at: EXPIRES }));
        Timestamp::set_timestamp(EXPIRES);
        assert_ok!(close(alice(), channel));
    });
}

#[test]
fn after_the_expiry_the_payer_takes_the_rest_at_once() {
    with_channel(|channel| {
        assert_ok!(settle(voucher(channel, 40 * UNIT)));
        Timestamp::set_timestamp(EXPIRES - 1);
        assert_noop!(close(alice(), channel), Failure::NotYet);
        Timestamp::set_timestamp(EXPIRES);
        assert_ok!(close(alice(), channel));
        assert_eq!((free(alice()), free(bob())), (960 * UNIT, 1_040 * UNIT));
    });
}

#[test]
fn nobody_else_closes() {
    with_channel(|channel| {
        for who in [bob(), carol()] {
            assert_noop!(start_close(who.clone(), channel), Failure::NotThePayer);
        }
        assert_ok!(start_close(alice(), channel));
        Timestamp::set_timestamp(EXPIRES);
        for who in [bob(), carol()] {
            assert_noop!(close(who.clone(), channel), Failure::NotThePayer);
        }
        assert_noop!(close(alice(), H256([4; 32])), Failure::UnknownChannel);
        assert_noop!(start_close(alice(), H256([4; 32])), Failure::UnknownChannel);
    });
}

#[test]
fn both_may_still_agree_while_it_closes() {
    with_channel(|channel| {
        assert_ok!(start_close(alice(), channel));
        assert_ok!(settle(voucher(channel, 10 * UNIT)));
        assert_ok!(close_together(channel, 11 * UNIT));
        assert_eq!(free(bob()), 1_011 * UNIT);
        assert_noop!(start_close(alice(), channel), Failure::ChannelClosed);
    });
}
