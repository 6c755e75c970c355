//! The next nonce of each account that signs here: one transaction at a time takes one, so that none is taken twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pay::AccountId;
use tokio::sync::OwnedMutexGuard;

#[derive(Default)]
pub(crate) struct Next {
    /// After those that were sent from here.
    sent: Option<u64>,
    /// Held once more by each of them that is followed.
    followed: Arc<()>,
}

impl Next {
    /// `None`: what the chain says. So it is, too, when nobody follows what was sent: then nobody sends it again if it is
    /// lost, and everything after it would wait for ever.
    pub fn nonce(&self) -> Option<u64> {
        self.sent.filter(|_| Arc::strong_count(&self.followed) > 1)
    }

    /// Whoever follows it holds what is returned.
    pub fn note_sent(&mut self, nonce: u64) -> Arc<()> {
        self.sent = Some(nonce + 1);
        self.followed.clone()
    }

    pub fn forget(&mut self) {
        self.sent = None;
    }
}

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
        self.lock(account).await.forget();
    }
}
