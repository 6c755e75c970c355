//! The picture, and over it only what matters: drawn from a [`View`], answered with [`Order`]s.

use widgets::card::figures;
use widgets::egui::{
    self, Align, Align2, Area, Color32, ComboBox, CornerRadius, FontId, Frame, Id, Key, Layout, Margin,
    Order as Above, Pos2, Rect, RichText, Sense, Slider, Stroke, Ui, Vec2, pos2, vec2,
};
use widgets::number::tabular;
use widgets::picture::fit;
use widgets::text::{Tone, capitalised, note, row, status};
use widgets::theme::strong;
use widgets::{Palette, button};

use super::view::{Cost, Order, Phase, View, lines};
use crate::quality::QualityView;

/// A picture on the graphics device.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub texture: egui::TextureId,
    /// In pixels.
    pub size: Vec2,
}

/// Controls go when the pointer has rested for so long; what it costs stays.
const FADES_AFTER: f64 = 2.0;
const BAR: f32 = 44.0;
/// Bars over the picture: enough of it is hidden for any text to be read.
const BAR_OPACITY: f32 = 0.96;
const VOLUME_STEP: f32 = 0.05;
/// The room for what is said in the middle.
const SAID: f32 = 120.0;

/// What is remembered from one frame to the next.
#[derive(Default)]
pub struct Panels {
    /// When a hand was last seen, in the window's seconds.
    moved: f64,
}

impl Panels {
    pub fn show(&mut self, ui: &mut Ui, view: &View, shown: Option<Shown>, orders: &mut Vec<Order>) {
        keys(ui, view, orders);
        let is_shown = self.is_shown(ui, view);
        let room = ui.max_rect();
        let response = picture(ui, view, shown);
        if response.double_clicked() {
            orders.push(Order::FullScreen(!view.is_full_screen));
        }
        if is_shown {
            bar(ui, "top", room.left_top(), |ui| top(ui, view, orders));
            bar(ui, "bottom", pos2(room.left(), room.bottom() - BAR), |ui| bottom(ui, view, orders));
        }
        if let Some(cost) = &view.cost {
            meter(ui, cost, is_shown, orders);
        }
        if view.has_statistics {
            statistics(ui, view);
        }
        if matches!(view.phase, Phase::Over { .. }) && again(ui) {
            orders.push(Order::Again);
        }
    }

    /// Whether the controls are to be seen.
    fn is_shown(&mut self, ui: &Ui, view: &View) -> bool {
        let (now, is_moving) = ui.input(|input| {
            let hand = input.pointer.delta() != Vec2::ZERO || input.pointer.any_down();
            (input.time, hand || !input.events.is_empty())
        });
        if is_moving || view.phase != Phase::Playing || ui.memory(|memory| memory.focused().is_some()) {
            self.moved = now;
        }
        let rests = now - self.moved;
        if rests < FADES_AFTER {
            let left = std::time::Duration::from_secs_f64(FADES_AFTER - rests);
            ui.ctx().request_repaint_after(left);
        }
        rests < FADES_AFTER
    }
}

fn keys(ui: &Ui, view: &View, orders: &mut Vec<Order>) {
    // A control that has the focus gets its keys first.
    if ui.memory(|memory| memory.focused().is_some()) {
        return;
    }
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    if pressed(Key::Space) && !matches!(view.phase, Phase::Over { .. }) {
        orders.push(Order::Pause(!view.is_paused));
    }
    if pressed(Key::M) {
        orders.push(Order::Mute(!view.is_muted));
    }
    if pressed(Key::F) {
        orders.push(Order::FullScreen(!view.is_full_screen));
    }
    if pressed(Key::I) {
        orders.push(Order::Statistics(!view.has_statistics));
    }
    if view.is_full_screen && pressed(Key::Escape) {
        orders.push(Order::FullScreen(false));
    }
    for (key, step) in [(Key::ArrowUp, VOLUME_STEP), (Key::ArrowDown, -VOLUME_STEP)] {
        if pressed(key) {
            orders.push(Order::Volume((view.volume + step).clamp(0.0, 1.0)));
        }
    }
}

fn picture(ui: &mut Ui, view: &View, shown: Option<Shown>) -> egui::Response {
    let room = ui.max_rect();
    let response = ui.allocate_rect(room, Sense::click());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, "Picture"));
    let painter = ui.painter();
    painter.rect_filled(room, CornerRadius::ZERO, Color32::BLACK);
    if let Some(shown) = shown {
        let fitted = fit(room, shown.size);
        let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
        let light = if view.phase == Phase::Playing { Color32::WHITE } else { Color32::from_gray(90) };
        painter.image(shown.texture, fitted, whole, light);
    }
    match &view.phase {
        Phase::Playing => {}
        Phase::Paused => {
            let words = view.cost.is_some().then_some("Nothing is paid until you play on.");
            say(ui, room, "Paused", words);
        }
        Phase::Connecting => say(ui, room, "Connecting", None),
        Phase::Reconnecting { reason } => say(ui, room, "Reconnecting", Some(&capitalised(reason))),
        Phase::Over { words } => say(ui, room, "Nothing plays any more", Some(words)),
    }
    response
}

