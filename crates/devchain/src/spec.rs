//! The same chain for a node of the Polkadot SDK: its beginning, state by state, in the form that such nodes read.

use runtime::{DECIMALS, Genesis, SS58_PREFIX, SYMBOL};
use serde_json::{Map, Value, json};
use sp_core::storage::well_known_keys::CODE;

use crate::rpc::hex;

/// A chain specification in JSON of a chain that begins with `genesis`, run by `wasm`. Fails as [`Genesis::storage`] does.
pub fn spec(genesis: &Genesis, wasm: &[u8]) -> Result<String, String> {
    let mut state = genesis.storage()?;
    state.top.insert(CODE.to_vec(), wasm.to_vec());
    let top: Map<String, Value> =
        state.top.iter().map(|(key, value)| (hex(key), Value::String(hex(value)))).collect();
    let spec = json!({
        "name": "Tickcast development",
        "id": "tickcast_development",
        "chainType": "Development",
        "bootNodes": [],
        "telemetryEndpoints": null,
        "protocolId": null,
        "properties": { "tokenSymbol": SYMBOL, "tokenDecimals": DECIMALS, "ss58Format": SS58_PREFIX },
        "genesis": { "raw": { "top": top, "childrenDefault": {} } },
    });
    Ok(spec.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Config, development_accounts};

    #[test]
    fn the_specification_has_the_state_that_the_chain_begins_with_and_the_code() {
        let genesis = Config::default().genesis;
        let spec: Value = serde_json::from_str(&spec(&genesis, &[0xab, 0x01]).unwrap()).unwrap();
        let top = &spec["genesis"]["raw"]["top"];
        // The key that every Substrate chain keeps its code under, and that of the sum of all balances: twice 128 bits
        // of xxHash, of "Balances" and "TotalIssuance".
        assert_eq!(top["0x3a636f6465"], "0xab01");
        let issued = &top["0xc2261276cc9d1f8598ea4b6a74b15c2f57c875e4cff74148e4628f264b974c80"];
        let expected: u128 = development_accounts().iter().map(|account| account.balance).sum();
        assert_eq!(*issued, hex(&expected.to_le_bytes()));
    }
}
