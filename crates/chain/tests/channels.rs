//! Channels from their opening to their end, on a chain that runs.

mod world;

use devchain::Config;
use pay::{Amount, AssetId, ChannelEvent, ChannelTerms, Genesis, KeyScheme, Phase};
use tickcast_chain::{Call, EscrowRail, Rail as _, RailError, Settings, SettleRefused, TransferNews};
use world::*;

fn phase_of(state: Option<tickcast_chain::ChannelState>) -> Phase {
    let state = state.expect("the chain has the channel");
    assert_eq!(state.head, state.finalized);
    state.head
}

async fn opens_settles_and_closes(scheme: KeyScheme) {
    let chain = any_chain().await;
    let rail = rail(&chain).await;
    let (alice, bob) = (person(0), person(1));
    let before = rail.balance(account(&bob)).await.expect("the chain answers");
    let terms = terms(&chain, &alice, scheme, 1);
    assert_eq!(rail.channel(terms.id()).await.expect("the chain answers"), None);

    let opened = submit(&rail, open(terms, 10 * UNIT), &alice).await.expect("the chain takes it");
    let deposit = Amount::new(10 * UNIT);
    // What the pallet calls the channel is what the protocol does.
    assert_eq!(opened.news.channels[0].channel, terms.id());
    assert_eq!(opened.news.channels[0].terms, Some(terms));
    assert_eq!(opened.news.channels[0].event, ChannelEvent::Opened { deposit, expires_at: NEVER });
    assert_eq!(rail.channel(terms.id()).await.expect("the chain answers").expect("it has it").terms, terms);

    let carol = person(2);
    let settled = submit(&rail, Call::Settle(vec![voucher(&terms, 3 * UNIT)]), &carol)
        .await
        .expect("the chain takes it");
    let cumulative = Amount::new(3 * UNIT);
    assert_eq!(settled.news.channels[0].event, ChannelEvent::Settled { cumulative });
    assert_eq!(phase_of(rail.channel(terms.id()).await.expect("the chain answers")).settled(), cumulative);

    let topped_up = Call::TopUp { channel: terms.id(), by: Amount::new(UNIT) };
    let topped_up = submit(&rail, topped_up, &alice).await.expect("the chain takes it");
    let deposit = Amount::new(11 * UNIT);
    assert_eq!(topped_up.news.channels[0].event, ChannelEvent::ToppedUp { deposit });

    let closed = submit(&rail, together(&terms, 4 * UNIT), &carol).await.expect("the chain takes it");
    let paid = Amount::new(4 * UNIT);
    assert_eq!(closed.news.channels[0].event, ChannelEvent::Closed { paid });
    assert_eq!(phase_of(rail.channel(terms.id()).await.expect("the chain answers")), Phase::Closed { paid });
    let after = rail.balance(account(&bob)).await.expect("the chain answers");
    assert_eq!(after.checked_sub(before), Some(paid));
}

#[tokio::test]
async fn a_channel_with_an_sr25519_session_goes_its_way() {
    opens_settles_and_closes(KeyScheme::Sr25519).await;
}

#[tokio::test]
async fn a_channel_with_an_ed25519_session_goes_its_way() {
    opens_settles_and_closes(KeyScheme::Ed25519).await;
}

#[tokio::test]
async fn the_payer_alone_closes_after_the_window() {
    let devchain = start(Config::at_once()).await;
    let rail = rail(&devchain).await;
    let alice = person(0);
    let terms = terms(&devchain, &alice, KeyScheme::Sr25519, 1);
    submit(&rail, open(terms, UNIT), &alice).await.unwrap();
    submit(&rail, Call::StartClose(terms.id()), &alice).await.unwrap();
    let phase = phase_of(rail.channel(terms.id()).await.unwrap());
    assert!(matches!(phase, Phase::Closing { .. }), "{phase:?}");
    let early = submit(&rail, Call::Close(terms.id()), &alice).await;
    assert!(matches!(&early, Err(RailError::Refused(why)) if why.ends_with("NotYet")), "{early:?}");
    devchain.step_clock(WINDOW_MS as i64);
    submit(&rail, Call::Close(terms.id()), &alice).await.unwrap();
    let paid = Amount::ZERO;
    assert_eq!(phase_of(rail.channel(terms.id()).await.unwrap()), Phase::Closed { paid });
}

