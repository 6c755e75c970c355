//! The strip on top: on air or not, how the programme does, and the two buttons that matter.

use studio::snapshot::{OnAir, Reach};
use widgets::egui::{self, Align2, CornerRadius, FontId, Frame, Margin, Panel, Sense, Ui, vec2};
use widgets::number::{duration, tabular};
use widgets::text::{self, Tone, row, value};
use widgets::theme::strong;
use widgets::{Palette, button};

use super::Question;
use super::outputs::NO_OUTPUT;
use crate::health::{self, Health};
use crate::hotkeys::Action;
use crate::view::{Audience, Earned, Order, Phase, View};

/// Above this the encoders fall behind a picture at 30 a second.
const LAG_WARN_MS: f64 = 33.0;

pub fn show(ui: &mut Ui, view: &View, question: &mut Option<Question>, orders: &mut Vec<Order>) {
    row(
        ui,
        48.0,
        |ui| {
            ui.spacing_mut().item_spacing.x = 12.0;
            if view.phase == Phase::Running {
                on_air(ui, view);
                separator(ui);
                figures(ui, view);
            } else {
                ui.label(egui::RichText::new(&view.title).font(strong(13.0)));
            }
        },
        |ui| {
            if view.phase == Phase::Running {
                buttons(ui, view, question, orders);
            }
        },
    );
}

/// The room for the button that puts a notice away.
const SEEN_WIDTH: f32 = 72.0;

/// What needs the creator, under the strip. Where all is well, what killed programs had left of recordings, until it was
/// seen: `seen` is what the creator has put away. Else nothing.
pub fn notice(ui: &mut Ui, view: &View, seen: &mut Option<String>) {
    let health = health::of(view);
    if health.tone != Tone::Good {
        return strip(ui, &health, 0.0, |_| ());
    }
    let Some(leftovers) = health::leftovers(view) else { return };
    if seen.as_ref() == Some(&leftovers.sentence) {
        return;
    }
    strip(ui, &leftovers, SEEN_WIDTH, |ui| {
        if button::quiet(ui, "Got it").clicked() {
            *seen = Some(leftovers.sentence.clone());
        }
    });
}

/// A sentence, and `width` for what is to its right.
fn strip(ui: &mut Ui, health: &Health, width: f32, right: impl FnOnce(&mut Ui)) {
    let palette = Palette::of(ui);
    let frame = Frame::new().fill(palette.raised).inner_margin(Margin::symmetric(12, 6));
    Panel::top("notice").resizable(false).frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            text::dot(ui, health.tone);
            let room = ui.available_width() - width;
            ui.scope(|ui| {
                ui.set_max_width(room);
                let sentence = egui::RichText::new(&health.sentence).color(palette.text_high);
                ui.add(egui::Label::new(sentence).wrap());
            });
            right(ui);
        });
    });
}

fn separator(ui: &mut Ui) {
    let (rect, _) = ui.allocate_exact_size(vec2(1.0, 20.0), Sense::hover());
    ui.painter().rect_filled(rect, CornerRadius::ZERO, Palette::of(ui).line);
}

fn on_air(ui: &mut Ui, view: &View) {
    match view.snapshot.on_air {
        OnAir::Live => reach(ui, view),
        OnAir::Preview => {
            text::status(ui, Tone::Quiet, "Preview").on_hover_text("Nobody sees this yet");
        }
        OnAir::Ending => {
            ui.spinner();
            ui.label("Ending");
        }
    }
}

/// Says that it is live, and for how long, only while a server takes the picture.
fn reach(ui: &mut Ui, view: &View) {
    let (tone, word, hint) = match view.snapshot.reach() {
        Reach::Server => return live(ui, view),
        Reach::NotYet => (Tone::Quiet, "Connecting", "No server takes the picture yet"),
        Reach::NotNow => (
            Tone::Bad,
            "Reconnecting",
            "No server takes the picture now, so nobody sees it. They are tried again",
        ),
        Reach::Nobody => (
            Tone::Bad,
            "Not reaching anyone",
            "No server takes the picture. End and go live again to try once more",
        ),
    };
    text::status(ui, tone, word).on_hover_text(hint);
}

fn live(ui: &mut Ui, view: &View) {
    let palette = Palette::of(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(56.0, 24.0), Sense::hover());
    ui.painter().rect_filled(rect, CornerRadius::same(6), palette.live);
    let ink = Palette::on(palette.live);
    ui.painter().circle_filled(rect.left_center() + vec2(12.0, 0.0), 4.0, ink);
    let at = rect.left_center() + vec2(21.0, 0.0);
    ui.painter().text(at, Align2::LEFT_CENTER, "LIVE", strong(12.0), ink);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, "Live"));
    let seconds = view.snapshot.live_seconds.unwrap_or_default();
    tabular(ui, &duration(seconds), strong(15.0), palette.text_high)
        .on_hover_text("Time since you went live");
}

