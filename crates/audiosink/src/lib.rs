//! Sound on a loudspeaker, each sample at the instant at which it is due: what a viewer hears, and a creator.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use media::{AudioBlock, PROGRAMME_RATE, Timescale, Timestamp, Worker};
use mixer::{InputId, InputSettings, MIN_LATENCY, Mixer, Mute, gain_to_db};
use speaker::OutputStream;

/// Blocks that wait for the thread; with blocks of 20 ms a second. When full the newest is lost.
const WAITING: usize = 50;
/// What is given to the device ahead of time: as much as the system may keep this thread from running.
const AHEAD: Duration = Duration::from_millis(30);
const BUFFER: Duration = Duration::from_millis(200);
const TURN: Duration = Duration::from_millis(5);
const BLOCK: Duration = Duration::from_millis(10);
/// A device that is missing, or was lost, is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Further from where the device is than this, what is heard jumps; nearer, it is led there unheard.
const JUMP: f64 = 0.06;
/// The share of a distance that one block takes back: a device's own jitter is many times as fast.
const LED: f64 = 0.02;

/// What a person sets, and what became of it.
struct Shared {
    /// The bits of a share of full volume.
    volume: AtomicU32,
    is_muted: AtomicBool,
    /// From decoded to heard.
    lead_micros: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// The way to a loudspeaker. Clones are the same; the last one to go closes it.
#[derive(Clone)]
pub struct Sound {
    blocks: SyncSender<(AudioBlock, Instant)>,
    shared: Arc<Shared>,
    worker: Arc<Worker>,
}

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sound").field("volume", &self.volume()).finish_non_exhaustive()
    }
}

