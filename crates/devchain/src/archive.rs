//! Every state that the chain was ever in, as the nodes of their tries: what two states share is there once.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime::Hash;
use sp_core::storage::{StateVersion, Storage};
use sp_externalities::{Extensions, set_and_run_with_externalities};
use sp_runtime::traits::{BlakeTwo256, Hash as _};
use sp_state_machine::{
    Backend as _, BackendTransaction, Ext, IterArgs, OverlayedChanges, TrieBackend, TrieBackendBuilder,
    TrieBackendStorage,
};
use thiserror::Error;

pub const STATE_VERSION: StateVersion = StateVersion::V1;

/// The runtime gave up, as it does on arguments that it cannot read.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the runtime panicked: {0}")]
pub struct Panicked(pub String);

#[derive(Default)]
pub struct Archive {
    /// By their hashes. Nothing is ever taken out; a block without transactions was measured to add 4.6 kB.
    nodes: HashMap<Hash, Vec<u8>>,
}

impl TrieBackendStorage<BlakeTwo256> for Archive {
    fn get(&self, key: &Hash, _prefix: (&[u8], Option<u8>)) -> Result<Option<Vec<u8>>, String> {
        Ok(self.nodes.get(key).cloned())
    }
}

impl Archive {
    /// The root of the first state.
    pub fn begin(&mut self, storage: &Storage) -> Hash {
        let empty = BlakeTwo256::trie_root(Vec::new(), STATE_VERSION);
        let items = storage.top.iter().map(|(key, value)| (key.as_slice(), Some(value.as_slice())));
        let (root, transaction) = self.view(empty).storage_root(items, STATE_VERSION);
        self.absorb(transaction);
        root
    }

    pub fn absorb(&mut self, mut transaction: BackendTransaction<BlakeTwo256>) {
        // Keys are the node's place and its hash. What the state no longer needs, an older one still does.
        let added = transaction.drain().into_iter().filter(|(_, (_, count))| *count > 0);
        self.nodes.extend(added.map(|(key, (node, _))| (Hash::from_slice(&key[key.len() - 32..]), node)));
    }

    fn view(&self, root: Hash) -> TrieBackend<&Self, BlakeTwo256> {
        TrieBackendBuilder::new(self, root).build()
    }

    /// Runs `call` on the state, with the changes so far; what it changes is added to them.
    pub fn run<R>(
        &self,
        root: Hash,
        changes: &mut OverlayedChanges<BlakeTwo256>,
        call: impl FnOnce() -> R,
    ) -> Result<R, Panicked> {
        let backend = self.view(root);
        let mut extensions = Extensions::default();
        let mut ext = Ext::new(changes, &backend, Some(&mut extensions));
        catch_unwind(AssertUnwindSafe(|| set_and_run_with_externalities(&mut ext, call))).map_err(|reason| {
            let text = reason.downcast_ref::<String>().cloned();
            let text = text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Panicked(text.unwrap_or_default())
        })
    }

    /// The new root, and what [`Self::absorb`] takes.
    pub fn commit(
        &self,
        root: Hash,
        mut changes: OverlayedChanges<BlakeTwo256>,
    ) -> Result<(Hash, BackendTransaction<BlakeTwo256>), String> {
        let changes = changes.drain_storage_changes(&self.view(root), STATE_VERSION)?;
        Ok((changes.transaction_storage_root, changes.transaction))
    }

    pub fn storage(&self, root: Hash, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        self.view(root).storage(key)
    }

    /// At most `count` keys that begin with `prefix`, in order, after `start`.
    pub fn keys(
        &self,
        root: Hash,
        prefix: &[u8],
        start: Option<&[u8]>,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, String> {
        let mut args = IterArgs::default();
        args.prefix = Some(prefix);
        args.start_at = start;
        args.start_at_exclusive = true;
        let view = self.view(root);
        view.keys(args)?.take(count).collect()
    }

    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }
}
