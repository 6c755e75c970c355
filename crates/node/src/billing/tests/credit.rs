//! A node that is paid by plain transfers: what counts is what is in final blocks, once, and beyond it the window.

use api::ClientError;
use devchain::{Config, Devchain};
use pay::message::{Pay, ToNode, ToViewer};
use pay::{AccountId, Amount, Refusal, Signer, Tick, UnixMillis, Unplayed};

use super::code;
use super::world::{BOB, CHARLIE, DAVE, DEAR, EVE, Socket, Viewer, World, credit_config, person, prices};
use crate::billing::audit;
use crate::server::Node;

const WINDOW: u128 = 10 * DEAR;

fn account(at: usize) -> AccountId {
    Signer::public(&person(at)).account()
}

async fn viewer(world: &World, at: usize) -> Viewer {
    let mut viewer = Viewer::new(world, at).await;
    viewer.tab.set_limit(Amount::MAX);
    viewer
}

/// Signs for a second in advance, whatever the node says to it.
async fn pay(viewer: &mut Viewer, socket: &mut Socket, tick: u64) -> ToViewer {
    let pay = match viewer.tab.unacknowledged() {
        Some(again) => again,
        None => viewer.tab.played(Tick(tick), &viewer.session, UnixMillis(0)).unwrap().unwrap(),
    };
    socket.say(&ToNode::Pay(Pay { in_advance: true, ..pay })).await;
    socket.read().await.unwrap()
}

fn refusal(answer: &ToViewer) -> Option<Refusal> {
    match answer {
        ToViewer::Refused(refused) => Some(refused.reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_viewer_is_served_its_window_and_what_it_transferred_and_a_restart_changes_nothing() {
    let mut world = World::on_credit(10).await;
    let mut viewer = viewer(&world, CHARLIE).await;
    assert_eq!(code(&viewer.join(&world, None).await.unwrap_err()), "payment_required");
    let opened = viewer.credit(&world).await.unwrap();
    assert_eq!((opened.channel, opened.window.units(), opened.paid.units()), (viewer.terms.id(), WINDOW, 0));
    let (mut socket, peer) = viewer.watch(&world).await;
    for second in 0..10 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, second).await;
    }
    // The window is full: the next second is not sent, so nothing is taken for it.
    world.reach(peer, 1, 10);
    let refused = pay(&mut viewer, &mut socket, 10).await;
    assert_eq!(refusal(&refused), Some(Refusal::OverDeposit));
    viewer.transfer(&world, account(BOB), 4 * DEAR).await;
    let standing = viewer.counted(&world, 4 * DEAR).await;
    assert_eq!((standing.accepted.units(), standing.since), (10 * DEAR, opened.since));
    let taken = pay(&mut viewer, &mut socket, 10).await;
    let ToViewer::Acknowledged(stored) = taken else { panic!("{taken:?}") };
    viewer.tab.acknowledged(&stored).unwrap();

    // As after a kill: what was transferred is counted once, and no new window is given.
    world.restart().await;
    viewer.log_in(&world).await;
    let standing = viewer.counted(&world, 4 * DEAR).await;
    assert_eq!((standing.accepted.units(), standing.window.units()), (11 * DEAR, WINDOW));
    let (mut socket, peer) = viewer.connect_again(&world).await;
    let next = viewer.start(&mut socket).await.next.0;
    // What was reserved when the node was killed counts as sent until it is named.
    let report = viewer.tab.report().unwrap();
    socket.say(&ToNode::Report(report)).await;
    // Nothing is sent before the report was heard, and what this is answered with comes after that.
    let voucher = viewer.tab.last_voucher().copied().unwrap();
    let again = Pay { voucher, unplayed: Unplayed::default(), in_advance: false };
    socket.say(&ToNode::Pay(again)).await;
    assert_eq!(socket.read().await.as_ref().and_then(refusal), Some(Refusal::Replayed));
    for second in 0..3 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, next + second).await;
    }
    world.reach(peer, 1, 3);
    let refused = pay(&mut viewer, &mut socket, next + 3).await;
    assert_eq!(refusal(&refused), Some(Refusal::OverDeposit));
    let standing = viewer.credit(&world).await.unwrap();
    assert_eq!((standing.accepted.units(), standing.paid.units()), (14 * DEAR, 4 * DEAR));
    let report = audit(world.folder(), world.asked()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(
        (report.ticks, report.accepted.units(), report.settled.units(), report.transfers),
        (14, 14 * DEAR, 4 * DEAR, 1)
    );
    assert!(world.settlements().await.is_empty(), "a statement is no claim");
}

#[tokio::test]
async fn an_account_that_is_drained_while_it_watches_gets_its_window_and_never_another_second() {
    let world = World::on_credit(10).await;
    let mut viewer = viewer(&world, CHARLIE).await;
    viewer.credit(&world).await.unwrap();
    let (mut socket, peer) = viewer.watch(&world).await;
    world.reach(peer, 1, 0);
    viewer.play(&mut socket, 0).await;
    // It goes on signing, and has nothing left to pay with.
    let all = world.rail.balance(account(CHARLIE)).await.unwrap().units();
    viewer.transfer(&world, account(DAVE), all - WINDOW / 2).await;
    for second in 1..10 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, second).await;
    }
    for _ in 0..2 {
        world.reach(peer, 1, 10);
        let refused = pay(&mut viewer, &mut socket, 10).await;
        assert_eq!(refusal(&refused), Some(Refusal::OverDeposit));
    }
    drop(socket);
    // It does not come back, neither as itself nor by another session key.
    assert_eq!(code(&viewer.join(&world, Some(viewer.terms.id())).await.unwrap_err()), "payment_required");
    viewer.terms.nonce += 1;
    assert_eq!(code(&viewer.credit(&world).await.unwrap_err()), "too_little");
    let report = audit(world.folder(), world.asked()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.accepted.units(), report.settled.units()), (WINDOW, 0));
}

