//! What every native window has: how it looks at first, and why it may not open.

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
