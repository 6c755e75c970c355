//! A chain, a node in a process of its own that is paid on it, and a creator with streams that cost something. The node
//! can be killed and started again, and the chain taken away and given back: each keeps its folder and its ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use api::pay::PriceTier;
use api::{Client, CreateStream, CreatedStream};
use chain::{Call, ChannelState, Rail, Settings, TxSigner};
use devchain::{Config, development_accounts};
use node::AuditReport;
use pay::{
    AccountId, Amount, ChannelId, Delegation, Genesis, KeyScheme, Keypair, Price, RailKind, Signed, Signer,
    UnixMillis,
};
use testkit::tickcast::Node;

use crate::any_chain::AnyChain;
use crate::broadcasts::{LIMIT, TICKCAST};
use crate::payer::Payer;

/// Of a second: some of them are worth a transfer.
pub const PRICE: u128 = 100_000_000_000;
/// Of each channel: more seconds than any test lasts.
pub const DEPOSIT: u128 = 10_000 * PRICE;
pub const GRACE_TICKS: u16 = 5;
pub const DAY_MS: u64 = 86_400_000;
/// What an account holds when the chain begins.
const PURSE: u128 = 10 * DEPOSIT;
/// The lowest of the ladder: viewers are many, and decode for themselves.
pub const TIER: u8 = 0;
/// From here on the system gives ports to whoever asks for any: a port below it stays free while its owner is away.
const EPHEMERAL: u16 = 32_768;
const FIRST_PORT: u16 = 20_000;
/// What a node expects of a chain that makes four blocks a second.
const FINALITY_S: u64 = 4;

pub fn now() -> UnixMillis {
    media::WallTime::from_system(std::time::SystemTime::now()).into()
}

/// A person's account, with money on every chain of these tests.
pub fn account(number: u8) -> Keypair {
    Keypair::from_seed(KeyScheme::Sr25519, &[number; 32].into())
}

