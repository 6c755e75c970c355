//! Streams on chain: whenever a paid stream changes, a document says how it is now, and the chain gets its content id.
//! Found by looking, not by being told: what a kill interrupted is done after it.

mod document;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ipfs::Ipfs;
use api::{Cid, ClientError};
use chain::{Call, Rail, RailError, TxSigner};
use futures_util::{StreamExt, TryStreamExt, stream};
use pay::{AccountId, Keypair, RailKind, Signer};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::billing::{PayClock, spares_fees};
use crate::store::{Store, StoreError, Untold};

use document::Document;

const LOOKS: Duration = Duration::from_secs(1);
/// Transactions on their way at once.
const SENDING: usize = 4;
/// After a failure, everything waits; twice as long each time.
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, Error)]
pub enum RecordError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the chain: {0}")]
    Chain(#[from] RailError),
    #[error(
        "the account {0}, from which the node pays the chain's fees, holds no more than is kept for settling: send it \
         something"
    )]
    Reserved(String),
    #[error("the IPFS node: {0}")]
    Ipfs(#[from] ClientError),
    #[error("the IPFS node calls a document {theirs}, whose name is {ours}")]
    OtherName { ours: String, theirs: String },
}

pub struct Records {
    pub store: Store,
    pub rail: Arc<dyn Rail>,
    pub key: Arc<Keypair>,
    pub clock: PayClock,
    /// Where documents are handed on to.
    pub ipfs: Option<Ipfs>,
}

impl Records {
    /// Until the task is aborted.
    pub async fn run(self) {
        let mut turns = interval(LOOKS);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut pause, mut paused_until) = (PAUSE_MIN, None);
        loop {
            turns.tick().await;
            if paused_until.is_some_and(|until| Instant::now() < until) {
                // Here nothing fails that a chain or a network could mend.
                if let Err(err) = self.tell().await {
                    tracing::error!("what streams say of themselves was not kept: {err}");
                }
                continue;
            }
            match self.turn().await {
                Ok(()) => (pause, paused_until) = (PAUSE_MIN, None),
                Err(err) => {
                    tracing::warn!(
                        "what streams say of themselves was not recorded, and is tried again in {} s: {err}",
                        pause.as_secs()
                    );
                    paused_until = Some(Instant::now() + pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn turn(&self) -> Result<(), RecordError> {
        self.tell().await?;
        // Neither waits for the other's trouble.
        let (recorded, handed_on) = tokio::join!(self.record(), self.hand_on());
        recorded.and(handed_on)
    }

    /// Makes the documents that are due.
    async fn tell(&self) -> Result<(), RecordError> {
        for untold in self.store.untold().await? {
            let body = self.document(&untold).await?;
            self.store.keep_document(&untold, &Cid::of(&body).to_string(), &body).await?;
        }
        Ok(())
    }

    async fn document(&self, untold: &Untold) -> Result<Vec<u8>, StoreError> {
        let delegation = match untold.told.creator.parse::<AccountId>() {
            Ok(creator) => self.store.delegation(creator).await?,
            Err(_) => None,
        };
        let prices = self.store.prices(untold.stream).await?;
        let info = self.rail.info();
        let recordings = self.store.recordings(untold.stream).await?;
        let document = Document {
            version: document::VERSION,
            stream: &untold.told,
            genesis: info.genesis,
            asset: info.asset,
            node: self.key.public(),
            delegation: delegation.as_ref().map(document::delegation),
            prices: &prices,
            recordings: &recordings,
            previous: untold.previous.as_deref(),
        };
        Ok(document.to_bytes())
    }

    async fn record(&self) -> Result<(), RecordError> {
        if self.rail.info().kind != RailKind::Escrow {
            // A stock chain has no place for it.
            return Ok(());
        }
        let due = self.store.unrecorded().await?;
        // Whoever makes streams makes the node pay for them; whoever is paid by it comes first.
        let account = self.key.public().account();
        if !due.is_empty() && !spares_fees(self.rail.as_ref(), account).await? {
            return Err(RecordError::Reserved(chain::address_of(account)));
        }
        let sent = due.into_iter().map(|(stream, body, cid)| self.send(stream, body, cid));
        stream::iter(sent).buffer_unordered(SENDING).try_for_each(|()| async { Ok(()) }).await
    }

    /// Sent again where a kill came before its fate was written down: it says the same, and costs a second fee.
    async fn send(&self, stream: Uuid, body: Vec<u8>, cid: String) -> Result<(), RecordError> {
        let metadata = Cid::of(&body).to_bytes();
        let call = Call::PublishStream { stream: stream.into_bytes(), metadata };
        let included = self.rail.submit(call, Arc::clone(&self.key) as TxSigner).await?;
        let cost = (included.block.number, included.fee);
        Ok(self.store.recorded(stream, &cid, cost, self.clock.now()).await?)
    }

    async fn hand_on(&self) -> Result<(), RecordError> {
        let Some(ipfs) = &self.ipfs else { return Ok(()) };
        for (ours, body) in self.store.kept_here().await? {
            let theirs = ipfs.put(&body).await?;
            if theirs != ours {
                return Err(RecordError::OtherName { ours, theirs });
            }
            self.store.handed_on(&ours).await?;
        }
        Ok(())
    }
}
