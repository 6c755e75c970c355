//! The programme as viewers get it, and the hand on it.

use studio::{Command, Hand, Touch};
use widgets::Palette;
use widgets::egui::{
    self, Color32, CornerRadius, FontId, Pos2, Rect, RichText, Sense, Stroke, StrokeKind, Ui, Vec2, pos2,
    vec2,
};
use widgets::picture::fit;
use widgets::text::{row, width};

use super::Shown;
use crate::view::{Order, View};

/// Under the picture: its figures and what the mouse does.
const CAPTION: f32 = 24.0;

/// The hand on the picture, remembered from one frame to the next.
#[derive(Default)]
pub struct Pointer {
    /// Where it was, in shares of the picture, and when.
    last: Option<(Vec2, f64)>,
}

impl Pointer {
    pub fn show(&mut self, ui: &mut Ui, view: &View, shown: Option<Shown>, orders: &mut Vec<Order>) {
        let programme = &view.snapshot.programme;
        let size = match shown {
            Some(shown) => shown.size,
            None if programme.width > 0 => vec2(programme.width as f32, programme.height as f32),
            None => vec2(16.0, 9.0),
        };
        let room = ui.available_rect_before_wrap();
        let fitted = fit(Rect::from_min_max(room.min, pos2(room.right(), room.bottom() - CAPTION)), size);
        let touchable = view.snapshot.simulation.is_some();
        let sense = if touchable { Sense::click_and_drag() } else { Sense::hover() };
        let response = ui.allocate_rect(fitted, sense);
        let said = "Programme preview";
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, said));
        let palette = Palette::of(ui);
        let painter = ui.painter();
        painter.rect_filled(fitted, CornerRadius::ZERO, Color32::BLACK);
        match shown {
            Some(shown) => {
                let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
                painter.image(shown.texture, fitted, whole, Color32::WHITE);
            }
            None => {
                // White on black in both themes: it stands where the picture will.
                let font = egui::FontId::proportional(13.0);
                let text = "Waiting for the first picture";
                painter.text(
                    fitted.center(),
                    egui::Align2::CENTER_CENTER,
                    text,
                    font,
                    Color32::from_gray(170),
                );
            }
        }
        let line = Stroke::new(1.0, palette.line);
        painter.rect_stroke(fitted, CornerRadius::ZERO, line, StrokeKind::Outside);
        if touchable {
            self.touch(ui, &response, fitted, orders);
        }
        caption(ui, view, fitted);
    }

    fn touch(&mut self, ui: &Ui, response: &egui::Response, picture: Rect, orders: &mut Vec<Order>) {
        let held = response.is_pointer_button_down_on();
        let Some(at) = response.interact_pointer_pos().filter(|_| held) else {
            self.last = None;
            return;
        };
        let (now, secondary, modifiers) =
            ui.input(|input| (input.time, input.pointer.secondary_down(), input.modifiers));
        let at = (at - picture.min) / picture.size();
        let hand = if modifiers.alt {
            Some(Hand::Repel)
        } else if secondary || modifiers.shift {
            Some(Hand::Attract)
        } else {
            let moved = self.last.map(|(last, then)| ((at - last), now - then));
            moved.filter(|(way, seconds)| *seconds > 0.0 && way.length() > 1e-4).map(|(way, seconds)| {
                let speed = way / seconds as f32;
                Hand::Push([speed.x, speed.y])
            })
        };
        self.last = Some((at, now));
        if let Some(hand) = hand {
            orders.push(Order::Command(Command::Touch(Touch { at: [at.x, at.y], hand })));
        }
        // A hand that rests still attracts.
        ui.ctx().request_repaint_after(std::time::Duration::from_millis(33));
    }
}

fn caption(ui: &mut Ui, view: &View, picture: Rect) {
    let programme = &view.snapshot.programme;
    let low = Palette::of(ui).text_low;
    let area =
        Rect::from_min_size(picture.left_bottom() + vec2(0.0, 4.0), vec2(picture.width(), CAPTION - 4.0));
    let font = FontId::proportional(12.0);
    let mut size = match programme.width {
        0 => String::new(),
        _ => format!("{}\u{d7}{}", programme.width, programme.height),
    };
    let mut hint = match &view.snapshot.simulation {
        Some(_) => "Drag to push the particles · Shift attracts · Alt repels",
        None => "",
    };
    let wide = width(ui, &size, font.clone());
    if wide + 16.0 + width(ui, hint, font.clone()) > area.width() {
        hint = "";
    }
    if wide > area.width() {
        size.clear();
    }
    ui.scope_builder(egui::UiBuilder::new().max_rect(area), |ui| {
        row(
            ui,
            CAPTION - 4.0,
            |ui| _ = ui.label(RichText::new(size).font(font.clone()).color(low)),
            |ui| _ = ui.label(RichText::new(hint).font(font.clone()).color(low)),
        );
    });
}
