//! A wallet's folder: accounts, passphrases, channels and caps, as they are after each program's end.

use pay::{AccountId, Amount, AssetId, Genesis, KeyScheme, PublicKey, Signer, UnixMillis};
use tickcast_wallet::{
    Account, Address, BookError, Caps, ChannelStatus, Entry, Name, NewChannel, Ownership, SecretKey,
    SecretText, SessionError, Shelf, Wallet, WalletError,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY_MS: u64 = 86_400_000;

struct Home {
    data: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { data: tempfile::tempdir().expect("a folder") }
    }

    /// As another program opens it.
    fn wallet(&self) -> Wallet {
        Wallet::open(self.data.path().join("wallet")).expect("the wallet opens")
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn text(text: &str) -> SecretText {
    SecretText::new(text).expect("a text")
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed(KeyScheme::Sr25519, &[byte; 32])
}

fn add(wallet: &Wallet, called: &str, byte: u8) -> Account {
    wallet.add(&name(called), &key(byte), &text("swordfish"), NOW).expect("a new account")
}

fn to(payee: u8) -> NewChannel {
    NewChannel {
        genesis: Genesis([1; 32]),
        asset: AssetId::Native,
        payer: AccountId([2; 32]),
        payee: AccountId([payee; 32]),
        node: PublicKey { scheme: KeyScheme::Ed25519, bytes: [4; 32] },
        dispute_window_ms: 60_000,
        node_url: "http://127.0.0.1:8080".into(),
    }
}

fn open(wallet: &Wallet, payee: u8, deposit: u128) -> pay::ChannelId {
    let id = wallet.prepare_channel(&to(payee), NOW).expect("a channel").terms.id();
    let opened = wallet.update_channel(id, |channel| {
        channel.status = ChannelStatus::Open;
        channel.deposit = Amount::new(deposit);
    });
    opened.expect("the channel is known");
    id
}

fn caps(wallet: &Wallet, caps: Caps) {
    wallet.set_caps(Genesis([1; 32]), AssetId::Native, caps).expect("caps are set");
}

fn cap(units: u128) -> Option<Amount> {
    Some(Amount::new(units))
}

#[test]
fn an_account_is_there_again_after_the_program_ends() {
    let home = Home::new();
    let made = add(&home.wallet(), "Main", 1);
    let wallet = home.wallet();
    assert_eq!(wallet.accounts().unwrap(), std::slice::from_ref(&made));
    assert_eq!(wallet.account("Main").unwrap(), made);
    assert_eq!(wallet.account(&made.address().to_string()).unwrap(), made);
    let unlocked = wallet.unlock(&made, &text("swordfish")).unwrap();
    assert_eq!(unlocked.public(), key(1).public());
    assert!(matches!(wallet.unlock(&made, &text("sword")), Err(WalletError::Keystore(_))));
    assert!(matches!(wallet.account("Other"), Err(WalletError::UnknownAccount(_))));
}

#[test]
fn neither_an_account_nor_a_name_is_taken_twice() {
    let home = Home::new();
    let wallet = home.wallet();
    add(&wallet, "Main", 1);
    let again = wallet.add(&name("Other"), &key(1), &text("swordfish"), NOW);
    assert!(matches!(again, Err(WalletError::AccountTaken(_))));
    let same = wallet.add(&name("Main"), &key(2), &text("swordfish"), NOW);
    assert!(matches!(same, Err(WalletError::Book(BookError::NameTaken(_)))));
    let weak = wallet.add(&name("Weak"), &key(3), &text("seven77"), NOW);
    assert!(matches!(weak, Err(WalletError::WeakPassphrase)));
    let own = Entry { name: name("Me"), address: Address::generic(key(1).public().account()) };
    assert!(matches!(wallet.add_entry(Shelf::Contacts, own), Err(WalletError::AccountTaken(_))));
    assert_eq!(wallet.accounts().unwrap().len(), 1);
}

#[test]
fn an_export_is_imported_elsewhere_as_the_same_account() {
    let (here, there) = (Home::new(), Home::new());
    let made = add(&here.wallet(), "Main", 1);
    let keystore = here.wallet().keystore(&made).unwrap();
    let wrong = there.wallet().import(&name("Copy"), keystore.clone(), &text("swordfisH"));
    assert!(matches!(wrong, Err(WalletError::Keystore(_))));
    let copy = there.wallet().import(&name("Copy"), keystore, &text("swordfish")).unwrap();
    assert_eq!((copy.account, copy.ownership, copy.created), (made.account, made.ownership, made.created));
    assert_eq!(there.wallet().account("Copy").unwrap(), copy);
}

#[test]
fn a_changed_passphrase_opens_and_the_old_one_does_not() {
    let home = Home::new();
    let made = add(&home.wallet(), "Main", 1);
    let wallet = home.wallet();
    assert!(wallet.change_passphrase(&made, &text("wrong one"), &text("marlinspike")).is_err());
    wallet.change_passphrase(&made, &text("swordfish"), &text("marlinspike")).unwrap();
    assert!(home.wallet().unlock(&made, &text("marlinspike")).is_ok());
    assert!(home.wallet().unlock(&made, &text("swordfish")).is_err());
    assert_eq!(home.wallet().account("Main").unwrap(), made);
}

#[test]
fn a_watched_account_has_no_key_until_its_key_comes() {
    let home = Home::new();
    let wallet = home.wallet();
    let address = Address::generic(key(1).public().account());
    wallet.add_entry(Shelf::Watched, Entry { name: name("Cold"), address }).unwrap();
    let watched = wallet.account("Cold").unwrap();
    assert_eq!(watched.ownership, Ownership::Watched);
    assert!(matches!(wallet.unlock(&watched, &text("swordfish")), Err(WalletError::OnlyWatched(_))));
    add(&wallet, "Cold", 1);
    let accounts = wallet.accounts().unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].ownership, Ownership::Own(KeyScheme::Sr25519));
}

