//! When blocks are made, and when they are final.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use sc_client_api::{BlockchainEvents as _, Finalizer as _, HeaderBackend as _};
use sc_consensus_manual_seal::EngineCommand;
use sp_core::H256;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::service::Client;

/// A command for each block, by the clock; it is final at once where `is_final`.
pub fn commands(period: Duration, is_final: bool) -> BoxStream<'static, EngineCommand<H256>> {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold(ticks, move |mut ticks| async move {
        ticks.tick().await;
        let seal = EngineCommand::SealNewBlock {
            create_empty: true,
            finalize: is_final,
            parent_hash: None,
            sender: None,
        };
        Some((seal, ticks))
    })
    .boxed()
}

/// Makes each block final as soon as `behind` others are above it. There is one block maker and so no fork to choose from.
pub async fn finalize(client: Arc<Client>, behind: u32) {
    let mut imported = client.import_notification_stream();
    while imported.next().await.is_some() {
        let info = client.info();
        let due = info.best_number.saturating_sub(behind);
        if due <= info.finalized_number {
            continue;
        }
        let done = client.hash(due).and_then(|hash| match hash {
            Some(hash) => client.finalize_block(hash, None, true),
            None => Ok(()),
        });
        if let Err(err) = done {
            eprintln!("block {due} is not made final: {err}");
        }
    }
}
