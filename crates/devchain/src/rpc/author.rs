//! Handing in transactions, and following them.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{Extensions, PendingSubscriptionSink, RpcModule, SubscriptionSink};
use runtime::Hash;
use serde_json::{Value, json};
use sp_runtime::traits::{BlakeTwo256, Hash as _};

use super::{Context, hex, refused, unhex};
use crate::chain::{BlockId, Fate};
use crate::endpoint::Manner;
use crate::pool::PoolError;

pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_async_method("author_submitExtrinsic", |params, context, _| async move {
        let bytes: String = params.one()?;
        let hash = submit(&context, &bytes)?;
        if context.view.manner() == Manner::Silent {
            pending::<()>().await;
        }
        Ok::<_, ErrorObjectOwned>(hash)
    })?;
    module.register_method("author_pendingExtrinsics", |_, context, _| {
        let waiting = context.view.shared.chain().pending();
        waiting.iter().map(|bytes| hex(bytes)).collect::<Vec<_>>()
    })?;
    module.register_subscription(
        "author_submitAndWatchExtrinsic",
        "author_extrinsicUpdate",
        "author_unwatchExtrinsic",
        |params, sink, context, _: Extensions| async move {
            let submitted = params
                .sequence()
                .optional_next::<String>()
                .and_then(|bytes| submit(&context, &bytes.unwrap_or_default()));
            watch(submitted, sink, context).await;
        },
    )?;
    Ok(())
}

fn submit(context: &Context, bytes: &str) -> Result<Hash, ErrorObjectOwned> {
    let bytes = unhex(bytes)?;
    if let Manner::Frozen(_) = context.view.manner() {
        context.view.lost.fetch_add(1, Ordering::Relaxed);
        return Ok(BlakeTwo256::hash(&bytes));
    }
    let submitted = context.view.shared.chain().submit(bytes);
    context.view.shared.demand();
    // Numbered as nodes do.
    submitted.map_err(|error| match error {
        PoolError::Invalid(reason) => refused(1_010, "Invalid Transaction", &reason),
        PoolError::Known => refused(1_013, "Transaction is already imported", "it waits for a block"),
        PoolError::Full => refused(1_016, "Immediately Dropped", "the pool is full"),
    })
}

async fn watch(
    submitted: Result<Hash, ErrorObjectOwned>,
    sink: PendingSubscriptionSink,
    context: Arc<Context>,
) {
    let hash = match submitted {
        Ok(hash) => hash,
        Err(error) => return sink.reject(error).await,
    };
    // Whoever is gone wants to know no more.
    if let Ok(sink) = sink.accept().await {
        follow(hash, &sink, &context).await;
    }
}

async fn follow(hash: Hash, sink: &SubscriptionSink, context: &Context) {
    let mut heads = context.view.shared.chain().heads();
    let mut last = None;
    loop {
        heads.mark_unchanged();
        let fate = context.view.shared.chain().fate(&hash);
        if last != Some(fate) {
            for status in statuses(last, fate) {
                let sent = match serde_json::value::to_raw_value(&status) {
                    Ok(status) => sink.send(status).await.is_ok(),
                    Err(_) => false,
                };
                if !sent {
                    return;
                }
            }
            last = Some(fate);
        }
        if matches!(fate, Fate::Final(_) | Fate::Refused | Fate::Unknown) {
            return;
        }
        tokio::select! {
            changed = heads.changed() => if changed.is_err() { return },
            () = sink.closed() => return,
        }
    }
}

/// What a node says as a transaction goes from one place to another.
fn statuses(last: Option<Fate>, fate: Fate) -> Vec<Value> {
    let hash = |block: BlockId| json!(Hash::from(block.hash));
    let mut statuses = Vec::new();
    if let Some(Fate::InBlock(before)) = last
        && !matches!(fate, Fate::Final(block) if block == before)
    {
        statuses.push(json!({ "retracted": hash(before) }));
    }
    match fate {
        Fate::Waiting => statuses.push(json!("ready")),
        Fate::InBlock(block) => statuses.push(json!({ "inBlock": hash(block) })),
        Fate::Final(block) => {
            if last != Some(Fate::InBlock(block)) {
                statuses.push(json!({ "inBlock": hash(block) }));
            }
            statuses.push(json!({ "finalized": hash(block) }));
        }
        Fate::Refused => statuses.push(json!("invalid")),
        Fate::Unknown => statuses.push(json!("dropped")),
    }
    statuses
}
