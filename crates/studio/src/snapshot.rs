//! What an engine tells of itself, as often as anybody asks.

use serde::Serialize;

/// Whether anything leaves the studio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAir {
    /// Composed and encoded for its own sake.
    #[default]
    Preview,
    Live,
    /// Outputs say goodbye.
    Ending,
}

/// How far what is live comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A server takes it.
    Server,
    /// None has yet since it went live.
    NotYet,
    /// None does any more; those that may come back are tried again.
    NotNow,
    /// None does, and none is tried.
    Nobody,
}

/// Numbers are measured; `None` where nothing was.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Since the epoch, in seconds.
    pub seconds: f64,
    pub on_air: OnAir,
    /// The graphics adapter in use; `None` where the CPU simulates and composes.
    pub graphics: Option<String>,
    /// Since the broadcast went live, in seconds.
    pub live_seconds: Option<f64>,
    pub simulation: Option<SimulationFigures>,
    pub programme: ProgrammeFigures,
    pub renditions: Vec<RenditionFigures>,
    pub sound: SoundFigures,
    pub sources: Vec<SourceFigures>,
    pub outputs: Vec<OutputFigures>,
    pub recording: Option<RecordingFigures>,
}

impl Snapshot {
    /// Of what is live.
    pub fn reach(&self) -> Reach {
        let any = |is: fn(&OutputFigures) -> bool| self.outputs.iter().any(is);
        if any(|output| output.state == "up") {
            return Reach::Server;
        }
        // By what stood, and not by their states: an output that is tried again is connecting and lost by turns.
        match (any(|output| !matches!(output.state, "closed" | "stopped")), any(|output| output.stood)) {
            (true, true) => Reach::NotNow,
            (true, false) => Reach::NotYet,
            (false, _) => Reach::Nobody,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct SimulationFigures {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    pub preset: String,
    pub particles: u64,
    /// What was asked for; `particles` is less while load is shed.
    pub full_count: u64,
    /// What there is room for.
    pub capacity: u64,
    pub steps: u64,
    pub steps_per_second: f64,
    pub step_ms_p50: Option<f64>,
    pub render_ms_p50: Option<f64>,
    /// Hex, of the state at step 600; `None` before it, or when a command came first.
    pub hash_at_step_600: Option<String>,
    /// What step 600 was come to by; `None` before it, where there were more commands than a report holds, and where
    /// particles were lost with a graphics device.
    pub replay: Option<ReplayFigures>,
    /// Each slider's present value.
    #[serde(skip)]
    pub settings: Vec<(sim::Parameter, f32)>,
}

/// A state, and all that it takes to come to it again from the seed.
#[derive(Clone, Debug, Serialize)]
pub struct ReplayFigures {
    pub step: u64,
    /// Hex, of the state at that step.
    pub hash: String,
    /// Everything that acted before it, shedding included.
    pub commands: Vec<sim::Command>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ProgrammeFigures {
    pub width: u32,
    pub height: u32,
    /// What composes it: `cpu` or `gpu`.
    pub backend: &'static str,
    pub fps: f64,
    /// Composed.
    pub frames: u64,
    /// Due but not composed.
    pub dropped: u64,
    /// Of those, how many in the first two seconds.
    pub dropped_at_start: u64,
    pub compose_ms_p50: Option<f64>,
    /// From the tick to the last rendition's packet.
    pub lag_ms_p50: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct RenditionFigures {
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    pub encoder: String,
    pub target_kbps: u32,
    /// Over the whole broadcast; `None` before its first second.
    pub kbps: Option<f64>,
    pub frames: u64,
    pub dropped: u64,
    pub encode_ms_p50: Option<f64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct SoundFigures {
    pub blocks: u64,
    /// Samples that no source had, filled with silence.
    pub filled: u64,
    /// Peak of the programme in dBFS since the last snapshot; `None` for silence.
    pub peak_dbfs: Option<f64>,
    pub lufs: Option<f64>,
    /// Of the programme, after the limiter.
    pub level: LevelFigures,
    pub sources: Vec<SoundSourceFigures>,
    /// Of the loudspeaker at the desk; `None` where nothing is listened to.
    pub monitor: Option<MonitorFigures>,
}

/// What becomes of sound that is listened to at the desk.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MonitorFigures {
    /// `opening`, `heard` or `lost`.
    pub state: &'static str,
    /// Why it is lost.
    pub message: Option<String>,
}

/// The highest levels since the last figures, left and right, in dBFS; `None` for silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LevelFigures {
    pub peak_dbfs: [Option<f64>; 2],
    pub rms_dbfs: [Option<f64>; 2],
}

/// One strip of the mixer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SoundSourceFigures {
    pub name: String,
    pub gain_db: f64,
    pub muted: bool,
    pub monitored: bool,
    pub soloed: bool,
    /// After gain, before mute: one sees that a muted microphone still hears.
    pub level: LevelFigures,
}

#[derive(Clone, Debug, Serialize)]
pub struct SourceFigures {
    pub name: String,
    pub kind: &'static str,
    /// `opening`, `live`, `stand_in` or `lost`.
    pub state: &'static str,
    /// For a person, where it is not live. Without a full stop it says only what happened.
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct OutputFigures {
    /// `whip` or `rtmp`.
    pub kind: &'static str,
    /// Without any secret.
    pub url: String,
    /// `idle`, `connecting`, `up`, `lost`, `closed` (by the server, or by a mistake) or `stopped` (by hand).
    pub state: &'static str,
    /// Whether it was up since the broadcast went live.
    #[serde(skip)]
    pub stood: bool,
    /// Connections that were made again after one that stood.
    pub reconnects: u64,
    pub bytes: u64,
    pub dropped: u64,
    pub rtt_ms: Option<f64>,
    /// Share of packets, 0 to 1.
    pub loss: Option<f64>,
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct RecordingFigures {
    pub path: String,
    /// `recording`, `finalising`, `finished` or `failed`.
    pub state: &'static str,
    pub bytes: u64,
    pub dropped: u64,
    /// Why it ended, where it did.
    pub message: Option<String>,
    /// What killed processes had left in its folder; the first few of it.
    pub leftovers: Vec<LeftoverFigures>,
}

/// What a killed process had left of a recording, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftoverFigures {
    /// `whole`, `recovered`, `damaged`, or `left` where nothing could be done.
    pub state: &'static str,
    /// For a person: what happened, and where it is.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of outputs that are in a state, and were up or not.
    fn reach(outputs: &[(&'static str, bool)]) -> Reach {
        let output = |&(state, stood): &_| OutputFigures { state, stood, ..OutputFigures::default() };
        Snapshot { outputs: outputs.iter().map(output).collect(), ..Snapshot::default() }.reach()
    }

    #[test]
    fn one_output_that_is_up_is_enough_and_without_one_it_is_said_what_is_tried() {
        assert_eq!(reach(&[("lost", true), ("up", true)]), Reach::Server);
        for trying in ["connecting", "lost"] {
            assert_eq!(reach(&[(trying, false), ("closed", false)]), Reach::NotYet);
            assert_eq!(reach(&[(trying, true), ("closed", false)]), Reach::NotNow);
        }
        assert_eq!(reach(&[("closed", true), ("closed", false)]), Reach::Nobody);
        assert_eq!(reach(&[]), Reach::Nobody);
    }
}
