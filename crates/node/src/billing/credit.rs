//! What a viewer may owe where nothing is locked, and whether that is enough for the chain and for a price.

use chain::{Call, Rail};
use pay::{Amount, AssetId, Keypair, Price, Signer};

use super::{BillingError, ChainConfig};

/// A transfer pays at least so many times its fee.
const FEES: u128 = 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credit {
    pub window: Amount,
    /// The least that is worth a transfer, and that an account may hold.
    pub least: Amount,
    pub finality_s: u64,
}

impl Credit {
    pub(super) async fn of(
        rail: &dyn Rail,
        config: &ChainConfig,
        key: &Keypair,
    ) -> Result<Self, BillingError> {
        let account = key.public().account();
        let transfer = Call::Transfer { to: account, amount: config.credit_window };
        let fee = rail.fee(transfer, account).await.map_err(BillingError::Fee)?;
        // Fees are in the chain's own asset: what they are worth in another one is not known here.
        let ten = match rail.info().asset {
            AssetId::Native => Amount::new(fee.units().saturating_mul(FEES)),
            AssetId::Asset(_) => Amount::ZERO,
        };
        let least = ten.max(rail.info().existential_deposit);
        let (set, finality_s) = (config.credit_window, config.finality_s);
        if set < least {
            Err(BillingError::CreditWindow { set, least })
        } else {
            Ok(Self { window: set, least, finality_s })
        }
    }

    /// Whether who pays that price is served without a pause: what is watched until a transfer is final, and what is
    /// worth the next one, are within the window.
    pub fn bears(&self, price: Price) -> bool {
        let until_final = price.times(self.finality_s);
        let needed = until_final.and_then(|until_final| until_final.checked_add(self.least));
        needed.is_some_and(|needed| needed <= self.window)
    }
}
