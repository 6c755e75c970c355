//! Text keeps to its box, its lines and its figures' width, whatever is written.

use proptest::prelude::*;

use super::*;
use crate::scene::{Colour, Panel};

fn measured(text: Text) -> Size {
    Typesetter::new().measure(&text)
}

#[test]
fn figures_are_all_of_one_width() {
    assert_eq!(measured(Text::new("11:11:11")), measured(Text::new("08:45:27")));
}

#[test]
fn a_long_name_takes_no_more_lines_and_no_more_width_than_it_is_given() {
    let boxed = |content: &str| Text { width: Some(200.0), max_lines: Some(2), ..Text::new(content) };
    let long = measured(boxed(&"a name without end ".repeat(20)));
    // Two lines of 32 pixels, 1.25 em apart.
    assert_eq!(long, Size::new(200, 80));
    assert_eq!(measured(boxed("short")), Size::new(200, 40));
}

#[test]
fn a_panel_adds_its_padding_on_every_side_and_fills_them() {
    let panel = Some(Panel { colour: Colour::rgb(9, 8, 7), padding: 10.0, radius: 0.0 });
    let (plain, padded) = (measured(Text::new("x")), Text { panel, ..Text::new("x") });
    assert_eq!(measured(padded.clone()), Size::new(plain.width + 20, plain.height + 20));
    let picture = Typesetter::new().draw(&padded, 1.0);
    assert_eq!(&picture.data()[..4], [9, 8, 7, 255]);
}

#[test]
fn text_is_drawn_in_its_colour_and_nothing_else_is() {
    let picture =
        Typesetter::new().draw(&Text { colour: Colour::rgb(200, 10, 90), ..Text::new("■ Ag") }, 1.0);
    let (pixels, _) = picture.data().as_chunks::<4>();
    assert!(pixels.iter().any(|p| p[3] == 255));
    // A faint edge is rounded by a code.
    assert!(pixels.iter().filter(|p| p[3] > 0).all(|p| p[0].abs_diff(200) <= 1 && p[2].abs_diff(90) <= 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_text_is_set_without_a_panic_and_within_bounds(
        content in "(\\PC|\n|\t|\u{202e}|\u{0}){0,60}",
        size in 4.0f32..80.0,
        width in proptest::option::of(1.0f32..300.0),
        max_lines in proptest::option::of(1u32..4),
    ) {
        let text = Text { size, width, max_lines, ..Text::new(content) };
        let mut typesetter = Typesetter::new();
        let picture = typesetter.draw(&text, 1.0);
        prop_assert_eq!(picture.size(), typesetter.measure(&text));
        if let (Some(width), Some(lines)) = (width, max_lines) {
            prop_assert!(picture.size().width <= width.ceil() as u32);
            prop_assert!(picture.size().height as f32 <= (lines as f32 * size * LINE_HEIGHT).ceil());
        }
    }
}
