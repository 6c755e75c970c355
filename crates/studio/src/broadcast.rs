//! The broadcast file: programme, sources, layers, outputs and recording, in versioned TOML.

use std::path::{Path, PathBuf};

use compose::Layer;
use media::{FrameRate, Ladder, Rendition, RenditionName, Size};
use rtmp::RtmpUrl;
use serde::Deserialize;
use thiserror::Error;

use crate::graphics::Choice;

/// The version that this build reads.
const VERSION: u32 = 1;
/// Above this a programme cannot be composed in real time anywhere that was tried.
const SIDE_MAX: u32 = 4096;
const SIDE_MIN: u32 = 90;
const PARTICLES_MAX: u32 = 4_000_000;

#[derive(Debug, Error)]
pub enum BroadcastError {
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// Says where, and never quotes the line: it may hold a stream key.
    #[error("{0}")]
    Malformed(#[from] compose::SceneError),
    #[error("{0}")]
    Meaningless(String),
}

fn meaningless<T>(message: impl Into<String>) -> Result<T, BroadcastError> {
    Err(BroadcastError::Meaningless(message.into()))
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadcastFile {
    pub version: u32,
    #[serde(default)]
    pub programme: Programme,
    #[serde(default)]
    pub graphics: Choice,
    #[serde(default)]
    pub sources: Vec<Source>,
    #[serde(default)]
    pub sounds: Vec<Sound>,
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Empty: the default ladder for the programme's size.
    #[serde(default)]
    pub ladder: Vec<LadderStep>,
    #[serde(default)]
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

/// Where pictures come from; layers name it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
        #[serde(default)]
        device: String,
        /// Show the test pattern where there is no camera at the start, and until one that is there delivers. One that
        /// comes later is told, and not taken: a broadcast does not change by itself.
        #[serde(default)]
        or_synthetic: bool,
    },
    /// A screen or, where its title is given, a window.
    Screen {
        name: String,
        #[serde(default)]
        display: String,
        #[serde(default)]
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

impl Source {
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sound {
    /// A beep at each whole second.
    Synthetic {
        name: String,
        #[serde(default)]
        gain_db: f32,
        #[serde(default)]
        muted: bool,
    },
    Microphone {
        name: String,
        #[serde(default)]
        gain_db: f32,
        #[serde(default)]
        muted: bool,
        #[serde(default)]
        device: String,
        #[serde(default)]
        or_synthetic: bool,
    },
    /// The sound of a file that is a picture source too, or of a file of its own.
    File {
        name: String,
        #[serde(default)]
        gain_db: f32,
        #[serde(default)]
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

    pub fn parse(text: &str) -> Result<Self, BroadcastError> {
        let file: Self = toml::from_str(text).map_err(|err| compose::SceneError::from_toml(text, &err))?;
        file.check()?;
        Ok(file)
    }

    pub fn size(&self) -> Size {
        Size::new(self.programme.width, self.programme.height)
    }

    /// The ladder as written, or the default one.
    pub fn ladder(&self) -> Result<Ladder, BroadcastError> {
        if self.ladder.is_empty() {
            return Ok(Ladder::default_for(self.size()));
        }
        let mut renditions = Vec::new();
        for step in &self.ladder {
            let name: RenditionName =
                step.name.parse().or_else(|err| meaningless(format!("ladder: {err}")))?;
            let size = even_size("ladder", step.width, step.height)?;
            if size.width > self.programme.width || size.height > self.programme.height {
                return meaningless(format!("rendition {name}: {size} is larger than the programme"));
            }
            if !(50..=50_000).contains(&step.kbps) {
                return meaningless(format!("rendition {name}: {} kbps is not from 50 to 50 000", step.kbps));
            }
            renditions.push(Rendition { name, size, bitrate_kbps: step.kbps });
        }
        Ladder::new(renditions).map_or_else(|| meaningless("ladder: a rendition stands twice"), Ok)
    }

    fn check(&self) -> Result<(), BroadcastError> {
        if self.version != VERSION {
            return meaningless(format!("version {} is not known; this build reads {VERSION}", self.version));
        }
        even_size("programme", self.programme.width, self.programme.height)?;
        let ladder = self.ladder()?;
        unique("source", self.sources.iter().map(Source::name))?;
        unique("sound", self.sounds.iter().map(Sound::name))?;
        let mut simulations = 0;
        for source in &self.sources {
            if let Source::Simulation { name, count, .. } = source {
                simulations += 1;
                if !(1..=PARTICLES_MAX).contains(count) {
                    return meaningless(format!("source {name}: a count is from 1 to {PARTICLES_MAX}"));
                }
            }
        }
        if simulations > 1 {
            return meaningless("one simulation a broadcast is what this build runs");
        }
        for layer in &self.layers {
            if let compose::scene::Content::Source(name) = &layer.content
                && !self.sources.iter().any(|source| source.name() == name)
            {
                return meaningless(format!("a layer shows \"{name}\", and no source is called so"));
            }
        }
        for (number, output) in (1..).zip(&self.outputs) {
            output.check().or_else(|reason| meaningless(format!("output {number}: {reason}")))?;
        }
        let known = |name: &str| ladder.renditions().iter().any(|r| r.name.as_str() == name);
        let wanted = self.outputs.iter().filter_map(|output| match output {
            Output::Rtmp { rendition, .. } => Some(rendition),
            Output::Whip { .. } => None,
        });
        for rendition in wanted.chain(self.recording.iter().map(|r| &r.rendition)) {
            if !rendition.is_empty() && !known(rendition) {
                return meaningless(format!("no rendition of the ladder is called \"{rendition}\""));
            }
        }
        Ok(())
    }
}

fn even_size(what: &str, width: u32, height: u32) -> Result<Size, BroadcastError> {
    let fits = |side: u32| (SIDE_MIN..=SIDE_MAX).contains(&side);
    if !fits(width) || !fits(height) || !width.is_multiple_of(2) || !height.is_multiple_of(2) {
        return meaningless(format!(
            "{what}: {width}×{height} cannot be encoded: width and height are even numbers from {SIDE_MIN} to {SIDE_MAX}"
        ));
    }
    Ok(Size::new(width, height))
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), BroadcastError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if name.is_empty() || name.len() > 100 {
            return meaningless(format!("a {what}'s name has 1 to 100 bytes"));
        }
        if !seen.insert(name) {
            return meaningless(format!("two {what}s are called \"{name}\""));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: &str = r##"
        version = 1
        programme = { width = 1280, height = 720, fps = "30000/1001" }
        sources = [
            { name = "camera", kind = "camera", or_synthetic = true },
            { name = "light", kind = "simulation", preset = "galaxy", seed = 7 },
        ]
        sounds = [{ name = "voice", kind = "microphone", gain_db = -3.0 }]
        layers = [{ source = "camera" }, { source = "light", blend = "add" }]
        outputs = [
            { kind = "whip", url = "http://127.0.0.1:8080/whip", token = "hunter2" },
            { kind = "rtmp", url = "rtmp://127.0.0.1/live/hunter2", rendition = "low" },
        ]
        recording = { path = "a.mp4" }
    "##;

    #[test]
    fn a_mistake_beside_a_stream_key_is_told_without_the_key() {
        let text =
            "version = 1\noutputs = [{ kind = \"whip\", url = \"http://h\", token = \"s3cret\", tokn = 1 }]";
        let told = BroadcastFile::parse(text).unwrap_err().to_string();
        assert!(told.contains("line 2") && told.contains("tokn"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }

    #[test]
    fn a_whole_file_is_read() {
        let file = BroadcastFile::parse(FULL).unwrap();
        assert_eq!(file.programme.fps.0, FrameRate::new(30_000, 1_001).unwrap());
        let Source::Simulation { count, seed, .. } = file.sources[1] else { panic!("a simulation") };
        assert_eq!((count, seed), (500_000, 7));
        assert_eq!(file.ladder().unwrap().renditions().len(), 4);
    }

    #[test]
    fn secrets_are_not_debugged() {
        let shown = format!("{:?}", BroadcastFile::parse(FULL).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_a_key() {
        let place = |url: &str| Output::Whip { url: url.into(), token: String::new() }.place();
        assert_eq!(place("http://127.0.0.1:8080/whip"), "http://127.0.0.1:8080/whip");
        assert_eq!(place("https://me:hunter2@host/whip?key=hunter2#hunter2"), "https://host/whip");
        let in_path = "https://customer.example/0123456789abcdef0123456789abcdef/webRTC/publish";
        assert_eq!(place(in_path), "https://customer.example/…/webRTC/publish");
        assert_eq!(place("hunter2"), "");
        let rtmp = Output::Rtmp { url: "rtmp://host/live/hunter2".into(), rendition: String::new() };
        assert_eq!(rtmp.place(), "rtmp://host/live");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let said = |text: &str| BroadcastFile::parse(text).unwrap_err().to_string();
        let unknown = said("version = 1\n[programme]\nwidht = 640\n");
        assert!(unknown.contains("line 3") && unknown.contains("widht"), "{unknown}");
        assert!(said("version = 2").contains("version 2"));
        assert!(said("version = 1\nprogramme = { fps = 0 }").contains("1 to 120"));
        assert!(said("version = 1\nprogramme = { width = 641 }").contains("641"));
        let twice =
            "version = 1\nsources = [{ name = \"a\", kind = \"clock\" }, { name = \"a\", kind = \"clock\" }]";
        assert!(said(twice).contains("\"a\""));
        let rendition = "version = 1\nrecording = { path = \"a.mp4\", rendition = \"huge\" }";
        assert!(said(rendition).contains("huge"));
        let layer = said("version = 1\nlayers = [{ source = \"typo\" }]");
        assert!(layer.contains("\"typo\""), "{layer}");
        let output =
            |url: &str| said(&format!("version = 1\noutputs = [{{ kind = \"whip\", url = \"{url}\" }}]"));
        for url in ["hunter2", "127.0.0.1:8080/hunter2", "https:///hunter2", "rtmp://host/hunter2"] {
            let told = output(url);
            assert!(told.contains("output 1") && !told.contains("hunter2"), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = BroadcastFile::parse(&text);
        }

        #[test]
        fn a_damaged_file_is_refused_or_read(at in 0usize..900, with in any::<char>()) {
            let mut text: Vec<char> = FULL.chars().collect();
            let at = at % text.len();
            text[at] = with;
            let _ = BroadcastFile::parse(&text.into_iter().collect::<String>());
        }
    }
}
