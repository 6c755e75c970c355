//! A synthetic source in the place of a device that cannot be used: listed is not yet working.

use std::sync::Arc;

use media::{AudioBlock, Picture, Timestamp};

use crate::device::Kind;
use crate::lookout::Lookout;
use crate::source::{PictureSource, SoundSource, SourceStatus};

/// What the synthetic source means for viewers.
const PICTURE_MEANING: &str = "Viewers see a test pattern instead.";
const SOUND_MEANING: &str = "Viewers hear a test tone instead.";

/// A camera or screen, and a pattern in its place until it delivers for the first time. One that is lost later
/// shows nothing: a broadcast must not turn into a test pattern.
pub struct PictureStandIn {
    device: Box<dyn PictureSource>,
    synthetic: Box<dyn PictureSource>,
    use_of: Use,
}

/// A microphone, and a tone in its place until it delivers for the first time.
pub struct SoundStandIn {
    device: Box<dyn SoundSource>,
    synthetic: Box<dyn SoundSource>,
    use_of: Use,
}

/// Which of the two is in use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Nobody knows yet whether the device works.
    Neither,
    Synthetic,
    Device,
}

impl Use {
    fn after(self, status: &SourceStatus) -> Self {
        match (self, status) {
            (Self::Device, _) | (_, SourceStatus::Live) => Self::Device,
            (_, SourceStatus::Lost { .. } | SourceStatus::StandIn { .. }) => Self::Synthetic,
            (before, SourceStatus::Opening) => before,
        }
    }

    fn status(self, of_device: SourceStatus, kind: Kind, meaning: &str) -> SourceStatus {
        match (self.after(&of_device), of_device) {
            (Self::Synthetic, SourceStatus::Lost { message }) => {
                SourceStatus::StandIn { message: message.replace(kind.meaning(), meaning) }
            }
            (_, status) => status,
        }
    }
}

impl PictureStandIn {
    pub fn new(device: Box<dyn PictureSource>, synthetic: Box<dyn PictureSource>) -> Self {
        Self { device, synthetic, use_of: Use::Neither }
    }
}

impl PictureSource for PictureStandIn {
    fn picture_at(&mut self, now: Timestamp) -> Option<Picture> {
        let picture = self.device.picture_at(now);
        self.use_of = self.use_of.after(&self.device.status());
        match self.use_of {
            Use::Synthetic => self.synthetic.picture_at(now),
            Use::Neither | Use::Device => picture,
        }
    }

    fn status(&self) -> SourceStatus {
        self.use_of.status(self.device.status(), Kind::Camera, PICTURE_MEANING)
    }

    fn name(&self) -> &str {
        self.device.name()
    }
}

impl SoundStandIn {
    pub fn new(device: Box<dyn SoundSource>, synthetic: Box<dyn SoundSource>) -> Self {
        Self { device, synthetic, use_of: Use::Neither }
    }
}

impl SoundSource for SoundStandIn {
    fn read(&mut self, until: Timestamp, out: &mut Vec<AudioBlock>) {
        let before = out.len();
        self.device.read(until, out);
        self.use_of = self.use_of.after(&self.device.status());
        if self.use_of == Use::Synthetic {
            out.truncate(before);
            self.synthetic.read(until, out);
        }
    }

    fn status(&self) -> SourceStatus {
        self.use_of.status(self.device.status(), Kind::Microphone, SOUND_MEANING)
    }

    fn name(&self) -> &str {
        self.device.name()
    }
}

/// A synthetic source where there was no device when the studio started. It stays when one comes, since a broadcast
/// must not change by itself, and a camera must not begin to film whoever did not expect it: that there is one is told.
pub struct Instead<S: ?Sized> {
    synthetic: Box<S>,
    lookout: Arc<Lookout>,
}

impl<S: ?Sized> Instead<S> {
    pub fn new(synthetic: Box<S>, lookout: Arc<Lookout>) -> Self {
        Self { synthetic, lookout }
    }

    fn status(&self, kind: Kind, meaning: &str) -> SourceStatus {
        Use::Synthetic.status(self.lookout.status(), kind, meaning)
    }
}

impl PictureSource for Instead<dyn PictureSource> {
    fn picture_at(&mut self, now: Timestamp) -> Option<Picture> {
        self.synthetic.picture_at(now)
    }

    fn status(&self) -> SourceStatus {
        self.status(Kind::Camera, PICTURE_MEANING)
    }

