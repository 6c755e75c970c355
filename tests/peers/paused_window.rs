//! A window with a wallet: nothing plays and nothing is paid while its person pauses.

use std::time::{Duration, Instant};

use media::Size;
use testkit::{AudioServer, Xvfb};
use tokio::runtime::Runtime;
use tokio::time::sleep;
use wallet::Wallet;

use crate::broadcasts::LIMIT;
use crate::home::Home;
use crate::market::{PRICE, Rules, until};
use crate::show::Show;

const SIZE: Size = Size::new(640, 360);
const CAP: u128 = 1_000 * PRICE;
/// Of the broadcast, each of which would have been paid.
const REST: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// What the wallet has signed for, on all channels.
pub fn signed(wallet: &Wallet) -> u128 {
    let channels = wallet.channels().expect("the wallet's channels");
    let spent =
        |known: &wallet::ChannelRecord| wallet.spent(known.terms.id()).expect("the wallet knows").units();
    channels.iter().map(spent).sum()
}

/// The same in seconds.
pub fn seconds(wallet: &Wallet) -> u128 {
    signed(wallet) / PRICE
}

/// Until nothing was signed for so long.
async fn rests(wallet: &Wallet) -> u128 {
    let (begun, mut known, mut since) = (Instant::now(), seconds(wallet), Instant::now());
    while since.elapsed() < REST {
        assert!(begun.elapsed() < LIMIT, "it goes on paying: {known} s");
        sleep(LOOK).await;
        let now = seconds(wallet);
        if now != known {
            (known, since) = (now, Instant::now());
        }
    }
    known
}

#[test]
fn a_window_that_is_paused_pays_for_nothing_until_it_plays_on() {
    Runtime::new().expect("a runtime").block_on(async {
        let show = Show::open(Rules { people: 1, ..Rules::default() }).await;
        let home = Home::new(&show.market, 1, CAP);
        let wallet = home.open();
        let display = Xvfb::start(SIZE.width, SIZE.height).expect("a display");
        let speaker = AudioServer::start().expect("an audio server");
        let mut viewer = home.watch_on(&display, &speaker, &show.place.playback_id);
        let window = tokio::task::block_in_place(|| display.window("For a price", LIMIT)).expect("a window");
        let mut pays = async |at_least: u128| {
            until("it pays", async || {
                assert!(!viewer.has_ended(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
                (seconds(&wallet) >= at_least).then_some(())
            })
            .await;
        };
        pays(3).await;
        display.keys(&window, &["space"]).expect("a key");
        let paused = rests(&wallet).await;
        display.keys(&window, &["space"]).expect("a key");
        pays(paused + 3).await;
        let status = tokio::task::block_in_place(|| viewer.terminate(2 * LIMIT)).expect("it ends");
        assert!(status.success(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
        let report: serde_json::Value = serde_json::from_str(&viewer.output().join("\n")).expect("a report");
        let paid = seconds(&wallet);
        assert_eq!(report["payment"]["total"].as_str(), Some(&*(paid * PRICE).to_string()), "{report:#}");
        show.end(u64::try_from(paid).expect("some seconds")).await;
    });
}
