//! The mixer: a strip for each source, and the programme's.

use std::collections::BTreeMap;

use studio::Command;
use studio::broadcast::Sound;
use studio::collection::Edit;
use studio::snapshot::{LevelFigures, SoundSourceFigures};
use widgets::egui::{self, Align, FontId, Layout, RichText, Slider, SliderClamping, Ui, vec2};
use widgets::icon::{self, Icon};
use widgets::number::tabular;
use widgets::scroll::list;
use widgets::text::{Tone, name, note, section};
use widgets::{Meter, Palette, PeakHold, button};

use crate::editor::Editor;
use crate::view::{Order, View};

const NAME: f32 = 104.0;
const READING: f32 = 64.0;
const GAIN: f32 = 88.0;
const MUTE: f32 = 64.0;
const LISTEN: f32 = 24.0;
const SOLO: f32 = 48.0;
const METER_LEAST: f32 = 60.0;
/// What a strip cannot do with less than.
pub const LEAST: f32 = NAME + METER_LEAST + READING + GAIN + MUTE + LISTEN + SOLO + 6.0 * 8.0;
/// The gains that a fader offers, in decibels.
const GAINS: std::ops::RangeInclusive<f64> = -40.0..=12.0;

/// Faders are moved by `editor`, which can undo it, where there is one.
pub fn show(
    ui: &mut Ui,
    view: &View,
    mut editor: Option<&mut Editor>,
    holds: &mut BTreeMap<String, PeakHold>,
    orders: &mut Vec<Order>,
) {
    section(ui, "Mixer");
    let sound = &view.snapshot.sound;
    list(ui, "mixer", |ui| {
        if sound.sources.is_empty() {
            note(ui, "No sound sources. Viewers hear silence.", Tone::Quiet);
        }
        for source in &sound.sources {
            let hold = holds.entry(source.name.clone()).or_default();
            strip(ui, source, editor.as_deref_mut(), hold, orders);
        }
        programme(ui, sound.level, sound.lufs, holds.entry(String::new()).or_default());
        if let Some(why) = sound.monitor.as_ref().and_then(|monitor| monitor.message.as_ref()) {
            let text = format!("You hear nothing here: {why}. Viewers hear the programme.");
            note(ui, &text, Tone::Warn);
        }
    });
}

fn cell(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui)) {
    let size = vec2(width, 28.0);
    ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_size(size);
        add(ui);
    });
}

fn meter_width(ui: &Ui) -> f32 {
    let gaps = 6.0 * ui.spacing().item_spacing.x;
    (ui.available_width() - READING - GAIN - MUTE - LISTEN - SOLO - gaps).max(METER_LEAST)
}

fn strip(
    ui: &mut Ui,
    source: &SoundSourceFigures,
    editor: Option<&mut Editor>,
    hold: &mut PeakHold,
    orders: &mut Vec<Order>,
) {
    let fader = |editor: &Editor| {
        let mut sounds = editor.collection().sounds().iter();
        sounds.find(|sound| sound.name() == source.name).map(Sound::fader)
    };
    let edited = editor.as_ref().and_then(|editor| fader(editor));
    let mut editor = editor.filter(|_| edited.is_some());
    let (gain_db, muted) =
        edited.map_or((source.gain_db, source.muted), |(gain, muted)| (gain.into(), muted));
    ui.horizontal(|ui| {
        cell(ui, NAME, |ui| {
            name(ui, &source.name, &source.name);
        });
        meter(ui, &source.name, source.level, hold, muted);
        cell(ui, GAIN, |ui| {
            let mut gain = gain_db;
            ui.spacing_mut().slider_width = GAIN;
            ui.spacing_mut().interact_size.y = 16.0;
            // What the file has beyond that stays until somebody moves it.
            let slider = Slider::new(&mut gain, GAINS).clamping(SliderClamping::Edits);
            let slider = ui.add(slider.show_value(false));
            let said = format!("Gain of {}", source.name);
            slider.widget_info(|| egui::WidgetInfo::slider(true, gain, &said));
            let slider = slider.on_hover_text(format!("{said}: {gain:+.1} dB"));
            if slider.changed() {
                let (name, gain_db) = (source.name.clone(), gain as f32);
                match editor.as_deref_mut() {
                    Some(editor) => _ = editor.edit_within(slider.id, Edit::SetGain { name, gain_db }),
                    None => orders.push(Order::Command(Command::Gain { name, gain_db })),
                }
            }
        });
        cell(ui, MUTE, |ui| {
            let word = if muted { "Muted" } else { "Mute" };
            let pressed = button::toggle(ui, muted, word);
            let said = format!("Mute {}", source.name);
            pressed.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, muted, &said));
            if pressed.on_hover_text(said).clicked() {
                let (name, muted) = (source.name.clone(), !muted);
                match editor {
                    Some(editor) => _ = editor.edit(Edit::SetMuted { name, muted }),
                    None => orders.push(Order::Command(Command::MuteSource { name, muted })),
                }
            }
        });
        cell(ui, LISTEN, |ui| {
            let said = format!("Hear {} yourself. Microphones howl without headphones.", source.name);
            let pressed = icon::toggle(ui, Icon::Listen, source.monitored, source.monitored, &said);
            if pressed.clicked() {
                let (name, monitored) = (source.name.clone(), !source.monitored);
                orders.push(Order::Command(Command::MonitorSource { name, monitored }));
            }
        });
        cell(ui, SOLO, |ui| {
            let pressed = button::toggle(ui, source.soloed, "Solo");
            let said = format!("Hear {} alone, muted or not. Viewers hear what they heard.", source.name);
            pressed
                .widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, source.soloed, &said));
            if pressed.on_hover_text(said).clicked() {
                let (name, soloed) = (source.name.clone(), !source.soloed);
                orders.push(Order::Command(Command::SoloSource { name, soloed }));
            }
        });
    });
}

fn programme(ui: &mut Ui, level: LevelFigures, lufs: Option<f64>, hold: &mut PeakHold) {
    let palette = Palette::of(ui);
    ui.horizontal(|ui| {
        cell(ui, NAME, |ui| {
            ui.label(RichText::new("Programme").color(palette.text_high));
        });
        meter(ui, "Programme", level, hold, false);
        let text = lufs.map_or_else(|| "– LUFS".to_owned(), |lufs| format!("{} LUFS", signed(lufs)));
        cell(ui, GAIN, |ui| {
            tabular(ui, &text, FontId::proportional(13.0), palette.text_mid)
                .on_hover_text("Loudness of the last three seconds");
        });
    });
}

/// The bar and its reading.
fn meter(ui: &mut Ui, name: &str, level: LevelFigures, hold: &mut PeakHold, muted: bool) {
    let now = ui.input(|input| input.time);
    hold.hear(now, level.peak_dbfs);
    let width = meter_width(ui);
    Meter { name, peak_dbfs: level.peak_dbfs, hold, now, muted }.show(ui, width);
    let loudest = level.peak_dbfs.into_iter().flatten().reduce(f64::max).filter(|db| *db > -60.0);
    let text = loudest.map_or_else(|| "silent".to_owned(), |db| format!("{} dB", signed(db)));
    let colour = Palette::of(ui).text_mid;
    cell(ui, READING, |ui| {
        tabular(ui, &text, FontId::proportional(13.0), colour);
    });
}

/// With a real minus.
fn signed(value: f64) -> String {
    format!("{value:.1}").replace('-', "\u{2212}")
}
