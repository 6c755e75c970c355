//! What a development chain begins with: accounts that have something, and an asset beside the chain's own.

use sp_core::storage::Storage;
use sp_runtime::BuildStorage as _;

use crate::construction::{AssetsConfig, BalancesConfig, RuntimeGenesisConfig};
use crate::{AccountId, Balance};

/// An asset that development accounts hold, with six decimals.
pub const DEV_ASSET: u32 = 1;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Genesis {
    pub balances: Vec<(AccountId, Balance)>,
    /// Of [`DEV_ASSET`], which exists as soon as one account holds it; the first of them owns it.
    pub assets: Vec<(AccountId, Balance)>,
}

impl Genesis {
    /// The first state. Fails on an account that is named twice, or holds less than an account must.
    pub fn storage(&self) -> Result<Storage, String> {
        let assets = self.assets.first().map(|(owner, _)| AssetsConfig {
            assets: vec![(DEV_ASSET, owner.clone(), true, 1)],
            metadata: vec![(DEV_ASSET, b"Development dollar".to_vec(), b"DUSD".to_vec(), 6)],
            accounts: self.assets.iter().map(|(who, amount)| (DEV_ASSET, who.clone(), *amount)).collect(),
            ..Default::default()
        });
        RuntimeGenesisConfig {
            balances: BalancesConfig { balances: self.balances.clone(), dev_accounts: None },
            assets: assets.unwrap_or_default(),
            ..Default::default()
        }
        .build_storage()
    }
}
