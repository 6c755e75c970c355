//! Presets worth streaming.

use serde::{Deserialize, Serialize};

use crate::camera::Camera;
use crate::look::{ColourRamp, Look};
use crate::scene::{Burst, CurlNoise, Emitter, Plane, Scene, Shape, Sphere, Vortex};

/// A scene by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// A spiral galaxy: blue arms round a golden heart.
    #[default]
    Galaxy,
    /// A fountain of embers that bounce off spheres and a polished floor.
    Embers,
    /// Curtains of light in slow turbulence.
    Silk,
}

impl Preset {
    pub const ALL: [Self; 3] = [Self::Galaxy, Self::Embers, Self::Silk];

    /// As it is written in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Galaxy => "galaxy",
            Self::Embers => "embers",
            Self::Silk => "silk",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    pub fn scene(self) -> Scene {
        match self {
            Self::Galaxy => galaxy(),
            Self::Embers => embers(),
            Self::Silk => silk(),
        }
    }
}

fn guest_ramp() -> ColourRamp {
    ColourRamp::new([(0.0, [0.5; 3]), (0.3, [0.3; 3]), (1.0, [0.0; 3])])
}

fn galaxy() -> Scene {
    let arms = Emitter {
        share: 0.52,
        rate: 1.0 / 14.0,
        prefilled: true,
        life: [14.0, 14.0],
        spin: 0.02,
        speed: [0.0, 0.06],
        spread: 0.5,
        swirl: 0.8,
        ..Emitter::new(
            Shape::Spiral { radius: 6.0, arms: 2, twist: -0.85, width: 0.06, thickness: 0.13 },
            ColourRamp::new([
                (0.0, [0.0, 0.0, 0.0]),
                (0.05, [0.040, 0.072, 0.170]),
                (0.25, [0.034, 0.050, 0.105]),
                (0.5, [0.052, 0.030, 0.058]),
                (0.8, [0.040, 0.020, 0.026]),
                (1.0, [0.0, 0.0, 0.0]),
            ]),
        )
    };
    let bulge = Emitter {
        share: 0.16,
        rate: 1.0 / 12.0,
        prefilled: true,
        life: [12.0, 12.0],
        speed: [0.0, 0.15],
        spread: 0.5,
        swirl: 0.5,
        ..Emitter::new(
            Shape::Sphere { radius: 2.1, focus: 1.0 },
            ColourRamp::new([
                (0.0, [0.0, 0.0, 0.0]),
                (0.15, [0.050, 0.033, 0.014]),
                (0.6, [0.046, 0.025, 0.010]),
                (1.0, [0.0, 0.0, 0.0]),
            ]),
        )
    };
    let disc = Emitter {
        share: 0.32,
        rate: 1.0 / 16.0,
        prefilled: true,
        life: [16.0, 16.0],
        speed: [0.0, 0.05],
        spread: 0.5,
        swirl: 0.8,
        ..Emitter::new(
            Shape::Disc { radius: 6.6, focus: 0.6, thickness: 0.35 },
            ColourRamp::new([
                (0.0, [0.0, 0.0, 0.0]),
                (0.15, [0.020, 0.018, 0.030]),
                (0.7, [0.026, 0.017, 0.018]),
                (1.0, [0.0, 0.0, 0.0]),
            ]),
        )
    };
    Scene {
        emitters: vec![arms, bulge, disc],
        gravity: [0.0; 3],
        drag: 6.0,
        wind: [0.0; 3],
        curl: CurlNoise { strength: 0.10, scale: 0.28, lacunarity: 1.6, gain: 0.85, pace: 0.03, modes: 5 },
        vortex: Some(Vortex {
            centre: [0.0; 3],
            axis: [0.0, 1.0, 0.0],
            strength: 0.95,
            core: 0.9,
            reach: 14.0,
            inflow: 0.07,
            lift: 0.0,
        }),
        attractors: vec![],
        planes: vec![],
        spheres: vec![],
        look: Look {
            camera: Camera {
                target: [0.0, 0.2, 0.0],
                distance: 8.6,
                height: 5.2,
                bob: 1.2,
                focal: 1.05,
                orbit: 0.008,
                start: 0.1,
            },
            exposure: 1.7,
            glow: [0.55, 0.40],
            sparkle: 0.5,
            mirror: 0.0,
            guest: guest_ramp(),
        },
    }
}

