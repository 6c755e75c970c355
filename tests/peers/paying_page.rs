//! The watch page of a paid stream in Chromium: a wallet's executable funds it, the page pays by the second with a key of
//! its own, and what it shows is what the node and the chain have.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chain::Rail;
use pay::{Amount, ChannelId, Phase};
use serde_json::Value;
use testkit::LoggedChild;
use testkit::browser::Script;

use crate::broadcasts::{LIMIT, TICKCAST, engine, root, whip_output};
use crate::paying::{Market, PRICE};

/// How many seconds the page pays for before it is loaded anew.
const SECONDS: u128 = 10;
/// As the page asks for: five minutes.
const DEPOSIT: u128 = 300 * PRICE;

/// `tickcast wallet …`, with the passphrase over a descriptor; whether it did it, what it says, and what it showed before.
fn wallet(folder: &Path, arguments: &[&str]) -> (bool, Value, String) {
    let mut command = Command::new("sh");
    command
        .current_dir(folder)
        .args(["-c", "exec \"$0\" \"$@\" 3<passphrase", TICKCAST, "wallet", "--json", "--folder", "wallet"])
        .args(["--passphrase-fd", "3", "--yes"])
        .args(arguments);
    let mut wallet = LoggedChild::spawn("the wallet", &mut command).expect("a wallet");
    let status = wallet.wait(LIMIT).expect("the wallet ends by itself");
    let (said, shown) = (wallet.output().join("\n"), wallet.errors());
    (status.success(), serde_json::from_str(&said).unwrap_or_default(), shown)
}

fn approve(folder: &Path, link: &str, chain: &str) -> (Value, String) {
    // A wallet takes no node's word for what a unit is: the first time the chain is named to it.
    let (is_done, said, shown) = wallet(folder, &["approve", link, "--chain", chain]);
    assert!(is_done && said.is_object(), "{said}\n{shown}");
    // The same again would lock another deposit, which nobody needs.
    let (is_done, _, refused) = wallet(folder, &["approve", link]);
    assert!(!is_done && refused.contains("was opened for this page already"), "{refused}");
    let (_, known, _) = wallet(folder, &["channels", "list"]);
    let of_page = (&known[0]["channel"], &known[0]["status"], &known[0]["of_page"]);
    assert_eq!(of_page, (&said["channel"], &Value::from("open"), &Value::from(true)), "{known}");
    (said, shown)
}

/// A count or an amount that the page has in an attribute.
fn number(of: &Value, name: &str) -> u128 {
    of[name]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{name} is no number in {of}"))
}

/// By LL-HLS and RTMP, which count no seconds.
fn is_refused_where_nobody_pays(market: &Market, playback_id: &str) {
    let addresses = market.node.addresses();
    let path = format!("/live/{playback_id}.m3u8");
    let answer = testkit::http::request(addresses.http, "GET", &path, &[], b"").expect("the node answers");
    assert_eq!(answer.status, 402);
    let mut player = Command::new("ffmpeg");
    player.args(["-hide_banner", "-rw_timeout", "5000000", "-i"]);
    player.arg(format!("rtmp://{}/live/{playback_id}", addresses.rtmp)).args(["-t", "1", "-f", "null", "-"]);
    let mut player = LoggedChild::spawn("a player", &mut player).expect("ffmpeg starts");
    assert!(!player.wait(LIMIT).expect("it ends by itself").success());
    assert!(player.errors().contains("This stream is paid for"), "{}", player.errors());
}

/// What a channel paid in all, once it is closed.
async fn closed(market: &Market, channel: ChannelId) -> Amount {
    let (end, mut turns) = (Instant::now() + LIMIT, tokio::time::interval(Duration::from_millis(100)));
    loop {
        turns.tick().await;
        let state = market.rail.channel(channel).await.expect("the chain answers");
        if let Phase::Closed { paid } = state.expect("the channel").finalized {
            return paid;
        }
        assert!(Instant::now() < end, "the channel is not closed on the chain");
    }
}

fn keep_pictures(folder: &Path) {
    let Some(kept) = std::env::var_os("TICKCAST_SHOTS") else { return };
    for name in ["fund", "ready", "paying", "stopped", "over", "closing", "closed"] {
        let name = format!("pay-{name}.png");
        // A script that failed took fewer.
        let _ = std::fs::copy(folder.join(&name), Path::new(&kept).join(&name));
    }
}

#[test]
fn a_page_pays_for_each_second_that_it_showed_from_a_deposit_that_a_wallet_approved() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        let folder = market.folder.path().to_owned();
        let mut engine = engine(&folder, &whip_output(&stream));
        market.wait_until_live(&stream).await;
        market.wallet();
        is_refused_where_nobody_pays(&market, &stream.playback_id);

        let (seconds, chain) = (SECONDS.to_string(), market.chain.url());
        let (page, approved, shown) = tokio::task::block_in_place(|| {
            let arguments = [stream.watch_url.as_ref(), folder.as_os_str(), seconds.as_ref()];
            let mut script = Script::start(root(), "pay.mjs", arguments).expect("a script");
            let link = script.wait_for("link").expect("the page asks for a deposit");
            let (approved, shown) = approve(&folder, link.as_str().expect("a link"), &chain);
            let page = script.wait_for("stopped").and_then(|_| {
                assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
                script.result()
            });
            keep_pictures(&folder);
            (page.unwrap_or_else(|err| panic!("{}\n{err}", engine.log())), approved, shown)
        });
        println!("{page:#}\n{shown}");

        // Before it signed, the wallet showed what for.
        assert!(shown.contains("could take ALL") && shown.contains(&stream.watch_url), "{shown}");
        let channel: ChannelId =
            approved["channel"].as_str().and_then(|id| id.parse().ok()).expect("a channel");
        // One voucher a second; the prepaid one is the first that played, so at most it is not used up yet.
        let first = &page["first"];
        assert!(number(first, "signed") >= SECONDS, "{first}");
        assert_eq!(number(first, "spent"), number(first, "signed") * PRICE, "{first}");
        assert!(number(first, "signed") - number(first, "played") <= 1, "{first}");
        assert!(number(first, "receipts") >= 1, "ten seconds are confirmed by a receipt: {first}");
        // Loaded anew it goes on with the same deposit, and stops when it is told to.
        let again = DEPOSIT - number(&page["again"], "left");
        assert!(again >= number(first, "spent"), "{page}");
        let spent = number(&page["stopped"], "spent");
        assert!(spent >= again + 2 * PRICE && spent.is_multiple_of(PRICE), "{page}");
        assert_eq!(
            number(&page["stopped"], "left"),
            DEPOSIT - spent,
            "the node has what the page shows: {page}"
        );
        assert_eq!(page["hls"], Value::Array(Vec::new()), "a paid stream is not tried by HLS");

        // The page closed the channel: the creator has what was signed, and the payer the rest.
        let paid = Amount::new(spent);
        assert_eq!(closed(&market, channel).await, paid);
        let Market { node, chain, rail, folder, .. } = market;
        node.stop().await;
        let rail = rail as Arc<dyn Rail>;
        let audit = node::audit(&folder.path().join("node"), Some(rail)).await.expect("an audit");
        assert!(audit.is_clean(), "{:?}", audit.findings);
        assert_eq!((audit.accepted, audit.settled), (paid, paid));
        chain.stop().await;
    });
}
