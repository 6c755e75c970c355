//! One player: its network task hands units to one thread, which decodes, waits for each picture's instant,
//! presents and measures.

mod inbox;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use codec::{AudioDecoder, CodecError, VideoDecoder, VideoDecoderConfig};
use media::burn_in::Stamp;
use media::{
    AudioTrack, Codec, Ladder, PROGRAMME_CHANNELS, PROGRAMME_RATE, Packet, Picture, Size, Slot, Timescale,
    WallTime, Worker,
};
use rtc::{LinkState, Network, PlayEvent, ReceivedUnit, Signalling, WhepConfig, WhepPlayer};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;

use crate::measurements::Measurements;
use crate::pay_session::Verdict;
use crate::pay_socket::PayHandle;
use crate::playout::{Lane, MediaTime, Playout, PlayoutConfig};
use crate::report::Snapshot;
use audiosink::Sound;
use inbox::Next;

/// Decoded pictures that wait for their instant: half a second at 30 a second. When full, the oldest is
/// presented early, since memory is bounded and a picture is worth more than its smoothness.
const WAITING_MAX: usize = 16;
/// A window that stands still is not waited for.
const DRAWING_MAX: Duration = Duration::from_millis(200);
/// Their mean counts: half a second at 30 a second.
const DRAWN_OF_LATE: u64 = 16;
/// The thread looks this often whether it is to end, and renews its snapshot.
const TURN: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub struct PlayerConfig {
    pub network: Network,
    /// Names renditions by their sizes.
    pub ladder: Ladder,
    pub playout: PlayoutConfig,
    /// Where what is decoded is heard; nowhere in a player that only measures.
    pub sound: Option<Sound>,
}

impl Default for PlayerConfig {
    fn default() -> Self {
        Self {
            network: Network::default(),
            ladder: Ladder::default_for(Size::new(1280, 720)),
            playout: PlayoutConfig::default(),
            sound: None,
        }
    }
}