fn figures(ui: &mut Ui, view: &View) {
    let (programme, rates) = (&view.snapshot.programme, &view.rates);
    let dash = || "–".to_owned();
    let fps = rates.fps.map_or_else(dash, |fps| format!("{fps:.0}"));
    let mut figures = vec![("fps", fps, Tone::Quiet, "Programme pictures a second, over five seconds")];
    let lag = programme.lag_ms_p50;
    let tone = if lag.is_some_and(|ms| ms > LAG_WARN_MS) { Tone::Warn } else { Tone::Quiet };
    let hint = "From composing a picture to its last encoded rendition, median";
    figures.push(("encode", lag.map_or_else(dash, |ms| format!("{ms:.0} ms")), tone, hint));
    let losing = rates.dropped.is_some_and(|share| share > 0.01);
    let settled = programme.dropped - programme.dropped_at_start.min(programme.dropped);
    let tone = if losing { Tone::Warn } else { Tone::Quiet };
    let hint = "Pictures that were due and left out, since two seconds after the start";
    figures.push(("dropped", settled.to_string(), tone, hint));
    if view.snapshot.on_air == OnAir::Live {
        // The rate is of the last seconds, in which something may have been lost.
        let sent = rates.sent_kbps.filter(|_| view.snapshot.reach() == Reach::Server);
        let mbps = sent.map_or_else(dash, |kbps| format!("{:.1} Mbps", kbps / 1e3));
        figures.push(("sending", mbps, Tone::Quiet, "To all outputs together"));
        let rtt = view.snapshot.outputs.iter().filter_map(|output| output.rtt_ms).reduce(f64::max);
        if let Some(ms) = rtt {
            let hint = "Round trip to the farthest WHIP server";
            figures.push(("there and back", format!("{ms:.0} ms"), Tone::Quiet, hint));
        }
    }
    // Before what only engineers read: it is the last to be left out.
    figures.splice(0..0, audience(view));
    for (name, text, tone, hint) in figures {
        // What does not fit is left out, the last first.
        if text::value_width(ui, name, &text) > ui.available_width() {
            return;
        }
        value(ui, name, &text, tone).on_hover_text(hint);
    }
    let health = health::of(view);
    let room = text::status_width(ui, &health.sentence) + 2.0 * ui.spacing().item_spacing.x;
    if health.tone == Tone::Good && room <= ui.available_width() {
        separator(ui);
        text::status(ui, health.tone, &health.sentence);
    }
}

/// Who watches, and what it brings, while live.
fn audience(view: &View) -> Vec<(&'static str, String, Tone, &'static str)> {
    let told = view.heard.audience.as_ref().filter(|_| view.snapshot.on_air == OnAir::Live);
    let Some(Audience { viewers, earned }) = told else { return Vec::new() };
    let mut figures = vec![("watching", viewers.to_string(), Tone::Quiet, "Viewers at this moment")];
    if let Some(Earned { a_second, total }) = earned {
        if let Some(a_second) = a_second {
            figures.push((
                "a second",
                a_second.clone(),
                Tone::Money,
                "What comes in, over the last ten seconds",
            ));
        }
        figures.push(("earned", total.clone(), Tone::Money, "Signed for by viewers of this stream, in all"));
    }
    figures
}

const CHECKING: &str = "Sources, servers and the disk are looked at for a moment";

/// Where there is anybody to send to.
pub fn may_go_live(view: &View) -> bool {
    !view.snapshot.outputs.is_empty()
}

fn is_recording(view: &View) -> bool {
    view.snapshot.recording.as_ref().is_some_and(|recording| recording.state == "recording")
}

pub fn record_order(view: &View) -> Order {
    if is_recording(view) { Order::EndRecording } else { Order::Record }
}

/// From the right.
fn buttons(ui: &mut Ui, view: &View, question: &mut Option<Question>, orders: &mut Vec<Order>) {
    let context = ui.ctx().clone();
    let hint = |words: &str, action| view.hotkeys.hint(&context, words, action);
    match view.snapshot.on_air {
        OnAir::Preview if view.is_checking => {
            ui.add_enabled_ui(false, |ui| button::live(ui, "Looking round").on_disabled_hover_text(CHECKING));
        }
        OnAir::Preview if may_go_live(view) => {
            let hint = hint("Starts every output", Action::GoLive);
            if button::live(ui, "Go live").on_hover_text(hint).clicked() {
                orders.push(Order::GoLive);
            }
        }
        OnAir::Preview => {
            ui.add_enabled_ui(false, |ui| button::live(ui, "Go live").on_disabled_hover_text(NO_OUTPUT));
        }
        OnAir::Live => {
            if button::quiet(ui, "End").on_hover_text(hint("Ends the broadcast", Action::GoLive)).clicked() {
                *question = Some(Question::End);
            }
        }
        OnAir::Ending => {
            ui.add_enabled_ui(false, |ui| button::quiet(ui, "End"));
        }
    }
    let word = if is_recording(view) { "Stop recording" } else { "Record" };
    if button::quiet(ui, word).on_hover_text(hint(word, Action::Record)).clicked() {
        orders.push(record_order(view));
    }
    if let Some(recording) = view.snapshot.recording.as_ref().filter(|_| is_recording(view)) {
        let text = super::outputs::bytes(recording.bytes);
        tabular(ui, &text, FontId::proportional(13.0), Palette::of(ui).text_mid)
            .on_hover_text("Recorded so far");
    }
}
