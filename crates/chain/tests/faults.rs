//! Transactions whose node dies, lies or forgets: each happens once or not at all, and whoever sent it is told which.

mod world;

use devchain::{Config, Devchain, Finality};
use pay::Amount;
use tickcast_chain::{Call, EscrowRail, Included, Rail as _, RailError, Settings};
use world::*;

const SENT: u128 = 7 * UNIT;

/// What Dave sends to Eve each time.
async fn send(rail: &EscrowRail) -> Result<Included, RailError> {
    let call = Call::Transfer { to: account(&person(4)), amount: Amount::new(SENT) };
    submit(rail, call, &person(3)).await
}

fn at_hand() -> Config {
    Config { finality: Finality::Behind(0), ..Config::by_hand() }
}

async fn received(rail: &EscrowRail, before: Amount) -> Option<Amount> {
    rail.balance(account(&person(4))).await.expect("the chain answers").checked_sub(before)
}

async fn before(rail: &EscrowRail) -> Amount {
    rail.balance(account(&person(4))).await.expect("the chain answers")
}

fn seal(devchain: &Devchain, blocks: u32) {
    for _ in 0..blocks {
        devchain.seal().expect("a block is made");
    }
}

#[tokio::test]
async fn a_node_that_is_restarted_in_the_middle_has_the_transaction_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: Some(folder.path().to_owned()), ..at_hand() };
    let devchain = start(config.clone()).await;
    let rail = rail(&devchain).await;
    let before = before(&rail).await;
    let sending = send(&rail);
    let restarting = async {
        until(|| devchain.waiting() == 1).await;
        let port = devchain.endpoint().address().port();
        devchain.stop().await;
        // What waited is forgotten with the process.
        let devchain = start(Config { port, ..config }).await;
        until(|| devchain.waiting() == 1).await;
        seal(&devchain, 10);
        devchain
    };
    let (sent, devchain) = tokio::join!(sending, restarting);
    assert_eq!(sent.unwrap().block.number, 1);
    assert_eq!(received(&rail, before).await, Some(Amount::new(SENT)));
    assert_eq!(devchain.waiting(), 0);
}

