//! Pictures of the native windows' panels, compared with the ones that were looked at and kept in `tests/snapshots` of the
//! crate that is tested: in both themes, on a plain screen and on one with twice the points.
//!
//! `UPDATE_SNAPSHOTS=1` writes them anew. Look at each that changed: the comparison knows only that it did.

use egui_kittest::{Harness, HarnessBuilder, SnapshotOptions, SnapshotResults, try_image_snapshot_options};
use image::GenericImageView;
use widgets::egui::{Rect, Theme, Vec2};

/// Pixels on the edges of letters and round corners that another graphics driver may shade otherwise.
const ELSEWHERE: usize = 12;

/// What was compared in a test; all that differs is told when it is dropped.
#[derive(Debug, Default)]
pub struct Looks(SnapshotResults);

impl Looks {
    /// Draws a window of `size` in every look, and compares its `parts`, each under its name: a change of one panel leaves the
    /// pictures of the others as they were. `build` makes the window, and does what leads to what is shown.
    ///
    /// # Panics
    /// When it is dropped, if one differs or has no picture yet; what was drawn lies beside the kept one. At once, if a window
    /// is not drawn at all.
    pub fn compare<S>(
        &mut self,
        parts: &[(&str, Rect)],
        size: Vec2,
        build: impl Fn(HarnessBuilder<S>) -> Harness<'static, S>,
    ) {
        let options = SnapshotOptions::new().max_failed_pixels(ELSEWHERE);
        for (theme, called) in [(Theme::Dark, "dark"), (Theme::Light, "light")] {
            for (scale, percent) in [(1.0, 100), (2.0, 200)] {
                let builder = Harness::builder()
                    .with_size(size)
                    .with_pixels_per_point(scale)
                    .with_theme(theme)
                    .with_context_setup(widgets::install)
                    .wgpu();
                let whole =
                    build(builder).render().unwrap_or_else(|err| panic!("{called} at {percent} %: {err}"));
                for (name, part) in parts {
                    let pixels = |points: f32| (points * scale).round() as u32;
                    let (x, y) = (pixels(part.left()), pixels(part.top()));
                    let (width, height) = (pixels(part.width()), pixels(part.height()));
                    let part = whole.view(x, y, width, height).to_image();
                    let name = format!("{name}-{called}-{percent}");
                    self.0.add(try_image_snapshot_options(&part, name, &options));
                }
            }
        }
    }

    /// The whole window, as [`Looks::compare`] does with parts of it.
    pub fn compare_whole<S>(
        &mut self,
        name: &str,
        size: Vec2,
        build: impl Fn(HarnessBuilder<S>) -> Harness<'static, S>,
    ) {
        self.compare(&[(name, Rect::from_min_size(Default::default(), size))], size, build);
    }
}
