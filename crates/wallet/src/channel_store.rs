//! What the wallet keeps of each channel: its terms, its session key, and how far its tab went.
//!
//! Session keys are sealed under a random key in a file beside them (`session.key`, 0600), not under an account's
//! passphrase: a viewer goes on after a crash without asking anybody, and whoever can read the folder can spend no more
//! than the deposits. A copy of `channels/` alone holds no key.

use std::path::{Path, PathBuf};

use pay::wire::{DecodeError, Reader, VERSION};
use pay::{Amount, ChannelId, ChannelTerms, KeyScheme, Tab, UnixMillis, Wire};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::approval::Act;
use crate::base64;
use crate::key::SecretKey;
use crate::secret::{NoRandomness, SecretBytes};
use crate::secret_box::{self, FRAME_BYTES, NONCE_BYTES};
use crate::store::{Folder, Lock, StoreError};

/// How far a channel has come, as far as this wallet has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelStatus {
    /// Its opening may have been sent, and was not seen on the chain.
    Prepared,
    Open,
    /// The payer closes alone: the dispute window runs.
    Closing,
    Closed,
    /// Its opening failed: there is no deposit.
    Failed,
}

/// A file of its own, written before anything is sent: a session key is never lost with a deposit on the chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelRecord {
    pub terms: ChannelTerms,
    pub deposit: Amount,
    pub expires_at: UnixMillis,
    pub status: ChannelStatus,
    /// Of the node that it is for: `https://node.example`.
    pub node_url: String,
    pub created: UnixMillis,
    /// Nonce, tag and the seed of the session key, sealed; base64. None: a page has the key, and this wallet only gave
    /// it a deposit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    /// Was sent, and not seen on the chain yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_up: Option<SentTopUp>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SentTopUp {
    /// The deposit before it.
    pub before: Amount,
    pub at: UnixMillis,
}

impl ChannelRecord {
    /// Whether a page pays from it, by itself: what it signs is not known here.
    pub const fn is_pages(&self) -> bool {
        self.sealed.is_none()
    }

    /// What a transaction that the chain took has made of it.
    pub fn apply(&mut self, act: &Act) {
        match *act {
            Act::Open { deposit, expires_at, .. } => {
                (self.status, self.deposit, self.expires_at) = (ChannelStatus::Open, deposit, expires_at);
            }
            Act::TopUp { by, .. } => {
                self.deposit = self.deposit.checked_add(by).unwrap_or(Amount::MAX);
                self.top_up = None;
            }
            _ => {}
        }
    }
}

/// The part that changes with each voucher.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The day (since 1970, UTC) of the last change, and the running total that was signed before it.
    pub day: u64,
    pub before_day: Amount,
    /// What the session that runs may sign at most.
    pub ceiling: Amount,
    pub tab: Option<Tab>,
}

impl Progress {
    pub(crate) fn spent(&self) -> Amount {
        self.tab.as_ref().map_or(Amount::ZERO, Tab::spent)
    }

    /// What `total` has of this day. To a clock that was set back it is still the day that it was.
    pub(crate) fn on_day(&self, day: u64, total: Amount) -> Amount {
        let before = if day > self.day { self.spent() } else { self.before_day };
        total.checked_sub(before).unwrap_or(Amount::ZERO)
    }

    /// From now on it is `day`; a clock that is set back changes nothing.
    pub(crate) fn begin_day(&mut self, day: u64) {
        if day > self.day {
            (self.day, self.before_day) = (day, self.spent());
        }
    }
}

impl Wire for Progress {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend(self.day.to_le_bytes());
        self.before_day.write(out);
        self.ceiling.write(out);
        self.tab.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version()?;
        Ok(Self {
            day: reader.u64("day")?,
            before_day: Amount::read(reader)?,
            ceiling: Amount::read(reader)?,
            tab: Option::read(reader)?,
        })
    }
}

const SEALING_KEY: &str = "session.key";
const RECORD_MAX: u64 = 16 << 10;
const PROGRESS_MAX: u64 = 16 << 10;

#[derive(Clone, Debug)]
pub(crate) struct ChannelStore {
    folder: Folder,
}

impl ChannelStore {
    pub(crate) const fn new(folder: Folder) -> Self {
        Self { folder }
    }

    fn path(id: ChannelId, file: &str) -> PathBuf {
        Path::new("channels").join(&id.to_string()[2..]).join(file)
    }

    /// Every channel there ever was: a closed one says what was spent.
    pub(crate) fn all(&self) -> Result<Vec<ChannelRecord>, StoreError> {
        let names = self.folder.names(Path::new("channels"))?;
        let ids = names.iter().filter_map(|name| format!("0x{name}").parse::<ChannelId>().ok());
        // A folder without a record is one whose making was cut off: nothing was sent.
        ids.filter_map(|id| self.record(id).transpose()).collect()
    }

    pub(crate) fn record(&self, id: ChannelId) -> Result<Option<ChannelRecord>, StoreError> {
        let path = Self::path(id, "channel.json");
        let Some(bytes) = self.folder.read(&path, RECORD_MAX)? else { return Ok(None) };
        let record: ChannelRecord =
            serde_json::from_slice(&bytes).map_err(|why| self.folder.damaged(&path, why))?;
        if record.terms.id() != id {
            return Err(self.folder.damaged(&path, "it is another channel's"));
        }
        Ok(Some(record))
    }

