//! What a preset is made of: where particles come from, what moves them, what they meet.

use crate::look::{ColourRamp, Look};

/// The most emitters in a scene; one more ring is kept for particles that commands spawn.
pub const MAX_EMITTERS: usize = 7;
/// The most curl-noise modes.
pub const MAX_MODES: usize = 8;
/// The most attractors, those of commands included.
pub const MAX_ATTRACTORS: usize = 8;
/// The most pushes in one step.
pub const MAX_PUSHES: usize = 4;
/// The most planes and the most spheres.
pub const MAX_COLLIDERS: usize = 4;

/// The body that an emitter's particles are born in, in the emitter's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Point,
    /// Across the axis. `focus` 0 spreads evenly over the area, 1 evenly over the radius.
    Disc {
        radius: f32,
        focus: f32,
        thickness: f32,
    },
    /// Across the axis, its rim blurred by `width`.
    Ring {
        radius: f32,
        width: f32,
        thickness: f32,
    },
    /// Arms of a spiral across the axis; `twist` in turns from the middle to `radius`, `width` the blur of
    /// an arm in turns.
    Spiral {
        radius: f32,
        arms: u32,
        twist: f32,
        width: f32,
        thickness: f32,
    },
    /// `focus` 0 fills the ball evenly, 1 draws it towards the middle.
    Sphere {
        radius: f32,
        focus: f32,
    },
    /// From −`half` to +`half`; `thickness` blurs it across.
    Line {
        half: [f32; 3],
        thickness: f32,
    },
}

/// Particles that come all at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// From one burst to the next.
    pub every_steps: u32,
    /// Share of the emitter's particles in a burst.
    pub portion: f32,
}

/// Where particles come from. An emitter owns a share of all particles as a ring: the oldest gives way.
#[derive(Clone, Debug)]
pub struct Emitter {
    pub shape: Shape,
    pub centre: [f32; 3],
    /// The direction of emission, and the normal of a disc or ring.
    pub axis: [f32; 3],
    /// Turns a second about the world's y axis, position and shape together.
    pub spin: f32,
    /// Share of all particles; the shares of a scene add up to 1.
    pub share: f32,
    /// Emitted a second, as a share of the emitter's particles.
    pub rate: f32,
    pub burst: Option<Burst>,
    /// Whether the ring is filled in the first half second, as though it had always been running.
    pub prefilled: bool,
    /// Shortest and longest life in seconds.
    pub life: [f32; 2],
    /// Slowest and fastest, along the axis within the cone, in metres a second.
    pub speed: [f32; 2],
    /// The cone's half angle in turns: 0 a jet, 0.25 a half sphere, 0.5 everywhere.
    pub spread: f32,
    /// Added away from the axis, in metres a second.
    pub outward: f32,
    /// Added round the axis, in metres a second.
    pub swirl: f32,
    pub ramp: ColourRamp,
}

impl Emitter {
    /// A jet of nothing yet: the start for a scene's own settings.
    pub fn new(shape: Shape, ramp: ColourRamp) -> Self {
        Self {
            shape,
            centre: [0.0; 3],
            axis: [0.0, 1.0, 0.0],
            spin: 0.0,
            share: 1.0,
            rate: 0.1,
            burst: None,
            prefilled: false,
            life: [10.0, 10.0],
            speed: [0.0, 0.0],
            spread: 0.0,
            outward: 0.0,
            swirl: 0.0,
            ramp,
        }
    }
}

/// Turbulence without sources or sinks: the curl of a vector potential made of random plane waves
/// (kinematic simulation: Fung et al., J. Fluid Mech. 236, 1992).
#[derive(Clone, Copy, Debug)]
pub struct CurlNoise {
    /// Metres a second.
    pub strength: f32,
    /// Waves a metre of the largest eddies.
    pub scale: f32,
    /// From one mode's wave number to the next.
    pub lacunarity: f32,
    /// From one mode's strength to the next.
    pub gain: f32,
    /// Turns a second of the largest eddies.
    pub pace: f32,
    pub modes: usize,
}

/// Air that turns about an axis: flat towards the middle (solid within `core`), gone beyond `reach`.
#[derive(Clone, Copy, Debug)]
pub struct Vortex {
    pub centre: [f32; 3],
    pub axis: [f32; 3],
    /// Speed round the axis in metres a second.
    pub strength: f32,
    pub core: f32,
    pub reach: f32,
    /// Speed towards the axis.
    pub inflow: f32,
    /// Speed along the axis.
    pub lift: f32,
}

/// Gravity of a point: acceleration strength/(r² + softness²).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attractor {
    pub at: [f32; 3],
    /// m³/s²; negative repels.
    pub strength: f32,
    pub softness: f32,
}

/// The half space below it is solid.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    pub normal: [f32; 3],
    /// Distance of the plane from the origin along its normal.
    pub offset: f32,
    /// Share of the speed into the plane that comes back.
    pub bounce: f32,
    /// Share of the speed along the plane that a touch takes.
    pub friction: f32,
}

#[derive(Clone, Copy, Debug)]
pub struct Sphere {
    pub centre: [f32; 3],
    pub radius: f32,
    pub bounce: f32,
    pub friction: f32,
}

/// A whole preset.
#[derive(Clone, Debug)]
pub struct Scene {
    pub emitters: Vec<Emitter>,
    pub gravity: [f32; 3],
    /// How fast a particle takes on the air's speed, per second.
    pub drag: f32,
    /// The air's own speed.
    pub wind: [f32; 3],
    pub curl: CurlNoise,
    pub vortex: Option<Vortex>,
    pub attractors: Vec<Attractor>,
    pub planes: Vec<Plane>,
    pub spheres: Vec<Sphere>,
    pub look: Look,
}
