//! What paid streams cost at present: prices become offers that the node signs, renews before they end, and keeps in the
//! book of their stream. A changed price is a new offer; the old one stands until its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::PriceTier;
use media::RenditionName;
use pay::id::blake2_256;
use pay::{
    AccountId, AssetId, ContentId, Delegation, Genesis, Keypair, Offer, OfferBook, PublishedOffer, Quality,
    Signed, Signer, UnixMillis, VerifiedOffer,
};
use thiserror::Error;
use uuid::Uuid;

use super::clock::PayClock;
use crate::id::PlaybackId;
use crate::store::{Store, StoreError, StreamRow};

/// Streams whose offers are held ready. Where there are more, those go that nobody watches; they are made again from
/// the database.
const STREAMS_MAX: usize = 1_024;

#[derive(Debug, Error)]
pub enum NoOffers {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the creator's delegation of this node is missing or over")]
    NotDelegated,
    #[error("the node could not make the offer: {0}")]
    NotMade(String),
}

/// A paid stream's offers, as they are now.
#[derive(Debug)]
pub struct Priced {
    pub stream: Uuid,
    pub playback_id: PlaybackId,
    /// Whom its vouchers pay.
    pub payee: AccountId,
    /// All that a voucher may name.
    pub book: OfferBook,
    /// One for each tier, the lowest first.
    pub current: Vec<PublishedOffer>,
}

impl Priced {
    /// The cheapest second.
    pub fn least(&self) -> Option<pay::Price> {
        self.current.iter().map(|published| published.offer.body.price).min()
    }

    fn is_fresh(&self, now: UnixMillis, half_life_ms: u64) -> bool {
        self.current.iter().all(|published| now.plus(half_life_ms) < published.offer.body.until)
    }
}

/// The best rendition that a tier is sent.
pub fn cap_of(tier: u8) -> RenditionName {
    let best = RenditionName::ALL.len() - 1;
    RenditionName::ALL[usize::from(tier).min(best)]
}

pub struct Catalogue {
    store: Store,
    key: Arc<Keypair>,
    clock: PayClock,
    genesis: Genesis,
    asset: AssetId,
    offer_ms: u64,
    streams: Mutex<BTreeMap<Uuid, Arc<Priced>>>,
    /// Offers are made by one request at a time, so that no two are made of one price.
    making: tokio::sync::Mutex<()>,
}

impl Catalogue {
    pub fn new(
        store: Store,
        key: Arc<Keypair>,
        clock: PayClock,
        (genesis, asset): (Genesis, AssetId),
        offer_ms: u64,
    ) -> Self {
        let (streams, making) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { store, key, clock, genesis, asset, offer_ms, streams, making }
    }

    /// The offers of a paid stream, made or renewed where that is due.
    pub async fn offers(&self, row: &StreamRow) -> Result<Arc<Priced>, NoOffers> {
        if let Some(known) = self.fresh(row.id) {
            return Ok(known);
        }
        let _making = self.making.lock().await;
        match self.fresh(row.id) {
            Some(known) => Ok(known),
            None => self.make(row.id, &row.playback_id, &row.creator).await,
        }
    }

    /// After prices or a delegation changed: new offers, whatever time the old ones have left.
    pub async fn remake(&self, row: &StreamRow) -> Result<Arc<Priced>, NoOffers> {
        let _making = self.making.lock().await;
        self.make(row.id, &row.playback_id, &row.creator).await
    }

    /// Renews what is watched and will soon be over; what became of it is returned.
    pub async fn renew(&self) -> Vec<Arc<Priced>> {
        let now = self.clock.now();
        let due =
            |priced: &&Arc<Priced>| Arc::strong_count(priced) > 1 && !priced.is_fresh(now, self.offer_ms / 2);
        let due: Vec<_> = self.streams().values().filter(due).cloned().collect();
        let mut renewed = Vec::new();
        for old in due {
            let _making = self.making.lock().await;
            match self.make(old.stream, &old.playback_id, &old.payee.to_string()).await {
                Ok(priced) => renewed.push(priced),
                Err(err) => tracing::warn!(stream = %old.playback_id, "its offers are not renewed: {err}"),
            }
        }
        renewed
    }

