//! `tickcast watch --wallet`: a broadcast with a price, a chain, and a viewer's own account that pays by the second.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pay::PriceTier;
use api::{Client, CreateStream, CreatedStream};
use chain::{Call, EscrowRail, Rail, RailError, Settings, TransferRail};
use devchain::{Finality, Transactions, development_accounts};
use node::{AuditReport, ChainConfig, Node, NodeConfig};
use pay::{
    Amount, ChannelId, Delegation, KeyScheme, Keypair, Phase, Price, RailKind, Signed, Signer, UnixMillis,
};
use serde_json::Value;
use testkit::LoggedChild;
use wallet::history::Outcome;
use wallet::{ChannelStatus, Name, SecretText, Unit, Wallet, key_from_secret};

use crate::any_chain::AnyChain;
use crate::broadcasts::{LIMIT, TICKCAST, engine, whip_output};
use crate::market::until;
use crate::paused_window::signed;

pub const PRICE: u128 = 10_000_000_000;
const PASSPHRASE: &str = "a passphrase of the test";
const DAY_MS: u64 = 86_400_000;

pub fn now() -> UnixMillis {
    media::WallTime::from_system(std::time::SystemTime::now()).into()
}

/// A chain, a node that is paid on it, and a creator with a stream.
pub struct Market {
    pub chain: AnyChain,
    pub rail: Arc<EscrowRail>,
    pub node: Node,
    client: Client,
    pub creator: Arc<Keypair>,
    pub folder: tempfile::TempDir,
    price: u128,
}

impl Market {
    pub async fn open() -> Self {
        Self::open_with(PRICE, |_| {}).await
    }

