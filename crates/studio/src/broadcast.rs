//! The broadcast file: programme, sources, scenes, outputs and recording, in versioned TOML.

// Found there also where the fuzz target's crate compiles this file.
#[path = "broadcast/check.rs"]
mod check;
#[path = "broadcast/entries.rs"]
mod entries;
#[path = "broadcast/scenes.rs"]
mod scenes;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use compose::scene::Mistake;
use compose::{Layer, Scene, SceneError};
use media::{FrameRate, Ladder, Size};
use rtmp::RtmpUrl;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::graphics::Choice;

pub use scenes::{Arranged, NamedScene};

/// The version that has scenes, and the newest. The one before it has a single scene, whose layers stand by themselves.
pub const SCENES_VERSION: u32 = 2;
const VERSIONS: RangeInclusive<u32> = 1..=SCENES_VERSION;
/// What the scene of a file without scenes is called.
const ONLY_SCENE: &str = "Main";
/// More scenes than anybody switches between; a bound for generated files.
pub const MAX_SCENES: usize = 64;
/// Of a source or a scene, in bytes.
pub const NAME_MAX: usize = 100;
/// A fade that takes longer is none that anybody waits for.
pub const FADE_MS_MAX: u32 = 10_000;
/// What a sound's gain may be, in decibels: from silence to what is still somebody's wish.
pub const GAIN_DB: RangeInclusive<f32> = -150.0..=24.0;

#[derive(Debug, Error)]
pub enum BroadcastError {
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// What cannot be read, or cannot be meant. Says where, and never quotes the line: it may hold a stream key.
    #[error("{0}")]
    Malformed(#[from] SceneError),
    /// The same of a broadcast that no text is known of.
    #[error(transparent)]
    Meaningless(#[from] Mistake),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadcastFile {
    pub version: u32,
    #[serde(default)]
    pub programme: Programme,
    #[serde(default)]
    pub graphics: Choice,
    #[serde(default, deserialize_with = "entries::read")]
    pub sources: Vec<Source>,
    #[serde(default, deserialize_with = "entries::read")]
    pub sounds: Vec<Sound>,
    /// Of a file of version 1; read as the layers of its one scene, and empty from then on.
    #[serde(default)]
    layers: Vec<Layer>,
    /// At least one once it was read.
    #[serde(default)]
    pub scenes: Vec<NamedScene>,
    #[serde(default)]
    pub switching: Switching,
    /// Empty: the default ladder for the programme's size.
    #[serde(default)]
    pub ladder: Vec<LadderStep>,
    #[serde(default, deserialize_with = "entries::read")]
    pub outputs: Vec<Output>,
    #[serde(default)]
    pub recording: Option<Recording>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Programme {
    pub width: u32,
    pub height: u32,
    /// Frames a second as a fraction: `30`, or `30000/1001`.
    pub fps: Fps,
}

impl Default for Programme {
    fn default() -> Self {
        Self { width: 1280, height: 720, fps: Fps(FrameRate::FPS_30) }
    }
}

/// A frame rate as written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "FpsText")]
pub struct Fps(pub FrameRate);

#[derive(Deserialize)]
#[serde(untagged)]
enum FpsText {
    Whole(u32),
    Fraction(String),
}

impl TryFrom<FpsText> for Fps {
    type Error = String;

    fn try_from(text: FpsText) -> Result<Self, String> {
        let rate = match &text {
            FpsText::Whole(frames) => FrameRate::new(*frames, 1),
            FpsText::Fraction(text) => {
                let (frames, seconds) = text.split_once('/').unwrap_or((text, "1"));
                match (frames.trim().parse(), seconds.trim().parse()) {
                    (Ok(frames), Ok(seconds)) => FrameRate::new(frames, seconds),
                    _ => None,
                }
            }
        };
        rate.filter(|rate| (1.0..=120.0).contains(&rate.as_f64()))
            .map(Self)
            .ok_or_else(|| "a frame rate is a number from 1 to 120, or a fraction like \"30000/1001\"".into())
    }
}

/// How scenes take turns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switching {
    /// The scene that is shown at the start. Empty, or a scene's that is gone: the first one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shown: String,
    /// How long one fades into the next, in milliseconds, at most [`FADE_MS_MAX`]; 0 is a cut.
    pub fade_ms: u32,
}

/// Where pictures come from; layers name it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A moving test pattern with burnt-in numbers.
    Synthetic {
        name: String,
    },
    /// The burnt-in strip alone.
    Clock {
        name: String,
    },
    Camera {
        name: String,
        /// Empty: the first one found.
        #[serde(default, skip_serializing_if = "is_default")]
        device: String,
        /// Show the test pattern where there is no camera at the start, and until one that is there delivers. One that
        /// comes later is told, and not taken: a broadcast does not change by itself.
        #[serde(default, skip_serializing_if = "is_default")]
        or_synthetic: bool,
    },
    /// A screen or, where its title is given, a window.
    Screen {
        name: String,
        #[serde(default, skip_serializing_if = "is_default")]
        display: String,
        #[serde(default, skip_serializing_if = "is_default")]
        window: String,
    },
    File {
        name: String,
        path: PathBuf,
    },
    Simulation {
        name: String,
        preset: String,
        #[serde(default = "default_particles")]
        count: u32,
        #[serde(default)]
        seed: u64,
    },
}

fn default_particles() -> u32 {
    500_000
}

/// What need not be written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Source {
    /// As the file spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Synthetic { .. } => "synthetic",
            Self::Clock { .. } => "clock",
            Self::Camera { .. } => "camera",
            Self::Screen { .. } => "screen",
            Self::File { .. } => "file",
            Self::Simulation { .. } => "simulation",
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Synthetic { name }
            | Self::Clock { name }
            | Self::Camera { name, .. }
            | Self::Screen { name, .. }
            | Self::File { name, .. }
            | Self::Simulation { name, .. } => name,
        }
    }
}

