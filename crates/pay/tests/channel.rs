//! What a chain may say of a channel in each of its phases, and what is made of it.
#![allow(clippy::unwrap_used, reason = "a test and its builders may panic")]

mod world;

use proptest::prelude::*;
use tickcast_pay::channel::{EventRefused, Funding};
use tickcast_pay::*;
use world::*;

const fn of(units: u128) -> Amount {
    Amount::new(units)
}

fn topped_up(deposit: u128) -> ChannelEvent {
    ChannelEvent::ToppedUp { deposit: of(deposit) }
}

fn settled(cumulative: u128) -> ChannelEvent {
    ChannelEvent::Settled { cumulative: of(cumulative) }
}

fn closed(paid: u128) -> ChannelEvent {
    ChannelEvent::Closed { paid: of(paid) }
}

const CLOSING: ChannelEvent = ChannelEvent::ClosingStarted { closes_at: NOW };

#[test]
fn a_channel_is_served_for_half_its_dispute_window_without_a_final_block_and_credit_for_ever() {
    let terms = ChannelTerms { dispute_window_ms: 60_001, ..World::default().terms };
    let served = |age| terms.is_served_at_age(age);
    assert_eq!(
        [Some(0), Some(30_000), Some(30_001), Some(u64::MAX), None].map(served),
        [true, true, false, false, false]
    );
    let credit = ChannelTerms { dispute_window_ms: 0, ..terms };
    assert!(credit.is_served_at_age(None) && credit.is_served_at_age(Some(u64::MAX)));
}

#[test]
fn each_event_in_each_phase_is_taken_or_refused_by_name() {
    use EventRefused as No;
    let fold = |events: &[ChannelEvent]| {
        events.iter().fold(Phase::Absent, |phase, event| phase.after(*event).unwrap())
    };
    let open = fold(&[opened(100), settled(40)]);
    let closing = fold(&[opened(100), settled(40), CLOSING]);
    let over = fold(&[opened(100), closed(40)]);
    let refused = |phase: Phase, event| phase.after(event).unwrap_err();
    for event in [topped_up(1), settled(1), CLOSING, closed(0)] {
        assert_eq!(refused(Phase::Absent, event), No::NotOpen);
        assert_eq!(refused(over, event), No::AlreadyClosed);
    }
    assert_eq!(refused(over, opened(1)), No::AlreadyClosed);
    for phase in [open, closing] {
        assert_eq!(refused(phase, opened(1)), No::AlreadyOpen);
        assert_eq!(refused(phase, settled(40)), No::SettledNotRisen);
        assert_eq!(refused(phase, settled(39)), No::SettledNotRisen);
        assert_eq!(refused(phase, settled(101)), No::OverDeposit);
        assert_eq!(refused(phase, closed(39)), No::SettledNotRisen);
        assert_eq!(refused(phase, closed(101)), No::OverDeposit);
        assert_eq!(phase.after(closed(40)), Ok(Phase::Closed { paid: of(40) }));
        assert_eq!(phase.after(settled(100)).unwrap().settled(), of(100));
    }
    assert_eq!(refused(open, topped_up(100)), No::DepositNotRisen);
    assert!(matches!(open.after(topped_up(101)), Ok(Phase::Open(funds)) if funds.deposit == of(101)));
    assert_eq!(refused(closing, topped_up(200)), No::AlreadyClosing);
    assert_eq!(refused(closing, CLOSING), No::AlreadyClosing);
    assert!(matches!(open.after(CLOSING), Ok(Phase::Closing { closes_at: NOW, .. })));
}