    pub(crate) fn write_record(&self, _lock: &Lock, record: &ChannelRecord) -> Result<(), StoreError> {
        let path = Self::path(record.terms.id(), "channel.json");
        self.folder.make(path.parent().unwrap_or(Path::new("")))?;
        let json = serde_json::to_vec_pretty(record).expect("texts and numbers are JSON");
        self.folder.write(&path, &json)
    }

    /// What a session holds as long as it runs.
    pub(crate) fn claim(&self, id: ChannelId) -> Result<Option<Lock>, StoreError> {
        self.folder.try_lock(&Self::path(id, "lock"))
    }

    pub(crate) fn progress(&self, id: ChannelId) -> Result<Progress, StoreError> {
        let path = Self::path(id, "tab");
        let Some(bytes) = self.folder.read(&path, PROGRESS_MAX)? else { return Ok(Progress::default()) };
        Progress::from_bytes(&bytes).map_err(|why| self.folder.damaged(&path, why))
    }

    /// For whoever has claimed the channel.
    pub(crate) fn write_progress(&self, id: ChannelId, progress: &Progress) -> Result<(), StoreError> {
        self.folder.write(&Self::path(id, "tab"), &progress.to_bytes())
    }

    /// A record with a new session key.
    pub(crate) fn record_with_key(
        &self,
        lock: &Lock,
        make: impl FnOnce(&SecretKey) -> ChannelTerms,
        node_url: &str,
        created: UnixMillis,
    ) -> Result<ChannelRecord, ChannelStoreError> {
        let seed = SecretBytes::random(32)?;
        let key = session_key(&seed);
        let sealed = Some(self.seal(lock, &seed)?);
        Ok(self.write_new(lock, make(&key), node_url, created, sealed)?)
    }

    /// A record without a key: a page has it.
    pub(crate) fn record_of_page(
        &self,
        lock: &Lock,
        terms: ChannelTerms,
        node_url: &str,
        created: UnixMillis,
    ) -> Result<ChannelRecord, StoreError> {
        self.write_new(lock, terms, node_url, created, None)
    }

    fn write_new(
        &self,
        lock: &Lock,
        terms: ChannelTerms,
        node_url: &str,
        created: UnixMillis,
        sealed: Option<String>,
    ) -> Result<ChannelRecord, StoreError> {
        let record = ChannelRecord {
            terms,
            deposit: Amount::ZERO,
            expires_at: UnixMillis(0),
            status: ChannelStatus::Prepared,
            node_url: node_url.to_owned(),
            created,
            sealed,
            top_up: None,
        };
        self.write_record(lock, &record)?;
        Ok(record)
    }

    fn seal(&self, lock: &Lock, seed: &SecretBytes) -> Result<String, ChannelStoreError> {
        let key = match self.sealing_key()? {
            Some(key) => key,
            None => self.new_sealing_key(lock)?,
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| NoRandomness)?;
        Ok(base64::encode(&secret_box::seal(&key, &nonce, seed)))
    }

    pub(crate) fn open_key(&self, record: &ChannelRecord) -> Result<SecretKey, ChannelStoreError> {
        let lost = || ChannelStoreError::KeyLost(record.terms.id());
        let Some(sealed) = &record.sealed else {
            return Err(ChannelStoreError::KeyIsPages(record.terms.id()));
        };
        let sealed = base64::decode(sealed).filter(|sealed| sealed.len() == FRAME_BYTES + 32);
        let key = self.sealing_key()?.ok_or_else(lost)?;
        let seed = sealed.and_then(|sealed| secret_box::open(&key, &sealed)).ok_or_else(lost)?;
        Ok(session_key(&seed))
    }

    fn sealing_key(&self) -> Result<Option<Zeroizing<[u8; 32]>>, StoreError> {
        let name = Path::new(SEALING_KEY);
        let Some(bytes) = self.folder.read(name, 32)?.map(Zeroizing::new) else { return Ok(None) };
        let key = bytes.first_chunk().ok_or_else(|| self.folder.damaged(name, "it is too short"))?;
        Ok(Some(Zeroizing::new(*key)))
    }

    fn new_sealing_key(&self, _lock: &Lock) -> Result<Zeroizing<[u8; 32]>, ChannelStoreError> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut key[..]).map_err(|_| NoRandomness)?;
        self.folder.write(Path::new(SEALING_KEY), &key[..])?;
        Ok(key)
    }
}

/// Ed25519: half as dear to check for a node.
fn session_key(seed: &SecretBytes) -> SecretKey {
    SecretKey::from_seed(KeyScheme::Ed25519, seed.first_chunk().expect("a seed has 32 bytes"))
}

#[derive(Debug, thiserror::Error)]
pub enum ChannelStoreError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The deposit comes back: by closing from the account, which needs no session key.
    #[error("the session key of channel {0} cannot be read: close the channel to get the deposit back")]
    KeyLost(ChannelId),
    #[error("a page has the session key of channel {0}: it is not paid from here")]
    KeyIsPages(ChannelId),
}
