//! Opening and topping up, and publishing a stream.

use super::*;
use crate::escrow::terms::MAX_INTEGER;

#[test]
fn a_deposit_is_locked_for_one_payee() {
    with_channel(|channel| {
        assert_eq!(free(alice()), 900 * UNIT);
        assert_eq!(held(alice()), DEPOSIT);
        let kept = Channels::<Runtime>::get(channel).unwrap();
        assert_eq!((kept.deposit, kept.settled, kept.state), (DEPOSIT, 0, State::Open));
        let opened = Event::Opened { channel, terms: terms(), deposit: DEPOSIT, expires_at: EXPIRES };
        assert_eq!(events(), [opened]);
    });
}

#[test]
fn a_channel_is_named_by_all_of_its_terms() {
    let bytes = [
        b"tickcast/channel".to_vec(),
        vec![1],
        vec![7; 32],
        vec![0],
        vec![1; 32],
        vec![2; 32],
        vec![0],
        node().public().0.to_vec(),
        vec![1],
        session().public().0.to_vec(),
        1_u64.to_le_bytes().to_vec(),
        60_000_u64.to_le_bytes().to_vec(),
    ]
    .concat();
    assert_eq!(terms().id(CHAIN), H256(sp_io::hashing::blake2_256(&bytes)));
    let asset = Terms { asset: Some(0x0403_0201), ..terms() };
    assert_eq!(asset.encode()[..5], [1, 1, 2, 3, 4]);
}

#[test]
fn the_same_terms_open_once_even_after_the_end() {
    with_channel(|channel| {
        assert_noop!(open(&terms(), DEPOSIT, EXPIRES), Failure::ChannelExists);
        assert_ok!(close_together(channel, UNIT));
        assert_noop!(open(&terms(), DEPOSIT, EXPIRES), Failure::ChannelExists);
        assert_ok!(open(&Terms { nonce: 2, ..terms() }, DEPOSIT, EXPIRES));
    });
}

#[test]
fn what_makes_no_sense_is_not_opened() {
    chain().execute_with(|| {
        let itself = Terms { payee: alice(), ..terms() };
        assert_noop!(open(&itself, DEPOSIT, EXPIRES), Failure::PayeeIsPayer);
        assert_noop!(open(&terms(), 0, EXPIRES), Failure::Nothing);
        assert_noop!(open(&terms(), DEPOSIT, START + WINDOW), Failure::ExpiresTooSoon);
        assert_noop!(open(&terms(), DEPOSIT, START - 1), Failure::ExpiresTooSoon);
        assert_noop!(open(&terms(), DEPOSIT, MAX_INTEGER + 1), Failure::OutOfRange);
        let nonce = Terms { nonce: MAX_INTEGER + 1, ..terms() };
        assert_noop!(open(&nonce, DEPOSIT, EXPIRES), Failure::OutOfRange);
        let window = Terms { dispute_window_ms: u64::MAX, ..terms() };
        assert_noop!(open(&window, DEPOSIT, EXPIRES), Failure::OutOfRange);
        assert_ok!(open(&terms(), DEPOSIT, START + WINDOW + 1));
    });
}

#[test]
fn nobody_deposits_what_they_do_not_have() {
    chain().execute_with(|| {
        assert!(open(&terms(), 1_001 * UNIT, EXPIRES).is_err());
        assert!(open(&terms(), u128::MAX, EXPIRES).is_err());
        assert!(open(&Terms { asset: Some(404), ..terms() }, UNIT, EXPIRES).is_err());
        assert_eq!((free(alice()), held(alice())), (1_000 * UNIT, 0));
        assert_eq!(Channels::<Runtime>::iter().count(), 0);
    });
}

