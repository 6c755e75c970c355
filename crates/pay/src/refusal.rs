//! Why a node refuses: each reason has a number on the wire, and says what to do.

use crate::wire::{DecodeError, Reader, Wire};

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
        pub enum Refusal {
            $($(#[$doc])* #[error($text)] $name = $code,)*
        }

        impl Refusal {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

refusals! {
    WrongGenesis = 1, "the voucher is for another chain";
    WrongChannel = 2, "this is another channel's";
    UnknownOffer = 3, "no such offer was made here";
    OfferExpired = 4, "the offer is no longer in force: take the present one";
    /// Of another payee, node, asset or content than the channel or the session is for.
    ForeignOffer = 5, "the offer is for something else";
    /// The same voucher again; the node shows the last one that it stored.
    Replayed = 6, "this voucher is the last one accepted";
    /// Lower than what was accepted.
    RolledBack = 7, "a later voucher was accepted";
    /// The same tick with another total.
    Conflicting = 8, "another total was accepted for this tick";
    NotServed = 9, "this second was not sent";
    UnplayedOutOfRange = 10, "seconds that were not sent, or the paid one, are named unplayed";
    /// Not the last total plus the price of each second that played.
    WrongStep = 11, "the total does not rise by the price of the seconds that played";
    OverDeposit = 12, "the total is more than the deposit: top the channel up";
    BadSignature = 13, "the signature is not the channel's session key's";
    ChannelUnknown = 14, "the chain knows no such channel yet";
    ChannelClosing = 15, "the channel is closing";
    ChannelClosed = 16, "the channel is closed";
    /// Or so near to its end that a dispute could not be settled any more.
    ChannelExpiring = 17, "the channel is at its end: open another one";
    NoSession = 18, "start a session first";
    /// The last one is being stored; send it again.
    Committing = 19, "the last voucher is being stored";
    CloseAgreed = 20, "both sides agreed to close the channel";
    /// The node could not sign or store; nothing was taken.
    NodeFault = 21, "the node could not take it: send it again";
    /// The total that the close names is not the last one accepted.
    CloseMismatch = 22, "the close names another total than the last voucher";
    /// An earlier channel of the same payer has a voucher that is not settled yet.
    Unsettled = 23, "the earlier channel is not settled yet";
}

impl Refusal {
    /// As the wire has it; stable.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether the same message may be taken later.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Committing | Self::NodeFault | Self::ChannelUnknown | Self::NoSession)
    }
}

impl Wire for Refusal {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.code());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = reader.u8()?;
        let known = Self::ALL.iter().find(|refusal| refusal.code() == value);
        known.copied().ok_or(DecodeError::Variant { what: "refusal", value })
    }
}