/// Where sound comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sound {
    /// A beep at each whole second.
    Synthetic {
        name: String,
        #[serde(default, skip_serializing_if = "is_default")]
        gain_db: f32,
        #[serde(default, skip_serializing_if = "is_default")]
        muted: bool,
    },
    Microphone {
        name: String,
        #[serde(default, skip_serializing_if = "is_default")]
        gain_db: f32,
        #[serde(default, skip_serializing_if = "is_default")]
        muted: bool,
        #[serde(default, skip_serializing_if = "is_default")]
        device: String,
        #[serde(default, skip_serializing_if = "is_default")]
        or_synthetic: bool,
    },
    /// The sound of a file that is a picture source too, or of a file of its own.
    File {
        name: String,
        #[serde(default, skip_serializing_if = "is_default")]
        gain_db: f32,
        #[serde(default, skip_serializing_if = "is_default")]
        muted: bool,
        path: PathBuf,
    },
}

impl Sound {
    pub fn name(&self) -> &str {
        match self {
            Self::Synthetic { name, .. } | Self::Microphone { name, .. } | Self::File { name, .. } => name,
        }
    }

    /// As the file spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Synthetic { .. } => "synthetic",
            Self::Microphone { .. } => "microphone",
            Self::File { .. } => "file",
        }
    }

    /// The same at another gain, muted or not.
    pub fn at(&self, gain: f32, is_muted: bool) -> Self {
        let mut sound = self.clone();
        match &mut sound {
            Self::Synthetic { gain_db, muted, .. }
            | Self::Microphone { gain_db, muted, .. }
            | Self::File { gain_db, muted, .. } => (*gain_db, *muted) = (gain, is_muted),
        }
        sound
    }

    /// Decibels, and whether it is muted.
    pub fn fader(&self) -> (f32, bool) {
        match self {
            Self::Synthetic { gain_db, muted, .. }
            | Self::Microphone { gain_db, muted, .. }
            | Self::File { gain_db, muted, .. } => (*gain_db, *muted),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderStep {
    pub name: String,
    pub width: u32,
    pub height: u32,
    pub kbps: u32,
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Output {
    /// Every rendition as a layer, with the bearer token that the server gave.
    Whip {
        url: String,
        #[serde(default)]
        token: String,
    },
    /// One rendition with AAC, to any server.
    Rtmp {
        /// With the stream key as its last part.
        url: String,
        /// Empty: the largest.
        #[serde(default)]
        rendition: String,
    },
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither tokens nor addresses that hold a stream key.
        match self {
            Self::Whip { .. } => f.debug_struct("Whip").field("url", &self.place()).finish_non_exhaustive(),
            Self::Rtmp { .. } => f.debug_struct("Rtmp").finish_non_exhaustive(),
        }
    }
}

/// Parts of a path that are longer than this may be a key: some services put theirs there.
const PATH_PART_SHOWN: usize = 20;

impl Output {
    /// The reason never holds the address: that may hold a key.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Whip { url, .. } => {
                let rest = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
                let has_host =
                    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']));
                if has_host {
                    Ok(())
                } else {
                    Err("a WHIP address begins with http:// or https:// and a host".into())
                }
            }
            Self::Rtmp { url, .. } => RtmpUrl::parse(url).map(drop).map_err(|err| err.to_string()),
        }
    }

    /// Its address as people and logs may see it: without a password, a query, or what may be a stream key. Empty
    /// where an RTMP address cannot be read.
    pub fn place(&self) -> String {
        match self {
            Self::Whip { url, .. } => whip_place(url),
            Self::Rtmp { url, .. } => RtmpUrl::parse(url).map(|url| url.tc_url()).unwrap_or_default(),
        }
    }
}