#[tokio::test]
async fn a_transaction_in_a_block_is_found_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: Some(folder.path().to_owned()), ..Config::by_hand() };
    let devchain = start(config.clone()).await;
    let rail = rail(&devchain).await;
    let before = before(&rail).await;
    let sending = send(&rail);
    let restarting = async {
        until(|| devchain.waiting() == 1).await;
        let block = devchain.seal().unwrap();
        let port = devchain.endpoint().address().port();
        devchain.stop().await;
        let devchain = start(Config { port, ..config }).await;
        assert_eq!(devchain.best(), block);
        devchain.finalize(block.number).unwrap();
        (devchain, block)
    };
    let (sent, (devchain, block)) = tokio::join!(sending, restarting);
    assert_eq!(sent.unwrap().block.hash, block.hash);
    assert_eq!(received(&rail, before).await, Some(Amount::new(SENT)));
    assert_eq!(devchain.waiting(), 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_does_not_make_two_of_one() {
    let devchain = start(at_hand()).await;
    let silent = devchain.serve(0).await.unwrap();
    silent.fall_silent();
    let settings = Settings { answer_within_ms: 300, ..settings(&[silent.url(), devchain.url()]) };
    let rail = EscrowRail::connect(settings).await.unwrap();
    let before = before(&rail).await;
    let sending = send(&rail);
    let sealing = async {
        until(|| devchain.waiting() == 1).await;
        seal(&devchain, 1);
    };
    let (sent, ()) = tokio::join!(sending, sealing);
    sent.unwrap();
    seal(&devchain, 5);
    assert_eq!(received(&rail, before).await, Some(Amount::new(SENT)));
}

#[tokio::test]
async fn a_transaction_that_no_block_took_in_its_time_has_failed() {
    let devchain = start(at_hand()).await;
    let lost = devchain.serve(0).await.unwrap();
    let rail = EscrowRail::connect(settings(&[lost.url()])).await.unwrap();
    let before = before(&rail).await;
    // It takes the transaction and does not pass it on.
    lost.freeze();
    let mut sending = Box::pin(send(&rail));
    tokio::select! {
        sent = &mut sending => panic!("nobody has it: {sent:?}"),
        () = until(|| lost.lost() == 1) => {}
    }
    seal(&devchain, 70);
    lost.recover();
    let failed = sending.await;
    assert!(matches!(&failed, Err(RailError::Refused(why)) if why.contains("in its time")), "{failed:?}");
    seal(&devchain, 5);
    assert_eq!(received(&rail, before).await, Some(Amount::ZERO));
    // The account goes on.
    let sending = send(&rail);
    let sealing = async {
        until(|| devchain.waiting() == 1).await;
        seal(&devchain, 1);
    };
    let (sent, ()) = tokio::join!(sending, sealing);
    sent.unwrap();
}

#[tokio::test]
async fn a_transaction_whose_nonce_another_one_took_has_failed() {
    let devchain = start(at_hand()).await;
    let lost = devchain.serve(0).await.unwrap();
    let ours = EscrowRail::connect(settings(&[lost.url()])).await.unwrap();
    let theirs = rail(&devchain).await;
    let before = before(&theirs).await;
    lost.freeze();
    let mut sending = Box::pin(send(&ours));
    tokio::select! {
        sent = &mut sending => panic!("nobody has it: {sent:?}"),
        () = until(|| lost.lost() == 1) => {}
    }
    let other = async {
        until(|| devchain.waiting() == 1).await;
        seal(&devchain, 1);
    };
    let (sent, ()) = tokio::join!(send(&theirs), other);
    sent.unwrap();
    lost.recover();
    let failed = sending.await;
    assert!(matches!(&failed, Err(RailError::Refused(why)) if why.contains("nonce")), "{failed:?}");
    assert_eq!(received(&theirs, before).await, Some(Amount::new(SENT)));
}

#[tokio::test]
async fn one_that_nobody_waits_for_any_more_does_not_hold_up_the_next() {
    let devchain = start(at_hand()).await;
    let lost = devchain.serve(0).await.unwrap();
    let rail = EscrowRail::connect(settings(&[lost.url()])).await.unwrap();
    lost.freeze();
    tokio::select! {
        sent = send(&rail) => panic!("nobody has it: {sent:?}"),
        () = until(|| lost.lost() == 1) => {}
    }
    lost.recover();
    let sealing = async {
        until(|| devchain.waiting() == 1).await;
        seal(&devchain, 1);
    };
    let (sent, ()) = tokio::join!(send(&rail), sealing);
    assert_eq!(sent.unwrap().block.number, 1);
}

#[tokio::test]
async fn where_no_node_answers_the_fate_is_unknown() {
    let devchain = start(at_hand()).await;
    let settings = Settings { give_up_after_ms: 300, ..settings(&[devchain.url()]) };
    let rail = EscrowRail::connect(settings).await.unwrap();
    let sending = send(&rail);
    let stopping = async {
        until(|| devchain.waiting() == 1).await;
        devchain.stop().await;
    };
    let (sent, ()) = tokio::join!(sending, stopping);
    assert!(matches!(sent, Err(RailError::Unknown)), "{sent:?}");
    let gone = rail.balance(account(&person(4))).await;
    assert!(matches!(gone, Err(RailError::Unreachable(_))), "{gone:?}");
}

#[tokio::test]
async fn two_processes_with_one_account_do_not_hinder_each_other() {
    let devchain = start(Config::at_once()).await;
    let (one, other) = (rail(&devchain).await, rail(&devchain).await);
    let before = before(&one).await;
    for rail in [&one, &other, &one, &other] {
        send(rail).await.unwrap();
    }
    assert_eq!(received(&one, before).await, Some(Amount::new(4 * SENT)));
}
