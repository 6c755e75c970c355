//! What the programme is made of.

use studio::snapshot::SourceFigures;
use widgets::Palette;
use widgets::egui::{self, RichText, Ui};
use widgets::number::grouped;
use widgets::text::{Tone, note, row, section, status};

use crate::view::View;

pub fn show(ui: &mut Ui, view: &View) {
    section(ui, "Sources");
    let snapshot = &view.snapshot;
    egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        if snapshot.sources.is_empty() && snapshot.simulation.is_none() {
            note(
                ui,
                "No sources. Viewers see black; name a camera or a screen in the broadcast file.",
                Tone::Quiet,
            );
        }
        for source in &snapshot.sources {
            line(ui, &source.name, kind(source), state(source));
            if let Some(message) = &source.message {
                note(ui, message, Tone::Warn);
                ui.add_space(4.0);
            }
        }
        if let Some(simulation) = &snapshot.simulation {
            let what = format!("{} of the {}", grouped(simulation.particles), simulation.preset);
            line(ui, "Particles", &what, (Tone::Good, "On"));
        }
    });
}

fn line(ui: &mut Ui, name: &str, kind: &str, (tone, word): (Tone, &str)) {
    let palette = Palette::of(ui);
    row(
        ui,
        22.0,
        |ui| {
            ui.add(egui::Label::new(RichText::new(name).color(palette.text_high)).truncate())
                .on_hover_text(name);
        },
        |ui| {
            status(ui, tone, word);
        },
    );
    ui.label(RichText::new(kind).size(12.0).color(palette.text_low));
    ui.add_space(4.0);
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

fn state(source: &SourceFigures) -> (Tone, &'static str) {
    match source.state {
        "live" => (Tone::Good, "On"),
        "opening" => (Tone::Quiet, "Opening"),
        _ => (Tone::Warn, "Lost"),
    }
}