impl Sound {
    /// On the device of this id or name, or the system's own. One that is not there is waited for.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(device: Option<String>) -> std::io::Result<Self> {
        let (blocks, waiting) = sync_channel(WAITING);
        let shared = Arc::new(Shared {
            volume: AtomicU32::new(1.0_f32.to_bits()),
            is_muted: AtomicBool::new(false),
            lead_micros: AtomicU64::new(0),
            failure: Mutex::default(),
        });
        let told = Arc::clone(&shared);
        let worker = Worker::spawn("audiosink", move |stop| {
            Playing::new(device, told).run(&waiting, || stop.is_set());
        })?;
        Ok(Self { blocks, shared, worker: Arc::new(worker) })
    }

    /// Closes it without waiting for the device, where this is the last clone.
    pub fn leave(self) {
        let Self { blocks, worker, .. } = self;
        // Its thread ends by that, as soon as the device lets it.
        drop(blocks);
        if let Some(worker) = Arc::into_inner(worker) {
            worker.abandon();
        }
    }

    /// Heard from `due` on. What comes faster than it plays for a second is lost.
    pub fn play(&self, block: AudioBlock, due: Instant) {
        let _ = self.blocks.try_send((block, due));
    }

    /// How long before it is due a block has to be here; nothing while nothing is heard.
    pub fn lead(&self) -> Duration {
        Duration::from_micros(self.shared.lead_micros.load(Ordering::Relaxed))
    }

    /// A share of full volume.
    pub fn volume(&self) -> f32 {
        f32::from_bits(self.shared.volume.load(Ordering::Relaxed))
    }

    pub fn set_volume(&self, share: f32) {
        self.shared.volume.store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    pub fn is_muted(&self) -> bool {
        self.shared.is_muted.load(Ordering::Relaxed)
    }

    pub fn set_muted(&self, is_muted: bool) {
        self.shared.is_muted.store(is_muted, Ordering::Relaxed);
    }

    /// Why nothing is heard, if the device is the reason.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the sound's thread owns.
struct Playing {
    device: Option<String>,
    shared: Arc<Shared>,
    /// Instants become times of the mixer against this.
    epoch: Instant,
    mixer: Mixer,
    input: InputId,
    stream: Option<OutputStream>,
    look_at: Instant,
    /// Where the next block lies, in seconds.
    next: Option<f64>,
}

impl Playing {
    fn new(device: Option<String>, shared: Arc<Shared>) -> Self {
        let mut mixer = Mixer::new(MIN_LATENCY);
        let input = mixer.add_input(InputSettings::default());
        let now = Instant::now();
        // A little before anything that may be due.
        let epoch = now.checked_sub(Duration::from_secs(10)).unwrap_or(now);
        Self { device, shared, epoch, mixer, input, stream: None, look_at: now, next: None }
    }

    fn run(mut self, waiting: &Receiver<(AudioBlock, Instant)>, stopped: impl Fn() -> bool) {
        while !stopped() {
            match waiting.recv_timeout(TURN) {
                Ok((block, due)) => self.take(block, due),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok((block, due)) = waiting.try_recv() {
                self.take(block, due);
            }
            self.keep_open();
            self.feed();
        }
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.epoch).as_secs_f64()
    }

    fn take(&mut self, block: AudioBlock, due: Instant) {
        let micros = due.saturating_duration_since(self.epoch).as_micros();
        let timestamp = Timestamp::new(i64::try_from(micros).unwrap_or(i64::MAX), Timescale::MICROS);
        // A rate or a channel that no device has was made by no decoder of ours.
        if let Err(err) = self.mixer.push(self.input, &AudioBlock { timestamp, ..block }) {
            tracing::warn!("a block of sound is not heard: {err}");
        }
    }

    fn keep_open(&mut self) {
        let lost = self.stream.as_ref().and_then(OutputStream::error);
        if let Some(err) = lost {
            self.fail(err.to_string());
        }
        let now = Instant::now();
        if self.stream.is_some() || now < self.look_at {
            return;
        }
        self.look_at = now + LOOK_AGAIN;
        match OutputStream::open(self.device.as_deref(), PROGRAMME_RATE, BUFFER) {
            Ok(stream) => {
                self.stream = Some(stream);
                self.next = None;
                *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            Err(err) => self.fail(err.to_string()),
        }
    }

    fn fail(&mut self, reason: String) {
        self.stream = None;
        self.shared.lead_micros.store(0, Ordering::Relaxed);
        *self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn feed(&mut self) {
        self.set_level();
        loop {
            let Some(stream) = self.stream.as_ref() else { return };
            if stream.queued() >= AHEAD {
                return;
            }
            let (now, delay) = (Instant::now(), stream.delay());
            let start = lead(self.next, self.seconds(now + delay));
            let mixed = self.mixer.mix(mixer_time(start));
            self.next = Some(start + BLOCK.as_secs_f64());
            let Some(stream) = self.stream.as_mut() else { return };
            // There is room: less than is kept ahead waits.
            stream.push(&mixed.block.samples);
            let lead = delay + BLOCK + latency();
            self.shared.lead_micros.store(lead.as_micros() as u64, Ordering::Relaxed);
        }
    }

    fn set_level(&mut self) {
        let volume = f32::from_bits(self.shared.volume.load(Ordering::Relaxed));
        let is_muted = volume <= 0.0 || self.shared.is_muted.load(Ordering::Relaxed);
        // What ears take for half of the way is about a tenth of the power: the square of the share.
        let gain_db = gain_to_db((volume * volume).max(1e-4));
        let mute = if is_muted { Mute::Muted } else { Mute::Heard };
        let settings = InputSettings { gain_db, mute, ..InputSettings::default() };
        // It was added when the mixer was made.
        let _ = self.mixer.set_input(self.input, settings);
    }
}

/// What the mixer itself adds.
fn latency() -> Duration {
    Duration::from_secs_f64(MIN_LATENCY.as_secs_f64())
}

/// The time to ask the mixer for, so that what is due at `seconds` is heard then.
fn mixer_time(seconds: f64) -> Timestamp {
    Timestamp::new((seconds * 1e6).round() as i64, Timescale::MICROS).plus(MIN_LATENCY)
}

/// Where the next block begins: after the last one, led towards where the device is.
fn lead(next: Option<f64>, device: f64) -> f64 {
    match next {
        Some(next) if (device - next).abs() < JUMP => next + (device - next) * LED,
        _ => device,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_each_other_through_a_devices_jitter_and_jump_where_it_was_away() {
        // Ten milliseconds a block, as the device is now 3 ms early and now 3 ms late.
        let (mut next, mut starts) = (None, Vec::new());
        for block in 0..200 {
            let device = f64::from(block) * 0.01 + if block % 2 == 0 { 0.003 } else { -0.003 };
            let start = lead(next, device);
            starts.push(start);
            next = Some(start + 0.01);
        }
        let steps = starts.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.clone().all(|step| (step - 0.01).abs() < 0.000_2), "{:?}", steps.collect::<Vec<_>>());
        // In the middle of the jitter in the end.
        assert!((starts[199] - 1.99).abs() < 0.000_5, "{}", starts[199]);
        assert_eq!(lead(next, 7.0), 7.0);
        assert_eq!(lead(None, 1.5), 1.5);
    }

    #[test]
    fn a_system_without_that_device_says_so_and_plays_on() {
        let sound = Sound::start(Some("no such loudspeaker".into())).expect("a thread");
        let begun = Instant::now();
        while sound.failure().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it says nothing");
            std::thread::yield_now();
        }
        assert_eq!(sound.lead(), Duration::ZERO);
        (0..200).for_each(|_| sound.play(AudioBlock::silence(Timestamp::new(0, Timescale::MICROS)), begun));
        sound.set_volume(7.0);
        assert_eq!(sound.volume(), 1.0);
    }
}