#[tokio::test]
async fn a_transfer_counts_for_who_sent_it_to_whom_it_went_and_from_the_opening_on() {
    let mut world = World::on_credit(10).await;
    let (charlie, dave) = (viewer(&world, CHARLIE).await, viewer(&world, DAVE).await);
    charlie.transfer(&world, account(BOB), 7 * DEAR).await;
    // A later block's news: that one was read.
    dave.credit(&world).await.unwrap();
    dave.transfer(&world, account(BOB), DEAR).await;
    dave.counted(&world, DEAR).await;
    assert_eq!(charlie.credit(&world).await.unwrap().paid, Amount::ZERO);
    charlie.transfer(&world, account(EVE), 3 * DEAR).await;
    charlie.transfer(&world, account(BOB), 2 * DEAR).await;
    charlie.counted(&world, 2 * DEAR).await;
    assert_eq!(dave.credit(&world).await.unwrap().paid, Amount::new(DEAR));
    world.stop().await;
    // While the node is away, too; and no block is counted twice for being read again.
    charlie.transfer(&world, account(BOB), 5 * DEAR).await;
    for _ in 0..2 {
        world.start_again().await;
        let charlie = viewer(&world, CHARLIE).await;
        charlie.counted(&world, 7 * DEAR).await;
        let report = audit(world.folder(), world.asked()).await.unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        assert_eq!((report.transfers, report.settled.units()), (3, 8 * DEAR));
        world.stop().await;
    }
}

#[tokio::test]
async fn the_audit_finds_a_transfer_that_was_invented_left_out_or_counted_as_more() {
    let world = World::on_credit(10).await;
    let charlie = viewer(&world, CHARLIE).await;
    charlie.credit(&world).await.unwrap();
    charlie.transfer(&world, account(BOB), 3 * DEAR).await;
    charlie.counted(&world, 3 * DEAR).await;
    let journal = world.journal().await;
    let run =
        async |sql: String| sqlx::query(sqlx::AssertSqlSafe(sql)).execute(journal.pool()).await.map(drop);
    let findings = async || audit(world.folder(), world.asked()).await.unwrap().findings;
    assert_eq!(findings().await, [""; 0]);
    run(format!("UPDATE transfers SET amount = '{}'", 4 * DEAR)).await.unwrap();
    let found = findings().await;
    assert!(found.iter().any(|finding| finding.contains("the chain has no such one")), "{found:?}");
    assert!(found.iter().any(|finding| finding.contains("are counted on the credit account")), "{found:?}");
    run(format!("UPDATE transfers SET amount = '{}', place = place + 1", 3 * DEAR)).await.unwrap();
    assert!(findings().await.iter().any(|finding| finding.contains("was not counted")));
    run("UPDATE transfers SET place = place - 1".to_owned()).await.unwrap();
    assert_eq!(findings().await, [""; 0]);
    let twice = "INSERT INTO transfers SELECT * FROM transfers".to_owned();
    assert!(run(twice).await.is_err(), "one place in a block is counted once");
}

#[tokio::test]
async fn credit_is_given_to_the_payer_alone_for_a_creator_of_this_node_and_up_to_what_it_holds() {
    let world = World::on_credit(10).await;
    let refused = |answer: Result<_, ClientError>| -> String {
        let err: ClientError = answer.map(|_: api::pay::CreditAccount| ()).unwrap_err();
        format!("{err:?}")
    };
    let mut thief = viewer(&world, DAVE).await;
    thief.terms.payer = account(CHARLIE);
    assert!(refused(thief.credit(&world).await).contains("another account's"));
    let mut vain = viewer(&world, CHARLIE).await;
    vain.terms.payee = account(EVE);
    assert!(refused(vain.credit(&world).await).contains("no creator of this node"));
    let mut elsewhere = viewer(&world, CHARLIE).await;
    elsewhere.terms.node = Signer::public(&person(EVE));
    assert!(refused(elsewhere.credit(&world).await).contains("pays somebody else"));
    let dear = world.client.set_prices(&world.creator, &world.stream.playback_id, prices(9 * DEAR)).await;
    assert_eq!(code(&dear.unwrap_err()), "bad_prices");
    let info = world.client.pay_info().await.unwrap().credit.unwrap();
    assert_eq!((info.window.units(), info.finality_s), (WINDOW, 2));
    assert!(info.least < Amount::new(DEAR) && !info.least.is_zero());
}

#[tokio::test]
async fn a_window_that_is_not_worth_a_transfer_is_no_setting() {
    let devchain = Devchain::start(Config::at_once()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refused = Node::start(credit_config(folder.path(), &devchain, 1)).await.err().unwrap();
    assert!(refused.to_string().contains("chain.credit_window is 1"), "{refused}");
}

#[tokio::test]
async fn a_channel_of_the_escrow_pays_nothing_where_transfers_do() {
    let world = World::on_credit(10).await;
    let mut viewer = viewer(&world, CHARLIE).await;
    viewer.terms.dispute_window_ms = 3_600_000;
    let refused = viewer.join(&world, Some(viewer.terms.id())).await.unwrap_err();
    assert_eq!(code(&refused), "payment_required");
}
