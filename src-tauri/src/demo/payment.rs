//! The demo's money: a development chain, a creator with a price, and a viewer who pays from a channel. Keys that everybody
//! knows, for money that nobody wants.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::pay::{JoinRequest, Joined, LoggedIn, PriceTier};
use api::{Client, CreateStream, CreatedStream};
use chain::{Call, EscrowRail, Rail, Settings, Update};
use devchain::Devchain;
use node::ChainConfig;
use pay::{
    Amount, ChannelEvent, ChannelId, ChannelTerms, Delegation, KeyScheme, Keypair, Price, PublicKey, Signed,
    Signer, Tab, UnixMillis,
};
use serde::Serialize;
use tokio::sync::mpsc;
use wallet::Unit;
use watch::{Admission, Admissions, PayHandle, PaySession, PaySocket, PayStatus, TabStore};

/// What a second costs, in smallest units.
const PRICE: u128 = 10_000_000_000;
/// The ladder's `high`.
const TIER: u8 = 3;
const GRACE_TICKS: u16 = 5;
/// A deposit for so many seconds.
const DEPOSIT_SECONDS: u64 = 24 * 3_600;
const CHANNEL_LASTS_MS: u64 = 7 * 24 * 3_600_000;
/// What the node's own account gets for fees, in whole units of the chain.
const FEES: u128 = 10;
/// A channel that both sides closed is final within this.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// What was paid. Amounts are in smallest units.
#[derive(Serialize)]
pub struct PaymentReport {
    /// Signed for, the prepaid one too.
    pub ticks: u64,
    /// That were shown, by the number of pictures.
    pub delivered_seconds: f64,
    /// Seconds that the viewer named unplayed.
    pub unplayed: u64,
    pub price: Amount,
    /// What the viewer has signed.
    pub viewer_total: Amount,
    /// What the node's database says, audited.
    pub ledger_total: Amount,
    /// What the creator has got on the chain, in final blocks.
    pub chain_total: Amount,
    /// Events on the chain that paid the creator.
    pub settlements: u64,
    /// What the node's audit found wrong.
    pub findings: Vec<String>,
    /// For people.
    #[serde(skip)]
    pub unit: Unit,
}

/// The chain, and who trades on it.
pub struct Market {
    chain: Devchain,
    rail: Arc<dyn Rail>,
    updates: mpsc::Receiver<Update>,
    creator: Arc<Keypair>,
    viewer: Arc<Keypair>,
    session: Arc<Keypair>,
}

/// A channel to the stream's creator, open and final.
pub struct Ticket {
    pub joined: Joined,
    channel: ChannelId,
    socket: PaySocket,
}

/// What the viewer knew at its end.
pub struct Paid {
    channel: ChannelId,
    status: PayStatus,
}

/// What the creator got of a channel that is closed, and in how many payments.
pub struct Settled {
    total: Amount,
    payments: u64,
}

impl Market {
    pub async fn open() -> anyhow::Result<Self> {
        let chain = Devchain::start(devchain::Config::default()).await.context("the development chain")?;
        let rail =
            EscrowRail::connect(Settings::new([chain.url()])).await.context("the development chain")?;
        let updates = rail.watch(None);
        let accounts = devchain::development_accounts();
        let key = |name: &str| {
            let account = accounts.iter().find(|account| account.uri == name);
            let account = account.with_context(|| format!("the development chain has no {name}"))?;
            anyhow::Ok(Arc::new(Keypair::from_seed(KeyScheme::Sr25519, &account.seed.into())))
        };
        let (creator, viewer, session) = (key("//Alice")?, key("//Bob")?, key("//Charlie")?);
        Ok(Self { chain, rail: Arc::new(rail), updates, creator, viewer, session })
    }

    /// For the node's settings.
    pub fn config(&self) -> ChainConfig {
        ChainConfig { endpoints: vec![self.chain.url()], dispute_window_s: 60, ..ChainConfig::default() }
    }

    /// The creator logs in, names the node's hot key, gives it something for fees, and makes a stream with a price.
    pub async fn create(&self, client: &Client, title: &str) -> anyhow::Result<CreatedStream> {
        let info = client.pay_info().await?;
        let rail = info.rail.as_ref().context("the node knows no chain")?;
        let logged_in = client.login(self.creator.as_ref()).await.context("the creator's login")?;
        let (from, payee) = (now(), self.creator.public());
        let until = from.plus(CHANNEL_LASTS_MS);
        let delegation = Delegation { genesis: rail.genesis, payee, node: info.node_key, from, until };
        client.delegate(&logged_in, &Signed::sign(delegation, self.creator.as_ref())?).await?;
        let unit = 10_u128.pow(rail.decimals.into());
        let fees = Call::Transfer { to: info.node_key.account(), amount: Amount::new(FEES * unit) };
        self.rail.submit(fees, Arc::clone(&self.creator) as _).await.context("the node's fees")?;
        let price = PriceTier {
            tier: TIER,
            price: Price::new(Amount::new(PRICE)).context("a price")?,
            grace_ticks: GRACE_TICKS,
            max_lines: 720,
            max_kbps: 8_000,
        };
        let request = CreateStream {
            title: title.into(),
            category: "demo".into(),
            prices: vec![price],
            ..CreateStream::default()
        };
        Ok(client.create_stream_as(&logged_in, &request).await?)
    }

