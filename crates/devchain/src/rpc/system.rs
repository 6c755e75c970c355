//! What chain this is, and an account's next nonce.

use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use runtime::{DECIMALS, SS58_PREFIX, SYMBOL};
use serde_json::json;
use sp_core::crypto::Ss58Codec as _;
use sp_runtime::AccountId32;

use super::{Context, refused};

pub fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_method("system_chain", |_, _, _| "Tickcast Development")?;
    module.register_method("system_chainType", |_, _, _| "Development")?;
    module.register_method("system_name", |_, _, _| "tickcast-devchain")?;
    module.register_method("system_version", |_, _, _| env!("CARGO_PKG_VERSION"))?;
    module.register_method(
        "system_properties",
        |_, _, _| json!({ "ss58Format": SS58_PREFIX, "tokenDecimals": DECIMALS, "tokenSymbol": SYMBOL }),
    )?;
    module.register_method(
        "system_health",
        |_, _, _| json!({ "peers": 0, "isSyncing": false, "shouldHavePeers": false }),
    )?;
    module.register_method("system_accountNextIndex", |params, context, _| {
        let address: String = params.one()?;
        let account = AccountId32::from_ss58check(&address)
            .map_err(|error| refused(-32_602, "Invalid params", &format!("{error:?}")))?;
        Ok::<_, ErrorObjectOwned>(context.view.shared.chain().next_nonce(&account)?)
    })?;
    module.register_alias("account_nextIndex", "system_accountNextIndex")?;
    Ok(())
}
