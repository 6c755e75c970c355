//! The one task that owns every ledger. It takes what came, has vouchers checked and stored many at once, and only then
//! answers.

mod payout;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use api::pay::SessionBegin;
use chain::{ChannelState, Update};
use pay::ledger::verify_all;
use pay::message::{ToNode, ToViewer};
use pay::{AccountId, ChannelId, CreditTerms, Price, PublicKey, Refusal, Signed};
use sfu::SfuHandle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::catalogue::Priced;
use super::chain_age::ChainAge;
use super::clock::PayClock;
use super::hls_viewers::HlsViewers;
use super::journal::Journal;
use super::meter_inbox::MeterInbox;
use super::tickets::Ticket;
use super::till::{ConnId, CreditStanding, Effect, MeteredPeer, PageChannel, Party, Till, Unable};

pub use payout::Payout;

/// What waits for the cashier. Full: pay sockets read no further, which holds back their viewers.
const INPUTS: usize = 1_024;
/// Taken at once, and stored in one transaction.
const BATCH: usize = 512;
/// Blocks that are read at once.
const UPDATES: usize = 64;
/// What waits for one pay socket. Full: its viewer does not read, and loses the connection.
pub const SAYINGS: usize = 64;
const TICK: Duration = Duration::from_secs(1);
/// Commits are so far apart at least: each waits for the disk, and what comes within this time shares one. A viewer has
/// more than a second in hand.
const GROUPING: Duration = Duration::from_millis(40);
/// A node that starts reads what the chain has done meanwhile, and whoever joins waits so long for it.
const FIRST_HEARD_WITHIN: Duration = Duration::from_secs(4);

pub enum Input {
    Opened {
        conn: ConnId,
        ticket: Arc<Ticket>,
        priced: Arc<Priced>,
        says: mpsc::Sender<Saying>,
    },
    Said {
        conn: ConnId,
        message: ToNode,
    },
    Gone {
        conn: ConnId,
    },
    /// A viewer was let in. Who tells it says that it is gone where it went before this.
    Peer {
        peer: MeteredPeer,
        ticket: Arc<Ticket>,
        priced: Arc<Priced>,
    },
    Offers(Arc<Priced>),
    Import(Box<ChannelState>),
    /// A creator has named this node's key.
    Payee(AccountId),
    Ask(Question),
    OpenCredit {
        opening: Box<Signed<CreditTerms>>,
        reply: oneshot::Sender<Result<CreditStanding, Unable>>,
    },
    /// The node ends: what was reserved and not sent is given back.
    End {
        done: oneshot::Sender<()>,
    },
}

/// Answered from what is stored: never from what a crash would take back.
pub enum Question {
    Able {
        party: Party,
        channel: ChannelId,
        least: Price,
        reply: oneshot::Sender<Result<(), Unable>>,
    },
    OfSession {
        session: PublicKey,
        reply: oneshot::Sender<Result<Vec<PageChannel>, Unable>>,
    },
    /// How a credit account stands.
    Credit {
        channel: ChannelId,
        reply: oneshot::Sender<Result<CreditStanding, Unable>>,
    },
}

