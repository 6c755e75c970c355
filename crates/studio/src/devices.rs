//! What there is on this machine to add as a source.

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::{Duration, Instant};

use capture::ScreenTarget;
use media::Worker;

use crate::broadcast::{Sound, Source};

/// How long drivers, display and sound servers may take to say what there is.
pub const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// More than this of a kind nobody reads in a menu.
const LISTED_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    Camera,
    Screen,
    Window,
    Microphone,
}

/// Something that can be a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDevice {
    pub kind: DeviceKind,
    /// What a source names it by.
    pub id: String,
    /// What a person calls it.
    pub words: String,
}

impl FoundDevice {
    fn new(kind: DeviceKind, id: impl Into<String>, words: impl Into<String>) -> Self {
        Self { kind, id: id.into(), words: words.into() }
    }

    /// It as a picture source called `name`; `None` for what is heard.
    pub fn source(&self, name: impl Into<String>) -> Option<Source> {
        let (name, id) = (name.into(), self.id.clone());
        match self.kind {
            DeviceKind::Camera => Some(Source::Camera { name, device: id, or_synthetic: false }),
            DeviceKind::Screen => Some(Source::Screen { name, display: id, window: String::new() }),
            DeviceKind::Window => Some(Source::Screen { name, display: String::new(), window: id }),
            DeviceKind::Microphone => None,
        }
    }

    /// It as a sound called `name`, at its own level; `None` for what is seen.
    pub fn sound(&self, name: impl Into<String>) -> Option<Sound> {
        let (name, device) = (name.into(), self.id.clone());
        let microphone = Sound::Microphone { name, gain_db: 0.0, muted: false, device, or_synthetic: false };
        (self.kind == DeviceKind::Microphone).then_some(microphone)
    }
}

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// By kind, each in the system's order.
    pub found: Vec<FoundDevice>,
    /// Whose driver or server has not answered in time.
    pub silent: Vec<DeviceKind>,
}

/// Asks for some kinds, in a thread that may hang.
type Ask = fn() -> Vec<FoundDevice>;

/// One listing, and the thread that it runs on.
struct Listing {
    kinds: &'static [DeviceKind],
    ask: Ask,
    under_way: Option<(Worker, Receiver<Vec<FoundDevice>>)>,
    found: Option<Vec<FoundDevice>>,
}

impl Listing {
    /// One that has not answered yet is not asked a second time: what hangs, hangs once.
    fn begin(&mut self) {
        self.found = None;
        if self.under_way.is_some() {
            return;
        }
        let (sender, answers) = sync_channel(1);
        let ask = self.ask;
        let listing = Worker::spawn("devices", move |_| {
            // Nobody waits any more where the list is gone.
            let _ = sender.send(ask());
        });
        match listing {
            Ok(worker) => self.under_way = Some((worker, answers)),
            Err(err) => tracing::warn!("devices are not listed: {err}"),
        }
    }

    /// Takes the answer, if it is there.
    fn look(&mut self) {
        let Some((_, answers)) = &self.under_way else { return };
        match answers.try_recv() {
            Ok(found) => self.found = Some(found),
            Err(TryRecvError::Empty) => return,
            // The library panicked: there is nothing of this kind to use.
            Err(TryRecvError::Disconnected) => self.found = Some(Vec::new()),
        }
        self.under_way = None;
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        if let Some((worker, _)) = self.under_way.take() {
            worker.abandon();
        }
    }
}

/// Lists devices without holding anybody up: [`DeviceList::look`] begins, and [`DeviceList::found`] tells as soon as
/// there is an answer.
pub struct DeviceList {
    listings: Vec<Listing>,
    until: Option<Instant>,
}

impl Default for DeviceList {
    fn default() -> Self {
        use DeviceKind::{Camera, Microphone, Screen, Window};
        Self::of(&[(&[Camera], cameras), (&[Screen, Window], screens), (&[Microphone], microphones)])
    }
}

