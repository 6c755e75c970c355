//! `tickcast stage [FILE]`: the creator's window, with the engine in the same process.

mod feedback;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use rtc::Network;
use stage::{Feedback, Leave, OnAir, Opened, Studio};
use studio::collection::ScenesFile;
use studio::{BroadcastFile, Collection, Engine, Graphics, Output};
use tokio::runtime::Runtime;

use crate::engine::http_signalling;
use crate::films;
use crate::look::Look;
use crate::say;
use crate::stop::StopSignals;
use crate::supervised::{self, Outputs, WhipOutput, Word};

/// What is shown where no file is named.
const BUILT_IN: &str = include_str!("stage/broadcast.toml");

#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// A broadcast file in TOML; assets/broadcast.toml is a commented one. Without it: particles over the camera,
    /// and no output.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Outputs are on this machine: use the loopback interface alone.
    #[arg(long)]
    pub loopback: bool,
    /// Ends with standard input, once nothing is live or recorded, or at once at its line "stop".
    #[arg(long)]
    pub supervised: bool,
    /// More outputs come on standard input, `whip ADDRESS KEY` to a line, and where to watch, `watch ADDRESS`, until the
    /// line `go`.
    #[arg(long, requires = "supervised")]
    pub outputs_by_pipe: bool,
    #[command(flatten)]
    pub look: Look,
}

/// Shows the window until it is closed, or until whoever started it wants it to end.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let begun = Instant::now();
    let runtime = Runtime::new().context("the async runtime could not be started")?;
    let leave = Leave::default();
    let outputs = if options.outputs_by_pipe { supervised::outputs() } else { Outputs::default() };
    listen(options, &runtime, &leave)?;
    let network =
        if options.loopback || outputs.on_loopback { Network::Loopback } else { Network::Interfaces };
    let watch_url = outputs.watch_url.clone();
    let feedback = Feedback::default();
    if let Some(node) = feedback::Node::of(&outputs) {
        runtime.spawn(node.follow(feedback.clone()));
    }
    let (file, handle) = (options.file.clone(), runtime.handle().clone());
    // The window draws on the same device; a file that cannot be read is told in the window.
    let choice = read(options.file.as_deref()).map(|broadcast| broadcast.graphics).unwrap_or_default();
    let graphics = Graphics::find(choice);
    let shared = graphics.clone();
    let open = move || {
        open(file.as_deref(), &outputs.whip, &shared, network, &handle).map_err(|err| crate::in_words(&err))
    };
    let title = options
        .file
        .as_deref()
        .and_then(Path::file_name)
        .map_or_else(|| "Stage".to_owned(), |name| name.to_string_lossy().into_owned());
    let studio = Studio {
        title,
        begun,
        hotkeys_file: dirs::config_dir().map(|folder| folder.join("tickcast/stage.toml")),
        watch_url,
        feedback,
        open: Box::new(open),
        told: Box::new(teller()),
        runtime: runtime.handle().clone(),
        leave,
    };
    let (theme, zoom, size) = (options.look.theme(), options.look.scale, options.look.size());
    let look = stage::Options { theme, zoom, size, graphics };
    Ok(stage::run(studio, look)?)
}

/// Signals end it in order; a supervisor that is gone ends it when nothing leaves it any more.
fn listen(options: &Options, runtime: &Runtime, leave: &Leave) -> anyhow::Result<()> {
    let mut signals = {
        let _within = runtime.enter();
        StopSignals::new()?
    };
    let told = leave.clone();
    runtime.spawn(async move {
        signals.wait().await;
        told.now();
    });
    if options.supervised {
        let told = leave.clone();
        supervised::listen(move |word| match word {
            Word::Stop => told.now(),
            Word::Gone => told.when_idle(),
        })?;
    }
    Ok(())
}

fn read(file: Option<&Path>) -> anyhow::Result<BroadcastFile> {
    match file {
        Some(path) => BroadcastFile::read(path).with_context(|| path.display().to_string()),
        None => Ok(BroadcastFile::parse(BUILT_IN)?),
    }
}

fn open(
    file: Option<&Path>,
    more: &[WhipOutput],
    graphics: &Graphics,
    network: Network,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<Opened> {
    let mut broadcast = read(file)?;
    let whip = |output: &WhipOutput| Output::Whip { url: output.url.clone(), token: output.key.clone() };
    broadcast.outputs.extend(more.iter().map(whip));
    let engine = Engine::open(&broadcast, graphics, network, &http_signalling(), runtime)?;
    let recording = broadcast
        .recording
        .as_ref()
        .map_or_else(|| films::folder().join("recording.mp4"), |r| r.path.clone());
    Ok(Opened {
        engine,
        collection: Collection::of(&broadcast),
        scenes_file: file.map(|path| ScenesFile::new(path.to_owned(), &broadcast)),
        recording,
        records_live: broadcast.recording.is_some(),
    })
}

/// Says whether it is on air, for a supervisor and for whoever started it in a terminal; at first that it is ready.
fn teller() -> impl Fn(OnAir) + Send {
    let ready = std::sync::Once::new();
    move |on_air| {
        say(match on_air {
            OnAir::Preview => "broadcast preview",
            OnAir::Live => "broadcast live",
            OnAir::Ending => "broadcast ending",
        });
        ready.call_once(|| say("ready"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_broadcast_is_one_and_sends_nothing() {
        let file = BroadcastFile::parse(BUILT_IN).expect("it parses");
        assert!(file.outputs.is_empty() && file.recording.is_none());
    }
}
