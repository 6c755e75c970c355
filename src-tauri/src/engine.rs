//! `tickcast engine FILE`: the studio without a window.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rtc::{Network, Signalling, SignallingError};
use studio::{BroadcastFile, Engine, SignallingFactory};
use watch::HttpSignalling;

use crate::say;
use crate::stop::StopSignals;

/// How often a failure is looked for.
const LOOK: Duration = Duration::from_millis(500);

/// Broadcasts until it is told to stop, `seconds` have passed, or something failed for good.
pub fn run(path: &Path, seconds: Option<f64>, loopback: bool) -> anyhow::Result<()> {
    let limit = seconds.map(Duration::try_from_secs_f64).transpose().context("--seconds")?;
    let file = BroadcastFile::read(path).with_context(|| path.display().to_string())?;
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    let network = if loopback { Network::Loopback } else { Network::Interfaces };
    runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let engine = Engine::start(&file, network, &http_signalling(), runtime.handle())?;
        say("live");
        let ended = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let failed = tokio::select! {
            () = stop.wait() => Vec::new(),
            () = ended => Vec::new(),
            failures = failures(&engine) => failures,
        };
        let last = engine.stop().await;
        say(&format!("ended after {:.1} s, {} frames", last.seconds, last.programme.frames));
        let recording = last.recording.and_then(|recording| recording.message);
        let failed: Vec<String> = failed.into_iter().chain(recording).collect();
        anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
        Ok(())
    })
}

async fn failures(engine: &Engine) -> Vec<String> {
    let mut turns = tokio::time::interval(LOOK);
    loop {
        turns.tick().await;
        let failures = engine.failures();
        if !failures.is_empty() {
            return failures;
        }
    }
}

/// WHIP over HTTP, with a bearer token where there is one.
pub fn http_signalling() -> SignallingFactory {
    Arc::new(|url, token| {
        let bearer = (!token.is_empty()).then(|| token.to_owned());
        let made = HttpSignalling::new(url, bearer);
        let made = made.map_err(|err| SignallingError::BadAnswer(err.to_string()))?;
        Ok(Arc::new(made) as Arc<dyn Signalling>)
    })
}
