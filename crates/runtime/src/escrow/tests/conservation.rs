//! Whatever is called in whatever order, money is neither made nor lost, and nobody gets what nobody signed.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Open { nonce: u64, deposit: u128 },
    TopUp { nonce: u64, by: u128 },
    Settle { nonce: u64, cumulative: u128 },
    StartClose { nonce: u64 },
    Close { nonce: u64 },
    Together { nonce: u64, cumulative: u128 },
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let amount = || prop_oneof![Just(0), Just(u128::MAX), 1..300 * UNIT];
    let nonce = || 0_u64..3;
    prop_oneof![
        (nonce(), amount()).prop_map(|(nonce, deposit)| Step::Open { nonce, deposit }),
        (nonce(), amount()).prop_map(|(nonce, by)| Step::TopUp { nonce, by }),
        (nonce(), amount()).prop_map(|(nonce, cumulative)| Step::Settle { nonce, cumulative }),
        nonce().prop_map(|nonce| Step::StartClose { nonce }),
        nonce().prop_map(|nonce| Step::Close { nonce }),
        (nonce(), amount()).prop_map(|(nonce, cumulative)| Step::Together { nonce, cumulative }),
        (1..WINDOW * 2).prop_map(|millis| Step::Wait { millis }),
    ]
}

fn take(step: Step, asset: Option<u32>) {
    let of = |nonce| Terms { asset, nonce, ..terms() };
    let id = |nonce| of(nonce).id(CHAIN);
    // As the runtime dispatches: what fails leaves nothing.
    let _ = frame_support::storage::with_storage_layer(|| match step {
        Step::Open { nonce, deposit } => open(&of(nonce), deposit, EXPIRES),
        Step::TopUp { nonce, by } => top_up(alice(), id(nonce), by),
        Step::Settle { nonce, cumulative } => settle(voucher(id(nonce), cumulative)),
        Step::StartClose { nonce } => start_close(alice(), id(nonce)),
        Step::Close { nonce } => close(alice(), id(nonce)),
        Step::Together { nonce, cumulative } => close_together(id(nonce), cumulative),
        Step::Wait { millis } => {
            Timestamp::set_timestamp(Timestamp::get() + millis);
            Ok(())
        }
    });
}

fn hold_true(asset: Option<u32>) {
    use frame_support::traits::fungibles::{Inspect as _, InspectHold as _};
    let has = |who: AccountId32| match asset {
        None => <Balances as frame_support::traits::fungible::Inspect<_>>::total_balance(&who),
        Some(asset) => crate::construction::AssetsHolder::total_balance(asset, &who),
    };
    let everything: u128 = [alice(), bob(), carol()].into_iter().map(&has).sum();
    assert_eq!(everything, 3_000 * UNIT);
    let channels: Vec<_> = Channels::<Runtime>::iter_values().collect();
    let locked: u128 = channels
        .iter()
        .filter(|channel| channel.state != State::Closed)
        .map(|channel| channel.deposit - channel.settled)
        .sum();
    let on_hold = match asset {
        None => held(alice()),
        Some(asset) => crate::construction::AssetsHolder::total_balance_on_hold(asset, &alice()),
    };
    assert_eq!(on_hold, locked);
    let paid: u128 = channels.iter().map(|channel| channel.settled).sum();
    assert_eq!(has(bob()), 1_000 * UNIT + paid);
    assert!(channels.iter().all(|channel| channel.settled <= channel.deposit));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn money_is_conserved(steps in prop::collection::vec(step(), 1..60), asset in prop::option::of(Just(DEV_ASSET))) {
        chain().execute_with(|| {
            for step in steps {
                take(step, asset);
                hold_true(asset);
            }
        });
    }
}