impl DeviceList {
    fn of(asked: &[(&'static [DeviceKind], Ask)]) -> Self {
        let listing = |&(kinds, ask): &_| Listing { kinds, ask, under_way: None, found: None };
        Self { listings: asked.iter().map(listing).collect(), until: None }
    }

    /// Begins to look, for at most [`LOOK_LIMIT`] from `now` on. Returns at once.
    pub fn look(&mut self, now: Instant) {
        self.listings.iter_mut().for_each(Listing::begin);
        self.until = Some(now + LOOK_LIMIT);
    }

    /// What there is; `None` while that is not known, and where nobody looked. Returns at once.
    pub fn found(&mut self, now: Instant) -> Option<Devices> {
        let until = self.until?;
        self.listings.iter_mut().for_each(Listing::look);
        if now < until && self.listings.iter().any(|listing| listing.found.is_none()) {
            return None;
        }
        let mut devices = Devices::default();
        for listing in &self.listings {
            match &listing.found {
                Some(found) => devices.found.extend(found.iter().cloned()),
                None => devices.silent.extend(listing.kinds),
            }
        }
        Some(devices)
    }
}

fn cameras() -> Vec<FoundDevice> {
    let cameras = capture::cameras().into_iter().take(LISTED_MAX);
    cameras.map(|camera| FoundDevice::new(DeviceKind::Camera, camera.name.clone(), camera.name)).collect()
}

fn screens() -> Vec<FoundDevice> {
    let named = |target: ScreenTarget| {
        let words = target.name();
        match target {
            ScreenTarget::Screen(Some(name)) => Some(FoundDevice::new(DeviceKind::Screen, name, words)),
            // A source finds a window by its title.
            ScreenTarget::Window { title, .. } if !title.is_empty() => {
                Some(FoundDevice::new(DeviceKind::Window, title, words))
            }
            _ => None,
        }
    };
    capture::screens().into_iter().filter_map(named).take(LISTED_MAX).collect()
}

fn microphones() -> Vec<FoundDevice> {
    // A sound server that is not there has no microphones.
    let microphones = capture::microphones().unwrap_or_default().into_iter().take(LISTED_MAX);
    microphones.map(|found| FoundDevice::new(DeviceKind::Microphone, found.id, found.name)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Condvar, Mutex};

    use testkit::wait_until;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn front() -> Vec<FoundDevice> {
        vec![FoundDevice::new(DeviceKind::Camera, "/dev/video0", "Front")]
    }

    #[test]
    fn what_does_not_answer_holds_nobody_up_and_is_asked_once() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        static RELEASED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        fn hangs() -> Vec<FoundDevice> {
            ASKED.fetch_add(1, Ordering::Relaxed);
            let released = RELEASED.0.lock().unwrap();
            drop(RELEASED.1.wait_while(released, |released| !*released).unwrap());
            vec![FoundDevice::new(DeviceKind::Screen, "HDMI-1", "HDMI-1")]
        }
        let mut list = DeviceList::of(&[
            (&[DeviceKind::Camera], front),
            (&[DeviceKind::Screen, DeviceKind::Window], hangs),
        ]);
        let begun = Instant::now();
        assert_eq!(list.found(begun), None, "nobody looked");
        list.look(begun);
        wait_until("both are asked", LIMIT, || {
            list.found(begun);
            (list.listings[0].found.is_some() && ASKED.load(Ordering::Relaxed) == 1).then_some(())
        })
        .unwrap();
        assert_eq!(list.found(begun), None, "one has time left");
        let silent = vec![DeviceKind::Screen, DeviceKind::Window];
        assert_eq!(list.found(begun + LOOK_LIMIT), Some(Devices { found: front(), silent }));
        // Looking again asks the camera again, and leaves the other be.
        list.look(begun);
        let found = wait_until("the answer", LIMIT, || {
            list.found(begun);
            list.listings[0].found.clone()
        });
        assert_eq!((found.unwrap(), ASKED.load(Ordering::Relaxed)), (front(), 1));
        *RELEASED.0.lock().unwrap() = true;
        RELEASED.1.notify_all();
        let devices = wait_until("both answers", LIMIT, || list.found(begun)).unwrap();
        assert_eq!((devices.found.len(), devices.silent), (2, vec![]));
    }

    #[test]
    fn what_is_found_becomes_a_source_of_its_kind() {
        let of = |kind| FoundDevice::new(kind, "id", "Words");
        let (name, device) = ("Cam".to_owned(), "id".to_owned());
        assert_eq!(
            of(DeviceKind::Camera).source("Cam"),
            Some(Source::Camera { name: name.clone(), device: device.clone(), or_synthetic: false })
        );
        assert_eq!(
            of(DeviceKind::Window).source("Cam"),
            Some(Source::Screen { name: name.clone(), display: String::new(), window: device.clone() })
        );
        assert_eq!(
            of(DeviceKind::Screen).source("Cam"),
            Some(Source::Screen { name: name.clone(), display: device.clone(), window: String::new() })
        );
        assert_eq!(of(DeviceKind::Microphone).source("Cam"), None);
        assert_eq!(
            of(DeviceKind::Microphone).sound("Cam"),
            Some(Sound::Microphone { name, gain_db: 0.0, muted: false, device, or_synthetic: false })
        );
        assert_eq!(of(DeviceKind::Screen).sound("Cam"), None);
    }
}
