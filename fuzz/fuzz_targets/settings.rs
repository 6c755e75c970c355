//! Broadcast files and nodes' configurations are read or refused.
#![no_main]
#![allow(dead_code, reason = "the studio and the node use the rest")]

#[path = "../../crates/studio/src/broadcast.rs"]
mod broadcast;
#[path = "../../crates/node/src/config.rs"]
mod config;

#[path = "../../crates/node/src/billing/chain_config.rs"]
mod chain_config;

mod billing {
    pub use crate::chain_config::ChainConfig;
}

/// As the studio has it, in a file that needs a graphics device.
mod graphics {
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Choice {
        #[default]
        Auto,
        Cpu,
        Gpu,
    }
}

/// As the node has it, in a file that needs its runtime.
mod transcode {
    #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct TranscodeConfig {
        pub enabled: bool,
        pub executable: std::path::PathBuf,
        pub max_children: usize,
    }
}

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = toml::from_str::<config::NodeConfig>(text);
    if let Ok(file) = broadcast::BroadcastFile::parse(text) {
        let ladder = file.ladder().expect("it was checked");
        assert!(ladder.renditions().iter().all(|r| r.size.pixels() <= file.size().pixels()));
    }
});
