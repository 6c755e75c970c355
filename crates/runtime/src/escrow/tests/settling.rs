//! Vouchers: what is paid, and everything that is not.

use sp_runtime::TokenError;

use super::*;

#[test]
fn a_voucher_pays_what_is_new_in_its_total() {
    with_channel(|channel| {
        assert_ok!(settle(voucher(channel, 30 * UNIT)));
        assert_ok!(settle(voucher(channel, 70 * UNIT)));
        assert_eq!((free(bob()), held(alice())), (1_070 * UNIT, 30 * UNIT));
        assert_eq!(events().last(), Some(&Event::Settled { channel, cumulative: 70 * UNIT }));
        // Whoever sends it gets nothing of it.
        assert_eq!(free(carol()), 1_000 * UNIT);
    });
}

#[test]
fn an_ed25519_session_pays_too() {
    chain().execute_with(|| {
        let pair = ed25519::Pair::from_seed(&[21; 32]);
        let terms = Terms { session: Key::Ed25519(pair.public().0), ..terms() };
        assert_ok!(open(&terms, DEPOSIT, EXPIRES));
        let mut voucher = voucher(terms.id(CHAIN), UNIT);
        assert_noop!(settle(voucher.clone()), Failure::BadSignature);
        voucher.signature = Signature::Ed25519(pair.sign(&voucher.signing_bytes()).0);
        assert_ok!(settle(voucher));
        assert_eq!(free(bob()), 1_001 * UNIT);
    });
}

#[test]
fn the_bytes_of_a_voucher_are_the_protocols() {
    let bytes = [
        b"tickcast/voucher".to_vec(),
        vec![1],
        vec![7; 32],
        vec![4; 32],
        vec![9; 32],
        5_u64.to_le_bytes().to_vec(),
        77_u128.to_le_bytes().to_vec(),
    ]
    .concat();
    assert_eq!(bytes.len(), 137);
    assert_eq!(voucher(H256([4; 32]), 77).signing_bytes(), bytes);
}

#[test]
fn the_same_voucher_is_paid_once_and_an_older_one_never() {
    with_channel(|channel| {
        let older = voucher(channel, 10 * UNIT);
        let newest = voucher(channel, 20 * UNIT);
        assert_ok!(settle(newest.clone()));
        assert_noop!(settle(newest), Failure::NotHigher);
        assert_noop!(settle(older), Failure::NotHigher);
        assert_noop!(settle(voucher(channel, 0)), Failure::NotHigher);
    });
}

#[test]
fn the_deposit_is_the_cap() {
    with_channel(|channel| {
        assert_noop!(settle(voucher(channel, DEPOSIT + 1)), Failure::OverDeposit);
        assert_noop!(settle(voucher(channel, u128::MAX)), Failure::OverDeposit);
        assert_ok!(settle(voucher(channel, DEPOSIT)));
        assert_eq!(held(alice()), 0);
    });
}

#[test]
fn one_channel_never_draws_on_the_deposit_of_another() {
    with_channel(|channel| {
        assert_ok!(open(&Terms { nonce: 2, ..terms() }, DEPOSIT, EXPIRES));
        assert_eq!(held(alice()), 2 * DEPOSIT);
        assert_noop!(settle(voucher(channel, DEPOSIT + UNIT)), Failure::OverDeposit);
        assert_noop!(close_together(channel, DEPOSIT + UNIT), Failure::OverDeposit);
    });
}

#[test]
fn a_voucher_of_another_chain_or_channel_is_refused() {
    with_channel(|channel| {
        let foreign = signed(SignedVoucher { genesis: H256([8; 32]), ..voucher(channel, UNIT) });
        assert_noop!(settle(foreign.clone()), Failure::WrongGenesis);
        // Said to be of this chain, its signature is over other bytes.
        assert_noop!(settle(SignedVoucher { genesis: CHAIN, ..foreign }), Failure::BadSignature);
        assert_noop!(settle(voucher(H256([4; 32]), UNIT)), Failure::UnknownChannel);
        let other = Terms { nonce: 2, ..terms() };
        assert_ok!(open(&other, DEPOSIT, EXPIRES));
        let elsewhere = SignedVoucher { channel: other.id(CHAIN), ..voucher(channel, UNIT) };
        assert_noop!(settle(elsewhere), Failure::BadSignature);
    });
}

