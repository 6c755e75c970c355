//! What a paid stream says of itself, for anybody to read: JSON whose content id goes on chain.

use api::PriceTier;
use pay::{AssetId, Delegation, Genesis, PublicKey, Signed, Wire};
use serde::Serialize;

use crate::store::Told;

/// Of the fields and their meaning.
const VERSION: u32 = 1;

#[derive(Serialize)]
pub struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    stream: &'a Told,
    genesis: Genesis,
    asset: AssetId,
    /// Whose signature on chain names this document.
    node: PublicKey,
    /// The creator's, by which the node speaks for it: hexadecimal digits of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    delegation: Option<String>,
    prices: &'a [PriceTier],
    /// The content id of the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
}

impl<'a> Document<'a> {
    pub fn new(
        stream: &'a Told,
        (genesis, asset): (Genesis, AssetId),
        node: PublicKey,
        delegation: Option<&Signed<Delegation>>,
        prices: &'a [PriceTier],
        previous: Option<&'a str>,
    ) -> Self {
        let delegation = delegation.map(|signed| data_encoding::HEXLOWER.encode(&signed.to_bytes()));
        Self { version: VERSION, stream, genesis, asset, node, delegation, prices, previous }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts have a form in JSON")
    }
}
