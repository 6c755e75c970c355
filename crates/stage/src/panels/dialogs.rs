//! What stands in the middle when there is no programme, and what is asked or told above it.

use widgets::egui::{self, Frame, Id, Modal, RichText, Ui, vec2};
use widgets::number::duration;
use widgets::text::{Tone, note};
use widgets::theme::strong;
use widgets::{Palette, button};

use super::Question;
use super::outputs::{bytes, place};
use crate::health::sentence;
use crate::view::{Order, Phase, Summary, View};

/// The studio before it runs, and after.
pub fn phase(ui: &mut Ui, phase: &Phase, orders: &mut Vec<Order>) {
    let palette = Palette::of(ui);
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.36).max(24.0));
        let heading = |text: &str| RichText::new(text).font(strong(18.0)).color(palette.text_high);
        match phase {
            Phase::Opening | Phase::Running => {
                ui.spinner();
                ui.add_space(12.0);
                ui.label(heading("Starting the studio"));
                ui.label(RichText::new("Opening encoders and looking for devices").color(palette.text_mid));
            }
            Phase::Failed(reason) => {
                ui.label(heading("The studio could not start"));
                ui.add_space(4.0);
                ui.scope(|ui| {
                    ui.set_max_width(520.0);
                    ui.add(egui::Label::new(RichText::new(reason).color(palette.text_mid)).wrap());
                });
                ui.add_space(16.0);
                if button::primary(ui, "Try again").clicked() {
                    orders.push(Order::Retry);
                }
            }
            Phase::Closing | Phase::Closed => {
                ui.spinner();
                ui.add_space(12.0);
                ui.label(heading("Ending"));
                ui.label(
                    RichText::new("Outputs say goodbye and the recording is made whole")
                        .color(palette.text_mid),
                );
            }
        }
    });
}

/// Asks, and says whether it was answered. `fresh` in the question's first frame.
pub fn ask(ui: &Ui, question: Question, view: &View, fresh: bool, orders: &mut Vec<Order>) -> bool {
    let unrecorded = view.unrecorded.as_ref().map(|(_, reason)| sentence(reason)).unwrap_or_default();
    let found = view.found.as_ref().map(|(_, found)| found.join("\n\n")).unwrap_or_default();
    let (title, text, yes, order) = match question {
        Question::Found => ("Before you go live", found.as_str(), "Go live anyway", Order::GoLiveAnyway),
        Question::Unrecorded => {
            ("Go live without recording?", unrecorded.as_str(), "Go live", Order::GoLiveUnrecorded)
        }
        Question::End => (
            "End the broadcast?",
            "Your viewers' picture ends. The preview goes on, and you can go live again.",
            "End the broadcast",
            Order::End,
        ),
        Question::Close => (
            "End and close?",
            "You are live or recording. Outputs are ended and the recording is made whole before the window closes.",
            "End and close",
            Order::Close,
        ),
    };
    let mut answered = false;
    let no = match question {
        Question::Found | Question::Unrecorded => "Not now",
        Question::End | Question::Close => "Go on",
    };
    let modal = modal(ui, "question").show(ui.ctx(), |ui| {
        ui.set_width(360.0);
        ui.heading(title);
        ui.add_space(4.0);
        ui.label(RichText::new(text).color(Palette::of(ui).text_mid));
        ui.add_space(16.0);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if button::live(ui, yes).clicked() {
                orders.push(order.clone());
                answered = true;
            }
            let stay = button::quiet(ui, no);
            // The safe answer has the focus, so that Enter ends nothing. What asks for it in a dialog's first
            // frame, in which its size is found, loses it again.
            if fresh || ui.memory(|memory| memory.focused().is_none()) {
                stay.request_focus();
            }
            answered |= stay.clicked();
        });
    });
    answered || modal.should_close()
}

pub fn modal(ui: &Ui, id: &str) -> Modal {
    Modal::new(Id::unique(id)).frame(Frame::window(ui.style()))
}

/// Tells how it went, and says whether it was put away.
pub fn summary(ui: &Ui, summary: &Summary) -> bool {
    let mut done = false;
    let modal = modal(ui, "summary").show(ui.ctx(), |ui| {
        ui.set_width(360.0);
        ui.heading("Your broadcast has ended");
        ui.add_space(8.0);
        let low = Palette::of(ui).text_low;
        egui::Grid::new("figures").num_columns(2).spacing(vec2(24.0, 4.0)).show(ui, |ui| {
            let mut line = |name: &str, value: String| {
                ui.label(RichText::new(name).color(low));
                ui.add(egui::Label::new(RichText::new(value).color(Palette::of(ui).text_high)).truncate());
                ui.end_row();
            };
            line("Time on air", duration(summary.seconds));
            line("Sent", bytes(summary.bytes));
            line("Pictures left out", summary.dropped.to_string());
            if let Some(viewers) = summary.most_viewers {
                line("Viewers at once, at most", viewers.to_string());
            }
            if let Some(earned) = &summary.earned {
                line("Earned by this stream", earned.clone());
            }
            if let Some(path) = &summary.recording {
                line("Recording", path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            }
        });
        if let Some(folder) = summary.recording.as_ref().and_then(|path| path.parent()) {
            note(ui, &format!("In {}", place(folder)), Tone::Quiet);
        }
        ui.add_space(16.0);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            done = button::primary(ui, "Done").clicked();
        });
    });
    done || modal.should_close()
}