/// A port of this machine's loopback that keeps, for TCP and UDP.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = EPHEMERAL - FIRST_PORT;
    // Processes that run at the same time have numbers near each other.
    let begin = std::process::id().wrapping_mul(16) % u32::from(span);
    let begin = u16::try_from(begin).expect("less than the span");
    for _ in 0..span {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + begin.wrapping_add(step) % span;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// What a market is made of.
#[derive(Clone)]
pub struct Rules {
    pub chain: Config,
    pub dispute_window_s: u64,
    /// Accounts of these numbers have money.
    pub people: u8,
    /// The chain is paid on by plain transfers: so many seconds may be owed. Without it deposits are locked.
    pub window_s: Option<u64>,
    /// So much of a channel is served before its opening is final.
    pub unconfirmed_s: u16,
    /// What runs as the node; else the executable itself.
    pub program: Option<String>,
}

impl Rules {
    fn program(&self) -> &str {
        self.program.as_deref().unwrap_or(TICKCAST)
    }

    fn rail(&self) -> RailKind {
        if self.window_s.is_some() { RailKind::Transfer } else { RailKind::Escrow }
    }
}

impl Default for Rules {
    /// Four blocks a second: what is settled is seen soon.
    fn default() -> Self {
        let sealing = devchain::Sealing::Every(Duration::from_millis(250));
        Self {
            chain: Config { sealing, ..Config::default() },
            dispute_window_s: 60,
            people: 8,
            window_s: None,
            unconfirmed_s: 30,
            program: None,
        }
    }
}

/// Where people watch: all that a viewer is told.
#[derive(Clone)]
pub struct Place {
    pub client: Client,
    pub playback_id: String,
    /// The node's UDP port.
    pub media: SocketAddr,
    pub genesis: Genesis,
}

pub struct Market {
    pub chain: Option<AnyChain>,
    pub rail: Arc<dyn Rail>,
    pub node: Node,
    pub client: Client,
    creator: Arc<Keypair>,
    chain_config: Config,
    settings: PathBuf,
    rules: Rules,
    pub folder: tempfile::TempDir,
}

impl Market {
    pub async fn open(rules: Rules) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = Some(folder.path().join("chain"));
        let funded = (1..=rules.people).map(|number| (account(number).public().account().0, PURSE));
        let chain_config = Config { data, port: port(), ..rules.chain.clone().with_funded(funded) };
        let chain = AnyChain::start(chain_config.clone()).await;
        let rail = chain::connect(rules.rail(), Settings::new([chain.url()]));
        let rail = rail.await.expect("the chain answers");
        let settings = write_settings(folder.path(), "node", &chain.url(), &rules);
        let data = folder.path().join("node");
        let node = tokio::task::block_in_place(|| Node::start_with(rules.program(), &settings, &data));
        let node = node.expect("a node");
        let client = Client::new(format!("http://{}", node.http())).expect("an address");
        let alice = development_accounts().into_iter().find(|account| account.uri == "//Alice");
        let seed = alice.expect("the chain has an Alice").seed;
        let creator = Arc::new(Keypair::from_seed(KeyScheme::Sr25519, &seed.into()));
        let market =
            Self { chain: Some(chain), rail, node, client, creator, chain_config, settings, rules, folder };
        market.trust(&market.client).await;
        market
    }

    /// Names a node's key in the creator's name, and gives it something for fees.
    async fn trust(&self, client: &Client) {
        let info = client.pay_info().await.expect("the node's terms");
        let rail = info.rail.expect("the node has a chain");
        let creator = client.login(self.creator.as_ref()).await.expect("a login");
        let (payee, from) = (self.creator.public(), now());
        let until = from.plus(30 * DAY_MS);
        let delegation = Delegation { genesis: rail.genesis, payee, node: info.node_key, from, until };
        let delegation = Signed::sign(delegation, self.creator.as_ref()).expect("a key signs");
        client.delegate(&creator, &delegation).await.expect("the node takes the delegation");
        let fees = Amount::new(10 * 10_u128.pow(rail.decimals.into()));
        let fees = Call::Transfer { to: info.node_key.account(), amount: fees };
        self.rail
            .submit(fees, Arc::clone(&self.creator) as _)
            .await
            .expect("the node gets something for fees");
    }

    pub async fn create(&self, title: &str) -> CreatedStream {
        self.create_at(&self.client, title).await
    }

    async fn create_at(&self, client: &Client, title: &str) -> CreatedStream {
        let creator = client.login(self.creator.as_ref()).await.expect("a login");
        let price = PriceTier {
            tier: TIER,
            price: Price::new(Amount::new(PRICE)).expect("a price"),
            grace_ticks: GRACE_TICKS,
            max_lines: 180,
            max_kbps: 1_000,
        };
        let request = CreateStream { title: title.into(), prices: vec![price], ..CreateStream::default() };
        client.create_stream_as(&creator, &request).await.expect("a stream")
    }

    /// Whom the streams pay.
    pub fn payee(&self) -> AccountId {
        self.creator.public().account()
    }

    pub fn place(&self, stream: &CreatedStream) -> Place {
        Place {
            client: self.client.clone(),
            playback_id: stream.playback_id.clone(),
            media: self.node.media(),
            genesis: self.rail.info().genesis,
        }
    }

    pub async fn wait_until_live(&self, stream: &CreatedStream) {
        until("the stream is live", async || {
            let info = self.client.stream(&stream.playback_id).await.ok()?;
            let is_live = info.renditions.iter().filter(|rendition| rendition.width > 0).count() >= 2;
            is_live.then_some(())
        })
        .await;
    }

    /// Another node on the same chain, which the same creator trusts, with a stream of its own.
    pub async fn second_node(&self) -> (Node, Place) {
        let url = self.chain.as_ref().expect("the chain is there").url();
        let settings = write_settings(self.folder.path(), "second", &url, &self.rules);
        let data = self.folder.path().join("second");
        let node = tokio::task::block_in_place(|| Node::start_with(self.rules.program(), &settings, &data));
        let node = node.expect("another node");
        let client = Client::new(format!("http://{}", node.http())).expect("an address");
        self.trust(&client).await;
        let stream = self.create_at(&client, "Elsewhere").await;
        let genesis = self.rail.info().genesis;
        let place = Place { client, playback_id: stream.playback_id, media: node.media(), genesis };
        (node, place)
    }

    /// Ends the node as a crash does (SIGKILL, by its own process id).
    pub fn kill_node(&mut self) {
        self.node.kill();
    }

    /// On the same folder and the same ports.
    pub fn start_node(&mut self) {
        let node = tokio::task::block_in_place(|| {
            Node::start_with(self.rules.program(), &self.settings, &self.folder.path().join("node"))
        });
        self.node = node.unwrap_or_else(|err| panic!("{err}\nbefore it: {}", self.node.log()));
    }

    pub fn chain(&self) -> &AnyChain {
        self.chain.as_ref().expect("the chain is there")
    }

    /// Nobody reaches the chain, and it makes no blocks.
    pub async fn stop_chain(&mut self) {
        self.chain.take().expect("the chain is there").stop().await;
    }

    /// As slow as public chains are from now on.
    pub async fn slow_down(&mut self) {
        let Config { sealing, finality, .. } = Config::slow();
        (self.chain_config.sealing, self.chain_config.finality) = (sealing, finality);
        if let AnyChain::Devchain(devchain) = self.chain() {
            devchain.set_sealing(sealing);
            devchain.set_finality(finality).expect("the chain goes on");
            return;
        }
        self.stop_chain().await;
        self.start_chain().await;
        until("the chain answers", async || self.rail.balance(self.payee()).await.ok()).await;
    }

    /// With what it had, at the same address.
    pub async fn start_chain(&mut self) {
        self.chain = Some(AnyChain::start(self.chain_config.clone()).await);
    }

    pub async fn channel(&self, id: ChannelId) -> ChannelState {
        until("the chain answers", async || self.rail.channel(id).await.ok())
            .await
            .expect("it has the channel")
    }

    /// What the creator has of this payer's in final blocks.
    pub async fn paid_by(&self, payer: &Payer) -> Amount {
        if payer.terms.is_credit() {
            payer.credit(&self.client).await.paid
        } else {
            self.channel(payer.channel()).await.finalized.settled()
        }
    }

    /// Until the creator has so much of this payer's.
    pub async fn received(&self, payer: &Payer, units: u128) {
        self.until_even(units, async || self.paid_by(payer).await.units()).await;
    }

    /// Until so much of a channel is settled in a final block.
    pub async fn settled(&self, id: ChannelId, units: u128) {
        self.until_even(units, async || self.channel(id).await.finalized.settled().units()).await;
    }

    async fn until_even(&self, units: u128, settled: impl AsyncFn() -> u128) {
        let is_settled = async || (settled().await == units).then_some(());
        if tokio::time::timeout(2 * LIMIT, poll(is_settled)).await.is_err() {
            panic!("{} of {units} are settled\nthe node: {}", settled().await, self.node.log());
        }
    }

    /// So much of what is owed is worth a transfer; `None` where deposits are locked.
    pub fn transfers_of(&self) -> Option<u128> {
        self.rules.window_s.map(|seconds| u128::from(seconds) * PRICE / 3)
    }

    /// What the creator has on the chain.
    pub async fn earned(&self) -> u128 {
        self.rail.balance(self.payee()).await.expect("the chain answers").units()
    }

    pub async fn submit(&self, call: Call, signer: &Arc<Keypair>) {
        self.rail.submit(call, Arc::clone(signer) as TxSigner).await.expect("the chain takes it");
    }

    /// What the database proves, and the chain, if that is asked as well.
    pub async fn audit(&self) -> AuditReport {
        let rail = self.chain.as_ref().map(|_| Arc::clone(&self.rail));
        node::audit(&self.folder.path().join("node"), rail).await.expect("an audit")
    }

    /// The same by the executable, as an operator does it.
    pub fn assert_clean(&self) {
        let mut command = Command::new(TICKCAST);
        command.args(["node", "audit", "--config"]).arg(&self.settings);
        let output = tokio::task::block_in_place(|| command.output()).expect("the audit runs");
        let (said, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success() && said.contains("by the chain") && said.ends_with("clean\n"),
            "{said}\n{errors}"
        );
    }
}

