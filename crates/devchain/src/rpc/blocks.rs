//! Blocks and their headers, asked for or as they come.

use std::sync::Arc;

use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{Extensions, PendingSubscriptionSink, RpcModule};
use runtime::Hash;
use serde_json::{Value, json};

use super::{Answer, Context, block, header, hex, refused};
use crate::chain::{BlockId, Heads};

pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_method("chain_getBlockHash", |params, context, _| {
        let number: Option<Value> = params.sequence().optional_next()?;
        hash_of(number.as_ref(), context)
    })?;
    module.register_alias("chain_getHead", "chain_getBlockHash")?;
    module.register_method("chain_getFinalizedHead", |_, context, _| {
        json!(Hash::from(context.view.heads().finalized.hash))
    })?;
    module.register_method("chain_getHeader", |params, context, _| {
        let at = block(params.sequence().optional_next()?, context);
        let found = context.view.shared.chain().block(&at);
        Ok::<_, ErrorObjectOwned>(found.map_or(Value::Null, |block| header(&block.header)))
    })?;
    module.register_method("chain_getBlock", |params, context, _| {
        let at = block(params.sequence().optional_next()?, context);
        let found = context.view.shared.chain().block(&at);
        Ok::<_, ErrorObjectOwned>(found.map_or(Value::Null, |block| {
            let extrinsics: Vec<_> = block.extrinsics.iter().map(|bytes| hex(bytes)).collect();
            json!({
                "block": { "header": header(&block.header), "extrinsics": extrinsics },
                "justifications": null,
            })
        }))
    })?;
    headers(module, ["chain_subscribeNewHeads", "chain_newHead", "chain_unsubscribeNewHeads"], |heads| {
        heads.best
    })?;
    headers(module, ["chain_subscribeAllHeads", "chain_allHead", "chain_unsubscribeAllHeads"], |heads| {
        heads.best
    })?;
    let names = ["chain_subscribeFinalizedHeads", "chain_finalizedHead", "chain_unsubscribeFinalizedHeads"];
    headers(module, names, |heads| heads.finalized)?;
    Ok(())
}

/// By number, as a number or in hexadecimal digits; the best block's without one.
fn hash_of(number: Option<&Value>, context: &Context) -> Answer {
    let heads = context.view.heads();
    let number = match number {
        None | Some(Value::Null) => return Ok(json!(Hash::from(heads.best.hash))),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(digits)) => {
            digits.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok())
        }
        Some(_) => None,
    };
    let number = number.ok_or_else(|| refused(-32_602, "Invalid params", "a block's number was expected"))?;
    let known = u32::try_from(number).ok().filter(|number| *number <= heads.best.number);
    Ok(json!(known.and_then(|number| context.view.shared.chain().hash_at(number))))
}

fn headers(
    module: &mut RpcModule<Context>,
    [subscribe, notification, unsubscribe]: [&'static str; 3],
    which: fn(Heads) -> BlockId,
) -> Result<(), RegisterMethodError> {
    module.register_subscription(
        subscribe,
        notification,
        unsubscribe,
        move |_, sink: PendingSubscriptionSink, context: Arc<Context>, _: Extensions| async move {
            let Ok(sink) = sink.accept().await else { return };
            let mut heads = context.view.shared.chain().heads();
            let mut last = None;
            loop {
                heads.mark_unchanged();
                // Who is slow is shown the newest one only, as a node does when several blocks come at once.
                let head = which(context.view.heads());
                if last != Some(head) {
                    let found = context.view.shared.chain().block(&Hash::from(head.hash));
                    let Some(found) = found else { return };
                    let Ok(message) = serde_json::value::to_raw_value(&header(&found.header)) else { return };
                    if sink.send(message).await.is_err() {
                        return;
                    }
                    last = Some(head);
                }
                tokio::select! {
                    changed = heads.changed() => if changed.is_err() { return },
                    () = sink.closed() => return,
                }
            }
        },
    )?;
    Ok(())
}