#[test]
fn only_the_session_key_over_exactly_these_bytes_counts() {
    with_channel(|channel| {
        let good = voucher(channel, UNIT);
        let stranger = sr25519::Pair::from_seed(&[99; 32]);
        let by = |bytes: &[u8]| Signature::Sr25519(stranger.sign(bytes).0);
        let forged = SignedVoucher { signature: by(&good.signing_bytes()), ..good.clone() };
        assert_noop!(settle(forged), Failure::BadSignature);
        for changed in [
            SignedVoucher { cumulative: 2 * UNIT, ..good.clone() },
            SignedVoucher { tick: 6, ..good.clone() },
            SignedVoucher { offer: H256([8; 32]), ..good.clone() },
        ] {
            assert_noop!(settle(changed), Failure::BadSignature);
        }
        let Signature::Sr25519(bytes) = good.signature else { panic!("it was signed so") };
        let scheme = SignedVoucher { signature: Signature::Ed25519(bytes), ..good.clone() };
        assert_noop!(settle(scheme), Failure::BadSignature);
        assert_ok!(settle(good));
    });
}

#[test]
fn a_signature_under_another_domain_is_worth_nothing() {
    with_channel(|channel| {
        let good = voucher(channel, UNIT);
        let mut bytes = good.signing_bytes();
        bytes[..16].copy_from_slice(b"tickcast/receipt");
        let receipt =
            SignedVoucher { signature: Signature::Sr25519(session().sign(&bytes).0), ..good.clone() };
        assert_noop!(settle(receipt), Failure::BadSignature);
        let wrapped = [b"<Bytes>", good.signing_bytes().as_slice(), b"</Bytes>"].concat();
        let wallet = SignedVoucher { signature: Signature::Sr25519(session().sign(&wrapped).0), ..good };
        assert_noop!(settle(wallet), Failure::BadSignature);
    });
}

#[test]
fn what_was_signed_is_owed_until_the_payer_has_closed() {
    with_channel(|channel| {
        assert_ok!(start_close(alice(), channel));
        assert_ok!(settle(voucher(channel, UNIT)));
        Timestamp::set_timestamp(START + WINDOW);
        assert_ok!(settle(voucher(channel, 2 * UNIT)));
        Timestamp::set_timestamp(EXPIRES + 1);
        assert_ok!(settle(voucher(channel, 3 * UNIT)));
        assert_ok!(close(alice(), channel));
        assert_noop!(settle(voucher(channel, 4 * UNIT)), Failure::ChannelClosed);
        assert_eq!((free(alice()), free(bob())), (997 * UNIT, 1_003 * UNIT));
    });
}

#[test]
fn of_many_vouchers_the_bad_ones_are_passed_over() {
    with_channel(|channel| {
        let other = Terms { nonce: 2, ..terms() };
        assert_ok!(open(&other, DEPOSIT, EXPIRES));
        let second = other.id(CHAIN);
        System::reset_events();
        let unknown = H256([4; 32]);
        let vouchers = vec![
            voucher(channel, 10),
            voucher(unknown, 10),
            voucher(second, DEPOSIT + 1),
            voucher(channel, 10),
            SignedVoucher { cumulative: 50, ..voucher(second, 60) },
            voucher(second, 7),
            voucher(channel, 12),
        ];
        let vouchers = BoundedVec::try_from(vouchers).unwrap();
        assert_ok!(Escrow::settle_many(RuntimeOrigin::signed(carol()), vouchers));
        let refused = |channel, error: Failure| Event::SettleRefused { channel, error: error.into() };
        assert_eq!(
            events(),
            [
                Event::Settled { channel, cumulative: 10 },
                refused(unknown, Failure::UnknownChannel),
                refused(second, Failure::OverDeposit),
                refused(channel, Failure::NotHigher),
                refused(second, Failure::BadSignature),
                Event::Settled { channel: second, cumulative: 7 },
                Event::Settled { channel, cumulative: 12 },
            ]
        );
        assert_eq!(free(bob()), 1_000 * UNIT + 19);
    });
}

#[test]
fn less_than_a_new_account_needs_waits_for_more() {
    chain().execute_with(|| {
        let nobody = AccountId32::new([77; 32]);
        let terms = Terms { payee: nobody.clone(), ..terms() };
        assert_ok!(open(&terms, DEPOSIT, EXPIRES));
        let channel = terms.id(CHAIN);
        let least = crate::EXISTENTIAL_DEPOSIT;
        assert_noop!(settle(voucher(channel, least - 1)), TokenError::CannotCreate);
        assert_ok!(settle(voucher(channel, least)));
        assert_eq!(free(nobody), least);
    });
}

#[test]
fn nothing_is_done_for_who_did_not_sign() {
    with_channel(|channel| {
        let none = RuntimeOrigin::none;
        assert_noop!(Escrow::settle(none(), voucher(channel, 1)), DispatchError::BadOrigin);
        assert_noop!(Escrow::close(none(), channel), DispatchError::BadOrigin);
        assert_noop!(Escrow::start_close(RuntimeOrigin::root(), channel), DispatchError::BadOrigin);
    });
}
