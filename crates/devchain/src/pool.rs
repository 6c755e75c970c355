//! Transactions that wait for a block, in the order in which they came.

use std::collections::{HashSet, VecDeque};

use runtime::{AccountId, Hash, Nonce};
use thiserror::Error;

/// Most that wait; further ones are refused until a block has taken some.
pub const CAPACITY: usize = 8_192;
/// Of how many refused ones the reasons are kept, the latest.
const REFUSED: usize = 1_024;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    pub hash: Hash,
    pub bytes: Vec<u8>,
    pub sender: Option<(AccountId, Nonce)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PoolError {
    #[error("Transaction is already in the pool")]
    Known,
    #[error("The pool is full")]
    Full,
    #[error("{0}")]
    Invalid(String),
}

#[derive(Default)]
pub struct Pool {
    waiting: VecDeque<Waiting>,
    hashes: HashSet<Hash>,
    refused: VecDeque<Hash>,
}

impl Pool {
    pub fn push(&mut self, transaction: Waiting) -> Result<(), PoolError> {
        if self.waiting.len() >= CAPACITY {
            return Err(PoolError::Full);
        }
        if !self.hashes.insert(transaction.hash) {
            return Err(PoolError::Known);
        }
        self.refused.retain(|hash| *hash != transaction.hash);
        self.waiting.push_back(transaction);
        Ok(())
    }

    pub fn take(&mut self) -> Vec<Waiting> {
        self.hashes.clear();
        self.waiting.drain(..).collect()
    }

    /// Those that a block did not take, and those of blocks that lost, before what came since.
    pub fn give_back(&mut self, transactions: impl IntoIterator<Item = Waiting>) {
        let mut all: VecDeque<_> = transactions.into_iter().collect();
        all.extend(self.waiting.drain(..));
        self.hashes = all.iter().map(|transaction| transaction.hash).collect();
        self.waiting = all;
    }

    pub fn refuse(&mut self, hash: Hash) {
        self.refused.push_back(hash);
        if self.refused.len() > REFUSED {
            self.refused.pop_front();
        }
    }

    pub fn contains(&self, hash: &Hash) -> bool {
        self.hashes.contains(hash)
    }

    pub fn has_refused(&self, hash: &Hash) -> bool {
        self.refused.contains(hash)
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }

    /// The nonce that the account's next transaction is to have, where the chain says `nonce`.
    pub fn next_nonce(&self, account: &AccountId, nonce: Nonce) -> Nonce {
        let theirs: HashSet<Nonce> = self
            .waiting
            .iter()
            .filter_map(|transaction| transaction.sender.as_ref())
            .filter(|(sender, _)| sender == account)
            .map(|(_, nonce)| *nonce)
            .collect();
        (nonce..).find(|next| !theirs.contains(next)).unwrap_or(nonce)
    }
}