/// Where there is no picture yet, or will be none.
pub fn only_words(ui: &mut Ui, heading: &str, words: Option<&str>) {
    let room = ui.max_rect();
    ui.painter().rect_filled(room, CornerRadius::ZERO, Color32::BLACK);
    say(ui, room, heading, words);
}

/// Below what is said where nothing plays: whether it is to begin again. Return does the same.
pub fn again(ui: &mut Ui) -> bool {
    let below = pos2(ui.max_rect().center().x, ui.max_rect().center().y + SAID / 2.0);
    let area = Area::new(Id::unique("again")).fixed_pos(below).pivot(Align2::CENTER_TOP);
    let button = area.show(ui.ctx(), |ui| button::primary(ui, "Watch again")).inner;
    let is_free = ui.memory(|memory| memory.focused().is_none());
    button.clicked() || (is_free && ui.input(|input| input.key_pressed(Key::Enter)))
}

/// On the picture, which is dark where something is said on it, in both themes.
fn say(ui: &mut Ui, room: Rect, heading: &str, words: Option<&str>) {
    let width = (room.width() - 48.0).clamp(0.0, 520.0);
    let area = Rect::from_center_size(room.center(), vec2(width, SAID));
    let mut inner =
        ui.new_child(egui::UiBuilder::new().max_rect(area).layout(Layout::top_down(Align::Center)));
    inner.label(RichText::new(heading).font(strong(18.0)).color(Color32::WHITE));
    if let Some(words) = words {
        inner.add_space(4.0);
        let words = RichText::new(words).color(Color32::from_gray(200));
        inner.add(egui::Label::new(words).wrap());
    }
}

/// A bar across the window.
fn bar(ui: &Ui, id: &str, at: Pos2, add: impl FnOnce(&mut Ui)) {
    let width = ui.max_rect().width();
    let palette = Palette::of(ui);
    Area::new(Id::unique(id)).fixed_pos(at).order(Above::Foreground).show(ui.ctx(), |ui| {
        let fill = palette.panel.gamma_multiply(BAR_OPACITY);
        Frame::new().fill(fill).inner_margin(Margin::symmetric(12, 0)).show(ui, |ui| {
            ui.set_width(width - 24.0);
            ui.set_height(BAR);
            add(ui);
        });
    });
}

fn top(ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
    let palette = Palette::of(ui);
    row(
        ui,
        BAR,
        |ui| {
            let title = RichText::new(&view.title).font(strong(14.0)).color(palette.text_high);
            ui.add(egui::Label::new(title).truncate());
        },
        |ui| {
            ui.spacing_mut().item_spacing.x = 16.0;
            if let Some(cost) = &view.cost {
                // Room for the meter, which stands above the bar and stays.
                ui.add_space(meter_width(ui, cost));
            }
            let quiet = palette.text_mid;
            quality(ui, view, orders);
            if let Some(ms) = view.delay_ms {
                let text = format!("{:.1} s behind", ms / 1e3);
                tabular(ui, &text, FontId::proportional(13.0), quiet)
                    .on_hover_text("From the camera to your screen");
            }
        },
    );
}

/// What comes now, and what else may be had.
fn quality(ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
    let QualityView { wish, offered, refused } = &view.quality;
    let known = view.height.map(lines).unwrap_or_default();
    if offered.len() < 2 {
        tabular(ui, &known, FontId::proportional(13.0), Palette::of(ui).text_mid);
        return;
    }
    if let Some(why) = refused {
        status(ui, Tone::Warn, "Not this quality").on_hover_text(why);
    }
    let shown = if wish.is_none() { format!("{known} automatic") } else { known };
    let mut chosen = *wish;
    let list = ComboBox::from_id_salt("quality").selected_text(shown.trim()).width(124.0);
    let palette = Palette::of(ui);
    // On what is chosen the text stands out as on a button that is down.
    let entry = |is_chosen: bool, text: String| match is_chosen {
        true => RichText::new(text).color(Palette::on(palette.select)),
        false => RichText::new(text),
    };
    let answer = list.show_ui(ui, |ui| {
        ui.selectable_value(&mut chosen, None, entry(wish.is_none(), "Automatic".to_owned()));
        for (name, height) in offered {
            let text = entry(*wish == Some(*name), lines(*height));
            ui.selectable_value(&mut chosen, Some(*name), text);
        }
    });
    answer.response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Quality"));
    if chosen != *wish {
        orders.push(Order::Quality(chosen));
    }
}

