//! Opens what a broadcast names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use capture::{
    Bed, Camera, CameraRequest, Found, Instead, Lookout, Microphone, PictureSource, PictureStandIn, Screen,
    ScreenTarget, SoundSource, SoundStandIn, SourceStatus, Strip, StripOnly, TestPattern, TestTone,
};
use media::{FrameRate, Size, StudioEpoch, Timestamp};

use crate::broadcast::{Sound, Source};
use crate::file_source::{FilePictures, FileSound};
use crate::snapshot::SourceFigures;
use crate::source_list::SourceId;

/// A picture source under its name in the scene.
pub struct NamedPicture {
    pub id: SourceId,
    pub name: String,
    pub kind: &'static str,
    pub source: Box<dyn PictureSource>,
}

/// A sound source under its name in the mixer.
pub struct NamedSound {
    pub id: SourceId,
    pub name: String,
    pub kind: &'static str,
    pub settings: mixer::InputSettings,
    pub source: Box<dyn SoundSource>,
}

/// How long the start waits for drivers and sound servers to say what there is. One that has not by then is taken to
/// have a device, which is opened in its own time and replaced by a synthetic source until it delivers.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// Whether there are devices at all, where a file wants a synthetic source if there are none. Looked for before media
/// time starts and on threads of its own: a listing may hang.
pub struct Around {
    cameras: Option<Arc<Lookout>>,
    microphones: Option<Arc<Lookout>>,
}

impl Around {
    /// Begins to look for what these need.
    pub fn look(sources: &[Source], sounds: &[Sound]) -> Self {
        let camera = sources.iter().any(|source| match source {
            Source::Camera { device, or_synthetic, .. } => *or_synthetic && device.is_empty(),
            _ => false,
        });
        let microphone = sounds.iter().any(|sound| match sound {
            Sound::Microphone { device, or_synthetic, .. } => *or_synthetic && device.is_empty(),
            _ => false,
        });
        Self {
            cameras: camera.then(|| Arc::new(Lookout::for_cameras())),
            microphones: microphone.then(|| Arc::new(Lookout::for_microphones())),
        }
    }

    /// Waits for what was found, and forgets what there is: only what is missing is looked out for further.
    pub fn missing(self) -> Missing {
        let limit = Instant::now() + LOOK_LIMIT;
        let missing = |lookout: &Arc<Lookout>| {
            lookout.first_look(limit.saturating_duration_since(Instant::now())) == Found::Nothing
        };
        let (cameras, microphones) = (self.cameras.filter(missing), self.microphones.filter(missing));
        Missing { cameras, microphones }
    }
}

/// Who looks out for the kinds of device of which there was none at the start.
#[derive(Clone, Default)]
pub struct Missing {
    cameras: Option<Arc<Lookout>>,
    microphones: Option<Arc<Lookout>>,
}

/// Opens a picture source; `None` for the simulation, which is no source of captured pictures.
///
/// Never fails: what cannot be opened is a source that says why and tries again. A file begins at `start`.
pub fn open_picture(
    id: SourceId,
    source: &Source,
    size: Size,
    rate: FrameRate,
    epoch: StudioEpoch,
    start: Timestamp,
    missing: &Missing,
) -> Option<NamedPicture> {
    let pattern = || -> Box<dyn PictureSource> {
        Box::new(TestPattern::new(size, Strip::Absent, capture::system_wall_clock))
    };
    let (kind, opened): (_, Box<dyn PictureSource>) = match source {
        Source::Synthetic { .. } => {
            ("synthetic", Box::new(TestPattern::new(size, Strip::Burnt, capture::system_wall_clock)))
        }
        Source::Clock { .. } => ("clock", Box::new(StripOnly::new(size.width, capture::system_wall_clock))),
        Source::Camera { device, or_synthetic, .. } => {
            let default = *or_synthetic && device.is_empty();
            let request = CameraRequest { name: named(device), size, frame_rate: rate };
            match (&missing.cameras, or_synthetic) {
                (Some(lookout), _) if default => {
                    ("synthetic", Box::new(Instead::new(pattern(), Arc::clone(lookout))))
                }
                (_, true) => {
                    let camera = Box::new(Camera::open(request, epoch));
                    ("camera", Box::new(PictureStandIn::new(camera, pattern())))
                }
                (_, false) => ("camera", Box::new(Camera::open(request, epoch))),
            }
        }
        Source::Screen { display, window, .. } => {
            let target = if window.is_empty() {
                ScreenTarget::Screen(named(display))
            } else {
                ScreenTarget::Window { program: String::new(), title: window.clone() }
            };
            ("screen", Box::new(Screen::open(target, rate, epoch)))
        }
        Source::File { path, .. } => ("file", Box::new(FilePictures::open(path, start))),
        Source::Simulation { .. } => return None,
    };
    Some(NamedPicture { id, name: source.name().to_owned(), kind, source: opened })
}

/// As [`open_picture`].
pub fn open_sound(
    id: SourceId,
    sound: &Sound,
    epoch: StudioEpoch,
    start: Timestamp,
    missing: &Missing,
) -> NamedSound {
    let tone = || -> Box<dyn SoundSource> { Box::new(TestTone::new(Bed::Silence)) };
    let (kind, opened): (_, Box<dyn SoundSource>) = match sound {
        Sound::Synthetic { .. } => ("synthetic", tone()),
        Sound::Microphone { device, or_synthetic, .. } => {
            let default = *or_synthetic && device.is_empty();
            match (&missing.microphones, or_synthetic) {
                (Some(lookout), _) if default => {
                    ("synthetic", Box::new(Instead::new(tone(), Arc::clone(lookout))))
                }
                (_, true) => {
                    let microphone = Box::new(Microphone::open(named(device), epoch));
                    ("microphone", Box::new(SoundStandIn::new(microphone, tone())))
                }
                (_, false) => ("microphone", Box::new(Microphone::open(named(device), epoch))),
            }
        }
        Sound::File { path, .. } => ("file", Box::new(FileSound::open(path, start))),
    };
    let (gain_db, muted) = sound.fader();
    let mute = if muted { mixer::Mute::Muted } else { mixer::Mute::Heard };
    let settings = mixer::InputSettings { gain_db, mute, ..Default::default() };
    NamedSound { id, name: sound.name().to_owned(), kind, settings, source: opened }
}

/// Empty means: whichever there is.
fn named(device: &str) -> Option<String> {
    (!device.is_empty()).then(|| device.to_owned())
}

/// How a source is doing, for the snapshot.
pub fn figures(name: &str, kind: &'static str, status: SourceStatus) -> SourceFigures {
    let (state, message) = match status {
        SourceStatus::Opening => ("opening", None),
        SourceStatus::Live => ("live", None),
        SourceStatus::StandIn { message } => ("stand_in", Some(message)),
        SourceStatus::Lost { message } => ("lost", Some(message)),
    };
    SourceFigures { name: name.to_owned(), kind, state, message }
}