#[tokio::test]
async fn a_hundred_channels_are_settled_by_one_transaction() {
    let chain = any_chain().await;
    let rail = rail(&chain).await;
    let alice = person(0);
    let channels: Vec<ChannelTerms> = (0..100)
        .map(|nonce| {
            let scheme = if nonce % 2 == 0 { KeyScheme::Sr25519 } else { KeyScheme::Ed25519 };
            terms(&chain, &alice, scheme, nonce)
        })
        .collect();
    let opened = channels.iter().map(|terms| submit(&rail, open(*terms, UNIT), &alice));
    for opened in futures_util::future::join_all(opened).await {
        opened.unwrap();
    }
    let mut vouchers: Vec<_> = channels.iter().map(|terms| voucher(terms, UNIT / 2)).collect();
    vouchers.insert(50, voucher(&channels[0], UNIT + 1));
    let bob = person(1);
    let before = rail.balance(account(&bob)).await.unwrap();
    let settled = submit(&rail, Call::Settle(vouchers), &person(2)).await.unwrap();
    assert_eq!(settled.news.channels.len(), 100);
    let reason = "Escrow::OverDeposit".to_owned();
    assert_eq!(settled.refused, [SettleRefused { channel: channels[0].id(), reason }]);
    let after = rail.balance(account(&bob)).await.unwrap();
    assert_eq!(after.checked_sub(before), Some(Amount::new(50 * UNIT)));
}

#[tokio::test]
async fn the_fee_that_is_charged_is_the_one_that_was_told() {
    let chain = any_chain().await;
    let rail = rail(&chain).await;
    let alice = person(0);
    let terms = terms(&chain, &alice, KeyScheme::Sr25519, 1);
    let mut before = rail.balance(account(&alice)).await.unwrap();
    let calls = [
        (open(terms, UNIT), UNIT),
        (Call::Settle(vec![voucher(&terms, 1_000_000_000)]), 0),
        (Call::Transfer { to: account(&person(2)), amount: Amount::new(5) }, 5),
        (Call::PublishStream { stream: [1; 16], metadata: vec![1; 36] }, 0),
    ];
    for (call, spent) in calls {
        let told = rail.fee(call.clone(), account(&alice)).await.unwrap();
        let included = submit(&rail, call, &alice).await.unwrap();
        let after = rail.balance(account(&alice)).await.unwrap();
        assert_eq!(included.fee, told);
        assert_eq!(before.checked_sub(after), told.checked_add(Amount::new(spent)));
        before = after;
    }
}

