//! The offers of a node that vouchers may name.

use std::collections::BTreeMap;

use crate::id::OfferHash;
use crate::offer::VerifiedOffer;
use crate::refusal::Refusal;
use crate::time::UnixMillis;

/// At most [`OfferBook::MAX_OFFERS`]; money is never dropped, so a full book refuses.
#[derive(Clone, Debug, Default)]
pub struct OfferBook {
    offers: BTreeMap<OfferHash, VerifiedOffer>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there are too many offers in force: withdraw one first")]
pub struct OfferBookFull;

impl OfferBook {
    pub const MAX_OFFERS: usize = 256;

    /// Where it is full, those that are over make room.
    pub fn publish(&mut self, offer: VerifiedOffer, now: UnixMillis) -> Result<(), OfferBookFull> {
        if self.offers.len() >= Self::MAX_OFFERS {
            self.offers.retain(|_, known| now < known.offer().until);
        }
        if self.offers.len() >= Self::MAX_OFFERS && !self.offers.contains_key(&offer.hash()) {
            return Err(OfferBookFull);
        }
        self.offers.insert(offer.hash(), offer);
        Ok(())
    }

    /// From now on nothing is sent by it; what was sent may still be paid.
    pub fn withdraw(&mut self, hash: &OfferHash, now: UnixMillis) {
        if let Some(offer) = self.offers.get_mut(hash) {
            *offer = offer.ending(now);
        }
    }

    /// An offer that media may be sent by, and that a voucher may consent to.
    pub fn in_force(&self, hash: &OfferHash, now: UnixMillis) -> Result<&VerifiedOffer, Refusal> {
        let offer = self.offers.get(hash).ok_or(Refusal::UnknownOffer)?;
        if now < offer.offer().until { Ok(offer) } else { Err(Refusal::OfferExpired) }
    }
}
