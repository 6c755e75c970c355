//! Storage and calls into the runtime, at any block.

use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, RpcModule};
use runtime::{Hash, VERSION};
use serde_json::{Value, json};

use super::{Answer, Context, block, hex, refused, unhex};

/// Most keys of one page.
const MOST_KEYS: u32 = 1_000;

pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_method("state_call", |params, context, _| call(&params, context))?;
    module.register_method("state_getStorage", |params, context, _| storage(&params, context))?;
    module.register_alias("state_getStorageAt", "state_getStorage")?;
    module.register_method("state_queryStorageAt", |params, context, _| query(&params, context))?;
    module.register_method("state_getKeysPaged", |params, context, _| keys(&params, context))?;
    module.register_method("state_getMetadata", |params, context, _| {
        let at = block(params.sequence().optional_next()?, context);
        let answer = context.view.shared.chain().call(&at, "Metadata_metadata", &[])?;
        // A list of bytes within the answer's own length.
        let opaque: Vec<u8> = codec::Decode::decode(&mut &answer[..])
            .map_err(|_| refused(4_003, "Client error", "the metadata cannot be decoded"))?;
        Ok::<_, ErrorObjectOwned>(hex(&opaque))
    })?;
    module.register_method("state_getRuntimeVersion", |_, _, _| version())?;
    module.register_subscription(
        "state_subscribeRuntimeVersion",
        "state_runtimeVersion",
        "state_unsubscribeRuntimeVersion",
        |_, sink, _, _: Extensions| async move {
            // It never changes while the chain runs.
            if let (Ok(sink), Ok(version)) =
                (sink.accept().await, serde_json::value::to_raw_value(&version()))
                && sink.send(version).await.is_ok()
            {
                sink.closed().await;
            }
        },
    )?;
    module.register_method("payment_queryInfo", |params, context, _| {
        let mut params = params.sequence();
        let extrinsic = unhex(&params.next::<String>()?)?;
        let at = block(params.optional_next()?, context);
        let mut arguments = extrinsic.clone();
        arguments.extend((extrinsic.len() as u32).to_le_bytes());
        let answer = context.view.shared.chain().call(&at, "TransactionPaymentApi_query_info", &arguments)?;
        payment(&answer)
    })?;
    Ok(())
}

fn call(params: &Params<'_>, context: &Context) -> Answer {
    let mut params = params.sequence();
    let method: String = params.next()?;
    let arguments = unhex(&params.next::<String>()?)?;
    let at = block(params.optional_next()?, context);
    Ok(json!(hex(&context.view.shared.chain().call(&at, &method, &arguments)?)))
}

fn storage(params: &Params<'_>, context: &Context) -> Answer {
    let mut params = params.sequence();
    let key = unhex(&params.next::<String>()?)?;
    let at = block(params.optional_next()?, context);
    Ok(json!(context.view.shared.chain().storage(&at, &key)?.map(|value| hex(&value))))
}

fn query(params: &Params<'_>, context: &Context) -> Answer {
    let mut params = params.sequence();
    let keys: Vec<String> = params.next()?;
    let at: Hash = block(params.optional_next()?, context);
    let chain = context.view.shared.chain();
    let mut changes = Vec::new();
    for key in keys {
        let value = chain.storage(&at, &unhex(&key)?)?;
        changes.push(json!([key, value.map(|value| hex(&value))]));
    }
    Ok(json!([{ "block": at, "changes": changes }]))
}

fn keys(params: &Params<'_>, context: &Context) -> Answer {
    let mut params = params.sequence();
    let prefix = unhex(&params.optional_next::<String>()?.unwrap_or_else(|| "0x".into()))?;
    let count: u32 = params.next()?;
    if count > MOST_KEYS {
        return Err(refused(4_002, "count exceeds maximum value", &MOST_KEYS.to_string()));
    }
    let start = params.optional_next::<String>()?.map(|start| unhex(&start)).transpose()?;
    let at = block(params.optional_next()?, context);
    let keys = context.view.shared.chain().keys(&at, &prefix, start.as_deref(), count as usize)?;
    Ok(keys.iter().map(|key| Value::from(hex(key))).collect())
}

fn version() -> Value {
    let apis: Vec<_> = VERSION.apis.iter().map(|(id, version)| json!([hex(id), version])).collect();
    json!({
        "specName": VERSION.spec_name,
        "implName": VERSION.impl_name,
        "authoringVersion": VERSION.authoring_version,
        "specVersion": VERSION.spec_version,
        "implVersion": VERSION.impl_version,
        "transactionVersion": VERSION.transaction_version,
        "stateVersion": VERSION.system_version,
        "apis": apis,
    })
}

/// Weight, class and fee, as JSON has them.
fn payment(answer: &[u8]) -> Answer {
    type Info = (codec::Compact<u64>, codec::Compact<u64>, u8, u128);
    let (ref_time, proof_size, class, fee): Info = codec::Decode::decode(&mut &answer[..])
        .map_err(|_| refused(4_003, "Client error", "the runtime's answer cannot be decoded"))?;
    let class = ["normal", "operational", "mandatory"].get(usize::from(class));
    Ok(json!({
        "weight": { "ref_time": ref_time.0, "proof_size": proof_size.0 },
        "class": class,
        "partialFee": fee.to_string(),
    }))
}
