//! Transactions as whoever makes blocks handles them: the one that tells the time, and who sent the others.

use sp_runtime::MultiAddress;
use sp_runtime::generic::Preamble;

use crate::construction::{RuntimeCall, UncheckedExtrinsic};
use crate::{AccountId, Nonce};

/// The first of every block: its time, in milliseconds since 1970.
pub fn timestamp(now: u64) -> UncheckedExtrinsic {
    UncheckedExtrinsic::new_bare(RuntimeCall::Timestamp(pallet_timestamp::Call::set { now }))
}

/// Whose it says it is, and the how manyth; `None` where nobody signed it.
pub fn sender(extrinsic: &UncheckedExtrinsic) -> Option<(AccountId, Nonce)> {
    match &extrinsic.preamble {
        Preamble::Signed(MultiAddress::Id(account), _, (_, _, _, _, _, nonce, _, _)) => {
            Some((account.clone(), nonce.0))
        }
        _ => None,
    }
}
