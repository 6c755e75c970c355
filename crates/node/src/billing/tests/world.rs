//! A chain, a creator, a node and its viewers, as the tests want them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::pay::CreditAccount;
use api::{
    Client, ClientError, CreateStream, CreatedStream, JoinRequest, Joined, LoggedIn, PriceTier,
    SessionClient, WireHex,
};
use chain::{Call, EscrowRail, Rail, Settings, TransferRail, TxSigner};
use devchain::{Config, Devchain, development_accounts};
use futures_util::{SinkExt, StreamExt};
use pay::message::{Started, ToNode, ToViewer};
use pay::{
    AccountId, Amount, AssetId, ChannelTerms, CreditTerms, Delegation, KeyScheme, Keypair, Price, RailKind,
    Signed, Signer, Tab, Tick, UnixMillis, Wire,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::billing::ChainConfig;
use crate::billing::journal::{ChannelRow, Journal};
use crate::config::NodeConfig;
use crate::server::Node;
use crate::stream::PublisherKind;

/// Of a page that plays, as Chromium makes it.
pub const OFFER: &str = include_str!("../../../../../fuzz/corpus/offer/chromium-watch.sdp");
pub const PRICE: u128 = 1_000_000;
pub const DEPOSIT: u128 = 1_000 * PRICE;
/// A second's price that is worth a transfer.
pub const DEAR: u128 = UNIT / 10;
const UNIT: u128 = 1_000_000_000_000;
const GRACE: u16 = 5;
const DAY_MS: u64 = 86_400_000;
/// Longer than anything takes; only a test that hangs meets it.
const HANGS: Duration = Duration::from_secs(60);

/// Alice pays for the node's fees, Bob is the creator, all others watch.
pub const ALICE: usize = 0;
pub const BOB: usize = 1;
pub const CHARLIE: usize = 2;
pub const DAVE: usize = 3;
pub const EVE: usize = 4;

pub fn person(at: usize) -> Keypair {
    let account = development_accounts().swap_remove(at);
    Keypair::from_seed(KeyScheme::Sr25519, &account.seed.into())
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANGS, what).await.expect("it comes to an end")
}

