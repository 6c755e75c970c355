//! Where the money of a channel is: on hold in the payer's own account, of the chain's own unit or of an asset.

use frame_support::pallet_prelude::*;
use frame_support::traits::tokens::{Fortitude, Precision, Restriction};
use frame_support::traits::{fungible, fungibles};

use super::pallet::{Config, HoldReason, Pallet};
use super::terms::Terms;

impl<T: Config> Pallet<T> {
    pub(super) fn hold(terms: &Terms, amount: u128) -> DispatchResult {
        use fungible::hold::Mutate as _;
        use fungibles::hold::Mutate as _;
        let reason = HoldReason::Channel.into();
        match terms.asset {
            None => T::Native::hold(&reason, &terms.payer, amount),
            Some(asset) => T::Assets::hold(asset, &reason, &terms.payer, amount),
        }
    }

    /// All of it or nothing. By force: a freeze that the payer puts on its account must not keep the payee from its money.
    pub(super) fn pay(terms: &Terms, amount: u128) -> DispatchResult {
        use fungible::hold::Mutate as _;
        use fungibles::hold::Mutate as _;
        // To an account that does not exist not even nothing is sent.
        if amount == 0 {
            return Ok(());
        }
        let reason = HoldReason::Channel.into();
        let (payer, payee) = (&terms.payer, &terms.payee);
        let (exact, free, force) = (Precision::Exact, Restriction::Free, Fortitude::Force);
        match terms.asset {
            None => T::Native::transfer_on_hold(&reason, payer, payee, amount, exact, free, force)?,
            Some(asset) => {
                T::Assets::transfer_on_hold(asset, &reason, payer, payee, amount, exact, free, force)?
            }
        };
        Ok(())
    }

    pub(super) fn give_back(terms: &Terms, amount: u128) -> DispatchResult {
        use fungible::hold::Mutate as _;
        use fungibles::hold::Mutate as _;
        if amount == 0 {
            return Ok(());
        }
        let reason = HoldReason::Channel.into();
        match terms.asset {
            None => T::Native::release(&reason, &terms.payer, amount, Precision::Exact)?,
            Some(asset) => T::Assets::release(asset, &reason, &terms.payer, amount, Precision::Exact)?,
        };
        Ok(())
    }
}
