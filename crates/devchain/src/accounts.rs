//! Accounts that every development chain knows, with keys that everybody knows.

use runtime::{Balance, UNIT};
use sp_core::crypto::{Ss58AddressFormat, Ss58Codec as _};
use sp_core::{Pair as _, ed25519, sr25519};
use sp_runtime::AccountId32;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountScheme {
    Ed25519,
    Sr25519,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// As Substrate's tools take it: `//Alice`.
    pub uri: String,
    pub scheme: AccountScheme,
    /// No secret: it follows from the name and the phrase that Substrate's documentation prints.
    pub seed: [u8; 32],
    pub public: [u8; 32],
    /// Held when the chain begins, of the chain's own unit; and a millionth of it of the development asset.
    pub balance: Balance,
}

impl Account {
    pub fn address(&self) -> String {
        let format = Ss58AddressFormat::custom(runtime::SS58_PREFIX);
        AccountId32::new(self.public).to_ss58check_with_version(format)
    }
}

const BALANCE: Balance = 1_000_000 * UNIT;

/// Alice, Bob, Charlie, Dave, Eve and Ferdie with sr25519 keys, and `//Alice` and `//Bob` with Ed25519 ones.
pub fn development_accounts() -> Vec<Account> {
    let sr25519 = ["//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie"].map(|uri| {
        let (pair, seed) = sr25519::Pair::from_string_with_seed(uri, None).expect("the name is well formed");
        let seed = seed.expect("hard derivation keeps a seed");
        (uri, AccountScheme::Sr25519, seed, pair.public().0)
    });
    let ed25519 = ["//Alice", "//Bob"].map(|uri| {
        let (pair, seed) = ed25519::Pair::from_string_with_seed(uri, None).expect("the name is well formed");
        let seed = seed.expect("hard derivation keeps a seed");
        (uri, AccountScheme::Ed25519, seed, pair.public().0)
    });
    sr25519
        .into_iter()
        .chain(ed25519)
        .map(|(uri, scheme, seed, public)| Account {
            uri: uri.into(),
            scheme,
            seed,
            public,
            balance: BALANCE,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alice_is_who_all_of_substrate_calls_so() {
        let accounts = development_accounts();
        assert_eq!(accounts[0].address(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
        assert_eq!(accounts[1].address(), "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty");
        assert_eq!(accounts[6].address(), "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu");
    }
}
