//! Starts and stops a node.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::ipfs::Ipfs;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::app::App;
use crate::billing::{Billing, BillingError, Cashier};
use crate::config::NodeConfig;
use crate::descriptors::{self, Shares};
use crate::door::Door;
use crate::places::Places;
use crate::records::Records;
use crate::session::DISPLACED_MAX;
use crate::store::{Store, StoreError};
use crate::{http, media_events, rtmp_server};

/// After so long a chain that did not answer is asked again, and after twice as long each further time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Error)]
pub enum NodeError {
    #[error("the port {address} of {what} cannot be opened: {source}")]
    Bind { what: &'static str, address: SocketAddr, source: std::io::Error },
    #[error("the folder {path} cannot be used: {source}")]
    DataDir { path: std::path::PathBuf, source: std::io::Error },
    #[error("another node uses the folder {path}: end it first, or give this one a folder of its own")]
    DataInUse { path: std::path::PathBuf },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Media(#[from] sfu::StartError),
    #[error(transparent)]
    Billing(#[from] BillingError),
    #[error("{0} has ended by itself: nothing but a new start mends that")]
    Broken(&'static str),
    #[error("the node cannot be paid: {0}")]
    Chain(#[from] chain::RailError),
}

impl NodeError {
    /// Whether a port is another program's.
    pub fn is_address_taken(&self) -> bool {
        let source = match self {
            Self::Bind { source, .. } | Self::Media(sfu::StartError::Bind(_, source)) => source,
            _ => return false,
        };
        source.kind() == std::io::ErrorKind::AddrInUse
    }
}

/// Where a running node listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    pub http: SocketAddr,
    pub hls: SocketAddr,
    pub rtmp: SocketAddr,
    pub media: SocketAddr,
}

/// What runs until the node ends, each with its name.
type Parts = JoinSet<&'static str>;

/// A running node. Dropping it ends everything at once; [`Node::stop`] lets broadcasts end properly.
pub struct Node {
    app: Arc<App>,
    addresses: Addresses,
    tasks: Mutex<Parts>,
    _sfu: sfu::Sfu,
    /// Of the data folder, for as long as it runs.
    _lock: std::fs::File,
}

impl Node {
    /// Opens every port or none. The database is touched only once nothing else can be refused: what another node
    /// has live is not ended.
    ///
    /// Where the chain does not answer, what is free plays meanwhile, and the node is paid once it does.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let Some(chain) = &config.chain else { return Self::start_on(config, None).await };
        match chain.connect().await {
            Ok(rail) => Self::start_on(config, Some(rail)).await,
            Err(chain::RailError::Unreachable(why)) => {
                tracing::warn!("the chain does not answer: only what is free plays until it does ({why})");
                let mut node = Self::start_on(config, None).await?;
                let app = Arc::clone(&node.app);
                spawn(node.tasks.get_mut(), "what is paid", begin_later(app));
                Ok(node)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The same, paid on `rail` by what the settings' `[chain]` says.
    pub async fn start_on(config: NodeConfig, rail: Option<Arc<dyn chain::Rail>>) -> Result<Self, NodeError> {
        let http = bind("HTTP", config.http).await?;
        let hls = bind("HLS", config.hls).await?;
        let rtmp = bind("RTMP", config.rtmp).await?;
        let (sfu, events) = sfu::Sfu::start(sfu::SfuConfig {
            bind: config.media,
            advertised: advertised(&config),
            // Viewers are turned away at `max_peers`; who has a stream's key finds room beyond.
            max_peers: config.max_peers + config.max_streams + DISPLACED_MAX,
            ..sfu::SfuConfig::default()
        })?;
        let lock = lock(&config.data_dir)?;
        let store = Store::open(&config.data_dir).await?;
        let local = |listener: &TcpListener, asked| listener.local_addr().unwrap_or(asked);
        let addresses = Addresses {
            http: local(&http, config.http),
            hls: local(&hls, config.hls),
            rtmp: local(&rtmp, config.rtmp),
            media: sfu.handle().local_addr(),
        };
        let billing = Billing::new(&config.data_dir)?;
        let app = Arc::new(App::new(config, addresses, store, sfu.handle(), billing));
        let cashier = match rail {
            Some(rail) => Some(begin(&app, rail).await?),
            None => None,
        };
        let shares = Shares::of(descriptors::raise());
        // Viewers behind one address are many, and proxies stand before most of them; yet none may have it all.
        let http = Door::new(http, Places::new("HTTP", shares.http, most(shares.http)));
        let hls = Door::new(hls, Places::new("HLS", shares.hls, most(shares.hls)));
        let rtmp = Door::new(rtmp, Places::new("RTMP", shares.rtmp, rtmp_server::PER_NETWORK));
        let mut tasks = JoinSet::new();
        spawn(&mut tasks, "the HTTP port", http::serve(http, http::router(Arc::clone(&app))));
        spawn(&mut tasks, "the HLS port", http::serve(hls, http::hls_router(Arc::clone(&app))));
        spawn(&mut tasks, "the RTMP port", rtmp_server::serve(Arc::clone(&app), rtmp));
        spawn(&mut tasks, "the media plane", media_events::pump(Arc::clone(&app), events));
        if let Some(cashier) = cashier {
            be_paid(&mut tasks, &app, cashier);
        }
        Ok(Self { app, addresses, tasks: Mutex::new(tasks), _sfu: sfu, _lock: lock })
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    #[cfg(test)]
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// How many WHIP and WHEP sessions there are.
    pub fn sessions(&self) -> usize {
        self.app.sessions().len()
    }

    /// How many streams are being published.
    pub fn live_streams(&self) -> usize {
        self.app.live_streams()
    }

    /// Returns once a part that should run for as long as the node has ended: a thread that died, a defect. The node
    /// cannot serve any more, and is best started anew.
    pub async fn broken(&self) -> NodeError {
        match self.tasks.lock().await.join_next().await {
            Some(Ok(part)) => NodeError::Broken(part),
            Some(Err(_)) | None => NodeError::Broken("a part of the node"),
        }
    }

    /// Ends every broadcast and closes the database.
    pub async fn stop(mut self) {
        // What was paid and is not stored comes first: nothing is taken after it.
        if let Some(paid) = self.app.billing().paid() {
            paid.cashier.end().await;
        }
        self.tasks.get_mut().shutdown().await;
        self.app.end_broadcasts().await;
        self.app.store().close().await;
    }
}

/// Of so many places, those that one network may have.
fn most(places: usize) -> usize {
    (places - places / 4).max(1)
}

async fn begin(app: &App, rail: Arc<dyn chain::Rail>) -> Result<Cashier, BillingError> {
    let (config, store, sfu) = (app.config(), app.store().clone(), app.sfu().clone());
    app.billing().begin(&config.data_dir, rail, config.chain.clone().unwrap_or_default(), store, sfu).await
}

fn spawn(parts: &mut Parts, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
    parts.spawn(async move {
        part.await;
        name
    });
}

fn be_paid(parts: &mut Parts, app: &Arc<App>, cashier: Cashier) {
    spawn(parts, "the cashier", cashier.run());
    spawn(parts, "the renewing of offers", renew(Arc::clone(app)));
    spawn(parts, "the recording of streams", record(Arc::clone(app)));
}

/// Asks the chain until it answers, and is paid from then on.
async fn begin_later(app: Arc<App>) {
    let Some(chain) = app.config().chain.clone() else { return std::future::pending().await };
    let mut pause = FIRST_PAUSE;
    let cashier = loop {
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LAST_PAUSE);
        let begun = match chain.connect().await {
            Ok(rail) => begin(&app, rail).await.map_err(NodeError::from),
            Err(err) => Err(err.into()),
        };
        match begun {
            Ok(cashier) => break cashier,
            Err(err) => tracing::warn!("the node cannot be paid yet: {err}"),
        }
    };
    tracing::info!("the chain answers: the node is paid");
    let mut tasks = JoinSet::new();
    be_paid(&mut tasks, &app, cashier);
    // Whichever ends first ends all, and the node is told.
    tasks.join_next().await;
}

/// Renews the offers of what is watched.
async fn renew(app: Arc<App>) {
    if let Some(paid) = app.billing().paid() {
        paid.renew().await;
    }
    std::future::pending().await
}

/// Keeps what streams say of themselves, and records it on chain.
async fn record(app: Arc<App>) {
    let (billing, store) = (app.billing(), app.store().clone());
    let Some(paid) = billing.paid().filter(|paid| paid.config.record_streams) else {
        return std::future::pending().await;
    };
    let ipfs = match paid.config.ipfs_api.as_str() {
        "" => None,
        // The settings were looked at before.
        url => Ipfs::new(url).ok(),
    };
    let (rail, key, clock) = (Arc::clone(&paid.rail), Arc::clone(&billing.key), billing.clock.clone());
    Records { store, rail, key, clock, ipfs }.run().await;
}

/// Makes the data folder and takes it for this process. The lock goes with the file, however the process ends.
fn lock(folder: &std::path::Path) -> Result<std::fs::File, NodeError> {
    let failed = |source| NodeError::DataDir { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = std::fs::File::create(folder.join("node.lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(NodeError::DataInUse { path: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// What peers are told to send to: as set, else this machine's own addresses where the port is bound to all.
fn advertised(config: &NodeConfig) -> Vec<IpAddr> {
    if !config.advertised.is_empty() || !config.media.ip().is_unspecified() {
        return config.advertised.clone();
    }
    let found = if_addrs::get_if_addrs().unwrap_or_default().into_iter();
    let mut found: Vec<IpAddr> =
        found.map(|interface| interface.ip()).filter(|ip| ip.is_ipv4() == config.media.is_ipv4()).collect();
    // Viewers on this machine are tried last.
    found.sort_by_key(IpAddr::is_loopback);
    found
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(address).await.map_err(|source| NodeError::Bind { what, address, source })
}
