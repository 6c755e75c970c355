//! Sessions with a real tab: what is stored, what the caps leave, and where a later session goes on.

use pay::message::Started;
use pay::tab::TabError;
use pay::{
    Amount, AssetId, ContentId, Delegation, Genesis, KeyScheme, Keypair, Offer, Price, PublishedOffer,
    Quality, Receipt, Signed, Signer, Tab, Tick, UnixMillis, VerifiedOffer, Voucher,
};
use tickcast_wallet::{Caps, ChannelStatus, NewChannel, Session, SessionError, Wallet};

const GENESIS: Genesis = Genesis([1; 32]);
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY_MS: u64 = 86_400_000;
const PRICE: u128 = 100;

/// A creator with its node, and a person with a wallet.
struct World {
    data: tempfile::TempDir,
    creator: Keypair,
    node: Keypair,
}

impl World {
    fn new() -> Self {
        let pair = |byte: u8| Keypair::from_seed(KeyScheme::Ed25519, &[byte; 32].into());
        Self { data: tempfile::tempdir().expect("a folder"), creator: pair(1), node: pair(2) }
    }

    fn wallet(&self) -> Wallet {
        Wallet::open(self.data.path().to_owned()).expect("the wallet opens")
    }

    fn open(&self, deposit: u128) -> pay::ChannelId {
        let new = NewChannel {
            genesis: GENESIS,
            asset: AssetId::Native,
            payer: pay::AccountId([9; 32]),
            payee: self.creator.public().account(),
            node: self.node.public(),
            dispute_window_ms: 60_000,
            node_url: String::new(),
        };
        let id = self.wallet().prepare_channel(&new, NOW).expect("a channel").terms.id();
        let opened = self.wallet().update_channel(id, |channel| {
            (channel.status, channel.deposit) = (ChannelStatus::Open, Amount::new(deposit));
        });
        opened.expect("the channel is known");
        id
    }

    fn offer(&self) -> VerifiedOffer {
        let delegation = Delegation {
            genesis: GENESIS,
            payee: self.creator.public(),
            node: self.node.public(),
            from: NOW,
            until: NOW.plus(30 * DAY_MS),
        };
        let offer = Offer {
            genesis: GENESIS,
            asset: AssetId::Native,
            content: ContentId([3; 32]),
            payee: self.creator.public(),
            delegation: delegation.hash(),
            price: Price::new(Amount::new(PRICE)).expect("a price"),
            grace_ticks: 5,
            quality: Quality { tier: 0, max_height: 720, max_bitrate_kbps: 2_500 },
            until: NOW.plus(20 * DAY_MS),
        };
        let published = PublishedOffer {
            offer: Signed::sign(offer, &self.node).expect("a signature"),
            delegation: Signed::sign(delegation, &self.creator).expect("a signature"),
        };
        published.verify(&GENESIS, NOW).expect("an offer")
    }

    fn caps(&self, caps: Caps) {
        self.wallet().set_caps(GENESIS, AssetId::Native, caps).expect("caps are set");
    }

    /// A session whose tab has started at this tick; the node shows what it has stored.
    fn watch(&self, id: pay::ChannelId, next: u64, wanted: Option<u128>, now: UnixMillis) -> (Session, Tab) {
        let mut session = self.wallet().begin_session(id).expect("a session");
        let limit = session.grant(wanted.map(Amount::new), now).expect("a grant");
        let mut tab = match session.tab() {
            Some(tab) => tab.clone(),
            None => Tab::new(session.record().terms, self.offer(), limit).expect("the offer fits"),
        };
        tab.set_limit(limit);
        tab.start().expect("it is open");
        let last = tab.last_voucher().copied();
        let started = Started { channel: id, last, receipt: None::<Signed<Receipt>>, next: Tick(next) };
        tab.started(&started, &*session.signer(), now).expect("it starts");
        session.save(&tab, now).expect("it is stored");
        (session, tab)
    }
}

/// Plays seconds, storing what is signed, until one is refused.
fn play(
    session: &mut Session,
    tab: &mut Tab,
    ticks: std::ops::Range<u64>,
    now: UnixMillis,
) -> Result<(), TabError> {
    for tick in ticks {
        let played = tab.played(Tick(tick), &*session.signer(), now);
        session.save(tab, now).expect("it is stored");
        played?;
    }
    Ok(())
}

fn cap(units: u128) -> Option<Amount> {
    Some(Amount::new(units))
}

#[test]
fn a_session_goes_on_where_the_last_one_was_stored() {
    let world = World::new();
    let id = world.open(1_000);
    let (mut session, mut tab) = world.watch(id, 0, None, NOW);
    play(&mut session, &mut tab, 0..3, NOW).expect("the deposit pays for three");
    assert_eq!(tab.spent(), Amount::new(3 * PRICE));
    // The program is gone.
    drop((session, tab));
    let (mut session, mut tab) = world.watch(id, 3, None, NOW);
    play(&mut session, &mut tab, 3..5, NOW).expect("the deposit pays for five");
    assert_eq!(tab.spent(), Amount::new(5 * PRICE));
    assert_eq!(world.wallet().spent(id).expect("it is stored"), Amount::new(5 * PRICE));
}

#[test]
fn the_key_keeps_to_the_cap_whatever_the_tab_was_told() {
    let world = World::new();
    let id = world.open(1_000);
    let (mut session, mut tab) = world.watch(id, 0, Some(250), NOW);
    tab.set_limit(Amount::MAX);
    assert_eq!(play(&mut session, &mut tab, 0..9, NOW), Err(TabError::SignRefused));
    assert_eq!(tab.spent(), Amount::new(200));
}

