//! Colour: ramps over a particle's life, and how the light of all of them becomes a picture.

use crate::camera::Camera;

/// Entries of a palette: a ramp sampled over life.
pub const PALETTE_LEN: usize = 64;

/// Light over a particle's life: linear BT.709 red, green, blue, where 1 is white of the display when one
/// particle fills a pixel alone at the reference distance.
#[derive(Clone, Debug, PartialEq)]
pub struct ColourRamp {
    /// Phase and light, in rising order of phase.
    pub stops: Vec<(f32, [f32; 3])>,
}

impl ColourRamp {
    pub fn new(stops: impl Into<Vec<(f32, [f32; 3])>>) -> Self {
        Self { stops: stops.into() }
    }

    /// Light at `phase`: straight between the stops, level beyond them.
    pub fn at(&self, phase: f32) -> [f32; 3] {
        let Some(first) = self.stops.first() else { return [0.0; 3] };
        let mut before = first;
        for stop in &self.stops {
            if phase < stop.0 {
                let span = stop.0 - before.0;
                let part = if span > 0.0 { (phase - before.0) / span } else { 1.0 };
                return std::array::from_fn(|c| before.1[c] + (stop.1[c] - before.1[c]) * part);
            }
            before = stop;
        }
        before.1
    }

    /// The ramp sampled in the middle of each palette entry, every light times `by`.
    pub fn palette(&self, by: [f32; 3]) -> [[f32; 3]; PALETTE_LEN] {
        std::array::from_fn(|i| {
            let light = self.at((i as f32 + 0.5) / PALETTE_LEN as f32);
            std::array::from_fn(|c| light[c] * by[c])
        })
    }
}

/// From light to picture.
#[derive(Clone, Debug)]
pub struct Look {
    pub camera: Camera,
    /// Light of all particles times this.
    pub exposure: f32,
    /// How much of the light spills within about ten pixels of 720, and within about fifty.
    pub glow: [f32; 2],
    /// How unequal the particles are: 0 all alike, 1 a few bright ones among many dim.
    pub sparkle: f32,
    /// Light that the floor (the first plane) mirrors, as a share.
    pub mirror: f32,
    /// The ramp of particles that commands spawn, before their own colour.
    pub guest: ColourRamp,
}
