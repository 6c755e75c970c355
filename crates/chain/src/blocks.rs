//! Blocks with what happened in them, fetched once for all who ask.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use codec::Decode as _;
use pay::UnixMillis;
use pay::id::blake2_256;
use subxt::config::substrate::H256;
use subxt::metadata::ArcMetadata;
use tokio::sync::OnceCell;

use crate::events::{ByTransaction, Reading};
use crate::link::{Client, Fault, Link};
use crate::rail::{BlockRef, News};

/// Most blocks that are kept; of older ones the oldest is forgotten, and fetched again where it is asked for.
const KEPT: usize = 1_024;

pub(crate) struct Block {
    pub at: BlockRef,
    pub parent: [u8; 32],
    pub time: UnixMillis,
    pub news: News,
    pub transactions: ByTransaction,
    /// Of its transactions, once somebody has asked for them.
    hashes: OnceCell<Vec<[u8; 32]>>,
}

pub(crate) struct Blocks {
    reading: Reading,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    blocks: HashMap<[u8; 32], Arc<Block>>,
    order: VecDeque<[u8; 32]>,
}

impl Blocks {
    pub fn new(reading: Reading) -> Self {
        Self { reading, kept: Mutex::default() }
    }

    pub async fn get(&self, link: &Link, hash: [u8; 32]) -> Result<Arc<Block>, Fault> {
        if let Some(block) = self.kept().blocks.get(&hash) {
            return Ok(block.clone());
        }
        let block = Arc::new(self.fetch(link, hash).await?);
        let mut kept = self.kept();
        if kept.blocks.insert(hash, block.clone()).is_none() {
            kept.order.push_back(hash);
        }
        if kept.order.len() > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.blocks.remove(&oldest);
        }
        Ok(block)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, link: &Link, hash: [u8; 32]) -> Result<Block, Fault> {
        let (at, parent) = link.header(hash).await?;
        let client = link.at(at).await?;
        let metadata = client.metadata();
        let time = link.storage(&key(&client, "Timestamp", "Now")?, at).await?;
        let time = match time {
            Some(bytes) => u64::decode(&mut &bytes[..]).map_err(Fault::other)?,
            // Only the first block has none.
            None => 0,
        };
        let (news, transactions) = self.events(link, at, &client, &metadata).await?;
        Ok(Block { at, parent, time: UnixMillis(time), news, transactions, hashes: OnceCell::new() })
    }

    async fn events(
        &self,
        link: &Link,
        at: BlockRef,
        client: &Client,
        metadata: &ArcMetadata,
    ) -> Result<(News, ByTransaction), Fault> {
        let bytes = link.storage(&key(client, "System", "Events")?, at).await?;
        if bytes.is_none() && at.number > 0 {
            // Every block has some: its state is there no more.
            return Err(Fault::Other(format!("it has forgotten the state of block {}", at.number)));
        }
        let events = client.events().from_bytes(bytes.unwrap_or_default());
        self.reading.read(&events, metadata)
    }
}

impl Block {
    /// Where the transaction is in it.
    pub async fn place(&self, link: &Link, transaction: &[u8; 32]) -> Result<Option<u32>, Fault> {
        let hashes = self
            .hashes
            .get_or_try_init(|| async {
                let block = link.ask(link.rpc.chain_get_block(Some(H256(self.at.hash)))).await?;
                let block = block.ok_or_else(|| Fault::other("it does not know a block of its own"))?;
                let hashes = block.block.extrinsics.iter().map(|bytes| blake2_256(&bytes.0));
                Ok::<_, Fault>(hashes.collect::<Vec<_>>())
            })
            .await?;
        Ok(hashes.iter().position(|hash| hash == transaction).and_then(|at| u32::try_from(at).ok()))
    }
}

/// The storage key of a value that is no map's.
fn key(client: &Client, pallet: &str, entry: &str) -> Result<Vec<u8>, Fault> {
    let address = subxt::dynamic::storage::<(), subxt::dynamic::Value>(pallet, entry);
    let entry = client.storage().entry(address).map_err(Fault::other)?;
    Ok(entry.key_prefix().to_vec())
}
