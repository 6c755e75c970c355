//! Where the Desk keeps things: the platform's own folders (XDG on Linux).

use std::path::{Path, PathBuf};

use anyhow::Context;

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
            .with_context(|| format!("the folder {} cannot be made", self.data.display()))
    }

    /// Where children run.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The node's database and key, unless its configuration says otherwise.
    pub fn node_data(&self) -> PathBuf {
        self.data.join("node")
    }

    /// A person's own settings of the node; may be missing.
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