#[derive(Debug, Error)]
pub enum PlayerError {
    #[error("no decoder: {0}")]
    Codec(#[from] CodecError),
    #[error("the player's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// A picture, and when it was handed out.
#[derive(Clone, Debug)]
pub struct PresentedPicture {
    pub picture: Picture,
    pub at: Instant,
}

/// How long a picture takes from being handed out to being on the screen: so much earlier it is handed out, and the sound
/// waits for it. Nothing until somebody who draws has told it.
#[derive(Clone, Debug, Default)]
pub struct DrawingTime(Arc<AtomicU64>);

impl DrawingTime {
    /// Of a picture that was just drawn. A single slow one changes little.
    pub fn measured(&self, taken: Duration) {
        let taken = u64::try_from(taken.min(DRAWING_MAX).as_micros()).unwrap_or(0);
        let known = self.0.load(Ordering::Relaxed);
        let next = if known == 0 { taken } else { known - known / DRAWN_OF_LATE + taken / DRAWN_OF_LATE };
        self.0.store(next, Ordering::Relaxed);
    }

    pub fn get(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Plays until it is closed or dropped.
pub struct Player {
    network: WhepPlayer,
    worker: Worker,
    latest: Arc<Mutex<Snapshot>>,
    pictures: Slot<PresentedPicture>,
    drawing: DrawingTime,
    is_paused: Arc<AtomicBool>,
    pay: Option<PayHandle>,
}

impl Player {
    /// Starts the network task on `runtime` and the player's thread, and returns at once.
    ///
    /// # Errors
    /// When FFmpeg lacks a decoder, or the system a thread.
    pub fn start(
        config: PlayerConfig,
        signalling: Arc<dyn Signalling>,
        runtime: &Handle,
    ) -> Result<Self, PlayerError> {
        Self::start_with(config, signalling, runtime, None)
    }

    /// The same for a stream that is paid: `pay` is told what plays, and nothing is shown once it left.
    ///
    /// # Errors
    /// When FFmpeg lacks a decoder, or the system a thread.
    pub fn start_paying(
        config: PlayerConfig,
        signalling: Arc<dyn Signalling>,
        runtime: &Handle,
        pay: PayHandle,
    ) -> Result<Self, PlayerError> {
        Self::start_with(config, signalling, runtime, Some(pay))
    }

    fn start_with(
        config: PlayerConfig,
        signalling: Arc<dyn Signalling>,
        runtime: &Handle,
        pay: Option<PayHandle>,
    ) -> Result<Self, PlayerError> {
        let started = Instant::now();
        let decoders = Decoders::open()?;
        let measurements = Measurements::new(started, config.ladder);
        let (network, events) = {
            let _inside = runtime.enter();
            WhepPlayer::connect(WhepConfig { network: config.network }, signalling)
        };
        let snapshot = Snapshot {
            state: LinkState::Connecting,
            report: measurements.report(started),
            network: network.stats(),
            size: None,
            jitter_delay_ms: None,
        };
        let latest = Arc::new(Mutex::new(snapshot));
        let (pictures, drawing) = (Slot::new(), DrawingTime::default());
        let is_paused = Arc::new(AtomicBool::new(false));
        let playing = Playing {
            playout: Playout::new(config.playout, started),
            decoders,
            measurements,
            waiting: VecDeque::new(),
            axes: Axes::default(),
            is_paused: Arc::clone(&is_paused),
            pay: pay.clone(),
            sound: config.sound,
            pictures: pictures.clone(),
            drawing: drawing.clone(),
            latest: Arc::clone(&latest),
        };
        let worker = Worker::spawn("watch-player", move |stop| {
            playing.run(events, || stop.is_set());
        })?;
        Ok(Self { network, worker, latest, pictures, drawing, is_paused, pay })
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        snapshot.state = self.network.state();
        snapshot.network = self.network.stats();
        snapshot
    }

    /// Shows and lets hear nothing, and pays for nothing, until it is resumed: then what is live.
    pub fn pause(&self) {
        self.is_paused.store(true, Ordering::Relaxed);
        if let Some(pay) = &self.pay {
            pay.pause();
        }
    }

    pub fn resume(&self) {
        self.is_paused.store(false, Ordering::Relaxed);
        if let Some(pay) = &self.pay {
            pay.resume();
        }
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// The newest presented picture, for who shows it.
    pub fn pictures(&self) -> Slot<PresentedPicture> {
        self.pictures.clone()
    }

    /// For who draws them to tell how long that takes.
    pub fn drawing(&self) -> DrawingTime {
        self.drawing.clone()
    }

    /// Ends the session at the server and returns the last snapshot.
    pub async fn close(self) -> Snapshot {
        let Self { network, worker, latest, .. } = self;
        let stats = network.stats();
        network.close().await;
        worker.stop_signal().set();
        // The thread ends within its turn, and holds no lock of ours while it waits.
        let joined = tokio::task::spawn_blocking(move || drop(worker)).await;
        debug_assert!(joined.is_ok(), "joining a thread does not fail");
        let mut snapshot = latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        snapshot.state = LinkState::Closed { reason: "closed".to_owned() };
        snapshot.network = stats;
        snapshot
    }
}

struct Decoders {
    video: VideoDecoder,
    audio: AudioDecoder,
}

impl Decoders {
    fn open() -> Result<Self, CodecError> {
        let sound = AudioTrack {
            codec: Codec::Opus,
            rate: PROGRAMME_RATE,
            channels: PROGRAMME_CHANNELS as u16,
            bitrate_kbps: 0,
            config: Bytes::new(),
        };
        Ok(Self {
            video: VideoDecoder::open(VideoDecoderConfig::default())?,
            audio: AudioDecoder::open(&sound)?,
        })
    }
}

/// The media timelines of both lanes; one that has no capture times yet gets one of its own, which begins
/// at its first arrival.
#[derive(Default)]
struct Axes {
    video: Option<i64>,
    audio: Option<i64>,
}

impl Axes {
    fn place(&mut self, lane: Lane, unit: &ReceivedUnit) -> MediaTime {
        if let Some(captured) = unit.captured {
            return MediaTime::captured(captured);
        }
        let origin = match lane {
            Lane::Video => &mut self.video,
            Lane::Audio => &mut self.audio,
        };
        let micros = unit.timestamp.rescale(Timescale::MICROS).ticks();
        MediaTime { micros: micros - *origin.get_or_insert(micros), synchronised: false }
    }
}

struct Waiting {
    picture: Picture,
    stamp: Option<Stamp>,
    timestamp: i64,
    /// On the screen.
    due: Instant,
}

/// What the player's thread owns.
struct Playing {
    playout: Playout,
    decoders: Decoders,
    measurements: Measurements,
    waiting: VecDeque<Waiting>,
    axes: Axes,
    is_paused: Arc<AtomicBool>,
    pay: Option<PayHandle>,
    sound: Option<Sound>,
    pictures: Slot<PresentedPicture>,
    drawing: DrawingTime,
    latest: Arc<Mutex<Snapshot>>,
}

impl Playing {
    fn run(mut self, mut events: Receiver<PlayEvent>, stopped: impl Fn() -> bool) {
        let mut snapshot_due = Instant::now();
        while !stopped() {
            let now = Instant::now();
            let drawing = self.drawing.get();
            let until = self.waiting.front().and_then(|first| first.due.checked_sub(drawing));
            let until = until.map_or(now + TURN, |due| due.min(now + TURN));
            match inbox::next_by(&mut events, until) {
                Next::Came(event) => self.take(event),
                // The network task ended.
                Next::Closed => break,
                Next::NotYet => {}
            }
            self.present();
            if Instant::now() >= snapshot_due {
                self.renew_snapshot();
                snapshot_due = Instant::now() + TURN;
            }
        }
        self.renew_snapshot();
    }

    fn take(&mut self, event: PlayEvent) {
        match event {
            PlayEvent::Video(unit) => self.take_video(&unit),
            PlayEvent::Audio(unit) => self.take_audio(&unit),
            // A new connection has new timestamps, and its pictures refer to none of the old.
            PlayEvent::State(LinkState::Up) => {
                self.axes = Axes::default();
                self.playout.reset(Lane::Video);
                self.playout.reset(Lane::Audio);
                self.decoders.video.resync();
                if let Some(pay) = &self.pay {
                    pay.media_up();
                }
            }
            PlayEvent::State(_) => {
                if let Some(pay) = &self.pay {
                    pay.media_lost();
                }
            }
        }
    }

    fn take_video(&mut self, unit: &ReceivedUnit) {
        let media_time = self.axes.place(Lane::Video, unit);
        if let Some(pay) = &self.pay {
            pay.came(Lane::Video, unit.timestamp.ticks(), unit.after_gap);
        }
        // What cannot be decoded is counted by what is missing; the network side asks for a key frame when
        // packets were lost, and the decoder waits for the next one.
        let Ok(pictures) = self.decoders.video.decode(&packet_of(unit)) else { return };
        for picture in pictures {
            let stamp = self.measurements.decoded(&picture);
            let due = self.playout.ready(Lane::Video, media_time, Instant::now() + self.drawing.get());
            let timestamp = picture.timestamp().rescale(Timescale::VIDEO).ticks();
            self.waiting.push_back(Waiting { picture, stamp, timestamp, due });
        }
    }

    fn rests(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    fn take_audio(&mut self, unit: &ReceivedUnit) {
        if self.rests() {
            return;
        }
        let media_time = self.axes.place(Lane::Audio, unit);
        // A damaged packet is a gap of 20 ms; the next one decodes again.
        let Ok(blocks) = self.decoders.audio.decode(&packet_of(unit)) else { return };
        // A loudspeaker needs its own time, which the pictures wait for, too.
        let heard = Instant::now() + self.sound.as_ref().map_or(Duration::ZERO, Sound::lead);
        let mut due = self.playout.ready(Lane::Audio, media_time, heard);
        if let Some(pay) = &self.pay {
            // What is decoded before it is due is heard in time.
            let late = heard.saturating_duration_since(due);
            pay.came(Lane::Audio, unit.timestamp.ticks(), unit.after_gap);
            if pay.showing(Lane::Audio, unit.timestamp.ticks(), late) == Verdict::Leave {
                return;
            }
        }
        for block in blocks {
            self.measurements.heard(&block, due);
            if let Some(sound) = &self.sound {
                sound.play(block.clone(), due);
            }
            due += Duration::from_secs_f64(block.frames() as f64 / f64::from(block.rate.max(1)));
        }
    }

    /// Shows what is due. Of pictures that are due together a screen shows the last.
    fn present(&mut self) {
        if self.rests() {
            // They were decoded because later ones refer to them.
            self.waiting.clear();
            self.measurements.rest();
            return;
        }
        let (now, drawing) = (Instant::now(), self.drawing.get());
        let seen = now + drawing;
        while let Some(first) = self.waiting.front() {
            if first.due > seen && self.waiting.len() <= WAITING_MAX {
                return;
            }
            let Some(shown) = self.waiting.pop_front() else { return };
            if self.waiting.front().is_some_and(|next| next.due <= seen) {
                continue;
            }
            if let Some(pay) = &self.pay
                && pay.showing(Lane::Video, shown.timestamp, seen.saturating_duration_since(shown.due))
                    == Verdict::Leave
            {
                continue;
            }
            let wall = WallTime::from_system(SystemTime::now() + drawing);
            self.measurements.presented(shown.stamp, seen, wall);
            self.pictures.put(PresentedPicture { picture: shown.picture, at: now });
        }
    }

    fn renew_snapshot(&self) {
        let report = self.measurements.report(Instant::now());
        let jitter = self.playout.jitter_delay(Lane::Video);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.report = report;
        latest.size = self.measurements.size();
        latest.jitter_delay_ms = jitter.map(|delay| delay.as_secs_f64() * 1e3);
    }
}

fn packet_of(unit: &ReceivedUnit) -> Packet {
    Packet {
        pts: unit.timestamp,
        dts: unit.timestamp,
        duration_ticks: 0,
        key: unit.key,
        payload: unit.payload.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_time_of_drawing_follows_what_is_measured_and_no_single_picture() {
        let drawing = DrawingTime::default();
        assert_eq!(drawing.get(), Duration::ZERO);
        drawing.measured(40 * MS);
        assert_eq!(drawing.get(), 40 * MS);
        drawing.measured(72 * MS);
        assert_eq!(drawing.get(), 42 * MS, "a sixteenth of the difference");
        (0..200).for_each(|_| drawing.measured(8 * MS));
        assert!(drawing.get() < 9 * MS, "{:?}", drawing.get());
        let stuck = DrawingTime::default();
        stuck.measured(Duration::from_secs(3_600));
        assert_eq!(stuck.get(), DRAWING_MAX);
    }
}
