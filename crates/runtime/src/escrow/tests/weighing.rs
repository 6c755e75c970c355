//! A call never writes more than it is charged for.

use super::*;
use crate::escrow::WeightInfo;
use crate::escrow::weights::Counted;

/// How many storage items differ after `call`.
fn writes(chain: &mut TestExternalities, call: impl FnOnce()) -> usize {
    chain.commit_all().expect("nothing is open");
    chain.execute_with(call);
    // Events are the block's, as the weights of all pallets have it.
    let events = frame_support::storage::storage_prefix(b"System", b"");
    chain
        .overlayed_changes()
        .changes()
        // And what begins with a colon is the machinery's own.
        .filter(|(key, _)| !key.starts_with(b":"))
        .filter(|(key, _)| !key.starts_with(&events[..16]) || key.starts_with(&account_prefix()))
        .count()
}

fn account_prefix() -> Vec<u8> {
    frame_support::storage::storage_prefix(b"System", b"Account").to_vec()
}

fn weighed_writes(weight: sp_runtime::Weight) -> u64 {
    let database = frame_support::weights::constants::RocksDbWeight::get();
    weight.ref_time() / database.write
}

#[test]
fn every_call_is_charged_for_what_it_writes() {
    for asset in [None, Some(DEV_ASSET)] {
        let mut chain = chain();
        let terms = Terms { asset, ..terms() };
        let channel = terms.id(CHAIN);
        let mut check = |name, weight, call: &mut dyn FnMut()| {
            let writes = writes(&mut chain, call);
            assert!(writes > 0, "{name} writes something");
            assert!(writes as u64 <= weighed_writes(weight), "{name} writes {writes}");
        };
        type W = Counted<Runtime>;
        check("open", W::open(), &mut || open(&terms, DEPOSIT, EXPIRES).unwrap());
        check("top_up", W::top_up(), &mut || top_up(alice(), channel, UNIT).unwrap());
        check("settle", W::settle(), &mut || settle(voucher(channel, UNIT)).unwrap());
        check("start_close", W::start_close(), &mut || start_close(alice(), channel).unwrap());
        let weight = W::cooperative_close();
        check("cooperative_close", weight, &mut || close_together(channel, 2 * UNIT).unwrap());
    }
}

#[test]
fn the_most_vouchers_fit_into_a_block() {
    let most = <<Runtime as crate::escrow::Config>::MaxVouchers as frame_support::traits::Get<u32>>::get();
    let weights = <Runtime as frame_system::Config>::BlockWeights::get();
    let room =
        weights.get(frame_support::dispatch::DispatchClass::Normal).max_extrinsic.expect("it is bounded");
    assert!(Counted::<Runtime>::settle_many(most).all_lt(room));
}
