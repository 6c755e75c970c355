//! Where the programme goes, and how it gets there.

use std::path::Path;

use studio::snapshot::{OnAir, OutputFigures, RecordingFigures};
use widgets::egui::{self, RichText, Role, TextStyle, Ui, WidgetInfo};
use widgets::scroll::list;
use widgets::text::{self, Tone, note, row, section, status, status_width};
use widgets::{Palette, button};

use crate::health::sentence;
use crate::view::{Order, View};

/// Narrower than this there is no list.
pub const LEAST: f32 = 120.0;
/// Figures are left out where they would leave less than this to a name.
const NAME_LEAST: f32 = 72.0;

pub fn show(ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
    section(ui, "Outputs");
    list(ui, "outputs", |ui| {
        if view.snapshot.outputs.is_empty() {
            note(ui, &format!("{NO_OUTPUT} Recording works without one."), Tone::Quiet);
        }
        let is_live = view.snapshot.on_air == OnAir::Live;
        let mut lines: Vec<Line> = view.snapshot.outputs.iter().map(|told| output(told, is_live)).collect();
        lines.extend(view.snapshot.recording.as_ref().map(recording));
        // As wide as the widest, so that the dots stand below each other and the words end at the edge.
        let widths = lines.iter().map(|line| status_width(ui, line.state.1));
        let states = widths.fold(0.0, f32::max).ceil();
        for (at, line) in lines.iter().enumerate() {
            match show_line(ui, line, states) {
                Some(Act::Start) => orders.push(Order::StartOutput(at)),
                Some(Act::Stop) => orders.push(Order::StopOutput(at)),
                None => {}
            }
        }
        if let Some(url) = &view.watch_url {
            show_link(ui, url);
        }
    });
}

/// What to do where the broadcast names no server.
pub const NO_OUTPUT: &str = "No server yet, so you cannot go live. Name one in a broadcast file and open it with \
    tickcast stage FILE, or start the node in the Desk and open the Stage from there.";

struct Line {
    name: String,
    /// What the pointer shows.
    whole: String,
    state: (Tone, &'static str),
    figures: String,
    /// What may be done with it alone.
    act: Option<Act>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Start,
    Stop,
}

fn output(output: &OutputFigures, is_live: bool) -> Line {
    let mut whole = output.url.clone();
    if let Some(message) = &output.message {
        whole = format!("{whole}\n{}", sentence(message));
    }
    let act = is_live.then_some(match output.state {
        "stopped" | "closed" => Act::Start,
        _ => Act::Stop,
    });
    Line { name: name(output), whole, state: state(output), figures: figures(output), act }
}

fn recording(recording: &RecordingFigures) -> Line {
    let path = Path::new(&recording.path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Line {
        name: format!("File · {name}"),
        whole: place(path),
        state: recording_state(recording),
        figures: bytes(recording.bytes),
        act: None,
    }
}

/// What is asked for, if anything is.
fn show_line(ui: &mut Ui, line: &Line, states: f32) -> Option<Act> {
    let palette = Palette::of(ui);
    let mut asked = None;
    row(
        ui,
        28.0,
        |ui| {
            text::name(ui, &line.name, &line.whole);
        },
        |ui| {
            if let Some(act) = line.act {
                let word = if act == Act::Start { "Start" } else { "Stop" };
                let said = format!("{word} {}", line.name);
                let pressed = button::quiet(ui, word);
                pressed.widget_info(|| WidgetInfo::labeled(Role::Button, true, &said));
                let hint = format!("{said}. Your other outputs go on.");
                asked = pressed.on_hover_text(hint).clicked().then_some(act);
            }
            let (tone, word) = line.state;
            ui.allocate_ui(egui::vec2(states, 28.0), |ui| {
                ui.set_min_width(states);
                ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| status(ui, tone, word));
            });
            let font = TextStyle::Body.resolve(ui.style());
            if text::width(ui, &line.figures, font) + NAME_LEAST <= ui.available_width() {
                ui.label(RichText::new(&line.figures).color(palette.text_mid));
            }
        },
    );
    asked
}

/// What viewers open, to be given to them.
fn show_link(ui: &mut Ui, url: &str) {
    row(
        ui,
        32.0,
        |ui| {
            text::name(ui, &format!("Watch · {}", bare(url)), url);
        },
        |ui| {
            if button::quiet(ui, "Copy link").clicked() {
                ui.ctx().copy_text(url.to_owned());
            }
        },
    );
}

fn bare(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, place)| place)
}

/// A path as people write it: the home is `~`.
pub fn place(path: &Path) -> String {
    shortened(path, std::env::home_dir().as_deref())
}

fn shortened(path: &Path, home: Option<&Path>) -> String {
    // Where the home is the root, or not set, nothing is shorter.
    let home = home.filter(|home| home.parent().is_some());
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => Path::new("~").join(rest).display().to_string(),
        None => path.display().to_string(),
    }
}

/// What it is and which server.
fn name(output: &OutputFigures) -> String {
    let place = bare(&output.url);
    let host = place.split('/').next().unwrap_or(place);
    format!("{} · {host}", output.kind.to_uppercase())
}

fn state(output: &OutputFigures) -> (Tone, &'static str) {
    match output.state {
        "up" => (Tone::Good, "Sending"),
        "connecting" => (Tone::Quiet, "Connecting"),
        "lost" => (Tone::Bad, "Lost"),
        "closed" => (Tone::Bad, "Closed"),
        "stopped" => (Tone::Quiet, "Stopped"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_written_as_people_write_it() {
        let path = Path::new("/home/ada/Videos/show.mp4");
        assert_eq!(shortened(path, Some(Path::new("/home/ada"))), "~/Videos/show.mp4");
        for other in [Some(Path::new("/home/ad")), Some(Path::new("/")), Some(Path::new("")), None] {
            assert_eq!(shortened(path, other), "/home/ada/Videos/show.mp4");
        }
    }
}
