//! Renditions: one programme at several bitrates at once.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::picture::Size;

/// The names of the ladder, lowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RenditionName {
    VeryLow,
    Low,
    Medium,
    High,
    Ultra,
}

impl RenditionName {
    pub const ALL: [Self; 5] = [Self::VeryLow, Self::Low, Self::Medium, Self::High, Self::Ultra];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very_low",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Ultra => "ultra",
        }
    }

    /// The rid of its WebRTC layer. RFC 8852 §3.3 allows letters and digits only, so no underscore.
    pub const fn rid(self) -> &'static str {
        match self {
            Self::VeryLow => "vl",
            Self::Low => "l",
            Self::Medium => "m",
            Self::High => "h",
            Self::Ultra => "u",
        }
    }

    pub fn from_rid(rid: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.rid() == rid)
    }

    /// The ladder's default bitrate.
    pub const fn default_kbps(self) -> u32 {
        match self {
            Self::VeryLow => 500,
            Self::Low => 1000,
            Self::Medium => 2000,
            Self::High => 4000,
            Self::Ultra => 8000,
        }
    }
}

impl fmt::Display for RenditionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("there is no rendition \"{0}\"; the names are very_low, low, medium, high and ultra")]
pub struct UnknownRendition(String);

impl FromStr for RenditionName {
    type Err = UnknownRendition;

    fn from_str(text: &str) -> Result<Self, UnknownRendition> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| UnknownRendition(text.to_owned()))
    }
}

/// One step of a ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rendition {
    pub name: RenditionName,
    pub size: Size,
    pub bitrate_kbps: u32,
}

/// Renditions of one programme, lowest first, each picture at most as large as the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ladder(Vec<Rendition>);

impl Ladder {
    /// `very_low` to `high` for a programme of `size`: a quarter, a half, two thirds and all of its width
    /// and height, rounded to even numbers.
    pub fn default_for(size: Size) -> Self {
        let scaled = |num: u32, den: u32| {
            let even = |x: u32| ((x * num / den).max(2) + 1) & !1;
            Size::new(even(size.width), even(size.height))
        };
        let step = |name: RenditionName, size| Rendition { name, size, bitrate_kbps: name.default_kbps() };
        Self(vec![
            step(RenditionName::VeryLow, scaled(1, 4)),
            step(RenditionName::Low, scaled(1, 2)),
            step(RenditionName::Medium, scaled(2, 3)),
            step(RenditionName::High, scaled(1, 1)),
        ])
    }

    /// Sorted by size; `None` when empty or when a name stands twice.
    pub fn new(mut renditions: Vec<Rendition>) -> Option<Self> {
        renditions.sort_by_key(|r| (r.size.pixels(), r.bitrate_kbps));
        let mut names: Vec<_> = renditions.iter().map(|r| r.name).collect();
        names.sort();
        names.dedup();
        (!renditions.is_empty() && names.len() == renditions.len()).then_some(Self(renditions))
    }

    pub fn renditions(&self) -> &[Rendition] {
        &self.0
    }

    /// The largest.
    pub fn top(&self) -> Rendition {
        *self.0.last().expect("a ladder is never empty: both constructors see to it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_ladder_of_720p_has_the_four_known_steps() {
        let ladder = Ladder::default_for(Size::new(1280, 720));
        let steps: Vec<_> = ladder
            .renditions()
            .iter()
            .map(|r| (r.name.as_str(), r.size.width, r.size.height, r.bitrate_kbps))
            .collect();
        assert_eq!(
            steps,
            [
                ("very_low", 320, 180, 500),
                ("low", 640, 360, 1000),
                ("medium", 854, 480, 2000),
                ("high", 1280, 720, 4000)
            ]
        );
    }

    #[test]
    fn a_ladder_with_the_same_name_twice_is_refused() {
        let step = Ladder::default_for(Size::new(640, 360)).top();
        assert_eq!(Ladder::new(vec![step, step]), None);
        assert_eq!(Ladder::new(vec![]), None);
    }

    #[test]
    fn every_name_is_found_again_from_its_text_and_its_rid() {
        for name in RenditionName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
            assert_eq!(RenditionName::from_rid(name.rid()), Some(name));
        }
        assert!("hihg".parse::<RenditionName>().is_err());
    }
}
