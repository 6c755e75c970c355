//! What every device has in common: it is opened and read in a thread of its own, watched with time limits,
//! and opened again when it is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use media::{StopSignal, Worker};

use crate::source::SourceStatus;

/// How long a device may take to deliver for the first time.
const OPEN_LIMIT: Duration = Duration::from_secs(8);
/// How long it may then stay silent.
const SILENCE_LIMIT: Duration = Duration::from_secs(2);
/// How long a driver may take to stop; then its thread is left to itself.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// Waits between attempts to open.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// What sort of thing it is, in the words of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(
    not(all(feature = "camera", feature = "screen")),
    allow(dead_code, reason = "the kinds that were left out are never opened")
)]
pub enum Kind {
    Camera,
    Microphone,
    Screen,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Screen => "screen",
        }
    }

    /// What it means that one delivers nothing.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Camera | Self::Screen => "Viewers see a slate instead.",
            Self::Microphone => "Viewers hear silence instead.",
        }
    }
}

/// Why a device delivers nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    Missing,
    Busy,
    Refused,
    Unplugged,
    Silent,
    /// The driver does not return; nothing can be done until it does.
    Hangs,
    /// One of this name came after the studio had started without any: it is not opened.
    Unused(String),
    /// The device or its server says something else.
    Other(String),
}

impl Failure {
    /// What happened, what it means, what to do.
    pub fn message(&self, kind: Kind, name: &str) -> String {
        let word = kind.word();
        let name = if let Self::Unused(found) = self { found } else { name };
        let (happened, to_do) = match self {
            Self::Missing => (
                format!("The {word} “{name}” is not there."),
                "Connect it, or choose another one; it is used as soon as it appears.",
            ),
            Self::Busy => (
                format!("The {word} “{name}” is used by another program."),
                "Close that program; it is used as soon as it is free.",
            ),
            Self::Refused => (
                format!("The system does not allow access to the {word} “{name}”."),
                "Allow it in the system's privacy settings, or on Linux add yourself to the group “video” \
                 or “audio”.",
            ),
            Self::Unplugged => (
                format!("The {word} “{name}” was disconnected."),
                "Connect it again; it is used as soon as it is back.",
            ),
            Self::Silent => (
                format!("The {word} “{name}” stopped delivering."),
                "It is being opened again; if that does not help, reconnect it.",
            ),
            Self::Hangs => (
                format!("The driver of the {word} “{name}” does not answer."),
                "Reconnect the device, or restart the program.",
            ),
            Self::Unused(_) => (
                format!("The {word} “{name}” is there now, and is not used."),
                "Close the studio and open it again to use it.",
            ),
            Self::Other(detail) => (
                format!("The {word} “{name}” could not be used: {detail}."),
                "It is tried again; choose another one if that does not help.",
            ),
        };
        format!("{happened} {} {to_do}", kind.meaning())
    }
}

/// Opens a device and delivers what it gives until it fails or is told to stop. Runs in a thread of its own
/// and may block.
pub trait Driver: Send + Sync + 'static {
    fn run(&self, session: &Session<'_>) -> Result<(), Failure>;
}

/// What a driver is handed for one run.
pub struct Session<'a> {
    stop: &'a StopSignal,
    delivered: &'a AtomicU64,
    health: &'a Health,
}

impl Session<'_> {
    pub fn is_stopping(&self) -> bool {
        self.stop.is_set()
    }

    /// Says that the device delivered.
    pub fn delivered(&self) {
        // A driver that was given up and comes to itself has no say any more.
        if !self.stop.is_set() && self.delivered.fetch_add(1, Ordering::Relaxed) == 0 {
            self.health.set(State::Live);
        }
    }
}

/// How a device is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    Opening,
    Live,
    Lost(Failure),
}

/// Its state, and whoever waits for its first word.
#[derive(Debug)]
struct Health {
    state: Mutex<State>,
    told: Condvar,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.state() = state;
        self.told.notify_all();
    }
}

/// A device that is kept open as long as this lives.
#[derive(Debug)]
pub struct Device {
    kind: Kind,
    name: String,
    health: Arc<Health>,
    /// Ends within `STOP_LIMIT` of being dropped, even when the driver hangs.
    _watch: Option<Worker>,
}

