//! A load for benches: a node's payments with everything that they store, and viewers that pay, without the sockets and
//! the media that would be between them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use api::{CreateStream, PriceTier};
use chain::{
    Answer, BlockRef, Call, ChannelNews, ChannelState, Included, News, Rail, RailError, TxSigner, Update,
};
use pay::message::{ToNode, ToViewer};
use pay::{
    AccountId, Amount, AssetId, ChannelEvent, ChannelId, ChannelTerms, Delegation, Genesis, KeyScheme,
    Keypair, Price, RailInfo, RailKind, Signed, Signer, Tab, Tick, UnixMillis,
};
use sfu::{LayerChoice, PeerId, Sfu, SfuConfig, StreamId, ViewerConfig};
use tokio::sync::mpsc;

use super::cashier::{CashierHandle, Input, SAYINGS, Saying};
use super::{Billing, BillingError, ChainConfig, ConnId, Priced};
use crate::billing::log::Act;
use crate::store::{Store, StreamRow};

/// Of a page that plays.
const OFFER: &str = include_str!("../../../../fuzz/corpus/offer/chromium-watch.sdp");
const GENESIS: Genesis = Genesis([0x11; 32]);
const PRICE: u128 = 1_000;
const DAY_MS: u64 = 86_400_000;
/// Packets of pictures in a second.
const PACKETS: u32 = 60;

/// In place of a chain: it has the channels that it was told of, and takes no transaction.
struct QuietChain {
    info: RailInfo,
    updates: Mutex<Option<mpsc::Receiver<Update>>>,
}

impl Rail for QuietChain {
    fn info(&self) -> &RailInfo {
        &self.info
    }

    fn channel(&self, _: ChannelId) -> Answer<'_, Option<ChannelState>> {
        Box::pin(async { Ok(None) })
    }

    fn balance(&self, _: AccountId) -> Answer<'_, Amount> {
        Box::pin(async { Ok(Amount::ZERO) })
    }

    fn fee(&self, _: Call, _: AccountId) -> Answer<'_, Amount> {
        Box::pin(async { Ok(Amount::ZERO) })
    }

    fn submit(&self, _: Call, _: TxSigner) -> Answer<'_, Included> {
        Box::pin(async { Err(RailError::Unsupported("it only looks like a chain")) })
    }

    fn watch(&self, _: Option<BlockRef>) -> mpsc::Receiver<Update> {
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner).take();
        updates.unwrap_or_else(|| mpsc::channel(1).1)
    }
}

/// A node's payments, with one paid stream.
pub struct PaidNode {
    billing: Billing,
    sfu: Sfu,
    store: Store,
    row: StreamRow,
    priced: Arc<Priced>,
    chain: mpsc::Sender<Update>,
}

impl PaidNode {
    /// In an empty folder. Its tasks run on the runtime that this is called on.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    ///
    /// # Panics
    /// Where no socket can be opened.
    pub async fn start(folder: &Path) -> Result<Self, BillingError> {
        let store = Store::open(folder).await?;
        let (sfu, mut events) = Sfu::start(SfuConfig::default()).expect("a socket");
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let (chain, updates) = mpsc::channel(4);
        let info = RailInfo {
            kind: RailKind::Escrow,
            chain: "quiet".into(),
            genesis: GENESIS,
            asset: AssetId::Native,
            symbol: "UNIT".into(),
            decimals: 12,
            existential_deposit: Amount::new(1),
        };
        let rail = Arc::new(QuietChain { info, updates: Mutex::new(Some(updates)) });
        let config = ChainConfig { settle_idle_s: 86_400, ..ChainConfig::default() };
        let billing = Billing::new(folder)?;
        let cashier = billing.begin(folder, rail, config, store.clone(), sfu.handle()).await?;
        tokio::spawn(cashier.run());
        let (row, priced) = Self::price(&billing, &store).await?;
        Ok(Self { billing, sfu, store, row, priced, chain })
    }

