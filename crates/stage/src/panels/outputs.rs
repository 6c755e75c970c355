//! Where the programme goes, and how it gets there.

use std::path::Path;

use studio::snapshot::{OutputFigures, RecordingFigures};
use widgets::Palette;
use widgets::egui::{self, RichText, Ui};
use widgets::text::{Tone, note, row, section, status};

use crate::view::View;

pub fn show(ui: &mut Ui, view: &View) {
    section(ui, "Outputs");
    egui::ScrollArea::vertical().id_salt("outputs").auto_shrink(false).show(ui, |ui| {
        if view.snapshot.outputs.is_empty() {
            note(
                ui,
                "No server yet, so you cannot go live. Name one in a broadcast file and open it with \
                 tickcast stage FILE. Recording works without one.",
                Tone::Quiet,
            );
        }
        for output in &view.snapshot.outputs {
            line(ui, &name(output), &output.url, state(output), &figures(output));
        }
        if let Some(recording) = &view.snapshot.recording {
            let name = Path::new(&recording.path).file_name().unwrap_or_default().to_string_lossy();
            let name = format!("File · {name}");
            line(ui, &name, &recording.path, recording_state(recording), &bytes(recording.bytes));
        }
    });
}

fn line(ui: &mut Ui, name: &str, full: &str, (tone, word): (Tone, &str), figures: &str) {
    let palette = Palette::of(ui);
    row(
        ui,
        28.0,
        |ui| {
            let text = RichText::new(name).color(palette.text_high);
            ui.add(egui::Label::new(text).truncate()).on_hover_text(full);
        },
        |ui| {
            ui.allocate_ui(egui::vec2(104.0, 28.0), |ui| {
                ui.set_min_width(104.0);
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| status(ui, tone, word));
            });
            ui.label(RichText::new(figures).color(palette.text_mid));
        },
    );
}

/// What it is and which server.
fn name(output: &OutputFigures) -> String {
    let place = output.url.split_once("://").map_or(output.url.as_str(), |(_, place)| place);
    let host = place.split('/').next().unwrap_or(place);
    format!("{} · {host}", output.kind.to_uppercase())
}

fn state(output: &OutputFigures) -> (Tone, &'static str) {
    match output.state {
        "up" => (Tone::Good, "Sending"),
        "connecting" => (Tone::Quiet, "Connecting"),
        "lost" => (Tone::Bad, "Lost"),
        "closed" => (Tone::Bad, "Closed"),
        _ => (Tone::Quiet, "Ready"),
    }
}

fn recording_state(recording: &RecordingFigures) -> (Tone, &'static str) {
    match recording.state {
        "recording" => (Tone::Good, "Recording"),
        "finalising" => (Tone::Quiet, "Finishing"),
        "finished" => (Tone::Quiet, "Finished"),
        _ => (Tone::Bad, "Failed"),
    }
}

fn figures(output: &OutputFigures) -> String {
    let mut parts = Vec::new();
    if output.bytes > 0 {
        parts.push(bytes(output.bytes));
    }
    if let Some(ms) = output.rtt_ms {
        parts.push(format!("{ms:.0} ms"));
    }
    if let Some(loss) = output.loss.filter(|loss| *loss >= 0.001) {
        parts.push(format!("{:.1} % lost", loss * 100.0));
    }
    if output.reconnects > 0 {
        parts.push(format!("reconnected {}\u{d7}", output.reconnects));
    }
    parts.join(" · ")
}

/// In the unit that keeps it short.
pub fn bytes(count: u64) -> String {
    let count = count as f64;
    match count {
        _ if count < 1e3 => format!("{count:.0} B"),
        _ if count < 1e6 => format!("{:.0} kB", count / 1e3),
        _ if count < 1e9 => format!("{:.1} MB", count / 1e6),
        _ => format!("{:.2} GB", count / 1e9),
    }
}
