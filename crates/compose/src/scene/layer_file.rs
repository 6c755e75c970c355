//! A layer as a file spells it: flat, with one of four keys saying what it shows.

use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Anchor, Blend, Colour, Content, Crop, Fit, Layer, LayerError, Text};

fn one() -> f32 {
    1.0
}

fn yes() -> bool {
    true
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_one(value: &f32) -> bool {
    *value == 1.0
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    colour: Option<Colour>,
    #[serde(default, skip_serializing_if = "is_default")]
    position: [f32; 2],
    #[serde(default, skip_serializing_if = "is_default")]
    anchor: Anchor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<[f32; 2]>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    scale: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fit: Option<Fit>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    opacity: f32,
    #[serde(default, skip_serializing_if = "is_default")]
    blend: Blend,
    #[serde(default = "yes", skip_serializing_if = "std::clone::Clone::clone")]
    visible: bool,
    // Tables last, as TOML wants them.
    #[serde(default, skip_serializing_if = "is_default")]
    crop: Crop,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
}

impl TryFrom<LayerFile> for Layer {
    type Error = LayerError;

    fn try_from(file: LayerFile) -> Result<Self, LayerError> {
        let contents: Vec<Content> = [
            file.source.map(Content::Source),
            file.text.map(Content::Text),
            file.image.map(Content::Image),
            file.colour.map(Content::Colour),
        ]
        .into_iter()
        .flatten()
        .collect();
        let [content] = <[Content; 1]>::try_from(contents).map_err(|all| LayerError::Contents(all.len()))?;
        Ok(Self {
            name: file.name,
            content,
            position: file.position,
            anchor: file.anchor,
            size: file.size,
            scale: file.scale,
            fit: file.fit,
            crop: file.crop,
            opacity: file.opacity,
            blend: file.blend,
            visible: file.visible,
        })
    }
}

/// By hand, since a conversion that fails inside the visitor is reported at the layer's own line, where one after it
/// (`try_from`) would be at the line of the first layer.
impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Layer;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a layer")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Layer, A::Error> {
                let file = LayerFile::deserialize(MapAccessDeserializer::new(map))?;
                Layer::try_from(file).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl From<Layer> for LayerFile {
    fn from(layer: Layer) -> Self {
        let (mut source, mut text, mut image, mut colour) = (None, None, None, None);
        match layer.content {
            Content::Source(name) => source = Some(name),
            Content::Text(it) => text = Some(it),
            Content::Image(path) => image = Some(path),
            Content::Colour(it) => colour = Some(it),
        }
        Self {
            name: layer.name,
            source,
            image,
            colour,
            position: layer.position,
            anchor: layer.anchor,
            size: layer.size,
            scale: layer.scale,
            fit: layer.fit,
            opacity: layer.opacity,
            blend: layer.blend,
            visible: layer.visible,
            crop: layer.crop,
            text,
        }
    }
}
