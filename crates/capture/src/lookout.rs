//! Looks whether there is a device of a kind, without opening one: the lamp of a camera that nobody sees stays off.

use std::time::Duration;

use speaker::DeviceError;

use crate::device::{Device, Driver, Failure, Kind, Session, State};
use crate::source::SourceStatus;

/// Looks again and again as long as it lives, on a thread of its own: listings wait for drivers and sound servers.
#[derive(Debug)]
pub struct Lookout(Device);

/// What a first look found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    Nothing,
    Something,
    /// A driver or a sound server does not answer.
    NoAnswer,
}

impl Lookout {
    /// For cameras.
    #[cfg(feature = "camera")]
    pub fn for_cameras() -> Self {
        Self::start(Kind::Camera, || crate::camera::cameras().into_iter().map(|camera| camera.name).next())
    }

    /// For microphones: the one that is used where none is named.
    pub fn for_microphones() -> Self {
        Self::start(Kind::Microphone, || match speaker::default_input() {
            Ok(microphone) => Some(microphone.name),
            Err(DeviceError::Missing) => None,
            // One that is busy, or not allowed, is there.
            Err(_) => Some("default".into()),
        })
    }

    /// `first` names the first device that there is.
    pub(crate) fn start(kind: Kind, first: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Device::open(kind, "default", Look(first), || ()))
    }

    /// Waits for the first look, for at most `limit`.
    pub fn first_look(&self, limit: Duration) -> Found {
        match self.0.first_word(limit) {
            State::Lost(Failure::Missing) => Found::Nothing,
            State::Lost(Failure::Unused(_)) => Found::Something,
            State::Opening | State::Live | State::Lost(_) => Found::NoAnswer,
        }
    }

    /// [`SourceStatus::Lost`] with what to say where there is a device that nobody uses; live where there is none.
    pub(crate) fn status(&self) -> SourceStatus {
        match self.0.state() {
            State::Lost(Failure::Unused(_)) => self.0.status(),
            State::Opening | State::Live | State::Lost(_) => SourceStatus::Live,
        }
    }
}

/// One look a run: the device's watch keeps its time limits, and has it run again.
struct Look<F>(F);

impl<F: Fn() -> Option<String> + Send + Sync + 'static> Driver for Look<F> {
    fn run(&self, _: &Session<'_>) -> Result<(), Failure> {
        Err((self.0)().map_or(Failure::Missing, Failure::Unused))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Far beyond what a look takes here.
    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_listing_that_hangs_holds_nobody_up() {
        let (release, until) = sync_channel::<()>(0);
        let until = Mutex::new(until);
        let lookout = Lookout::start(Kind::Camera, move || {
            let _ = until.lock().unwrap().recv();
            None
        });
        assert_eq!(lookout.first_look(Duration::from_millis(1)), Found::NoAnswer);
        // Returns at all: the listing is still blocked on `until`.
        drop(lookout);
        drop(release);
    }

    #[test]
    fn a_first_look_tells_whether_there_is_a_device() {
        assert_eq!(Lookout::start(Kind::Camera, || None).first_look(LIMIT), Found::Nothing);
        assert_eq!(Lookout::start(Kind::Camera, || Some("Front".into())).first_look(LIMIT), Found::Something);
    }
}
