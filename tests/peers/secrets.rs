//! Where secrets are, and where they are not: the memory of a viewer's process while its wallet signs and after, the
//! Desk, its web view and the Stage, and what all of them log.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chain::{Call, Rail};
use devchain::Sealing;
use pay::{Amount, KeyScheme};
use testkit::memory::holds;
use testkit::{LoggedChild, wait_until};
use wallet::{Name, SecretText, Wallet, key_from_secret};

use crate::broadcasts::{LIMIT, TICKCAST, engine, whip_output};
use crate::paying::{Market, PRICE, now};

/// Nobody's but this test's, and nothing that any program would have by itself.
pub const SEED: [u8; 32] =
    *b"\x91\x1e\xd5\x02\xc3\x7aunguessable\x00\xf3\x8e\xb1\x6c\x05\xd9\x27\xee\x40\x99\x1b\x7f\x53\xa8";
pub const PASSPHRASE: &str = "violet anvil seventeen herons";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An account of the seed. Its kind of key is the one whose secret is the seed itself, as long as it is unlocked.
pub fn keep_account(folder: &Path) -> Wallet {
    let wallet = Wallet::open(folder.to_owned()).expect("a wallet");
    let key = key_from_secret(KeyScheme::Ed25519, &format!("0x{}", hex(&SEED))).expect("a key");
    let (name, passphrase) = (Name::new("viewer"), SecretText::new(PASSPHRASE));
    wallet
        .add(&name.expect("a name"), &key, &passphrase.expect("a text"), now())
        .expect("the account is taken in");
    wallet
}

/// Whether a process holds the seed, its digits, the passphrase.
pub fn secrets_of(process: u32) -> [bool; 3] {
    let digits = hex(&SEED);
    let found = holds(process, &[&SEED, digits.as_bytes(), PASSPHRASE.as_bytes()]);
    let found =
        found.unwrap_or_else(|err| panic!("the memory of process {process} (this takes root): {err}"));
    found.try_into().expect("as many answers")
}

#[test]
fn a_viewers_process_has_its_accounts_key_while_that_signs_and_forgets_it_and_the_passphrase() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let account =
            keep_account(&market.folder.path().join("wallet")).account("viewer").expect("it is there");
        let funds = Call::Transfer { to: account.account, amount: Amount::new(100_000_000_000_000) };
        market.rail.submit(funds, market.creator.clone()).await.expect("the viewer gets something to spend");
        // The opening of the channel will wait, and the key that signed it with it.
        market.chain.devchain().set_sealing(Sealing::ByHand);

        let (folder, cap) = (market.folder.path(), "10");
        std::fs::write(folder.join("passphrase"), format!("{PASSPHRASE}\n")).expect("a file");
        let mut command = Command::new("sh");
        command.current_dir(folder);
        command.args(["-c", "exec \"$0\" \"$@\" 3<passphrase 2>log", TICKCAST, "--log", "debug", "watch"]);
        command.args(["--headless", "--json", "--wallet", "viewer", "--wallet-folder", "wallet", "--yes"]);
        command.args([
            "--passphrase-fd",
            "3",
            "--cap",
            cap,
            "--chain",
            &market.chain.url(),
            &stream.watch_url,
        ]);
        let mut viewer = LoggedChild::spawn("the viewer", &mut command).expect("a viewer");
        let waits = || (market.chain.devchain().waiting() > 0).then_some(());
        tokio::task::block_in_place(|| wait_until("the channel's opening", LIMIT, waits))
            .expect("it is sent");
        assert!(secrets_of(viewer.id())[0], "the search finds the key that has just signed");

        market.chain.devchain().set_sealing(Sealing::Every(Duration::from_secs(1)));
        let node = folder.join("node");
        let mut turns = tokio::time::interval(Duration::from_millis(200));
        while node::audit(&node, None).await.expect("an audit").accepted < Amount::new(2 * PRICE) {
            turns.tick().await;
            assert!(
                !viewer.has_ended(),
                "{}",
                std::fs::read_to_string(folder.join("log")).unwrap_or_default()
            );
        }
        assert_eq!(secrets_of(viewer.id()), [false; 3], "the seed, its digits, the passphrase");

        let status = tokio::task::block_in_place(|| viewer.terminate(LIMIT)).expect("it ends");
        let log = std::fs::read(folder.join("log")).expect("a log");
        let said = viewer.output().join("\n") + &String::from_utf8_lossy(&log);
        assert!(status.success() && !log.is_empty(), "{said}");
        assert!(!said.contains(PASSPHRASE) && !said.to_lowercase().contains(&hex(&SEED)));
        assert!(!log.windows(SEED.len()).any(|window| window == SEED));
        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        let Market { node, chain, .. } = market;
        node.stop().await;
        chain.stop().await;
    });
}
