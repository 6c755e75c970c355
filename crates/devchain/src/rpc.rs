//! The JSON-RPC of a Substrate node, as far as clients of today ask for it.

use std::sync::Arc;

use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use runtime::{Hash, Header};
use serde_json::{Value, json};
use sp_core::bytes;

use crate::chain::CallError;
use crate::endpoint::View;

mod author;
mod blocks;
mod state;
mod system;

pub struct Context {
    pub view: Arc<View>,
}

type Answer = Result<Value, ErrorObjectOwned>;

pub fn module(context: Context) -> Result<RpcModule<Context>, RegisterMethodError> {
    let mut module = RpcModule::new(context);
    author::register(&mut module)?;
    blocks::register(&mut module)?;
    state::register(&mut module)?;
    system::register(&mut module)?;
    let mut methods: Vec<_> = module.method_names().collect();
    methods.push("rpc_methods");
    methods.sort_unstable();
    let methods = json!({ "methods": methods });
    module.register_method("rpc_methods", move |_, _, _| methods.clone())?;
    Ok(module)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes::to_hex(bytes, false)
}

fn unhex(text: &str) -> Result<Vec<u8>, ErrorObjectOwned> {
    bytes::from_hex(text).map_err(|error| refused(-32_602, "Invalid params", &error.to_string()))
}

fn refused(code: i32, message: &str, data: &str) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, Some(data))
}

impl From<CallError> for ErrorObjectOwned {
    fn from(error: CallError) -> Self {
        refused(4_003, "Client error", &error.to_string())
    }
}

/// The next argument as a block's hash; the best one where there is none.
fn block(arguments: Option<Hash>, context: &Context) -> Hash {
    arguments.unwrap_or_else(|| Hash::from(context.view.heads().best.hash))
}

fn header(header: &Header) -> Value {
    json!({
        "parentHash": header.parent_hash,
        "number": format!("{:#x}", header.number),
        "stateRoot": header.state_root,
        "extrinsicsRoot": header.extrinsics_root,
        "digest": { "logs": [] },
    })
}
