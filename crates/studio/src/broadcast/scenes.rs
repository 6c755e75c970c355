//! The scenes of a broadcast file: named, with layers that an editor may be told to leave alone.

use std::fmt;

use compose::Layer;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A scene as a file has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedScene {
    pub name: String,
    /// From back to front.
    #[serde(default)]
    pub layers: Vec<Arranged>,
}

/// A layer with what only its editor minds.
#[derive(Clone, Debug, PartialEq)]
pub struct Arranged {
    pub layer: Layer,
    /// `locked = true` among the layer's keys.
    pub locked: bool,
}

/// By hand, since a layer refuses keys that it does not know, and names them.
impl<'de> Deserialize<'de> for Arranged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Arranged;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a layer")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Arranged, A::Error> {
                let mut locked = None;
                let rest = LayerKeys { map, locked: &mut locked };
                let layer = Layer::deserialize(MapAccessDeserializer::new(rest))?;
                Ok(Arranged { layer, locked: locked.unwrap_or_default() })
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// The keys of a table but for `locked`, which is kept aside.
struct LayerKeys<'a, A> {
    map: A,
    locked: &'a mut Option<bool>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for LayerKeys<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<String>()? {
            if key != "locked" {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            if self.locked.replace(self.map.next_value()?).is_some() {
                return Err(A::Error::duplicate_field("locked"));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}
