//! A node that is killed under a viewer and started again: the viewer's executable finds it again by itself, and pays for
//! what plays then, and for nothing twice.

use pay::ChannelId;
use serde_json::Value;
use testkit::LoggedChild;
use wallet::Wallet;

use crate::broadcasts::LIMIT;
use crate::home::{Home, PASSPHRASE};
use crate::market::{PRICE, Rules, until};
use crate::show::Show;

/// What it may spend: more seconds than it can watch.
const CAP: u128 = 1_000 * PRICE;
/// Of playing, before the kill and after it.
const SECONDS: u128 = 3;

/// What the wallet has signed for, on its one channel.
fn spent(wallet: &Wallet) -> (Option<ChannelId>, u128) {
    let channel = wallet.channels().expect("the wallet's channels").first().map(|known| known.terms.id());
    (channel, channel.map_or(0, |id| wallet.spent(id).expect("the wallet knows").units()))
}

/// Until it has signed for so much, and goes on.
async fn until_spent(wallet: &Wallet, viewer: &mut LoggedChild, units: u128) -> u128 {
    until("the viewer pays", async || {
        assert!(!viewer.has_ended(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
        Some(spent(wallet).1).filter(|spent| *spent >= units)
    })
    .await
}

#[test]
fn a_viewer_whose_node_was_killed_comes_back_by_itself_and_pays_for_nothing_twice() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut show = Show::open(Rules::default()).await;
        let home = Home::new(&show.market, 1, CAP);
        let (wallet, mut viewer) = (home.open(), home.watch(&show.place.playback_id, &[]));
        until_spent(&wallet, &mut viewer, SECONDS * PRICE).await;

        show.market.kill_node();
        until("the viewer notices", async || viewer.errors().contains("the node went away").then_some(()))
            .await;
        let before = spent(&wallet).1;
        show.market.start_node();
        until_spent(&wallet, &mut viewer, before + SECONDS * PRICE).await;

        let status = tokio::task::block_in_place(|| viewer.terminate(LIMIT)).expect("it ends");
        let (said, errors) = (viewer.output().join("\n"), viewer.errors());
        assert!(status.success(), "{said}\n{errors}");
        assert!(!said.contains(PASSPHRASE) && !errors.contains(PASSPHRASE));
        let report: Value =
            serde_json::from_str(&said).unwrap_or_else(|err| panic!("{err}: {said}\n{errors}"));
        let paid = &report["payment"];
        println!("{paid:#}");
        assert!(paid["joined_again"].as_u64() >= Some(1) && paid["acknowledged"] == true, "{paid}\n{errors}");
        let (channel, total) = spent(&wallet);
        let played = paid["seconds_played"].as_u64().expect("a count");
        assert_eq!(total, u128::from(played) * PRICE, "each second that played is paid, once: {paid}");
        assert_eq!(paid["total"], total.to_string(), "{paid}");
        show.market.settled(channel.expect("it has paid"), total).await;
        show.end(played).await;
    });
}
