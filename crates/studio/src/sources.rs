//! Opens what a broadcast file names.

use capture::{
    Bed, Camera, CameraRequest, Microphone, PictureSource, PictureStandIn, Screen, ScreenTarget, SoundSource,
    SoundStandIn, SourceStatus, Strip, StripOnly, TestPattern, TestTone,
};
use media::{FrameRate, Size, StudioEpoch};

use crate::broadcast::{Sound, Source};
use crate::file_source::{FilePictures, FileSound};
use crate::snapshot::SourceFigures;

/// A picture source under its name in the scene.
pub struct NamedPicture {
    pub name: String,
    pub kind: &'static str,
    pub source: Box<dyn PictureSource>,
}

/// A sound source under its name in the mixer.
pub struct NamedSound {
    pub name: String,
    pub kind: &'static str,
    pub settings: mixer::InputSettings,
    pub source: Box<dyn SoundSource>,
}

/// Opens a picture source; `None` for the simulation, which is no source of captured pictures.
///
/// Never fails: what cannot be opened is a source that says why and tries again.
pub fn open_picture(
    source: &Source,
    size: Size,
    rate: FrameRate,
    epoch: StudioEpoch,
) -> Option<NamedPicture> {
    let pattern = || Box::new(TestPattern::new(size, Strip::Absent, capture::system_wall_clock));
    let (kind, opened): (_, Box<dyn PictureSource>) = match source {
        Source::Synthetic { .. } => {
            ("synthetic", Box::new(TestPattern::new(size, Strip::Burnt, capture::system_wall_clock)))
        }
        Source::Clock { .. } => ("clock", Box::new(StripOnly::new(size.width, capture::system_wall_clock))),
        Source::Camera { or_synthetic: true, device, .. } if device.is_empty() && no_camera() => {
            ("synthetic", pattern())
        }
        Source::Camera { device, or_synthetic, .. } => {
            let request = CameraRequest { name: named(device), size, frame_rate: rate };
            let camera = Box::new(Camera::open(request, epoch));
            match or_synthetic {
                true => ("camera", Box::new(PictureStandIn::new(camera, pattern()))),
                false => ("camera", camera),
            }
        }
        Source::Screen { display, window, .. } => {
            let target = if window.is_empty() {
                ScreenTarget::Screen(named(display))
            } else {
                ScreenTarget::Window { program: window.clone(), title: String::new() }
            };
            ("screen", Box::new(Screen::open(target, rate, epoch)))
        }
        Source::File { path, .. } => ("file", Box::new(FilePictures::open(path))),
        Source::Simulation { .. } => return None,
    };
    Some(NamedPicture { name: source.name().to_owned(), kind, source: opened })
}

pub fn open_sound(sound: &Sound, epoch: StudioEpoch) -> NamedSound {
    let (kind, opened): (_, Box<dyn SoundSource>) = match sound {
        Sound::Synthetic { .. } => ("synthetic", Box::new(TestTone::new(Bed::Silence))),
        Sound::Microphone { or_synthetic: true, device, .. } if device.is_empty() && no_microphone() => {
            ("synthetic", Box::new(TestTone::new(Bed::Silence)))
        }
        Sound::Microphone { device, or_synthetic, .. } => {
            let microphone = Box::new(Microphone::open(named(device), epoch));
            let tone = || Box::new(TestTone::new(Bed::Silence));
            match or_synthetic {
                true => ("microphone", Box::new(SoundStandIn::new(microphone, tone()))),
                false => ("microphone", microphone),
            }
        }
        Sound::File { path, .. } => ("file", Box::new(FileSound::open(path))),
    };
    let (gain_db, muted) = sound.fader();
    let mute = if muted { mixer::Mute::Muted } else { mixer::Mute::Heard };
    let settings = mixer::InputSettings { gain_db, mute };
    NamedSound { name: sound.name().to_owned(), kind, settings, source: opened }
}

/// Empty means: whichever there is.
fn named(device: &str) -> Option<String> {
    (!device.is_empty()).then(|| device.to_owned())
}

fn no_camera() -> bool {
    capture::cameras().is_empty()
}

fn no_microphone() -> bool {
    capture::microphones().map_or(true, |found| found.is_empty())
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
