//! The look of the native windows, made from assets/tokens.toml as the pages' CSS is.

use std::sync::{Arc, LazyLock};

use egui::epaint::text::{FontInsert, FontPriority, InsertFontFamily};
use egui::style::{HandleShape, NumericColorSpace, WidgetVisuals};
use egui::{
    Color32, Context, CornerRadius, FontData, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle,
    Theme, Visuals, vec2,
};
use serde::{Deserialize, Deserializer};

const TOKENS: &str = include_str!("../../../assets/tokens.toml");
const INTER: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.otf");
const INTER_STRONG: &[u8] = include_bytes!("../../../assets/fonts/Inter-SemiBold.otf");

/// Inter in its half-bold cut, for headings and what must be read first.
pub const STRONG: &str = "Inter SemiBold";

/// The file, read once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    pub dark: Palette,
    pub light: Palette,
    pub space: Space,
    #[serde(rename = "type")]
    pub text: Text,
    pub motion: Motion,
}

/// The colours of one theme.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Palette {
    #[serde(deserialize_with = "colour")]
    pub app: Color32,
    #[serde(deserialize_with = "colour")]
    pub panel: Color32,
    #[serde(deserialize_with = "colour")]
    pub raised: Color32,
    #[serde(deserialize_with = "colour")]
    pub line: Color32,
    #[serde(deserialize_with = "colour")]
    pub text_high: Color32,
    #[serde(deserialize_with = "colour")]
    pub text_mid: Color32,
    #[serde(deserialize_with = "colour")]
    pub text_low: Color32,
    #[serde(deserialize_with = "colour")]
    pub select: Color32,
    /// Live, and nothing else.
    #[serde(deserialize_with = "colour")]
    pub live: Color32,
    #[serde(deserialize_with = "colour")]
    pub good: Color32,
    #[serde(deserialize_with = "colour")]
    pub warn: Color32,
    #[serde(deserialize_with = "colour")]
    pub bad: Color32,
    #[serde(deserialize_with = "colour")]
    pub money: Color32,
}

/// In points.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Space {
    pub grid: f32,
    pub radius: u8,
    pub control: f32,
    pub control_form: f32,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Text {
    pub stage: f32,
    pub desk: f32,
    pub heading_ratio: f32,
}

/// In milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motion {
    pub explain: f32,
}

fn colour<'de, D: Deserializer<'de>>(from: D) -> Result<Color32, D::Error> {
    let text = String::deserialize(from)?;
    Color32::from_hex(&text).map_err(|_| serde::de::Error::custom(format!("\"{text}\" is no colour")))
}

static READ: LazyLock<Tokens> = LazyLock::new(|| {
    toml::from_str(TOKENS).expect("the tokens are part of the program, and a test reads them")
});

impl Tokens {
    pub fn get() -> &'static Self {
        &READ
    }
}

impl Palette {
    /// Of the theme that is shown now.
    pub fn of(ui: &egui::Ui) -> &'static Self {
        Self::named(if ui.visuals().dark_mode { Theme::Dark } else { Theme::Light })
    }

    pub fn named(theme: Theme) -> &'static Self {
        match theme {
            Theme::Dark => &READ.dark,
            Theme::Light => &READ.light,
        }
    }

    /// What text on `ground` must have to be read: the lighter or the darker end.
    pub fn on(ground: Color32) -> Color32 {
        let (light, dark) = (Color32::WHITE, READ.dark.app);
        if contrast(light, ground) >= contrast(dark, ground) { light } else { dark }
    }
}

/// WCAG 2.2's contrast ratio of two opaque colours, 1 to 21.
pub fn contrast(a: Color32, b: Color32) -> f32 {
    let luminance = |colour: Color32| {
        let linear = |code: u8| {
            let share = f32::from(code) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The half-bold cut at `size` points.
pub fn strong(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name(STRONG.into()))
}

/// Gives a window the product's fonts and both themes; which one is shown is the system's choice, or the person's.
pub fn install(context: &Context) {
    context.add_font(FontInsert::new(
        "Inter",
        FontData::from_static(INTER),
        vec![InsertFontFamily { family: FontFamily::Proportional, priority: FontPriority::Highest }],
    ));
    let named = FontFamily::Name(STRONG.into());
    context.add_font(FontInsert::new(
        STRONG,
        FontData::from_static(INTER_STRONG),
        vec![InsertFontFamily { family: named, priority: FontPriority::Highest }],
    ));
    for theme in [Theme::Dark, Theme::Light] {
        context.set_style_of(theme, Arc::new(style(theme)));
    }
}

fn style(theme: Theme) -> Style {
    let Tokens { space, text, motion, .. } = Tokens::get();
    let mut style = Style { visuals: visuals(theme), ..Style::default() };
    let size = text.stage;
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(size - 2.0)),
        (TextStyle::Body, FontId::proportional(size)),
        (TextStyle::Button, FontId::proportional(size)),
        (TextStyle::Monospace, FontId::monospace(size)),
        (TextStyle::Heading, strong(size * text.heading_ratio)),
    ]
    .into();
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(2.0 * space.grid, space.grid);
    spacing.button_padding = vec2(3.0 * space.grid, space.grid);
    spacing.interact_size = vec2(space.control, space.control);
    spacing.window_margin = Margin::same((6.0 * space.grid) as i8);
    spacing.slider_rail_height = space.grid;
    spacing.scroll.bar_width = 2.0 * space.grid;
    spacing.icon_width = 4.0 * space.grid;
    style.animation_time = motion.explain / 1e3;
    // Text is for reading: dragging over a window moves no selection through its labels.
    style.interaction.selectable_labels = false;
    style
}

