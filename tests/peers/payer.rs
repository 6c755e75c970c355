//! A viewer in this process that really plays and really pays: it joins, leaves, dies without a word, and comes back with
//! what it had stored.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::pay::CreditAccount;
use api::{Client, ClientError, JoinRequest, Joined, PayInfo};
use chain::{Call, Rail};
use pay::{
    Amount, ChannelId, ChannelTerms, CreditTerms, KeyScheme, Keypair, Signed, Signer, Tab, UnixMillis,
    VerifiedOffer, Wire,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use watch::{
    Admission, Admissions, Consent, HttpSignalling, Leaving, PayHandle, PaySession, PaySocket, PayStatus,
    Player, PlayerConfig, TabStore,
};

use crate::broadcasts::LIMIT;
use crate::lossy_line::{ByLine, Line};
use crate::market::{DAY_MS, DEPOSIT, Market, PRICE, Place, account, now};

/// Channels of these tests are good for so long, unless one is to end.
const LASTS_MS: u64 = 30 * DAY_MS;

/// Where a viewer's tab is kept; it outlives the viewer.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    record: Option<Vec<u8>>,
    /// That of the viewer who lives; the dead store nothing.
    owner: u64,
}

/// What was seen of one viewer over all of its lives.
#[derive(Default, Debug)]
pub struct Seen {
    pub sessions: u64,
    pub deaths: u64,
    /// Pictures that were decoded and shown.
    pub pictures: u64,
    /// Seconds that played in lives that ended before they were signed for.
    pub forgotten: u64,
    /// Why sessions ended, and how often.
    pub endings: BTreeMap<String, u64>,
    /// Those that an honest node gives an honest viewer no cause for.
    pub faults: Vec<Leaving>,
}

/// A person with an account, a channel, and what is stored of it.
pub struct Payer {
    account: Arc<Keypair>,
    session: Arc<Keypair>,
    pub terms: ChannelTerms,
    pub disk: Disk,
    /// Of the last session.
    pub status: Option<PayStatus>,
    pub seen: Seen,
    purse: Option<Purse>,
}

/// While it watches.
pub struct Watching {
    pub pay: PayHandle,
    pub line: Arc<Line>,
    pub player: Player,
    socket: PaySocket,
}

/// Pays what is signed by transfers, one after the other, however its viewer fares.
struct Purse {
    over: oneshot::Sender<()>,
    task: JoinHandle<u128>,
}

impl Purse {
    /// Less than `least` is transferred at the end alone.
    fn open(
        rail: Arc<dyn Rail>,
        account: Arc<Keypair>,
        terms: ChannelTerms,
        disk: Disk,
        least: u128,
    ) -> Self {
        let (over, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let (mut transferred, mut is_over) = (0, false);
            let mut turns = tokio::time::interval(Duration::from_millis(250));
            while !is_over {
                is_over = tokio::select! {
                    _ = &mut ended => true,
                    _ = turns.tick() => false,
                };
                let due = disk.signed() - transferred;
                if due >= least || (is_over && due > 0) {
                    let call = Call::Transfer { to: terms.payee, amount: Amount::new(due) };
                    rail.submit(call, Arc::clone(&account) as _).await.expect("the chain takes it");
                    transferred += due;
                }
            }
            transferred
        });
        Self { over, task }
    }

    /// Everything that was transferred.
    async fn close(self) -> u128 {
        // One that failed says why below.
        let _ = self.over.send(());
        self.task.await.expect("the purse")
    }
}

struct Store {
    disk: Disk,
    owner: u64,
}

impl TabStore for Store {
    fn save(&self, record: &[u8]) -> io::Result<()> {
        let mut stored = self.disk.lock();
        if stored.owner != self.owner {
            return Err(io::Error::other("its process is no more"));
        }
        stored.record = Some(record.to_vec());
        Ok(())
    }
}

impl Disk {
    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is another one's.
    fn take_over(&self) -> u64 {
        let mut stored = self.lock();
        stored.owner += 1;
        stored.owner
    }

    /// The tab; no voucher was sent that is not in it.
    pub fn tab(&self) -> Option<Tab> {
        let stored = self.lock();
        stored.record.as_ref().map(|record| Tab::from_bytes(record).expect("what was stored is a tab"))
    }

