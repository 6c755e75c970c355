//! A payment channel as a chain tells of it: opened, topped up, settled, closing, closed; first in its best block,
//! where it may still be undone, then for good.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::credit::CreditTerms;
use crate::id::{AccountId, ChannelId, Genesis, blake2_256};
use crate::key::PublicKey;
use crate::offer::AssetId;
use crate::refusal::Refusal;
use crate::signed::{Signable, domain};
use crate::time::UnixMillis;
use crate::wire::{DecodeError, Reader, VERSION, Wire, write_list};

/// What never changes about a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelTerms {
    pub genesis: Genesis,
    pub asset: AssetId,
    /// Whose deposit it is, and gets the rest.
    pub payer: AccountId,
    /// The only account that is ever paid from it.
    pub payee: AccountId,
    /// The only node whose signature closes it cooperatively: so it cannot be offered to two.
    pub node: PublicKey,
    /// What vouchers are signed with.
    pub session: PublicKey,
    /// The payer's own count, so that two channels are never the same.
    pub nonce: u64,
    /// How long after the payer starts to close alone a later voucher may still be settled, in milliseconds.
    /// Zero: nothing is locked, and these are a credit account's terms; see [`crate::credit`].
    pub dispute_window_ms: u64,
}

impl ChannelTerms {
    /// A name that binds all of the terms, so that it is known before a chain has it.
    pub fn id(&self) -> ChannelId {
        ChannelId(blake2_256(&self.id_bytes()))
    }

    /// A channel that could be closed at once would be worth nothing to its payee: there is none without a window.
    pub const fn is_credit(&self) -> bool {
        self.dispute_window_ms == 0
    }

    /// Whether a channel is served while the last final block that is known is so old; `None` where none is. Its payer may
    /// be closing it unseen: half of the dispute window goes by at most before nothing more is sent, and the other half is
    /// left for getting there what was taken until then. Where nothing is locked nothing can be taken back.
    pub const fn is_served_at_age(&self, age_ms: Option<u64>) -> bool {
        match age_ms {
            _ if self.is_credit() => true,
            Some(age_ms) => age_ms <= self.dispute_window_ms / 2,
            None => false,
        }
    }

    /// What the name is the hash of: the terms under a domain, as if they were signed; a credit account's are.
    pub fn id_bytes(&self) -> Vec<u8> {
        if let Ok(credit) = CreditTerms::try_from(*self) {
            return credit.signing_bytes();
        }
        let mut bytes = domain("tickcast/channel").to_vec();
        self.write(&mut bytes);
        bytes
    }
}

