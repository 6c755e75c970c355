//! Where the Desk keeps things: the platform's own folders (XDG on Linux).

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::node_config;
use super::snapshot::Paths;

/// Under the platform's data and configuration folders.
const FOLDER: &str = "tickcast";

#[derive(Clone, Debug)]
pub struct Places {
    data: PathBuf,
    node_config: PathBuf,
}

impl Places {
    /// `data` and `config` are the platform's folders for every program's.
    pub fn new(data: &Path, config: &Path) -> Self {
        Self { data: data.join(FOLDER), node_config: config.join(FOLDER).join("node.toml") }
    }

    /// Makes what has to be there.
    pub fn make(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.data)
            .with_context(|| format!("the folder {} cannot be made", self.data.display()))?;
        node_config::begin(&self.node_config, &self.data.join("node"))
            .with_context(|| format!("the settings {} cannot be made", self.node_config.display()))
    }

    /// Where children run.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The node's settings.
    pub fn node_config(&self) -> &Path {
        &self.node_config
    }

    pub fn shown(&self) -> Paths {
        Paths {
            node_config: self.node_config.display().to_string(),
            node_config_exists: self.node_config.exists(),
            data: self.data.display().to_string(),
        }
    }
}
