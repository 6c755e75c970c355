//! Transactions that are signed elsewhere: made here, shown to a wallet, and sent with the signature that it gave.

use std::sync::Arc;

use pay::key::{BadSignature, verify};
use pay::{AccountId, PublicKey, Signature};

use crate::calls::{Payload, payload};
use crate::rail::{BlockRef, Call, Included, RailError};
use crate::shared::Shared;
use crate::submission::{Handed, Prepared, follow, hand, included, prepare, refused, whose};

/// The version of the transaction's format. Of the later one wallets know less.
pub const FORMAT: u8 = 4;
/// That format has the extensions of this version.
const EXTENSIONS: u8 = 0;

/// A transaction without its signature, of an account whose key is not here. Nothing of it can be changed.
pub struct Unsigned {
    account: AccountId,
    payload: Payload,
    prepared: Prepared,
    to_sign: Vec<u8>,
    shown: SignerFields,
}

/// What a wallet makes the bytes of that it signs, and shows a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignerFields {
    /// Pallet, call and arguments, as the runtime encodes them.
    pub method: Vec<u8>,
    /// For which blocks it is good, as a chain encodes it.
    pub era: Vec<u8>,
    pub nonce: u64,
    /// The block that the era begins with.
    pub born: BlockRef,
    pub genesis: [u8; 32],
    pub spec_version: u32,
    pub transaction_version: u32,
    /// What the runtime has signed besides the call, by the names and in the order of its metadata.
    pub extensions: Vec<String>,
}

impl Unsigned {
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// For how many blocks it is good, of which some are made already.
    pub fn lives_blocks(&self) -> u32 {
        self.prepared.dies - self.prepared.born.number
    }

    pub fn shown(&self) -> &SignerFields {
        &self.shown
    }

    /// Whether the account's key signed this transaction and no other.
    ///
    /// # Errors
    /// Where it did not.
    pub fn verify(&self, signature: &Signature) -> Result<(), BadSignature> {
        let key = PublicKey { scheme: signature.scheme, bytes: self.account.0 };
        verify(&key, &self.to_sign, signature)
    }
}

pub(crate) async fn make(shared: &Shared, call: &Call, account: AccountId) -> Result<Unsigned, RailError> {
    let payload = payload(call, shared.info.asset);
    let prepared = shared.ask(|link| async move { prepare(&link, account, None).await }).await?;
    let client = &prepared.client;
    let method = client.tx().call_data(&payload).map_err(refused)?;
    let metadata = client.metadata_ref();
    let extensions = metadata
        .extrinsic()
        .transaction_extensions_by_version(EXTENSIONS)
        .ok_or(RailError::Unsupported("the chain takes no transactions of format 4"))?
        .map(|extension| extension.identifier().to_owned())
        .collect();
    let shown = SignerFields {
        method,
        era: prepared.era(),
        nonce: prepared.nonce,
        born: prepared.born,
        genesis: shared.info.genesis.0,
        spec_version: client.spec_version(),
        transaction_version: client.transaction_version(),
        extensions,
    };
    let to_sign = prepared.to_sign(&payload)?;
    Ok(Unsigned { account, payload, prepared, to_sign, shown })
}

/// Under the nonce that was signed: where that was used meanwhile, it is not sent.
pub(crate) async fn send(
    shared: Arc<Shared>,
    unsigned: Unsigned,
    signature: Signature,
) -> Result<Included, RailError> {
    let account = unsigned.account;
    if unsigned.verify(&signature).is_err() {
        return Err(RailError::Refused("the signature is not the account's over this transaction".into()));
    }
    let signed = unsigned.prepared.signed(&unsigned.payload, account, signature)?;
    let told = match hand(&shared, &signed).await {
        Ok((Handed::Taken, link)) => Some(link),
        Ok((Handed::Stale, _)) => {
            let text = "the account sent another transaction meanwhile: this one has to be signed anew";
            return Err(RailError::Refused(text.into()));
        }
        Ok((Handed::Refused(error), _)) => return Err(whose(account, error)),
        // Whether it arrived is not known: it is followed, and given to the next node.
        Err(_) => None,
    };
    let found = follow(&shared, &signed, told, account).await?;
    included(&signed, found)
}
