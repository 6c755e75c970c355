//! Accounts that are unlocked, until they have not been used for a while. Time comes in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pay::key::{SignRefused, Signature};
use pay::{PublicKey, Signer};

use crate::key::SecretKey;

/// An account's key for as long as it is unlocked: locking takes the secret away from every handle.
#[derive(Clone, Debug)]
pub struct KeyHandle {
    public: PublicKey,
    key: Arc<Mutex<Option<SecretKey>>>,
}

impl KeyHandle {
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    fn key(&self) -> MutexGuard<'_, Option<SecretKey>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For those who have looked at what they sign: [`crate::Approved`].
    pub(crate) fn sign(&self, bytes: &[u8]) -> Result<Signature, SignRefused> {
        self.key().as_ref().ok_or(SignRefused)?.sign(bytes)
    }

    pub fn lock(&self) {
        self.key().take();
    }

    pub fn is_locked(&self) -> bool {
        self.key().is_none()
    }
}

impl From<SecretKey> for KeyHandle {
    fn from(key: SecretKey) -> Self {
        Self { public: key.public(), key: Arc::new(Mutex::new(Some(key))) }
    }
}

#[derive(Debug)]
pub struct Keyring {
    idle: Duration,
    unlocked: BTreeMap<PublicKey, (KeyHandle, Instant)>,
}

impl Keyring {
    /// An account that is not asked for in `idle` is locked.
    pub const fn new(idle: Duration) -> Self {
        Self { idle, unlocked: BTreeMap::new() }
    }

    pub fn unlock(&mut self, key: SecretKey, now: Instant) -> KeyHandle {
        let handle = KeyHandle::from(key);
        if let Some((before, _)) = self.unlocked.insert(handle.public, (handle.clone(), now)) {
            before.lock();
        }
        handle
    }

    /// `None` where it is locked. Asking prolongs it.
    pub fn handle(&mut self, public: &PublicKey, now: Instant) -> Option<KeyHandle> {
        self.lock_idle(now);
        let (handle, used) = self.unlocked.get_mut(public)?;
        *used = now;
        Some(handle.clone())
    }

    /// To be called when [`Keyring::next_lock`] comes.
    pub fn lock_idle(&mut self, now: Instant) {
        let idle = self.idle;
        self.unlocked.retain(|_, (handle, used)| {
            let stays = now.saturating_duration_since(*used) < idle && !handle.is_locked();
            if !stays {
                handle.lock();
            }
            stays
        });
    }

    pub fn next_lock(&self) -> Option<Instant> {
        self.unlocked.values().map(|(_, used)| *used + self.idle).min()
    }

    pub fn lock_all(&mut self) {
        self.unlocked.values().for_each(|(handle, _)| handle.lock());
        self.unlocked.clear();
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.lock_all();
    }
}

#[cfg(test)]
mod tests {
    use pay::KeyScheme;

    use super::*;

    const IDLE: Duration = Duration::from_secs(300);

    #[test]
    fn an_account_that_is_not_used_is_locked_and_so_is_every_handle_of_it() {
        let mut ring = Keyring::new(IDLE);
        let start = Instant::now();
        let handle = ring.unlock(SecretKey::from_seed(KeyScheme::Sr25519, &[1; 32]), start);
        let public = handle.public();
        assert_eq!(ring.next_lock(), Some(start + IDLE));
        // Used just in time, it stays.
        let later = start + IDLE - Duration::from_secs(1);
        assert!(ring.handle(&public, later).is_some() && handle.sign(b"x").is_ok());
        ring.lock_idle(later + IDLE - Duration::from_secs(1));
        assert!(handle.sign(b"x").is_ok());
        ring.lock_idle(later + IDLE);
        assert_eq!(handle.sign(b"x"), Err(SignRefused));
        assert!(ring.handle(&public, later + IDLE).is_none() && ring.next_lock().is_none());
    }

    #[test]
    fn locking_a_handle_or_the_ring_locks_the_account() {
        let mut ring = Keyring::new(IDLE);
        let now = Instant::now();
        let one = ring.unlock(SecretKey::from_seed(KeyScheme::Ed25519, &[1; 32]), now);
        let other = ring.unlock(SecretKey::from_seed(KeyScheme::Ed25519, &[2; 32]), now);
        one.lock();
        assert!(ring.handle(&one.public(), now).is_none());
        assert!(ring.handle(&other.public(), now).is_some());
        drop(ring);
        assert!(other.is_locked());
    }
}
