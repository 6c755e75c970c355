//! Scenes: layers from back to front, as a person writes them in TOML and as both backends draw them.
//!
//! A file of its own begins with `version = 1` and holds `[[layers]]`; a file of another crate embeds
//! `Vec<Layer>` beside its own tables and calls [`validate`]: a layer that was only read may hold any number.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

mod colour;
mod error;
mod layer_file;
mod place;

pub use colour::Colour;
pub use error::SceneError;
use layer_file::LayerFile;
pub use place::{Mistake, Place};

/// The version that this program writes and reads.
pub const SCENE_VERSION: i64 = 1;
/// More layers than anybody stacks by hand; a bound for generated files.
pub const MAX_LAYERS: usize = 64;
/// The largest edge that a layer may be drawn at, in programme pixels.
pub const MAX_EDGE: f32 = 16_384.0;
const MAX_POSITION: f32 = 65_536.0;
const MAX_NAME: usize = 256;
const MAX_TEXT: usize = 4_096;

/// What is drawn, back to front, over opaque black.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    pub layers: Vec<Layer>,
}

/// One thing in a scene: what it shows, and where and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "LayerFile")]
pub struct Layer {
    /// For people and for commands; no meaning in drawing.
    pub name: Option<String>,
    pub content: Content,
    /// Programme pixels from the anchor's point of the programme to the same point of the layer's box.
    pub position: [f32; 2],
    pub anchor: Anchor,
    /// The layer's box in programme pixels. `None`: the content's own size, or the whole programme where
    /// `fit` is given.
    pub size: Option<[f32; 2]>,
    /// Multiplies the box.
    pub scale: f32,
    /// How the content fills the box; `None` is [`Fit::Contain`].
    pub fit: Option<Fit>,
    pub crop: Crop,
    /// 0 to 1.
    pub opacity: f32,
    pub blend: Blend,
    pub visible: bool,
}

impl Layer {
    /// `content` at its own size in the top left corner, fully visible.
    pub fn new(content: Content) -> Self {
        Self {
            name: None,
            content,
            position: [0.0; 2],
            anchor: Anchor::TopLeft,
            size: None,
            scale: 1.0,
            fit: None,
            crop: Crop::default(),
            opacity: 1.0,
            blend: Blend::Normal,
            visible: true,
        }
    }

    /// The source called `name` over the whole programme.
    pub fn full_frame(name: impl Into<String>, fit: Fit) -> Self {
        Self { fit: Some(fit), ..Self::new(Content::Source(name.into())) }
    }
}

/// What a layer shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A picture that is handed in every frame under this name: a camera, a screen, the simulation.
    Source(String),
    Text(Text),
    /// A PNG or JPEG file.
    Image(PathBuf),
    Colour(Colour),
}

/// A point of the programme and of a layer's box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    #[default]
    TopLeft,
    Top,
    TopRight,
    Left,
    Center,
    Right,
    BottomLeft,
    Bottom,
    BottomRight,
}

impl Anchor {
    /// How far across and down it lies: 0 to 1.
    pub const fn fractions(self) -> [f32; 2] {
        match self {
            Self::TopLeft => [0.0, 0.0],
            Self::Top => [0.5, 0.0],
            Self::TopRight => [1.0, 0.0],
            Self::Left => [0.0, 0.5],
            Self::Center => [0.5, 0.5],
            Self::Right => [1.0, 0.5],
            Self::BottomLeft => [0.0, 1.0],
            Self::Bottom => [0.5, 1.0],
            Self::BottomRight => [1.0, 1.0],
        }
    }
}

/// How content of one shape fills a box of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// All of it, centred, as large as the box allows.
    #[default]
    Contain,
    /// All of the box, centred, losing what does not fit.
    Cover,
    /// Exactly the box; the shape may change.
    Stretch,
}

/// What is cut off each side, as fractions of the content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Crop {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

/// How a layer meets what is below it. All of them in linear light, with `s` premultiplied by alpha `a`:
/// `d(1−a)+s`, `d+s`, `d+s(1−d)`, `d(1−a+s)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blend {
    #[default]
    Normal,
    Add,
    Screen,
    Multiply,
}

/// A line or block of text, set in the embedded Inter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub content: String,
    /// Height of the em square, in programme pixels.
    #[serde(default = "default_text_size")]
    pub size: f32,
    #[serde(default)]
    pub weight: Weight,
    #[serde(default)]
    pub colour: Colour,
    #[serde(default)]
    pub align: Align,
    /// The box to wrap in, in programme pixels; `None`: as wide as the longest line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f32>,
    /// Lines at most; what does not fit ends in an ellipsis. `None`: as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lines: Option<u32>,
    /// A soft shadow that keeps text legible over a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Colour>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<Panel>,
}

impl Text {
    /// White, 32 pixels, one line or more as `content` has them.
    pub fn new(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            size: default_text_size(),
            weight: Weight::default(),
            colour: Colour::default(),
            align: Align::default(),
            width: None,
            max_lines: None,
            shadow: None,
            panel: None,
        }
    }
}

fn default_text_size() -> f32 {
    32.0
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    #[default]
    Regular,
    SemiBold,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    #[default]
    Left,
    Center,
    Right,
}

/// A rounded rectangle behind text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    pub colour: Colour,
    /// Programme pixels between the text and the edge.
    #[serde(default)]
    pub padding: f32,
    /// Of the corners, in programme pixels.
    #[serde(default)]
    pub radius: f32,
}