#[tokio::test]
async fn twenty_transactions_of_one_account_at_once_all_arrive() {
    let chain = any_chain().await;
    let rail = rail(&chain).await;
    let (dave, eve) = (person(3), account(&person(4)));
    let before = rail.balance(eve).await.unwrap();
    let sent = (1..=20).map(|amount| {
        let call = Call::Transfer { to: eve, amount: Amount::new(amount) };
        submit(&rail, call, &dave)
    });
    let mut hashes = Vec::new();
    for (amount, included) in (1..).zip(futures_util::future::join_all(sent).await) {
        let included = included.unwrap();
        let transfer = TransferNews { from: account(&dave), to: eve, amount: Amount::new(amount) };
        assert_eq!(included.news.transfers, [transfer]);
        hashes.push(included.hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 20);
    let after = rail.balance(eve).await.unwrap();
    assert_eq!(after.checked_sub(before), Some(Amount::new((1..=20).sum())));
}

#[tokio::test]
async fn an_account_with_an_ed25519_key_sends_transactions() {
    let chain = any_chain().await;
    let rail = rail(&chain).await;
    let alice = person(6);
    assert_eq!(alice.public().scheme, KeyScheme::Ed25519);
    let call = Call::Transfer { to: account(&person(2)), amount: Amount::new(9) };
    assert_eq!(submit(&rail, call, &alice).await.unwrap().news.transfers[0].amount, Amount::new(9));
}

#[tokio::test]
async fn what_the_chain_refuses_is_told_as_it_says_it() {
    let chain = any_chain().await;
    let rail = rail(&chain).await;
    let alice = person(0);
    let terms = terms(&chain, &alice, KeyScheme::Sr25519, 1);
    let much = submit(&rail, open(terms, 2_000_000 * UNIT), &alice).await;
    assert!(matches!(much, Err(RailError::TooLittle(_))), "{much:?}");
    submit(&rail, open(terms, UNIT), &alice).await.unwrap();
    let twice = submit(&rail, open(terms, UNIT), &alice).await;
    assert!(matches!(&twice, Err(RailError::Refused(why)) if why == "Escrow::ChannelExists"), "{twice:?}");
    let nobody: tickcast_chain::TxSigner = std::sync::Arc::new(session(KeyScheme::Ed25519));
    let poor = submit(&rail, Call::Close(terms.id()), &nobody).await;
    assert!(matches!(poor, Err(RailError::TooLittle(_))), "{poor:?}");
    let other = submit(&rail, open(terms, UNIT), &person(3)).await;
    assert!(matches!(other, Err(RailError::Refused(_))), "{other:?}");
}

#[tokio::test]
async fn another_chain_is_refused_at_the_start_and_in_every_call() {
    let chain = any_chain().await;
    let foreign = Genesis([3; 32]);
    let settings = Settings { genesis: Some(foreign), ..settings(&[chain.url()]) };
    let refused = EscrowRail::connect(settings).await.err();
    assert!(
        matches!(refused, Some(RailError::WrongChain { expected, found })
            if expected == foreign && found.0 == chain.genesis()),
        "{refused:?}"
    );
    let rail = rail(&chain).await;
    let alice = person(0);
    let terms = ChannelTerms { genesis: foreign, ..terms(&chain, &alice, KeyScheme::Sr25519, 1) };
    for call in [open(terms, UNIT), Call::Settle(vec![voucher(&terms, 1)]), together(&terms, 1)] {
        let refused = submit(&rail, call, &alice).await;
        assert!(matches!(refused, Err(RailError::WrongChain { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn nobody_connects_in_the_clear_beyond_this_machine() {
    for url in ["ws://192.0.2.1:9944", "http://example.org", "not an address"] {
        let refused = EscrowRail::connect(Settings::new([url])).await.err();
        assert!(matches!(refused, Some(RailError::Unreachable(_))), "{refused:?}");
    }
    let none = EscrowRail::connect(Settings::default()).await.err();
    assert!(matches!(none, Some(RailError::Unreachable(_))), "{none:?}");
}

#[tokio::test]
async fn a_channel_of_an_asset_is_as_one_of_the_chains_own_unit() {
    let chain = any_chain().await;
    let asset = AssetId::Asset(1);
    let rail = EscrowRail::connect(Settings { asset, ..settings(&[chain.url()]) }).await.unwrap();
    assert_eq!((rail.info().symbol.as_str(), rail.info().decimals), ("DUSD", 6));
    let (alice, bob) = (person(0), account(&person(1)));
    let before = rail.balance(bob).await.unwrap();
    let terms = ChannelTerms { asset, ..terms(&chain, &alice, KeyScheme::Sr25519, 1) };
    let opened = submit(&rail, open(terms, 500), &alice).await.unwrap();
    assert_eq!(opened.news.channels[0].terms, Some(terms));
    submit(&rail, Call::Settle(vec![voucher(&terms, 20)]), &alice).await.unwrap();
    submit(&rail, together(&terms, 30), &alice).await.unwrap();
    let paid = rail.balance(bob).await.unwrap().checked_sub(before);
    assert_eq!(paid, Some(Amount::new(30)));
}

#[tokio::test]
async fn what_is_signed_elsewhere_is_the_payers_and_is_not_sent_with_another_signature() {
    let chain = any_chain().await;
    let rail = rail(&chain).await;
    let (alice, bob) = (person(0), person(1));
    let terms = terms(&chain, &alice, KeyScheme::Sr25519, 1);
    let others = rail.prepare(open(terms, UNIT), account(&bob)).await;
    assert!(matches!(others, Err(RailError::Refused(_))));
    let unsigned = rail.prepare(open(terms, UNIT), account(&alice)).await.expect("the chain answers");
    assert_eq!(unsigned.account(), account(&alice));
    let forged = alice.sign(&unsigned.shown().method).expect("a key in memory signs");
    let sent = rail.send(unsigned, forged).await;
    assert!(matches!(sent, Err(RailError::Refused(why)) if why.contains("the signature")));
    assert_eq!(rail.channel(terms.id()).await.expect("the chain answers"), None);
}
