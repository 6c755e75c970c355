//! Viewers who would rather not pay, or not twice; and what a node owes to those who do.

use std::process::Command;
use std::time::Duration;

use api::ClientError;
use pay::Amount;
use tokio::runtime::Runtime;

use crate::broadcasts::{LIMIT, TICKCAST};
use crate::market::{GRACE_TICKS, Market, PRICE, Rules};
use crate::payer::Payer;
use crate::show::Show;

/// Where no picture has come for so long, none comes any more.
const QUIET: Duration = Duration::from_secs(4);

#[test]
fn a_viewer_that_lost_all_it_knew_goes_on_from_its_own_last_voucher() {
    Runtime::new().expect("a runtime").block_on(async {
        let show = Show::open(Rules::default()).await;
        let mut payer = Payer::with_channel(&show.market, 1).await;
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(3).await;
        payer.leave(watching).await;
        let before = payer.disk.tab().expect("it has paid").totals().signed;
        payer.disk.lose_everything();
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(3).await;
        payer.leave(watching).await;
        let status = payer.status.as_ref().expect("it has watched");
        // Of the new tab's seconds none was paid in advance.
        let all = before + status.totals.played;
        assert_eq!(
            (status.spent.units(), status.is_acknowledged),
            (u128::from(all) * PRICE, true),
            "{status:?}"
        );
        show.market.settled(payer.channel(), status.spent.units()).await;
        show.end(all).await;
    });
}

#[test]
fn a_channel_is_served_by_the_one_node_that_it_names() {
    Runtime::new().expect("a runtime").block_on(async {
        let market = Market::open(Rules::default()).await;
        let stream = market.create("Here").await;
        let (mut second, elsewhere) = market.second_node().await;
        let payer = Payer::with_channel(&market, 1).await;
        payer.ask(&market.place(&stream)).await.expect("the node that it names takes it");
        match payer.ask(&elsewhere).await {
            Err(ClientError::PaymentRequired(required)) => {
                let why = required.problem.detail.unwrap_or_default();
                assert!(why.contains("knows no such channel"), "{why}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("another node's channel was taken"),
        }
        assert!(second.stop().expect("it ends").success(), "{}", second.log());
    });
}

/// How large a file a process may write, in bytes or "unlimited": the system refuses more as it does on a full disk.
fn limit_files(process: u32, bytes: &str) {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.to_string(), &format!("--fsize={bytes}:")]);
    assert!(command.status().expect("prlimit is part of the system").success());
}

#[test]
fn a_node_without_room_on_its_disk_acknowledges_nothing_and_goes_on_when_there_is_some() {
    Runtime::new().expect("a runtime").block_on(async {
        // The signal that would end a process which writes too much is one that this one does not take.
        let deaf = |settings: &std::path::Path| {
            let mut command = Command::new("sh");
            command.args([
                "-c",
                "trap '' XFSZ; exec \"$0\" \"$@\"",
                TICKCAST,
                "--log",
                "info",
                "node",
                "--config",
            ]);
            command.arg(settings);
            Some(command)
        };
        let show = Show::on(Market::open_with(Rules::default(), deaf).await).await;
        let mut payer = Payer::with_channel(&show.market, 1).await;
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(3).await;

        limit_files(show.market.node.id(), "1");
        let accepted = show.market.audit().await.accepted;
        let two_more = accepted.units() + 2 * PRICE;
        assert!(
            watching.until(LIMIT, |status| status.spent.units() >= two_more).await,
            "{:?}",
            watching.pay.status()
        );
        let audit = show.market.audit().await;
        assert_eq!((audit.accepted, audit.findings), (accepted, Vec::new()), "nothing is stored");
        assert!(!watching.pay.status().is_acknowledged);
        // What is not stored is not paid: no more than the grace is sent.
        let mut spent = Amount::ZERO;
        while watching.until(QUIET, |status| status.spent > spent).await {
            spent = watching.pay.status().spent;
        }
        let most = accepted.units() + u128::from(GRACE_TICKS) * PRICE;
        let status = watching.pay.status();
        assert!(status.spent.units() <= most, "{most}: {status:?}");

        limit_files(show.market.node.id(), "unlimited");
        payer.leave(watching).await;
        payer.make_good(&show.place).await;
        show.close(&[payer]).await;
    });
}
