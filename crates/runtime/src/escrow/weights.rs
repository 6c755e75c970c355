//! What calls cost. Counted, not benchmarked: storage items that are read and written, at the database's price for each,
//! plus the computing, which is little beside signatures.

use core::marker::PhantomData;

use frame_support::traits::Get;
use frame_support::weights::Weight;

pub trait WeightInfo {
    fn open() -> Weight;
    fn top_up() -> Weight;
    fn settle() -> Weight;
    fn settle_many(vouchers: u32) -> Weight;
    fn start_close() -> Weight;
    fn close() -> Weight;
    fn cooperative_close() -> Weight;
    fn publish_stream() -> Weight;
}

/// Counted for an asset of the assets pallet, which touches more items than the chain's own unit does. No proof size:
/// a chain of its own has no proofs.
pub struct Counted<T>(PhantomData<T>);

/// One check of a signature with the hash of what was signed: 32 µs (sr25519) were measured where this was written
/// and are 47 µs on Substrate's reference machine; Ed25519 is quicker.
const SIGNATURE: Weight = Weight::from_parts(60_000_000, 0);
/// Decoding, comparing, hashing a name, encoding, an event.
const COMPUTING: Weight = Weight::from_parts(20_000_000, 0);

/// Channel and asset, the account's balance of it, its list of holds and their sum, its system account.
const HOLD_READS: u64 = 6;
const HOLD_WRITES: u64 = 6;
/// As much for the payer, and the payee's balance and system account.
const PAY_READS: u64 = HOLD_READS + 2;
const PAY_WRITES: u64 = HOLD_WRITES + 2;

impl<T: frame_system::Config> Counted<T> {
    fn items(reads: u64, writes: u64) -> Weight {
        COMPUTING.saturating_add(T::DbWeight::get().reads_writes(reads, writes))
    }
}

impl<T: frame_system::Config> WeightInfo for Counted<T> {
    /// Beside the hold: genesis and time.
    fn open() -> Weight {
        Self::items(HOLD_READS + 2, HOLD_WRITES)
    }

    fn top_up() -> Weight {
        Self::items(HOLD_READS + 1, HOLD_WRITES)
    }

    fn settle() -> Weight {
        Self::settle_many(1)
    }

    fn settle_many(vouchers: u32) -> Weight {
        let each = Self::items(PAY_READS, PAY_WRITES).saturating_add(SIGNATURE);
        Self::items(1, 0).saturating_add(each.saturating_mul(vouchers.into()))
    }

    fn start_close() -> Weight {
        Self::items(2, 1)
    }

    fn close() -> Weight {
        Self::items(HOLD_READS + 1, HOLD_WRITES)
    }

    fn cooperative_close() -> Weight {
        Self::items(PAY_READS + 1, PAY_WRITES).saturating_add(SIGNATURE.saturating_mul(2))
    }

    fn publish_stream() -> Weight {
        Self::items(1, 1)
    }
}