/// For one pay socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Saying {
    Message(Box<ToViewer>),
    Begin(SessionBegin),
    /// The last one.
    Close(&'static str),
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct CashierHandle {
    inputs: mpsc::Sender<Input>,
    pub meters: Arc<MeterInbox>,
    pub hls: Arc<HlsViewers>,
    conns: Arc<AtomicU64>,
}

impl CashierHandle {
    /// Waits for room: money pushes back.
    pub async fn tell(&self, input: Input) {
        // A cashier that has ended takes no more money.
        let _ = self.inputs.send(input).await;
    }

    pub fn new_conn(&self) -> ConnId {
        ConnId(self.conns.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether a channel pays for a second at that price.
    pub async fn is_able(&self, party: Party, channel: ChannelId, least: Price) -> Result<(), Unable> {
        let asked = |reply| Input::Ask(Question::Able { party, channel, least, reply });
        self.ask(asked).await.unwrap_or(Err(Unable::Refused(Refusal::NodeFault)))
    }

    /// [`Unable::Unknown`] where there is no such account.
    pub async fn credit(&self, channel: ChannelId) -> Result<CreditStanding, Unable> {
        let asked = |reply| Input::Ask(Question::Credit { channel, reply });
        self.ask(asked).await.unwrap_or(Err(Unable::Refused(Refusal::NodeFault)))
    }

    pub async fn open_credit(&self, opening: Signed<CreditTerms>) -> Result<CreditStanding, Unable> {
        let asked = |reply| Input::OpenCredit { opening: Box::new(opening), reply };
        self.ask(asked).await.unwrap_or(Err(Unable::Refused(Refusal::NodeFault)))
    }

    /// The channels that a page's session key may pay from. Where there is none, nothing is said while one might be
    /// opened unheard.
    pub async fn of_session(&self, session: PublicKey) -> Result<Vec<PageChannel>, Unable> {
        // A cashier that has ended knows none.
        self.ask(|reply| Input::Ask(Question::OfSession { session, reply })).await.unwrap_or(Ok(Vec::new()))
    }

    /// `None` where the cashier has ended.
    async fn ask<T>(&self, asked: impl FnOnce(oneshot::Sender<T>) -> Input) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(asked(reply)).await;
        answer.await.ok()
    }

    pub async fn end(&self) {
        let (done, ended) = oneshot::channel();
        self.tell(Input::End { done }).await;
        // An error means that it has ended already.
        let _ = ended.await;
    }
}

pub struct Cashier {
    till: Till,
    journal: Journal,
    clock: PayClock,
    sfu: SfuHandle,
    hls: Arc<HlsViewers>,
    inputs: mpsc::Receiver<Input>,
    meters: Arc<MeterInbox>,
    /// Peers that are gone, while what was said before may still name them.
    gone: Vec<(MeteredPeer, bool)>,
    chain: Option<mpsc::Receiver<Update>>,
    /// The chain does not answer.
    is_cut_off: bool,
    age: ChainAge,
    /// Until then a node that starts does not say that it has not heard the chain: it is about to.
    patient_until: Instant,
    says: BTreeMap<ConnId, mpsc::Sender<Saying>>,
    /// What the media plane was too busy for, in order.
    orders: VecDeque<Effect>,
    /// What came with this turn, or since the node starts: at most two [`BATCH`]es.
    asked: Vec<Question>,
    /// Everything that was to be stored is.
    is_flushed: bool,
    payout: Payout,
}

impl Cashier {
    pub fn new(
        till: Till,
        (journal, clock): (Journal, PayClock),
        sfu: SfuHandle,
        chain: mpsc::Receiver<Update>,
        payout: Payout,
    ) -> (Self, CashierHandle) {
        let (sender, inputs) = mpsc::channel(INPUTS);
        let meters = Arc::new(MeterInbox::default());
        let hls = Arc::new(HlsViewers::new(Arc::clone(&meters)));
        let handle = CashierHandle {
            inputs: sender,
            meters: Arc::clone(&meters),
            hls: Arc::clone(&hls),
            conns: Arc::new(AtomicU64::new(1)),
        };
        let cashier = Self {
            till,
            journal,
            clock,
            sfu,
            hls,
            inputs,
            meters,
            gone: Vec::new(),
            chain: Some(chain),
            says: BTreeMap::new(),
            orders: VecDeque::new(),
            asked: Vec::new(),
            is_cut_off: false,
            age: ChainAge::default(),
            patient_until: Instant::now() + FIRST_HEARD_WITHIN,
            is_flushed: true,
            payout,
        };
        (cashier, handle)
    }

    /// Runs until it is told to end, or nobody is left who could tell it anything.
    pub async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut may_turn = Instant::now();
        loop {
            let (mut is_tick, mut first) = (false, None);
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => first = Some(input),
                    None => return,
                },
                () = self.meters.filled() => {}
                // While nothing can be stored the chain waits: what is read of it and not kept would only grow.
                update = next(&mut self.chain), if self.is_flushed => self.hear(update),
                result = self.payout.next() => self.payout.ended(&mut self.till, &self.journal, result, self.clock.now()).await,
                _ = ticks.tick() => is_tick = true,
            }
            // What fills a transaction by itself waits for nothing.
            if self.inputs.len() < BATCH {
                sleep_until(may_turn).await;
            }
            // After a pause the chain has much to tell.
            for _ in 0..UPDATES {
                let Some(update) =
                    self.chain.as_mut().filter(|_| self.is_flushed).and_then(|chain| chain.try_recv().ok())
                else {
                    break;
                };
                self.hear(Some(update));
            }
            self.tell_age();
            // What was sent comes before what is said of it.
            self.read_meters();
            for _ in 0..BATCH {
                match first.take().or_else(|| self.inputs.try_recv().ok()) {
                    Some(Input::End { done }) => return self.end(done).await,
                    Some(input) => self.take(input),
                    None => {
                        self.forget_gone();
                        break;
                    }
                }
            }
            if is_tick {
                self.hls.forget_idle(Instant::now().into_std());
                self.till.tick(self.clock.now());
            }
            self.turn().await;
            may_turn = Instant::now() + GROUPING;
            self.answer();
            if is_tick {
                self.payout.look(&mut self.till, &self.journal, self.clock.now()).await;
            }
        }
    }

    fn take(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Opened { conn, ticket, priced, says } => {
                self.says.insert(conn, says);
                self.till.opened(conn, &ticket, &priced, now);
            }
            Input::Said { conn, message } => self.till.said(conn, message, now),
            Input::Gone { conn } => {
                self.says.remove(&conn);
                self.till.gone(conn, now);
            }
            Input::Peer { peer, ticket, priced } => self.till.attach(peer, &ticket, &priced, now),
            Input::Offers(priced) => self.till.offers(&priced),
            Input::Import(state) => self.till.import(&state),
            Input::Payee(account) => self.till.payee(account),
            Input::Ask(question) => self.asked.push(question),
            Input::OpenCredit { opening, reply } => match self.till.open_credit(&opening) {
                Ok(channel) => self.asked.push(Question::Credit { channel, reply }),
                // Whoever asked may have gone.
                Err(why) => {
                    let _ = reply.send(Err(why));
                }
            },
            // Taken by whoever reads the queue.
            Input::End { .. } => {}
        }
    }

    fn tell_age(&mut self) {
        let age = self.age.by(Instant::now().into_std(), self.clock.now());
        self.till.chain_age(age);
    }

    /// After the turn, so that nothing is told that a crash would take back.
    fn answer(&mut self) {
        let now = self.clock.now();
        let is_heard = self.is_cut_off || self.age.by(Instant::now().into_std(), now).is_some();
        if !is_heard && self.asked.len() < BATCH && Instant::now() < self.patient_until {
            return;
        }
        for question in self.asked.drain(..) {
            // Whoever asked may have gone.
            match question {
                Question::Able { party, channel, least, reply } => {
                    let able = self.till.is_able(party, channel, least, now);
                    if able == Err(Unable::Unsettled) {
                        self.till.hurry(party, channel);
                    }
                    let _ = reply.send(able);
                }
                Question::OfSession { session, reply } => {
                    let known = self.till.of_session(&session, now);
                    let is_known = !known.is_empty() || self.till.hears_chain();
                    let _ = reply.send(if is_known { Ok(known) } else { Err(Unable::ChainAway) });
                }
                Question::Credit { reply, .. } if !self.is_flushed => {
                    let _ = reply.send(Err(Unable::Refused(Refusal::NodeFault)));
                }
                Question::Credit { channel, reply } => {
                    let _ = reply.send(self.till.credit(channel).ok_or(Unable::Unknown));
                }
            }
        }
    }

    fn read_meters(&mut self) {
        let (mail, now) = (self.meters.take(), self.clock.now());
        for (peer, session, news) in mail.news {
            self.till.metered(peer, session, news, now);
        }
        for (peer, is_over) in mail.gone {
            if !self.till.peer_gone(peer, is_over) {
                self.gone.push((peer, is_over));
            }
        }
    }

    /// Those that were not known yet when they were gone. Nothing that is still to come names them: see [`Input::Peer`].
    fn forget_gone(&mut self) {
        for (peer, is_over) in self.gone.drain(..) {
            self.till.peer_gone(peer, is_over);
        }
    }

    fn hear(&mut self, update: Option<Update>) {
        let is_heard = matches!(update, Some(Update::Head { .. } | Update::Final { .. }));
        if is_heard && std::mem::take(&mut self.is_cut_off) {
            self.till.chain_is_back();
            self.payout.chain_is_back();
        }
        match update {
            Some(Update::Head { time, pending, .. }) => {
                self.clock.block(time);
                self.age.head(time, Instant::now().into_std(), self.clock.now());
                self.till.head(&pending.channels, self.clock.now());
            }
            Some(Update::Final { block, time, news }) => {
                self.clock.block(time);
                self.age.finalized(time);
                self.till.transferred(block, &news.transfers, self.clock.now());
                self.till.finalized(block, &news.channels, self.clock.now());
                self.payout.block(block.number);
            }
            Some(Update::Disconnected { reason }) => {
                tracing::warn!("nothing is heard of the chain: {reason}");
                self.is_cut_off = true;
            }
            None => {
                tracing::error!("the chain is not followed any more");
                self.chain = None;
            }
        }
    }

    /// Until nothing is left to be checked or stored. What could not be stored is tried again with the next tick.
    async fn turn(&mut self) {
        loop {
            let (vetted, examined) = self.till.examined();
            let checks = examined.len();
            if checks > 0 {
                // A failure of the thread is nobody's forgery.
                let results = spawn_blocking(move || verify_all(examined)).await;
                let results =
                    results.unwrap_or_else(|_| (0..checks).map(|_| Err(Refusal::NodeFault)).collect());
                self.till.verified(vetted, results, self.clock.now());
            }
            let units = self.till.units();
            let is_idle = checks == 0 && units.is_empty();
            if !units.is_empty() {
                let now = self.clock.now();
                let stored = self.journal.commit(&units, now).await;
                self.is_flushed = self.till.stored(&stored, now);
            }
            self.perform();
            if is_idle || !self.is_flushed {
                return;
            }
        }
    }

    fn perform(&mut self) {
        for effect in self.till.effects() {
            match effect {
                Effect::Say { conn, what } => self.say(conn, Saying::Message(what)),
                Effect::Begin { conn, begin } => self.say(conn, Saying::Begin(begin)),
                Effect::Drop { conn, why } => {
                    self.say(conn, Saying::Close(why));
                    self.says.remove(&conn);
                }
                order => self.orders.push_back(order),
            }
        }
        while let Some(order) = self.orders.front() {
            match self.order(order) {
                Err(sfu::Refused::Busy) => return,
                // One that has ended needs no orders.
                Ok(()) | Err(_) => drop(self.orders.pop_front()),
            }
        }
    }

    fn order(&self, order: &Effect) -> Result<(), sfu::Refused> {
        use MeteredPeer::{Hls, WebRtc};
        match *order {
            Effect::Meter { peer: WebRtc(peer), session } => return self.sfu.meter(peer, session),
            Effect::Allow { peer: WebRtc(peer), session, until } => {
                return self.sfu.allow(peer, session, until);
            }
            Effect::Cap { peer: WebRtc(peer), cap } => return self.sfu.set_max_layer(peer, cap),
            Effect::Hang { peer: WebRtc(peer) } => return self.sfu.close(peer),
            Effect::Meter { peer: Hls(viewer), session } => self.hls.meter(viewer, session),
            Effect::Allow { peer: Hls(viewer), session, until } => self.hls.allow(viewer, session, until),
            Effect::Cap { peer: Hls(viewer), cap } => self.hls.cap(viewer, cap),
            Effect::Hang { peer: Hls(viewer) } => self.hls.close(viewer),
            Effect::Rest { viewer } => self.hls.rest(viewer),
            Effect::Say { .. } | Effect::Begin { .. } | Effect::Drop { .. } => {}
        }
        Ok(())
    }

    fn say(&mut self, conn: ConnId, saying: Saying) {
        let Some(says) = self.says.get(&conn) else { return };
        if says.try_send(saying).is_err() {
            // It does not read: its task ends with the sender, and says that it is gone.
            self.says.remove(&conn);
        }
    }

    async fn end(mut self, done: oneshot::Sender<()>) {
        self.turn().await;
        let units = self.till.last_units();
        if !units.is_empty() {
            self.journal.commit(&units, self.clock.now()).await;
        }
        self.journal.close().await;
        // Whoever asked may have gone.
        let _ = done.send(());
    }
}

/// Waits for ever where the chain is not followed.
async fn next(chain: &mut Option<mpsc::Receiver<Update>>) -> Option<Update> {
    match chain {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}
