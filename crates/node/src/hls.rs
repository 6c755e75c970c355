//! LL-HLS of one stream: what its task pushes, requests read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use media::{AudioTrack, Codec, FrameRate, Packet, RenditionName, StudioEpoch, VideoTrack};
use mux::aac::AudioSpecificConfig;
use mux::h264::{AvcConfig, H264Error};
use mux::hls::{Answer, Extent, File, Origin, OriginConfig, ReloadRequest, TrackName};
use tokio::sync::watch;

use crate::id::session_token;
use crate::stream::Lane;

/// What players are told of the sound's rate; only a hint for their first choice.
const SOUND_KBPS: u32 = 128;

/// Which codec the sound rendition carries: AAC; where nobody makes it, the first that came.
struct Sound {
    codec: Codec,
}

struct Broadcast {
    /// Counts those of the stream.
    number: u64,
    origin: Origin,
    /// The headers of each video rendition as last told.
    headers: BTreeMap<RenditionName, AvcConfig>,
    /// What each takes, in kbit/s, once it was measured.
    rates: BTreeMap<RenditionName, u32>,
    sound: Option<Sound>,
    told_overflow: bool,
}

/// Playlists and files of the current broadcast, or of the last.
pub struct HlsStream {
    broadcast: RwLock<Option<Broadcast>>,
    /// Whether Opus becomes AAC here.
    makes_aac: bool,
    /// What will be there; `None` while that is not known.
    expected: RwLock<Option<BTreeSet<Lane>>>,
    /// Broadcasts so far.
    begun: AtomicU64,
    /// Counts changes: waiting requests look again.
    changes: watch::Sender<u64>,
}

impl HlsStream {
    /// `makes_aac`: whether Opus becomes AAC on this node; else HLS carries Opus.
    pub fn new(makes_aac: bool) -> Self {
        // Without transcoders there is nothing to wait for.
        let expected = RwLock::new((!makes_aac).then(BTreeSet::new));
        let (begun, changes) = (AtomicU64::new(0), watch::Sender::new(0));
        Self { broadcast: RwLock::new(None), makes_aac, expected, begun, changes }
    }

    /// Lanes that will come, besides those that are there; `None` while that is not known.
    pub fn expect(&self, lanes: Option<BTreeSet<Lane>>) {
        let mut expected = self.expected.write().unwrap_or_else(PoisonError::into_inner);
        if *expected != lanes {
            *expected = lanes;
            drop(expected);
            self.changed();
        }
    }

    /// A rendition begins segments only where others do.
    pub fn follow(&self, name: RenditionName) {
        if let Some(broadcast) = &mut *self.write() {
            broadcast.origin.follow(TrackName::Video(name));
        }
    }

    /// A rendition's key frames begin segments.
    pub fn lead(&self, name: RenditionName) {
        if let Some(broadcast) = &mut *self.write() {
            broadcast.origin.lead(TrackName::Video(name));
        }
    }

    /// What a rendition takes in fact: players choose by it.
    pub fn set_rate(&self, name: RenditionName, kbps: u32) {
        if let Some(broadcast) = &mut *self.write() {
            broadcast.set_rate(name, kbps);
        }
    }

    /// Takes a lane away that nobody makes any more.
    pub fn remove(&self, lane: Lane) {
        if let Some(broadcast) = &mut *self.write() {
            broadcast.remove(lane);
        }
        self.changed();
    }

    /// Takes away what is none of `lanes`.
    pub fn keep_only(&self, lanes: &BTreeSet<Lane>) {
        let mut guard = self.write();
        let Some(broadcast) = &mut *guard else { return };
        let absent: Vec<_> = broadcast.lanes().filter(|lane| !lanes.contains(lane)).collect();
        absent.iter().for_each(|lane| broadcast.remove(*lane));
        drop(guard);
        if !absent.is_empty() {
            self.changed();
        }
    }

    /// A broadcast begins, with file names of its own.
    pub fn begin(&self, epoch: StudioEpoch) {
        let origin = Origin::new(OriginConfig::live(session_token(), epoch.wall()));
        let (headers, rates) = (BTreeMap::new(), BTreeMap::new());
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        *self.write() = Some(Broadcast { number, origin, headers, rates, sound: None, told_overflow: false });
        self.changed();
    }

