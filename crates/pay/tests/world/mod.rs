//! A creator, its node, a viewer and the channel between them, as tests and the example want them.
#![allow(dead_code, reason = "each test uses some of it")]

use tickcast_pay::ledger::{Committed, Forward};
use tickcast_pay::message::{Pay, Started};
use tickcast_pay::*;

pub const DEPOSIT: u128 = 1_000_000;
pub const PRICE: u128 = 100;
pub const GRACE: u16 = 5;
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
pub const DAY_MS: u64 = 86_400_000;
pub const DISPUTE_MS: u64 = 3_600_000;
pub const GENESIS: Genesis = Genesis([0x11; 32]);

pub fn keypair(scheme: KeyScheme, number: u8) -> Keypair {
    Keypair::from_seed(scheme, &[number; 32].into())
}

pub struct World {
    pub creator: Keypair,
    pub node: Keypair,
    pub session: Keypair,
    pub terms: ChannelTerms,
    pub delegation: Signed<Delegation>,
    pub offer: VerifiedOffer,
    pub book: OfferBook,
}

impl Default for World {
    fn default() -> Self {
        Self::new(KeyScheme::Sr25519)
    }
}

impl World {
    pub fn new(scheme: KeyScheme) -> Self {
        let (creator, node) = (keypair(KeyScheme::Sr25519, 1), keypair(KeyScheme::Ed25519, 2));
        let session = keypair(scheme, 3);
        let delegation = Delegation {
            genesis: GENESIS,
            payee: creator.public(),
            node: node.public(),
            from: UnixMillis(NOW.0 - DAY_MS),
            until: NOW.plus(30 * DAY_MS),
        };
        let delegation = Signed::sign(delegation, &creator).unwrap();
        let terms = ChannelTerms {
            genesis: GENESIS,
            asset: AssetId::Native,
            payer: AccountId([4; 32]),
            payee: creator.public().account(),
            node: node.public(),
            session: session.public(),
            nonce: 0,
            dispute_window_ms: DISPUTE_MS,
        };
        let body = plain_offer(&delegation.body);
        let offer = publish(body, &node, delegation).verify(&GENESIS, NOW).unwrap();
        let mut book = OfferBook::default();
        book.publish(offer, NOW).unwrap();
        Self { creator, node, session, terms, delegation, offer, book }
    }

    /// Another offer of the same node, in its book.
    pub fn offer_with(&mut self, change: impl FnOnce(&mut Offer)) -> VerifiedOffer {
        let mut body = plain_offer(&self.delegation.body);
        change(&mut body);
        let offer = publish(body, &self.node, self.delegation).verify(&GENESIS, NOW).unwrap();
        self.book.publish(offer, NOW).unwrap();
        offer
    }

    pub fn channel(&self) -> Channel {
        let mut channel = Channel::new(self.terms);
        channel.apply_final(opened(DEPOSIT)).unwrap();
        channel
    }

    pub fn ledger(&self) -> Ledger {
        Ledger::new(config(), self.channel())
    }

    pub fn tab(&self) -> Tab {
        Tab::new(self.terms, self.offer, Amount::new(DEPOSIT)).unwrap()
    }

    /// A ledger with a session, and the first tick paid.
    pub fn watching(&self) -> Ledger {
        let mut ledger = self.ledger();
        self.start(&mut ledger);
        self.accept(&mut ledger, self.pay(0, PRICE)).unwrap();
        ledger
    }

    pub fn start(&self, ledger: &mut Ledger) -> Started {
        ledger.start(&self.offer.hash(), &self.book, NOW).unwrap()
    }

    pub fn voucher(&self, tick: u64, cumulative: u128) -> Voucher {
        Voucher {
            genesis: GENESIS,
            channel: self.terms.id(),
            offer: self.offer.hash(),
            tick: Tick(tick),
            cumulative: Amount::new(cumulative),
        }
    }

    pub fn pay(&self, tick: u64, cumulative: u128) -> Pay {
        self.signed(self.voucher(tick, cumulative))
    }

    /// In advance is the first.
    pub fn signed(&self, voucher: Voucher) -> Pay {
        let in_advance = voucher.tick.0 == 0;
        let voucher = Signed::sign(voucher, &self.session).unwrap();
        Pay { voucher, unplayed: Unplayed::default(), in_advance }
    }

    pub fn accept(&self, ledger: &mut Ledger, pay: Pay) -> Result<Committed, Refusal> {
        self.accept_at(ledger, pay, NOW)
    }

    pub fn accept_at(&self, ledger: &mut Ledger, pay: Pay, now: UnixMillis) -> Result<Committed, Refusal> {
        let verified = ledger.examine(pay, &self.book, now)?.verify()?;
        let staged = ledger.stage(verified, &self.book, &self.node, now)?;
        Ok(ledger.committed(staged).unwrap())
    }

    /// The next second is sent, whatever has to be stored for it.
    pub fn send(&self, ledger: &mut Ledger) -> Result<Tick, Hold> {
        self.send_at(ledger, NOW)
    }

    pub fn send_at(&self, ledger: &mut Ledger, now: UnixMillis) -> Result<Tick, Hold> {
        loop {
            match ledger.forward(&self.book, now)? {
                Forward::Send(tick) => return Ok(tick),
                Forward::Reserve(uncommitted) => {
                    ledger.committed(uncommitted).unwrap();
                }
            }
        }
    }

    pub fn send_all(&self, ledger: &mut Ledger) -> Hold {
        loop {
            if let Err(hold) = self.send(ledger) {
                return hold;
            }
        }
    }
}

pub fn plain_offer(delegation: &Delegation) -> Offer {
    Offer {
        genesis: GENESIS,
        asset: AssetId::Native,
        content: ContentId([7; 32]),
        payee: delegation.payee,
        delegation: delegation.hash(),
        price: Price::new(Amount::new(PRICE)).unwrap(),
        grace_ticks: GRACE,
        quality: Quality { tier: 1, max_height: 720, max_bitrate_kbps: 2_500 },
        until: NOW.plus(DAY_MS),
    }
}

pub fn publish(offer: Offer, node: &Keypair, delegation: Signed<Delegation>) -> PublishedOffer {
    PublishedOffer { offer: Signed::sign(offer, node).unwrap(), delegation }
}

pub fn opened(deposit: u128) -> ChannelEvent {
    ChannelEvent::Opened { deposit: Amount::new(deposit), expires_at: NOW.plus(30 * DAY_MS) }
}

pub fn config() -> LedgerConfig {
    LedgerConfig {
        forgive_ticks: 3,
        named_window_ms: 60_000,
        settle_from: Amount::new(2_000),
        ..LedgerConfig::default()
    }
}

pub fn unplayed(ranges: &[(u64, u32)]) -> Unplayed {
    let mut list = Unplayed::default();
    ranges.iter().for_each(|(first, count)| list.push(Tick(*first), *count).unwrap());
    list
}
