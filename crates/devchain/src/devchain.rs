//! A chain that runs: blocks are made by the clock, on demand or by hand, and served at one address or several.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runtime::Genesis;
use sp_runtime::AccountId32;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::accounts::development_accounts;
use crate::chain::{BlockId, Chain, ChainError, Fate, Heads, Transactions};
use crate::endpoint::Endpoint;

/// When a block is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sealing {
    Every(Duration),
    /// As soon as a transaction waits.
    OnDemand,
    /// By [`Devchain::seal`] alone.
    ByHand,
}

/// When a block is final.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finality {
    /// As soon as so many are above it.
    Behind(u32),
    /// By [`Devchain::finalize`] alone.
    ByHand,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub genesis: Genesis,
    pub sealing: Sealing,
    pub finality: Finality,
    /// Where blocks are kept over restarts; in memory alone otherwise.
    pub data: Option<PathBuf>,
    /// On the loopback address; 0 for any that is free.
    pub port: u16,
}

impl Default for Config {
    /// [`development_accounts`] have something; a block a second, final with the second one above it.
    fn default() -> Self {
        Self {
            genesis: development_genesis(),
            sealing: Sealing::Every(Duration::from_secs(1)),
            finality: Finality::Behind(2),
            data: None,
            port: 0,
        }
    }
}

impl Config {
    /// A chain that stands still between calls of [`Devchain::seal`] and [`Devchain::finalize`].
    pub fn by_hand() -> Self {
        Self { sealing: Sealing::ByHand, finality: Finality::ByHand, ..Self::default() }
    }

    /// As slow as public chains are: six seconds a block, final after eighteen.
    pub fn slow() -> Self {
        let period = Duration::from_secs(6);
        Self { sealing: Sealing::Every(period), finality: Finality::Behind(3), ..Self::default() }
    }

    /// Every transaction has a final block of its own at once.
    pub fn at_once() -> Self {
        Self { sealing: Sealing::OnDemand, finality: Finality::Behind(0), ..Self::default() }
    }

    /// What comes nearest to this on a node that makes its blocks by the clock alone: the time between two, and how many
    /// are above one that is final. Nothing where blocks are made final by hand.
    pub fn by_the_clock(&self) -> Option<(Duration, u32)> {
        let period = match self.sealing {
            Sealing::Every(period) => period,
            Sealing::OnDemand | Sealing::ByHand => Duration::from_millis(500),
        };
        match self.finality {
            // A transaction names a final block that the node's pool has to know already, and where every block is final
            // at once the pool may be a block behind.
            Finality::Behind(blocks) => Some((period, blocks.max(1))),
            Finality::ByHand => None,
        }
    }

    /// Further accounts that have something when the chain begins.
    #[must_use]
    pub fn with_funded(mut self, accounts: impl IntoIterator<Item = ([u8; 32], u128)>) -> Self {
        let accounts = accounts.into_iter().map(|(account, balance)| (AccountId32::new(account), balance));
        self.genesis.balances.extend(accounts);
        self
    }
}

fn development_genesis() -> Genesis {
    let accounts = development_accounts();
    let held =
        |part| accounts.iter().map(move |account| (AccountId32::new(account.public), account.balance / part));
    Genesis { balances: held(1).collect(), assets: held(1_000_000).collect() }
}

#[derive(Debug, Error)]
pub enum DevchainError {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("the chain cannot be served at port {port} of this machine")]
    Serve { port: u16, source: std::io::Error },
}

/// Ends when it is dropped.
pub struct Devchain {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    maker: JoinHandle<()>,
}

pub(crate) struct Shared {
    chain: Mutex<Chain>,
    sealing: watch::Sender<Sealing>,
    finality: watch::Sender<Finality>,
    /// Something waits in the pool.
    demand: Notify,
    /// How far the chain's clock is from the machine's, in milliseconds.
    clock_offset_ms: AtomicI64,
}

impl Shared {
    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        // A chain is changed in whole steps only: it is right even where somebody panicked.
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn demand(&self) {
        self.demand.notify_one();
    }