/// The node's file; its data lie in `folder`/`name`. Returns its path.
fn write_settings(folder: &Path, name: &str, chain: &str, rules: &Rules) -> PathBuf {
    let window = rules.window_s.map(|seconds| u128::from(seconds) * PRICE);
    let credit = window.map(|window| {
        format!("rail = \"transfer\"\ncredit_window = \"{window}\"\nfinality_s = {FINALITY_S}\n")
    });
    let credit = credit.unwrap_or_default();
    let Rules { dispute_window_s, unconfirmed_s, .. } = rules;
    let data = folder.join(name);
    let [http, hls, rtmp, media] = std::array::from_fn(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, port())));
    let text = format!(
        r#"data_dir = {data:?}
http = "{http}"
hls = "{hls}"
rtmp = "{rtmp}"
media = "{media}"

[transcode]
enabled = false

[chain]
endpoints = [{chain:?}]
dispute_window_s = {dispute_window_s}
settle_idle_s = 1
unconfirmed_s = {unconfirmed_s}
{credit}"#
    );
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, text).expect("the settings are written");
    path
}

/// Looks ten times a second whether it is so, at most for [`LIMIT`].
pub async fn until<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    match tokio::time::timeout(LIMIT, poll(condition)).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {:?}", begun.elapsed()),
    }
}

/// Looks ten times a second, for as long as the caller waits.
pub async fn poll<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let mut turns = tokio::time::interval(Duration::from_millis(100));
    loop {
        turns.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
    }
}
