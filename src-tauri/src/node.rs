//! `tickcast node`: the media server, headless.

use std::path::{Path, PathBuf};

use anyhow::Context;
use node::{Node, NodeConfig};

use crate::say;
use crate::stop::StopSignals;

/// Serves until it is told to stop.
pub fn run(config: Option<&Path>, loopback: Option<PathBuf>) -> anyhow::Result<()> {
    let config = match (config, loopback) {
        (Some(path), _) => NodeConfig::from_file(path)?,
        (None, Some(folder)) => NodeConfig::loopback(folder),
        (None, None) => NodeConfig::default(),
    };
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
