//! A block while it is made: the runtime applies one transaction after the other to the parent's state.

use codec::{DecodeAll as _, Encode as _};
use runtime::{Executive, Hash, Header, UncheckedExtrinsic};
use sp_runtime::traits::BlakeTwo256;
use sp_runtime::transaction_validity::{InvalidTransaction, TransactionValidityError};
use sp_state_machine::{BackendTransaction, OverlayedChanges};
use thiserror::Error;

use crate::archive::{Archive, Panicked};

pub struct Draft {
    parent_root: Hash,
    changes: OverlayedChanges<BlakeTwo256>,
    extrinsics: Vec<Vec<u8>>,
}

/// What became of a transaction.
pub enum Applied {
    /// It is in the block, whether or not it did what it was to do.
    Included,
    /// Its turn has not come, or the block is full.
    Later,
    Refused(String),
}

#[derive(Debug, Error)]
pub enum DraftError {
    #[error(transparent)]
    Panicked(#[from] Panicked),
    #[error("the state cannot be written: {0}")]
    State(String),
}

pub struct Finished {
    pub header: Header,
    pub extrinsics: Vec<Vec<u8>>,
    pub state: BackendTransaction<BlakeTwo256>,
}

impl Draft {
    pub fn begin(archive: &Archive, parent: &Header) -> Result<Self, DraftError> {
        let header = Header {
            parent_hash: parent.hash(),
            number: parent.number + 1,
            state_root: Hash::default(),
            extrinsics_root: Hash::default(),
            digest: Default::default(),
        };
        let mut changes = OverlayedChanges::default();
        archive.run(parent.state_root, &mut changes, || Executive::initialize_block(&header))?;
        Ok(Self { parent_root: parent.state_root, changes, extrinsics: Vec::new() })
    }

    /// After a panic the draft is not to be used any more.
    pub fn push(&mut self, archive: &Archive, bytes: &[u8]) -> Result<Applied, Panicked> {
        let Ok(extrinsic) = UncheckedExtrinsic::decode_all(&mut &bytes[..]) else {
            return Ok(Applied::Refused("it cannot be decoded".into()));
        };
        self.changes.start_transaction();
        let applied =
            archive.run(self.parent_root, &mut self.changes, || Executive::apply_extrinsic(extrinsic))?;
        let closed = if applied.is_ok() {
            self.changes.commit_transaction()
        } else {
            self.changes.rollback_transaction()
        };
        debug_assert!(closed.is_ok(), "it was opened above");
        Ok(match applied {
            Ok(_) => {
                self.extrinsics.push(bytes.to_vec());
                Applied::Included
            }
            Err(TransactionValidityError::Invalid(
                InvalidTransaction::Future | InvalidTransaction::ExhaustsResources,
            )) => Applied::Later,
            Err(reason) => Applied::Refused(<&'static str>::from(reason).into()),
        })
    }

    pub fn finish(mut self, archive: &Archive) -> Result<Finished, DraftError> {
        let header = archive.run(self.parent_root, &mut self.changes, Executive::finalize_block)?;
        let (root, state) = archive.commit(self.parent_root, self.changes).map_err(DraftError::State)?;
        debug_assert_eq!(root, header.state_root, "the runtime has counted the same state");
        Ok(Finished { header, extrinsics: self.extrinsics, state })
    }
}

/// The bytes by which a transaction is in a block.
pub fn timestamp(now: u64) -> Vec<u8> {
    runtime::transaction::timestamp(now).encode()
}
