//! Viewers in processes of their own, with wallets on the disk, that are killed at any moment: while they open a channel,
//! join, play, sign. Whatever was sent or signed by then is found again, and nothing is locked or paid twice.

use std::time::Duration;

use devchain::{Config, Sealing};
use pay::Phase;
use serde_json::Value;
use testkit::{Dice, soak};
use tokio::runtime::{Handle, Runtime};
use tokio::task::spawn_blocking;
use wallet::{ChannelStatus, Wallet};

use crate::broadcasts::LIMIT;
use crate::home::Home;
use crate::market::{GRACE_TICKS, PRICE, Place, Rules, until};
use crate::show::Show;

/// At the same time, each on its own channel.
const VIEWERS: u8 = 4;
const VIEWERS_IN_SOAK: u8 = 10;
/// Of each viewer: twenty kills in all, or two hundred.
const KILLS: u64 = 5;
const KILLS_IN_SOAK: u64 = 20;
/// More seconds than any of them watches.
const CAP: u128 = 2_000 * PRICE;
/// A short life ends while the keystore is opened, the channel, or the connection; one in three is short.
const SHORT_MS: (u64, u64) = (100, 3_000);
const SHORT_PERCENT: u64 = 33;
/// A long one pays for some seconds more, and ends within the next one. A node forgives no more seconds than it was paid.
const SECONDS_PAID: (u64, u64) = (4, 7);
/// Of the last life, which nobody ends.
const SECONDS: &str = "4";

/// What is known of a viewer that was killed over and over and then came home.
struct Survivor {
    home: Home,
    report: Value,
}

/// Some of the time that a life takes. Nothing is waited for.
async fn pass(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// What the wallet has signed for, on its channels.
fn spent(wallet: &Wallet) -> u128 {
    let channels = wallet.channels().expect("the wallet's channels");
    channels.iter().map(|known| wallet.spent(known.terms.id()).expect("the wallet knows").units()).sum()
}

async fn live(home: Home, place: Place, kills: u64, seed: u64) -> Survivor {
    let (mut dice, wallet) = (Dice::new(seed), home.open());
    for life in 0..kills {
        let mut viewer = home.watch(&place.playback_id, &[]);
        if life == 0 {
            // Its channel is written down, and its opening sent or not: no block has it yet.
            until("it has a channel", async || {
                assert!(!viewer.has_ended(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
                let known = wallet.channels().expect("the wallet's channels");
                (!known.is_empty()).then_some(())
            })
            .await;
            pass(dice.between(0, 300)).await;
        } else if dice.happens(SHORT_PERCENT) {
            pass(dice.between(SHORT_MS.0, SHORT_MS.1)).await;
        } else {
            let enough = spent(&wallet) + u128::from(dice.between(SECONDS_PAID.0, SECONDS_PAID.1)) * PRICE;
            until("it pays", async || {
                assert!(!viewer.has_ended(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
                (spent(&wallet) >= enough).then_some(())
            })
            .await;
            pass(dice.between(0, 1_000)).await;
        }
        viewer.kill();
    }
    let mut viewer = home.watch(&place.playback_id, &["--seconds", SECONDS, "--close"]);
    let status = tokio::task::block_in_place(|| viewer.wait(2 * LIMIT)).expect("it ends by itself");
    let (said, errors) = (viewer.output().join("\n"), viewer.errors());
    assert!(status.success(), "{said}\n{errors}");
    let report = serde_json::from_str(&said).unwrap_or_else(|err| panic!("{err}: {said}\n{errors}"));
    Survivor { home, report }
}

#[test]
fn viewers_that_are_killed_over_and_over_lock_one_deposit_and_pay_for_no_second_twice() {
    Runtime::new().expect("a runtime").block_on(async {
        let viewers = soak(VIEWERS, VIEWERS_IN_SOAK);
        // Slow enough for a transaction to be on its way for a while.
        let chain = Config { sealing: Sealing::Every(Duration::from_secs(3)), ..Config::default() };
        let show = Show::open(Rules { people: viewers, chain, ..Rules::default() }).await;
        let mut dice = Dice::of_run();
        let lives = (1..=viewers).map(|number| {
            let home = Home::new(&show.market, number, CAP);
            let life = (home, show.place.clone(), soak(KILLS, KILLS_IN_SOAK), dice.roll());
            // Each on a thread of its own, on which it may wait for processes.
            spawn_blocking(move || Handle::current().block_on(live(life.0, life.1, life.2, life.3)))
        });
        let lives: Vec<_> = lives.collect();
        let mut seconds = 0;
        for life in lives {
            let Survivor { home, report } = life.await.expect("a viewer");
            let paid = &report["payment"];
            println!("{paid:#}");
            let wallet = home.open();
            let [record] = &wallet.channels().expect("the wallet's channels")[..] else {
                panic!("one viewer has one channel: {:?}", wallet.channels())
            };
            assert_eq!(record.status, ChannelStatus::Closed, "{paid}");
            let (id, spent) = (record.terms.id(), wallet.spent(record.terms.id()).expect("the wallet knows"));
            assert_eq!(
                (paid["total"].as_str(), &paid["acknowledged"]),
                (Some(&*spent.to_string()), &true.into())
            );
            let phase = show.market.channel(id).await.finalized;
            assert_eq!(phase, Phase::Closed { paid: spent }, "the rest of the one deposit came back");
            let paid_seconds = spent.units() / PRICE;
            assert!(spent.units() % PRICE == 0 && paid_seconds > u128::from(GRACE_TICKS), "{paid_seconds} s");
            seconds += u64::try_from(paid_seconds).expect("some seconds");
        }
        show.end(seconds).await;
    });
}