    /// What was signed for.
    pub fn signed(&self) -> u128 {
        self.tab().map_or(0, |tab| tab.spent().units())
    }

    /// Another machine: nothing is known of what was signed.
    pub fn lose_everything(&self) {
        self.lock().record = None;
    }

    fn played(&self) -> u64 {
        self.tab().map_or(0, |tab| tab.totals().played)
    }
}

impl Payer {
    /// The account of this number; its channel pays the creator at the node whose terms these are.
    fn new(market: &Market, info: &PayInfo, number: u8) -> Self {
        let account = Arc::new(account(number));
        let mut seed = [0xa5; 32];
        seed[0] = number;
        let session = Arc::new(Keypair::from_seed(KeyScheme::Sr25519, &seed.into()));
        let about = market.rail.info();
        let terms = ChannelTerms {
            genesis: about.genesis,
            asset: about.asset,
            payer: account.public().account(),
            payee: market.payee(),
            node: info.node_key,
            session: session.public(),
            nonce: 0,
            dispute_window_ms: if info.credit.is_some() { 0 } else { info.dispute_window_ms },
        };
        let (disk, seen) = (Disk::default(), Seen::default());
        Self { account, session, terms, disk, status: None, seen, purse: None }
    }

    /// Its channel is not open yet.
    pub async fn without_channel(market: &Market, number: u8) -> Self {
        Self::new(market, &market.client.pay_info().await.expect("the node's terms"), number)
    }

    /// Its channel is open, in a final block.
    pub async fn with_channel(market: &Market, number: u8) -> Self {
        let payer = Self::without_channel(market, number).await;
        market.submit(payer.open(now().plus(LASTS_MS)), &payer.account).await;
        payer
    }

    /// The first so many accounts, with their channels.
    pub async fn open_all(market: &Market, count: u8) -> Vec<Self> {
        let info = market.client.pay_info().await.expect("the node's terms");
        let mut payers: Vec<_> = (1..=count).map(|number| Self::new(market, &info, number)).collect();
        if let Some(least) = market.transfers_of() {
            for payer in &mut payers {
                payer.credit(&market.client).await;
                let (rail, account) = (Arc::clone(&market.rail), Arc::clone(&payer.account));
                payer.purse = Some(Purse::open(rail, account, payer.terms, payer.disk.clone(), least));
            }
            return payers;
        }
        let mut opening = JoinSet::new();
        for payer in &payers {
            let (rail, account) = (Arc::clone(&market.rail), Arc::clone(&payer.account));
            let open = payer.open(now().plus(LASTS_MS));
            opening.spawn(async move { rail.submit(open, account).await.map(drop) });
        }
        while let Some(opened) = opening.join_next().await {
            opened.expect("nothing panics").expect("the chain takes it");
        }
        payers
    }

    /// What opens its channel.
    pub fn open(&self, expires_at: UnixMillis) -> Call {
        Call::Open { terms: self.terms, deposit: Amount::new(DEPOSIT), expires_at }
    }

    /// How its credit account stands at the node, which opens it where it is not open.
    pub async fn credit(&self, client: &Client) -> CreditAccount {
        let login = client.login(self.account.as_ref()).await.expect("a login");
        let terms = CreditTerms::try_from(self.terms).expect("nothing is locked");
        let opening = Signed::sign(terms, self.account.as_ref()).expect("a key signs");
        client.open_credit(&login, &opening).await.expect("the node gives credit")
    }

    /// Transfers what it still owes, where it pays by transfers.
    pub async fn settle_up(&mut self) {
        if let Some(purse) = self.purse.take() {
            let transferred = purse.close().await;
            assert_eq!(transferred, self.disk.signed(), "what is signed is transferred: {:?}", self.seen);
        }
    }

    pub fn account(&self) -> &Arc<Keypair> {
        &self.account
    }

    pub fn channel(&self) -> ChannelId {
        self.terms.id()
    }