    /// Whether there was a broadcast to play, now or before.
    pub fn has_begun(&self) -> bool {
        self.read().is_some()
    }

    /// The publisher's timeline changes.
    pub fn mark_discontinuity(&self) {
        if let Some(broadcast) = &mut *self.write() {
            broadcast.origin.discontinuity();
        }
        self.changed();
    }

    /// Lets go of what an ended broadcast left: there is nothing to play any more.
    pub fn forget(&self) {
        *self.write() = None;
        self.changed();
    }

    /// Playlists end; files stay until they are forgotten, or the next broadcast begins.
    pub fn end(&self) {
        if let Some(broadcast) = &mut *self.write() {
            broadcast.origin.finish();
        }
        self.changed();
    }

    /// Announces AAC with its AudioSpecificConfig. `false` where it cannot be served.
    pub fn set_aac(&self, config: &Bytes) -> bool {
        let mut broadcast = self.write();
        let Some(broadcast) = &mut *broadcast else { return false };
        if broadcast.sound.as_ref().is_some_and(|sound| sound.codec != Codec::Aac) {
            return false;
        }
        let Ok(parsed) = AudioSpecificConfig::parse(config) else { return false };
        let track = AudioTrack {
            codec: Codec::Aac,
            rate: parsed.rate,
            channels: parsed.channels,
            bitrate_kbps: SOUND_KBPS,
            config: config.clone(),
        };
        let set = broadcast.origin.set_audio(track).is_ok();
        if set {
            broadcast.sound = Some(Sound { codec: Codec::Aac });
        }
        set
    }

    /// Takes one packet of a lane.
    pub fn push(&self, lane: Lane, packet: &Packet) {
        let mut guard = self.write();
        let Some(broadcast) = &mut *guard else { return };
        let outputs = match lane {
            Lane::Video(name) => broadcast.push_video(name, packet),
            Lane::Audio(Codec::Opus) if self.makes_aac => 0,
            Lane::Audio(codec) => broadcast.push_sound(codec, packet),
        };
        drop(guard);
        if outputs > 0 {
            self.changed();
        }
    }

