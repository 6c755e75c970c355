//! What all handlers share: settings, store, streams and sessions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sfu::SfuHandle;

use crate::billing::Billing;
use crate::config::NodeConfig;
use crate::id::PlaybackId;
use crate::server::Addresses;
use crate::session::Sessions;
use crate::store::{Store, StreamRow};
use crate::stream::{self, Live, StreamHandle};
use crate::transcode::Transcoding;

pub struct App {
    config: NodeConfig,
    addresses: Addresses,
    store: Store,
    sfu: SfuHandle,
    sessions: Sessions,
    transcoding: Option<Arc<Transcoding>>,
    billing: Billing,
    streams: Mutex<BTreeMap<PlaybackId, StreamHandle>>,
    next_media_id: AtomicU64,
}

/// The node runs as many streams as it was allowed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyStreams;

impl App {
    pub fn new(
        config: NodeConfig,
        addresses: Addresses,
        store: Store,
        sfu: SfuHandle,
        billing: Billing,
    ) -> Self {
        let transcoding = Transcoding::new(&config.transcode, addresses.rtmp).map(Arc::new);
        Self {
            config,
            addresses,
            store,
            sfu,
            sessions: Sessions::default(),
            transcoding,
            billing,
            streams: Mutex::default(),
            next_media_id: AtomicU64::new(1),
        }
    }

    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn sfu(&self) -> &SfuHandle {
        &self.sfu
    }

    pub fn billing(&self) -> &Billing {
        &self.billing
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// `None` where nothing is transcoded.
    pub fn transcoding(&self) -> Option<&Transcoding> {
        self.transcoding.as_deref()
    }

    /// The running stream of `row`, started where there is none. Streams that nobody publishes to any more
    /// are put away to make room, but for those that somebody is about to publish to.
    pub fn stream(&self, row: StreamRow) -> Result<StreamHandle, TooManyStreams> {
        let mut streams = self.streams();
        if let Some(handle) = streams.get(&row.playback_id) {
            return Ok(handle.clone());
        }
        if streams.len() >= self.config.max_streams {
            // A stream that was given out may have a publisher before its task knows: put away, it would be live where
            // nobody finds it, beside another of the same key. Nobody else gets one while the map is locked.
            streams.retain(|_, handle| handle.live().epoch.is_some() || handle.is_held());
        }
        if streams.len() >= self.config.max_streams {
            return Err(TooManyStreams);
        }
        let media_id = sfu::StreamId(self.next_media_id.fetch_add(1, Ordering::Relaxed));
        let id = row.playback_id.clone();
        let handle =
            stream::spawn(row, media_id, self.sfu.clone(), self.store.clone(), self.transcoding.clone());
        streams.insert(id, handle.clone());
        Ok(handle)
    }

    pub fn running(&self, id: &PlaybackId) -> Option<StreamHandle> {
        self.streams().get(id).cloned()
    }

    pub fn by_media_id(&self, id: sfu::StreamId) -> Option<StreamHandle> {
        self.streams().values().find(|handle| handle.media_id == id).cloned()
    }

    pub fn live(&self, id: &PlaybackId) -> Option<Live> {
        self.running(id).map(|handle| handle.live())
    }

    /// How many streams are being published.
    pub fn live_streams(&self) -> usize {
        self.streams().values().filter(|handle| handle.live().epoch.is_some()).count()
    }

    /// Ends every broadcast properly.
    pub async fn end_broadcasts(&self) {
        let streams: Vec<StreamHandle> = self.streams().values().cloned().collect();
        for stream in streams {
            stream.end().await;
        }
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<PlaybackId, StreamHandle>> {
        // The map is whole between any two of its operations, also when a holder panicked.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