impl Device {
    /// Opens it in the background. `lost` is called whenever it stops delivering, to throw away what is old.
    pub fn open(
        kind: Kind,
        name: impl Into<String>,
        driver: impl Driver,
        lost: impl Fn() + Send + 'static,
    ) -> Self {
        let name = name.into();
        let health = Arc::new(Health { state: Mutex::new(State::Opening), told: Condvar::new() });
        let watch = Watch { kind, health: Arc::clone(&health), driver: Arc::new(driver) };
        let worker = Worker::spawn(format!("{} watch", kind.word()), move |stop| watch.run(stop, &lost));
        let worker = worker.inspect_err(|error| {
            health.set(State::Lost(Failure::Other(format!("no thread could be started ({error})"))));
        });
        Self { kind, name, health, _watch: worker.ok() }
    }

    pub fn status(&self) -> SourceStatus {
        match &*self.health.state() {
            State::Opening => SourceStatus::Opening,
            State::Live => SourceStatus::Live,
            State::Lost(failure) => SourceStatus::Lost { message: failure.message(self.kind, &self.name) },
        }
    }

    pub fn state(&self) -> State {
        self.health.state().clone()
    }

    /// Waits until it delivered or failed for the first time, for at most `limit`.
    pub fn first_word(&self, limit: Duration) -> State {
        let opening = |state: &mut State| *state == State::Opening;
        let waited = self.health.told.wait_timeout_while(self.health.state(), limit, opening);
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

struct Watch<D> {
    kind: Kind,
    health: Arc<Health>,
    driver: Arc<D>,
}

/// One run of the driver.
struct Run {
    worker: Worker,
    delivered: Arc<AtomicU64>,
    ended: Arc<Mutex<Option<Failure>>>,
}

impl<D: Driver> Watch<D> {
    fn run(&self, stop: &StopSignal, lost: &dyn Fn()) {
        let mut retry = FIRST_RETRY;
        while !stop.is_set() {
            let (failure, delivered) = match self.start() {
                Ok(run) => self.watch(run, stop, lost),
                Err(error) => (Failure::Other(format!("no thread could be started ({error})")), false),
            };
            if stop.is_set() {
                return;
            }
            self.report(&failure);
            lost();
            retry = if delivered { FIRST_RETRY } else { retry };
            let until = Instant::now() + retry;
            while !stop.is_set()
                && let Some(left) = until.checked_duration_since(Instant::now())
            {
                thread::park_timeout(left);
            }
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    fn report(&self, failure: &Failure) {
        let mut state = self.health.state();
        let lost = State::Lost(failure.clone());
        if *state == lost {
            return;
        }
        match (&*state, failure) {
            // Nobody lost anything: whoever needs it is told by its status.
            (State::Opening | State::Lost(Failure::Unused(_)), Failure::Missing) => {
                tracing::info!(kind = self.kind.word(), "a device is not there");
            }
            (_, Failure::Unused(_)) => tracing::info!(kind = self.kind.word(), "there is a device"),
            _ => tracing::warn!(kind = self.kind.word(), ?failure, "a device was lost"),
        }
        *state = lost;
        self.health.told.notify_all();
    }

    fn start(&self) -> std::io::Result<Run> {
        let delivered = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(Mutex::new(None));
        let worker = {
            let (delivered, ended) = (Arc::clone(&delivered), Arc::clone(&ended));
            let (driver, health) = (Arc::clone(&self.driver), Arc::clone(&self.health));
            let watch: Thread = thread::current();
            Worker::spawn(self.kind.word(), move |stop| {
                let session = Session { stop, delivered: &delivered, health: &health };
                // Device libraries panic where a device misbehaves; that must cost one device, not the show.
                let result = catch_unwind(AssertUnwindSafe(|| driver.run(&session)));
                let failure = match result {
                    Ok(Ok(())) => Failure::Silent,
                    Ok(Err(failure)) => failure,
                    Err(_) => Failure::Other("its driver failed unexpectedly".into()),
                };
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                watch.unpark();
            })?
        };
        Ok(Run { worker, delivered, ended })
    }

    /// Waits until the run ends, or ends it when it is silent for too long or the device is closed. Says
    /// why, and whether it delivered at all.
    fn watch(&self, run: Run, stop: &StopSignal, lost: &dyn Fn()) -> (Failure, bool) {
        let mut seen = 0;
        let mut deadline = Instant::now() + OPEN_LIMIT;
        loop {
            if let Some(failure) = run.ended.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                // It has nothing left to do but return, so dropping it does not wait.
                return (failure, seen > 0);
            }
            let now = Instant::now();
            let delivered = run.delivered.load(Ordering::Relaxed);
            if delivered != seen {
                (seen, deadline) = (delivered, now + SILENCE_LIMIT);
            }
            if stop.is_set() || now >= deadline {
                let failure = if seen > 0 { Failure::Silent } else { Failure::Hangs };
                if !stop.is_set() {
                    self.report(&failure);
                    lost();
                }
                self.end(run, stop);
                return (failure, seen > 0);
            }
            thread::park_timeout((deadline - now).min(SILENCE_LIMIT / 8));
        }
    }

    /// Tells the driver to stop and waits: for `STOP_LIMIT` once the device is closed, else for as long as
    /// it hangs, since a second one beside it would find the device busy and hang as well.
    fn end(&self, run: Run, stop: &StopSignal) {
        run.worker.stop_signal().set();
        run.worker.unpark();
        let mut give_up = None;
        while !run.worker.is_finished() {
            if stop.is_set() && Instant::now() >= *give_up.get_or_insert_with(|| Instant::now() + STOP_LIMIT)
            {
                tracing::warn!(kind = self.kind.word(), "a driver does not stop; its thread is left behind");
                return run.worker.abandon();
            }
            thread::park_timeout(STOP_LIMIT / 20);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// What a scripted driver does in each of its runs.
    enum Act {
        Fail(Failure),
        Panic,
        DeliverThenFail(Failure),
        /// Delivers, then blocks in the "driver" until the channel closes, whatever it is told.
        DeliverThenHang(Receiver<()>),
    }

    struct Scripted(Mutex<Receiver<Act>>);

    impl Driver for Scripted {
        fn run(&self, session: &Session<'_>) -> Result<(), Failure> {
            let act = self.0.lock().unwrap().recv();
            match act {
                Ok(Act::Fail(failure)) => Err(failure),
                Ok(Act::Panic) => panic!("as a device library does"),
                Ok(Act::DeliverThenFail(failure)) => {
                    session.delivered();
                    Err(failure)
                }
                Ok(Act::DeliverThenHang(until)) => {
                    session.delivered();
                    let _ = until.recv();
                    Ok(())
                }
                Err(_) => Err(Failure::Missing),
            }
        }
    }

    fn scripted() -> (SyncSender<Act>, Device, Receiver<()>) {
        let (acts, script) = sync_channel(8);
        let (lost, losses) = sync_channel(64);
        let device = Device::open(Kind::Camera, "Front", Scripted(Mutex::new(script)), move || {
            let _ = lost.try_send(());
        });
        (acts, device, losses)
    }

    fn wait_for(device: &Device, what: impl Fn(&SourceStatus) -> bool) -> SourceStatus {
        let limit = Instant::now() + Duration::from_secs(20);
        loop {
            let status = device.status();
            if what(&status) {
                return status;
            }
            assert!(Instant::now() < limit, "the status stays {status:?}");
            thread::yield_now();
        }
    }

    fn says(status: &SourceStatus, words: &str) -> bool {
        matches!(status, SourceStatus::Lost { message } if message.contains(words))
    }

    #[test]
    fn a_device_that_fails_says_why_and_is_opened_again() {
        let (acts, device, losses) = scripted();
        assert_eq!(device.status(), SourceStatus::Opening);
        acts.send(Act::Fail(Failure::Busy)).unwrap();
        let status = wait_for(&device, |status| says(status, "used by another program"));
        assert!(says(&status, "“Front”") && says(&status, "slate"));
        acts.send(Act::Panic).unwrap();
        wait_for(&device, |status| says(status, "failed unexpectedly"));
        let (release, until) = sync_channel(1);
        acts.send(Act::DeliverThenHang(until)).unwrap();
        wait_for(&device, |status| *status == SourceStatus::Live);
        assert!(losses.iter().take(2).count() == 2);
        drop(release);
    }

    #[test]
    fn a_device_that_goes_silent_is_lost_and_comes_back() {
        let (acts, device, _losses) = scripted();
        let (release, until) = sync_channel(1);
        acts.send(Act::DeliverThenHang(until)).unwrap();
        wait_for(&device, |status| says(status, "stopped delivering"));
        drop(release);
        acts.send(Act::DeliverThenFail(Failure::Unplugged)).unwrap();
        wait_for(&device, |status| says(status, "was disconnected"));
    }

    #[test]
    fn closing_does_not_wait_for_a_driver_that_hangs() {
        let (acts, device, _losses) = scripted();
        let (release, until) = sync_channel(1);
        acts.send(Act::DeliverThenHang(until)).unwrap();
        wait_for(&device, |status| *status == SourceStatus::Live);
        // Returns at all: the driver is still blocked on `until`.
        drop(device);
        drop(release);
    }
}