    /// A second costs so much, and the node is paid as it is set.
    pub async fn open_with(price: u128, set: impl FnOnce(&mut ChainConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let chain = AnyChain::start(devchain::Config::default()).await;
        let rail = EscrowRail::connect(Settings::new([chain.url()])).await.expect("the chain answers");
        let mut paid =
            ChainConfig { endpoints: vec![chain.url()], dispute_window_s: 60, ..ChainConfig::default() };
        set(&mut paid);
        let mut config = NodeConfig { chain: Some(paid), ..NodeConfig::loopback(folder.path().join("node")) };
        // This process is none that transcodes.
        config.transcode.executable = TICKCAST.into();
        let node = Node::start(config).await.expect("a node");
        let client = Client::new(format!("http://{}", node.addresses().http)).expect("an address");
        let alice = development_accounts().into_iter().find(|account| account.uri == "//Alice");
        let seed = alice.expect("the chain has an Alice").seed;
        let creator = Arc::new(Keypair::from_seed(KeyScheme::Sr25519, &seed.into()));
        Self { chain, rail: Arc::new(rail), node, client, creator, folder, price }
    }

    pub async fn create(&self) -> CreatedStream {
        self.create_for(vec![tier(3, 720, self.price)]).await
    }

    async fn create_for(&self, prices: Vec<PriceTier>) -> CreatedStream {
        let info = self.client.pay_info().await.expect("the node's terms");
        let rail = info.rail.expect("the node has a chain");
        let creator = self.client.login(self.creator.as_ref()).await.expect("a login");
        let delegation = Delegation {
            genesis: rail.genesis,
            payee: self.creator.public(),
            node: info.node_key,
            from: now(),
            until: now().plus(DAY_MS),
        };
        let delegation = Signed::sign(delegation, self.creator.as_ref()).expect("a key signs");
        self.client.delegate(&creator, &delegation).await.expect("the node takes the delegation");
        let fees = Amount::new(10 * 10_u128.pow(rail.decimals.into()));
        let fees = Call::Transfer { to: info.node_key.account(), amount: fees };
        self.rail
            .submit(fees, Arc::clone(&self.creator) as _)
            .await
            .expect("the node gets something for fees");
        let request = CreateStream { title: "Paid".into(), prices, ..CreateStream::default() };
        self.client.create_stream_as(&creator, &request).await.expect("a stream")
    }

    pub async fn wait_until_live(&self, stream: &CreatedStream) {
        let (end, mut turns) = (Instant::now() + LIMIT, tokio::time::interval(Duration::from_millis(100)));
        loop {
            turns.tick().await;
            let info = self.client.stream(&stream.playback_id).await.expect("the node answers");
            if info.renditions.iter().filter(|rendition| rendition.width > 0).count() >= 2 {
                return;
            }
            assert!(Instant::now() < end, "the stream does not become live");
        }
    }

    /// The viewer's wallet, with an account that has money.
    pub fn wallet(&self) -> Wallet {
        let wallet = Wallet::open(self.folder.path().join("wallet")).expect("a wallet");
        // What Substrate's documentation prints, and everybody has.
        let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Bob";
        let key = key_from_secret(KeyScheme::Sr25519, phrase).expect("a development account");
        let (name, passphrase) = (Name::new("bob"), SecretText::new(PASSPHRASE));
        wallet
            .add(&name.expect("a name"), &key, &passphrase.expect("a text"), now())
            .expect("the account is taken in");
        std::fs::write(self.folder.path().join("passphrase"), format!("{PASSPHRASE}\n")).expect("a file");
        wallet
    }

    /// Watches for some seconds; the passphrase comes over a descriptor that the shell opens.
    fn viewer(&self, stream: &CreatedStream, seconds: &str, rest: &[&str]) -> LoggedChild {
        let unit = Unit::new(&self.rail.info().symbol, self.rail.info().decimals);
        let mut command = Command::new("sh");
        command
            .current_dir(self.folder.path())
            .args([
                "-c",
                "exec \"$0\" \"$@\" 3<passphrase",
                TICKCAST,
                "--log",
                "info",
                "watch",
                "--headless",
                "--json",
            ])
            .args(["--wallet", "bob", "--wallet-folder", "wallet", "--passphrase-fd", "3", "--yes"])
            .args(["--cap", &unit.decimal(Amount::new(1_000 * self.price)), "--seconds", seconds])
            .args(rest)
            .arg(&stream.watch_url);
        LoggedChild::spawn("the viewer", &mut command).expect("a viewer")
    }

    fn watch(&self, stream: &CreatedStream, seconds: &str, rest: &[&str]) -> Value {
        report_of(self.viewer(stream, seconds, rest))
    }

    /// What a viewer is told that is turned away before it signs anything.
    fn is_refused(&self, stream: &CreatedStream) -> String {
        self.is_refused_with(stream, &[])
    }

    fn is_refused_with(&self, stream: &CreatedStream, rest: &[&str]) -> String {
        let mut viewer = self.viewer(stream, "4", rest);
        let status = viewer.wait(LIMIT).expect("the viewer ends by itself");
        assert!(!status.success(), "{}", viewer.output().join("\n"));
        viewer.errors()
    }

    async fn phase(&self, channel: ChannelId) -> Phase {
        self.rail.channel(channel).await.expect("the chain answers").expect("the channel").finalized
    }
}

fn tier(tier: u8, max_lines: u16, price: u128) -> PriceTier {
    let price = Price::new(Amount::new(price)).expect("a price");
    PriceTier { tier, price, grace_ticks: 5, max_lines, max_kbps: 8_000 }
}

fn units(value: &Value) -> u128 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no amount"))
}

fn count(value: &Value) -> u128 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count")).into()
}

