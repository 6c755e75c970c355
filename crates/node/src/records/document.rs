//! What a paid stream says of itself, for anybody to read: JSON whose content id goes on chain.

use api::PriceTier;
use pay::{AssetId, Delegation, Genesis, PublicKey, Signed, Wire};
use serde::Serialize;

use crate::store::Told;

/// Of the fields and their meaning.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
pub struct Document<'a> {
    pub version: u32,
    #[serde(flatten)]
    pub stream: &'a Told,
    pub genesis: Genesis,
    pub asset: AssetId,
    /// Whose signature on chain names this document.
    pub node: PublicKey,
    /// The creator's, by which the node speaks for it: hexadecimal digits of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegation: Option<String>,
    pub prices: &'a [PriceTier],
    /// Content ids of what was recorded, once the stream is archived.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub recordings: &'a [String],
    /// The content id of the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<&'a str>,
}

/// As documents carry it.
pub fn delegation(signed: &Signed<Delegation>) -> String {
    data_encoding::HEXLOWER.encode(&signed.to_bytes())
}

impl Document<'_> {
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts have a form in JSON")
    }
}
