//! `tickcast node`: the media server, headless.

use std::path::{Path, PathBuf};

use anyhow::Context;
use node::{Node, NodeConfig};

use crate::say;
use crate::stop::StopSignals;

/// Serves until it is told to stop.
pub fn run(config: Option<&Path>, loopback: Option<PathBuf>) -> anyhow::Result<()> {
    #[cfg_attr(feature = "engine", expect(unused_mut, reason = "only a node without an engine changes it"))]
    let mut config = match (config, loopback) {
        (Some(path), _) => NodeConfig::from_file(path)?,
        (None, Some(folder)) => NodeConfig::loopback(folder),
        (None, None) => NodeConfig::default(),
    };
    #[cfg(not(feature = "engine"))]
    without_engine(&mut config);
    let runtime = tokio::runtime::Runtime::new().context("the async runtime could not be started")?;
    runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let node = Node::start(config).await?;
        let addresses = node.addresses();
        say(&format!(
            "http {}\nhls {}\nrtmp {}\nmedia {}\nready",
            addresses.http, addresses.hls, addresses.rtmp, addresses.media
        ));
        stop.wait().await;
        node.stop().await;
        Ok(())
    })
}

/// This program has no encoder; another may be named.
#[cfg(not(feature = "engine"))]
fn without_engine(config: &mut NodeConfig) {
    let transcode = &mut config.transcode;
    if transcode.enabled && transcode.executable.as_os_str().is_empty() {
        tracing::warn!(
            "this node cannot transcode: it was built without the feature \"engine\". Viewers get what a publisher \
             sends: no ladder of a single rendition, and sound only where its codec suits. Name a program that has \
             it as transcode.executable, or set transcode.enabled = false"
        );
        transcode.enabled = false;
    }
}
