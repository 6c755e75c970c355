//! A person's wallet: a folder of keystores, an address book, and the channels that were opened from it.

use std::path::{Path, PathBuf};

use pay::{
    AccountId, Amount, AssetId, ChannelId, ChannelTerms, Genesis, KeyScheme, PublicKey, Signer, UnixMillis,
};

use crate::address::Address;
use crate::book::{Book, BookError, Caps, Entry, Name, Shelf};
use crate::channel_store::{ChannelRecord, ChannelStatus, ChannelStore, ChannelStoreError};
use crate::history::{self, Event};
use crate::key::SecretKey;
use crate::keystore::{EnvelopeError, Keystore, KeystoreError, KeystoreFile};
use crate::secret::SecretText;
use crate::session::{Session, SessionError};
use crate::store::{Folder, StoreError};
use crate::unit::Unit;

#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    #[error(transparent)]
    Channel(#[from] ChannelStoreError),
    #[error(
        "a passphrase has at least {} characters: whoever gets the file can try many",
        Wallet::MIN_PASSPHRASE
    )]
    WeakPassphrase,
    #[error("there is no account \"{0}\" here: `tickcast wallet list` names those that there are")]
    UnknownAccount(String),
    #[error("the account is here already, as \"{0}\"")]
    AccountTaken(String),
    #[error("there are more than {} accounts", Wallet::MAX_ACCOUNTS)]
    TooManyAccounts,
    #[error("\"{0}\" is only watched: its key is elsewhere")]
    OnlyWatched(String),
    #[error("the wallet has no channel {0}")]
    UnknownChannel(ChannelId),
    #[error("the account has open channels: close them first, or their deposits stay where they are")]
    ChannelsOpen,
}

