//! Numbers that change without moving what stands beside them.

use egui::{Align2, Color32, FontId, Response, Role, Sense, Ui, Vec2, WidgetInfo, vec2};

/// Draws `text` with every digit as wide as a zero: Inter's own digits differ, and egui has no font features.
pub fn tabular(ui: &mut Ui, text: &str, font: FontId, colour: Color32) -> Response {
    let cells = cells(ui, text, &font);
    let width: f32 = cells.iter().map(|(_, width)| width).sum();
    let height = ui.fonts_mut(|fonts| fonts.row_height(&font));
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
    let mut at = rect.left_center();
    for (letter, width) in cells {
        let middle = at + Vec2::X * width / 2.0;
        ui.painter().text(middle, Align2::CENTER_CENTER, letter, font.clone(), colour);
        at.x += width;
    }
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    response
}

/// How wide [`tabular`] is.
pub fn tabular_width(ui: &Ui, text: &str, font: &FontId) -> f32 {
    cells(ui, text, font).iter().map(|(_, width)| width).sum()
}

fn cells(ui: &Ui, text: &str, font: &FontId) -> Vec<(char, f32)> {
    ui.fonts_mut(|fonts| {
        let digit = fonts.glyph_width(font, '0');
        let width = |letter: char, fonts: &mut egui::epaint::FontsView<'_>| {
            if letter.is_ascii_digit() { digit } else { fonts.glyph_width(font, letter) }
        };
        text.chars().map(|letter| (letter, width(letter, fonts))).collect()
    })
}

/// A whole number with thin spaces between thousands.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

/// Hours, minutes and seconds: `0:12:41`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_groups_are_written_as_the_product_writes_them() {
        assert_eq!(duration(0.9), "0:00:00");
        assert_eq!(duration(761.2), "0:12:41");
        assert_eq!(duration(36_000.0), "10:00:00");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(500_000), "500\u{2009}000");
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
    }

    #[test]
    fn a_number_is_as_wide_as_any_other_of_as_many_digits() {
        let widths = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let seen = widths.clone();
        let mut harness = egui_kittest::Harness::new_ui(move |ui| {
            let mut seen = seen.borrow_mut();
            seen.clear();
            for text in ["0:11:11", "0:48:08"] {
                seen.push(tabular(ui, text, FontId::proportional(13.0), Color32::WHITE).rect.width());
            }
        });
        crate::install(&harness.ctx);
        harness.run();
        let widths = widths.borrow();
        assert!(widths[0] > 30.0 && (widths[0] - widths[1]).abs() < 1e-3, "{widths:?}");
    }
}
