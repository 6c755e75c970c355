//! What a watcher is told: every final block once, what is pending, over nodes that die, lag and come back.

mod world;

use devchain::{Config, Devchain, Finality, Transactions};
use pay::{Amount, ChannelEvent, KeyScheme};
use tickcast_chain::{BlockRef, Call, EscrowRail, Rail as _, Update};
use world::*;

/// The numbers of the final blocks up to `last`, which come in order and without a gap.
async fn final_blocks(updates: &mut tokio::sync::mpsc::Receiver<Update>, last: u32) -> Vec<BlockRef> {
    let mut blocks = Vec::new();
    loop {
        if let Update::Final { block, .. } = next(updates).await {
            blocks.push(block);
            if block.number == last {
                return blocks;
            }
        }
    }
}

fn seal(devchain: &Devchain, blocks: u32) {
    for _ in 0..blocks {
        devchain.seal().expect("a block is made");
    }
}

fn numbers(blocks: &[BlockRef]) -> Vec<u32> {
    blocks.iter().map(|block| block.number).collect()
}

#[tokio::test]
async fn every_final_block_comes_once_and_in_order_also_when_many_are_final_at_once() {
    let devchain = start(Config::by_hand()).await;
    let rail = rail(&devchain).await;
    let genesis = BlockRef { number: 0, hash: devchain.genesis() };
    let mut updates = rail.watch(Some(genesis));
    seal(&devchain, 5);
    devchain.finalize(5).unwrap();
    let first = final_blocks(&mut updates, 5).await;
    assert_eq!(numbers(&first), [1, 2, 3, 4, 5]);
    seal(&devchain, 1);
    devchain.finalize(6).unwrap();
    assert_eq!(numbers(&final_blocks(&mut updates, 6).await), [6]);
    drop(updates);
    seal(&devchain, 4);
    devchain.finalize(10).unwrap();
    // Who went away after block 3 misses nothing.
    let mut updates = rail.watch(Some(first[2]));
    assert_eq!(numbers(&final_blocks(&mut updates, 10).await), [4, 5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn an_event_is_pending_first_and_final_later() {
    let devchain = start(Config::by_hand()).await;
    let rail = rail(&devchain).await;
    let alice = person(0);
    let terms = terms(&devchain, &alice, KeyScheme::Sr25519, 1);
    let mut updates = rail.watch(None);
    let opening = submit(&rail, open(terms, UNIT), &alice);
    let seen = async {
        until(|| devchain.waiting() == 1).await;
        let block = devchain.seal().unwrap();
        let pending = loop {
            match next(&mut updates).await {
                Update::Head { block: head, pending, time } if head.number == block.number => {
                    assert!(time.0 > 0);
                    break pending;
                }
                Update::Head { pending, .. } => assert_eq!(pending, tickcast_chain::News::default()),
                other => panic!("nothing is final: {other:?}"),
            }
        };
        assert_eq!(pending.channels[0].channel, terms.id());
        // A block without anything above it changes nothing about that.
        let above = devchain.seal().unwrap();
        loop {
            if let Update::Head { block, pending: same, .. } = next(&mut updates).await
                && block.number == above.number
            {
                assert_eq!(same, pending);
                break;
            }
        }
        let state = rail.channel(terms.id()).await.unwrap().unwrap();
        assert_eq!(state.finalized, pay::Phase::Absent);
        assert!(matches!(state.head, pay::Phase::Open(_)));
        devchain.finalize(above.number).unwrap();
        loop {
            match next(&mut updates).await {
                Update::Final { block: last, news, .. } if last.number == block.number => {
                    assert_eq!(news, pending);
                    break;
                }
                Update::Final { .. } => panic!("the first final block is the one with the event"),
                _ => {}
            }
        }
        loop {
            if let Update::Head { block, pending, .. } = next(&mut updates).await {
                assert_eq!((block.number, pending), (above.number, tickcast_chain::News::default()));
                break;
            }
        }
    };
    let (opened, ()) = tokio::join!(opening, seen);
    opened.unwrap();
}

#[tokio::test]
async fn what_was_pending_in_a_block_that_lost_is_pending_no_more() {
    let devchain = start(Config::by_hand()).await;
    let rail = rail(&devchain).await;
    let alice = person(0);
    let terms = terms(&devchain, &alice, KeyScheme::Sr25519, 1);
    let mut updates = rail.watch(None);
    let opening = submit(&rail, open(terms, UNIT), &alice);
    let seen = async {
        until(|| devchain.waiting() == 1).await;
        let block = devchain.seal().unwrap();
        let pending = async |updates: &mut _, number| loop {
            if let Update::Head { block, pending, .. } = next(updates).await
                && block.number == number
            {
                return pending.channels.len();
            }
        };
        assert_eq!(pending(&mut updates, block.number).await, 1);
        let best = devchain.reorganize(1, Transactions::Forgotten).unwrap();
        assert_eq!(pending(&mut updates, best.number).await, 0);
        // The rail gives the transaction to the node again after some final blocks: it is not lost.
        seal(&devchain, 4);
        devchain.finalize(u32::MAX).unwrap();
        until(|| devchain.waiting() == 1).await;
        let block = devchain.seal().unwrap();
        devchain.finalize(block.number).unwrap();
        block
    };
    let (opened, block) = tokio::join!(opening, seen);
    let opened = opened.unwrap();
    assert_eq!((opened.block.number, opened.block.hash), (block.number, block.hash));
    assert_eq!(opened.news.channels.len(), 1);
}

#[tokio::test]
async fn a_watcher_goes_on_at_the_next_node_without_a_gap() {
    let devchain = start(Config { finality: Finality::Behind(0), ..Config::by_hand() }).await;
    let first = devchain.serve(0).await.unwrap();
    let rail = EscrowRail::connect(settings(&[first.url(), devchain.url()])).await.unwrap();
    let mut updates = rail.watch(Some(BlockRef { number: 0, hash: devchain.genesis() }));
    seal(&devchain, 2);
    assert_eq!(numbers(&final_blocks(&mut updates, 2).await), [1, 2]);
    first.close().await;
    seal(&devchain, 3);
    assert_eq!(numbers(&final_blocks(&mut updates, 5).await), [3, 4, 5]);
}

#[tokio::test]
async fn a_watcher_leaves_a_node_that_falls_behind() {
    let devchain = start(Config { finality: Finality::Behind(0), ..Config::by_hand() }).await;
    let first = devchain.serve(0).await.unwrap();
    let rail = EscrowRail::connect(settings(&[first.url(), devchain.url()])).await.unwrap();
    let mut updates = rail.watch(Some(BlockRef { number: 0, hash: devchain.genesis() }));
    seal(&devchain, 2);
    assert_eq!(numbers(&final_blocks(&mut updates, 2).await), [1, 2]);
    first.freeze();
    seal(&devchain, 3);
    assert_eq!(numbers(&final_blocks(&mut updates, 5).await), [3, 4, 5]);
}

#[tokio::test]
async fn a_watcher_hears_that_there_is_no_node_and_goes_on_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        Config { finality: Finality::Behind(0), data: Some(folder.path().to_owned()), ..Config::by_hand() };
    let devchain = start(config.clone()).await;
    let rail = rail(&devchain).await;
    let mut updates = rail.watch(Some(BlockRef { number: 0, hash: devchain.genesis() }));
    seal(&devchain, 2);
    let before = final_blocks(&mut updates, 2).await;
    let port = devchain.endpoint().address().port();
    devchain.stop().await;
    loop {
        if let Update::Disconnected { .. } = next(&mut updates).await {
            break;
        }
    }
    let devchain = start(Config { port, ..config }).await;
    assert_eq!(devchain.finalized().hash, before[1].hash);
    seal(&devchain, 2);
    assert_eq!(numbers(&final_blocks(&mut updates, 4).await), [3, 4]);
}

#[tokio::test]
async fn finality_that_lags_is_waited_for() {
    let devchain = start(Config { finality: Finality::Behind(3), ..Config::by_hand() }).await;
    let rail = rail(&devchain).await;
    let alice = person(0);
    let terms = terms(&devchain, &alice, KeyScheme::Sr25519, 1);
    let opening = submit(&rail, open(terms, UNIT), &alice);
    let blocks = async {
        until(|| devchain.waiting() == 1).await;
        let block = devchain.seal().unwrap();
        seal(&devchain, 2);
        // In the best chain, and not yet what the submitter is told.
        assert_eq!(devchain.finalized().number, 0);
        seal(&devchain, 1);
        block
    };
    let (opened, block) = tokio::join!(opening, blocks);
    assert_eq!(opened.unwrap().block.number, block.number);
    let deposit = Amount::new(UNIT);
    let mut updates = rail.watch(Some(BlockRef { number: 0, hash: devchain.genesis() }));
    let Update::Final { news, .. } = next(&mut updates).await else { panic!("the block is final") };
    assert_eq!(news.channels[0].event, ChannelEvent::Opened { deposit, expires_at: NEVER });
    let call = Call::TopUp { channel: terms.id(), by: Amount::new(1) };
    assert!(!rail.fee(call, account(&alice)).await.unwrap().is_zero());
}

#[tokio::test]
async fn a_chain_that_has_begun_anew_is_not_taken_for_the_one_before() {
    let devchain = start(Config { finality: Finality::Behind(0), ..Config::by_hand() }).await;
    seal(&devchain, 3);
    let rail = rail(&devchain).await;
    let reason = async |since| match next(&mut rail.watch(Some(since))).await {
        Update::Disconnected { reason } => reason,
        other => panic!("{other:?}"),
    };
    let (far, near) = (BlockRef { number: 14, hash: [1; 32] }, BlockRef { number: 2, hash: [1; 32] });
    let said = reason(far).await;
    assert!(said.contains("at block 3") && said.contains("block 14 was final"), "{said}");
    let said = reason(near).await;
    assert!(said.contains("block 3 does not follow"), "{said}");
    // One that is a little behind is waited for.
    let mut updates = rail.watch(Some(BlockRef { number: 4, hash: [1; 32] }));
    seal(&devchain, 2);
    let Update::Disconnected { reason } = next(&mut updates).await else { panic!("it follows another one") };
    assert!(reason.contains("block 5 does not follow"), "{reason}");
}
