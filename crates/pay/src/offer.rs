//! What a node asks for a tick, of what quality, and until when. A new price or tier is a new offer.

use serde::{Deserialize, Serialize};

use crate::amount::Price;
use crate::delegation::Delegation;
use crate::id::{ContentId, DelegationHash, Genesis, OfferHash};
use crate::key::PublicKey;
use crate::signed::{Signable, Signed, domain};
use crate::time::UnixMillis;
use crate::wire::{DecodeError, Reader, VERSION, Wire};

/// Encoded as SCALE's `Option<u32>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetId {
    /// The chain's own.
    Native,
    /// Of the assets pallet.
    Asset(u32),
}

impl Wire for AssetId {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Native => out.push(0),
            Self::Asset(id) => {
                out.push(1);
                out.extend(id.to_le_bytes());
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Native),
            1 => reader.u32().map(Self::Asset),
            value => Err(DecodeError::Variant { what: "asset", value }),
        }
    }
}

/// The best that a viewer of this offer is sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Quality {
    /// 0 is the lowest; a higher tier is never sent for a lower one's price.
    pub tier: u8,
    /// Lines of the picture.
    pub max_height: u16,
    pub max_bitrate_kbps: u32,
}

impl Wire for Quality {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tier);
        out.extend(self.max_height.to_le_bytes());
        out.extend(self.max_bitrate_kbps.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { tier: reader.u8()?, max_height: reader.u16()?, max_bitrate_kbps: reader.u32()? })
    }
}

/// Signed by the node's hot key that the delegation names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    pub genesis: Genesis,
    pub asset: AssetId,
    pub content: ContentId,
    pub payee: PublicKey,
    pub delegation: DelegationHash,
    pub price: Price,
    /// How many seconds are sent beyond what is paid, 1 to [`Offer::MAX_GRACE_TICKS`].
    pub grace_ticks: u16,
    pub quality: Quality,
    pub until: UnixMillis,
}

/// A second that played while its offer was in force is paid at most this much later, in milliseconds.
pub const PAYABLE_AFTER_MS: u64 = 10_000;

impl Offer {
    pub const MAX_GRACE_TICKS: u16 = 60;

    pub fn hash(&self) -> OfferHash {
        OfferHash(self.digest())
    }
}

impl Signable for Offer {
    const DOMAIN: [u8; 16] = domain("tickcast/offer");
}

impl Wire for Offer {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.genesis.write(out);
        self.asset.write(out);
        self.content.write(out);
        self.payee.write(out);
        self.delegation.write(out);
        self.price.write(out);
        out.extend(self.grace_ticks.to_le_bytes());
        self.quality.write(out);
        self.until.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        let offer = Self {
            genesis: Genesis::read(reader)?,
            asset: AssetId::read(reader)?,
            content: ContentId::read(reader)?,
            payee: PublicKey::read(reader)?,
            delegation: DelegationHash::read(reader)?,
            price: Price::read(reader)?,
            grace_ticks: reader.u16()?,
            quality: Quality::read(reader)?,
            until: UnixMillis::read(reader)?,
        };
        let graceful = (1..=Self::MAX_GRACE_TICKS).contains(&offer.grace_ticks);
        if graceful { Ok(offer) } else { Err(DecodeError::OutOfRange("grace")) }
    }
}

/// An offer with all that is needed to believe it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PublishedOffer {
    pub offer: Signed<Offer>,
    pub delegation: Signed<Delegation>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OfferError {
    #[error("the offer is for another chain")]
    WrongGenesis,
    #[error("the offer's delegation is another one, or another payee's")]
    WrongDelegation,
    #[error("the payee did not sign the delegation")]
    DelegationForged,
    #[error("the delegation is not in force")]
    DelegationExpired,
    #[error("the node that the payee named did not sign the offer")]
    Forged,
    #[error("the offer is no longer in force")]
    Expired,
    #[error("the offer's grace is not between 1 and 60 ticks")]
    Grace,
}

impl PublishedOffer {
    /// Makes the offer one that a [`crate::Tab`] and a [`crate::OfferBook`] take.
    pub fn verify(&self, genesis: &Genesis, now: UnixMillis) -> Result<VerifiedOffer, OfferError> {
        let (offer, delegation) = (&self.offer.body, &self.delegation.body);
        if offer.genesis != *genesis || delegation.genesis != *genesis {
            return Err(OfferError::WrongGenesis);
        }
        if offer.delegation != delegation.hash() || offer.payee != delegation.payee {
            return Err(OfferError::WrongDelegation);
        }
        if !(1..=Offer::MAX_GRACE_TICKS).contains(&offer.grace_ticks) {
            return Err(OfferError::Grace);
        }
        if !delegation.is_in_force(now) {
            return Err(OfferError::DelegationExpired);
        }
        if now >= offer.until {
            return Err(OfferError::Expired);
        }
        self.delegation.verify(&delegation.payee).map_err(|_| OfferError::DelegationForged)?;
        self.offer.verify(&delegation.node).map_err(|_| OfferError::Forged)?;
        // An offer is no longer good than the right to make it.
        let until = offer.until.min(delegation.until);
        Ok(VerifiedOffer { hash: offer.hash(), node: delegation.node, offer: Offer { until, ..*offer } })
    }
}

impl Wire for PublishedOffer {
    fn write(&self, out: &mut Vec<u8>) {
        self.offer.write(out);
        self.delegation.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { offer: Signed::read(reader)?, delegation: Signed::read(reader)? })
    }
}

/// An offer whose signatures were checked; there is no other way to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VerifiedOffer {
    hash: OfferHash,
    node: PublicKey,
    offer: Offer,
}

impl VerifiedOffer {
    pub const fn hash(&self) -> OfferHash {
        self.hash
    }

    /// The hot key that signed it.
    pub const fn node(&self) -> PublicKey {
        self.node
    }

    /// Its `until` is the delegation's where that ends earlier.
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The same, in force no longer than `until`.
    #[must_use]
    pub(crate) fn ending(mut self, until: UnixMillis) -> Self {
        self.offer.until = self.offer.until.min(until);
        self
    }
}

/// An offer that was verified before it was stored.
pub(crate) struct Kept(pub VerifiedOffer);

impl Wire for Kept {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.hash().write(out);
        self.0.node().write(out);
        self.0.offer().write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (hash, node) = (OfferHash::read(reader)?, PublicKey::read(reader)?);
        Ok(Self(VerifiedOffer { hash, node, offer: Offer::read(reader)? }))
    }
}
