//! Watching on one channel: its key with what the caps leave, and its tab as it was last stored.

use std::sync::Arc;

use pay::{Amount, ChannelId, Signed, Tab, UnixMillis, Voucher};

use crate::book::Caps;
use crate::channel_store::{ChannelRecord, ChannelStatus, ChannelStore, ChannelStoreError, Progress};
use crate::session_key::{SessionKey, WrongKey};
use crate::store::{Folder, Lock, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("the wallet has no channel {0}")]
    Unknown(ChannelId),
    #[error("the channel is being watched by another program of this wallet")]
    InUse,
    #[error("the channel is not open")]
    NotOpen,
    #[error("the voucher is not one of this channel's session key")]
    NotOurs,
    #[error(transparent)]
    Channel(#[from] ChannelStoreError),
    #[error(transparent)]
    WrongKey(#[from] WrongKey),
    #[error("the address book cannot be read: {0}")]
    Book(String),
}

impl From<StoreError> for SessionError {
    fn from(err: StoreError) -> Self {
        Self::Channel(err.into())
    }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

const fn day(now: UnixMillis) -> u64 {
    now.0 / DAY_MS
}

/// Nobody else signs for the channel as long as it lives, and what it may still sign counts as spent until it ends.
#[derive(Debug)]
pub struct Session {
    folder: Folder,
    store: ChannelStore,
    record: ChannelRecord,
    id: ChannelId,
    progress: Progress,
    /// The running total when it began.
    began_at: Amount,
    key: Arc<SessionKey>,
    _claim: Lock,
}

impl Session {
    pub(crate) fn begin(folder: &Folder, id: ChannelId) -> Result<Self, SessionError> {
        let store = ChannelStore::new(folder.clone());
        // Others who count what is spent claim each channel for a moment.
        let _lock = folder.lock()?;
        let claim = store.record(id)?.ok_or(SessionError::Unknown(id)).and_then(|_| Ok(store.claim(id)?))?;
        let claim = claim.ok_or(SessionError::InUse)?;
        // Read under the claim: it may have been another's until now.
        let record = store.record(id)?.ok_or(SessionError::Unknown(id))?;
        if !matches!(record.status, ChannelStatus::Prepared | ChannelStatus::Open) {
            return Err(SessionError::NotOpen);
        }
        let mut progress = store.progress(id)?;
        let spent = progress.spent();
        progress.ceiling = spent;
        let key = Arc::new(SessionKey::new(store.open_key(&record)?, &record.terms, spent)?);
        Ok(Self { folder: folder.clone(), store, record, id, progress, began_at: spent, key, _claim: claim })
    }

    pub const fn record(&self) -> &ChannelRecord {
        &self.record
    }

    pub const fn channel(&self) -> ChannelId {
        self.id
    }

    /// What a tab signs with. It refuses whatever is above [`Session::grant`]'s last answer.
    pub fn signer(&self) -> Arc<SessionKey> {
        Arc::clone(&self.key)
    }

    /// As it was last stored; `None` for a channel that nothing was paid from yet.
    pub const fn tab(&self) -> Option<&Tab> {
        self.progress.tab.as_ref()
    }

    /// Lets the key sign as much as deposit and caps leave, at most `wanted` in this session, and says up to which
    /// running total. To be asked at the beginning, after a top-up, after a cap was changed, and once a new day begins.
    pub fn grant(&mut self, wanted: Option<Amount>, now: UnixMillis) -> Result<Amount, SessionError> {
        let lock = self.folder.lock()?;
        // The deposit may have been topped up by another program.
        self.record = self.store.record(self.id)?.ok_or(SessionError::Unknown(self.id))?;
        let terms = &self.record.terms;
        let book =
            crate::wallet::read_book(&self.folder).map_err(|err| SessionError::Book(err.to_string()))?;
        let caps = book.caps(terms.genesis, terms.asset);
        let others = Spending::of_others(&self.store, &self.record, day(now))?;
        self.progress.begin_day(day(now));
        // Nothing is locked for a credit account: its record's deposit is what was transferred so far.
        let deposit = if terms.is_credit() { Amount::MAX } else { self.record.deposit };
        let ceiling = ceiling(&self.progress, &caps, &others, deposit, self.began_at, wanted, day(now));
        self.progress.ceiling = ceiling;
        self.store.write_progress(self.id, &self.progress)?;
        self.key.set_ceiling(ceiling);
        drop(lock);
        Ok(ceiling)
    }

    /// The node shows a voucher that this wallet has forgotten, because an older folder was put back: what it says was
    /// spent before. [`Session::grant`] has to be asked again.
    pub fn shown(&mut self, voucher: &Signed<Voucher>, tab: &Tab) -> Result<(), SessionError> {
        let terms = &self.record.terms;
        let ours = (voucher.body.genesis, voucher.body.channel) == (terms.genesis, self.id)
            && voucher.verify(&terms.session).is_ok();
        if !ours {
            return Err(SessionError::NotOurs);
        }
        // Whatever this session signed was stored before it was sent, so what is above that is of an earlier one.
        let forgotten = voucher.body.cumulative.checked_sub(self.progress.spent()).unwrap_or(Amount::ZERO);
        self.began_at = self.began_at.checked_add(forgotten).unwrap_or(Amount::MAX);
        self.progress.tab = Some(tab.clone());
        Ok(())
    }

    /// To be called after everything that the tab signed, and before that is sent.
    pub fn save(&mut self, tab: &Tab, now: UnixMillis) -> Result<(), SessionError> {
        self.progress.begin_day(day(now));
        self.progress.tab = Some(tab.clone());
        Ok(self.store.write_progress(self.id, &self.progress)?)
    }
}

/// What the caps count, but for one channel's own.
struct Spending {
    creator: Amount,
    today: Amount,
}

impl Spending {
    fn of_others(store: &ChannelStore, record: &ChannelRecord, day: u64) -> Result<Self, SessionError> {
        let own = record.terms.id();
        let mut sum = Self { creator: Amount::ZERO, today: Amount::ZERO };
        let same_asset = |other: &ChannelRecord| {
            (other.terms.genesis, other.terms.asset) == (record.terms.genesis, record.terms.asset)
        };
        for other in store.all()?.iter().filter(|other| same_asset(other)) {
            let id = other.terms.id();
            if id == own {
                continue;
            }
            // What a session may still sign is as good as spent; one that crashed holds nothing any more.
            let is_live = store.claim(id)?.is_none();
            let progress = store.progress(id)?;
            let total = if is_live { progress.ceiling.max(progress.spent()) } else { progress.spent() };
            let add = |sum: Amount, more| sum.checked_add(more).unwrap_or(Amount::MAX);
            sum.today = add(sum.today, progress.on_day(day, total));
            if other.terms.payee == record.terms.payee {
                sum.creator = add(sum.creator, total);
            }
        }
        Ok(sum)
    }
}

/// The highest running total that all of them allow, never below what is spent.
fn ceiling(
    progress: &Progress,
    caps: &Caps,
    others: &Spending,
    deposit: Amount,
    began_at: Amount,
    wanted: Option<Amount>,
    day: u64,
) -> Amount {
    let spent = progress.spent();
    let beyond = |start: Amount, cap: Option<Amount>, used: Amount| {
        let left = cap.map(|cap| cap.checked_sub(used).unwrap_or(Amount::ZERO));
        left.and_then(|left| start.checked_add(left)).unwrap_or(Amount::MAX)
    };
    let before_day = spent.checked_sub(progress.on_day(day, spent)).unwrap_or(Amount::ZERO);
    [
        deposit,
        beyond(began_at, caps.per_session, Amount::ZERO),
        beyond(began_at, wanted, Amount::ZERO),
        beyond(Amount::ZERO, caps.per_creator, others.creator),
        beyond(before_day, caps.per_day, others.today),
    ]
    .into_iter()
    .min()
    .unwrap_or(spent)
    .max(spent)
}