#[test]
fn a_wallet_pays_for_each_second_that_played_and_goes_on_with_its_channel() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let wallet = market.wallet();

        // In whose unit the cap is meant is not for the node to say.
        let refused = tokio::task::block_in_place(|| market.is_refused(&stream));
        assert!(refused.contains("name it yourself the first time, with --chain"), "{refused}");
        assert_eq!(wallet.channels().expect("the wallet's channels"), []);

        let chain = market.chain.url();
        let first = tokio::task::block_in_place(|| market.watch(&stream, "4", &["--chain", &chain]));
        let paid = &first["payment"];
        println!("{first:#}");
        let played = count(&paid["seconds_played"]);
        assert!(played > 0, "{paid}");
        // The prepaid second is the first that played.
        assert_eq!(units(&paid["paid"]), played * PRICE, "{paid}");
        assert_eq!((&paid["paid"], &paid["acknowledged"], &paid["closed"]), (&paid["total"], &true.into(), &false.into()));
        let channel: ChannelId = paid["channel"].as_str().and_then(|text| text.parse().ok()).expect("a channel");
        assert_eq!(wallet.spent(channel).expect("the wallet knows").units(), played * PRICE);
        assert!(matches!(market.phase(channel).await, Phase::Open(funds) if funds.deposit.units() == 1_000 * PRICE));

        // The same channel again, on a chain that is known by now, and this time it is closed.
        let second = tokio::task::block_in_place(|| market.watch(&stream, "4", &["--close"]));
        let paid = &second["payment"];
        println!("{second:#}");
        let all = played + count(&paid["seconds_played"]);
        assert!(all > played, "{paid}");
        assert_eq!((paid["channel"].as_str(), units(&paid["total"])), (Some(channel.to_string().as_str()), all * PRICE));
        assert_eq!((&paid["acknowledged"], &paid["closed"]), (&true.into(), &true.into()), "{paid}");
        assert_eq!(market.phase(channel).await, Phase::Closed { paid: Amount::new(all * PRICE) });
        let known = wallet.channels().expect("the wallet's channels");
        assert_eq!(known.iter().map(|known| known.status).collect::<Vec<_>>(), [ChannelStatus::Closed]);

        // An endpoint that counts with two decimals more than were known would make a hundred of one.
        let book = market.folder.path().join("wallet/book.json");
        let text = std::fs::read_to_string(&book).expect("the wallet's book");
        let decimals = market.rail.info().decimals;
        let fewer = text.replace(&format!("\"decimals\": {decimals}"), &format!("\"decimals\": {}", decimals - 2));
        assert_ne!(fewer, text);
        std::fs::write(&book, fewer).expect("the book is written");
        let refused = tokio::task::block_in_place(|| market.is_refused(&stream));
        assert!(refused.contains("do not trust the endpoint"), "{refused}");

        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        let audit = market.close().await;
        assert_eq!((audit.accepted.units(), audit.settled.units()), (all * PRICE, all * PRICE));
    });
}

/// A chain whose blocks are final when a test says so, and a viewer of ten seconds that has paid the first of them.
async fn watched_before_finality(
    market: &Market,
    wallet: &Wallet,
    stream: &CreatedStream,
) -> (LoggedChild, ChannelId) {
    market.chain.devchain().set_finality(Finality::ByHand).expect("no block is final any more");
    let chain = market.chain.url();
    let viewer = market.viewer(stream, "10", &["--chain", &chain]);
    until("it pays", async || (seconds(wallet) >= 1).then_some(())).await;
    let [known] = &wallet.channels().expect("the wallet's channels")[..] else { panic!("one channel") };
    let id = known.terms.id();
    let state = market.rail.channel(id).await.expect("the chain answers").expect("the channel");
    assert_eq!((state.finalized, matches!(state.head, Phase::Open(_))), (Phase::Absent, true));
    assert_eq!(known.status, ChannelStatus::Prepared);
    (viewer, id)
}

/// Signed for so far.
fn seconds(wallet: &Wallet) -> u128 {
    signed(wallet) / PRICE
}

/// The report of a viewer that ends by itself.
fn report_of(mut viewer: LoggedChild) -> Value {
    let status = viewer.wait(LIMIT).expect("the viewer ends by itself");
    let (said, errors) = (viewer.output().join("\n"), viewer.errors());
    assert!(status.success(), "{said}\n{errors}");
    assert!(!said.contains(PASSPHRASE) && !errors.contains(PASSPHRASE));
    serde_json::from_str(&said).unwrap_or_else(|err| panic!("{err}: {said}\n{errors}"))
}