#[test]
fn what_was_spent_counts_for_its_day_and_for_its_creator_for_ever() {
    let world = World::new();
    world.caps(Caps { per_day: cap(250), per_creator: cap(400), per_session: None });
    let id = world.open(1_000);
    let (mut session, mut tab) = world.watch(id, 0, None, NOW);
    assert_eq!(play(&mut session, &mut tab, 0..9, NOW), Err(TabError::CapReached));
    assert_eq!(tab.spent(), Amount::new(200));
    drop((session, tab));
    // Another session the same day has what is left of it, on this channel or another of the creator's.
    let mut same_day = world.wallet().begin_session(id).expect("a session");
    assert_eq!(same_day.grant(None, NOW).expect("a grant"), Amount::new(250));
    drop(same_day);
    let other = world.open(1_000);
    let mut elsewhere = world.wallet().begin_session(other).expect("a session");
    assert_eq!(elsewhere.grant(None, NOW).expect("a grant"), Amount::new(50));
    // The next day the day's cap begins anew; the creator's does not.
    let tomorrow = NOW.plus(DAY_MS);
    assert_eq!(elsewhere.grant(None, tomorrow).expect("a grant"), Amount::new(200));
    drop(elsewhere);
    let mut next_day = world.wallet().begin_session(id).expect("a session");
    assert_eq!(next_day.grant(None, tomorrow).expect("a grant"), Amount::new(400));
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_back() {
    let world = World::new();
    world.caps(Caps { per_day: cap(250), ..Caps::default() });
    let id = world.open(1_000);
    let (mut session, mut tab) = world.watch(id, 0, None, NOW);
    play(&mut session, &mut tab, 0..2, NOW).expect("the cap pays for two");
    drop((session, tab));
    let mut session = world.wallet().begin_session(id).expect("a session");
    assert_eq!(session.grant(None, UnixMillis(NOW.0 - DAY_MS)).expect("a grant"), Amount::new(250));
    assert_eq!(session.grant(None, NOW).expect("a grant"), Amount::new(250));
}

#[test]
fn a_folder_that_was_put_back_goes_on_from_what_the_node_shows() {
    let world = World::new();
    let id = world.open(1_000);
    let (mut session, mut tab) = world.watch(id, 0, None, NOW);
    play(&mut session, &mut tab, 0..2, NOW).expect("the deposit pays for two");
    let last = *tab.last_voucher().expect("it was signed");
    drop((session, tab));
    let folder = world.data.path().join("channels").join(&id.to_string()[2..]);
    std::fs::remove_file(folder.join("tab")).expect("there is a tab");

    let mut session = world.wallet().begin_session(id).expect("a session");
    let limit = session.grant(cap(150), NOW).expect("a grant");
    assert_eq!(limit, Amount::new(150));
    let mut tab = Tab::new(session.record().terms, world.offer(), limit).expect("the offer fits");
    tab.start().expect("it is open");
    let started = Started { channel: id, last: Some(last), receipt: None, next: Tick(2) };
    tab.started(&started, &*session.signer(), NOW).expect("the voucher is our own");
    session.shown(&last, &tab).expect("the voucher is our own");
    let limit = session.grant(cap(150), NOW).expect("a grant");
    assert_eq!(limit, Amount::new(200 + 150));
    tab.set_limit(limit);
    assert_eq!(play(&mut session, &mut tab, 2..9, NOW), Err(TabError::CapReached));
    assert_eq!(tab.spent(), Amount::new(300));
    // Shown once more, in the middle, it makes no room.
    session.shown(&last, &tab).expect("the voucher is our own");
    assert_eq!(session.grant(cap(150), NOW).expect("a grant"), Amount::new(350));
}

#[test]
fn a_voucher_that_another_key_signed_moves_no_bound() {
    let world = World::new();
    let id = world.open(1_000);
    let (mut session, tab) = world.watch(id, 0, None, NOW);
    let forged =
        Voucher { cumulative: Amount::new(900), ..tab.last_voucher().expect("the prepaid one").body };
    let forged = Signed::sign(forged, &world.node).expect("a signature");
    assert!(matches!(session.shown(&forged, &tab), Err(SessionError::NotOurs)));
}

#[test]
fn a_channel_whose_key_a_page_has_is_known_and_never_signed_for_here() {
    let world = World::new();
    let terms = pay::ChannelTerms {
        genesis: GENESIS,
        asset: AssetId::Native,
        payer: pay::AccountId([9; 32]),
        payee: world.creator.public().account(),
        node: world.node.public(),
        session: Keypair::from_seed(KeyScheme::Ed25519, &[4; 32].into()).public(),
        nonce: 7,
        dispute_window_ms: 60_000,
    };
    let noted = world.wallet().note_page_channel(terms, "http://127.0.0.1:8080", NOW).expect("a record");
    assert!(noted.is_pages());
    let opened = world.wallet().update_channel(terms.id(), |channel| channel.status = ChannelStatus::Open);
    opened.expect("the channel is known");
    let known = world.wallet().channels().expect("channels");
    assert_eq!(
        known.iter().map(|known| (known.terms, known.is_pages())).collect::<Vec<_>>(),
        [(terms, true)]
    );
    let refused = world.wallet().begin_session(terms.id());
    assert!(refused.is_err_and(|why| why.to_string().contains("a page has the session key")));
    // One of the wallet's own is told from it, also when it is read back.
    let own = world.open(1_000);
    let of_page = |id| {
        world.wallet().channels().unwrap().into_iter().any(|known| known.terms.id() == id && known.is_pages())
    };
    assert!(!of_page(own) && of_page(terms.id()));
}