#[test]
fn a_key_under_which_anybody_signs_is_refused() {
    let end = |first, between, last| {
        let mut bytes = [between; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    chain().execute_with(|| {
        // y = 0, 1, −1 and above p, with either sign of x.
        for bytes in
            [end(0, 0, 0), end(1, 0, 0), end(1, 0, 0x80), end(0xec, 0xff, 0x7f), end(0xee, 0xff, 0xff)]
        {
            let session = Terms { session: Key::Ed25519(bytes), ..terms() };
            assert_noop!(open(&session, DEPOSIT, EXPIRES), Failure::WeakKey);
            let node = Terms { node: Key::Ed25519(bytes), ..terms() };
            assert_noop!(open(&node, DEPOSIT, EXPIRES), Failure::WeakKey);
        }
        let zero = Terms { session: Key::Sr25519([0; 32]), ..terms() };
        assert_noop!(open(&zero, DEPOSIT, EXPIRES), Failure::WeakKey);
    });
}

#[test]
fn a_top_up_adds_to_the_deposit() {
    with_channel(|channel| {
        assert_ok!(top_up(alice(), channel, 50 * UNIT));
        assert_eq!(held(alice()), 150 * UNIT);
        assert_eq!(events().last(), Some(&Event::ToppedUp { channel, deposit: 150 * UNIT }));
        assert_ok!(settle(voucher(channel, 150 * UNIT)));
    });
}

#[test]
fn only_an_open_channel_is_topped_up_and_by_its_payer() {
    with_channel(|channel| {
        assert_noop!(top_up(bob(), channel, UNIT), Failure::NotThePayer);
        assert_noop!(top_up(alice(), channel, 0), Failure::Nothing);
        assert_noop!(top_up(alice(), channel, u128::MAX), Failure::OutOfRange);
        assert!(top_up(alice(), channel, 901 * UNIT).is_err());
        assert_noop!(top_up(alice(), H256([1; 32]), UNIT), Failure::UnknownChannel);
        Timestamp::set_timestamp(EXPIRES);
        assert_noop!(top_up(alice(), channel, UNIT), Failure::Expired);
        Timestamp::set_timestamp(EXPIRES - 1);
        assert_ok!(start_close(alice(), channel));
        assert_noop!(top_up(alice(), channel, UNIT), Failure::ChannelClosing);
        assert_ok!(close_together(channel, 0));
        assert_noop!(top_up(alice(), channel, UNIT), Failure::ChannelClosed);
    });
}

#[test]
fn an_asset_is_locked_as_the_chains_own_unit_is() {
    chain().execute_with(|| {
        let terms = Terms { asset: Some(DEV_ASSET), ..terms() };
        let has = |who: AccountId32| crate::Assets::balance(DEV_ASSET, who);
        assert_ok!(open(&terms, 100, EXPIRES));
        let channel = terms.id(CHAIN);
        assert_eq!(has(alice()), 1_000 * UNIT - 100);
        assert_ok!(settle(voucher(channel, 30)));
        assert_ok!(settle(voucher(channel, 31)));
        assert_eq!(has(bob()), 1_000 * UNIT + 31);
        assert_ok!(close_together(channel, 40));
        assert_eq!((has(alice()), has(bob())), (1_000 * UNIT - 40, 1_000 * UNIT + 40));
        assert_eq!(free(alice()), 1_000 * UNIT);
    });
}

#[test]
fn a_stream_is_recorded_under_its_creator() {
    chain().execute_with(|| {
        let publish = |who, metadata: &[u8]| {
            let metadata = BoundedVec::try_from(metadata.to_vec()).unwrap();
            Escrow::publish_stream(RuntimeOrigin::signed(who), [5; 16], metadata)
        };
        assert_noop!(publish(alice(), b""), Failure::Nothing);
        assert_ok!(publish(alice(), b"first"));
        assert_ok!(publish(bob(), b"another's"));
        assert_ok!(publish(alice(), b"second"));
        let of = |who| crate::escrow::Streams::<Runtime>::get(who, [5; 16]).unwrap().into_inner();
        assert_eq!((of(alice()), of(bob())), (b"second".to_vec(), b"another's".to_vec()));
        assert_eq!(events().len(), 3);
    });
}