#[test]
fn an_account_with_an_open_channel_is_not_forgotten() {
    let home = Home::new();
    let wallet = home.wallet();
    let made = add(&wallet, "Main", 1);
    let new = NewChannel { payer: made.account, ..to(3) };
    let id = wallet.prepare_channel(&new, NOW).unwrap().terms.id();
    assert!(matches!(wallet.forget(&made), Err(WalletError::ChannelsOpen)));
    wallet.update_channel(id, |channel| channel.status = ChannelStatus::Closed).unwrap();
    wallet.forget(&made).unwrap();
    assert!(wallet.accounts().unwrap().is_empty());
}

#[test]
fn a_channel_and_its_session_key_are_there_before_anything_is_sent() {
    let home = Home::new();
    let record = home.wallet().prepare_channel(&to(3), NOW).unwrap();
    let session = home.wallet().begin_session(record.terms.id()).unwrap();
    assert_eq!(session.signer().public(), record.terms.session);
    // Two channels between the same are not the same.
    let second = home.wallet().prepare_channel(&to(3), NOW).unwrap();
    assert_eq!((record.terms.nonce, second.terms.nonce), (0, 1));
    assert_ne!(record.terms.session, second.terms.session);
    assert_eq!(home.wallet().channels().unwrap().len(), 2);
}

#[test]
fn a_channel_is_watched_by_one_program_at_a_time() {
    let home = Home::new();
    let id = open(&home.wallet(), 3, 100);
    let session = home.wallet().begin_session(id).unwrap();
    assert!(matches!(home.wallet().begin_session(id), Err(SessionError::InUse)));
    drop(session);
    assert!(home.wallet().begin_session(id).is_ok());
}

#[test]
fn a_session_may_sign_what_the_tightest_bound_leaves() {
    let home = Home::new();
    let wallet = home.wallet();
    let id = open(&wallet, 3, 1_000);
    let mut session = wallet.begin_session(id).unwrap();
    // Before anything was granted nothing is signed.
    assert_eq!(session.signer().ceiling(), Amount::ZERO);
    assert_eq!(session.grant(None, NOW).unwrap(), Amount::new(1_000));
    assert_eq!(session.grant(cap(700), NOW).unwrap(), Amount::new(700));
    caps(&wallet, Caps { per_day: cap(600), ..Caps::default() });
    assert_eq!(session.grant(cap(700), NOW).unwrap(), Amount::new(600));
    caps(&wallet, Caps { per_day: cap(600), per_creator: cap(500), per_session: None });
    assert_eq!(session.grant(cap(700), NOW).unwrap(), Amount::new(500));
    caps(&wallet, Caps { per_day: cap(600), per_creator: cap(500), per_session: cap(400) });
    assert_eq!(session.grant(cap(700), NOW).unwrap(), Amount::new(400));
    assert_eq!(session.signer().ceiling(), Amount::new(400));
}

#[test]
fn what_another_session_may_still_sign_counts_as_spent_until_it_ends() {
    let home = Home::new();
    let wallet = home.wallet();
    caps(&wallet, Caps { per_day: cap(100), per_creator: cap(80), per_session: None });
    let (one, same_creator, other) = (open(&wallet, 3, 60), open(&wallet, 3, 60), open(&wallet, 5, 60));
    let mut first = wallet.begin_session(one).unwrap();
    assert_eq!(first.grant(None, NOW).unwrap(), Amount::new(60));
    let mut second = wallet.begin_session(same_creator).unwrap();
    assert_eq!(second.grant(None, NOW).unwrap(), Amount::new(20), "80 a creator");
    let mut third = wallet.begin_session(other).unwrap();
    assert_eq!(third.grant(None, NOW).unwrap(), Amount::new(20), "100 a day");
    // It ends, or is killed, without having signed anything.
    drop(first);
    assert_eq!(third.grant(None, NOW).unwrap(), Amount::new(60));
    assert_eq!(second.grant(None, NOW.plus(DAY_MS)).unwrap(), Amount::new(40), "the third may still sign 60");
}