    async fn price(billing: &Billing, store: &Store) -> Result<(StreamRow, Arc<Priced>), BillingError> {
        let (creator, now) = (Keypair::from_seed(KeyScheme::Sr25519, &[1; 32].into()), billing.clock.now());
        let delegation = Delegation {
            genesis: GENESIS,
            payee: creator.public(),
            node: billing.key.public(),
            from: UnixMillis(0),
            until: now.plus(30 * DAY_MS),
        };
        let delegation = Signed::sign(delegation, &creator).expect("a key in memory signs");
        let act = Act::new("delegation.set", serde_json::Value::Null);
        store.set_delegation(&delegation, (act, now)).await?;
        let price = Price::new(Amount::new(PRICE)).expect("a price is not nothing");
        let tier = PriceTier { tier: 0, price, grace_ticks: 5, max_lines: 360, max_kbps: 500 };
        let request = CreateStream { title: "paid".into(), prices: vec![tier], ..CreateStream::default() };
        let row = store.create_stream(&creator.public().account().to_string(), &request).await?;
        let paid = billing.paid().expect("it is paid");
        paid.cashier.tell(Input::Payee(creator.public().account())).await;
        let priced = paid.catalogue.offers(&row).await.expect("its creator named this node");
        Ok((row, priced))
    }

    fn cashier(&self) -> &CashierHandle {
        &self.billing.paid().expect("it is paid").cashier
    }

    /// Viewers with open channels, each of which has paid its first second.
    ///
    /// # Panics
    /// Where the node refuses one.
    pub async fn viewers(&self, count: u32) -> Vec<PayingViewer> {
        let now = self.billing.clock.now();
        let sessions: Vec<_> = (0..count).map(session_key).collect();
        let terms: Vec<_> = sessions.iter().map(|session| self.terms(session)).collect();
        let opened = |terms: &ChannelTerms| {
            let event =
                ChannelEvent::Opened { deposit: Amount::new(1 << 60), expires_at: now.plus(30 * DAY_MS) };
            ChannelNews { channel: terms.id(), event, terms: Some(*terms) }
        };
        let news = News { channels: terms.iter().map(opened).collect(), ..News::default() };
        let block = BlockRef { number: 1, hash: [1; 32] };
        let head = Update::Head { block, time: now, pending: News::default() };
        self.chain.send(head).await.expect("the cashier runs");
        if let Some(any) = terms.first() {
            // Once this is answered the node knows its creator, without whom a block's channels are nobody's.
            self.is_able(any).await;
        }
        self.chain.send(Update::Final { block, time: now, news }).await.expect("the cashier runs");
        let mut viewers = Vec::new();
        for (session, terms) in sessions.into_iter().zip(terms) {
            while !self.is_able(&terms).await {
                tokio::task::yield_now().await;
            }
            viewers.push(self.viewer(session, terms).await);
        }
        viewers
    }

    fn terms(&self, session: &Keypair) -> ChannelTerms {
        ChannelTerms {
            genesis: GENESIS,
            asset: AssetId::Native,
            payer: session.public().account(),
            payee: self.priced.payee,
            node: self.billing.key.public(),
            session: session.public(),
            nonce: 0,
            dispute_window_ms: self.billing.paid().expect("it is paid").config.dispute_window_ms(),
        }
    }

    async fn is_able(&self, terms: &ChannelTerms) -> bool {
        let party = super::Party { payer: terms.payer, payee: terms.payee };
        let least = self.priced.least().expect("it has a price");
        self.cashier().is_able(party, terms.id(), least).await.is_ok()
    }