fn embers() -> Scene {
    let ember = ColourRamp::new([
        (0.0, [0.60, 0.42, 0.22]),
        (0.08, [0.40, 0.18, 0.045]),
        (0.3, [0.20, 0.062, 0.010]),
        (0.65, [0.12, 0.022, 0.003]),
        (1.0, [0.0, 0.0, 0.0]),
    ]);
    let fountain = Emitter {
        centre: [0.0, 0.05, 0.0],
        share: 0.8,
        rate: 1.0 / 4.6,
        life: [3.2, 5.0],
        speed: [2.9, 6.8],
        spread: 0.03,
        ..Emitter::new(Shape::Disc { radius: 0.1, focus: 0.0, thickness: 0.02 }, ember.clone())
    };
    let sparks = Emitter {
        centre: [0.0, 0.05, 0.0],
        share: 0.2,
        rate: 0.0,
        burst: Some(Burst { every_steps: 75, portion: 0.25 }),
        life: [3.6, 5.0],
        speed: [2.2, 7.4],
        spread: 0.085,
        ..Emitter::new(Shape::Point, ember)
    };
    let sphere = |centre, radius| Sphere { centre, radius, bounce: 0.45, friction: 0.04 };
    Scene {
        emitters: vec![fountain, sparks],
        gravity: [0.0, -6.0, 0.0],
        drag: 0.35,
        wind: [0.0; 3],
        curl: CurlNoise { strength: 2.2, scale: 0.16, lacunarity: 1.7, gain: 0.75, pace: 0.08, modes: 5 },
        vortex: None,
        attractors: vec![],
        planes: vec![Plane { normal: [0.0, 1.0, 0.0], offset: 0.0, bounce: 0.42, friction: 0.05 }],
        spheres: vec![
            sphere([1.5, 0.75, 0.5], 0.75),
            sphere([-1.1, 0.5, 1.2], 0.5),
            sphere([-0.9, 1.0, -1.5], 1.0),
        ],
        look: Look {
            camera: Camera {
                target: [0.0, 1.7, 0.0],
                distance: 7.6,
                height: 0.9,
                bob: 0.3,
                focal: 1.25,
                orbit: 0.009,
                start: 0.0,
            },
            exposure: 1.4,
            glow: [0.5, 0.32],
            sparkle: 0.6,
            mirror: 0.3,
            guest: guest_ramp(),
        },
    }
}

fn silk() -> Scene {
    let curtain = |centre, half, share, ramp| Emitter {
        centre,
        share,
        rate: 1.0 / 9.0,
        life: [9.0, 9.0],
        speed: [0.0, 0.02],
        spread: 0.5,
        ..Emitter::new(Shape::Line { half, thickness: 0.05 }, ramp)
    };
    let ramp = |young: [f32; 3], middle: [f32; 3], old: [f32; 3]| {
        ColourRamp::new([(0.0, [0.0; 3]), (0.14, young), (0.42, middle), (0.75, old), (1.0, [0.0; 3])])
    };
    Scene {
        emitters: vec![
            curtain(
                [0.0, -1.4, 0.3],
                [3.2, 0.3, 0.0],
                0.4,
                ramp([0.012, 0.085, 0.060], [0.008, 0.070, 0.062], [0.030, 0.022, 0.080]),
            ),
            curtain(
                [0.6, -1.0, -1.2],
                [2.6, -0.4, 1.0],
                0.32,
                ramp([0.010, 0.045, 0.095], [0.030, 0.024, 0.095], [0.075, 0.012, 0.065]),
            ),
            curtain(
                [-0.8, -1.2, 1.2],
                [1.8, 0.5, -0.9],
                0.28,
                ramp([0.075, 0.030, 0.070], [0.090, 0.020, 0.050], [0.080, 0.030, 0.012]),
            ),
        ],
        gravity: [0.0; 3],
        drag: 5.0,
        wind: [0.0, 0.28, 0.0],
        curl: CurlNoise { strength: 0.42, scale: 0.14, lacunarity: 1.6, gain: 0.76, pace: 0.035, modes: 6 },
        vortex: Some(Vortex {
            centre: [0.0; 3],
            axis: [0.0, 1.0, 0.0],
            strength: 0.14,
            core: 1.2,
            reach: 9.0,
            inflow: 0.16,
            lift: 0.0,
        }),
        attractors: vec![],
        planes: vec![],
        spheres: vec![],
        look: Look {
            camera: Camera {
                target: [0.0, 0.1, 0.0],
                distance: 6.4,
                height: 0.5,
                bob: 0.5,
                focal: 1.1,
                orbit: 0.01,
                start: 0.0,
            },
            exposure: 1.6,
            glow: [0.5, 0.35],
            sparkle: 0.15,
            mirror: 0.0,
            guest: guest_ramp(),
        },
    }
}
