//! Somebody who takes what is sent, claims whatever helps, and comes back in every way there is. What it gets beyond
//! what it paid is counted by what the media plane sends.

use std::collections::BTreeMap;

use super::*;

/// Of a rule under which the bound is reached soon.
const FORGIVE_TICKS: u16 = 4;
const GAMES: u64 = 24;
const STEPS: usize = 400;

fn strict() -> Rules {
    let ledger = LedgerConfig { forgive_ticks: FORGIVE_TICKS, ..LedgerConfig::default() };
    Rules { ledger, ..rules() }
}

/// The same numbers each time (SplitMix64, as of Steele, Lea and Flood).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: u64) -> u64 {
        self.roll() % count
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// One peer's media, as the media plane counts and gates it.
struct Media {
    peer: MeteredPeer,
    session: u32,
    /// Seconds below this may pass.
    until: u64,
    /// The second that begins next.
    next: u64,
    /// Of which the end was not said: session, second, packets sent and withheld.
    open: Vec<(u32, u64, u32, u32)>,
}

struct Liar {
    bench: Bench,
    dice: Dice,
    /// Its channels, each with another session key.
    channels: Vec<Viewer>,
    /// The newest socket.
    conn: Option<(ConnId, Arc<Ticket>)>,
    /// Those before it that were not closed.
    left: Vec<ConnId>,
    media: Vec<Media>,
    block: u32,
    /// Seconds of which anything was sent.
    sent: u64,
}

impl Liar {
    fn new(seed: u64) -> Self {
        let mut bench = Bench::new();
        bench.till = till(strict());
        let mut liar = Self {
            bench,
            dice: Dice(seed),
            channels: Vec::new(),
            conn: None,
            left: Vec::new(),
            media: Vec::new(),
            block: 0,
            sent: 0,
        };
        liar.open_channel();
        liar
    }

    fn final_block(&mut self, news: ChannelNews) {
        self.block += 1;
        let block = BlockRef { number: self.block, hash: [1; 32] };
        self.bench.till.finalized(block, &[news], self.bench.now);
        self.bench.settle();
    }

    fn open_channel(&mut self) {
        let nonce = self.channels.len() as u64;
        let mut viewer = Viewer::new(7, nonce, &self.bench.priced);
        viewer.session = keys(KeyScheme::Sr25519, 100 + nonce as u8);
        viewer.terms.session = viewer.session.public();
        let opened = viewer.opened(100_000_000);
        self.channels.push(viewer);
        self.final_block(opened);
    }

    fn ledger(&self) -> &Ledger {
        &self.bench.account(&self.channels[0]).ledger
    }

    /// The channel that the books are of.
    fn channel(&self) -> &Viewer {
        let id = self.ledger().channel().id();
        self.channels.iter().find(|viewer| viewer.terms.id() == id).unwrap()
    }

    /// What the media plane is told, until nothing follows from it any more.
    fn obey(&mut self) {
        while !self.bench.said.is_empty() {
            for effect in std::mem::take(&mut self.bench.said) {
                match effect {
                    Effect::Meter { peer, session } => self.begin(peer, session),
                    Effect::Allow { peer, session, until } => {
                        let media = self.media.iter_mut().find(|media| media.peer == peer);
                        if let Some(media) = media.filter(|media| media.session == session) {
                            media.until = media.until.max(until);
                        }
                    }
                    Effect::Hang { peer } => self.hang_up(peer),
                    Effect::Drop { conn, .. } => self.bench.till.gone(conn, self.bench.now),
                    Effect::Say { .. } | Effect::Begin { .. } | Effect::Cap { .. } | Effect::Rest { .. } => {}
                }
            }
            self.bench.settle();
        }
    }

    fn begin(&mut self, peer: MeteredPeer, session: u32) {
        self.close_seconds(peer, 0);
        if let Some(media) = self.media.iter_mut().find(|media| media.peer == peer) {
            (media.session, media.until, media.next) = (session, 0, 0);
        }
    }

    /// Says what became of the oldest seconds, until so many are open. Of what arrived it says what it likes.
    fn close_seconds(&mut self, peer: MeteredPeer, left: usize) {
        let says_all = self.dice.happens(50);
        while let Some(media) = self.media.iter_mut().find(|media| media.peer == peer)
            && media.open.len() > left
        {
            let (session, second, sent, withheld) = media.open.remove(0);
            let acknowledged = if says_all { sent } else { 0 };
            let over = MeterNews::Over { second, sent, withheld, acknowledged };
            self.bench.till.metered(peer, session, over, self.bench.now);
            self.bench.settle();
        }
    }

    fn hang_up(&mut self, peer: MeteredPeer) {
        self.close_seconds(peer, 0);
        self.media.retain(|media| media.peer != peer);
        let is_over = self.dice.happens(10);
        self.bench.till.peer_gone(peer, is_over);
        self.bench.settle();
    }