    /// Whether a rendition had more than a segment may hold; once for a broadcast.
    pub fn overflows_anew(&self) -> bool {
        let mut guard = self.write();
        let Some(broadcast) = guard.as_mut().filter(|broadcast| !broadcast.told_overflow) else {
            return false;
        };
        broadcast.told_overflow = broadcast.origin.overflows() > 0;
        broadcast.told_overflow
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The multivariant playlist, with `folder` in front of what it names; `None` until everything in it, and
    /// everything that will be, can be played.
    pub fn master(&self, folder: &str) -> Option<String> {
        let guard = self.read();
        let origin = &guard.as_ref()?.origin;
        self.is_complete(origin).then(|| origin.master(folder)).flatten()
    }

    fn is_complete(&self, origin: &Origin) -> bool {
        let expected = self.expected.read().unwrap_or_else(PoisonError::into_inner);
        let is_there = |lane: &Lane| match lane {
            Lane::Video(name) => origin.is_playable(TrackName::Video(*name)),
            Lane::Audio(_) => origin.is_playable(TrackName::Audio),
        };
        expected.as_ref().is_some_and(|expected| expected.iter().all(is_there))
    }

    /// The multivariant playlist of what can be played by now.
    pub fn master_of_playable(&self, folder: &str) -> Option<String> {
        self.read().as_ref()?.origin.master_of_playable(folder)
    }

    /// The same with pictures up to `best` alone, and once each rendition has a whole segment: what a player has to skip at
    /// its beginning would be paid for.
    pub fn master_up_to(&self, folder: &str, best: RenditionName) -> Option<String> {
        let guard = self.read();
        let origin = &guard.as_ref()?.origin;
        let is_whole = self.is_complete(origin) && origin.has_segments();
        is_whole.then(|| origin.master_up_to(folder, best)).flatten()
    }

    pub fn master_of_playable_up_to(&self, folder: &str, best: RenditionName) -> Option<String> {
        self.read().as_ref()?.origin.master_up_to(folder, best)
    }

    /// `None` where there is no such rendition.
    pub fn playlist(&self, name: &str, request: &ReloadRequest) -> Option<Answer> {
        let guard = self.read();
        let origin = &guard.as_ref()?.origin;
        origin.playlist(origin.track_of(name)?, request)
    }

    pub fn file(&self, name: &str) -> File {
        self.read().as_ref().map_or(File::Missing, |broadcast| broadcast.origin.file(name))
    }

    /// The number of the present broadcast; 0 where there is none.
    pub fn number(&self) -> u64 {
        self.read().as_ref().map_or(0, |broadcast| broadcast.number)
    }

    /// Of the broadcast of that number: a file, and which time it holds if it is media.
    pub fn metered_file(&self, number: u64, name: &str) -> (File, Option<Extent>) {
        match self.read().as_ref().filter(|broadcast| broadcast.number == number) {
            Some(broadcast) => (broadcast.origin.file(name), broadcast.origin.extent(name)),
            None => (File::Missing, None),
        }
    }

    /// Whether there are pictures.
    pub fn has_video(&self) -> bool {
        self.read().as_ref().is_some_and(|broadcast| broadcast.origin.has_video())
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    // A writer that panicked left the broadcast between two packets at worst: it can be read.
    fn read(&self) -> RwLockReadGuard<'_, Option<Broadcast>> {
        self.broadcast.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Broadcast>> {
        self.broadcast.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broadcast {
    fn lanes(&self) -> impl Iterator<Item = Lane> {
        let pictures = self.headers.keys().map(|name| Lane::Video(*name));
        pictures.chain(self.sound.as_ref().map(|sound| Lane::Audio(sound.codec)))
    }

    fn remove(&mut self, lane: Lane) {
        match lane {
            Lane::Video(name) => {
                self.headers.remove(&name);
                self.rates.remove(&name);
                self.origin.remove(TrackName::Video(name));
            }
            Lane::Audio(codec) => {
                if self.sound.take_if(|sound| sound.codec == codec).is_some() {
                    self.origin.remove(TrackName::Audio);
                }
            }
        }
    }

    /// How many pieces became ready.
    fn push_video(&mut self, name: RenditionName, packet: &Packet) -> usize {
        if packet.key
            && let Err(err) = self.announce(name, packet)
        {
            tracing::debug!("the headers of rendition {name} cannot be read: {err}");
        }
        if !self.headers.contains_key(&name) {
            return 0;
        }
        self.origin.push(TrackName::Video(name), packet).len()
    }

    /// Tells the origin of headers that are new.
    fn announce(&mut self, name: RenditionName, packet: &Packet) -> Result<(), H264Error> {
        let config = AvcConfig::from_annex_b(&packet.payload)?;
        if self.headers.get(&name) == Some(&config) {
            return Ok(());
        }
        self.set_video(name, config)
    }

    fn set_rate(&mut self, name: RenditionName, kbps: u32) {
        if self.rates.insert(name, kbps) != Some(kbps)
            && let Some(config) = self.headers.get(&name).cloned()
        {
            // Its headers were read before.
            let _ = self.set_video(name, config);
        }
    }

    fn set_video(&mut self, name: RenditionName, config: AvcConfig) -> Result<(), H264Error> {
        let sps = config.first_sps()?;
        let timing = sps.vui.and_then(|vui| vui.timing).and_then(|timing| timing.frame_rate());
        let track = VideoTrack {
            codec: Codec::H264,
            rendition: name,
            size: sps.size,
            frame_rate: timing.unwrap_or(FrameRate::FPS_30),
            bitrate_kbps: self.rates.get(&name).copied().unwrap_or(name.default_kbps()),
        };
        self.headers.insert(name, config.clone());
        // It can only refuse an SPS that it cannot read, and this one was just read.
        let _ = self.origin.set_video(track, config);
        Ok(())
    }

    fn push_sound(&mut self, codec: Codec, packet: &Packet) -> usize {
        if self.sound.is_none() && codec == Codec::Opus {
            let track = AudioTrack {
                codec,
                rate: media::PROGRAMME_RATE,
                channels: 2,
                bitrate_kbps: SOUND_KBPS,
                config: Bytes::new(),
            };
            if self.origin.set_audio(track).is_ok() {
                self.sound = Some(Sound { codec });
            }
        }
        match &self.sound {
            Some(sound) if sound.codec == codec => self.origin.push(TrackName::Audio, packet).len(),
            _ => 0,
        }
    }
}
