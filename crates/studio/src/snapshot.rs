//! What an engine tells of itself, as often as anybody asks.

use serde::Serialize;

/// Numbers are measured; `None` where nothing was.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    /// Since the epoch, in seconds.
    pub seconds: f64,
    pub simulation: Option<SimulationFigures>,
    pub programme: ProgrammeFigures,
    pub renditions: Vec<RenditionFigures>,
    pub sound: SoundFigures,
    pub sources: Vec<SourceFigures>,
    pub outputs: Vec<OutputFigures>,
    pub recording: Option<RecordingFigures>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct SimulationFigures {
    /// `cpu` or `gpu`.
    pub backend: &'static str,
    pub preset: String,
    pub particles: u64,
    pub steps: u64,
    pub steps_per_second: f64,
    pub step_ms_p50: Option<f64>,
    pub render_ms_p50: Option<f64>,
    /// Hex, of the state at step 600; `None` before it, or when a command came first.
    pub hash_at_step_600: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ProgrammeFigures {
    pub width: u32,
    pub height: u32,
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
}

#[derive(Clone, Debug, Serialize)]
pub struct SourceFigures {
    pub name: String,
    pub kind: &'static str,
    /// `opening`, `live` or `lost`.
    pub state: &'static str,
    /// For a person, where it is not live.
    pub message: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct OutputFigures {
    /// `whip` or `rtmp`.
    pub kind: &'static str,
    /// Without any secret.
    pub url: String,
    /// `connecting`, `up`, `lost` or `closed`.
    pub state: &'static str,
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
    pub bytes: u64,
    pub dropped: u64,
    /// Why it ended, where it did.
    pub message: Option<String>,
}
