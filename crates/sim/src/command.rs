//! What can be told to a running simulation, and the log of it that replays a broadcast.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::preset::Preset;

/// A slider: a factor on what the preset says, or a speed that is added.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// Particles emitted, ×.
    Emission,
    /// Lifetime of new particles, ×.
    Lifetime,
    /// Speed of new particles, ×.
    Speed,
    /// Angle of emission, ×.
    Spread,
    Gravity,
    Drag,
    /// Metres a second, added.
    WindX,
    WindY,
    WindZ,
    Vortex,
    Attraction,
    Curl,
    /// Eddies to the metre, ×.
    CurlScale,
    Bounce,
    Exposure,
    Glow,
    /// Speed of the camera round its target, ×.
    Orbit,
}

impl Parameter {
    pub const ALL: [Self; 17] = [
        Self::Emission,
        Self::Lifetime,
        Self::Speed,
        Self::Spread,
        Self::Gravity,
        Self::Drag,
        Self::WindX,
        Self::WindY,
        Self::WindZ,
        Self::Vortex,
        Self::Attraction,
        Self::Curl,
        Self::CurlScale,
        Self::Bounce,
        Self::Exposure,
        Self::Glow,
        Self::Orbit,
    ];

    /// Least, usual and greatest value; a command outside is refused.
    pub fn range(self) -> (f32, f32, f32) {
        match self {
            Self::WindX | Self::WindY | Self::WindZ => (-10.0, 0.0, 10.0),
            Self::Gravity | Self::Vortex | Self::Attraction | Self::Orbit => (-4.0, 1.0, 4.0),
            Self::Lifetime | Self::CurlScale | Self::Exposure => (0.1, 1.0, 4.0),
            Self::Bounce => (0.0, 1.0, 2.0),
            Self::Emission | Self::Speed | Self::Spread | Self::Drag | Self::Curl | Self::Glow => {
                (0.0, 1.0, 4.0)
            }
        }
    }

    /// For people: what a slider is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emission => "Emission",
            Self::Lifetime => "Lifetime",
            Self::Speed => "Speed",
            Self::Spread => "Spread",
            Self::Gravity => "Gravity",
            Self::Drag => "Drag",
            Self::WindX => "Wind across",
            Self::WindY => "Wind up",
            Self::WindZ => "Wind along",
            Self::Vortex => "Vortex",
            Self::Attraction => "Attraction",
            Self::Curl => "Turbulence",
            Self::CurlScale => "Turbulence scale",
            Self::Bounce => "Bounce",
            Self::Exposure => "Exposure",
            Self::Glow => "Glow",
            Self::Orbit => "Camera orbit",
        }
    }
}

/// Something that happens to the simulation. Positions in metres, velocities in metres a second.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    Set {
        parameter: Parameter,
        value: f32,
    },
    /// Gives every particle within `radius` a share of `velocity`, once.
    Push {
        at: [f32; 3],
        radius: f32,
        velocity: [f32; 3],
    },
    /// Gravity towards a point (away from it where negative) for some steps; m³/s².
    Attract {
        at: [f32; 3],
        strength: f32,
        steps: u32,
    },
    /// A burst of guests, beside the emitters' particles, at most a 32nd of them.
    Spawn {
        at: [f32; 3],
        velocity: [f32; 3],
        count: u32,
        colour: [f32; 3],
    },
    /// Another preset: what is there fades in half a second while the new begins.
    Preset {
        preset: Preset,
    },
    /// How many particles the emitters keep alive: fewer under load. Light keeps its sum.
    Active {
        count: u32,
    },
}

impl Action {
    /// Whether every number is finite and in its range.
    pub fn is_valid(&self) -> bool {
        let fine = |values: &[f32]| values.iter().all(|v| v.is_finite() && v.abs() <= 1e6);
        match self {
            Self::Set { parameter, value } => {
                let (least, _, most) = parameter.range();
                (least..=most).contains(value)
            }
            Self::Push { at, radius, velocity } => {
                fine(at) && fine(velocity) && fine(&[*radius]) && *radius > 1e-3
            }
            Self::Attract { at, strength, .. } => fine(at) && fine(&[*strength]),
            Self::Spawn { at, velocity, colour, .. } => {
                fine(at) && fine(velocity) && fine(colour) && colour.iter().all(|c| (0.0..=64.0).contains(c))
            }
            Self::Preset { .. } | Self::Active { .. } => true,
        }
    }
}

/// An action and the step that first feels it: `step` 0 acts before the first step is taken.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub step: u64,
    pub action: Action,
}

/// Why a command or a log was refused.
#[derive(Debug, Error)]
pub enum LogError {
    #[error("the command is for step {step}, but step {now} is already taken: send it earlier")]
    Late { step: u64, now: u64 },
    #[error("the command for step {step} comes after one for step {last}: a log is in order of steps")]
    OutOfOrder { step: u64, last: u64 },
    #[error("the command {action:?} holds a number outside its range")]
    OutOfRange { action: Action },
    #[error("the log is full: {MAX_COMMANDS} commands")]
    Full,
    #[error("line {line} of the log is not a command: {reason}")]
    Line { line: usize, reason: String },
    #[error("the log could not be read: {0}")]
    Io(#[from] std::io::Error),
}

/// The most commands in a log: a day of ten a second.
pub const MAX_COMMANDS: usize = 864_000;
/// A command's line is shorter than this; longer ones are refused unread.
const MAX_LINE: u64 = 1_024;

/// Every command of a run, in order of steps. With the seed it is a recording of the simulation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandLog {
    commands: Vec<Command>,
}

impl CommandLog {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Adds a command that is not before the last one.
    pub fn push(&mut self, command: Command) -> Result<(), LogError> {
        if !command.action.is_valid() {
            return Err(LogError::OutOfRange { action: command.action });
        }
        if let Some(last) = self.commands.last()
            && command.step < last.step
        {
            return Err(LogError::OutOfOrder { step: command.step, last: last.step });
        }
        if self.commands.len() >= MAX_COMMANDS {
            return Err(LogError::Full);
        }
        self.commands.push(command);
        Ok(())
    }

    /// Drops the first `count`.
    pub(crate) fn forget(&mut self, count: usize) {
        self.commands.drain(..count);
    }

    /// Writes JSON lines: one command a line, numbers exact.
    pub fn write(&self, mut to: impl Write) -> Result<(), LogError> {
        for command in &self.commands {
            serde_json::to_writer(&mut to, command).map_err(std::io::Error::from)?;
            to.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Reads JSON lines as [`CommandLog::write`] makes them; empty lines are skipped.
    pub fn read(mut from: impl BufRead) -> Result<Self, LogError> {
        let mut log = Self::new();
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            let read = std::io::Read::take(&mut from, MAX_LINE).read_until(b'\n', &mut text)?;
            if read == 0 {
                break;
            }
            if read as u64 == MAX_LINE && !text.ends_with(b"\n") {
                return Err(LogError::Line { line, reason: format!("it is longer than {MAX_LINE} bytes") });
            }
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let command = serde_json::from_slice(&text)
                .map_err(|err| LogError::Line { line, reason: err.to_string() })?;
            log.push(command)?;
        }
        Ok(log)
    }
}
