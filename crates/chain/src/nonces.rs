//! The next nonce of each account that signs here: one transaction at a time takes one, so that none is taken twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pay::AccountId;
use tokio::sync::OwnedMutexGuard;

/// `None`: what the chain says.
pub(crate) type Next = Option<u64>;

#[derive(Default)]
pub(crate) struct Nonces {
    accounts: Mutex<HashMap<AccountId, Arc<tokio::sync::Mutex<Next>>>>,
}

impl Nonces {
    /// Held from before a nonce is chosen until a node has the transaction. There are as many as accounts sign here.
    pub async fn lock(&self, account: AccountId) -> OwnedMutexGuard<Next> {
        let next = {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            accounts.entry(account).or_default().clone()
        };
        next.lock_owned().await
    }

    /// Something went wrong: the next one is what the chain says.
    pub async fn forget(&self, account: AccountId) {
        *self.lock(account).await = None;
    }
}
