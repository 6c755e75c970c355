//! Who plays a stream without being in its task: WebRTC viewers, RTMP players and LL-HLS requests. Read by the task.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An LL-HLS player asks several times a second, others each two to six; after so long without one there is
/// nobody.
const HLS_PRESENT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Presence {
    begun: Instant,
    /// The WebRTC viewers that are connected.
    viewers: Mutex<BTreeSet<sfu::PeerId>>,
    players: AtomicU32,
    /// Milliseconds since `begun`, plus one; 0 for never.
    hls_asked: AtomicU64,
    /// Packets of WebRTC publishers for which the task had no room.
    lost: AtomicU64,
}

impl Presence {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            viewers: Mutex::default(),
            players: AtomicU32::new(0),
            hls_asked: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(super) fn viewer_joined(&self, peer: sfu::PeerId) {
        self.open().insert(peer);
    }

    /// Which perhaps never was connected.
    pub(super) fn viewer_left(&self, peer: sfu::PeerId) {
        self.open().remove(&peer);
    }

    /// How many WebRTC viewers there are.
    pub fn viewers(&self) -> u32 {
        u32::try_from(self.open().len()).unwrap_or(u32::MAX)
    }

    /// A publisher's packet found no room: how many that makes.
    pub(super) fn lose(&self) -> u64 {
        self.lost.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn open(&self) -> MutexGuard<'_, BTreeSet<sfu::PeerId>> {
        // The set is whole between any two of its operations, also when a holder panicked.
        self.viewers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody asked for a playlist or a file of LL-HLS.
    pub fn hls_asked(&self) {
        self.note_hls(Instant::now());
    }

    fn note_hls(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.begun).as_millis() as u64;
        self.hls_asked.store(ms + 1, Ordering::Relaxed);
    }

    /// Whether somebody plays LL-HLS.
    pub fn has_hls(&self, now: Instant) -> bool {
        let Some(ms) = self.hls_asked.load(Ordering::Relaxed).checked_sub(1) else { return false };
        now.saturating_duration_since(self.begun + Duration::from_millis(ms)) < HLS_PRESENT
    }

    /// How many RTMP players there are.
    pub fn players(&self) -> u32 {
        self.players.load(Ordering::Relaxed)
    }
}

/// One RTMP player, which leaves when this is dropped.
#[derive(Debug)]
pub struct PlayerGuard(Arc<Presence>);

impl PlayerGuard {
    pub fn enter(presence: &Arc<Presence>) -> Self {
        presence.players.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(presence))
    }
}

impl Drop for PlayerGuard {
    fn drop(&mut self) {
        self.0.players.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_of_hls_is_there_for_ten_seconds_after_its_last_request() {
        let presence = Presence::new();
        let start = presence.begun;
        assert!(!presence.has_hls(start));
        presence.note_hls(start);
        assert!(presence.has_hls(start) && presence.has_hls(start + Duration::from_millis(9_999)));
        presence.note_hls(start + Duration::from_secs(5));
        assert!(presence.has_hls(start + Duration::from_secs(14)));
        assert!(!presence.has_hls(start + Duration::from_secs(15)));
    }

    #[test]
    fn a_player_of_rtmp_is_there_until_it_is_dropped() {
        let presence = Arc::new(Presence::new());
        let first = PlayerGuard::enter(&presence);
        let second = PlayerGuard::enter(&presence);
        assert_eq!(presence.players(), 2);
        drop(first);
        drop(second);
        assert_eq!(presence.players(), 0);
    }
}
