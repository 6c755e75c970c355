//! Transactions: made, signed, handed to a node once, and followed until they are final or never will be.

use std::sync::Arc;

use codec::{Decode as _, Encode as _};
use pay::key::KeyScheme;
use pay::{AccountId, AssetId, Signature};
use subxt::SubstrateConfig;
use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::config::substrate::H256;
use subxt::error::ExtrinsicError;
use subxt::rpcs::UserError;
use subxt::transactions::SignableTransaction;
use subxt::utils::{AccountId32, Era, MultiSignature};
use tokio::time::{Instant, timeout_at};

use crate::calls::{Payload, payload};
use crate::events::Effects;
use crate::heads::{Heads, View};
use crate::link::{Client, Fault, Link};
use crate::rail::{BlockRef, Call, Included, RailError, TxSigner};
use crate::shared::Shared;

/// For how many blocks a transaction may be taken: then it never will be. Beyond those that are not final yet.
const ERA_BLOCKS: u32 = 64;
/// Chains remember the hashes of at least this many blocks.
const LONGEST_ERA: u32 = 2_048;
/// After so many final blocks without it, it is handed to the node again: the same bytes, which can be taken once only.
const REMIND_AFTER: u32 = 4;
/// How often another nonce is tried where somebody else has used the one that was next.
const NONCES: usize = 4;

/// A transaction that can be handed to any node.
pub(crate) struct Signed {
    pub bytes: Vec<u8>,
    pub hash: [u8; 32],
    pub nonce: u64,
    /// It can be in the blocks after this one, which is final.
    pub born: BlockRef,
    /// And in none from this one on.
    pub dies: u32,
}

/// What a node said to a transaction.
pub(crate) enum Handed {
    Taken,
    /// The nonce was used: by somebody else, if this is the first time that the transaction was sent.
    Stale,
    Refused(RailError),
}

pub(crate) async fn submit(shared: Arc<Shared>, call: Call, signer: TxSigner) -> Result<Included, RailError> {
    let account = signer.public().account();
    let submitted = submit_as(shared, call, signer, account).await;
    submitted.map_err(|error| whose(account, error))
}

/// Whoever reads it can do something about it only if it says whose money is lacking.
pub(crate) fn whose(account: AccountId, error: RailError) -> RailError {
    match error {
        RailError::TooLittle(reason) => RailError::TooLittle(format!("{}: {reason}", address_of(account))),
        error => error,
    }
}

async fn submit_as(
    shared: Arc<Shared>,
    call: Call,
    signer: TxSigner,
    account: AccountId,
) -> Result<Included, RailError> {
    let Sent { signed, told, _followed } = send(&shared, &call, &signer).await?;
    let followed = follow(&shared, &signed, told, account).await;
    if followed.is_err() {
        shared.nonces.forget(account).await;
    }
    included(&signed, followed?)
}

/// What it did, or why it did nothing.
pub(crate) fn included(
    signed: &Signed,
    (block, effects): (BlockRef, Effects),
) -> Result<Included, RailError> {
    match effects.failure {
        Some(failure) => Err(failure.into()),
        None => Ok(Included {
            block,
            hash: signed.hash,
            fee: effects.fee,
            news: effects.news,
            refused: effects.refused,
        }),
    }
}

/// On its way, or lost.
struct Sent {
    signed: Signed,
    /// The node that has said that it has it.
    told: Option<Arc<Link>>,
    /// Held as long as it is followed.
    _followed: Arc<()>,
}

/// Signs it under the account's next nonce, and hands it to a node.
async fn send(shared: &Shared, call: &Call, signer: &TxSigner) -> Result<Sent, RailError> {
    let mut next = shared.nonces.lock(signer.public().account()).await;
    for _ in 0..NONCES {
        let signed = make(shared, call, signer, next.nonce()).await?;
        let told = match hand(shared, &signed).await {
            Ok((Handed::Taken, link)) => Some(link),
            Ok((Handed::Stale, _)) => {
                next.forget();
                continue;
            }
            Ok((Handed::Refused(error), _)) => {
                next.forget();
                return Err(error);
            }
            // Whether it arrived is not known: it is followed, and given to the next node, as it is.
            Err(_) => None,
        };
        return Ok(Sent { _followed: next.note_sent(signed.nonce), signed, told });
    }
    Err(RailError::Refused("others use the account's nonces at the same time".into()))
}

