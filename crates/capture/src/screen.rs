//! Screens and windows, through the platform's own interface.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::{FrameRate, Picture, Size, Slot, StudioEpoch, Timescale, Timestamp};
use xcap::{Monitor, Window, XCapError, XCapResult};

use crate::device::{Device, Driver, Failure, Kind, Session};
use crate::source::{PictureSource, SourceStatus};

/// What can be shared. Windows are found again by program and title, since their ids do not survive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScreenTarget {
    /// A whole screen by its name, or the primary one.
    Screen(Option<String>),
    /// A window, by its title, or a part of it where none is called so: titles change with what is shown. An empty text
    /// fits all.
    Window { program: String, title: String },
}

impl ScreenTarget {
    /// What a person calls it.
    pub fn name(&self) -> String {
        match self {
            Self::Screen(Some(name)) => name.clone(),
            Self::Screen(None) => "primary".into(),
            Self::Window { program, title } if title.is_empty() => program.clone(),
            Self::Window { program, title } if program.is_empty() => title.clone(),
            Self::Window { program, title } => format!("{title} ({program})"),
        }
    }
}

/// Everything that can be shared now: screens first, then windows from the front to the back. Empty where
/// there is no display, or the system does not allow it.
///
/// May take a second; not for a thread that draws.
pub fn screens() -> Vec<ScreenTarget> {
    // Some display servers answer in ways that the library does not expect.
    let listed = std::panic::catch_unwind(|| {
        let screens = Monitor::all().unwrap_or_default().into_iter();
        let screens = screens.filter_map(|screen| Some(ScreenTarget::Screen(Some(screen.name().ok()?))));
        let windows = Window::all().unwrap_or_default().into_iter();
        screens.chain(windows.filter_map(|window| window_target(&window))).collect()
    });
    listed.unwrap_or_default()
}

fn window_target(window: &Window) -> Option<ScreenTarget> {
    if is_minimized(window) {
        return None;
    }
    Some(ScreenTarget::Window { program: window.app_name().ok()?, title: window.title().ok()? })
}

/// A screen or window, captured at a rate of its own in the background.
pub struct Screen {
    device: Device,
    newest: Slot<Picture>,
}

impl Screen {
    /// Returns at once; [`PictureSource::status`] tells how it goes. Where capturing takes longer than a
    /// frame of `rate`, frames are left out.
    pub fn open(target: ScreenTarget, rate: FrameRate, epoch: StudioEpoch) -> Self {
        let newest = Slot::new();
        let (name, emptied) = (target.name(), newest.clone());
        let grabber = Grabber { target, rate, epoch, newest: newest.clone() };
        Self { device: Device::open(Kind::Screen, name, grabber, move || emptied.clear()), newest }
    }

    /// Pictures captured, and those of them that nobody looked at.
    pub fn counts(&self) -> (u64, u64) {
        self.newest.counts()
    }
}

impl PictureSource for Screen {
    fn picture_at(&mut self, _now: Timestamp) -> Option<Picture> {
        self.newest.latest()
    }

    fn status(&self) -> SourceStatus {
        self.device.status()
    }

    fn name(&self) -> &str {
        self.device.name()
    }
}

struct Grabber {
    target: ScreenTarget,
    rate: FrameRate,
    epoch: StudioEpoch,
    newest: Slot<Picture>,
}

enum Source {
    Screen(Monitor),
    Window(Window),
}

impl Source {
    fn find(target: &ScreenTarget) -> XCapResult<Option<Self>> {
        match target {
            ScreenTarget::Screen(wanted) => {
                let screens = Monitor::all()?;
                let fits = |screen: &Monitor| match wanted {
                    Some(wanted) => screen.name().is_ok_and(|name| name == *wanted),
                    None => screen.is_primary().unwrap_or(false),
                };
                let found = screens.iter().find(|screen| fits(screen)).cloned();
                // Where none is primary, the first has to do.
                let fallback = screens.into_iter().next().filter(|_| wanted.is_none());
                Ok(found.or(fallback).map(Self::Screen))
            }
            ScreenTarget::Window { program, title } => {
                let windows: Vec<_> = Window::all()?.into_iter().filter(|one| is_of(one, program)).collect();
                let titles: Vec<_> = windows.iter().map(|one| one.title().unwrap_or_default()).collect();
                let same = titles.iter().position(|shown| shown == title);
                let found = same.or_else(|| titles.iter().position(|shown| shown.contains(title.as_str())));
                Ok(found.and_then(|at| windows.into_iter().nth(at)).map(Self::Window))
            }
        }
    }

    fn grab(&self) -> XCapResult<(Size, Vec<u8>)> {
        let image = match self {
            Self::Screen(screen) => screen.capture_image()?,
            Self::Window(window) => window.capture_image()?,
        };
        Ok((Size::new(image.width(), image.height()), image.into_raw()))
    }
}

/// Where nobody manages windows, none is.
fn is_minimized(window: &Window) -> bool {
    window.is_minimized().unwrap_or(false)
}

/// Whether it can be seen, and is of that program where one is named.
fn is_of(window: &Window, program: &str) -> bool {
    !is_minimized(window) && (program.is_empty() || window.app_name().is_ok_and(|name| name == program))
}

fn failure(error: &XCapError) -> Failure {
    let text = error.to_string();
    let refused = ["permission", "denied", "not allowed", "cancelled"];
    if refused.iter().any(|word| text.to_lowercase().contains(word)) {
        Failure::Refused
    } else {
        Failure::Other(text.trim_end_matches('.').to_owned())
    }
}

impl Driver for Grabber {
    fn run(&self, session: &Session<'_>) -> Result<(), Failure> {
        let source = Source::find(&self.target).map_err(|error| failure(&error))?.ok_or(Failure::Missing)?;
        let interval: Duration = self.rate.interval();
        let mut due = Instant::now();
        while !session.is_stopping() {
            let now = Instant::now();
            if let Some(early) = due.checked_duration_since(now).filter(|early| !early.is_zero()) {
                thread::park_timeout(early);
                continue;
            }
            // Late ones are left out, so that a slow screen does not make us race.
            due = (due + interval).max(now);
            let time = self.epoch.stamp(now, Timescale::VIDEO);
            let (size, rgba) = match source.grab() {
                Ok(grabbed) => grabbed,
                // A window that was closed is missing; anything else is told as it is.
                Err(error) => {
                    let there = Source::find(&self.target).is_ok_and(|found| found.is_some());
                    return Err(if there { failure(&error) } else { Failure::Unplugged });
                }
            };
            let picture = Picture::rgba(size, Bytes::from(rgba), time)
                .map_err(|error| Failure::Other(error.to_string()))?;
            self.newest.put(picture);
            session.delivered();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_named_as_a_person_would() {
        let window = |title: &str| ScreenTarget::Window { program: "Editor".into(), title: title.into() };
        assert_eq!(window("notes").name(), "notes (Editor)");
        assert_eq!(window("").name(), "Editor");
        let titled = ScreenTarget::Window { program: String::new(), title: "notes".into() };
        assert_eq!(titled.name(), "notes");
        assert_eq!(ScreenTarget::Screen(Some("HDMI-1".into())).name(), "HDMI-1");
    }
}
