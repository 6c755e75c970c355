//! The two ways in which vouchers become money, and what a chain says of itself.

use serde::{Deserialize, Serialize};

use crate::{Amount, AssetId, Genesis};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RailKind {
    /// A pallet of the chain: a deposit is locked, and vouchers are claims on it.
    Escrow,
    /// Plain transfers of a stock chain: vouchers are statements, and the payer's wallet pays them itself.
    Transfer,
}

/// The chain that is paid on, and how.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RailInfo {
    pub kind: RailKind,
    pub chain: String,
    pub genesis: Genesis,
    pub asset: AssetId,
    pub symbol: String,
    pub decimals: u8,
    /// An account that holds less than this is none.
    pub existential_deposit: Amount,
}