async fn make(
    shared: &Shared,
    call: &Call,
    signer: &TxSigner,
    next: Option<u64>,
) -> Result<Signed, RailError> {
    let account = signer.public().account();
    let prepared = shared.ask(|link| async move { prepare(&link, account, next).await }).await?;
    let payload = payload(call, shared.info.asset);
    let signature = signer.sign(&prepared.to_sign(&payload)?)?;
    prepared.signed(&payload, account, signature)
}

pub(crate) fn refused(error: impl std::fmt::Display) -> RailError {
    RailError::Refused(error.to_string())
}

/// As a transaction of the account's would be, for its fee: the signature is none.
pub(crate) async fn unsigned(
    link: &Link,
    asset: AssetId,
    call: &Call,
    account: AccountId,
) -> Result<Vec<u8>, Fault> {
    let prepared = prepare(link, account, None).await?;
    let payload = payload(call, asset);
    let mut signable = prepared.signable(&payload).map_err(Fault::other)?;
    let none = MultiSignature::Sr25519([0; 64]);
    let transaction =
        signable.sign_with_account_and_signature(&AccountId32(account.0), &none).map_err(Fault::other)?;
    Ok(transaction.into_encoded())
}

/// What a transaction has besides its call.
pub(crate) struct Prepared {
    pub client: Client,
    pub nonce: u64,
    pub born: BlockRef,
    pub dies: u32,
}

type Signable<'a> = SignableTransaction<
    'a,
    SubstrateConfig,
    subxt::client::OnlineClientAtBlockImpl<SubstrateConfig>,
    Payload,
>;

impl Prepared {
    fn signable<'a>(&self, payload: &'a Payload) -> Result<Signable<'a>, ExtrinsicError> {
        let params = DefaultExtrinsicParamsBuilder::new()
            .mortal_from_unchecked(self.lives(), self.born.number.into(), H256(self.born.hash))
            .nonce(self.nonce)
            .build();
        self.client.tx().create_v4_signable_offline(payload, params)
    }

    /// For so many blocks.
    fn lives(&self) -> u64 {
        (self.dies - self.born.number).into()
    }

    /// The same as a chain encodes it.
    pub fn era(&self) -> Vec<u8> {
        Era::mortal(self.lives(), self.born.number.into()).encode()
    }

    /// The bytes that the account signs.
    pub fn to_sign(&self, payload: &Payload) -> Result<Vec<u8>, RailError> {
        self.signable(payload).and_then(|signable| signable.signer_payload()).map_err(refused)
    }

    pub fn signed(
        &self,
        payload: &Payload,
        account: AccountId,
        signature: Signature,
    ) -> Result<Signed, RailError> {
        let signature = match signature.scheme {
            KeyScheme::Ed25519 => MultiSignature::Ed25519(signature.bytes),
            KeyScheme::Sr25519 => MultiSignature::Sr25519(signature.bytes),
        };
        let mut signable = self.signable(payload).map_err(refused)?;
        let transaction =
            signable.sign_with_account_and_signature(&AccountId32(account.0), &signature).map_err(refused)?;
        Ok(Signed {
            hash: transaction.hash().0,
            bytes: transaction.into_encoded(),
            nonce: self.nonce,
            born: self.born,
            dies: self.dies,
        })
    }
}

pub(crate) async fn prepare(link: &Link, account: AccountId, next: Option<u64>) -> Result<Prepared, Fault> {
    // A block that is final: in no fork is the transaction worth something else.
    let born = link.finalized().await?;
    let above = link.best().await?.number.saturating_sub(born.number);
    let lives = (ERA_BLOCKS + above).min(LONGEST_ERA).next_power_of_two();
    let theirs = link.ask(link.rpc.system_account_next_index(&AccountId32(account.0))).await?;
    // A node that was restarted has forgotten those that wait.
    let nonce = next.map_or(theirs, |ours| ours.max(theirs));
    Ok(Prepared { client: link.at(born).await?, nonce, born, dies: born.number + lives })
}

/// What the node in use says to it.
pub(crate) async fn hand(shared: &Shared, signed: &Signed) -> Result<(Handed, Arc<Link>), RailError> {
    let link = shared.link().await?;
    let answer = link.ask(link.rpc.author_submit_extrinsic(&signed.bytes)).await;
    let handed = match answer {
        Ok(_) => Handed::Taken,
        Err(Fault::Rpc(subxt::rpcs::Error::User(error))) => judge(&error),
        Err(fault) => {
            link.fail();
            return Err(RailError::Unreachable(fault.to_string()));
        }
    };
    Ok((handed, link))
}

