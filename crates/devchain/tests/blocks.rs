//! Blocks: made, lost, kept over restarts, asked for by clients that ask for nonsense.

mod rpc;

use std::net::SocketAddr;

use devchain::{
    Config, Devchain, DevchainError, Fate, Finality, Sealing, Transactions, development_accounts,
};
use serde_json::{Value, json};
use tickcast_devchain as devchain;

async fn start(config: Config) -> Devchain {
    Devchain::start(config).await.expect("the loopback address has a free port")
}

async fn ask(address: SocketAddr, method: &'static str, params: Value) -> Result<Value, Value> {
    tokio::task::spawn_blocking(move || rpc::ask(address, method, &params)).await.expect("it does not panic")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn two_chains_begin_alike_and_one_with_other_money_does_not() {
    let (one, other) = (start(Config::by_hand()).await, start(Config::by_hand()).await);
    assert_eq!(one.genesis(), other.genesis());
    let richer = start(Config::by_hand().with_funded([([9; 32], 1_000_000_000_000)])).await;
    assert_ne!(one.genesis(), richer.genesis());
}

#[tokio::test]
async fn a_restart_goes_on_with_the_same_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: Some(folder.path().to_owned()), ..Config::by_hand() };
    let devchain = start(config.clone()).await;
    for _ in 0..4 {
        devchain.seal().unwrap();
    }
    devchain.finalize(2).unwrap();
    devchain.reorganize(1, Transactions::Kept).unwrap();
    let heads = (devchain.genesis(), devchain.best(), devchain.finalized());
    devchain.stop().await;
    let devchain = start(config.clone()).await;
    assert_eq!((devchain.genesis(), devchain.best(), devchain.finalized()), heads);
    assert_eq!(devchain.seal().unwrap().number, 6);
    devchain.stop().await;
    let refused = Devchain::start(config.with_funded([([9; 32], 1_000_000_000_000)])).await.err();
    assert!(matches!(refused, Some(DevchainError::Chain(_))), "{refused:?}");
}

#[tokio::test]
async fn blocks_that_were_changed_on_disk_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: Some(folder.path().to_owned()), ..Config::by_hand() };
    let devchain = start(config.clone()).await;
    devchain.seal().unwrap();
    devchain.stop().await;
    let path = folder.path().join("blocks");
    let mut bytes = std::fs::read(&path).unwrap();
    // The time that the block tells, in its last bytes.
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let refused = Devchain::start(config).await.err().map(|error| error.to_string());
    assert_eq!(refused.as_deref(), Some("block 1 on disk does not follow from those before it"));
}

#[tokio::test]
async fn only_blocks_that_are_not_final_lose() {
    let devchain = start(Config::by_hand()).await;
    for _ in 0..3 {
        devchain.seal().unwrap();
    }
    let third = devchain.best();
    devchain.finalize(2).unwrap();
    assert!(devchain.reorganize(2, Transactions::Kept).is_err());
    assert_eq!(devchain.best(), third);
    let best = devchain.reorganize(1, Transactions::Kept).unwrap();
    assert_eq!(best.number, 4);
    let url = devchain.endpoint().address();
    let now_third = ask(url, "chain_getBlockHash", json!([3])).await.unwrap();
    assert_ne!(now_third, json!(hex(&third.hash)));
    assert_eq!(devchain.fate([1; 32]), Fate::Unknown);
}

#[tokio::test]
async fn blocks_come_by_the_clock_until_it_is_stopped() {
    let period = std::time::Duration::from_millis(1);
    let config =
        Config { sealing: Sealing::Every(period), finality: Finality::Behind(1), ..Config::default() };
    let devchain = start(config).await;
    while devchain.finalized().number < 3 {
        tokio::task::yield_now().await;
    }
    devchain.set_sealing(Sealing::ByHand);
    devchain.set_finality(Finality::ByHand).unwrap();
    // A block that was begun before is done with the first that is asked for.
    devchain.seal().unwrap();
    let best = devchain.best().number;
    assert_eq!(devchain.seal().unwrap().number, best + 1);
}

#[tokio::test]
async fn the_clock_can_be_set_but_a_block_is_later_than_its_parent() {
    let devchain = start(Config::by_hand()).await;
    let url = devchain.endpoint().address();
    let time = async || {
        let best = devchain.best().hash;
        // twox128 of `Timestamp` and of `Now`, as every Substrate chain has it.
        let key = "0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb";
        let value = ask(url, "state_getStorage", json!([key, hex(&best)])).await.unwrap();
        let digits = value.as_str().unwrap().strip_prefix("0x").unwrap().to_owned();
        u64::from_str_radix(&digits, 16).unwrap().swap_bytes()
    };
    devchain.seal().unwrap();
    let first = time().await;
    devchain.step_clock(3_600_000);
    devchain.seal().unwrap();
    let second = time().await;
    assert!((3_600_000..3_700_000).contains(&(second - first)), "{}", second - first);
    devchain.step_clock(-7_200_000);
    devchain.seal().unwrap();
    assert_eq!(time().await, second + 1);
}

#[tokio::test]
async fn nonsense_is_refused_and_the_chain_goes_on() {
    let devchain = start(Config::by_hand()).await;
    let url = devchain.endpoint().address();
    for (method, params) in [
        ("state_call", json!(["AccountNonceApi_account_nonce", "0x00"])),
        ("state_call", json!(["Nonsense_call", "0x"])),
        ("state_call", json!(["Core_version", "zz"])),
        ("state_call", json!(["Core_version", "0x", hex(&[1; 32])])),
        ("state_getKeysPaged", json!(["0x", 5_000])),
        ("author_submitExtrinsic", json!(["0x1234"])),
        ("author_submitExtrinsic", json!(["0x"])),
        ("author_submitExtrinsic", json!([])),
        ("chain_getBlockHash", json!([{}])),
        ("system_accountNextIndex", json!(["nobody"])),
        ("payment_queryInfo", json!(["0x00"])),
        ("no_such_method", json!([])),
    ] {
        assert!(ask(url, method, params.clone()).await.is_err(), "{method} {params}");
    }
    assert_eq!(ask(url, "chain_getBlockHash", json!([7])).await, Ok(Value::Null));
    assert_eq!(ask(url, "chain_getHeader", json!([hex(&[1; 32])])).await, Ok(Value::Null));
    devchain.seal().unwrap();
    let alice = development_accounts()[0].address();
    assert_eq!(ask(url, "system_accountNextIndex", json!([alice])).await, Ok(json!(0)));
}

#[tokio::test]
async fn clients_find_the_metadata_that_they_look_for() {
    let devchain = start(Config::by_hand()).await;
    let url = devchain.endpoint().address();
    let versions = ask(url, "state_call", json!(["Metadata_metadata_versions", "0x"])).await.unwrap();
    // A list of three: 14, 15, 16.
    assert_eq!(versions, json!("0x0c0e0000000f00000010000000"));
    let newest = ask(url, "state_call", json!(["Metadata_metadata_at_version", "0x10000000"])).await.unwrap();
    let newest = newest.as_str().unwrap();
    // Some; then, after its length, the magic number and the version.
    assert!(newest.starts_with("0x01") && &newest[12..22] == "6d65746110", "{}", &newest[..20]);
    let methods = ask(url, "rpc_methods", json!([])).await.unwrap();
    assert!(methods["methods"].as_array().unwrap().contains(&json!("author_submitAndWatchExtrinsic")));
}