/// The blocks that have the opening lose, and its transaction is forgotten with them.
async fn lose_opening(market: &Market, id: ChannelId) {
    let chain = market.chain.devchain();
    let above = chain.best().number - chain.finalized().number;
    chain.reorganize(above, Transactions::Forgotten).expect("the blocks lose");
    assert_eq!(market.rail.channel(id).await.expect("the chain answers"), None);
}

impl Market {
    /// Blocks are final again, as they usually are.
    fn finalize(&self) {
        self.chain.devchain().set_finality(Finality::Behind(2)).expect("blocks are final again");
    }

    /// The node ends; its books, which are proved by the chain.
    async fn close(self) -> AuditReport {
        let Self { node, chain, rail, folder, .. } = self;
        node.stop().await;
        let rail = rail as Arc<dyn Rail>;
        let audit = node::audit(&folder.path().join("node"), Some(rail)).await.expect("an audit");
        assert!(audit.is_clean(), "{:?}", audit.findings);
        chain.stop().await;
        audit
    }
}

#[test]
fn a_picture_does_not_wait_for_the_final_block_and_what_becomes_of_the_opening_is_kept() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let wallet = market.wallet();
        let (viewer, id) = watched_before_finality(&market, &wallet, &stream).await;
        until("more than the grace is paid", async || (seconds(&wallet) > 6).then_some(())).await;
        market.finalize();
        let report = tokio::task::block_in_place(|| report_of(viewer));
        let paid = &report["payment"];
        assert_eq!((&paid["not_final"], &paid["acknowledged"]), (&Value::Null, &true.into()), "{paid}");
        let [known] = &wallet.channels().expect("the wallet's channels")[..] else { panic!("one channel") };
        assert_eq!(known.status, ChannelStatus::Open);
        let history = wallet.history().expect("the wallet's history");
        assert!(
            history.iter().any(|event| event.outcome == Outcome::Done && event.fee.is_some()),
            "{history:?}"
        );
        let settled = async || {
            let state = market.rail.channel(id).await.ok().flatten()?;
            (state.finalized.settled().units() == units(&paid["total"])).then_some(())
        };
        until("it is settled", settled).await;
        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        let Market { node, chain, .. } = market;
        node.stop().await;
        chain.stop().await;
    });
}

#[test]
fn an_opening_whose_block_loses_is_brought_again_and_everything_that_played_is_paid_once() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let wallet = market.wallet();
        let (viewer, id) = watched_before_finality(&market, &wallet, &stream).await;
        lose_opening(&market, id).await;
        market.finalize();
        let report = tokio::task::block_in_place(|| report_of(viewer));
        let paid = &report["payment"];
        assert_eq!(paid["not_final"], Value::Null, "{paid}");
        let settled = async || {
            let state = market.rail.channel(id).await.ok().flatten()?;
            (state.finalized.settled().units() == wallet.spent(id).expect("the wallet knows").units())
                .then_some(())
        };
        until("it is settled", settled).await;
        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        market.close().await;
    });
}

