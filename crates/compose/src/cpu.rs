//! Composition on one thread with the vector instructions that the machine has.
//!
//! The programme is never whole in memory: bands of rows are drawn, encoded and scaled while they are in the cache.

use media::{Picture, Size, Timestamp};

use crate::color::unit;
use crate::compositor::{ComposeError, Composed, Compositor, CompositorConfig, Fade, Inputs, Problem};
use crate::draw_list::DrawList;
use crate::frame_format::Nv12Layout;
use crate::geometry::Rect;
use crate::pool::Pool;
use crate::scene::Scene;

mod blend;
mod encode;
mod isa;
mod ladder;
mod painter;
mod read;
mod resample;
mod row;
mod scaler;

use blend::fade_row;
pub use isa::Isa;
use ladder::{Ladder, Output};
use painter::Painter;
pub(crate) use read::has_alpha;
use row::Band;
pub(crate) use scaler::{scale_rgba, straight};

/// 24 rows of 1280 pixels take 360 KiB, which a second-level cache holds; and they are whole rows of every default
/// rendition: 16, 12 and 6.
const BAND_ROWS: u32 = 24;

/// A preview's level of the ladder, kept while its size stays the same.
#[derive(Debug)]
struct Preview {
    size: Size,
    level: usize,
    pool: Pool,
}

/// Where the scene that goes is drawn, while one does.
#[derive(Debug)]
struct Outgoing {
    painter: Painter,
    band: Band,
}

/// The CPU backend.
#[derive(Debug)]
pub struct CpuCompositor {
    config: CompositorConfig,
    isa: Isa,
    list: DrawList,
    painter: Painter,
    band: Band,
    outgoing: Option<Outgoing>,
    ladder: Ladder,
    /// For each rendition, in the configuration's order: its level, layout and buffers.
    outputs: Vec<(usize, Nv12Layout, Pool)>,
    preview: Option<Preview>,
    preview_wanted: Option<Size>,
    ready: Option<Composed>,
    dropped: u64,
}

impl CpuCompositor {
    /// With the widest instructions that the machine has.
    pub fn new(config: CompositorConfig) -> Result<Self, ComposeError> {
        Self::with_isa(config, Isa::best())
    }

    pub fn with_isa(config: CompositorConfig, isa: Isa) -> Result<Self, ComposeError> {
        config.validate()?;
        let programme = config.programme;
        let mut ladder = Ladder::new(isa, programme);
        let mut levels = vec![0; config.renditions.len()];
        for index in config.largest_first() {
            levels[index] = ladder.add(config.renditions[index], Output::Nv12);
        }
        let outputs = levels
            .into_iter()
            .zip(&config.renditions)
            .map(|(level, &size)| {
                let layout = Nv12Layout::new(size);
                (level, layout, Pool::new(layout.bytes))
            })
            .collect();
        Ok(Self {
            isa,
            list: DrawList::new(programme),
            painter: Painter::new(isa, Rect::of(programme)),
            band: Band::new(programme.width as usize, BAND_ROWS as usize),
            outgoing: None,
            ladder,
            outputs,
            preview: None,
            preview_wanted: None,
            ready: None,
            dropped: 0,
            config,
        })
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Draws `scene` and returns it finished.
    pub fn compose(&mut self, scene: &Scene, inputs: Inputs<'_>, timestamp: Timestamp) -> Composed {
        self.outgoing = None;
        self.list.build(None, scene, inputs);
        self.draw(1.0, timestamp)
    }

    /// Draws the mix of two scenes and returns it finished.
    pub fn compose_fade(&mut self, fade: Fade<'_>, inputs: Inputs<'_>, timestamp: Timestamp) -> Composed {
        self.list.build(Some(fade.from), fade.to, inputs);
        let (isa, programme) = (self.isa, self.config.programme);
        let outgoing = self.outgoing.get_or_insert_with(|| Outgoing {
            painter: Painter::new(isa, Rect::of(programme)),
            band: Band::new(programme.width as usize, BAND_ROWS as usize),
        });
        outgoing.painter.begin(self.list.outgoing());
        self.draw(unit(fade.share), timestamp)
    }

    /// Draws what is listed, `share` of it beside the scene that goes.
    fn draw(&mut self, share: f32, timestamp: Timestamp) -> Composed {
        let with_preview = self.prepare_preview();
        self.ladder.begin_frame();
        for (level, _, pool) in &self.outputs {
            self.ladder.begin(*level, pool.take());
        }
        let draws = self.list.draws();
        self.painter.begin(draws);
        let height = self.config.programme.height;
        for top in (0..height).step_by(BAND_ROWS as usize) {
            let rows = BAND_ROWS.min(height - top);
            self.painter.paint(draws, &mut self.band, top, rows);
            if let Some(Outgoing { painter, band }) = &mut self.outgoing {
                painter.paint(self.list.outgoing(), band, top, rows);
                let width = self.config.programme.width as usize;
                for row in 0..rows as usize {
                    fade_row(self.isa, share, self.band.part_mut(row, 0, width), band.row(row));
                }
            }
            for row in 0..rows as usize {
                self.ladder.programme_row(self.band.row(row));
            }
        }
        self.list.release();
        let renditions = self
            .outputs
            .iter()
            .map(|(level, layout, pool)| layout.picture(pool.share(self.ladder.take(*level)), timestamp))
            .collect();
        let preview = self.preview.as_ref().filter(|_| with_preview).map(|preview| {
            let bytes = preview.pool.share(self.ladder.take(preview.level));
            Picture::rgba(preview.size, bytes, timestamp).expect("the pool's buffers have the preview's size")
        });
        Composed { timestamp, renditions, preview }
    }

    fn keep(&mut self, composed: Composed) {
        if self.ready.replace(composed).is_some() {
            self.dropped += 1;
        }
    }

    /// Whether this frame has a preview; its level is made when the size is a new one.
    fn prepare_preview(&mut self) -> bool {
        let wanted = self.preview_wanted.take();
        let Some(size) = wanted else {
            if let Some(preview) = &self.preview {
                self.ladder.set_active(preview.level, false);
            }
            return false;
        };
        if self.preview.as_ref().is_none_or(|preview| preview.size != size) {
            if let Some(old) = self.preview.take() {
                self.ladder.remove_last(old.level);
            }
            let level = self.ladder.add(size, Output::Rgba);
            self.preview = Some(Preview { size, level, pool: Pool::new(size.pixels() as usize * 4) });
        }
        if let Some(preview) = &self.preview {
            self.ladder.set_active(preview.level, true);
            self.ladder.begin(preview.level, preview.pool.take());
        }
        true
    }
}

impl Compositor for CpuCompositor {
    fn config(&self) -> &CompositorConfig {
        &self.config
    }

    fn request_preview(&mut self, size: Size) {
        self.preview_wanted = Some(self.config.preview_size(size));
    }

    fn submit(
        &mut self,
        scene: &Scene,
        inputs: Inputs<'_>,
        timestamp: Timestamp,
    ) -> Result<(), ComposeError> {
        let composed = self.compose(scene, inputs, timestamp);
        self.keep(composed);
        Ok(())
    }

    fn submit_fade(
        &mut self,
        fade: Fade<'_>,
        inputs: Inputs<'_>,
        timestamp: Timestamp,
    ) -> Result<(), ComposeError> {
        let composed = self.compose_fade(fade, inputs, timestamp);
        self.keep(composed);
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Composed>, ComposeError> {
        Ok(self.ready.take())
    }

    fn finish(&mut self) -> Result<Option<Composed>, ComposeError> {
        self.poll()
    }

    fn problems(&self) -> &[Problem] {
        self.list.problems()
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}