/// As people write it on any chain: SS58 with the general prefix, 42.
pub fn address_of(account: AccountId) -> String {
    AccountId32(account.0).to_string()
}

/// By the codes of Substrate's pool; what is wrong with an invalid one stands in its text only.
fn judge(error: &UserError) -> Handed {
    let reason = error.data.as_ref().map_or(error.message.as_str(), |data| data.get()).trim_matches('"');
    match error.code {
        1_013 => Handed::Taken,
        1_014 => Handed::Stale,
        1_010 if reason.contains("outdated") => Handed::Stale,
        1_010 if reason.contains("balance too low") => {
            Handed::Refused(RailError::TooLittle(reason.to_owned()))
        }
        _ => Handed::Refused(RailError::Refused(format!("{}: {reason}", error.message))),
    }
}

/// Looks for it in every final block until it is there, or cannot come any more.
pub(crate) async fn follow(
    shared: &Shared,
    signed: &Signed,
    mut told: Option<Arc<Link>>,
    account: AccountId,
) -> Result<(BlockRef, Effects), RailError> {
    let mut view = shared.view();
    let mut search = Search { shared, signed, account, seen: signed.born.number };
    let mut told_at = search.seen;
    let mut gives_up_at = Instant::now() + shared.give_up_after;
    loop {
        let heads = match &*view.borrow_and_update() {
            View::Heads(heads) => Some(heads.clone()),
            View::Connecting | View::Lost { .. } => None,
        };
        if let Some(heads) = heads {
            let before = search.seen;
            match search.go_on(&heads).await {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(fault) => {
                    tracing::debug!(%fault, "a node does not say what became of a transaction");
                    heads.link.fail();
                }
            }
            if search.seen > before {
                gives_up_at = Instant::now() + shared.give_up_after;
            }
            // A node that has just come does not have it, and one that was restarted has forgotten it.
            let is_new = !told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &heads.link));
            if is_new || search.seen >= told_at + REMIND_AFTER {
                told_at = search.seen;
                // Whatever it says: in a block it is, or not.
                told = hand(shared, signed).await.ok().map(|(_, link)| link);
            }
        }
        match timeout_at(gives_up_at, view.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(RailError::Unknown),
        }
    }
}

struct Search<'a> {
    shared: &'a Shared,
    signed: &'a Signed,
    account: AccountId,
    /// The last final block that was looked into.
    seen: u32,
}

type Found = Result<(BlockRef, Effects), RailError>;

impl Search<'_> {
    async fn go_on(&mut self, heads: &Heads) -> Result<Option<Found>, Fault> {
        let Heads { link, finalized, .. } = heads;
        if finalized.number <= self.seen {
            return Ok(None);
        }
        while self.seen < finalized.number {
            let number = self.seen + 1;
            let block = self.shared.blocks.get(link, link.hash_of(number).await?).await?;
            if let Some(place) = block.place(link, &self.signed.hash).await? {
                let effects = block.transactions.get(&Some(place)).cloned().unwrap_or_default();
                return Ok(Some(Ok((block.at, effects))));
            }
            self.seen = number;
            if number + 1 >= self.signed.dies {
                let text = "no block took the transaction in its time, and none will: it did nothing";
                return Ok(Some(Err(RailError::Refused(text.into()))));
            }
        }
        if self.is_overtaken(link, *finalized).await? {
            let text = "another transaction took its nonce: it did nothing, and never will";
            return Ok(Some(Err(RailError::Refused(text.into()))));
        }
        Ok(None)
    }

    /// Whether the account's nonce is beyond the transaction's in a final block up to which it was not found.
    async fn is_overtaken(&self, link: &Link, finalized: BlockRef) -> Result<bool, Fault> {
        let (method, account, at) =
            ("AccountNonceApi_account_nonce", &self.account.0[..], H256(finalized.hash));
        let answer = link.ask(link.rpc.state_call(method, Some(account), Some(at))).await?;
        let nonce = u32::decode(&mut &answer[..]).map_err(Fault::other)?;
        Ok(u64::from(nonce) > self.signed.nonce)
    }
}
