//! A chain that is away, comes back, is slow, or jumps in time, and channels that end meanwhile: what was watched is
//! paid.

use std::sync::Arc;

use chain::Call;
use pay::message::Ending;
use pay::{Amount, Phase, Refusal};
use testkit::soak;
use tokio::runtime::Runtime;
use watch::Leaving;

use crate::broadcasts::LIMIT;
use crate::market::{GRACE_TICKS, PRICE, Rules, now, until};
use crate::payer::{Payer, Watching};
use crate::show::Show;

/// Seconds that play while nobody reaches the chain.
const AWAY_SECONDS: u64 = 8;
const AWAY_SECONDS_IN_SOAK: u64 = 60;
const HOUR_MS: i64 = 3_600_000;

#[test]
fn what_is_watched_while_the_chain_is_away_is_settled_once_it_is_back() {
    Runtime::new().expect("a runtime").block_on(async {
        // Half of the dispute window is how long a node goes on without the chain.
        let dispute_window_s = soak(60, 4 * AWAY_SECONDS_IN_SOAK);
        let mut show = Show::open(Rules { dispute_window_s, ..Rules::default() }).await;
        let mut payer = Payer::with_channel(&show.market, 1).await;
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(2).await;
        show.market.stop_chain().await;
        watching.until_played(2 + soak(AWAY_SECONDS, AWAY_SECONDS_IN_SOAK)).await;
        show.market.start_chain().await;
        let played = watching.pay.status().totals.played;
        watching.until_played(played + 2).await;
        payer.leave(watching).await;
        show.close(&[payer]).await;
    });
}

/// Until the viewer is told that its channel is no longer good. What was accepted of what it signed: all but the grace,
/// since no voucher is taken from then on.
async fn cut_off(show: &Show, payer: &mut Payer, watching: Watching, refusal: Refusal) -> Amount {
    assert!(!watching.until(LIMIT, |_| false).await);
    let status = watching.pay.status();
    let told = [Leaving::Ended(Ending::ChannelEnded), Leaving::Refused(refusal)];
    assert!(status.left_because.as_ref().is_some_and(|why| told.contains(why)), "{status:?}");
    payer.leave(watching).await;
    let (signed, accepted) = (payer.disk.signed(), show.market.audit().await.accepted);
    let grace = u128::from(GRACE_TICKS) * PRICE;
    assert!(accepted.units() <= signed && signed <= accepted.units() + grace, "{accepted} of {signed}");
    accepted
}

fn seconds_of(amount: Amount) -> u64 {
    u64::try_from(amount.units() / PRICE).expect("some seconds")
}

/// Its node cannot redeem anything then, and must not let more be owed than it still can.
#[test]
fn a_channel_that_ends_while_the_chain_is_away_is_served_until_its_dispute_window_and_settled_afterwards() {
    const WINDOW_S: u64 = 10;
    const SERVED_MS: u64 = 14_000;
    Runtime::new().expect("a runtime").block_on(async {
        let mut show = Show::open(Rules { dispute_window_s: WINDOW_S, ..Rules::default() }).await;
        let mut payer = Payer::without_channel(&show.market, 1).await;
        let open = payer.open(now().plus(SERVED_MS + WINDOW_S * 1_000));
        show.market.submit(open, payer.account()).await;
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(2).await;
        show.market.stop_chain().await;
        let accepted = cut_off(&show, &mut payer, watching, Refusal::ChannelExpiring).await;
        show.market.start_chain().await;
        show.market.settled(payer.channel(), accepted.units()).await;
        show.end(seconds_of(accepted)).await;
    });
}

#[test]
fn a_payer_that_closes_alone_while_it_watches_is_cut_off_and_has_paid_all_but_the_grace() {
    const WINDOW_S: u64 = 5;
    Runtime::new().expect("a runtime").block_on(async {
        let show = Show::open(Rules { dispute_window_s: WINDOW_S, ..Rules::default() }).await;
        let mut payer = Payer::with_channel(&show.market, 1).await;
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(3).await;
        show.market.submit(Call::StartClose(payer.channel()), payer.account()).await;
        let accepted = cut_off(&show, &mut payer, watching, Refusal::ChannelClosing).await;
        // The node answers within the window, and only then the payer gets the rest.
        show.market.settled(payer.channel(), accepted.units()).await;
        let phase = show.market.channel(payer.channel()).await.finalized;
        let Phase::Closing { closes_at, .. } = phase else { panic!("{phase:?}") };
        until("the window is over", async || (now() > closes_at.plus(1_000)).then_some(())).await;
        show.market.submit(Call::Close(payer.channel()), payer.account()).await;
        let phase = show.market.channel(payer.channel()).await.finalized;
        assert_eq!(phase, Phase::Closed { paid: accepted });
        show.end(seconds_of(accepted)).await;
    });
}

/// Blocks of six seconds that are final after eighteen.
#[test]
fn on_a_slow_chain_no_more_is_served_than_the_node_allows_until_a_channel_is_final() {
    const UNCONFIRMED_S: u16 = GRACE_TICKS + 3;
    Runtime::new().expect("a runtime").block_on(async {
        let mut show = Show::open(Rules { unconfirmed_s: UNCONFIRMED_S, ..Rules::default() }).await;
        show.market.slow_down().await;
        let mut payer = Payer::without_channel(&show.market, 1).await;
        let open = payer.open(now().plus(30 * crate::market::DAY_MS));
        let (rail, account) = (Arc::clone(&show.market.rail), Arc::clone(payer.account()));
        let opening = tokio::spawn(async move { rail.submit(open, account).await });
        let watching = until("the channel is in a block", async || payer.try_watch(&show.place).await).await;
        let most = u64::from(UNCONFIRMED_S);
        let mut before = 0;
        until("the channel is final", async || {
            let played = watching.pay.status().totals.played;
            let state = show.market.channel(payer.channel()).await;
            let is_final = matches!(state.finalized, Phase::Open(_));
            assert!(is_final || played <= most, "{played} s of a channel that is not final");
            before = if is_final { before } else { played };
            is_final.then_some(())
        })
        .await;
        // Finality takes eighteen seconds: all that is allowed played before.
        assert_eq!(before, most);
        opening.await.expect("nothing panics").expect("the channel is open");
        watching.until_played(most + 3).await;
        payer.leave(watching).await;
        show.close(&[payer]).await;
    });
}

#[test]
fn a_chain_whose_clock_jumps_ahead_by_an_hour_costs_nobody_a_second() {
    Runtime::new().expect("a runtime").block_on(async {
        let show = Show::open(Rules::default()).await;
        let mut payer = Payer::with_channel(&show.market, 1).await;
        let watching = payer.watch_well(&show.place).await;
        watching.until_played(2).await;
        show.market.chain().devchain().step_clock(HOUR_MS);
        // It may be that the offer ends by it; then there is a new one.
        if !watching.until(LIMIT, |status| status.totals.played >= 8).await {
            let status = watching.pay.status();
            assert_eq!(status.left_because, Some(Leaving::Ended(Ending::OfferExpired)), "{status:?}");
        }
        payer.leave(watching).await;
        let watching = payer.watch_well(&show.place).await;
        let played = watching.pay.status().totals.played;
        watching.until_played(played + 2).await;
        payer.leave(watching).await;
        show.close(&[payer]).await;
    });
}