    async fn viewer(&self, session: Keypair, terms: ChannelTerms) -> PayingViewer {
        let (now, stream) = (self.billing.clock.now(), (self.row.playback_id.clone(), self.row.id));
        let row = self.store.join(self.row.id, "viewer").await.expect("the database takes it");
        let tickets = &self.billing.tickets;
        let token = tickets.issue(terms.payer, stream, terms.payee, row, now).expect("there is room");
        let ticket = tickets.redeem(&token, now).expect("it was issued");
        let offer = self.priced.current[0].verify(&GENESIS, now).expect("it is our own");
        let tab = Tab::new(terms, offer, Amount::new(1 << 60)).expect("it fits");
        let config = ViewerConfig {
            stream: StreamId(1),
            max_layer: media::RenditionName::VeryLow,
            choice: LayerChoice::Auto,
            metered: true,
        };
        let peer = self.sfu.handle().accept_viewer(OFFER, config).expect("there is room").peer;
        // Its name is all that is needed.
        let _ = self.sfu.handle().close(peer);
        let (cashier, priced) = (self.cashier().clone(), Arc::clone(&self.priced));
        let (says, said) = mpsc::channel(SAYINGS);
        let conn = cashier.new_conn();
        cashier
            .tell(Input::Opened { conn, ticket: Arc::clone(&ticket), priced: Arc::clone(&priced), says })
            .await;
        cashier.tell(Input::Peer { peer: peer.into(), ticket, priced }).await;
        let mut viewer = PayingViewer { cashier, conn, peer, session, tab, said, second: 0 };
        viewer.begin().await;
        viewer
    }
}

fn session_key(number: u32) -> Keypair {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    Keypair::from_seed(KeyScheme::Sr25519, &seed.into())
}

/// One that watches and pays for what it watched.
pub struct PayingViewer {
    cashier: CashierHandle,
    conn: ConnId,
    peer: PeerId,
    session: Keypair,
    tab: Tab,
    said: mpsc::Receiver<Saying>,
    second: u64,
}

impl PayingViewer {
    async fn begin(&mut self) {
        let start = self.tab.start().expect("it may start");
        self.say(ToNode::Start(start)).await;
        let started = loop {
            match self.said.recv().await {
                Some(Saying::Message(message)) => match *message {
                    ToViewer::Started(started) => break started,
                    ToViewer::Refused(refused) => panic!("{refused:?}"),
                    _ => {}
                },
                Some(Saying::Begin(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        let first = self.tab.started(&started, &self.session, UnixMillis(0)).expect("it is right");
        self.say(ToNode::Pay(first.expect("the first second is paid in advance"))).await;
        self.answered().await;
        let began = sfu::Metering::Began { timestamp: 0, line: sfu::MeteredLine::Video };
        self.cashier.meters.put(self.peer, 1, began);
    }

    async fn say(&self, message: ToNode) {
        self.cashier.tell(Input::Said { conn: self.conn, message }).await;
    }

    /// A second was sent and played, and is paid for. Its answer is not waited for.
    ///
    /// # Panics
    /// Where it may not be paid.
    pub async fn watch(&mut self) {
        let (second, session) = (self.second, 1);
        self.second += 1;
        let meters = &self.cashier.meters;
        meters.put(self.peer, session, sfu::Metering::Reached { second, until: second + 1 });
        let over = sfu::Metering::Over { second, sent: PACKETS, withheld: 0, acknowledged: PACKETS };
        meters.put(self.peer, session, over);
        let paid = self.tab.played(Tick(second), &self.session, UnixMillis(0)).expect("it may be paid");
        if let Some(pay) = paid {
            self.say(ToNode::Pay(pay)).await;
        }
    }

    /// Until everything that it signed is stored.
    ///
    /// # Panics
    /// Where it was refused.
    pub async fn answered(&mut self) {
        while self.tab.unacknowledged().is_some() {
            let Some(Saying::Message(message)) = self.said.recv().await else { continue };
            match *message {
                ToViewer::Acknowledged(stored) => self.tab.acknowledged(&stored).expect("it is ours"),
                ToViewer::Receipt(receipt) => self.tab.receipt(&receipt).expect("it is right"),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Seconds that were signed for.
    pub fn signed(&self) -> u64 {
        self.tab.totals().signed
    }
}