    /// A second goes by for each peer.
    fn pass(&mut self) {
        self.bench.now = self.bench.now.plus(1_000);
        for peer in self.media.iter().map(|media| media.peer).collect::<Vec<_>>() {
            self.second(peer);
            let left = self.dice.below(4) as usize;
            self.close_seconds(peer, left);
            self.obey();
        }
        self.bench.till.tick(self.bench.now);
        self.bench.settle();
        self.obey();
    }

    fn second(&mut self, peer: MeteredPeer) {
        let Some(media) = self.media.iter_mut().find(|media| media.peer == peer) else { return };
        if media.session == 0 || (media.next == 0 && media.until == 0) {
            return;
        }
        let (session, second, until) = (media.session, media.next, media.until);
        media.next += 1;
        let is_allowed = second < until;
        self.bench.reach(peer, session, second, until);
        self.obey();
        let Some(media) = self.media.iter_mut().find(|media| media.peer == peer) else { return };
        // Where it is allowed while it passes, the rest of it is sent.
        let is_late = !is_allowed && media.session == session && second < media.until;
        self.sent += u64::from(is_allowed || is_late);
        let packets = if is_allowed {
            (30, 0)
        } else if is_late {
            (15, 15)
        } else {
            (0, 30)
        };
        if media.session == session {
            media.open.push((session, second, packets.0, packets.1));
        }
    }

    fn say(&mut self, message: ToNode) {
        if let Some((conn, _)) = &self.conn {
            let conn = *conn;
            self.bench.say(conn, message);
            self.obey();
        }
    }

    fn connect(&mut self) {
        let old = self.conn.take();
        let ticket = match &old {
            Some((_, ticket)) if self.dice.happens(50) => Arc::clone(ticket),
            _ => self.new_ticket(old.map(|(conn, _)| conn)),
        };
        let conn = self.bench.connect(&ticket);
        self.conn = Some((conn, ticket));
        self.obey();
    }

    /// The old socket is left open for a while. How many tickets one may have at once is another rule.
    fn new_ticket(&mut self, old: Option<ConnId>) -> Arc<Ticket> {
        self.bench.now = self.bench.now.plus(15_000);
        self.left.extend(old);
        if self.left.len() > 3 {
            let oldest = self.left.remove(0);
            self.bench.till.gone(oldest, self.bench.now);
        }
        if self.media.len() > 3 {
            self.hang_up(self.media[0].peer);
        }
        self.bench.settle();
        self.obey();
        self.bench.ticket(&self.channels[0])
    }

    fn attach(&mut self) {
        let Some((_, ticket)) = self.conn.clone() else { return };
        let peer = self.bench.unattached();
        self.media.push(Media { peer, session: 0, until: 0, next: 0, open: Vec::new() });
        self.bench.till.attach(peer, &ticket, &self.bench.priced, self.bench.now);
        self.bench.settle();
        self.obey();
    }

    fn start(&mut self) {
        let offer = self.bench.priced.current[0].offer.body.hash();
        let newest = self.channels.last().unwrap().terms.id();
        let channel = if self.dice.happens(80) { self.ledger().channel().id() } else { newest };
        self.say(ToNode::Start(Start { channel, offer }));
        if self.ledger().last_voucher().is_none() && self.dice.happens(90) {
            self.pay(0);
        }
    }

    /// Signs for one second, and names all the others that it may, some, or none.
    fn pay(&mut self, ahead: u64) {
        let ledger = self.ledger();
        let (next, accepted) = match ledger.last_voucher() {
            Some(last) => (last.body.tick.0 + 1, ledger.accepted().units()),
            None => (0, 0),
        };
        let tick = if next == 0 { 0 } else { next + ahead };
        let mut named = Unplayed::default();
        let from = next.saturating_sub(u64::from(self.dice.happens(20)));
        let to = if self.dice.happens(70) { tick } else { from + self.dice.below(tick + 1 - from) };
        if to > from {
            named.push(Tick(from), (to - from) as u32).unwrap();
        }
        let terms = self.channel().terms;
        for pays in 1..=(tick + 1 - next) {
            let voucher = Voucher {
                genesis: GENESIS,
                channel: terms.id(),
                offer: self.bench.priced.current[0].offer.body.hash(),
                tick: Tick(tick),
                cumulative: Amount::new(accepted + u128::from(pays) * PRICE),
            };
            let voucher = Signed::sign(voucher, &self.channel().session).unwrap();
            let in_advance = self.dice.happens(50);
            self.say(ToNode::Pay(Pay { voucher, unplayed: named.clone(), in_advance }));
        }
    }

    /// Says of all that it got that it did not play.
    fn deny(&mut self) {
        let channel = self.ledger().channel().id();
        let next = self.ledger().last_voucher().map_or(0, |last| last.body.tick.0);
        for count in (1..=12).rev() {
            let mut unplayed = Unplayed::default();
            unplayed.push(Tick(next), count).unwrap();
            self.say(ToNode::Report(Report { channel, unplayed }));
        }
    }