/// Why a layer cannot be drawn as described.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LayerError {
    #[error("a layer shows exactly one of source, text, image or colour; this one has {0}")]
    Contents(usize),
    #[error("{field} is {value}, which is outside {low} to {high}")]
    Range { field: &'static str, value: f32, low: f32, high: f32 },
    #[error("crop leaves nothing: opposite sides must add up to less than 1")]
    CropsAll,
    #[error("{field} is empty")]
    Empty { field: &'static str },
    #[error("{field} has {len} bytes, and at most {max} are allowed")]
    TooLong { field: &'static str, len: usize, max: usize },
    #[error("there are {0} layers, and at most {MAX_LAYERS} are allowed")]
    TooManyLayers(usize),
}

impl LayerError {
    /// The key of the layer that it is about; `None` where it is about all of it.
    fn key(&self) -> Option<&'static str> {
        match self {
            Self::Range { field, .. } | Self::Empty { field } | Self::TooLong { field, .. } => Some(*field),
            Self::CropsAll => Some("crop"),
            Self::Contents(_) | Self::TooManyLayers(_) => None,
        }
    }
}

/// Checks layers that were made by a program, or read from a file that has them under `layers`.
pub fn validate(layers: &[Layer]) -> Result<(), Mistake> {
    let place = |index| Place::of("layers").item(index);
    if layers.len() > MAX_LAYERS {
        let err = LayerError::TooManyLayers(layers.len());
        return Err(Mistake::new(place(MAX_LAYERS), err.to_string()));
    }
    for (index, layer) in layers.iter().enumerate() {
        if let Err(err) = layer.validate() {
            let place = place(index);
            let place = err.key().into_iter().fold(place, Place::key);
            return Err(Mistake::new(place, err.to_string()));
        }
    }
    Ok(())
}

fn within(field: &'static str, value: f32, low: f32, high: f32) -> Result<(), LayerError> {
    // A NaN is outside every range.
    if (low..=high).contains(&value) { Ok(()) } else { Err(LayerError::Range { field, value, low, high }) }
}

fn not_longer(field: &'static str, text: &str, max: usize) -> Result<(), LayerError> {
    if text.len() > max { Err(LayerError::TooLong { field, len: text.len(), max }) } else { Ok(()) }
}

impl Layer {
    /// Whether every number is finite and within bounds, and every name is there.
    pub fn validate(&self) -> Result<(), LayerError> {
        if let Some(name) = &self.name {
            not_longer("name", name, MAX_NAME)?;
        }
        for value in self.position {
            within("position", value, -MAX_POSITION, MAX_POSITION)?;
        }
        for value in self.size.into_iter().flatten() {
            within("size", value, 1.0, MAX_EDGE)?;
        }
        within("scale", self.scale, 0.001, 64.0)?;
        within("opacity", self.opacity, 0.0, 1.0)?;
        let Crop { left, top, right, bottom } = self.crop;
        for value in [left, top, right, bottom] {
            within("crop", value, 0.0, 1.0)?;
        }
        if left + right >= 1.0 || top + bottom >= 1.0 {
            return Err(LayerError::CropsAll);
        }
        match &self.content {
            Content::Source(name) if name.is_empty() => Err(LayerError::Empty { field: "source" }),
            Content::Source(name) => not_longer("source", name, MAX_NAME),
            Content::Image(path) if path.as_os_str().is_empty() => Err(LayerError::Empty { field: "image" }),
            Content::Image(_) | Content::Colour(_) => Ok(()),
            Content::Text(text) => text.validate(),
        }
    }
}

impl Text {
    fn validate(&self) -> Result<(), LayerError> {
        not_longer("text.content", &self.content, MAX_TEXT)?;
        within("text.size", self.size, 4.0, 512.0)?;
        if let Some(width) = self.width {
            within("text.width", width, 1.0, 8_192.0)?;
        }
        if let Some(lines) = self.max_lines {
            within("text.max_lines", lines as f32, 1.0, 256.0)?;
        }
        if let Some(panel) = &self.panel {
            within("text.panel.padding", panel.padding, 0.0, 512.0)?;
            within("text.panel.radius", panel.radius, 0.0, 512.0)?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    version: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneFile {
    #[serde(rename = "version")]
    _version: i64,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct SceneFileOut<'a> {
    version: i64,
    layers: &'a [Layer],
}

impl Scene {
    pub fn new(layers: Vec<Layer>) -> Self {
        Self { layers }
    }

    /// Reads a scene file. A pure function of foreign text: it never panics, and what it returns is bounded
    /// by the text's length.
    pub fn from_toml(text: &str) -> Result<Self, SceneError> {
        let at = |error: &toml::de::Error| SceneError::from_toml(text, error);
        let VersionOnly { version } = toml::from_str(text).map_err(|e| at(&e))?;
        let message = match version {
            Some(SCENE_VERSION) => None,
            Some(other) => Some(format!("this is a scene of version {other}; only {SCENE_VERSION} is known")),
            None => Some(format!("a scene begins with `version = {SCENE_VERSION}`")),
        };
        if let Some(message) = message {
            return Err(SceneError::of(text, &Mistake::new(Place::of("version"), message)));
        }
        let file: SceneFile = toml::from_str(text).map_err(|e| at(&e))?;
        validate(&file.layers).map_err(|mistake| SceneError::of(text, &mistake))?;
        Ok(Self { layers: file.layers })
    }

    /// The file that [`Scene::from_toml`] reads.
    pub fn to_toml(&self) -> String {
        toml::to_string(&SceneFileOut { version: SCENE_VERSION, layers: &self.layers })
            .expect("a scene holds only what TOML can say: strings, finite numbers, tables")
    }
}

#[cfg(test)]
mod tests;
