//! The channel that is paid from: one that is open already, topped up where it holds too little, or a new one.

use std::sync::Arc;

use ::wallet::history::{Event, Outcome};
use ::wallet::{
    Account, Act, Approved, ChannelRecord, ChannelStatus, KeyHandle, NewChannel, SentTopUp, Unit, Wallet,
};
use anyhow::{Context, bail};
use chain::{Call, ChannelState, Rail, RailError};
use pay::channel::Funds;
use pay::{Amount, ChannelId, Phase, Price, UnixMillis};
use tokio::task::JoinHandle;

use super::ASK_AGAIN;
use crate::wallet::{channels, now};

/// A channel that is opened is good for so long; what is not used comes back earlier by closing it.
const GOOD_FOR_MS: u64 = 30 * 24 * 3_600_000;
/// A channel that ends so soon is not begun with: a node stops serving its dispute window earlier.
const SPARE_MS: u64 = 3_600_000;
/// One that cannot pay so many seconds is topped up, as long as the cap allows them.
const SECONDS: u64 = 60;

/// What is done to a channel before it is paid from.
pub(super) enum Step {
    /// It holds enough.
    Nothing(ChannelRecord),
    TopUp {
        record: ChannelRecord,
        by: Amount,
    },
    Open {
        record: ChannelRecord,
        deposit: Amount,
        expires_at: UnixMillis,
    },
}

impl Step {
    pub const fn record(&self) -> &ChannelRecord {
        match self {
            Self::Nothing(record) | Self::TopUp { record, .. } | Self::Open { record, .. } => record,
        }
    }

    /// What the account signs for it.
    pub fn act(&self) -> Option<Act> {
        Some(match *self {
            Self::Nothing(_) => return None,
            Self::TopUp { ref record, by } => Act::TopUp { terms: record.terms, by },
            Self::Open { ref record, deposit, expires_at } => {
                Act::Open { terms: record.terms, deposit, expires_at }
            }
        })
    }

    pub fn call(&self) -> Option<Call> {
        Some(match *self {
            Self::Nothing(_) => return None,
            Self::TopUp { ref record, by } => Call::TopUp { channel: record.terms.id(), by },
            Self::Open { ref record, deposit, expires_at } => {
                Call::Open { terms: record.terms, deposit, expires_at }
            }
        })
    }
}

/// Looks for a channel between the same parties, on the chain and not only in the wallet.
pub(super) async fn find(
    wallet: &Wallet,
    rail: &dyn Rail,
    new: &NewChannel,
    cap: Amount,
    price: Price,
) -> anyhow::Result<Step> {
    let known = wallet.channels()?.into_iter().filter(|known| {
        let terms = &known.terms;
        matches!(known.status, ChannelStatus::Open | ChannelStatus::Prepared)
            && !known.is_pages()
            && (terms.genesis, terms.asset, terms.payer, terms.payee, terms.node)
                == (new.genesis, new.asset, new.payer, new.payee, new.node)
    });
    let mut unseen = None;
    for record in known {
        let id = record.terms.id();
        let phase = rail.channel(id).await?.map_or(Phase::Absent, |state| state.head);
        let (status, funds) = match phase {
            // Its opening may have been sent, and be on its way still. There is one channel of these terms, however
            // often it is opened: so it is this one that is opened again, and no second deposit is locked.
            Phase::Absent if record.status == ChannelStatus::Prepared => {
                unseen = unseen.or(Some(record).filter(|record| is_wanted(record, new)));
                continue;
            }
            Phase::Absent => continue,
            Phase::Open(funds) => (ChannelStatus::Open, Some(funds)),
            Phase::Closing { .. } => (ChannelStatus::Closing, None),
            Phase::Closed { .. } => (ChannelStatus::Closed, None),
        };
        let record = wallet.update_channel(id, |record| {
            record.status = status;
            if let Some(Funds { deposit, expires_at, .. }) = funds {
                (record.deposit, record.expires_at) = (deposit, expires_at);
            }
        })?;
        let lasts =
            record.expires_at.millis_since(now()) > record.terms.dispute_window_ms.saturating_add(SPARE_MS);
        if status == ChannelStatus::Open && lasts {
            return enough(wallet, record, cap, price);
        }
    }
    let record = unseen.map_or_else(|| wallet.prepare_channel(new, now()), Ok)?;
    Ok(Step::Open { record, deposit: cap, expires_at: now().plus(GOOD_FOR_MS) })
}

/// A node may have come to ask for another dispute window since.
fn is_wanted(record: &ChannelRecord, new: &NewChannel) -> bool {
    record.terms.dispute_window_ms == new.dispute_window_ms
}

fn enough(wallet: &Wallet, record: ChannelRecord, cap: Amount, price: Price) -> anyhow::Result<Step> {
    let spent = wallet.spent(record.terms.id())?;
    let left = record.deposit.checked_sub(spent).unwrap_or(Amount::ZERO);
    let least = price.times(SECONDS).map_or(cap, |least| least.min(cap));
    Ok(match cap.checked_sub(left) {
        Some(_) if left < least && is_on_its_way(&record) => {
            if left < price.per_tick() {
                bail!(
                    "channel {} was topped up a moment ago, and the chain does not show it yet: look again in a \
                     quarter of an hour",
                    record.terms.id()
                );
            }
            // What it holds is watched first.
            Step::Nothing(record)
        }
        Some(by) if left < least => Step::TopUp { record, by },
        _ => Step::Nothing(record),
    })
}

