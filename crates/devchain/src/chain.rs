//! Blocks on blocks: which one is best, which ones are final, which transactions wait. Time comes in.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use codec::{DecodeAll as _, Encode as _};
use runtime::{AccountId, Executive, Genesis, Hash, Header, Nonce, System, Timestamp, UncheckedExtrinsic};
use sp_runtime::traits::{BlakeTwo256, Hash as _};
use sp_runtime::transaction_validity::TransactionSource;
use sp_state_machine::OverlayedChanges;
use thiserror::Error;
use tokio::sync::watch;

use crate::archive::{Archive, Panicked, STATE_VERSION};
use crate::block_log::{BlockLog, Record};
use crate::draft::{self, Applied, Draft, DraftError, Finished};
use crate::pool::{Pool, PoolError, Waiting};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockId {
    pub number: u32,
    pub hash: [u8; 32],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heads {
    pub best: BlockId,
    pub finalized: BlockId,
}

pub struct Block {
    pub header: Header,
    pub hash: Hash,
    pub extrinsics: Vec<Vec<u8>>,
}

impl Block {
    fn id(&self) -> BlockId {
        BlockId { number: self.header.number, hash: self.hash.0 }
    }
}

/// What becomes of the transactions of blocks that lose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transactions {
    /// They wait again.
    Kept,
    Forgotten,
}

/// Where a transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Waiting,
    InBlock(BlockId),
    Final(BlockId),
    /// A block refused it.
    Refused,
    Unknown,
}