    /// Asks to watch, and is told what it costs.
    pub async fn ask(&self, place: &Place) -> Result<(Joined, VerifiedOffer), ClientError> {
        let login = place.client.login(self.account.as_ref()).await?;
        let viewer_id = self.terms.payer.to_string();
        let request = JoinRequest { viewer_id, channel: Some(self.channel()) };
        let joined = place.client.join(Some(&login), &place.playback_id, &request).await?;
        let published = joined.offers.first().ok_or_else(|| ClientError::BadAnswer("no offer".into()))?;
        let offer = published.published.0.verify(&place.genesis, now());
        let offer = offer.map_err(|err| ClientError::BadAnswer(err.to_string()))?;
        Ok((joined, offer))
    }

    /// The session that pays, from what is stored, over a socket of its own.
    fn pay(&mut self, joined: &Joined, offer: VerifiedOffer) -> PaySocket {
        let (owner, limit) = (self.disk.take_over(), Amount::new(DEPOSIT));
        let new = || Tab::new(self.terms, offer, limit).expect("the offer is the channel's");
        let tab = self.disk.tab().unwrap_or_else(new);
        let consent: Consent = Arc::new(|before, after| after.price <= before.price);
        let session = PaySession::new(tab, offer, Arc::clone(&self.session) as _, consent);
        let session = session.expect("the offer is the channel's");
        let admission = Admission::of(joined).expect("the stream is paid");
        let store = Arc::new(Store { disk: self.disk.clone(), owner });
        self.seen.sessions += 1;
        PaySocket::connect(Admissions::once(admission), session, store, &Handle::current())
    }

    /// Joins over that line, and plays and pays from then on.
    pub async fn watch(&mut self, place: &Place, line: Arc<Line>) -> Result<Watching, ClientError> {
        let (joined, offer) = self.ask(place).await?;
        let socket = self.pay(&joined, offer);
        let http = HttpSignalling::new(&joined.whep_url, joined.viewer_token.clone());
        let http = http.expect("the node gives an address");
        let signalling = Arc::new(ByLine { http, line: Arc::clone(&line) });
        let config = PlayerConfig { network: rtc::Network::Loopback, ..PlayerConfig::default() };
        let pay = socket.handle();
        let player = Player::start_paying(config, signalling, &Handle::current(), pay.clone());
        Ok(Watching { pay, line, player: player.expect("a player"), socket })
    }

    /// Pays only in advance: it takes what is sent and signs for none of it. The media are the caller's to fetch.
    pub async fn pay_nothing(&mut self, place: &Place) -> (Joined, PaySocket) {
        let (joined, offer) = self.ask(place).await.unwrap_or_else(|err| panic!("{err}"));
        let socket = self.pay(&joined, offer);
        (joined, socket)
    }

    /// The same over a line without faults, where nothing is to stand in the way.
    pub async fn watch_well(&mut self, place: &Place) -> Watching {
        let line = Line::new(place.media, 0, 0);
        self.watch(place, line).await.unwrap_or_else(|err| panic!("{err}"))
    }

    /// The same; `None` where the node does not let it in.
    pub async fn try_watch(&mut self, place: &Place) -> Option<Watching> {
        self.watch(place, Line::new(place.media, 0, 0)).await.ok()
    }

    /// Stops as a person does: what played is paid.
    pub async fn leave(&mut self, watching: Watching) {
        let Watching { pay, player, socket, .. } = watching;
        pay.stop();
        let status = socket.over().await;
        let shown = player.close().await;
        self.note(status, shown.report.frames_presented);
    }

    /// Is no more, as a process that is killed: nothing is said, nothing is stored.
    pub async fn die(&mut self, watching: Watching) {
        let Watching { pay, player, line, socket } = watching;
        self.disk.take_over();
        line.die();
        drop(socket);
        let status = pay.status();
        let pictures = player.snapshot().report.frames_presented;
        // Its thread is waited for.
        let gone = tokio::task::spawn_blocking(move || drop(player)).await;
        gone.expect("dropping a player does not fail");
        self.seen.forgotten += status.totals.played.saturating_sub(self.disk.played());
        self.seen.deaths += 1;
        self.note(status, pictures);
    }