fn whip_place(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = bare.split_once("://") else { return String::new() };
    let mut parts = rest.split('/');
    let authority = parts.next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut place = format!("{scheme}://{host}");
    for part in parts {
        place.push('/');
        place.push_str(if part.len() > PATH_PART_SHOWN { "…" } else { part });
    }
    place
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    pub path: PathBuf,
    /// Empty: the largest.
    #[serde(default)]
    pub rendition: String,
}

impl BroadcastFile {
    pub fn read(path: &Path) -> Result<Self, BroadcastError> {
        let text = std::fs::read_to_string(path).map_err(BroadcastError::Unreadable)?;
        Self::parse(&text)
    }

    /// Every mistake is told with its line: what cannot be read, and what was read and cannot be meant.
    pub fn parse(text: &str) -> Result<Self, BroadcastError> {
        let mut file: Self = toml::from_str(text).map_err(|err| SceneError::from_toml(text, &err))?;
        check::check(&file).map_err(|mistake| SceneError::of(text, &mistake))?;
        if file.scenes.is_empty() {
            let layers = std::mem::take(&mut file.layers).into_iter();
            let layers = layers.map(|layer| Arranged { layer, locked: false }).collect();
            file.scenes = vec![NamedScene { name: ONLY_SCENE.into(), layers }];
        }
        Ok(file)
    }

    /// What is shown at the start.
    pub fn first_scene(&self) -> Scene {
        let layers = self.scenes.get(self.first_index()).map(|scene| scene.layers.as_slice());
        let layers = layers.unwrap_or_default();
        Scene::new(layers.iter().map(|arranged| arranged.layer.clone()).collect())
    }

    /// Which of the scenes that is.
    pub fn first_index(&self) -> usize {
        let shown = &self.switching.shown;
        self.scenes.iter().position(|scene| scene.name == *shown).unwrap_or_default()
    }

    pub fn size(&self) -> Size {
        Size::new(self.programme.width, self.programme.height)
    }

    /// The ladder as written, or the default one.
    pub fn ladder(&self) -> Result<Ladder, BroadcastError> {
        Ok(check::ladder(self)?)
    }
}

#[cfg(test)]
mod tests;