#[test]
fn what_speaks_for_a_channel_counts_when_final_and_what_speaks_against_it_at_once() {
    let world = World::default();
    let mut channel = Channel::new(world.terms);
    assert_eq!(channel.funding(NOW), Err(Refusal::ChannelUnknown));
    channel.set_pending(&[opened(100)]).unwrap();
    assert_eq!(channel.funding(NOW), Ok(Funding::Unconfirmed { deposit: of(100) }));
    // Its block lost.
    channel.set_pending(&[]).unwrap();
    assert_eq!(channel.funding(NOW), Err(Refusal::ChannelUnknown));
    channel.set_pending(&[opened(100), topped_up(150)]).unwrap();
    channel.apply_final(opened(100)).unwrap();
    assert_eq!(channel.funding(NOW), Ok(Funding::Confirmed { deposit: of(100) }));
    assert_eq!(channel.head(), channel.finalized().after(topped_up(150)).unwrap());
    channel.set_pending(&[CLOSING]).unwrap();
    assert_eq!(channel.funding(NOW), Err(Refusal::ChannelClosing));
    channel.set_pending(&[closed(0)]).unwrap();
    assert_eq!(channel.funding(NOW), Err(Refusal::ChannelClosed));
    channel.set_pending(&[]).unwrap();
    let end = NOW.0 + 30 * DAY_MS - DISPUTE_MS;
    assert!(channel.funding(UnixMillis(end - 1)).is_ok());
    assert_eq!(channel.serves_for_ms(UnixMillis(end - 1)), Some(1));
    assert_eq!(channel.funding(UnixMillis(end)), Err(Refusal::ChannelExpiring));
    assert_eq!(channel.funding(UnixMillis(u64::MAX)), Err(Refusal::ChannelExpiring));
}

#[test]
fn pending_events_that_cannot_follow_change_nothing() {
    let mut channel = World::default().channel();
    let before = channel.clone();
    assert_eq!(channel.set_pending(&[opened(1)]), Err(EventRefused::AlreadyOpen));
    assert_eq!(channel.set_pending(&[CLOSING; 65]), Err(EventRefused::TooManyEvents));
    assert_eq!(channel, before);
    // A final block that contradicts what was pending takes its place.
    channel.set_pending(&[topped_up(DEPOSIT + 5), CLOSING]).unwrap();
    channel.apply_final(closed(7)).unwrap();
    assert_eq!((channel.head(), channel.finalized()), (Phase::Closed { paid: of(7) }, channel.head()));
}

#[test]
fn a_channels_name_binds_every_term() {
    let terms = World::default().terms;
    let key = keypair(KeyScheme::Ed25519, 50).public();
    let others = [
        ChannelTerms { genesis: Genesis([0; 32]), ..terms },
        ChannelTerms { asset: AssetId::Asset(0), ..terms },
        ChannelTerms { payer: AccountId([0; 32]), ..terms },
        ChannelTerms { payee: AccountId([0; 32]), ..terms },
        ChannelTerms { node: key, ..terms },
        ChannelTerms { session: key, ..terms },
        ChannelTerms { nonce: 1, ..terms },
        ChannelTerms { dispute_window_ms: 1, ..terms },
    ];
    assert!(others.iter().all(|other| other.id() != terms.id()));
}

fn any_event() -> impl Strategy<Value = ChannelEvent> {
    let amount = (0_u128..6).prop_map(Amount::new);
    let time = (0_u64..3).prop_map(UnixMillis);
    prop_oneof![
        (amount.clone(), time.clone())
            .prop_map(|(deposit, expires_at)| ChannelEvent::Opened { deposit, expires_at }),
        amount.clone().prop_map(|deposit| ChannelEvent::ToppedUp { deposit }),
        amount.clone().prop_map(|cumulative| ChannelEvent::Settled { cumulative }),
        time.prop_map(|closes_at| ChannelEvent::ClosingStarted { closes_at }),
        amount.prop_map(|paid| ChannelEvent::Closed { paid }),
    ]
}

proptest! {
    /// Whatever a chain says, in whatever order: settled only rises and stays within the deposit.
    #[test]
    fn settled_rises_and_stays_within_the_deposit(events in prop::collection::vec((any::<bool>(), any_event()), 0..60)) {
        let mut channel = Channel::new(World::default().terms);
        for (is_final, event) in events {
            let before = channel.clone();
            let result =
                if is_final { channel.apply_final(event) } else { channel.set_pending(&[event]) };
            if result.is_err() {
                prop_assert_eq!(&channel, &before);
            }
            for (phase, before) in [(channel.finalized(), before.finalized()), (channel.head(), channel.finalized())] {
                prop_assert!(phase.settled() >= before.settled());
                if let Phase::Open(funds) | Phase::Closing { funds, .. } = phase {
                    prop_assert!(funds.settled <= funds.deposit);
                }
            }
            prop_assert_eq!(&Channel::from_bytes(&channel.to_bytes()).unwrap(), &channel);
        }
    }
}