fn visuals(theme: Theme) -> Visuals {
    let colours = Palette::named(theme);
    let radius = CornerRadius::same(Tokens::get().space.radius);
    let (mut visuals, hovered) = match theme {
        Theme::Dark => (Visuals::dark(), colours.line),
        Theme::Light => (Visuals::light(), colours.line),
    };
    let widget = |fill: Color32, line: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, line),
        corner_radius: radius,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    visuals.widgets.noninteractive = widget(colours.panel, colours.line, colours.text_mid);
    visuals.widgets.inactive = widget(colours.raised, colours.line, colours.text_high);
    visuals.widgets.hovered = widget(hovered, colours.text_low, colours.text_high);
    visuals.widgets.active = widget(hovered, colours.select, colours.text_high);
    visuals.widgets.open = widget(colours.raised, colours.text_low, colours.text_high);
    visuals.selection.bg_fill = colours.select;
    visuals.selection.stroke = Stroke::new(2.0, colours.select);
    visuals.hyperlink_color = colours.select;
    visuals.weak_text_color = Some(colours.text_low);
    visuals.warn_fg_color = colours.warn;
    visuals.error_fg_color = colours.bad;
    visuals.faint_bg_color = colours.raised;
    visuals.extreme_bg_color = colours.app;
    visuals.panel_fill = colours.panel;
    visuals.window_fill = colours.panel;
    visuals.window_stroke = Stroke::new(1.0, colours.line);
    visuals.window_corner_radius = CornerRadius::same(2 * Tokens::get().space.radius);
    visuals.menu_corner_radius = radius;
    visuals.window_shadow =
        Shadow { offset: [0, 12], blur: 32, spread: 0, color: Color32::from_black_alpha(110) };
    visuals.popup_shadow =
        Shadow { offset: [0, 4], blur: 12, spread: 0, color: Color32::from_black_alpha(70) };
    visuals.slider_trailing_fill = true;
    // What cannot be used is drawn in colours of its own, which can be read: see `button`.
    visuals.disabled_alpha = 1.0;
    visuals.handle_shape = HandleShape::Circle;
    visuals.numeric_color_space = NumericColorSpace::GammaByte;
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_themes_are_those_of_the_file() {
        // Read once more by a parser that knows nothing of ours.
        let file: toml::Table = toml::from_str(TOKENS).unwrap();
        for (theme, palette) in [("dark", &Tokens::get().dark), ("light", &Tokens::get().light)] {
            let written = |name: &str| {
                let text = file[theme][name].as_str().unwrap();
                let code = u32::from_str_radix(text.trim_start_matches('#'), 16).unwrap();
                let [_, r, g, b] = code.to_be_bytes();
                Color32::from_rgb(r, g, b)
            };
            let made = visuals(if theme == "dark" { Theme::Dark } else { Theme::Light });
            assert_eq!(made.panel_fill, written("panel"), "{theme}");
            assert_eq!(made.extreme_bg_color, written("app"), "{theme}");
            assert_eq!(made.selection.bg_fill, written("select"), "{theme}");
            assert_eq!(made.widgets.inactive.fg_stroke.color, written("text-high"), "{theme}");
            assert_eq!((palette.live, palette.money), (written("live"), written("money")), "{theme}");
            assert_eq!(made.dark_mode, theme == "dark");
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        assert!((contrast(Color32::WHITE, Color32::BLACK) - 21.0).abs() < 1e-3);
        // A well-known pair: #767676 is the lightest grey that passes AA on white.
        let grey = Color32::from_rgb(0x76, 0x76, 0x76);
        assert!((contrast(grey, Color32::WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn every_text_can_be_read_on_every_ground_that_it_stands_on() {
        for theme in [Theme::Dark, Theme::Light] {
            let c = Palette::named(theme);
            for ground in [c.app, c.panel, c.raised] {
                let text = [c.text_high, c.text_mid, c.text_low, c.live, c.good, c.warn, c.bad, c.money];
                for (index, text) in text.into_iter().enumerate() {
                    let ratio = contrast(text, ground);
                    assert!(ratio >= 4.5, "{theme:?}: text {index} has {ratio:.2} on {ground:?}");
                }
            }
            for ground in [c.live, c.select] {
                let ratio = contrast(Palette::on(ground), ground);
                assert!(ratio >= 4.5, "{theme:?}: {ratio:.2} on {ground:?}");
            }
        }
    }
}