/// Whether a top-up was sent that the deposit does not show, and may still come into a block.
fn is_on_its_way(record: &ChannelRecord) -> bool {
    record.top_up.is_some_and(|sent| {
        record.deposit <= sent.before && now().millis_since(sent.at) < channels::ON_ITS_WAY_MS
    })
}

/// Who signs for a channel, and where it goes.
#[derive(Clone)]
pub(super) struct Hand {
    pub wallet: Wallet,
    pub rail: Arc<dyn Rail>,
    pub account: Account,
    pub key: KeyHandle,
    pub unit: Unit,
}

/// A channel that can be paid from.
pub(super) struct Ready {
    pub record: ChannelRecord,
    /// Where the best block has its opening: what becomes of that. A node serves it in the meantime.
    pub confirming: Option<Confirming>,
}

/// Ends when a final block has the opening, or none ever will.
pub(super) type Confirming = JoinHandle<anyhow::Result<ChannelRecord>>;

/// Sends it. What became of it is kept, even if nobody waits for it any more.
pub(super) async fn take(step: Step, hand: Hand) -> anyhow::Result<Ready> {
    let id = step.record().terms.id();
    let is_opened = matches!(step, Step::Open { .. });
    let (wallet, rail) = (hand.wallet.clone(), Arc::clone(&hand.rail));
    let mut sent = tokio::spawn(send(step, hand));
    tokio::select! {
        biased;
        taken = &mut sent => Ok(Ready { record: taken??, confirming: None }),
        funds = in_best_block(rail.as_ref(), id), if is_opened => {
            let opened = |record: &mut ChannelRecord| {
                (record.deposit, record.expires_at) = (funds.deposit, funds.expires_at);
            };
            Ok(Ready { record: wallet.update_channel(id, opened)?, confirming: Some(sent) })
        }
    }
}

/// Returns once the best block has it; whether it never will, [`send`] finds out.
async fn in_best_block(rail: &dyn Rail, id: ChannelId) -> Funds {
    let mut turns = tokio::time::interval(ASK_AGAIN);
    loop {
        turns.tick().await;
        match rail.channel(id).await {
            Ok(Some(ChannelState { head: Phase::Open(funds), .. })) => return funds,
            Ok(_) => {}
            Err(err) => tracing::debug!(%err, "the chain does not say whether the channel is open"),
        }
    }
}

async fn send(step: Step, hand: Hand) -> anyhow::Result<ChannelRecord> {
    let Hand { wallet, rail, account, key, unit } = hand;
    let (Some(act), Some(call)) = (step.act(), step.call()) else { return Ok(step.record().clone()) };
    let event = Event {
        at: now(),
        account: account.account,
        what: act.summary(&unit),
        outcome: Outcome::Sending,
        amount: act.amount(),
        fee: None,
        block: None,
        hash: None,
    };
    wallet.note(&event)?;
    let id = step.record().terms.id();
    if let Step::TopUp { record, .. } = &step {
        let sent = SentTopUp { before: record.deposit, at: now() };
        wallet.update_channel(id, |record| record.top_up = Some(sent))?;
    }
    let sent = rail.submit(call, Arc::new(Approved::new(key, act.clone()))).await;
    match sent {
        Ok(included) => {
            let hash = pay::Genesis(included.hash).to_string();
            let (fee, block) = (Some(included.fee), Some(included.block.number));
            wallet.note(&Event {
                at: now(),
                outcome: Outcome::Done,
                fee,
                block,
                hash: Some(hash),
                ..event
            })?;
            Ok(wallet.update_channel(id, |record| record.apply(&act))?)
        }
        Err(err) => {
            let is_unknown = matches!(err, RailError::Unknown);
            let outcome = if is_unknown { Outcome::Unknown } else { Outcome::Failed };
            wallet.note(&Event { at: now(), outcome, ..event })?;
            if is_unknown {
                // It is looked for on the chain the next time.
                return Err(err).context("the channel could not be made ready");
            }
            if matches!(step, Step::TopUp { .. }) {
                wallet.update_channel(id, |record| record.top_up = None)?;
            }
            if matches!(step, Step::Open { .. }) {
                // The one that was sent before may have come first.
                let phase = rail.channel(id).await?.map_or(Phase::Absent, |state| state.head);
                if let Phase::Open(Funds { deposit, expires_at, .. }) = phase {
                    return Ok(wallet.update_channel(id, |record| {
                        (record.status, record.deposit, record.expires_at) =
                            (ChannelStatus::Open, deposit, expires_at);
                    })?);
                }
                wallet.update_channel(id, |record| record.status = ChannelStatus::Failed)?;
            }
            Err(err).context("the channel could not be made ready")
        }
    }
}
