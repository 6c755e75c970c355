//! What both backends are: a programme and its renditions in, finished pictures out.

use std::path::PathBuf;

use media::{Picture, Size, Timestamp};
use thiserror::Error;

use crate::scene::Scene;

/// The largest programme, either way.
pub const MAX_PROGRAMME_EDGE: u32 = 8_192;
/// More than any ladder has.
pub const MAX_RENDITIONS: usize = 16;

/// Finds the picture of a source for this frame, by its name in the scene.
pub type Inputs<'a> = &'a dyn Fn(&str) -> Option<Picture>;

/// A change of scenes at one instant: the light of both, mixed. What is brighter than white stays white for longer,
/// as when a film is faded.
#[derive(Clone, Copy, Debug)]
pub struct Fade<'a> {
    pub from: &'a Scene,
    pub to: &'a Scene,
    /// Of `to`, from 0 to 1; brought there where it is neither.
    pub share: f32,
}

/// What a compositor makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompositorConfig {
    /// What scenes are drawn at.
    pub programme: Size,
    /// In any order; none larger than the programme either way.
    pub renditions: Vec<Size>,
}

/// Why no compositor can be made, or no picture.
#[derive(Debug, Error)]
pub enum ComposeError {
    #[error("{size} is no picture: edges are 2 to {MAX_PROGRAMME_EDGE} pixels")]
    Size { size: Size },
    #[error("a rendition of {rendition} is larger than the programme of {programme}")]
    LargerThanProgramme { rendition: Size, programme: Size },
    #[error("{0} renditions were asked for, and at most {MAX_RENDITIONS} can be made")]
    TooManyRenditions(usize),
    #[error("the GPU cannot compose: {0}")]
    Gpu(String),
}

impl CompositorConfig {
    pub fn validate(&self) -> Result<(), ComposeError> {
        let programme = self.programme;
        if self.renditions.len() > MAX_RENDITIONS {
            return Err(ComposeError::TooManyRenditions(self.renditions.len()));
        }
        for &size in std::iter::once(&programme).chain(&self.renditions) {
            let edges = 2..=MAX_PROGRAMME_EDGE;
            if !edges.contains(&size.width) || !edges.contains(&size.height) {
                return Err(ComposeError::Size { size });
            }
            if size.width > programme.width || size.height > programme.height {
                return Err(ComposeError::LargerThanProgramme { rendition: size, programme });
            }
        }
        Ok(())
    }

    /// Indices of the renditions, largest first: the order in which they feed each other.
    pub(crate) fn largest_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.renditions.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.renditions[i].pixels()));
        order
    }

    /// `size` brought within the programme: a preview is never larger.
    pub(crate) fn preview_size(&self, size: Size) -> Size {
        let edge = |wanted: u32, most: u32| wanted.clamp(1, most);
        Size::new(edge(size.width, self.programme.width), edge(size.height, self.programme.height))
    }
}

/// Which of `sizes` feeds `size`: the smallest that is not smaller either way. The programme is always one of them.
pub(crate) fn feeder(sizes: &[Size], size: Size) -> usize {
    (0..sizes.len())
        .filter(|&i| sizes[i].width >= size.width && sizes[i].height >= size.height)
        .min_by_key(|&i| sizes[i].pixels())
        .expect("no rendition is larger than the programme: the configuration was checked")
}

/// One frame, finished.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The one that the frame was composed for.
    pub timestamp: Timestamp,
    /// NV12, BT.709, limited range, chroma siting left; in the order of [`CompositorConfig::renditions`].
    pub renditions: Vec<Picture>,
    /// The programme as opaque RGBA, where it was asked for.
    pub preview: Option<Picture>,
}

/// What a scene asked for and could not have; a slate stands in its place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    #[error("layer {layer}: no picture from \"{name}\"")]
    MissingSource { layer: usize, name: String },
    #[error("layer {layer}: {path}: {message}", path = path.display())]
    Image { layer: usize, path: PathBuf, message: String },
}

/// Draws scenes and delivers them as encoders and screens take them.
///
/// A frame that was submitted is polled when it is finished: at once on the CPU, one or two frames later on a GPU
/// that is read back without waiting.
pub trait Compositor: Send {
    fn config(&self) -> &CompositorConfig;

    /// Has the next frame delivered as RGBA of `size` too (at most the programme's).
    fn request_preview(&mut self, size: Size);

    /// Draws `scene`. Sources that `inputs` does not find show a slate.
    fn submit(&mut self, scene: &Scene, inputs: Inputs<'_>, timestamp: Timestamp)
    -> Result<(), ComposeError>;

    /// Draws both scenes of `fade`, each with what `inputs` finds, and mixes them. Costs as much as both.
    fn submit_fade(
        &mut self,
        fade: Fade<'_>,
        inputs: Inputs<'_>,
        timestamp: Timestamp,
    ) -> Result<(), ComposeError>;

    /// The oldest finished frame that was not polled yet; never waits.
    fn poll(&mut self) -> Result<Option<Composed>, ComposeError>;

    /// The oldest unfinished frame, waiting for it; `None` when all were polled. For the end and for tests.
    fn finish(&mut self) -> Result<Option<Composed>, ComposeError>;

    /// What the newest frame could not show; of a fade, what the scene that comes could not.
    fn problems(&self) -> &[Problem];

    /// Frames that were given up, since their results were not polled or not ready in time.
    fn dropped(&self) -> u64;
}
