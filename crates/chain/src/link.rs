//! One connection to one node of a chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pay::Genesis;
use subxt::backend::LegacyBackend;
use subxt::config::{RpcConfigFor, substrate::H256};
use subxt::rpcs::methods::legacy::NumberOrHex;
use subxt::rpcs::{LegacyRpcMethods, RpcClient};
use subxt::{OnlineClient, OnlineClientAtBlock, SubstrateConfig};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::rail::{BlockRef, RailError};

pub(crate) type Client = OnlineClientAtBlock<SubstrateConfig>;
pub(crate) type Methods = LegacyRpcMethods<RpcConfigFor<SubstrateConfig>>;

/// Why a node gave no answer. Whatever it is, another node may do better.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it did not answer in time")]
    Slow,
    #[error("{0}")]
    Rpc(#[from] subxt::rpcs::Error),
    #[error("{0}")]
    Other(String),
}

impl Fault {
    pub fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

pub(crate) struct Link {
    pub url: String,
    pub rpc: Methods,
    online: OnlineClient<SubstrateConfig>,
    patience: Duration,
    failed: AtomicBool,
    failure: Notify,
}

/// Whether an address may be asked about money: whoever is between could tell of deposits that are not there, so it is
/// one of TLS, or this machine's own.
pub fn is_endpoint(url: &str) -> bool {
    let is_socket = url.starts_with("ws://") || url.starts_with("wss://");
    is_socket && subxt::rpcs::utils::url_is_secure(url).unwrap_or(false)
}

impl Link {
    /// Connects, and makes sure that it is the right chain; any, where none is expected.
    pub async fn open(
        url: &str,
        expected: Option<Genesis>,
        patience: Duration,
    ) -> Result<Arc<Self>, RailError> {
        let unreachable = |reason: String| RailError::Unreachable(format!("{url}: {reason}"));
        if !is_endpoint(url) {
            return Err(unreachable("only wss:// is taken, but for this machine's own addresses".into()));
        }
        let connect = async {
            let client = RpcClient::from_insecure_url(url).await?;
            let rpc = Methods::new(client.clone());
            let genesis = rpc.genesis_hash().await?;
            Ok::<_, subxt::rpcs::Error>((client, rpc, Genesis(genesis.0)))
        };
        let (client, rpc, found) = timeout(patience, connect)
            .await
            .map_err(|_| unreachable(Fault::Slow.to_string()))?
            .map_err(|error| unreachable(error.to_string()))?;
        if let Some(expected) = expected
            && expected != found
        {
            return Err(RailError::WrongChain { expected, found });
        }
        let config = SubstrateConfig::builder().set_genesis_hash(H256(found.0)).build();
        let backend = Arc::new(LegacyBackend::builder().build(client));
        let online = OnlineClient::from_backend_with_config(config, backend)
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        Ok(Arc::new(Self {
            url: url.to_owned(),
            rpc,
            online,
            patience,
            failed: AtomicBool::new(false),
            failure: Notify::new(),
        }))
    }

    pub fn genesis(&self) -> Genesis {
        Genesis(self.online.genesis_hash().0)
    }

    /// It is not to be used any more.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.failure.notify_waiters();
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Returns when somebody has found it wanting.
    pub async fn failure(&self) {
        let mut notified = std::pin::pin!(self.failure.notified());
        notified.as_mut().enable();
        if !self.has_failed() {
            notified.await;
        }
    }

    /// An answer in time, or a fault.
    pub async fn ask<T, E: Into<Fault>>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Fault> {
        timeout(self.patience, answer).await.map_err(|_| Fault::Slow)?.map_err(Into::into)
    }

    pub async fn hash_of(&self, number: u32) -> Result<[u8; 32], Fault> {
        let hash = self.ask(self.rpc.chain_get_block_hash(Some(NumberOrHex::Number(number.into())))).await?;
        hash.map(|hash| hash.0).ok_or_else(|| Fault::Other(format!("it has no block {number}")))
    }

    /// The block's number, and its parent.
    pub async fn header(&self, hash: [u8; 32]) -> Result<(BlockRef, [u8; 32]), Fault> {
        let header = self.ask(self.rpc.chain_get_header(Some(H256(hash)))).await?;
        let header = header.ok_or_else(|| Fault::other("it does not know a block of its own"))?;
        let number = u32::try_from(header.number).map_err(Fault::other)?;
        Ok((BlockRef { number, hash }, header.parent_hash.0))
    }

    pub async fn finalized(&self) -> Result<BlockRef, Fault> {
        let hash = self.ask(self.rpc.chain_get_finalized_head()).await?;
        Ok(self.header(hash.0).await?.0)
    }

    pub async fn best(&self) -> Result<BlockRef, Fault> {
        let hash = self.ask(self.rpc.chain_get_block_hash(None)).await?;
        let hash = hash.ok_or_else(|| Fault::other("it has no best block"))?;
        Ok(self.header(hash.0).await?.0)
    }

    /// What knows how this block's runtime encodes.
    pub async fn at(&self, block: BlockRef) -> Result<Client, Fault> {
        let at = self.online.at_block_hash_and_number(H256(block.hash), block.number.into());
        self.ask(async { at.await.map_err(Fault::other) }).await
    }

    pub async fn storage(&self, key: &[u8], at: BlockRef) -> Result<Option<Vec<u8>>, Fault> {
        self.ask(self.rpc.state_get_storage(key, Some(H256(at.hash)))).await
    }
}