    fn fresh(&self, stream: Uuid) -> Option<Arc<Priced>> {
        let now = self.clock.now();
        self.streams().get(&stream).filter(|priced| priced.is_fresh(now, self.offer_ms / 2)).cloned()
    }

    async fn make(
        &self,
        stream: Uuid,
        playback_id: &PlaybackId,
        creator: &str,
    ) -> Result<Arc<Priced>, NoOffers> {
        let now = self.clock.now();
        let payee: AccountId = creator.parse().map_err(|_| NoOffers::NotDelegated)?;
        let delegation = self.store.delegation(payee).await?.filter(|known| self.is_ours(&known.body, now));
        let delegation = delegation.ok_or(NoOffers::NotDelegated)?;
        let tiers = self.store.prices(stream).await?;
        let old = self.streams().get(&stream).cloned();
        let mut book = match &old {
            Some(old) => old.book.clone(),
            None => self.book_of(stream, now).await?,
        };
        let made: Vec<_> = tiers
            .iter()
            .map(|tier| self.sign(tier, playback_id, &delegation, now))
            .collect::<Result<_, _>>()?;
        let current: Vec<PublishedOffer> = made.iter().map(|(published, _)| *published).collect();
        self.store.keep_offers(stream, &current).await?;
        for (_, verified) in made {
            book.publish(verified, now).map_err(|full| NoOffers::NotMade(full.to_string()))?;
        }
        let playback_id = playback_id.clone();
        let priced = Arc::new(Priced { stream, playback_id, payee, book, current });
        let mut streams = self.streams();
        if streams.len() >= STREAMS_MAX {
            streams.retain(|_, priced| Arc::strong_count(priced) > 1);
        }
        streams.insert(stream, Arc::clone(&priced));
        Ok(priced)
    }

    fn is_ours(&self, delegation: &Delegation, now: UnixMillis) -> bool {
        delegation.genesis == self.genesis
            && delegation.node == self.key.public()
            && delegation.is_in_force(now)
    }

    /// After a restart: offers are promises, and stand until their end.
    async fn book_of(&self, stream: Uuid, now: UnixMillis) -> Result<OfferBook, NoOffers> {
        let mut book = OfferBook::default();
        for published in self.store.offers_in_force(stream, now).await? {
            // One of a key or a delegation that is no more is nobody's promise.
            if let Ok(verified) = published.verify(&self.genesis, now)
                && verified.node() == self.key.public()
            {
                book.publish(verified, now).map_err(|full| NoOffers::NotMade(full.to_string()))?;
            }
        }
        Ok(book)
    }

    fn sign(
        &self,
        tier: &PriceTier,
        playback_id: &PlaybackId,
        delegation: &Signed<Delegation>,
        now: UnixMillis,
    ) -> Result<(PublishedOffer, VerifiedOffer), NoOffers> {
        let offer = Offer {
            genesis: self.genesis,
            asset: self.asset,
            content: content_of(playback_id),
            payee: delegation.body.payee,
            delegation: delegation.body.hash(),
            price: tier.price,
            grace_ticks: tier.grace_ticks,
            quality: Quality { tier: tier.tier, max_height: tier.max_lines, max_bitrate_kbps: tier.max_kbps },
            until: now.plus(self.offer_ms),
        };
        let offer =
            Signed::sign(offer, self.key.as_ref()).map_err(|err| NoOffers::NotMade(err.to_string()))?;
        let published = PublishedOffer { offer, delegation: *delegation };
        let verified =
            published.verify(&self.genesis, now).map_err(|err| NoOffers::NotMade(err.to_string()))?;
        Ok((published, verified))
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<Uuid, Arc<Priced>>> {
        // Whole between any two operations, also when a holder panicked.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is watched, as offers name it.
pub fn content_of(playback_id: &PlaybackId) -> ContentId {
    ContentId(blake2_256(playback_id.as_str().as_bytes()))
}
