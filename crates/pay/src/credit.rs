//! Credit accounts: what stands for a channel on a chain that locks nothing. Vouchers are statements there; what the
//! payer's transfers paid, and a bounded window of credit, stand for the deposit.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::channel::{Channel, ChannelEvent, ChannelTerms, EventRefused, Phase};
use crate::id::ChannelId;
use crate::key::{BadSignature, PublicKey};
use crate::signed::{Envelope, Signable, Signed, domain};
use crate::time::UnixMillis;
use crate::wire::{DecodeError, MAX_INTEGER, Reader, Wire};

/// Nothing is locked, so nothing expires: as late as there is a time.
const NEVER: UnixMillis = UnixMillis(MAX_INTEGER);

/// Signed by the payer's account, it lets the session key speak for it to that node: a chain without the escrow cannot
/// bind the one to the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "ChannelTerms", into = "ChannelTerms")]
pub struct CreditTerms(ChannelTerms);

/// A channel has a dispute window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("these are a channel's terms: a credit account has no dispute window")]
pub struct NotCredit;

impl CreditTerms {
    pub const fn terms(&self) -> &ChannelTerms {
        &self.0
    }

    /// The hash of what the payer signs.
    pub fn id(&self) -> ChannelId {
        ChannelId(self.digest())
    }

    /// With nothing paid on it, served up to `window`.
    ///
    /// # Errors
    /// Where the window is nothing: then nothing would be served.
    pub fn open(self, window: Amount) -> Result<Channel, EventRefused> {
        if window.is_zero() {
            return Err(EventRefused::DepositNotRisen);
        }
        let mut channel = Channel::new(self.0);
        channel.apply_final(ChannelEvent::Opened { deposit: window, expires_at: NEVER })?;
        Ok(channel)
    }
}

impl TryFrom<ChannelTerms> for CreditTerms {
    type Error = NotCredit;

    fn try_from(terms: ChannelTerms) -> Result<Self, NotCredit> {
        if terms.is_credit() { Ok(Self(terms)) } else { Err(NotCredit) }
    }
}

impl From<CreditTerms> for ChannelTerms {
    fn from(credit: CreditTerms) -> Self {
        credit.0
    }
}

impl Signable for CreditTerms {
    const DOMAIN: [u8; 16] = domain("tickcast/credit");
    const ENVELOPE: Envelope = Envelope::Wallet;
}

impl Wire for CreditTerms {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let terms = ChannelTerms::read(reader)?;
        Self::try_from(terms).map_err(|_| DecodeError::OutOfRange("dispute window"))
    }
}

impl Signed<CreditTerms> {
    /// Of accounts that are an sr25519 or Ed25519 key, which sign with that key.
    pub fn verify_payer(&self) -> Result<(), BadSignature> {
        let payer = PublicKey { scheme: self.signature.scheme, bytes: self.body.0.payer.0 };
        self.verify(&payer)
    }
}

/// What is paid on a credit account, and how much more may be owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The payer's transfers in final blocks.
    pub paid: Amount,
    pub window: Amount,
}

impl Channel {
    /// `None` of what is no credit account.
    pub fn credit(&self) -> Option<Standing> {
        let Phase::Open(funds) = self.finalized() else { return None };
        let window = funds.deposit.checked_sub(funds.settled)?;
        self.terms().is_credit().then_some(Standing { paid: funds.settled, window })
    }

    /// What one more transfer does to it: as much more may be signed for, and as much more is settled.
    pub(crate) fn after_transfer(&self, amount: Amount) -> Result<[ChannelEvent; 2], EventRefused> {
        let Standing { paid, window } = self.credit().ok_or(EventRefused::NotOpen)?;
        let cumulative = paid.checked_add(amount).ok_or(EventRefused::OverDeposit)?;
        let deposit = cumulative.checked_add(window).ok_or(EventRefused::OverDeposit)?;
        Ok([ChannelEvent::ToppedUp { deposit }, ChannelEvent::Settled { cumulative }])
    }

    /// The window is raised to `window`; one that is wider stays as it is, since it may be used already.
    pub fn widen_credit(&mut self, window: Amount) -> Result<(), EventRefused> {
        match self.credit() {
            Some(standing) if standing.window < window => {
                let deposit = standing.paid.checked_add(window).ok_or(EventRefused::OverDeposit)?;
                self.apply_final(ChannelEvent::ToppedUp { deposit })
            }
            _ => Ok(()),
        }
    }
}
