//! Viewers who would rather not pay, or not twice; and what a node owes to those who do.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use api::ClientError;
use pay::Amount;
use rtc::{LinkState, PlayEvent, WhepConfig, WhepPlayer};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use watch::HttpSignalling;

use crate::broadcasts::LIMIT;
use crate::lossy_line::{ByLine, Line};
use crate::market::{GRACE_TICKS, Market, PRICE, Place, Rules};
use crate::payer::Payer;
use crate::show::Show;

/// Pictures a second, of what the engine broadcasts.
const RATE: u64 = 30;
/// Where no picture has come for so long, none comes any more.
const QUIET: Duration = Duration::from_secs(4);

/// Signs for the first second alone, takes what comes until nothing does, and goes without a word. How many pictures.
async fn take_and_run(payer: &mut Payer, place: &Place) -> u64 {
    let (joined, socket) = payer.pay_nothing(place).await;
    let http = HttpSignalling::new(&joined.whep_url, joined.viewer_token.clone()).expect("an address");
    let line = Line::new(place.media, 0, 0);
    let signalling = Arc::new(ByLine { http, line: Arc::clone(&line) });
    let (player, mut events) =
        WhepPlayer::connect(WhepConfig { network: rtc::Network::Loopback }, signalling);
    let mut pictures = 0;
    loop {
        // Joining takes longer than any pause between two pictures.
        let limit = if pictures == 0 { 2 * QUIET } else { QUIET };
        match timeout(limit, events.recv()).await {
            Ok(Some(PlayEvent::State(LinkState::Up))) => socket.handle().media_up(),
            Ok(Some(PlayEvent::Video(_))) => pictures += 1,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    line.die();
    drop((socket, player));
    pictures
}

#[test]
fn who_pays_in_advance_alone_gets_the_grace_however_often_it_comes_back_and_whatever_it_says() {
    Runtime::new().expect("a runtime").block_on(async {
        let show = Show::open(Rules::default()).await;
        let mut payers = Payer::open_all(&show.market, 2).await;
        let [first, other] = &mut payers[..] else { panic!("two") };
        // The second in advance, the one that is forgiven for it, and the grace; and the packets that are on their way
        // when the gate shuts.
        let most = (2 + u64::from(GRACE_TICKS)) * RATE + RATE / 2;
        // Each account has a grace of its own, and pays a second of its own.
        let (mut taken, others) =
            tokio::join!(take_and_run(first, &show.place), take_and_run(other, &show.place));
        println!("{taken} and {others} pictures at first");
        assert!(taken > RATE && others > RATE && others <= most, "{taken} and {others} of {most}");
        // Coming back, it says of all that it got that it did not play.
        for _ in 0..2 {
            taken += take_and_run(first, &show.place).await;
            println!("{taken} pictures then");
        }
        assert!(taken <= most, "{taken} of {most}");
        for payer in &payers {
            assert_eq!(payer.disk.signed(), PRICE);
            show.market.settled(payer.channel(), PRICE).await;
        }
        show.end(payers.len() as u64).await;
    });
}

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
        let show = Show::open(Rules::default()).await;
        let mut payer = Payer::with_channel(&show.market, 1).await;
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(3).await;

        limit_files(show.market.node.id(), "1");
        // What is signed from here on cannot be stored; what was before may be on its way to the disk.
        let signed = watching.pay.status().spent;
        let two_more = signed.units() + 2 * PRICE;
        assert!(
            watching.until(LIMIT, |status| status.spent.units() >= two_more).await,
            "{:?}",
            watching.pay.status()
        );
        let audit = show.market.audit().await;
        assert!(audit.accepted <= signed, "{} of {signed} were signed in time", audit.accepted);
        assert!(audit.is_clean(), "{:?}", audit.findings);
        assert!(!watching.pay.status().is_acknowledged);
        // What is not stored is not paid: no more than the grace is sent.
        let mut spent = Amount::ZERO;
        while watching.until(QUIET, |status| status.spent > spent).await {
            spent = watching.pay.status().spent;
        }
        let most = audit.accepted.units() + u128::from(GRACE_TICKS) * PRICE;
        let status = watching.pay.status();
        assert!(status.spent.units() <= most, "{most}: {status:?}");

        limit_files(show.market.node.id(), "unlimited");
        payer.leave(watching).await;
        payer.make_good(&show.place).await;
        show.close(&[payer]).await;
    });
}