impl WalletError {
    /// Or the keystore was changed, which looks the same.
    pub const fn is_wrong_passphrase(&self) -> bool {
        matches!(self, Self::Keystore(KeystoreError::Envelope(EnvelopeError::Refused)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ownership {
    /// Its key is here, encrypted.
    Own(KeyScheme),
    Watched,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub name: Name,
    pub account: AccountId,
    pub ownership: Ownership,
    pub created: UnixMillis,
}

impl Account {
    pub fn address(&self) -> Address {
        Address::generic(self.account)
    }

    pub fn public(&self) -> Option<PublicKey> {
        match self.ownership {
            Ownership::Own(scheme) => Some(PublicKey { scheme, bytes: self.account.0 }),
            Ownership::Watched => None,
        }
    }

    /// Its name and the ends of its address, for lists.
    pub fn labelled(&self) -> String {
        let address = self.address().to_string();
        match (address.get(..6), address.get(address.len().saturating_sub(6)..)) {
            (Some(first), Some(last)) => format!("{}  {first}…{last}", self.name.as_str()),
            _ => self.name.as_str().to_owned(),
        }
    }
}

/// What a channel is opened with, but for its session key and its nonce.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewChannel {
    pub genesis: Genesis,
    pub asset: AssetId,
    pub payer: AccountId,
    pub payee: AccountId,
    pub node: PublicKey,
    pub dispute_window_ms: u64,
    pub node_url: String,
}

const BOOK: &str = "book.json";
const BOOK_MAX: u64 = 1 << 20;
const ACCOUNTS: &str = "accounts";

pub(crate) fn read_book(folder: &Folder) -> Result<Book, StoreError> {
    let name = Path::new(BOOK);
    match folder.read(name, BOOK_MAX)? {
        None => Ok(Book::default()),
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|why| folder.damaged(name, why)),
    }
}

/// Several programs may have the same one open; each change is made under the folder's lock.
#[derive(Clone, Debug)]
pub struct Wallet {
    folder: Folder,
    channels: ChannelStore,
}

impl Wallet {
    pub const MIN_PASSPHRASE: usize = 8;
    pub const MAX_ACCOUNTS: usize = 256;

    /// The folder is made where it is not there. [`Folder::default_path`] is where a person's own is.
    pub fn open(folder: PathBuf) -> Result<Self, WalletError> {
        let folder = Folder::open(folder)?;
        folder.make(Path::new(ACCOUNTS))?;
        Ok(Self { channels: ChannelStore::new(folder.clone()), folder })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    // Accounts.

    fn account_file(account: &AccountId) -> PathBuf {
        Path::new(ACCOUNTS).join(format!("{}.json", Address::generic(*account)))
    }

    fn keystore_in(&self, name: &str) -> Result<Keystore, WalletError> {
        let path = Path::new(ACCOUNTS).join(name);
        let most = KeystoreFile::MAX_BYTES as u64;
        let gone = || WalletError::UnknownAccount(name.to_owned());
        let bytes = self.folder.read(&path, most)?.ok_or_else(gone)?;
        match KeystoreFile::parse(&bytes).map_err(|why| self.folder.damaged(&path, why))? {
            KeystoreFile::One(one) => Ok(one),
            KeystoreFile::Batch(_) => Err(self.folder.damaged(&path, "it holds several accounts").into()),
        }
    }

    /// Own ones first, each kind by name.
    pub fn accounts(&self) -> Result<Vec<Account>, WalletError> {
        let mut accounts = Vec::new();
        for file in self.folder.names(Path::new(ACCOUNTS))?.iter().filter(|name| name.ends_with(".json")) {
            let keystore = self.keystore_in(file)?;
            let public = keystore.public()?;
            let account = public.account();
            let path = Self::account_file(&account);
            if path != Path::new(ACCOUNTS).join(file) {
                let why = format!(
                    "its name is not its account's: `tickcast wallet import keystore` takes it in as {}",
                    path.display()
                );
                return Err(self.folder.damaged(&Path::new(ACCOUNTS).join(file), why).into());
            }
            let name = Name::new(keystore.name()).or_else(|_| Name::new(&file[..file.len().min(12)]))?;
            let ownership = Ownership::Own(public.scheme);
            accounts.push(Account { name, account, ownership, created: keystore.created() });
        }
        accounts.sort_by(|one, other| one.name.cmp(&other.name));
        let book = read_book(&self.folder)?;
        // A kill while its key came in may have left one in both places.
        let is_own =
            |entry: &&Entry| accounts.iter().any(|own: &Account| own.account == entry.address.account);
        let watched = book.entries(Shelf::Watched).iter().filter(|entry| !is_own(entry));
        let watched: Vec<_> = watched
            .map(|entry| Account {
                name: entry.name.clone(),
                account: entry.address.account,
                ownership: Ownership::Watched,
                created: UnixMillis(0),
            })
            .collect();
        accounts.extend(watched);
        Ok(accounts)
    }

    /// By its name, or by its address as any network writes it.
    pub fn account(&self, text: &str) -> Result<Account, WalletError> {
        let address = text.parse::<Address>().ok().map(|address| address.account);
        let wanted = |account: &Account| account.name.as_str() == text || Some(account.account) == address;
        let found = self.accounts()?.into_iter().find(wanted);
        found.ok_or_else(|| WalletError::UnknownAccount(text.chars().take(64).collect()))
    }

    fn must_be_new(&self, name: &Name, account: &AccountId) -> Result<(), WalletError> {
        let accounts = self.accounts()?;
        if let Some(known) =
            accounts.iter().find(|known| known.account == *account && known.public().is_some())
        {
            return Err(WalletError::AccountTaken(known.name.as_str().to_owned()));
        }
        if accounts.len() >= Self::MAX_ACCOUNTS {
            return Err(WalletError::TooManyAccounts);
        }
        // A watched account whose key comes here is that account, and goes by whatever name it is given now.
        let is_taken = |known: &Account| known.name == *name && known.account != *account;
        let is_contact = self.book()?.entries(Shelf::Contacts).iter().any(|entry| entry.name == *name);
        if is_contact || accounts.iter().any(is_taken) {
            return Err(BookError::NameTaken(name.as_str().to_owned()).into());
        }
        Ok(())
    }

    /// What every new passphrase has to be.
    pub fn strong(passphrase: &SecretText) -> Result<(), WalletError> {
        let length = passphrase.as_str().map_or(0, |text| text.chars().count());
        if length < Self::MIN_PASSPHRASE { Err(WalletError::WeakPassphrase) } else { Ok(()) }
    }

    fn keep(&self, name: &Name, keystore: &Keystore) -> Result<Account, WalletError> {
        let public = keystore.public()?;
        let account = public.account();
        let _lock = self.folder.lock()?;
        self.must_be_new(name, &account)?;
        self.folder.write(&Self::account_file(&account), keystore.to_json().as_bytes())?;
        let mut book = self.book()?;
        if let Some(watched) =
            book.entries(Shelf::Watched).iter().find(|entry| entry.address.account == account)
        {
            let watched = watched.name.as_str().to_owned();
            book.remove(Shelf::Watched, &watched)?;
            self.write_book(&book)?;
        }
        let ownership = Ownership::Own(public.scheme);
        Ok(Account { name: name.clone(), account, ownership, created: keystore.created() })
    }

    /// Whether [`Wallet::add`] would take it: to be asked before a person writes anything down.
    pub fn may_add(&self, name: &Name, key: &SecretKey, passphrase: &SecretText) -> Result<(), WalletError> {
        Self::strong(passphrase)?;
        self.must_be_new(name, &key.public().account())
    }

    /// Takes a key in, encrypted under the passphrase.
    pub fn add(
        &self,
        name: &Name,
        key: &SecretKey,
        passphrase: &SecretText,
        now: UnixMillis,
    ) -> Result<Account, WalletError> {
        self.may_add(name, key, passphrase)?;
        self.keep(name, &Keystore::seal(key, passphrase, name.as_str(), now)?)
    }

    /// Takes a keystore in as it is, once the passphrase has opened it.
    pub fn import(
        &self,
        name: &Name,
        keystore: Keystore,
        passphrase: &SecretText,
    ) -> Result<Account, WalletError> {
        keystore.open(passphrase)?;
        self.keep(name, &keystore.named(name.as_str()))
    }

    /// The account's keystore, to be written wherever a person wants it.
    pub fn keystore(&self, account: &Account) -> Result<Keystore, WalletError> {
        match account.ownership {
            Ownership::Own(_) => self.keystore_in(&format!("{}.json", account.address())),
            Ownership::Watched => Err(WalletError::OnlyWatched(account.name.as_str().to_owned())),
        }
    }

    pub fn unlock(&self, account: &Account, passphrase: &SecretText) -> Result<SecretKey, WalletError> {
        Ok(self.keystore(account)?.open(passphrase)?)
    }

    /// The old passphrase opens the file until the new one does.
    pub fn change_passphrase(
        &self,
        account: &Account,
        old: &SecretText,
        new: &SecretText,
    ) -> Result<(), WalletError> {
        Self::strong(new)?;
        let key = self.unlock(account, old)?;
        let keystore = Keystore::seal(&key, new, account.name.as_str(), account.created)?;
        let _lock = self.folder.lock()?;
        Ok(self.folder.write(&Self::account_file(&account.account), keystore.to_json().as_bytes())?)
    }

    /// Removes the key from this machine, or stops watching.
    pub fn forget(&self, account: &Account) -> Result<(), WalletError> {
        let lock = self.folder.lock()?;
        if account.ownership == Ownership::Watched {
            let mut book = self.book()?;
            book.remove(Shelf::Watched, account.name.as_str())?;
            return self.write_book(&book);
        }
        let is_live = |channel: &ChannelRecord| {
            let over = matches!(channel.status, ChannelStatus::Closed | ChannelStatus::Failed);
            channel.terms.payer == account.account && !over
        };
        if self.channels()?.iter().any(is_live) {
            return Err(WalletError::ChannelsOpen);
        }
        self.folder.remove(&Self::account_file(&account.account))?;
        drop(lock);
        Ok(())
    }

    // The address book.

    pub fn book(&self) -> Result<Book, WalletError> {
        Ok(read_book(&self.folder)?)
    }

    fn write_book(&self, book: &Book) -> Result<(), WalletError> {
        let json = serde_json::to_vec_pretty(book).expect("texts and numbers are JSON");
        Ok(self.folder.write(Path::new(BOOK), &json)?)
    }

    /// Refused where an account of the wallet has the name or the address.
    pub fn add_entry(&self, shelf: Shelf, entry: Entry) -> Result<(), WalletError> {
        let _lock = self.folder.lock()?;
        let accounts = self.accounts()?;
        let mut own = accounts.iter().filter(|account| account.public().is_some());
        if let Some(own) = own.clone().find(|own| own.account == entry.address.account) {
            return Err(WalletError::AccountTaken(own.name.as_str().to_owned()));
        }
        if own.any(|own| own.name == entry.name) {
            return Err(BookError::NameTaken(entry.name.as_str().to_owned()).into());
        }
        let mut book = self.book()?;
        book.add(shelf, entry)?;
        self.write_book(&book)
    }

    pub fn remove_entry(&self, shelf: Shelf, name: &str) -> Result<Entry, WalletError> {
        let _lock = self.folder.lock()?;
        let mut book = self.book()?;
        let removed = book.remove(shelf, name)?;
        self.write_book(&book)?;
        Ok(removed)
    }

    pub fn know_unit(&self, genesis: Genesis, asset: AssetId, unit: &Unit) -> Result<(), WalletError> {
        let _lock = self.folder.lock()?;
        let mut book = self.book()?;
        book.know_unit(genesis, asset, unit)?;
        self.write_book(&book)
    }

    pub fn set_caps(&self, genesis: Genesis, asset: AssetId, caps: Caps) -> Result<(), WalletError> {
        let _lock = self.folder.lock()?;
        let mut book = self.book()?;
        book.set_caps(genesis, asset, caps)?;
        self.write_book(&book)
    }

    // Channels.

    /// Those of all times, by id.
    pub fn channels(&self) -> Result<Vec<ChannelRecord>, WalletError> {
        Ok(self.channels.all()?)
    }

    /// What was signed on it, and not only by this run.
    pub fn spent(&self, id: ChannelId) -> Result<Amount, WalletError> {
        Ok(self.channels.progress(id)?.spent())
    }

    /// Makes a session key and the terms, and stores both: only then may the opening be sent.
    pub fn prepare_channel(&self, new: &NewChannel, now: UnixMillis) -> Result<ChannelRecord, WalletError> {
        let lock = self.folder.lock()?;
        let known = self.channels.all()?;
        let nonces =
            known.iter().filter(|known| known.terms.payer == new.payer).map(|known| known.terms.nonce);
        let nonce = nonces.max().map_or(0, |last| last.saturating_add(1));
        let terms = |key: &SecretKey| ChannelTerms {
            genesis: new.genesis,
            asset: new.asset,
            payer: new.payer,
            payee: new.payee,
            node: new.node,
            session: key.public(),
            nonce,
            dispute_window_ms: new.dispute_window_ms,
        };
        Ok(self.channels.record_with_key(&lock, terms, &new.node_url, now)?)
    }

    /// Writes down a channel that is about to be opened for a page, which has its session key.
    pub fn note_page_channel(
        &self,
        terms: ChannelTerms,
        node_url: &str,
        now: UnixMillis,
    ) -> Result<ChannelRecord, WalletError> {
        let lock = self.folder.lock()?;
        Ok(self.channels.record_of_page(&lock, terms, node_url, now)?)
    }

    /// An open channel between the same, the one with the latest expiry.
    pub fn channel_for(&self, new: &NewChannel) -> Result<Option<ChannelRecord>, WalletError> {
        let fits = |known: &ChannelRecord| {
            let terms = &known.terms;
            known.status == ChannelStatus::Open
                && (terms.genesis, terms.asset, terms.payer, terms.payee, terms.node)
                    == (new.genesis, new.asset, new.payer, new.payee, new.node)
        };
        let found = self.channels()?.into_iter().filter(fits);
        Ok(found.max_by_key(|known| known.expires_at))
    }

    /// What the chain says of a channel, or what is about to be asked of it.
    pub fn update_channel(
        &self,
        id: ChannelId,
        change: impl FnOnce(&mut ChannelRecord),
    ) -> Result<ChannelRecord, WalletError> {
        let lock = self.folder.lock()?;
        let mut record = self.channels.record(id)?.ok_or(WalletError::UnknownChannel(id))?;
        let terms = record.terms;
        change(&mut record);
        record.terms = terms;
        self.channels.write_record(&lock, &record)?;
        Ok(record)
    }

    /// Claims a channel for watching.
    pub fn begin_session(&self, id: ChannelId) -> Result<Session, SessionError> {
        Session::begin(&self.folder, id)
    }

    // History.

    /// Durable once this returns.
    pub fn note(&self, event: &Event) -> Result<(), WalletError> {
        let _lock = self.folder.lock()?;
        Ok(history::append(&self.folder, event)?)
    }

    /// The oldest first.
    pub fn history(&self) -> Result<Vec<Event>, WalletError> {
        Ok(history::read(&self.folder)?)
    }
}
