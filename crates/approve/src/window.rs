//! The window of the prompt.

use std::sync::atomic::Ordering;

use widgets::Palette;
use widgets::eframe::{self, NativeOptions};
use widgets::egui::{self, Context, ViewportBuilder, ViewportCommand};
use widgets::window::{Look, WindowError};

use crate::Prompt;
use crate::sheet::{Done, Sheet};

/// In points.
const FIRST: [f32; 2] = [560.0, 520.0];
const LEAST: [f32; 2] = [360.0, 320.0];

/// Opens the window, on the process's first thread, and returns when it has closed: whoever asks is declined from then on.
///
/// # Errors
/// Where the system has no place for windows.
pub fn run(prompt: &Prompt, look: Look) -> Result<(), WindowError> {
    let native = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title("Approve – Tickcast")
            .with_app_id("tickcast-approve")
            .with_inner_size(look.zoomed(look.size.unwrap_or(FIRST)))
            .with_min_inner_size(look.zoomed(LEAST)),
        ..NativeOptions::default()
    };
    let shown = prompt.clone();
    // Whoever asks waits for it, also where it never opened, or failed.
    let _gone = Gone(prompt);
    let ran = eframe::run_native(
        "tickcast-approve",
        native,
        Box::new(move |creation| {
            look.install(&creation.egui_ctx);
            // It is new: there is one window to a prompt.
            let _ = shown.0.context.set(creation.egui_ctx.clone());
            Ok(Box::new(Window { prompt: shown, sheet: Sheet::default() }))
        }),
    );
    Ok(ran?)
}

/// Says that the window is gone, whatever the reason.
struct Gone<'a>(&'a Prompt);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

struct Window {
    prompt: Prompt,
    sheet: Sheet,
}

impl eframe::App for Window {
    fn logic(&mut self, context: &Context, _: &mut eframe::Frame) {
        if self.prompt.0.is_closing.load(Ordering::Relaxed) {
            context.send_viewport_cmd(ViewportCommand::Close);
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        let room = ui.max_rect();
        ui.painter().rect_filled(room, 0.0, Palette::of(ui).app);
        match self.sheet.show(ui, &self.prompt.showing()) {
            Some(Done::Answered(reply)) => self.prompt.answer(reply),
            Some(Done::Closed) => ui.ctx().send_viewport_cmd(ViewportCommand::Close),
            None => {}
        }
    }
}