#[test]
fn an_opening_whose_place_another_transaction_takes_ends_the_show_and_says_so() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let wallet = market.wallet();
        let (mut viewer, id) = watched_before_finality(&market, &wallet, &stream).await;
        lose_opening(&market, id).await;
        let bob = development_accounts().into_iter().find(|account| account.uri == "//Bob");
        let bob = Keypair::from_seed(KeyScheme::Sr25519, &bob.expect("the chain has a Bob").seed.into());
        market.finalize();
        let other = Call::Transfer { to: market.creator.public().account(), amount: Amount::new(PRICE) };
        market.rail.submit(other, Arc::new(bob)).await.expect("the same account's transfer");
        let status = tokio::task::block_in_place(|| viewer.wait(LIMIT)).expect("the viewer ends by itself");
        assert!(
            !status.success() && viewer.errors().contains("the channel is at its end"),
            "{}",
            viewer.errors()
        );
        assert_eq!(market.rail.channel(id).await.expect("the chain answers"), None);
        let [known] = &wallet.channels().expect("the wallet's channels")[..] else { panic!("one channel") };
        let said: Value = serde_json::from_str(&viewer.output().join("\n")).expect("a report");
        let why = said["payment"]["not_final"].as_str().expect("it says so");
        assert!(why.contains("another transaction took its nonce"), "{why}");
        assert_eq!(known.status, ChannelStatus::Failed);
        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        assert_eq!(market.close().await.settled.units(), 0);
    });
}

#[test]
fn a_viewer_of_the_low_tier_pays_its_price_and_is_sent_no_higher_layer() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create_for(vec![tier(0, 180, PRICE), tier(3, 720, 3 * PRICE)]).await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        market.wallet();
        let chain = market.chain.url();
        // Nobody is made to pay more a second than was said.
        let dear = ["--tier", "high", "--chain", &chain, "--max-price", "0.02"];
        let refused = tokio::task::block_in_place(|| market.is_refused_with(&stream, &dear));
        assert!(refused.contains("more than --max-price allows"), "{refused}");
        // Each asks for the best: by itself a busy machine's bandwidth would choose.
        let rest: [&[&str]; 2] = [
            &["--tier", "very_low", "--quality", "high"],
            &["--tier", "high", "--max-price", "0.03", "--quality", "high"],
        ];
        let [low, best] = rest.map(|rest| tokio::task::block_in_place(|| market.watch(&stream, "8", rest)));
        let bought = |seen: &Value| (seen["player"]["rendition"].clone(), units(&seen["payment"]["price"]));
        // The line carries both renditions: who pays for the better one gets it. A player calls them by their lines.
        assert_eq!(bought(&best), ("low".into(), 3 * PRICE), "{best:#}");
        assert_eq!(bought(&low), ("very_low".into(), PRICE), "{low:#}");
        assert_eq!(
            units(&low["payment"]["paid"]),
            count(&low["payment"]["seconds_played"]) * PRICE,
            "{low:#}"
        );
        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        market.node.stop().await;
        market.chain.stop().await;
    });
}

/// A second's price that is worth a transfer, and how many of them may be owed.
const DEAR: u128 = 100_000_000_000;
const WINDOW: u128 = 7;

/// Where nothing is locked.
async fn market_on_credit() -> Market {
    Market::open_with(DEAR, |chain| {
        chain.rail = RailKind::Transfer;
        (chain.credit_window, chain.finality_s) = (Amount::new(WINDOW * DEAR), 4);
    })
    .await
}

#[test]
fn a_wallet_pays_by_transfers_as_it_plays_where_nothing_is_locked() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = market_on_credit().await;
        let stream = market.create().await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        let wallet = market.wallet();

        let chain = market.chain.url();
        let first = tokio::task::block_in_place(|| market.watch(&stream, "12", &["--chain", &chain]));
        let paid = &first["payment"];
        println!("{first:#}");
        let played = count(&paid["seconds_played"]);
        // More than it may owe: it paid while it played.
        assert!(played > WINDOW, "{paid}");
        assert_eq!(
            (units(&paid["paid"]), units(&paid["transferred"])),
            (played * DEAR, played * DEAR),
            "{paid}"
        );
        assert_eq!((units(&paid["owed"]), &paid["not_transferred"]), (0, &Value::Null), "{paid}");

        let second = tokio::task::block_in_place(|| market.watch(&stream, "4", &[]));
        let again = &second["payment"];
        println!("{second:#}");
        let all = played + count(&again["seconds_played"]);
        assert!(all > played, "{again}");
        assert_eq!(
            (&again["channel"], units(&again["transferred"])),
            (&paid["channel"], all * DEAR),
            "{again}"
        );
        // Nothing was ever locked.
        let known = wallet.channels().expect("the wallet's accounts");
        assert_eq!(known.iter().map(|known| known.deposit.units()).collect::<Vec<_>>(), [all * DEAR]);

        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        let Market { node, chain, folder, .. } = market;
        let rail = TransferRail::connect(Settings::new([chain.url()])).await.expect("the chain answers");
        node.stop().await;
        let audit = node::audit(&folder.path().join("node"), Some(Arc::new(rail))).await.expect("an audit");
        assert!(audit.is_clean(), "{:?}", audit.findings);
        assert_eq!((audit.accepted.units(), audit.settled.units()), (all * DEAR, all * DEAR));
        chain.stop().await;
    });
}

