//! The native window: joins the panels to the engine's thread.

use std::sync::Arc;
use std::time::Instant;

use studio::graphics::{Device, Graphics};
use thiserror::Error;
use widgets::eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupExisting};
use widgets::eframe::{self, CreationContext, NativeOptions};
use widgets::egui::{
    self, Context, TextureHandle, TextureOptions, Theme, ViewportBuilder, ViewportCommand, vec2,
};

use crate::control::{Control, Studio};
use crate::panels::{Own, Panels, Shown};
use crate::view::{Order, Phase, View};

/// The smallest window in which everything that matters is reached, in points.
const LEAST: [f32; 2] = [800.0, 520.0];

#[derive(Debug, Error)]
pub enum StageError {
    /// The windowing library names its own source files, which helps nobody here: that is logged.
    #[error(
        "no graphical session answers, so the window cannot be opened. Open it from a desktop (DISPLAY or \
         WAYLAND_DISPLAY say where), or use `tickcast engine`, which needs none"
    )]
    NoSession,
    #[error("the window cannot be opened: {0}. `tickcast engine` works without one")]
    Window(String),
}

impl From<eframe::Error> for StageError {
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

/// How the window looks at first.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The system's, where it is not given.
    pub theme: Option<Theme>,
    /// Times the system's own scale.
    pub zoom: Option<f32>,
    /// In points.
    pub size: Option<[f32; 2]>,
    /// The engine's own device, where it has one.
    pub graphics: Graphics,
}

/// Opens the window and returns when it has closed and the engine has ended.
pub fn run(studio: Studio, options: Options) -> Result<(), StageError> {
    // In points, which the zoom makes larger: as much is to be seen as without it.
    let zoomed = |[width, height]: [f32; 2]| {
        let zoom = options.zoom.unwrap_or(1.0);
        [width * zoom, height * zoom]
    };
    let native = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title(format!("{} – Tickcast", studio.title))
            .with_app_id("tickcast-stage")
            .with_inner_size(zoomed(options.size.unwrap_or([1280.0, 800.0])))
            .with_min_inner_size(zoomed(LEAST)),
        wgpu_options: graphics(&options.graphics),
        ..NativeOptions::default()
    };
    eframe::run_native(
        "tickcast-stage",
        native,
        Box::new(move |creation| Ok(Box::new(Window::new(creation, studio, options)?))),
    )?;
    Ok(())
}

/// One device for engine and window, so that nothing is copied between two; software has none to share.
fn graphics(found: &Graphics) -> WgpuConfiguration {
    let mut configuration = WgpuConfiguration::default();
    if let Some(Device { instance, adapter, device, queue }) = found.device().cloned() {
        configuration.wgpu_setup =
            WgpuSetup::Existing(WgpuSetupExisting { instance, adapter, device, queue });
    }
    configuration
}

struct Window {
    control: Control,
    panels: Panels,
    texture: Option<TextureHandle>,
    orders: Vec<Order>,
    /// When the program began.
    begun: Instant,
}

impl Window {
    fn new(creation: &CreationContext<'_>, studio: Studio, options: Options) -> std::io::Result<Self> {
        let context = &creation.egui_ctx;
        widgets::install(context);
        if let Some(theme) = options.theme {
            context.set_theme(theme);
        }
        if let Some(zoom) = options.zoom {
            context.set_zoom_factor(zoom);
        }
        let (renewed, begun) = (context.clone(), studio.begun);
        let control = Control::start(studio, move || renewed.request_repaint())?;
        Ok(Self { control, panels: Panels::default(), texture: None, orders: Vec::new(), begun })
    }

    fn close_in_order(&mut self, context: &Context, view: &View) {
        if view.phase == Phase::Closed || self.control.has_ended() {
            context.send_viewport_cmd(ViewportCommand::Close);
            return;
        }
        if context.input(|input| input.viewport().close_requested()) {
            // The window stays until outputs have said goodbye and the recording is whole.
            context.send_viewport_cmd(ViewportCommand::CancelClose);
            if view.phase != Phase::Closing {
                self.panels.close(view, &mut self.orders);
            }
        }
    }

    fn take_picture(&mut self, context: &Context) {
        let Some(image) = self.control.frame() else { return };
        match &mut self.texture {
            Some(texture) => texture.set(image, TextureOptions::LINEAR),
            None => {
                self.texture = Some(context.load_texture("programme", image, TextureOptions::LINEAR));
                self.panels.own.opened_in = Some(self.begun.elapsed());
            }
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let Own { opened_in, holdups } = self.panels.own;
        let opened = opened_in.map_or(0.0, |opened| opened.as_secs_f64());
        let held_up = holdups.in_words();
        tracing::info!(opened_in_s = opened, %held_up, "the window has closed");
    }
}

impl eframe::App for Window {
    fn logic(&mut self, context: &Context, _: &mut eframe::Frame) {
        let turn = Instant::now();
        let view: Arc<View> = self.control.view();
        self.close_in_order(context, &view);
        self.take_picture(context);
        self.panels.own.holdups.add(turn.elapsed());
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        let view = self.control.view();
        let shown = self.texture.as_ref().map(|texture| {
            let [width, height] = texture.size();
            Shown { texture: texture.id(), size: vec2(width as f32, height as f32) }
        });
        self.panels.show(ui, &view, shown, &mut self.orders);
        for order in self.orders.drain(..) {
            if !self.control.order(order) {
                tracing::warn!("the studio's thread does not answer");
            }
        }
    }
}
