//! The watch page of a paid stream in Chromium: a wallet's executable funds it, the page pays by the second with a key of
//! its own, and what it shows is what the node and the chain have.

use std::net::SocketAddr;
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
pub const DEPOSIT: u128 = 300 * PRICE;

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
pub fn number(of: &Value, name: &str) -> u128 {
    of[name]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{name} is no number in {of}"))
}

/// By LL-HLS without a token of this stream, and by RTMP, which counts no seconds.
fn is_refused_where_nobody_pays(market: &Market, playback_id: &str) {
    let addresses = market.node.addresses();
    for query in ["", "?token=nonsense"] {
        let path = format!("/live/{playback_id}.m3u8{query}");
        assert_eq!(refused(addresses.http, &path), (402, "join_required".to_owned()), "{path}");
    }
    let mut player = Command::new("ffmpeg");
    player.args(["-hide_banner", "-rw_timeout", "5000000", "-i"]);
    player.arg(format!("rtmp://{}/live/{playback_id}", addresses.rtmp)).args(["-t", "1", "-f", "null", "-"]);
    let mut player = LoggedChild::spawn("a player", &mut player).expect("ffmpeg starts");
    assert!(!player.wait(LIMIT).expect("it ends by itself").success());
    assert!(player.errors().contains("This stream is paid for"), "{}", player.errors());
}

/// What a channel paid in all, once it is closed.
pub async fn closed(market: &Market, channel: ChannelId) -> Amount {
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

/// Status and code of what is not given.
fn refused(node: SocketAddr, path: &str) -> (u16, String) {
    let answer = testkit::http::request(node, "GET", path, &[], b"").expect("the node answers");
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    (answer.status, problem["code"].as_str().unwrap_or_default().to_owned())
}

/// Files that a page was sent are nobody else's: by their own names, by another's address, and by its own once it is gone.
fn are_sent_to_nobody_else(market: &Market, playback_id: &str, paths: &[&str]) {
    let http = market.node.addresses().http;
    let file = paths.iter().rev().find(|path| path.ends_with(".m4s")).expect("the page fetched media");
    let (folder, name) = file.rsplit_once('/').expect("it lies in a folder");
    assert!(folder.len() > format!("/live/{playback_id}/").len(), "{file}");
    let bare = format!("/live/{playback_id}/{name}");
    assert_eq!(refused(http, &bare), (402, "join_required".to_owned()));
    let foreign = format!("/live/{playback_id}/somebody/{name}");
    assert_eq!(refused(http, &foreign), (410, "viewer_gone".to_owned()));
    // It plays no more, and nobody pays.
    let (status, code) = refused(http, file);
    assert!(matches!(status, 402 | 410), "{file}: {status} {code}");
}

pub fn keep_pictures(folder: &Path, of: &str, names: &[&str]) {
    let Some(kept) = std::env::var_os("TICKCAST_SHOTS") else { return };
    for name in names {
        let name = format!("{of}-{name}.png");
        // A script that failed took fewer.
        let _ = std::fs::copy(folder.join(&name), Path::new(&kept).join(format!("page-{name}")));
    }
}

#[test]
fn a_page_pays_for_each_second_that_it_showed_from_a_deposit_that_a_wallet_approved() {
    pays_for_what_it_showed("open", |_, _, page| {
        assert_eq!(page["playing"]["transport"], "webrtc", "{page}");
        assert_eq!(page["hls"], Value::Array(Vec::new()), "what plays by WebRTC is not fetched by HLS, too");
    });
}

#[test]
fn a_page_that_no_webrtc_gets_through_to_pays_for_each_second_that_it_showed_by_hls_and_nobody_else_is_sent_any()
 {
    pays_for_what_it_showed("blocked", |market, playback_id, page| {
        assert_eq!(page["playing"]["transport"], "hls", "{page}");
        let paths: Vec<_> = page["hls"].as_array().expect("paths").iter().filter_map(Value::as_str).collect();
        are_sent_to_nobody_else(market, playback_id, &paths);
    });
}

fn pays_for_what_it_showed(network: &str, look: impl Fn(&Market, &str, &Value)) {
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
            let arguments =
                [stream.watch_url.as_ref(), folder.as_os_str(), seconds.as_ref(), network.as_ref()];
            let mut script = Script::start(root(), "pay.mjs", arguments).expect("a script");
            let link = script.wait_for("link").expect("the page asks for a deposit");
            let (approved, shown) = approve(&folder, link.as_str().expect("a link"), &chain);
            let page = script.wait_for("stopped").and_then(|played| {
                look(&market, &stream.playback_id, &played);
                assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
                script.result()
            });
            if network == "open" {
                keep_pictures(
                    &folder,
                    "pay",
                    &["fund", "ready", "paying", "stopped", "over", "closing", "closed"],
                );
            }
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