fn bottom(ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
    let mut heard = Vec::new();
    row(
        ui,
        BAR,
        |ui| {
            if !matches!(view.phase, Phase::Over { .. }) {
                let text = if view.is_paused { "Play" } else { "Pause" };
                if button::quiet(ui, text).on_hover_text("Space").clicked() {
                    heard.push(Order::Pause(!view.is_paused));
                }
            }
            sound(ui, view, &mut heard);
        },
        |ui| {
            if button::quiet(ui, "Stop").on_hover_text("Watches no more, and closes the window").clicked() {
                orders.push(Order::Stop);
            }
            let mut toggle = |ui: &mut Ui, on, text, hint, order: fn(bool) -> Order| {
                if button::toggle(ui, on, text).on_hover_text(hint).clicked() {
                    orders.push(order(!on));
                }
            };
            toggle(ui, view.is_full_screen, "Full screen", "F", Order::FullScreen);
            toggle(ui, view.is_on_top, "On top", "Stays above other windows", Order::OnTop);
            toggle(ui, view.has_statistics, "Statistics", "I", Order::Statistics);
        },
    );
    orders.append(&mut heard);
}

fn sound(ui: &mut Ui, view: &View, orders: &mut Vec<Order>) {
    if button::toggle(ui, view.is_muted, "Mute").on_hover_text("M").clicked() {
        orders.push(Order::Mute(!view.is_muted));
    }
    let mut volume = view.volume * 100.0;
    let slider = Slider::new(&mut volume, 0.0..=100.0).show_value(false).trailing_fill(true);
    let response = ui.add(slider).on_hover_text("Volume");
    response.widget_info(|| egui::WidgetInfo::slider(true, f64::from(volume), "Volume"));
    if response.changed() {
        orders.push(Order::Volume(volume / 100.0));
    }
    if let Some(why) = &view.silent_because {
        status(ui, Tone::Warn, "No sound").on_hover_text(why);
    }
}

fn meter_text(cost: &Cost) -> String {
    format!("{} s  {} of {}", cost.seconds, cost.spent, cost.cap)
}

fn meter_width(ui: &Ui, cost: &Cost) -> f32 {
    widgets::number::tabular_width(ui, &meter_text(cost), &FontId::proportional(13.0)) + 16.0
}

/// What it has cost: always in the same corner, and there also where the controls have gone.
fn meter(ui: &Ui, cost: &Cost, on_bar: bool, orders: &mut Vec<Order>) {
    let palette = Palette::of(ui);
    let room = ui.max_rect();
    let width = meter_width(ui, cost);
    let fill = if on_bar { Color32::TRANSPARENT } else { palette.panel.gamma_multiply(BAR_OPACITY) };
    let at = pos2(room.right() - width - 12.0, room.top() + (BAR - 28.0) / 2.0);
    Area::new(Id::unique("cost")).fixed_pos(at).order(Above::Tooltip).show(ui.ctx(), |ui| {
        let frame = Frame::new().fill(fill).corner_radius(6).inner_margin(Margin::symmetric(8, 0));
        let shown = frame.show(ui, |ui| {
            ui.set_height(28.0);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                tabular(ui, &meter_text(cost), FontId::proportional(13.0), palette.money);
            });
        });
        let hint = format!("{} a second. {} of at most {} are spent.", cost.price, cost.spent, cost.cap);
        shown.response.on_hover_text(hint);
    });
    if let Some(price) = &cost.offered {
        ask(ui, cost, price, orders);
    }
}

/// The price changes: nothing dearer is paid without a yes.
fn ask(ui: &Ui, cost: &Cost, price: &str, orders: &mut Vec<Order>) {
    let palette = Palette::of(ui);
    let room = ui.max_rect();
    let at = pos2(room.center().x, room.top() + BAR + 12.0);
    Area::new(Id::unique("offer")).fixed_pos(at).pivot(Align2::CENTER_TOP).order(Above::Foreground).show(
        ui.ctx(),
        |ui| {
            let line = Stroke::new(1.0, palette.line);
            let frame = Frame::new().fill(palette.panel).stroke(line).corner_radius(6);
            frame.inner_margin(Margin::same(12)).show(ui, |ui| {
                ui.set_max_width(360.0);
                ui.label(RichText::new("The price changes").font(strong(14.0)).color(palette.text_high));
                let words = format!(
                    "A second is to cost {price} instead of {}. Without your yes it ends with the price that you took.",
                    cost.price
                );
                note(ui, &words, Tone::Quiet);
                ui.add_space(8.0);
                if button::primary(ui, "Pay the new price").clicked() {
                    orders.push(Order::Consent);
                }
            });
        },
    );
}

fn statistics(ui: &Ui, view: &View) {
    let room = ui.max_rect();
    let at = pos2(room.left() + 12.0, room.top() + BAR + 12.0);
    figures(ui, at, &view.figures, |_| ());
}

#[cfg(test)]
mod tests;