impl Wire for ChannelTerms {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.genesis.write(out);
        self.asset.write(out);
        self.payer.write(out);
        self.payee.write(out);
        self.node.write(out);
        self.session.write(out);
        out.extend(self.nonce.to_le_bytes());
        out.extend(self.dispute_window_ms.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(Self {
            genesis: Genesis::read(reader)?,
            asset: AssetId::read(reader)?,
            payer: AccountId::read(reader)?,
            payee: AccountId::read(reader)?,
            node: PublicKey::read(reader)?,
            session: PublicKey::read(reader)?,
            nonce: reader.u64("nonce")?,
            dispute_window_ms: reader.u64("dispute window")?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelEvent {
    Opened {
        deposit: Amount,
        expires_at: UnixMillis,
    },
    /// `deposit` is the new total.
    ToppedUp {
        deposit: Amount,
    },
    /// `cumulative` is what the payee has got in all.
    Settled {
        cumulative: Amount,
    },
    ClosingStarted {
        closes_at: UnixMillis,
    },
    /// `paid` is what the payee has got in all; the rest went back.
    Closed {
        paid: Amount,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Funds {
    pub deposit: Amount,
    pub settled: Amount,
    pub expires_at: UnixMillis,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Absent,
    Open(Funds),
    Closing { funds: Funds, closes_at: UnixMillis },
    Closed { paid: Amount },
}

/// Why an event cannot follow: the chain, or whoever reads it, is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EventRefused {
    #[error("the channel was never opened")]
    NotOpen,
    #[error("the channel is open already")]
    AlreadyOpen,
    #[error("the channel is closing already")]
    AlreadyClosing,
    #[error("the channel is closed")]
    AlreadyClosed,
    #[error("the deposit does not rise")]
    DepositNotRisen,
    #[error("the settled total does not rise")]
    SettledNotRisen,
    #[error("more was paid than deposited")]
    OverDeposit,
    #[error("there are too many events in blocks that are not final")]
    TooManyEvents,
}

impl Phase {
    /// Every event in every phase: either the next phase or why not.
    pub fn after(self, event: ChannelEvent) -> Result<Self, EventRefused> {
        use ChannelEvent as Event;
        use EventRefused as No;
        let settled = |funds: Funds, cumulative: Amount| {
            if cumulative > funds.deposit {
                Err(No::OverDeposit)
            } else if cumulative <= funds.settled {
                Err(No::SettledNotRisen)
            } else {
                Ok(Funds { settled: cumulative, ..funds })
            }
        };
        let closed = |funds: Funds, paid: Amount| {
            if paid > funds.deposit {
                Err(No::OverDeposit)
            } else if paid < funds.settled {
                Err(No::SettledNotRisen)
            } else {
                Ok(Self::Closed { paid })
            }
        };
        match (self, event) {
            (Self::Absent, Event::Opened { deposit, expires_at }) => {
                Ok(Self::Open(Funds { deposit, settled: Amount::ZERO, expires_at }))
            }
            (Self::Absent, _) => Err(No::NotOpen),
            (Self::Closed { .. }, _) => Err(No::AlreadyClosed),
            (Self::Open(_) | Self::Closing { .. }, Event::Opened { .. }) => Err(No::AlreadyOpen),
            (Self::Open(funds), Event::ToppedUp { deposit }) => {
                if deposit > funds.deposit {
                    Ok(Self::Open(Funds { deposit, ..funds }))
                } else {
                    Err(No::DepositNotRisen)
                }
            }
            (Self::Open(funds), Event::Settled { cumulative }) => settled(funds, cumulative).map(Self::Open),
            (Self::Open(funds), Event::ClosingStarted { closes_at }) => {
                Ok(Self::Closing { funds, closes_at })
            }
            (Self::Closing { .. }, Event::ToppedUp { .. } | Event::ClosingStarted { .. }) => {
                Err(No::AlreadyClosing)
            }
            (Self::Closing { funds, closes_at }, Event::Settled { cumulative }) => {
                settled(funds, cumulative).map(|funds| Self::Closing { funds, closes_at })
            }
            (Self::Open(funds) | Self::Closing { funds, .. }, Event::Closed { paid }) => closed(funds, paid),
        }
    }

    /// What the payee has got so far.
    pub const fn settled(self) -> Amount {
        match self {
            Self::Absent => Amount::ZERO,
            Self::Open(funds) | Self::Closing { funds, .. } => funds.settled,
            Self::Closed { paid } => paid,
        }
    }
}

/// What a channel is good for at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Funding {
    /// Its opening may still be undone: it is served for so long as the node allows.
    Unconfirmed {
        deposit: Amount,
    },
    Confirmed {
        deposit: Amount,
    },
}

impl Funding {
    pub const fn deposit(self) -> Amount {
        match self {
            Self::Unconfirmed { deposit } | Self::Confirmed { deposit } => deposit,
        }
    }
}

/// A channel in the eyes of a node or a viewer. What counts in its favour is taken from final blocks, what counts
/// against it from the best one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Channel {
    terms: ChannelTerms,
    id: ChannelId,
    finalized: Phase,
    /// Events of blocks that are not final, in order.
    pending: Vec<ChannelEvent>,
    head: Phase,
}

impl Channel {
    pub const MAX_PENDING: usize = 64;

    pub fn new(terms: ChannelTerms) -> Self {
        let id = terms.id();
        Self { terms, id, finalized: Phase::Absent, pending: Vec::new(), head: Phase::Absent }
    }

    pub const fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    pub const fn id(&self) -> ChannelId {
        self.id
    }

    pub const fn finalized(&self) -> Phase {
        self.finalized
    }

    pub const fn head(&self) -> Phase {
        self.head
    }

    /// An event of a final block. Pending events stand as they were, save this one.
    pub fn apply_final(&mut self, event: ChannelEvent) -> Result<(), EventRefused> {
        self.finalized = self.finalized.after(event)?;
        if self.pending.first() == Some(&event) {
            self.pending.remove(0);
        }
        // What does not follow any more was in blocks that lost.
        if self.fold().is_err() {
            self.pending.clear();
            self.head = self.finalized;
        }
        Ok(())
    }

    /// All events of the best chain's blocks that are not final, anew: blocks that lost are forgotten with theirs.
    pub fn set_pending(&mut self, events: &[ChannelEvent]) -> Result<(), EventRefused> {
        if events.len() > Self::MAX_PENDING {
            return Err(EventRefused::TooManyEvents);
        }
        let before = std::mem::replace(&mut self.pending, events.to_vec());
        self.fold().inspect_err(|_| self.pending = before)
    }

    fn fold(&mut self) -> Result<(), EventRefused> {
        self.head = self.pending.iter().try_fold(self.finalized, |phase, event| phase.after(*event))?;
        Ok(())
    }

    /// Whether anything may be sent or taken for it now. `now` is the later of the clock and the newest block's time,
    /// so that a clock that was set back keeps no channel alive.
    pub fn funding(&self, now: UnixMillis) -> Result<Funding, Refusal> {
        let live = |phase| match phase {
            Phase::Absent => Ok(None),
            Phase::Open(funds) if self.is_at_end(&funds, now) => Err(Refusal::ChannelExpiring),
            Phase::Open(funds) => Ok(Some(funds)),
            Phase::Closing { .. } => Err(Refusal::ChannelClosing),
            Phase::Closed { .. } => Err(Refusal::ChannelClosed),
        };
        match (live(self.finalized)?, live(self.head)?) {
            (_, None) => Err(Refusal::ChannelUnknown),
            (None, Some(head)) => Ok(Funding::Unconfirmed { deposit: head.deposit }),
            (Some(finalized), Some(_)) => Ok(Funding::Confirmed { deposit: finalized.deposit }),
        }
    }

    /// What vouchers for seconds that were sent may sum up to while it closes: the chain still takes them. Half of the
    /// dispute window is left for getting them there.
    pub fn redeems_while_closing(&self, now: UnixMillis) -> Option<Amount> {
        let (Phase::Open(funds) | Phase::Closing { funds, .. }) = self.finalized else { return None };
        let Phase::Closing { closes_at, .. } = self.head else { return None };
        (now.plus(self.terms.dispute_window_ms / 2) < closes_at).then_some(funds.deposit)
    }

    /// Expired, or so near to it that the dispute window reaches past its end.
    fn is_at_end(&self, funds: &Funds, now: UnixMillis) -> bool {
        now.plus(self.terms.dispute_window_ms) >= funds.expires_at
    }

    /// How long it will still be served, in milliseconds; `None` where it is not open.
    pub fn serves_for_ms(&self, now: UnixMillis) -> Option<u64> {
        let Phase::Open(funds) = self.head else { return None };
        Some(funds.expires_at.millis_since(now.plus(self.terms.dispute_window_ms)))
    }
}

impl Wire for ChannelEvent {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Opened { deposit, expires_at } => {
                out.push(0);
                deposit.write(out);
                expires_at.write(out);
            }
            Self::ToppedUp { deposit } => {
                out.push(1);
                deposit.write(out);
            }
            Self::Settled { cumulative } => {
                out.push(2);
                cumulative.write(out);
            }
            Self::ClosingStarted { closes_at } => {
                out.push(3);
                closes_at.write(out);
            }
            Self::Closed { paid } => {
                out.push(4);
                paid.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Opened { deposit: Amount::read(reader)?, expires_at: UnixMillis::read(reader)? },
            1 => Self::ToppedUp { deposit: Amount::read(reader)? },
            2 => Self::Settled { cumulative: Amount::read(reader)? },
            3 => Self::ClosingStarted { closes_at: UnixMillis::read(reader)? },
            4 => Self::Closed { paid: Amount::read(reader)? },
            value => return Err(DecodeError::Variant { what: "channel event", value }),
        })
    }
}

impl Wire for Funds {
    fn write(&self, out: &mut Vec<u8>) {
        self.deposit.write(out);
        self.settled.write(out);
        self.expires_at.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            deposit: Amount::read(reader)?,
            settled: Amount::read(reader)?,
            expires_at: UnixMillis::read(reader)?,
        })
    }
}

impl Wire for Phase {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.push(0),
            Self::Open(funds) => {
                out.push(1);
                funds.write(out);
            }
            Self::Closing { funds, closes_at } => {
                out.push(2);
                funds.write(out);
                closes_at.write(out);
            }
            Self::Closed { paid } => {
                out.push(3);
                paid.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Absent,
            1 => Self::Open(Funds::read(reader)?),
            2 => Self::Closing { funds: Funds::read(reader)?, closes_at: UnixMillis::read(reader)? },
            3 => Self::Closed { paid: Amount::read(reader)? },
            value => return Err(DecodeError::Variant { what: "channel phase", value }),
        })
    }
}

impl Wire for Channel {
    fn write(&self, out: &mut Vec<u8>) {
        self.terms.write(out);
        self.finalized.write(out);
        write_list(out, &self.pending);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut channel = Self::new(ChannelTerms::read(reader)?);
        channel.finalized = Phase::read(reader)?;
        channel.pending = reader.list(Self::MAX_PENDING, "pending events")?;
        channel.fold().map_err(|_| DecodeError::OutOfRange("pending events"))?;
        Ok(channel)
    }
}
