//! A level meter: how loud, how loud it was, and whether it was too loud.

use egui::{Color32, CornerRadius, Rect, Response, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use crate::theme::Palette;

/// The left end, in dBFS.
pub const FLOOR_DB: f64 = -60.0;
/// Speech peaks stay below this where they are set well.
const LOUD_DB: f64 = -18.0;
const HOT_DB: f64 = -6.0;
/// From here on a sample is at full scale.
const CLIP_DB: f64 = -0.1;
const HOLD_SECONDS: f64 = 1.5;
const FALL_DB_A_SECOND: f64 = 20.0;
const CLIP_SECONDS: f64 = 3.0;

/// What a meter remembers: the highest of the last seconds, and when it clipped. Time comes in.
#[derive(Clone, Debug, Default)]
pub struct PeakHold {
    held: [Option<(f64, f64)>; 2],
    clipped: Option<f64>,
}

impl PeakHold {
    /// Takes the levels at `now` (seconds of any clock), in dBFS; `None` is silence.
    pub fn hear(&mut self, now: f64, peak_dbfs: [Option<f64>; 2]) {
        for (held, peak) in self.held.iter_mut().zip(peak_dbfs) {
            let peak = peak.unwrap_or(f64::NEG_INFINITY);
            if held.is_none_or(|(at, level)| peak >= fallen(level, now - at)) {
                *held = Some((now, peak));
            }
            if peak >= CLIP_DB {
                self.clipped = Some(now);
            }
        }
    }

    /// Where the marks stand at `now`.
    pub fn marks(&self, now: f64) -> [Option<f64>; 2] {
        self.held.map(|held| held.map(|(at, level)| fallen(level, now - at)).filter(|db| *db > FLOOR_DB))
    }

    pub fn clipped(&self, now: f64) -> bool {
        self.clipped.is_some_and(|at| now - at < CLIP_SECONDS)
    }
}

/// A peak stands for a while, then falls.
fn fallen(level: f64, seconds: f64) -> f64 {
    level - (seconds - HOLD_SECONDS).max(0.0) * FALL_DB_A_SECOND
}

/// A stereo meter.
pub struct Meter<'a> {
    pub name: &'a str,
    pub peak_dbfs: [Option<f64>; 2],
    pub hold: &'a PeakHold,
    /// Seconds of the clock that `hold` was fed with.
    pub now: f64,
    /// Drawn without colour: it is heard here and not in the programme.
    pub muted: bool,
}

const BAR: f32 = 5.0;
const GAP: f32 = 2.0;
const CLIP_WIDTH: f32 = 6.0;

impl Meter<'_> {
    pub fn show(self, ui: &mut Ui, width: f32) -> Response {
        let (rect, response) = ui.allocate_exact_size(vec2(width, 2.0 * BAR + GAP), Sense::hover());
        let palette = Palette::of(ui);
        let bars = Rect::from_min_max(rect.min, pos2(rect.right() - CLIP_WIDTH - GAP, rect.bottom()));
        for (channel, mark) in self.hold.marks(self.now).into_iter().enumerate() {
            let top = rect.top() + channel as f32 * (BAR + GAP);
            let bar = Rect::from_min_size(pos2(bars.left(), top), vec2(bars.width(), BAR));
            self.bar(ui, bar, channel, mark, palette);
        }
        let clip = Rect::from_min_max(pos2(rect.right() - CLIP_WIDTH, rect.top()), rect.max);
        let clipped = self.hold.clipped(self.now);
        let mark = if clipped { palette.bad } else { palette.raised };
        ui.painter().rect_filled(clip, CornerRadius::same(1), mark);
        let said = spoken(self.name, self.peak_dbfs, clipped);
        response.widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, &said));
        response.on_hover_text(said)
    }

    fn bar(&self, ui: &Ui, bar: Rect, channel: usize, mark: Option<f64>, palette: &Palette) {
        let painter = ui.painter();
        painter.rect_filled(bar, CornerRadius::same(1), palette.raised);
        let x = |db: f64| bar.left() + bar.width() * share(db);
        let level = self.peak_dbfs[channel].unwrap_or(f64::NEG_INFINITY);
        let zones =
            [(FLOOR_DB, LOUD_DB, palette.good), (LOUD_DB, HOT_DB, palette.warn), (HOT_DB, 0.0, palette.bad)];
        for (from, to, colour) in zones {
            if level > from {
                let lit = Rect::from_x_y_ranges(x(from)..=x(level.min(to)), bar.y_range());
                painter.rect_filled(lit, CornerRadius::same(1), self.shade(colour, palette));
            }
        }
        if let Some(db) = mark {
            let tick = Rect::from_center_size(pos2(x(db), bar.center().y), vec2(2.0, BAR));
            painter.rect_filled(tick, CornerRadius::ZERO, palette.text_mid);
        }
    }

    fn shade(&self, colour: Color32, palette: &Palette) -> Color32 {
        if self.muted { palette.text_low } else { colour }
    }
}

/// Where a level stands, from 0 to 1.
fn share(db: f64) -> f32 {
    ((db - FLOOR_DB) / -FLOOR_DB).clamp(0.0, 1.0) as f32
}

fn spoken(name: &str, peak_dbfs: [Option<f64>; 2], clipped: bool) -> String {
    let loudest = peak_dbfs.into_iter().flatten().reduce(f64::max).filter(|db| *db > FLOOR_DB);
    let level = loudest.map_or_else(|| "silent".to_owned(), |db| format!("{db:.0} dB"));
    let clip = if clipped { ", too loud" } else { "" };
    format!("{name}: {level}{clip}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_stands_then_falls_and_a_higher_one_replaces_it() {
        let mut hold = PeakHold::default();
        hold.hear(0.0, [Some(-10.0), None]);
        hold.hear(1.0, [Some(-40.0), None]);
        assert_eq!(hold.marks(1.4), [Some(-10.0), None]);
        // Half a second after the hold it has fallen by 20 dB a second.
        assert_eq!(hold.marks(2.0), [Some(-20.0), None]);
        hold.hear(2.0, [Some(-15.0), Some(-30.0)]);
        assert_eq!(hold.marks(2.5), [Some(-15.0), Some(-30.0)]);
    }

    #[test]
    fn a_clip_is_shown_for_three_seconds() {
        let mut hold = PeakHold::default();
        hold.hear(5.0, [Some(-0.2), Some(-3.0)]);
        assert!(!hold.clipped(5.0));
        hold.hear(6.0, [Some(0.0), None]);
        assert!(hold.clipped(8.9) && !hold.clipped(9.0));
    }

    #[test]
    fn the_scale_ends_at_full_scale_and_at_sixty_below() {
        assert_eq!((share(0.0), share(-60.0), share(-30.0)), (1.0, 0.0, 0.5));
        assert_eq!((share(3.0), share(f64::NEG_INFINITY)), (1.0, 0.0));
    }

    #[test]
    fn a_meter_says_what_it_shows() {
        assert_eq!(spoken("Voice", [Some(-12.4), Some(-20.0)], false), "Voice: -12 dB");
        assert_eq!(spoken("Voice", [None, None], true), "Voice: silent, too loud");
    }
}