    /// The viewer opens a channel and joins. `kept` is where its tab is.
    pub async fn join(
        &self,
        client: &Client,
        stream: &CreatedStream,
        kept: PathBuf,
    ) -> anyhow::Result<Ticket> {
        let info = client.pay_info().await?;
        let genesis = self.rail.info().genesis;
        let published = stream.offers.first().context("the stream has no offer")?.published.0;
        let offer = published.verify(&genesis, now()).context("the node's offer")?;
        let terms = self.terms(info.node_key, info.dispute_window_ms);
        let deposit = offer.offer().price.times(DEPOSIT_SECONDS).context("a deposit")?;
        let open = Call::Open { terms, deposit, expires_at: now().plus(CHANNEL_LASTS_MS) };
        self.rail.submit(open, Arc::clone(&self.viewer) as _).await.context("the viewer's channel")?;
        let logged_in = client.login(self.viewer.as_ref()).await.context("the viewer's login")?;
        let joined = join(client, &logged_in, stream, terms.id()).await?;
        let tab = Tab::new(terms, offer, deposit)?;
        let consent: watch::Consent = Arc::new(|before, after| after.price <= before.price);
        let session = PaySession::new(tab, offer, Arc::clone(&self.session) as _, consent)?;
        let admission = Admission::of(&joined).context("the node named no place to pay at")?;
        let (store, runtime) = (Arc::new(KeptTab(kept)), tokio::runtime::Handle::current());
        let socket = PaySocket::connect(Admissions::once(admission), session, store, &runtime);
        Ok(Ticket { joined, channel: terms.id(), socket })
    }

    fn terms(&self, node: PublicKey, dispute_window_ms: u64) -> ChannelTerms {
        let about = self.rail.info();
        ChannelTerms {
            genesis: about.genesis,
            asset: about.asset,
            payer: self.viewer.public().account(),
            payee: self.creator.public().account(),
            node,
            session: self.session.public(),
            nonce: now().0,
            dispute_window_ms,
        }
    }

    /// Waits for the channel's end on the chain, which the node sends there.
    pub async fn settled(&mut self, paid: &Paid) -> anyhow::Result<Settled> {
        // Ended before anything was paid: the node has nothing to close.
        if paid.status.closed.is_none() && paid.status.spent.is_zero() {
            return Ok(Settled { total: Amount::ZERO, payments: 0 });
        }
        let channel = paid.channel;
        let (mut total, mut payments) = (Amount::ZERO, 0);
        let read = async {
            while let Some(update) = self.updates.recv().await {
                let Update::Final { news, .. } = update else { continue };
                for news in news.channels.iter().filter(|news| news.channel == channel) {
                    let (paid, is_over) = match news.event {
                        ChannelEvent::Settled { cumulative } => (cumulative, false),
                        ChannelEvent::Closed { paid } => (paid, true),
                        _ => continue,
                    };
                    payments += u64::from(paid > total);
                    total = paid;
                    if is_over {
                        return anyhow::Ok(());
                    }
                }
            }
            anyhow::bail!("the chain ended before the channel was closed")
        };
        let waited = tokio::time::timeout(CLOSED_WITHIN, read).await;
        waited.context("the channel's close did not become final")??;
        Ok(Settled { total, payments })
    }

    /// Ends the market: the three books are laid side by side. The node has ended by now.
    pub async fn report(
        self,
        paid: Paid,
        settled: Settled,
        delivered_seconds: f64,
        data: &Path,
    ) -> anyhow::Result<PaymentReport> {
        let audited = node::audit(data, Some(Arc::clone(&self.rail))).await.context("the audit")?;
        let report = PaymentReport {
            ticks: paid.status.totals.signed,
            delivered_seconds,
            unplayed: paid.status.totals.unplayed,
            price: paid.status.offer.offer().price.per_tick(),
            viewer_total: paid.status.spent,
            // Whoever else watched has a channel of its own.
            ledger_total: audited.accepted_of.get(&paid.channel).copied().unwrap_or(Amount::ZERO),
            chain_total: settled.total,
            settlements: settled.payments,
            findings: audited.findings,
            unit: Unit::new(&self.rail.info().symbol, self.rail.info().decimals),
        };
        // Who reads the chain goes first: its end is nobody's trouble.
        let Self { chain, rail, updates, .. } = self;
        drop((rail, updates));
        chain.stop().await;
        Ok(report)
    }
}

impl Ticket {
    /// For the player.
    pub fn handle(&self) -> PayHandle {
        self.socket.handle()
    }

    /// Nothing more is watched: what played is paid, and both sides close the channel.
    pub async fn end(self) -> Paid {
        self.socket.handle().close();
        Paid { channel: self.channel, status: self.socket.over().await }
    }
}

/// The node hears of the channel a moment after the viewer does.
async fn join(
    client: &Client,
    viewer: &LoggedIn,
    stream: &CreatedStream,
    channel: ChannelId,
) -> anyhow::Result<Joined> {
    let request = JoinRequest { viewer_id: viewer.account.account().to_string(), channel: Some(channel) };
    let mut turns = tokio::time::interval(Duration::from_millis(100));
    let joining = async {
        loop {
            turns.tick().await;
            match client.join(Some(viewer), &stream.playback_id, &request).await {
                Err(api::ClientError::PaymentRequired(_)) => {}
                answer => return answer,
            }
        }
    };
    let joined = tokio::time::timeout(CLOSED_WITHIN, joining).await;
    Ok(joined.context("the node did not hear of the channel")??)
}

/// A tab in a file, which is never half written.
struct KeptTab(PathBuf);

impl TabStore for KeptTab {
    fn save(&self, record: &[u8]) -> io::Result<()> {
        let next = self.0.with_extension("next");
        let mut file = std::fs::File::create(&next)?;
        io::Write::write_all(&mut file, record)?;
        file.sync_all()?;
        std::fs::rename(next, &self.0)
    }
}

fn now() -> UnixMillis {
    media::WallTime::from_system(std::time::SystemTime::now()).into()
}