#[test]
fn an_account_that_is_drained_while_it_plays_stops_playing_and_owes_no_more_than_its_window() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = market_on_credit().await;
        let stream = market.create().await;
        let mut engine = engine(market.folder.path(), &whip_output(&stream));
        market.wait_until_live(&stream).await;
        market.wallet();
        let mut viewer = market.viewer(&stream, "120", &["--chain", &market.chain.url()]);
        let books = async || node::audit(&market.folder.path().join("node"), None).await.expect("an audit");
        let (end, mut turns) = (Instant::now() + LIMIT, tokio::time::interval(Duration::from_millis(100)));
        while books().await.settled.is_zero() {
            turns.tick().await;
            assert!(Instant::now() < end, "nothing is transferred: {}", viewer.errors());
        }
        let bob = development_accounts().into_iter().find(|account| account.uri == "//Bob");
        let bob = Keypair::from_seed(KeyScheme::Sr25519, &bob.expect("the chain has a Bob").seed.into());
        let (account, bob) = (bob.public().account(), Arc::new(bob));
        // What he had may be less by the time that it is sent: the viewer transfers from it too.
        let drained = async || {
            let left = market.rail.balance(account).await.expect("the chain answers").units();
            // Not to the creator, which would be paid ahead by it; what is left is less than is transferred next.
            let all = Call::Transfer { to: pay::AccountId([9; 32]), amount: Amount::new(left - DEAR) };
            market.rail.submit(all, Arc::clone(&bob) as _).await
        };
        while let Err(err) = drained().await {
            assert!(matches!(err, RailError::TooLittle(_)) && Instant::now() < end, "{err}");
        }
        let status = tokio::task::block_in_place(|| viewer.wait(LIMIT)).expect("the viewer ends by itself");
        assert!(!status.success() && viewer.errors().contains("could not be paid"), "{}", viewer.errors());
        assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
        let Market { node, chain, folder, .. } = market;
        let rail = TransferRail::connect(Settings::new([chain.url()])).await.expect("the chain answers");
        node.stop().await;
        let audit = node::audit(&folder.path().join("node"), Some(Arc::new(rail))).await.expect("an audit");
        assert!(audit.is_clean(), "{:?}", audit.findings);
        let owed = audit.accepted.checked_sub(audit.settled).expect("more was watched than paid").units();
        assert!(owed <= WINDOW * DEAR && !audit.settled.is_zero(), "{owed} are owed");
        chain.stop().await;
    });
}

#[test]
fn a_paid_stream_is_not_watched_without_a_wallet() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let market = Market::open().await;
        let stream = market.create().await;
        for (arguments, expected) in [(&["--free"][..], "is not free"), (&[], "--wallet")] {
            let mut command = Command::new(TICKCAST);
            command.args(["watch", "--headless"]).args(arguments).arg(&stream.watch_url);
            let output = tokio::task::block_in_place(|| command.output()).expect("the viewer runs");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && told.contains(expected), "{told}");
        }
        market.node.stop().await;
        market.chain.stop().await;
    });
}