    /// What was accepted is settled, and the next channel is another one, with another key.
    fn change_channel(&mut self) {
        if self.channels.len() >= 12 {
            return;
        }
        let cumulative = self.ledger().accepted();
        let channel = self.ledger().channel().id();
        if !cumulative.is_zero() {
            let event = ChannelEvent::Settled { cumulative };
            self.final_block(ChannelNews { channel, event, terms: None });
        }
        self.open_channel();
        let (channel, offer) =
            (self.channels.last().unwrap().terms.id(), self.bench.priced.current[0].offer.body.hash());
        self.say(ToNode::Start(Start { channel, offer }));
    }

    /// The node ends, in order or not, and starts again with what it had stored.
    fn restart_node(&mut self, in_order: bool) {
        if in_order {
            for peer in self.media.iter().map(|media| media.peer).collect::<Vec<_>>() {
                self.hang_up(peer);
            }
            let till = std::mem::replace(&mut self.bench.till, Till::new(strict(), Arc::new(node())));
            self.bench.stored.extend(till.last_units());
        }
        let mut channels = BTreeMap::new();
        let mut ledger = None;
        for unit in &self.bench.stored {
            channels.extend(unit.channels.iter().map(|row| (row.channel.id(), row.clone())));
            ledger = unit.ledger.clone().or(ledger);
        }
        let channels = channels.into_values().collect();
        let loaded = Loaded { channels, ledgers: ledger.into_iter().collect(), ..Loaded::default() };
        self.bench.till = till(strict());
        self.bench.till.load(loaded).unwrap();
        self.bench.said.clear();
        self.media.clear();
        self.left.clear();
        self.conn = None;
    }

    /// Once more from the beginning.
    fn come(&mut self) {
        self.connect();
        if self.dice.happens(90) {
            self.attach();
        }
        self.start();
    }

    fn stay(&mut self, seconds: u64) {
        (0..seconds).for_each(|_| self.pass());
    }

    /// Takes what there is to take.
    fn drain(&mut self) {
        self.connect();
        self.attach();
        let channel = self.ledger().channel().id();
        let offer = self.bench.priced.current[0].offer.body.hash();
        self.say(ToNode::Start(Start { channel, offer }));
        self.stay(8);
        self.deny();
        self.stay(8);
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..48 => self.pass(),
            48..55 => {
                self.come();
                let seconds = self.dice.below(8);
                self.stay(seconds);
            }
            55..62 => {
                self.start();
                let seconds = self.dice.below(8);
                self.stay(seconds);
            }
            62..66 => self.drain(),
            66..69 => self.attach(),
            69..80 => {
                let ahead = self.dice.below(5);
                self.pay(ahead);
            }
            80..88 => self.deny(),
            88..89 => {
                let channel = self.ledger().channel().id();
                self.say(ToNode::Stop(channel));
            }
            89..92 => {
                if let Some((conn, _)) = self.conn.take() {
                    self.bench.till.gone(conn, self.bench.now);
                    self.bench.settle();
                    self.obey();
                }
            }
            92..95 if !self.media.is_empty() => {
                // Often it says goodbye first, and takes what is in hand.
                if self.dice.happens(50) {
                    let channel = self.ledger().channel().id();
                    self.say(ToNode::Stop(channel));
                    self.stay(1);
                }
                let count = self.media.len() as u64;
                let at = self.dice.below(count) as usize;
                self.hang_up(self.media[at].peer);
                self.obey();
            }
            95..96 => self.change_channel(),
            96..98 => {
                let in_order = self.dice.happens(50);
                self.restart_node(in_order);
            }
            _ => self.bench.now = self.bench.now.plus(self.dice.below(150_000)),
        }
    }

    /// What was sent and not paid, and how much that may be.
    fn taken(&self) -> (u64, u64) {
        let paid = self.ledger().standing().paid;
        (self.sent.saturating_sub(paid), u64::from(GRACE) + strict().ledger.forgivable(paid))
    }
}

#[test]
fn whatever_somebody_claims_and_however_often_it_comes_back_it_takes_the_grace_and_what_its_payments_forgive()
{
    let (mut sent, mut paid, mut reached) = (0, 0, 0);
    for seed in 0..GAMES {
        let mut liar = Liar::new(seed);
        let mut is_at_bound = false;
        for step in 0..STEPS {
            liar.step();
            let (taken, most) = liar.taken();
            assert!(taken <= most, "game {seed}, step {step}: {taken} of {most} s");
            is_at_bound |= taken == most && taken >= u64::from(GRACE + FORGIVE_TICKS);
        }
        liar.ledger().audit().unwrap();
        sent += liar.sent;
        paid += liar.ledger().standing().paid;
        reached += u64::from(is_at_bound);
    }
    println!("{GAMES} games: {sent} s sent, {paid} s paid, the bound was reached in {reached}");
    // Otherwise nothing was tried.
    assert!(sent > 10 * GAMES && reached > GAMES / 8, "{sent} s sent, {reached} games at the bound");
}
