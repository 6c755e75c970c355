//! Which of a stream's offers is taken.

use std::cmp::Reverse;

use anyhow::{Context, bail};
use api::pay::{OfferInfo, WireHex};
use media::RenditionName;
use pay::id::blake2_256;
use pay::{AssetId, ContentId, Genesis, UnixMillis, VerifiedOffer};

/// What was asked for, and where.
pub(super) struct Wanted<'a> {
    pub playback_id: &'a str,
    pub genesis: Genesis,
    pub asset: AssetId,
    /// The highest there is, where none is named.
    pub tier: Option<u8>,
}

/// Of each tier the cheapest, the best tier first: an old and a new price may both be in force. Only what is signed counts;
/// the same in readable fields beside it is for people.
pub(super) fn takeable(
    offers: &[OfferInfo],
    wanted: &Wanted<'_>,
    now: UnixMillis,
) -> anyhow::Result<Vec<VerifiedOffer>> {
    let content = ContentId(blake2_256(wanted.playback_id.as_bytes()));
    let mut good = Vec::new();
    let mut refused = None;
    for OfferInfo { published: WireHex(published), .. } in offers {
        match published.verify(&wanted.genesis, now) {
            Ok(offer) => good.push(offer),
            Err(err) => refused = Some(err),
        }
    }
    good.retain(|offer| offer.offer().content == content && offer.offer().asset == wanted.asset);
    if good.is_empty() {
        if let Some(err) = refused {
            return Err(err).context("no offer for the stream is good");
        }
        bail!("no offer is for this stream");
    }
    good.sort_by_key(|offer| (Reverse(tier_of(offer)), offer.offer().price));
    good.dedup_by_key(|offer| tier_of(offer));
    Ok(good)
}

pub(super) fn choose(
    offers: &[OfferInfo],
    wanted: &Wanted<'_>,
    now: UnixMillis,
) -> anyhow::Result<VerifiedOffer> {
    let all = takeable(offers, wanted, now)?;
    let chosen = all.iter().find(|offer| wanted.tier.is_none_or(|wanted| tier_of(offer) == wanted));
    chosen.copied().with_context(|| {
        let tiers: Vec<_> = all.iter().map(|offer| named(tier_of(offer))).collect();
        format!("this quality is not offered; there are {}", tiers.join(", "))
    })
}

/// A tier as creators name it, or by its number.
pub(super) fn tier(text: &str) -> Result<u8, String> {
    let by_name = RenditionName::ALL.iter().position(|name| name.as_str() == text);
    let number = by_name.and_then(|at| u8::try_from(at).ok()).or_else(|| text.parse().ok());
    number.filter(|tier| usize::from(*tier) < RenditionName::ALL.len()).ok_or_else(|| {
        let names: Vec<_> = RenditionName::ALL.iter().map(|name| name.as_str()).collect();
        format!("it is none of {}", names.join(", "))
    })
}

fn named(tier: u8) -> String {
    RenditionName::ALL
        .get(usize::from(tier))
        .map_or_else(|| tier.to_string(), |name| name.as_str().to_owned())
}

pub(in crate::watch) fn tier_of(offer: &VerifiedOffer) -> u8 {
    offer.offer().quality.tier
}

#[cfg(test)]
mod tests {
    use pay::{
        Amount, Delegation, KeyScheme, Keypair, Offer, Price, PublishedOffer, Quality, Signed, Signer,
    };

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
    const GENESIS: Genesis = Genesis([1; 32]);

    fn key(number: u8) -> Keypair {
        Keypair::from_seed(KeyScheme::Sr25519, &[number; 32].into())
    }

    fn published(change: impl FnOnce(&mut Offer)) -> OfferInfo {
        let (creator, node) = (key(1), key(2));
        let delegation = Delegation {
            genesis: GENESIS,
            payee: creator.public(),
            node: node.public(),
            from: UnixMillis(0),
            until: NOW.plus(2_000),
        };
        let delegation = Signed::sign(delegation, &creator).unwrap();
        let mut offer = Offer {
            genesis: GENESIS,
            asset: AssetId::Native,
            content: ContentId(blake2_256(b"stream")),
            payee: creator.public(),
            delegation: delegation.body.hash(),
            price: Price::new(Amount::new(10)).unwrap(),
            grace_ticks: 3,
            quality: Quality { tier: 1, max_height: 720, max_bitrate_kbps: 2_500 },
            until: NOW.plus(1_000),
        };
        change(&mut offer);
        PublishedOffer { offer: Signed::sign(offer, &node).unwrap(), delegation }.into()
    }

    fn chosen(offers: &[OfferInfo], tier: Option<u8>) -> anyhow::Result<VerifiedOffer> {
        let wanted = Wanted { playback_id: "stream", genesis: GENESIS, asset: AssetId::Native, tier };
        choose(offers, &wanted, NOW)
    }

    #[test]
    fn the_best_tier_is_taken_or_the_one_that_was_named_and_of_two_prices_the_lower() {
        let price = |units| Price::new(Amount::new(units)).unwrap();
        let low = published(|offer| (offer.quality.tier, offer.price) = (0, price(1)));
        let dear = published(|offer| offer.price = price(12));
        let cheap = published(|offer| offer.price = price(11));
        let all = [dear, low, cheap];
        assert_eq!(chosen(&all, None).unwrap().offer().price, price(11));
        assert_eq!(chosen(&all, Some(0)).unwrap().offer().price, price(1));
        assert!(chosen(&all, Some(4)).unwrap_err().to_string().contains("there are low, very_low"));
    }

    #[test]
    fn a_tier_goes_by_the_name_that_creators_use_or_by_its_number() {
        assert_eq!([tier("very_low"), tier("high"), tier("0"), tier("4")], [Ok(0), Ok(3), Ok(0), Ok(4)]);
        assert!(tier("5").is_err() && tier("best").unwrap_err().contains("very_low, low"));
    }

    #[test]
    fn what_is_forged_over_or_for_something_else_is_not_taken() {
        let mut forged = published(|_| {});
        forged.published.0.offer.body.price = Price::new(Amount::new(1)).unwrap();
        let over = published(|offer| offer.until = NOW);
        let other = published(|offer| offer.content = ContentId([0; 32]));
        let asset = published(|offer| offer.asset = AssetId::Asset(1));
        let chain = published(|offer| offer.genesis = Genesis([2; 32]));
        for offer in [forged, over, other, asset, chain] {
            assert!(chosen(&[offer], None).is_err());
        }
    }
}