    fn name(&self) -> &str {
        self.synthetic.name()
    }
}

impl SoundSource for Instead<dyn SoundSource> {
    fn read(&mut self, until: Timestamp, out: &mut Vec<AudioBlock>) {
        self.synthetic.read(until, out);
    }

    fn status(&self) -> SourceStatus {
        self.status(Kind::Microphone, SOUND_MEANING)
    }

    fn name(&self) -> &str {
        self.synthetic.name()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    use media::Timescale;

    use super::*;
    use crate::lookout::Found;
    use crate::synthetic_sound::{Bed, TestTone};

    /// Far beyond what a look takes here.
    const LIMIT: Duration = Duration::from_secs(20);

    /// A microphone as its driver would leave it: it delivers nothing, and its status is the test's.
    struct Silent(Arc<Mutex<SourceStatus>>);

    impl SoundSource for Silent {
        fn read(&mut self, _: Timestamp, _: &mut Vec<AudioBlock>) {}

        fn status(&self) -> SourceStatus {
            self.0.lock().unwrap().clone()
        }

        fn name(&self) -> &str {
            "silent"
        }
    }

    fn lost() -> SourceStatus {
        SourceStatus::Lost { message: format!("It is gone. {} Do this.", Kind::Microphone.meaning()) }
    }

    /// The blocks that a stand-in delivers in each tenth of a second after the device came to `states`.
    fn blocks(states: &[SourceStatus]) -> (Vec<usize>, SourceStatus) {
        let shared = Arc::new(Mutex::new(SourceStatus::Opening));
        let tone = Box::new(TestTone::new(Bed::Silence));
        let mut sound = SoundStandIn::new(Box::new(Silent(Arc::clone(&shared))), tone);
        let counts = states.iter().zip(1..).map(|(state, tenth)| {
            *shared.lock().unwrap() = state.clone();
            let mut out = Vec::new();
            sound.read(Timestamp::new(tenth * 100, Timescale::MILLIS), &mut out);
            out.len()
        });
        (counts.collect(), sound.status())
    }

    #[test]
    fn a_microphone_that_never_worked_is_replaced_by_a_tone() {
        let (counts, status) = blocks(&[SourceStatus::Opening, lost(), lost(), SourceStatus::Opening]);
        assert_eq!(counts[0], 0, "it might still come");
        assert!(counts[1..].iter().all(|&count| count > 0), "{counts:?}");
        assert_eq!(status, SourceStatus::Opening);
        let (_, status) = blocks(&[lost()]);
        let message = format!("It is gone. {SOUND_MEANING} Do this.");
        assert_eq!(status, SourceStatus::StandIn { message });
    }

    #[test]
    fn a_microphone_that_worked_and_is_lost_is_silent() {
        let (counts, status) = blocks(&[lost(), SourceStatus::Live, lost(), lost()]);
        assert!(counts[0] > 0);
        assert_eq!(counts[1..], [0, 0, 0]);
        assert_eq!(status, lost());
    }

    #[test]
    fn a_microphone_that_comes_after_the_start_is_told_and_not_taken() {
        let plugged = Arc::new(Mutex::new(None));
        let found = Arc::clone(&plugged);
        let lookout = Arc::new(Lookout::start(Kind::Microphone, move || found.lock().unwrap().clone()));
        assert_eq!(lookout.first_look(LIMIT), Found::Nothing);
        let tone: Box<dyn SoundSource> = Box::new(TestTone::new(Bed::Silence));
        let mut sound = Instead::new(tone, lookout);
        assert_eq!(SoundSource::status(&sound), SourceStatus::Live, "as it was chosen");
        *plugged.lock().unwrap() = Some("USB".to_owned());
        let end = Instant::now() + LIMIT;
        let message = loop {
            if let SourceStatus::StandIn { message } = SoundSource::status(&sound) {
                break message;
            }
            assert!(Instant::now() < end, "it is not told");
            std::thread::yield_now();
        };
        assert_eq!(
            message,
            "The microphone “USB” is there now, and is not used. Viewers hear a test tone instead. \
             Close the studio and open it again to use it."
        );
        let mut out = Vec::new();
        sound.read(Timestamp::new(100, Timescale::MILLIS), &mut out);
        assert!(!out.is_empty(), "the tone goes on");
        *plugged.lock().unwrap() = None;
        while SoundSource::status(&sound) != SourceStatus::Live {
            assert!(Instant::now() < end, "its going is not told");
            std::thread::yield_now();
        }
    }
}
