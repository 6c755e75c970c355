//! What the engine runs, and how it does.

use studio::snapshot::{SimulationFigures, SourceFigures};
use widgets::Palette;
use widgets::egui::{RichText, Ui};
use widgets::icon::{self, Icon};
use widgets::number::grouped;
use widgets::scroll::list;
use widgets::text::{self, Tone, note, row, section, status};

use crate::health::sentence;
use crate::view::View;

pub fn show(ui: &mut Ui, view: &View) {
    section(ui, "Sources");
    let snapshot = &view.snapshot;
    list(ui, "sources", |ui| {
        if snapshot.sources.is_empty() && snapshot.simulation.is_none() {
            note(
                ui,
                "No sources. Viewers see black; name a camera or a screen in the broadcast file.",
                Tone::Quiet,
            );
        }
        for source in &snapshot.sources {
            device(ui, source, false);
        }
        if let Some(simulation) = &snapshot.simulation {
            line(ui, "Particles", &shown(simulation), (Tone::Good, "On"), false);
        }
    });
}

/// A source's name, what it is, how it does, and why. Whether it is to be ended, where it may be.
pub fn device(ui: &mut Ui, source: &SourceFigures, may_end: bool) -> bool {
    let ended = line(ui, &source.name, kind(source), state(source), may_end);
    if let Some(message) = &source.message {
        note(ui, &sentence(message), Tone::Warn);
        ui.add_space(4.0);
    }
    ended
}

fn line(ui: &mut Ui, name: &str, kind: &str, (tone, word): (Tone, &str), may_end: bool) -> bool {
    let palette = Palette::of(ui);
    let mut ended = false;
    row(
        ui,
        22.0,
        |ui| {
            text::name(ui, name, name);
        },
        |ui| {
            if may_end {
                let hint = format!("End {name}, and take it out of the broadcast");
                ended = icon::named_button(ui, Icon::Delete, &format!("End {name}"), &hint).clicked();
            }
            status(ui, tone, word);
        },
    );
    ui.label(RichText::new(kind).size(12.0).color(palette.text_low));
    ui.add_space(4.0);
    ended
}

/// How many particles there are, and of how many while load is shed.
pub fn shown(simulation: &SimulationFigures) -> String {
    let SimulationFigures { particles, full_count, .. } = *simulation;
    if particles < full_count {
        return format!("{} of {}", grouped(particles), grouped(full_count));
    }
    grouped(particles)
}

fn kind(source: &SourceFigures) -> &'static str {
    match source.kind {
        "camera" => "Camera",
        "microphone" => "Microphone",
        "screen" => "Screen",
        "file" => "File",
        "clock" => "Clock",
        _ => "Test signal",
    }
}

pub fn state(source: &SourceFigures) -> (Tone, &'static str) {
    match source.state {
        // Not what a person came to show.
        "live" if source.kind == "synthetic" => (Tone::Quiet, "On"),
        "live" => (Tone::Good, "On"),
        "opening" => (Tone::Quiet, "Opening"),
        "stand_in" => (Tone::Warn, "Stand-in"),
        _ => (Tone::Warn, "Lost"),
    }
}