    fn note(&mut self, status: PayStatus, pictures: u64) {
        let why = status.left_because.as_ref();
        *self.seen.endings.entry(why.map_or("it died".to_owned(), Leaving::to_string)).or_default() += 1;
        self.seen.faults.extend(why.filter(|why| !is_natural(why)).cloned());
        self.seen.pictures += pictures;
        self.status = Some(status);
    }

    /// Comes back until all that was signed is stored by the node, and another second was paid where one may be.
    pub async fn make_good(&mut self, place: &Place) {
        let (before, end) = (self.disk.played(), Instant::now() + LIMIT);
        loop {
            if let Some(watching) = self.try_watch(place).await {
                watching.until(LIMIT / 4, |status| status.totals.played > before).await;
                self.leave(watching).await;
            }
            if self.status.as_ref().is_some_and(|status| is_in_order(status, before)) {
                return;
            }
            assert!(Instant::now() < end, "the account is not in order: {:?}, {:?}", self.status, self.seen);
        }
    }

    /// The rule of the protocol: the first voucher is signed in advance and pays for the first second that plays, each
    /// further second that plays adds its price, and nothing else does, but for one more in advance by a viewer who was
    /// told that nothing more is forgiven. By what the chain has paid.
    pub async fn assert_paid_for_what_played(&self, market: &Market) {
        let status = self.status.as_ref().expect("it has watched");
        let totals = status.totals;
        let said = format!("{:?}, {totals:?}, {} spent", self.seen, status.spent);
        assert!(status.is_acknowledged, "all that was signed is stored: {said}");
        let told = Leaving::Ended(pay::message::Ending::TooManyUnplayed).to_string();
        let in_advance = u64::from(self.seen.endings.contains_key(&told));
        let most = totals.played.max(1).max(totals.played + in_advance);
        assert!(
            (totals.played.max(1)..=most).contains(&totals.signed),
            "billed seconds are those that played: {said}"
        );
        assert_eq!(status.spent.units(), u128::from(totals.signed) * PRICE, "{said}");
        let settled = market.paid_by(self).await;
        assert_eq!(settled, status.spent, "the creator got what was signed: {said}");
        assert!(settled.units() <= DEPOSIT, "{said}");
        // Counted by another part: nine tenths of thirty pictures, in each second that is paid but the one in advance.
        assert!((totals.signed - 1) * 27 <= self.seen.pictures, "nothing is paid that was not shown: {said}");
    }
}

/// Another second was paid than `before`, or none may be, and nothing is on its way.
fn is_in_order(status: &PayStatus, before: u64) -> bool {
    let is_barred = matches!(status.left_because, Some(Leaving::Ended(_)));
    status.is_acknowledged && (status.totals.played > before || is_barred)
}

/// What happens where networks are bad, and nodes and viewers die. Everything else is somebody's fault.
fn is_natural(why: &Leaving) -> bool {
    use pay::message::Ending;
    match why {
        Leaving::Stopped | Leaving::TurnedAway(_) | Leaving::NothingPlays => true,
        Leaving::Ended(ending) => {
            matches!(
                ending,
                Ending::GraceSpent | Ending::TooManyUnplayed | Ending::StreamOver | Ending::Superseded
            )
        }
        _ => false,
    }
}

impl Watching {
    /// Waits until the paying stands like that, or the viewer has left; at most so long. Whether it does.
    pub async fn until(&self, limit: Duration, is_so: impl Fn(&PayStatus) -> bool) -> bool {
        let waiting = async {
            let mut turns = tokio::time::interval(Duration::from_millis(50));
            loop {
                turns.tick().await;
                let status = self.pay.status();
                if is_so(&status) {
                    return true;
                }
                if status.left_because.is_some() {
                    return false;
                }
            }
        };
        tokio::time::timeout(limit, waiting).await.unwrap_or(false)
    }

    /// Until so many seconds have played, over all sessions of the channel.
    pub async fn until_played(&self, seconds: u64) {
        let played = self.until(LIMIT, |status| status.totals.played >= seconds).await;
        let (status, player) = (self.pay.status(), self.player.snapshot());
        assert!(played, "{seconds} s did not play: {status:?}\n{player:?}");
    }
}
