//! What every native window has: how it looks at first, and why it may not open.

use std::time::Duration;

use egui::{Context, Theme};
use thiserror::Error;

/// How a window looks at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// The system's, where it is not given.
    pub theme: Option<Theme>,
    /// Times the system's own scale.
    pub zoom: Option<f32>,
    /// In points.
    pub size: Option<[f32; 2]>,
}

impl Look {
    /// In the system's points: the zoom makes a window larger, so that as much is to be seen as without it.
    pub fn zoomed(&self, [width, height]: [f32; 2]) -> [f32; 2] {
        let zoom = self.zoom.unwrap_or(1.0);
        [width * zoom, height * zoom]
    }

    /// Installs theme and scale in a window's context.
    pub fn install(&self, context: &Context) {
        crate::install(context);
        if let Some(theme) = self.theme {
            context.set_theme(theme);
        }
        if let Some(zoom) = self.zoom {
            context.set_zoom_factor(zoom);
        }
    }
}

/// How long a window's thread was held up by what is not drawing: nothing that waits has a place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holdups {
    pub longest: Duration,
    /// Those that cost a picture on a screen that shows sixty a second.
    pub long: u64,
}

impl Holdups {
    const PICTURE: Duration = Duration::from_millis(16);

    pub fn add(&mut self, took: Duration) {
        self.longest = self.longest.max(took);
        self.long += u64::from(took >= Self::PICTURE);
    }

    /// As statistics say it.
    pub fn in_words(&self) -> String {
        let longest = self.longest.as_secs_f64() * 1e3;
        match self.long {
            0 => format!("{longest:.1} ms"),
            long => format!("{longest:.0} ms, {long} of 16 ms or more"),
        }
    }
}

#[derive(Debug, Error)]
pub enum WindowError {
    /// The windowing library names its own source files, which helps nobody here: that is logged.
    #[error(
        "no graphical session answers, so the window cannot be opened. Open it from a desktop (DISPLAY or \
         WAYLAND_DISPLAY say where)"
    )]
    NoSession,
    #[error("the window cannot be opened: {0}")]
    Window(String),
}

impl From<eframe::Error> for WindowError {
    fn from(err: eframe::Error) -> Self {
        match err {
            eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_) => {
                tracing::debug!("the windowing library: {err}");
                Self::NoSession
            }
            other => Self::Window(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_a_window_up_is_told_by_its_worst_and_by_what_was_seen_of_it() {
        let mut holdups = Holdups::default();
        holdups.add(Duration::from_micros(900));
        holdups.add(Duration::from_micros(15_900));
        assert_eq!(holdups.in_words(), "15.9 ms");
        holdups.add(Duration::from_millis(16));
        holdups.add(Duration::from_millis(40));
        assert_eq!(holdups.in_words(), "40 ms, 2 of 16 ms or more");
    }
}
