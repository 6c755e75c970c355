//! `tickcast engine FILE`: the studio without a window.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rtc::{Network, Signalling};
use studio::snapshot::{OutputFigures, SourceFigures};
use studio::{BroadcastFile, Engine, SignallingFactory};
use watch::HttpSignalling;

use crate::say;
use crate::stop::StopSignals;

/// How often it is looked whether something changed.
const LOOK: Duration = Duration::from_millis(500);

/// Broadcasts until it is told to stop, `limit` has passed, or something failed for good.
pub fn run(path: &Path, limit: Option<Duration>, loopback: bool) -> anyhow::Result<()> {
    let file = BroadcastFile::read(path).with_context(|| path.display().to_string())?;
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    let network = if loopback { Network::Loopback } else { Network::Interfaces };
    runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let engine = Engine::start(&file, network, &http_signalling(), runtime.handle())?;
        for source in engine.snapshot().sources.iter().filter(|source| source.kind == "synthetic") {
            say(&format!("{} is a test signal", source.name));
        }
        say("live");
        if file.outputs.is_empty() && file.recording.is_none() {
            say("nothing leaves: the file names neither an output nor a recording");
        }
        let ended = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let failed = tokio::select! {
            () = stop.wait() => Vec::new(),
            () = ended => Vec::new(),
            failures = watched(&engine) => failures,
        };
        let before = engine.snapshot();
        let last = engine.stop().await;
        say(&format!("ended after {:.1} s, {} frames", last.seconds, last.programme.frames));
        for rendition in &last.renditions {
            // Pictures that were due and not composed, or composed and not encoded.
            let left_out = last.programme.dropped + rendition.dropped;
            say(&format!("rendition {} lacks {left_out}", rendition.name));
        }
        if let Some(recording) = &last.recording {
            say(&format!("recorded {} {}", recording.state, recording.path));
        }
        let recording = last.recording.and_then(|recording| recording.message);
        // One that closed while the broadcast went on was refused for good.
        let closed = before.outputs.iter().filter(|output| output.state == "closed").map(told);
        let failed: Vec<String> = failed.into_iter().chain(recording).chain(closed).collect();
        anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
        Ok(())
    })
}

/// Says what changes, until something failed for good.
async fn watched(engine: &Engine) -> Vec<String> {
    let mut turns = tokio::time::interval(LOOK);
    let mut known = BTreeSet::new();
    loop {
        turns.tick().await;
        let snapshot = engine.snapshot();
        let recording = snapshot.recording.iter().map(|recording| {
            let why = recording
                .message
                .as_ref()
                .map_or(String::new(), |message| format!(" {}: {message}", recording.state));
            format!("recording {}{why}", recording.path)
        });
        let leftovers = snapshot.recording.iter().flat_map(|recording| &recording.leftovers);
        let leftovers = leftovers.map(|leftover| leftover.message.clone());
        let missing = snapshot.sources.iter().filter_map(missing);
        let outputs = snapshot.outputs.iter().map(told);
        let now: BTreeSet<String> = outputs.chain(recording).chain(leftovers).chain(missing).collect();
        now.difference(&known).for_each(|line| say(line));
        known = now;
        let failures = engine.failures();
        if !failures.is_empty() {
            return failures;
        }
    }
}

/// What a source that is not live shows instead, and why.
fn missing(source: &SourceFigures) -> Option<String> {
    let SourceFigures { name, kind, state, message } = source;
    let why = message.as_ref()?;
    (!matches!(*state, "opening" | "live")).then(|| format!("{kind} {name} {state}: {why}"))
}

/// An output's state in words.
fn told(output: &OutputFigures) -> String {
    let OutputFigures { kind, url, state, message, .. } = output;
    let reason = message.as_ref().map_or(String::new(), |message| format!(": {message}"));
    format!("{kind} {url} {state}{reason}")
}

/// WHIP over HTTP, with a bearer token where there is one.
pub fn http_signalling() -> SignallingFactory {
    Arc::new(|url, token| {
        let bearer = (!token.is_empty()).then(|| token.to_owned());
        Ok(Arc::new(HttpSignalling::new(url, bearer)?) as Arc<dyn Signalling>)
    })
}
