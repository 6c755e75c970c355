//! The rail of a chain without the escrow: money goes from account to account, and that is all.

mod world;

use pay::{Amount, AssetId, ChannelId, KeyScheme};
use tickcast_chain::{BlockRef, Call, EscrowRail, Rail as _, RailError, TransferNews, TransferRail, Update};
use world::*;

#[tokio::test]
async fn a_payee_sees_what_came_in_and_from_whom() {
    let chain = any_chain().await;
    let rail = TransferRail::connect(settings(&[chain.url()])).await.unwrap();
    assert_eq!(rail.info().kind, pay::RailKind::Transfer);
    assert_eq!((rail.info().symbol.as_str(), rail.info().decimals), ("DEV", 12));
    let mut updates = rail.watch(Some(BlockRef { number: 0, hash: chain.genesis() }));
    let (alice, bob) = (person(0), account(&person(1)));
    let amount = Amount::new(3 * UNIT);
    let call = Call::Transfer { to: bob, amount };
    let told = rail.fee(call.clone(), account(&alice)).await.unwrap();
    let sent = in_time(rail.submit(call, alice.clone())).await.unwrap();
    assert_eq!(sent.fee, told);
    let news = loop {
        if let Update::Final { news, .. } = next(&mut updates).await {
            break news;
        }
    };
    assert_eq!(news.transfers, [TransferNews { from: account(&alice), to: bob, amount }]);
    assert_eq!(news.channels, []);
}

#[tokio::test]
async fn a_payee_that_lives_by_transfers_is_told_of_no_channel() {
    let chain = any_chain().await;
    let (rail, escrow) = (
        TransferRail::connect(settings(&[chain.url()])).await.unwrap(),
        EscrowRail::connect(settings(&[chain.url()])).await.unwrap(),
    );
    let mut updates = rail.watch(Some(BlockRef { number: 0, hash: chain.genesis() }));
    let alice = person(0);
    let call = open(terms(&chain, &alice, KeyScheme::Sr25519, 1), UNIT);
    let opened = in_time(escrow.submit(call, alice)).await.unwrap();
    assert_eq!(opened.news.channels.len(), 1);
    let news = loop {
        if let Update::Final { news, block, .. } = next(&mut updates).await
            && block == opened.block
        {
            break news;
        }
    };
    assert_eq!(news.channels, []);
}

#[tokio::test]
async fn no_account_is_emptied_by_a_transfer() {
    let chain = any_chain().await;
    let rail = TransferRail::connect(settings(&[chain.url()])).await.unwrap();
    let alice = person(0);
    let all = rail.balance(account(&alice)).await.unwrap();
    let emptied =
        in_time(rail.submit(Call::Transfer { to: account(&person(1)), amount: all }, alice.clone())).await;
    assert!(matches!(emptied, Err(RailError::TooLittle(_) | RailError::Refused(_))), "{emptied:?}");
}

#[tokio::test]
async fn there_are_no_channels() {
    let chain = any_chain().await;
    let rail = TransferRail::connect(settings(&[chain.url()])).await.unwrap();
    let alice = person(0);
    let terms = terms(&chain, &alice, KeyScheme::Sr25519, 1);
    let calls = [
        open(terms, UNIT),
        Call::Settle(vec![voucher(&terms, 1)]),
        together(&terms, 1),
        Call::Close(terms.id()),
        Call::PublishStream { stream: [0; 16], metadata: vec![1] },
    ];
    for call in calls {
        let refused = rail.fee(call.clone(), account(&alice)).await;
        assert!(matches!(refused, Err(RailError::Unsupported(_))), "{refused:?}");
        let refused = rail.submit(call, alice.clone()).await;
        assert!(matches!(refused, Err(RailError::Unsupported(_))), "{refused:?}");
    }
    assert!(matches!(rail.channel(ChannelId([0; 32])).await, Err(RailError::Unsupported(_))));
}

#[tokio::test]
async fn an_asset_is_transferred_as_well() {
    let chain = any_chain().await;
    let settings = tickcast_chain::Settings { asset: AssetId::Asset(1), ..settings(&[chain.url()]) };
    let rail = TransferRail::connect(settings).await.unwrap();
    let (alice, bob) = (person(0), account(&person(1)));
    let before = rail.balance(bob).await.unwrap();
    let amount = Amount::new(250);
    let sent = in_time(rail.submit(Call::Transfer { to: bob, amount }, alice.clone())).await.unwrap();
    assert_eq!(sent.news.transfers, [TransferNews { from: account(&alice), to: bob, amount }]);
    assert_eq!(rail.balance(bob).await.unwrap().checked_sub(before), Some(amount));
}
