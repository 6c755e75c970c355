//! What a frame draws: a scene's layers with their pictures found, placed, and set in type where they are text. Both
//! backends draw from it.

use std::sync::Arc;

use media::{Picture, Size};

use crate::color;
use crate::compositor::{Inputs, Problem};
use crate::cpu::has_alpha;
use crate::geometry::{Placement, Rect, place};
use crate::scene::{Blend, Colour, Content, Crop, Fit, Layer, Scene};
use crate::still::{Still, StillContent};
use crate::still_cache::{Image, StillCache};

/// One layer, ready to draw.
#[derive(Clone, Debug)]
pub struct Draw {
    pub what: What,
    pub placement: Placement,
    pub opacity: f32,
    pub blend: Blend,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Premultiplied linear light.
    Colour([f32; 4]),
    /// A picture of this frame.
    Live(Picture),
    /// Drawn before at the size that it is shown at.
    Still(Arc<Still>),
}

impl What {
    /// Whether nothing shows through it.
    pub fn is_opaque(&self) -> bool {
        match self {
            Self::Colour(light) => light[3] == 1.0,
            Self::Live(picture) => !has_alpha(picture.format()),
            Self::Still(still) => still.is_opaque(),
        }
    }
}

impl Draw {
    pub fn is_scaled(&self) -> bool {
        let Placement { source, dest } = self.placement;
        matches!(self.what, What::Live(_)) && source.size() != dest.size()
    }

    /// Whether nothing below it can be seen anywhere in `programme`.
    pub fn covers(&self, programme: Rect) -> bool {
        self.blend == Blend::Normal
            && self.opacity == 1.0
            && self.placement.dest.intersect(programme) == Some(programme)
            && self.what.is_opaque()
    }
}

/// Premultiplied linear light of a colour.
pub fn light_of(colour: Colour) -> [f32; 4] {
    let alpha = f32::from(colour.alpha) / 255.0;
    let light = |code: u8| color::decode(f32::from(code) / 255.0) * alpha;
    [light(colour.red), light(colour.green), light(colour.blue), alpha]
}

/// Makes draw lists, and keeps what does not change between frames.
#[derive(Debug)]
pub struct DrawList {
    programme: Size,
    stills: StillCache,
    draws: Vec<Draw>,
    /// Of the scene that goes, while one does.
    outgoing: Vec<Draw>,
    problems: Vec<Problem>,
}

impl DrawList {
    pub fn new(programme: Size) -> Self {
        let (draws, outgoing, problems) = (Vec::new(), Vec::new(), Vec::new());
        Self { programme, stills: StillCache::new(), draws, outgoing, problems }
    }

    pub fn draws(&self) -> &[Draw] {
        &self.draws
    }

    /// What the scene that goes draws.
    pub fn outgoing(&self) -> &[Draw] {
        &self.outgoing
    }

    /// What could not be drawn as the scene says.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Lets go of this frame's pictures, so that their buffers return to whoever made them.
    pub fn release(&mut self) {
        self.draws.clear();
        self.outgoing.clear();
    }

    /// Lists `scene`, and beside it the one that goes.
    pub fn build(&mut self, outgoing: Option<&Scene>, scene: &Scene, inputs: Inputs<'_>) {
        self.release();
        self.stills.next_frame();
        if let Some(outgoing) = outgoing {
            self.outgoing = self.list(Vec::new(), outgoing, inputs);
        }
        // Whoever looks for problems looks at the scene that stays.
        self.problems.clear();
        let draws = std::mem::take(&mut self.draws);
        self.draws = self.list(draws, scene, inputs);
    }

    fn list(&mut self, mut draws: Vec<Draw>, scene: &Scene, inputs: Inputs<'_>) -> Vec<Draw> {
        let programme = Rect::of(self.programme);
        for (number, layer) in scene.layers.iter().enumerate() {
            if !layer.visible || layer.opacity <= 0.0 || layer.validate().is_err() {
                continue;
            }
            let Some((what, placement)) = self.find(number, layer, inputs) else { continue };
            let draw = Draw { what, placement, opacity: layer.opacity, blend: layer.blend };
            if draw.covers(programme) {
                draws.clear();
            }
            draws.push(draw);
        }
        draws
    }

    fn find(&mut self, number: usize, layer: &Layer, inputs: Inputs<'_>) -> Option<(What, Placement)> {
        let programme = self.programme;
        match &layer.content {
            Content::Colour(colour) => {
                // A colour has no shape of its own: it fills its box.
                let filling = Layer { fit: Some(Fit::Stretch), ..layer.clone() };
                Some((What::Colour(light_of(*colour)), place(&filling, programme, programme)?))
            }
            Content::Source(name) => match inputs(name) {
                Some(picture) => {
                    let placement = place(layer, picture.size(), programme)?;
                    Some((What::Live(picture), placement))
                }
                None => {
                    self.problems.push(Problem::MissingSource { layer: number, name: name.clone() });
                    self.slate(layer, format!("No picture from {name}"))
                }
            },
            Content::Text(text) => self.still(layer, StillContent::Text(text.clone())),
            Content::Image(path) => match self.stills.image(path) {
                Image::Awaited => None,
                Image::Ready(_) => self.still(layer, StillContent::Image(path.clone())),
                Image::Failed(message) => {
                    let message = message.clone();
                    self.problems.push(Problem::Image { layer: number, path: path.clone(), message });
                    self.slate(layer, format!("No image {}", path.display()))
                }
            },
        }
    }

    fn still(&mut self, layer: &Layer, content: StillContent) -> Option<(What, Placement)> {
        let natural = self.stills.natural_size(&content)?;
        let placement = place(layer, natural, self.programme)?;
        self.visible_still(content, placement)
    }

    /// Only what is visible of a still is drawn and kept, so a layer scaled far beyond the programme costs no more.
    fn visible_still(&mut self, content: StillContent, placement: Placement) -> Option<(What, Placement)> {
        let dest = placement.dest.intersect(Rect::of(self.programme))?;
        let still = self.stills.still(content, placement, dest)?;
        Some((What::Still(still), Placement { source: Rect::of(dest.size()), dest }))
    }

    /// A dark panel that says what is missing, where the layer would be.
    fn slate(&mut self, layer: &Layer, message: String) -> Option<(What, Placement)> {
        let whole = self.programme;
        let [width, height] = layer
            .size
            .unwrap_or([whole.width as f32, whole.height as f32])
            .map(|edge| ((edge * layer.scale).round() as u32).max(1));
        let mut uncropped = layer.clone();
        uncropped.crop = Crop::default();
        uncropped.fit = Some(Fit::Stretch);
        let placement = place(&uncropped, Size::new(width, height), whole)?;
        self.visible_still(StillContent::Slate(message), placement)
    }
}
