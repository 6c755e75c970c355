//! Which of a stream's offers is taken.

use anyhow::{Context, bail};
use api::pay::{OfferInfo, WireHex};
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

/// Only what is signed counts: the same in readable fields beside it is for people.
pub(super) fn choose(
    offers: &[OfferInfo],
    wanted: &Wanted<'_>,
    now: UnixMillis,
) -> anyhow::Result<VerifiedOffer> {
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
    let tier = |offer: &VerifiedOffer| offer.offer().quality.tier;
    let of_tier = good.iter().filter(|offer| wanted.tier.is_none_or(|wanted| tier(offer) == wanted));
    // Of equal ones the cheapest: an old and a new price may both be in force.
    let best = of_tier.max_by_key(|offer| (tier(offer), std::cmp::Reverse(offer.offer().price)));
    best.copied().with_context(|| {
        let tiers: Vec<_> = good.iter().map(|offer| tier(offer).to_string()).collect();
        format!("there is no such tier; offered are {}", tiers.join(", "))
    })
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
        assert!(chosen(&all, Some(4)).unwrap_err().to_string().contains("offered are 1, 0, 1"));
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