    fn now(&self) -> u64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let wall = u64::try_from(wall).unwrap_or(u64::MAX);
        wall.saturating_add_signed(self.clock_offset_ms.load(Ordering::Relaxed))
    }

    fn seal(&self) -> Result<BlockId, ChainError> {
        let mut chain = self.chain();
        let block = chain.seal(self.now())?;
        self.settle(&mut chain)?;
        Ok(block)
    }

    /// Makes final what is due.
    fn settle(&self, chain: &mut Chain) -> Result<(), ChainError> {
        if let Finality::Behind(blocks) = *self.finality.borrow() {
            let best = chain.heads().borrow().best.number;
            chain.finalize(best.saturating_sub(blocks))?;
        }
        Ok(())
    }

    /// Makes blocks as it is told, for ever.
    async fn make_blocks(&self) {
        let mut sealing = self.sealing.subscribe();
        loop {
            let how = *sealing.borrow_and_update();
            match how {
                Sealing::ByHand => {
                    if sealing.changed().await.is_err() {
                        return;
                    }
                }
                Sealing::OnDemand => tokio::select! {
                    () = self.demand.notified() => while self.chain().waiting() > 0 && self.made_progress() {},
                    _ = sealing.changed() => {}
                },
                Sealing::Every(period) => self.make_blocks_every(period, &mut sealing).await,
            }
        }
    }

    async fn make_blocks_every(&self, period: Duration, sealing: &mut watch::Receiver<Sealing>) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.made_progress();
                }
                _ = sealing.changed() => return,
            }
        }
    }

    /// Whether a block was made that took something from the pool.
    fn made_progress(&self) -> bool {
        let before = self.chain().waiting();
        match self.seal() {
            Ok(_) => self.chain().waiting() < before,
            Err(error) => {
                tracing::error!(%error, "no block was made");
                false
            }
        }
    }
}

async fn serve(shared: &Arc<Shared>, port: u16) -> Result<Endpoint, DevchainError> {
    Endpoint::open(shared.clone(), port).await.map_err(|source| DevchainError::Serve { port, source })
}

impl Devchain {
    /// Runs it on the current tokio runtime.
    pub async fn start(config: Config) -> Result<Self, DevchainError> {
        let chain = Chain::open(&config.genesis, config.data.as_deref())?;
        let shared = Arc::new(Shared {
            chain: Mutex::new(chain),
            sealing: watch::Sender::new(config.sealing),
            finality: watch::Sender::new(config.finality),
            demand: Notify::new(),
            clock_offset_ms: AtomicI64::new(0),
        });
        let endpoint = serve(&shared, config.port).await?;
        let maker = shared.clone();
        let maker = tokio::spawn(async move { maker.make_blocks().await });
        Ok(Self { shared, endpoint, maker })
    }

    /// The first one.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What a client connects to: `ws://127.0.0.1:…`.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Serves the same chain at one more address.
    pub async fn serve(&self, port: u16) -> Result<Endpoint, DevchainError> {
        serve(&self.shared, port).await
    }

    pub fn genesis(&self) -> [u8; 32] {
        self.shared.chain().genesis().0
    }

    pub fn best(&self) -> BlockId {
        self.heads().borrow().best
    }

    pub fn finalized(&self) -> BlockId {
        self.heads().borrow().finalized
    }

    fn heads(&self) -> watch::Receiver<Heads> {
        self.shared.chain().heads()
    }

    /// How many transactions wait for a block.
    pub fn waiting(&self) -> usize {
        self.shared.chain().waiting()
    }

    /// Where the transaction of this hash is.
    pub fn fate(&self, transaction: [u8; 32]) -> Fate {
        self.shared.chain().fate(&transaction.into())
    }

    /// How many trie nodes all states together hold.
    pub fn nodes(&self) -> usize {
        self.shared.chain().nodes()
    }

    /// A block now, of what waits.
    pub fn seal(&self) -> Result<BlockId, DevchainError> {
        Ok(self.shared.seal()?)
    }

    /// Blocks up to this number are final now.
    pub fn finalize(&self, number: u32) -> Result<BlockId, DevchainError> {
        Ok(self.shared.chain().finalize(number)?)
    }

    /// The last `depth` blocks lose to new ones.
    pub fn reorganize(&self, depth: u32, transactions: Transactions) -> Result<BlockId, DevchainError> {
        let now = self.shared.now();
        Ok(self.shared.chain().reorganize(depth, transactions, now)?)
    }

    pub fn set_sealing(&self, sealing: Sealing) {
        self.shared.sealing.send_replace(sealing);
        self.shared.demand();
    }

    pub fn set_finality(&self, finality: Finality) -> Result<(), DevchainError> {
        self.shared.finality.send_replace(finality);
        Ok(self.shared.settle(&mut self.shared.chain())?)
    }

    /// The chain's clock is so much further on from now on, or back; a block is later than its parent anyhow.
    pub fn step_clock(&self, millis: i64) {
        self.shared.clock_offset_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// Ends it, and returns when its address is free.
    pub async fn stop(self) {
        self.maker.abort();
        // Dropping `self` would only ask for it.
        self.endpoint.shut().await;
    }
}

impl Drop for Devchain {
    fn drop(&mut self) {
        self.maker.abort();
    }
}
