//! A creator, its node's ledger, and what a viewer of it needs: as tests of paying want them.
#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use pay::ledger::{Committed, Forward, LedgerConfig};
use pay::message::Start;
use pay::*;
use tickcast_watch::{Consent, Now, PaySession};

pub const PRICE: u128 = 100;
pub const DEPOSIT: u128 = 1_000_000;
pub const GRACE: u16 = 5;
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub const DAY_MS: u64 = 86_400_000;
pub const GENESIS: Genesis = Genesis([0x11; 32]);

pub fn keypair(number: u8) -> Keypair {
    Keypair::from_seed(KeyScheme::Sr25519, &[number; 32].into())
}

/// A node as the protocol has it, without a network.
pub struct Node {
    pub key: Keypair,
    pub delegation: Signed<Delegation>,
    pub terms: ChannelTerms,
    pub book: OfferBook,
    pub ledger: Ledger,
    pub offer: PublishedOffer,
    pub now: UnixMillis,
}

impl Node {
    /// All offers and the channel are good at `now`.
    pub fn at(now: UnixMillis) -> Self {
        let (creator, key) = (keypair(1), keypair(2));
        let delegation = Delegation {
            genesis: GENESIS,
            payee: creator.public(),
            node: key.public(),
            from: UnixMillis(now.0 - DAY_MS),
            until: now.plus(30 * DAY_MS),
        };
        let delegation = Signed::sign(delegation, &creator).expect("a key signs");
        let terms = ChannelTerms {
            genesis: GENESIS,
            asset: AssetId::Native,
            payer: AccountId([4; 32]),
            payee: creator.public().account(),
            node: key.public(),
            session: keypair(3).public(),
            nonce: 0,
            dispute_window_ms: 3_600_000,
        };
        let mut channel = Channel::new(terms);
        let opened =
            ChannelEvent::Opened { deposit: Amount::new(DEPOSIT), expires_at: now.plus(30 * DAY_MS) };
        channel.apply_final(opened).expect("a channel is opened once");
        let config = LedgerConfig { forgive_ticks: 256, ..LedgerConfig::default() };
        let offer = Self::offer(&key, delegation, now, |_| {});
        let mut node = Self {
            delegation,
            terms,
            book: OfferBook::default(),
            ledger: Ledger::new(config, channel),
            offer,
            key,
            now,
        };
        node.publish(offer);
        node
    }

    fn offer(
        key: &Keypair,
        delegation: Signed<Delegation>,
        now: UnixMillis,
        change: impl FnOnce(&mut Offer),
    ) -> PublishedOffer {
        let mut offer = Offer {
            genesis: GENESIS,
            asset: AssetId::Native,
            content: ContentId([7; 32]),
            payee: delegation.body.payee,
            delegation: delegation.body.hash(),
            price: price(PRICE),
            grace_ticks: GRACE,
            quality: Quality { tier: 1, max_height: 720, max_bitrate_kbps: 2_500 },
            until: now.plus(DAY_MS),
        };
        change(&mut offer);
        PublishedOffer { offer: Signed::sign(offer, key).expect("a key signs"), delegation }
    }

    /// Another offer, which is in force from now on.
    pub fn offers(&mut self, change: impl FnOnce(&mut Offer)) -> PublishedOffer {
        let offer = Self::offer(&self.key, self.delegation, self.now, change);
        self.publish(offer);
        offer
    }

    fn publish(&mut self, offer: PublishedOffer) {
        let verified = offer.verify(&GENESIS, self.now).expect("the offer is good");
        self.book.publish(verified, self.now).expect("the book has room");
    }

    pub fn verified(&self) -> VerifiedOffer {
        self.offer.verify(&GENESIS, self.now).expect("the offer is good")
    }

    /// What is allowed is `limit`, on the running total.
    pub fn session(&self, limit: u128, consent: bool) -> PaySession {
        let tab = Tab::new(self.terms, self.verified(), Amount::new(limit)).expect("the offer fits");
        let consent: Consent = Arc::new(move |_, _| consent);
        PaySession::new(tab, self.verified(), Arc::new(keypair(3)), consent).expect("the offer fits")
    }

    /// The answers to one message.
    pub fn hears(&mut self, message: ToNode) -> Vec<ToViewer> {
        match message {
            ToNode::Start(Start { offer, .. }) => match self.ledger.start(&offer, &self.book, self.now) {
                Ok(started) => vec![ToViewer::Started(Box::new(started))],
                Err(reason) => vec![self.refuses(None, reason)],
            },
            ToNode::Pay(pay) => {
                let tick = Some(pay.voucher.body.tick);
                let taken = self.ledger.examine(pay, &self.book, self.now);
                let taken = taken
                    .and_then(|examined| examined.verify())
                    .and_then(|verified| self.ledger.stage(verified, &self.book, &self.key, self.now));
                match taken {
                    Ok(staged) => said(self.ledger.committed(staged).expect("it was staged")),
                    Err(reason) => vec![self.refuses(tick, reason)],
                }
            }
            ToNode::Report(report) => match self.ledger.report(&report, self.now) {
                Ok(()) => Vec::new(),
                Err(reason) => vec![self.refuses(None, reason)],
            },
            ToNode::Stop(_) => {
                self.ledger.stop();
                Vec::new()
            }
            ToNode::Close(close) => match self.ledger.agree_to_close(&close, &self.key) {
                Ok(staged) => said(self.ledger.committed(staged).expect("it was staged")),
                Err(reason) => vec![self.refuses(None, reason)],
            },
        }
    }

    pub fn refuses(&self, tick: Option<Tick>, reason: Refusal) -> ToViewer {
        ToViewer::Refused(Box::new(self.ledger.refused(tick, reason)))
    }

    /// The next second is sent, if the gate is open.
    pub fn sends(&mut self) -> Option<Tick> {
        loop {
            match self.ledger.forward(&self.book, self.now).ok()? {
                Forward::Send(tick) => return Some(tick),
                Forward::Reserve(staged) => drop(self.ledger.committed(staged).expect("it was staged")),
            }
        }
    }
}

fn said(committed: Committed) -> Vec<ToViewer> {
    let acknowledged = committed.acknowledged.map(ToViewer::Acknowledged);
    let receipt = committed.receipt.map(ToViewer::Receipt);
    acknowledged.into_iter().chain(receipt).chain(committed.closed.map(ToViewer::Closed)).collect()
}

pub fn price(units: u128) -> Price {
    Price::new(Amount::new(units)).expect("a price")
}

/// Both clocks, so long after the beginning.
pub fn after(start: Instant, passed: Duration) -> Now {
    Now { instant: start + passed, wall: NOW.plus(passed.as_millis() as u64) }
}