pub async fn until(mut done: impl AsyncFnMut() -> bool) {
    in_time(async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

pub fn prices(price: u128) -> Vec<PriceTier> {
    let price = Price::new(Amount::new(price)).expect("a price is not nothing");
    vec![PriceTier { tier: 1, price, grace_ticks: GRACE, max_lines: 720, max_kbps: 2_500 }]
}

pub struct World {
    pub devchain: Devchain,
    /// Of whoever is no node.
    pub rail: Arc<dyn Rail>,
    pub client: Client,
    pub creator: LoggedIn,
    pub stream: CreatedStream,
    node: Option<Node>,
    folder: TempDir,
    config: NodeConfig,
}

impl World {
    /// A node on a chain whose transactions are final at once, with a creator and its paid stream.
    pub async fn start() -> Self {
        Self::on(Devchain::start(Config::at_once()).await.expect("a chain")).await
    }

    pub async fn on(devchain: Devchain) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rail = EscrowRail::connect(Settings::new([devchain.url()])).await.expect("it answers");
        let config = config(folder.path(), &devchain);
        Self::with((devchain, Arc::new(rail)), folder, config, PRICE).await
    }

    /// A node that has so many seconds to settle.
    pub async fn with_window(seconds: u64) -> Self {
        let devchain = Devchain::start(Config::at_once()).await.expect("a chain");
        let folder = tempfile::tempdir().expect("a folder");
        let rail = EscrowRail::connect(Settings::new([devchain.url()])).await.expect("it answers");
        let mut config = config(folder.path(), &devchain);
        config.chain.as_mut().expect("it has a chain").dispute_window_s = seconds;
        Self::with((devchain, Arc::new(rail)), folder, config, PRICE).await
    }

    /// A node that is paid in that asset of the chain's.
    pub async fn in_asset(id: u32) -> Self {
        let devchain = Devchain::start(Config::at_once()).await.expect("a chain");
        let folder = tempfile::tempdir().expect("a folder");
        let asset = AssetId::Asset(id);
        let settings = Settings { asset, ..Settings::new([devchain.url()]) };
        let rail = EscrowRail::connect(settings).await.expect("it answers");
        let mut config = config(folder.path(), &devchain);
        config.chain.as_mut().expect("it has a chain").asset = asset;
        Self::with((devchain, Arc::new(rail)), folder, config, PRICE).await
    }

    /// A node that has administrators, and takes the streams of some creators alone.
    pub async fn keeping(admins: Vec<AccountId>, creators: Vec<AccountId>) -> Self {
        let devchain = Devchain::start(Config::at_once()).await.expect("a chain");
        let folder = tempfile::tempdir().expect("a folder");
        let rail = EscrowRail::connect(Settings::new([devchain.url()])).await.expect("it answers");
        let config = NodeConfig { admins, creators, ..config(folder.path(), &devchain) };
        Self::with((devchain, Arc::new(rail)), folder, config, PRICE).await
    }

    /// A node that is paid by transfers alone, on credit of so many seconds at [`DEAR`].
    pub async fn on_credit(seconds: u128) -> Self {
        let devchain = Devchain::start(Config::at_once()).await.expect("a chain");
        let folder = tempfile::tempdir().expect("a folder");
        let rail = TransferRail::connect(Settings::new([devchain.url()])).await.expect("it answers");
        let config = credit_config(folder.path(), &devchain, seconds * DEAR);
        Self::with((devchain, Arc::new(rail)), folder, config, DEAR).await
    }

    async fn with(
        (devchain, rail): (Devchain, Arc<dyn Rail>),
        folder: TempDir,
        config: NodeConfig,
        price: u128,
    ) -> Self {
        let node = Node::start(config.clone()).await.expect("a node");
        let client = Client::new(format!("http://{}", node.addresses().http)).expect("an address");
        let info = client.pay_info().await.expect("it is paid");
        let creator = client.login(&person(BOB)).await.expect("a login");
        let delegation = Delegation {
            genesis: rail.info().genesis,
            payee: person(BOB).public(),
            node: info.node_key,
            from: UnixMillis(0),
            until: node.app().billing().clock.now().plus(30 * DAY_MS),
        };
        let delegation = Signed::sign(delegation, &person(BOB)).expect("a key in memory signs");
        client.delegate(&creator, &delegation).await.expect("it is delegated");
        let request = CreateStream { title: "paid".into(), prices: prices(price), ..CreateStream::default() };
        let stream = client.create_stream_as(&creator, &request).await.expect("a stream");
        // Only now: what a node says before that is a test of its own.
        let alice: TxSigner = Arc::new(person(ALICE));
        let funds = Call::Transfer { to: info.node_key.account(), amount: Amount::new(100 * UNIT) };
        // Fees are in the chain's own unit, whatever the rail moves.
        let native: Arc<dyn Rail> = match rail.info().asset {
            AssetId::Native => Arc::clone(&rail),
            AssetId::Asset(_) => {
                let native = TransferRail::connect(Settings::new([devchain.url()])).await;
                Arc::new(native.expect("it answers"))
            }
        };
        native.submit(funds, alice).await.expect("Alice has enough");
        Self { devchain, rail, client, creator, stream, node: Some(node), folder, config }
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn asked(&self) -> Option<Arc<dyn Rail>> {
        Some(self.rail.clone())
    }

    pub async fn stop(&mut self) {
        self.node.take().expect("it runs").stop().await;
    }

    /// As after a kill: nothing is ended in order.
    pub async fn restart(&mut self) {
        drop(self.node.take());
        self.start_again().await;
    }

    pub async fn start_again(&mut self) {
        let node = Node::start(self.config.clone()).await.expect("it starts again");
        self.client = Client::new(format!("http://{}", node.addresses().http)).expect("an address");
        self.node = Some(node);
    }

    /// The node asks the chain here from its next start on.
    pub fn set_endpoint(&mut self, url: String) {
        self.config.chain.as_mut().expect("it has a chain").endpoints = vec![url];
    }

    pub async fn create(&self, title: &str, price: u128) -> CreatedStream {
        let request = CreateStream { title: title.into(), prices: prices(price), ..CreateStream::default() };
        self.client.create_stream_as(&self.creator, &request).await.expect("a stream")
    }

    /// Somebody publishes it.
    pub async fn go_live(&self, stream: &CreatedStream) {
        let app = self.node().app();
        let id = crate::id::PlaybackId::parse(&stream.playback_id).expect("an id");
        let row = app.store().stream_by_playback_id(&id).await.expect("a store").expect("a stream");
        let handle = app.stream(row).expect("there is room");
        // One that is live already goes on to be so.
        let _ = handle.publish(PublisherKind::Rtmp).await;
        handle.watch().wait_for(|live| live.epoch.is_some()).await.expect("it goes live");
    }

    /// Media of a second has come, as the media plane says it.
    pub fn reach(&self, peer: sfu::PeerId, session: u32, second: u64) {
        let paid = self.node().app().billing().paid().expect("it is paid");
        let what = sfu::Metering::Reached { second, until: second + 1 };
        paid.cashier.meters.put(peer, session, what);
    }

    /// Its publisher ends it, and that is stored.
    pub async fn end(&self, stream: &CreatedStream) {
        let id = crate::id::PlaybackId::parse(&stream.playback_id).expect("an id");
        self.node().app().running(&id).expect("it is on air").end().await;
        let ended = async || {
            let row = self.client.stream(&stream.playback_id).await.expect("a stream");
            row.status == api::StreamStatus::Ended
        };
        until(ended).await;
    }

    pub async fn journal(&self) -> Journal {
        Journal::open(self.folder()).await.expect("a database")
    }

    /// Until the node knows that the chain has settled so much of the viewer's channel, and follows no transaction.
    pub async fn settled(&self, viewer: &Viewer, units: u128) {
        let journal = self.journal().await;
        until(async || {
            let loaded = journal.load().await.expect("it can be read");
            let of = |row: &ChannelRow| row.channel.id() == viewer.terms.id();
            let row = loaded.channels.into_iter().find(of);
            let settled = row.map(|row| row.channel.finalized().settled());
            settled == Some(Amount::new(units)) && loaded.open.is_empty()
        })
        .await;
    }

    /// Kind and state of each transaction that was ever intended.
    pub async fn settlements(&self) -> Vec<(String, String)> {
        let journal = self.journal().await;
        let rows =
            sqlx::query_as("SELECT kind, state FROM settlements ORDER BY id").fetch_all(journal.pool());
        rows.await.expect("it can be read")
    }

    pub async fn waiting(&self, count: usize) {
        until(async || self.devchain.waiting() == count).await;
    }
}

pub fn config(folder: &Path, devchain: &Devchain) -> NodeConfig {
    let endpoints = vec![devchain.url()];
    // Its prices are less than a fee.
    let settle_at_least = Some(Amount::new(1));
    let chain = ChainConfig {
        endpoints,
        settle_idle_s: 0,
        settle_at_least,
        record_streams: false,
        ..ChainConfig::default()
    };
    NodeConfig { chain: Some(chain), ..NodeConfig::loopback(folder.to_owned()) }
}

pub fn credit_config(folder: &Path, devchain: &Devchain, window: u128) -> NodeConfig {
    let mut config = config(folder, devchain);
    if let Some(chain) = &mut config.chain {
        chain.rail = RailKind::Transfer;
        (chain.credit_window, chain.finality_s) = (Amount::new(window), 2);
    }
    config
}

pub struct Viewer {
    account: Arc<Keypair>,
    pub session: Keypair,
    pub terms: ChannelTerms,
    pub tab: Tab,
    login: LoggedIn,
}

impl Viewer {
    pub async fn new(world: &World, at: usize) -> Self {
        let seed = [at as u8 + 100; 32];
        let (account, session) = (person(at), Keypair::from_seed(KeyScheme::Sr25519, &seed.into()));
        let login = world.client.login(&account).await.expect("a login");
        let info = world.client.pay_info().await.expect("it is paid");
        let terms = ChannelTerms {
            genesis: world.rail.info().genesis,
            asset: world.rail.info().asset,
            payer: account.public().account(),
            payee: person(BOB).public().account(),
            node: info.node_key,
            session: session.public(),
            nonce: 0,
            dispute_window_ms: if info.credit.is_some() { 0 } else { info.dispute_window_ms },
        };
        let shown = world.client.stream(&world.stream.playback_id).await.expect("a stream");
        let WireHex(published) = shown.offers[0].published;
        let now = world.node().app().billing().clock.now();
        let offer = published.verify(&terms.genesis, now).expect("the offer is good");
        let tab = Tab::new(terms, offer, Amount::new(DEPOSIT)).expect("it fits");
        Self { account: Arc::new(account), session, terms, tab, login }
    }

    pub async fn log_in(&mut self, world: &World) {
        self.login = world.client.login(self.account.as_ref()).await.expect("a login");
    }

    pub async fn open(&self, world: &World, deposit: u128) {
        let expires_at = UnixMillis(self.login.expires_at.0).plus(30 * DAY_MS);
        let open = Call::Open { terms: self.terms, deposit: Amount::new(deposit), expires_at };
        let account: TxSigner = self.account.clone();
        world.rail.submit(open, account).await.expect("the payer has enough");
    }

    pub async fn start_close(&self, world: &World) {
        let account: TxSigner = self.account.clone();
        world.rail.submit(Call::StartClose(self.terms.id()), account).await.expect("it is open");
    }

    /// Opens its credit account, or asks how that stands.
    pub async fn credit(&self, world: &World) -> Result<CreditAccount, ClientError> {
        let body = CreditTerms::try_from(self.terms).expect("it is on credit");
        let opening = Signed::sign(body, self.account.as_ref()).expect("a key in memory signs");
        let mut answer = world.client.open_credit(&self.login, &opening).await;
        // Until the node has read a block.
        let is_early = |answer: &Result<_, ClientError>| matches!(answer, Err(ClientError::Refused(problem)) if problem.code == "not_yet");
        until(async || {
            if is_early(&answer) {
                answer = world.client.open_credit(&self.login, &opening).await;
            }
            !is_early(&answer)
        })
        .await;
        answer
    }

    /// Sends so much by a plain transfer, and waits until it is final.
    pub async fn transfer(&self, world: &World, to: AccountId, units: u128) {
        let call = Call::Transfer { to, amount: Amount::new(units) };
        let account: TxSigner = self.account.clone();
        world.rail.submit(call, account).await.expect("the payer has enough");
    }

    /// Until the node has counted so much.
    pub async fn counted(&self, world: &World, units: u128) -> CreditAccount {
        let mut standing = None;
        until(async || {
            standing = self.credit(world).await.ok();
            standing.is_some_and(|standing| standing.paid == Amount::new(units))
        })
        .await;
        standing.expect("it was told")
    }

    pub async fn join(&self, world: &World, channel: Option<pay::ChannelId>) -> Result<Joined, ClientError> {
        let request = JoinRequest { viewer_id: "viewer".into(), channel };
        world.client.join(Some(&self.login), &world.stream.playback_id, &request).await
    }

    pub async fn connect(&self, url: &str, token: &str) -> Socket {
        let mut request = url.into_client_request().expect("an address");
        let protocol = api::pay::PAY_SUBPROTOCOL.parse().expect("it is a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a socket");
        let hello = serde_json::json!({ "viewer_token": token }).to_string();
        socket.send(Message::text(hello)).await.expect("it is open");
        Socket(socket)
    }

    /// Joins, and connects by WHEP and by the pay socket.
    pub async fn connect_again(&self, world: &World) -> (Socket, sfu::PeerId) {
        world.go_live(&world.stream).await;
        let joined = self.join(world, Some(self.terms.id())).await.expect("it is able to pay");
        let token = joined.viewer_token.expect("a token");
        let before = world.node().app().sessions().peers();
        let whep = SessionClient::new(&joined.whep_url, Some(token.clone())).expect("an address");
        whep.offer(OFFER.to_owned()).await.expect("it may watch");
        let peers = world.node().app().sessions().peers();
        let peer = peers.into_iter().find(|peer| !before.contains(peer)).expect("its peer");
        (self.connect(&joined.pay_url.expect("a pay socket"), &token).await, peer)
    }

    pub async fn start(&mut self, socket: &mut Socket) -> Started {
        let start = self.tab.start().expect("it may start");
        socket.say(&ToNode::Start(start)).await;
        let Some(ToViewer::Started(started)) = socket.read().await else { panic!("it was not started") };
        let now = UnixMillis(0);
        let first = self.tab.started(&started, &self.session, now).expect("it is right");
        if let Some(pay) = first {
            socket.say(&ToNode::Pay(pay)).await;
            self.take(socket).await;
        }
        *started
    }

    /// Everything up to the first second, which is paid in advance.
    pub async fn watch(&mut self, world: &World) -> (Socket, sfu::PeerId) {
        let (mut socket, peer) = self.connect_again(world).await;
        self.start(&mut socket).await;
        (socket, peer)
    }

    /// A second has played.
    pub async fn play(&mut self, socket: &mut Socket, tick: u64) {
        let paid = self.tab.played(Tick(tick), &self.session, UnixMillis(0)).expect("it may be paid");
        if let Some(pay) = paid {
            socket.say(&ToNode::Pay(pay)).await;
            self.take(socket).await;
        }
    }

    /// Reads until the newest voucher is acknowledged, and its receipt where one is due.
    async fn take(&mut self, socket: &mut Socket) {
        let receipts = self.tab.totals().signed / 10;
        let known = |tab: &Tab| tab.last_receipt().map_or(0, |receipt| receipt.body.number);
        while self.tab.unacknowledged().is_some() || known(&self.tab) < receipts {
            match socket.read().await {
                Some(ToViewer::Acknowledged(stored)) => self.tab.acknowledged(&stored).expect("it is ours"),
                Some(ToViewer::Receipt(receipt)) => self.tab.receipt(&receipt).expect("it is right"),
                other => panic!("{other:?}"),
            }
        }
    }
}

pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn say(&mut self, message: &ToNode) {
        self.send(message.to_bytes()).await;
    }

    pub async fn send(&mut self, bytes: Vec<u8>) {
        self.0.send(Message::binary(bytes)).await.expect("it is open");
    }

    /// The next message of the protocol; `None` once it is closed.
    pub async fn read(&mut self) -> Option<ToViewer> {
        loop {
            let next = in_time(self.0.next()).await;
            match next {
                Some(Ok(Message::Binary(bytes))) => {
                    return Some(ToViewer::from_bytes(&bytes).expect("it is a message"));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}

pub async fn get(to: SocketAddr, path: &str) -> (u16, String) {
    get_by_name(to, path, &to.to_string()).await
}

/// As somebody asks who knows the node by that name.
pub async fn get_by_name(to: SocketAddr, path: &str, host: &str) -> (u16, String) {
    ask(to, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
}

pub async fn post(to: SocketAddr, path: &str, host: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    );
    ask(to, &format!("{head}Content-Length: {length}\r\n\r\n{body}")).await
}

async fn ask(to: SocketAddr, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(to).await.expect("it listens");
    socket.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}
