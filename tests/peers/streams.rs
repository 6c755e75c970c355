//! `tickcast stream`: a creator makes and prices streams from the terminal, at a node that is paid on a chain.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use pay::KeyScheme;
use serde_json::Value;
use wallet::{Name, SecretText, Wallet, key_from_secret};

use crate::broadcasts::TICKCAST;
use crate::paying::{Market, now};

const PASSPHRASE: &str = "nine lemons";
/// What Substrate's documentation prints, and everybody has: the development chain gives it money.
const ALICE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Alice";

/// Runs `tickcast` with the wallet in `folder`; the passphrase comes by a descriptor.
fn tickcast(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", "exec \"$0\" \"$@\" 3<passphrase", TICKCAST]);
    command.args(arguments).args(["--json", "--yes", "--passphrase-fd", "3"]).stdin(Stdio::null());
    tokio::task::block_in_place(|| command.output()).expect("the executable runs")
}

fn told(output: &Output) -> Value {
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    serde_json::from_str(&said).unwrap_or_else(|err| panic!("{err}: {said}"))
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Tier and price of each offer.
fn offers(value: &Value) -> Vec<(u64, &str)> {
    let offers = value.as_array().expect("offers").iter();
    offers
        .map(|offer| match (offer["tier"].as_u64(), offer["price"].as_str()) {
            (Some(tier), Some(price)) => (tier, price),
            _ => panic!("{offer} is no offer"),
        })
        .collect()
}

#[test]
fn a_creator_makes_a_paid_stream_changes_what_it_costs_and_archives_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let (folder, node) = (market.folder.path(), format!("http://{}", market.node.addresses().http));
        let wallet = Wallet::open(folder.join("wallet")).expect("a wallet");
        let key = key_from_secret(KeyScheme::Sr25519, ALICE).expect("a development account");
        let (name, passphrase) = (Name::new("alice").expect("a name"), SecretText::new(PASSPHRASE));
        wallet.add(&name, &key, &passphrase.expect("a text"), now()).expect("the account is taken in");
        std::fs::write(folder.join("passphrase"), format!("{PASSPHRASE}\n")).expect("a file");

        let paid =
            ["stream", "create", "Evening", "--account", "alice", "--price", "0.002", "--price", "low=0.001"];
        let place = ["--node", &node, "--wallet-folder", "wallet"];
        let before = refused(&tickcast(folder, &[&paid[..], &place].concat()));
        assert!(before.contains(&format!("tickcast wallet delegate alice --node {node}")), "{before}");
        told(&tickcast(folder, &["wallet", "--folder", "wallet", "delegate", "alice", "--node", &node]));

        let made = told(&tickcast(folder, &[&paid[..], &place].concat()));
        // The chain has twelve decimals.
        assert_eq!(offers(&made["offers"]), [(1, "1000000000"), (4, "2000000000")]);
        let key = made["stream_key"].as_str().expect("a key");
        let stream = made["playback_id"].as_str().expect("an id");
        let reprice = ["stream", "price", stream, "--account", "alice", "--price", "medium=0.5"];
        let offered = told(&tickcast(folder, &[&reprice[..], &place].concat()));
        assert_eq!(offers(&offered), [(2, "500000000000")]);
        let free = told(&tickcast(folder, &[&["stream", "create", "Morning"][..], &place].concat()));
        assert_eq!(free["offers"].as_array().map_or(0, Vec::len), 0);

        let listed = tickcast(folder, &[&["stream", "list"][..], &place].concat());
        let streams = told(&listed);
        let titles: Vec<_> =
            streams.as_array().expect("streams").iter().map(|one| one["title"].as_str()).collect();
        assert_eq!(titles.len(), 2);
        assert!(titles.contains(&Some("Evening")) && titles.contains(&Some("Morning")));
        assert!(!String::from_utf8_lossy(&listed.stdout).contains(key), "a list has no keys");

        for (bad, why) in [
            (&["--account", "alice", "--price", "0"][..], "more than nothing"),
            (&["--account", "nobody", "--price", "1"], "nobody"),
            (&["--price", "1"], "--account"),
            (&["--account", "alice", "--price", "best=1"], "very_low"),
            (&["--account", "alice", "--price", "1", "--price", "low=2"], "costs no less than a lower one"),
        ] {
            let said = refused(&tickcast(folder, &[&["stream", "create", "Bad"][..], bad, &place].concat()));
            assert!(said.contains(why), "{bad:?}: {said}");
        }
        let rotate = ["stream", "key", stream];
        let elsewhere = ["--node", &node, "--wallet-folder", "another"];
        let nobodys = refused(&tickcast(folder, &[&rotate[..], &elsewhere].concat()));
        assert!(nobodys.contains("name it with --account"), "{nobodys}");
        // This wallet has the account that is paid for it.
        let rotated = told(&tickcast(folder, &[&rotate[..], &place].concat()));
        assert_ne!(rotated["stream_key"], key);
        // Over for good, with what was recorded of it.
        std::fs::write(folder.join("recording.mp4"), "hello world").expect("a file");
        let end = ["stream", "archive", stream, "--account", "alice", "--recording", "recording.mp4"];
        assert_eq!(told(&tickcast(folder, &[&end[..], &place].concat()))["status"], "archived");
        let again = refused(&tickcast(folder, &[&reprice[..], &place].concat()));
        assert!(again.contains("over for good"), "{again}");
        let free = free["playback_id"].as_str().expect("an id");
        told(&tickcast(folder, &[&["stream", "archive", free][..], &place].concat()));
        let wrong = ["stream", "archive", free, "--recording", "nowhere.mp4"];
        let said = refused(&tickcast(folder, &[&wrong[..], &place].concat()));
        assert!(said.contains("nowhere.mp4"), "{said}");
        let Market { node, chain, .. } = market;
        node.stop().await;
        chain.stop().await;
    });
}
