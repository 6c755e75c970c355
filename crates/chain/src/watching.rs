//! What happens on the chain, told in order: each final block once, and what the blocks above the last of them hold.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::heads::{Heads, View};
use crate::link::Fault;
use crate::rail::{BlockRef, News, Update};
use crate::shared::Shared;

/// More blocks than this above the last final one are not looked into: then the chain finalises nothing, and nothing that
/// it says is to be believed.
const MOST_PENDING: u32 = 1_000;
/// A node may lag by so many blocks behind the one that was asked before it, and is waited for.
const MOST_BEHIND: u32 = 10;

/// Goes on until nobody reads.
pub(crate) async fn watch(shared: Arc<Shared>, since: Option<BlockRef>, updates: mpsc::Sender<Update>) {
    let mut view = shared.view();
    let mut telling = Telling { shared: &shared, updates: &updates, told: since, head: None, is_lost: false };
    loop {
        let now = view.borrow_and_update().clone();
        let told = match now {
            View::Connecting => Ok(()),
            View::Lost { reason } => telling.lost(reason).await,
            View::Heads(heads) => match telling.tell(&heads).await {
                Ok(told) => told,
                Err(fault) => {
                    tracing::debug!(%fault, "a node does not say what happened");
                    heads.link.fail();
                    Ok(())
                }
            },
        };
        let changed = async { told.is_ok() && view.changed().await.is_ok() };
        tokio::select! {
            goes_on = changed => if !goes_on { return },
            () = updates.closed() => return,
        }
    }
}

struct Telling<'a> {
    shared: &'a Shared,
    updates: &'a mpsc::Sender<Update>,
    /// The last final block that was told of.
    told: Option<BlockRef>,
    head: Option<[u8; 32]>,
    is_lost: bool,
}

/// Nobody reads any more.
struct Unread;

impl Telling<'_> {
    async fn send(&self, update: Update) -> Result<(), Unread> {
        self.updates.send(update).await.map_err(|_| Unread)
    }

    /// Said once.
    async fn lost(&mut self, reason: String) -> Result<(), Unread> {
        if self.is_lost {
            return Ok(());
        }
        self.is_lost = true;
        self.head = None;
        self.send(Update::Disconnected { reason }).await
    }

    async fn tell(&mut self, heads: &Heads) -> Result<Result<(), Unread>, Fault> {
        let mut told = self.told.unwrap_or(heads.finalized);
        self.told = Some(told);
        while told.number < heads.finalized.number {
            let hash = heads.link.hash_of(told.number + 1).await?;
            let block = self.shared.blocks.get(&heads.link, hash).await?;
            if block.parent != told.hash {
                let reason = format!(
                    "its block {} does not follow the one that was final before: the chain has begun anew, or is \
                     another one",
                    block.at.number
                );
                return Ok(self.lost(reason).await);
            }
            let update = Update::Final { block: block.at, time: block.time, news: block.news.clone() };
            if self.send(update).await.is_err() {
                return Ok(Err(Unread));
            }
            told = block.at;
            self.told = Some(told);
            self.is_lost = false;
            // Less is pending now, if nothing else is new.
            self.head = None;
        }
        let behind = told.number.saturating_sub(heads.best.number);
        if behind > MOST_BEHIND {
            let reason = format!(
                "it is at block {}, and block {} was final before: it lags, or the chain has begun anew",
                heads.best.number, told.number
            );
            return Ok(self.lost(reason).await);
        }
        // A node that is behind what was told has nothing to say about now.
        if heads.best.number < told.number || self.head == Some(heads.best.hash) {
            return Ok(Ok(()));
        }
        let Some(update) = self.pending(heads, told).await? else { return Ok(Ok(())) };
        self.head = Some(heads.best.hash);
        self.is_lost = false;
        Ok(self.send(update).await)
    }

    /// The best block, with all above the last final one; `None` where it is not above it.
    async fn pending(&self, heads: &Heads, told: BlockRef) -> Result<Option<Update>, Fault> {
        if heads.best.number - told.number > MOST_PENDING {
            return Err(Fault::Other(format!("{MOST_PENDING} blocks and more are not final")));
        }
        let best = self.shared.blocks.get(&heads.link, heads.best.hash).await?;
        let mut chain = Vec::new();
        let mut block = best.clone();
        while block.at.number > told.number {
            let parent = block.parent;
            chain.push(block);
            block = self.shared.blocks.get(&heads.link, parent).await?;
        }
        if block.at.hash != told.hash {
            return Ok(None);
        }
        let mut pending = News::default();
        for block in chain.iter().rev() {
            pending.channels.extend_from_slice(&block.news.channels);
            pending.transfers.extend_from_slice(&block.news.transfers);
        }
        Ok(Some(Update::Head { block: best.at, time: best.time, pending }))
    }
}
