//! What viewer and node say to each other about paying, over whatever carries whole messages.

use crate::amount::Amount;
use crate::close::CloseTerms;
use crate::id::{ChannelId, OfferHash};
use crate::offer::PublishedOffer;
use crate::receipt::Receipt;
use crate::refusal::Refusal;
use crate::signed::Signed;
use crate::tick::{Tick, Unplayed};
use crate::voucher::Voucher;
use crate::wire::{DecodeError, Reader, VERSION, Wire};

/// No message is longer; a carrier may refuse what is.
pub const MAX_MESSAGE_BYTES: usize = 1_024;

/// Begins a session, or goes on with it over a new connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start {
    pub channel: ChannelId,
    pub offer: OfferHash,
}

/// Pays up to a second. `unplayed` are those before it that did not play, since the last voucher that the viewer
/// knows to be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pay {
    pub voucher: Signed<Voucher>,
    pub unplayed: Unplayed,
    /// The voucher's own second did not play yet, and may still be named unplayed. Only the viewer knows: whether the
    /// second was sent before the voucher came depends on the way.
    pub in_advance: bool,
}

/// Names seconds that did not play while there is none to pay: so that a gate does not close for them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub channel: ChannelId,
    pub unplayed: Unplayed,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToNode {
    Start(Start),
    Pay(Pay),
    Report(Report),
    /// Nothing more is watched.
    Stop(ChannelId),
    /// The viewer's half of a cooperative close.
    Close(Signed<CloseTerms>),
}

/// The node's answer to [`Start`]: where the last session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    pub channel: ChannelId,
    /// The viewer's own last signed voucher that is stored.
    pub last: Option<Signed<Voucher>>,
    pub receipt: Option<Signed<Receipt>>,
    /// The number of the next second that is sent.
    pub next: Tick,
}

/// That a voucher is stored. A node gets one only from [`crate::Ledger::committed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acknowledged {
    pub(crate) channel: ChannelId,
    pub(crate) tick: Tick,
    pub(crate) cumulative: Amount,
}

impl Acknowledged {
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }

    pub const fn tick(&self) -> Tick {
        self.tick
    }

    pub const fn cumulative(&self) -> Amount {
        self.cumulative
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused {
    pub channel: ChannelId,
    /// Of the voucher that was refused; `None` where something else was.
    pub tick: Option<Tick>,
    pub reason: Refusal,
    /// The viewer's own last signed voucher that is stored.
    pub last: Option<Signed<Voucher>>,
}

/// Why a node sends nothing more until something changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Ending {
    #[error("the grace is spent: nothing was paid for it")]
    GraceSpent = 0,
    #[error("too many seconds were named unplayed")]
    TooManyUnplayed = 1,
    #[error("the deposit is spent: top the channel up")]
    DepositSpent = 2,
    #[error("the offer is no longer in force")]
    OfferExpired = 3,
    #[error("the channel is at its end")]
    ChannelEnded = 4,
    #[error("the stream is over")]
    StreamOver = 5,
    #[error("the channel is watched elsewhere")]
    Superseded = 6,
}

impl Ending {
    const ALL: [Self; 7] = [
        Self::GraceSpent,
        Self::TooManyUnplayed,
        Self::DepositSpent,
        Self::OfferExpired,
        Self::ChannelEnded,
        Self::StreamOver,
        Self::Superseded,
    ];
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToViewer {
    Started(Box<Started>),
    Acknowledged(Acknowledged),
    Refused(Box<Refused>),
    Receipt(Signed<Receipt>),
    /// A new offer; it counts once the viewer's next voucher names it.
    Offer(Box<PublishedOffer>),
    Ended(ChannelId, Ending),
    /// The node's half of a cooperative close.
    Closed(Signed<CloseTerms>),
}

impl Wire for ToNode {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Self::Start(start) => {
                out.push(0);
                start.channel.write(out);
                start.offer.write(out);
            }
            Self::Pay(pay) => {
                out.push(1);
                pay.voucher.write(out);
                pay.unplayed.write(out);
                out.push(pay.in_advance.into());
            }
            Self::Report(report) => {
                out.push(2);
                report.channel.write(out);
                report.unplayed.write(out);
            }
            Self::Stop(channel) => {
                out.push(3);
                channel.write(out);
            }
            Self::Close(terms) => {
                out.push(4);
                terms.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(match reader.u8()? {
            0 => Self::Start(Start { channel: ChannelId::read(reader)?, offer: OfferHash::read(reader)? }),
            1 => Self::Pay(Pay {
                voucher: Signed::read(reader)?,
                unplayed: Unplayed::read(reader)?,
                in_advance: reader.flag()?,
            }),
            2 => {
                Self::Report(Report { channel: ChannelId::read(reader)?, unplayed: Unplayed::read(reader)? })
            }
            3 => Self::Stop(ChannelId::read(reader)?),
            4 => Self::Close(Signed::read(reader)?),
            value => return Err(DecodeError::Variant { what: "message to a node", value }),
        })
    }
}

impl Wire for ToViewer {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Self::Started(started) => {
                out.push(0);
                started.channel.write(out);
                started.last.write(out);
                started.receipt.write(out);
                started.next.write(out);
            }
            Self::Acknowledged(stored) => {
                out.push(1);
                stored.channel.write(out);
                stored.tick.write(out);
                stored.cumulative.write(out);
            }
            Self::Refused(refused) => {
                out.push(2);
                refused.channel.write(out);
                refused.tick.write(out);
                refused.reason.write(out);
                refused.last.write(out);
            }
            Self::Receipt(receipt) => {
                out.push(3);
                receipt.write(out);
            }
            Self::Offer(offer) => {
                out.push(4);
                offer.write(out);
            }
            Self::Ended(channel, ending) => {
                out.push(5);
                channel.write(out);
                out.push(*ending as u8);
            }
            Self::Closed(terms) => {
                out.push(6);
                terms.write(out);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(match reader.u8()? {
            0 => Self::Started(Box::new(Started {
                channel: ChannelId::read(reader)?,
                last: Option::read(reader)?,
                receipt: Option::read(reader)?,
                next: Tick::read(reader)?,
            })),
            1 => Self::Acknowledged(Acknowledged {
                channel: ChannelId::read(reader)?,
                tick: Tick::read(reader)?,
                cumulative: Amount::read(reader)?,
            }),
            2 => Self::Refused(Box::new(Refused {
                channel: ChannelId::read(reader)?,
                tick: Option::read(reader)?,
                reason: Refusal::read(reader)?,
                last: Option::read(reader)?,
            })),
            3 => Self::Receipt(Signed::read(reader)?),
            4 => Self::Offer(Box::new(PublishedOffer::read(reader)?)),
            5 => {
                let channel = ChannelId::read(reader)?;
                let value = reader.u8()?;
                let ending = Ending::ALL.into_iter().find(|ending| *ending as u8 == value);
                Self::Ended(channel, ending.ok_or(DecodeError::Variant { what: "ending", value })?)
            }
            6 => Self::Closed(Signed::read(reader)?),
            value => return Err(DecodeError::Variant { what: "message to a viewer", value }),
        })
    }
}