#[derive(Debug, Error)]
pub enum ChainError {
    #[error("the first state cannot be made: {0}")]
    Genesis(String),
    #[error("the folder holds another chain: it began with {found:?}, not {expected:?}")]
    OtherChain { expected: Hash, found: Hash },
    #[error("block {0} on disk does not follow from those before it")]
    Broken(u32),
    #[error("the blocks cannot be read or written")]
    Log(#[from] std::io::Error),
    #[error("a block cannot be made")]
    Draft(#[from] DraftError),
    #[error("{depth} blocks cannot lose: only {above} are not final")]
    TooDeep { depth: u32, above: u32 },
}

/// A call into the runtime that has no answer.
#[derive(Debug, Error)]
pub enum CallError {
    #[error("there is no block {0:?}")]
    NoBlock(Hash),
    #[error("the runtime has no {0}")]
    NoMethod(String),
    #[error(transparent)]
    Panicked(#[from] Panicked),
    #[error("the state cannot be read: {0}")]
    State(String),
}

pub struct Chain {
    archive: Archive,
    blocks: HashMap<Hash, Arc<Block>>,
    /// By number: the chain that the best block ends.
    best: Vec<Hash>,
    finalized: u32,
    /// Transactions in it, and in which block.
    included: HashMap<Hash, BlockId>,
    pool: Pool,
    log: Option<BlockLog>,
    /// Metadata is long to make and never changes.
    metadata: HashMap<(String, Vec<u8>), Vec<u8>>,
    heads: watch::Sender<Heads>,
}

impl Chain {
    /// Goes on from what the folder holds, where one is given.
    pub fn open(genesis: &Genesis, folder: Option<&Path>) -> Result<Self, ChainError> {
        let mut archive = Archive::default();
        let state_root = archive.begin(&genesis.storage().map_err(ChainError::Genesis)?);
        let header = Header {
            parent_hash: Hash::default(),
            number: 0,
            state_root,
            extrinsics_root: BlakeTwo256::ordered_trie_root(Vec::new(), STATE_VERSION),
            digest: Default::default(),
        };
        let hash = header.hash();
        let first = Arc::new(Block { header, hash, extrinsics: Vec::new() });
        let id = first.id();
        let mut chain = Self {
            archive,
            blocks: HashMap::from([(hash, first)]),
            best: vec![hash],
            finalized: 0,
            included: HashMap::new(),
            pool: Pool::default(),
            log: None,
            metadata: HashMap::new(),
            heads: watch::Sender::new(Heads { best: id, finalized: id }),
        };
        if let Some(folder) = folder {
            chain.replay(hash, folder)?;
            chain.announce();
        }
        Ok(chain)
    }

    fn replay(&mut self, genesis: Hash, folder: &Path) -> Result<(), ChainError> {
        let (mut log, records) = BlockLog::open(folder)?;
        if records.is_empty() {
            log.append(&Record::Genesis(genesis))?;
        }
        for record in records {
            match record {
                Record::Genesis(found) if found != genesis => {
                    return Err(ChainError::OtherChain { expected: genesis, found });
                }
                Record::Genesis(_) => {}
                Record::Block(header, extrinsics) => self.replay_block(&header, extrinsics)?,
                Record::Final(number) => self.set_final(number),
            }
        }
        self.log = Some(log);
        Ok(())
    }

    fn replay_block(&mut self, header: &Header, extrinsics: Vec<Vec<u8>>) -> Result<(), ChainError> {
        let broken = || ChainError::Broken(header.number);
        let parent = self.blocks.get(&header.parent_hash).cloned().ok_or_else(broken)?;
        if parent.header.number < self.finalized {
            return Err(broken());
        }
        let _ = self.lose(parent.header.number);
        let mut draft = Draft::begin(&self.archive, &parent.header)?;
        for extrinsic in &extrinsics {
            match draft.push(&self.archive, extrinsic).map_err(DraftError::from)? {
                Applied::Included => {}
                Applied::Later | Applied::Refused(_) => return Err(broken()),
            }
        }
        let finished = draft.finish(&self.archive)?;
        if finished.header != *header {
            return Err(broken());
        }
        self.adopt(finished);
        Ok(())
    }

    pub fn heads(&self) -> watch::Receiver<Heads> {
        self.heads.subscribe()
    }

    /// Lets everybody look again who waits for a change.
    pub fn announce(&self) {
        let heads = Heads { best: self.best_block().id(), finalized: self.finalized_id() };
        self.heads.send_replace(heads);
    }

    pub fn genesis(&self) -> Hash {
        self.best[0]
    }

    fn best_block(&self) -> Arc<Block> {
        let hash = self.best[self.best.len() - 1];
        self.blocks[&hash].clone()
    }

    fn finalized_id(&self) -> BlockId {
        BlockId { number: self.finalized, hash: self.best[self.finalized as usize].0 }
    }

    pub fn block(&self, hash: &Hash) -> Option<Arc<Block>> {
        self.blocks.get(hash).cloned()
    }

    /// Of the best chain.
    pub fn hash_at(&self, number: u32) -> Option<Hash> {
        self.best.get(number as usize).copied()
    }

    pub fn waiting(&self) -> usize {
        self.pool.len()
    }

    pub fn nodes(&self) -> usize {
        self.archive.nodes()
    }

    /// A block of all that waits and can be in it. Its time is `now`, in milliseconds since 1970, or just after its
    /// parent's.
    pub fn seal(&mut self, now: u64) -> Result<BlockId, ChainError> {
        let parent = self.best_block();
        let time = now.max(self.time(&parent)? + 1);
        let mut transactions = self.pool.take();
        // One that makes the runtime panic is left out, and the block begun again.
        let (finished, left) = loop {
            match self.attempt(&parent.header, time, &transactions) {
                Ok(done) => break done,
                Err((Some(culprit), _)) => {
                    self.pool.refuse(culprit);
                    transactions.retain(|transaction| transaction.hash != culprit);
                }
                Err((None, error)) => {
                    self.pool.give_back(transactions);
                    return Err(error.into());
                }
            }
        };
        if let Some(log) = &mut self.log {
            log.append(&Record::Block(finished.header.clone(), finished.extrinsics.clone()))?;
        }
        self.pool.give_back(left);
        let id = self.adopt(finished);
        self.announce();
        Ok(id)
    }

    /// The block and what is left; or whose fault it is that there is none.
    fn attempt(
        &mut self,
        parent: &Header,
        time: u64,
        transactions: &[Waiting],
    ) -> Result<(Finished, Vec<Waiting>), (Option<Hash>, DraftError)> {
        let ours = |error: DraftError| (None, error);
        let mut draft = Draft::begin(&self.archive, parent).map_err(ours)?;
        draft.push(&self.archive, &draft::timestamp(time)).map_err(|error| ours(error.into()))?;
        let mut left = transactions.to_vec();
        // A transaction may wait for one that came after it: again until nothing more goes in.
        loop {
            let before = left.len();
            let mut later = Vec::new();
            for transaction in left {
                let theirs = |error: Panicked| (Some(transaction.hash), error.into());
                match draft.push(&self.archive, &transaction.bytes).map_err(theirs)? {
                    Applied::Included => {}
                    Applied::Later => later.push(transaction),
                    Applied::Refused(reason) => {
                        tracing::debug!(reason, "a transaction is refused");
                        self.pool.refuse(transaction.hash);
                    }
                }
            }
            left = later;
            if left.is_empty() || left.len() == before {
                break;
            }
        }
        Ok((draft.finish(&self.archive).map_err(ours)?, left))
    }

    fn adopt(&mut self, finished: Finished) -> BlockId {
        self.archive.absorb(finished.state);
        let hash = finished.header.hash();
        let block = Arc::new(Block { header: finished.header, hash, extrinsics: finished.extrinsics });
        let id = block.id();
        self.included.extend(block.extrinsics.iter().map(|bytes| (BlakeTwo256::hash(bytes), id)));
        self.blocks.insert(hash, block);
        self.best.push(hash);
        id
    }

    /// Blocks up to `number` are final, as far as there are any.
    pub fn finalize(&mut self, number: u32) -> Result<BlockId, ChainError> {
        let number = number.min(self.best_block().header.number);
        if number > self.finalized {
            if let Some(log) = &mut self.log {
                log.append(&Record::Final(number))?;
            }
            self.set_final(number);
            self.announce();
        }
        Ok(self.finalized_id())
    }

    fn set_final(&mut self, number: u32) {
        self.finalized = number.clamp(self.finalized, self.best_block().header.number);
    }

    /// The last `depth` blocks lose to `depth + 1` new ones.
    pub fn reorganize(&mut self, depth: u32, fate: Transactions, now: u64) -> Result<BlockId, ChainError> {
        let best = self.best_block();
        let above = best.header.number - self.finalized;
        if depth > above {
            return Err(ChainError::TooDeep { depth, above });
        }
        // Later than those that lose, or they would be the same blocks.
        let now = now.max(self.time(&best)? + 1);
        let lost = self.lose(best.header.number - depth);
        if fate == Transactions::Kept {
            self.pool.give_back(lost);
        }
        for _ in 0..depth {
            self.seal(now)?;
        }
        self.seal(now)
    }

    /// Takes the best chain back to `number`; the transactions that were above it.
    fn lose(&mut self, number: u32) -> Vec<Waiting> {
        let mut transactions = Vec::new();
        for hash in self.best.split_off(number as usize + 1) {
            for bytes in &self.blocks[&hash].extrinsics {
                self.included.remove(&BlakeTwo256::hash(bytes));
                // Whoever makes a block tells the time anew.
                transactions
                    .extend(waiting(bytes.clone()).filter(|transaction| transaction.sender.is_some()));
            }
        }
        transactions
    }

    fn time(&self, block: &Block) -> Result<u64, DraftError> {
        Ok(self.archive.run(block.header.state_root, &mut OverlayedChanges::default(), Timestamp::get)?)
    }

    /// Takes a transaction in, if the best block's state does not speak against it.
    pub fn submit(&mut self, bytes: Vec<u8>) -> Result<Hash, PoolError> {
        let invalid = |text: &str| PoolError::Invalid(text.to_owned());
        let extrinsic =
            UncheckedExtrinsic::decode_all(&mut &bytes[..]).map_err(|_| invalid("It cannot be decoded"))?;
        let best = self.best_block();
        let mut changes = OverlayedChanges::default();
        let validity = self
            .archive
            .run(best.header.state_root, &mut changes, || {
                Executive::validate_transaction(TransactionSource::External, extrinsic, best.hash)
            })
            .map_err(|error| PoolError::Invalid(error.to_string()))?;
        validity.map_err(|reason| invalid(reason.into()))?;
        let transaction = waiting(bytes).ok_or_else(|| invalid("It cannot be decoded"))?;
        let hash = transaction.hash;
        self.pool.push(transaction)?;
        Ok(hash)
    }

    pub fn fate(&self, transaction: &Hash) -> Fate {
        match self.included.get(transaction) {
            Some(block) if block.number <= self.finalized => Fate::Final(*block),
            Some(block) => Fate::InBlock(*block),
            None if self.pool.contains(transaction) => Fate::Waiting,
            None if self.pool.has_refused(transaction) => Fate::Refused,
            None => Fate::Unknown,
        }
    }

    pub fn next_nonce(&self, account: &AccountId) -> Result<Nonce, CallError> {
        let root = self.best_block().header.state_root;
        let mut changes = OverlayedChanges::default();
        let nonce = self.archive.run(root, &mut changes, || System::account_nonce(account))?;
        Ok(self.pool.next_nonce(account, nonce))
    }

    pub fn pending(&self) -> Vec<Vec<u8>> {
        self.pool.iter().map(|transaction| transaction.bytes.clone()).collect()
    }

    fn root(&self, at: &Hash) -> Result<Hash, CallError> {
        Ok(self.blocks.get(at).ok_or(CallError::NoBlock(*at))?.header.state_root)
    }

    /// Calls a runtime API by its name, as a node does for whoever asks.
    pub fn call(&mut self, at: &Hash, method: &str, arguments: &[u8]) -> Result<Vec<u8>, CallError> {
        /// Of how many answers about metadata are kept; there are fewer questions.
        const KEPT: usize = 8;
        let root = self.root(at)?;
        let key = (method.to_owned(), arguments.to_vec());
        if let Some(kept) = self.metadata.get(&key) {
            return Ok(kept.clone());
        }
        let mut changes = OverlayedChanges::default();
        let answer =
            self.archive.run(root, &mut changes, || runtime::api::api::dispatch(method, arguments))?;
        let answer = answer.ok_or_else(|| CallError::NoMethod(method.to_owned()))?;
        if method.starts_with("Metadata_") && self.metadata.len() < KEPT {
            self.metadata.insert(key, answer.clone());
        }
        Ok(answer)
    }

    pub fn storage(&self, at: &Hash, key: &[u8]) -> Result<Option<Vec<u8>>, CallError> {
        self.archive.storage(self.root(at)?, key).map_err(CallError::State)
    }

    pub fn keys(
        &self,
        at: &Hash,
        prefix: &[u8],
        start: Option<&[u8]>,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, CallError> {
        self.archive.keys(self.root(at)?, prefix, start, count).map_err(CallError::State)
    }
}

/// `None` for what cannot be decoded.
fn waiting(bytes: Vec<u8>) -> Option<Waiting> {
    let extrinsic = UncheckedExtrinsic::decode_all(&mut &bytes[..]).ok()?;
    debug_assert_eq!(extrinsic.encode(), bytes, "there is one spelling");
    Some(Waiting { hash: BlakeTwo256::hash(&bytes), sender: runtime::transaction::sender(&extrinsic), bytes })
}
