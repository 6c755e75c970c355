//! Broadcast files and nodes' configurations are read or refused.
#![allow(dead_code, reason = "the studio and the node use the rest")]

#[rustfmt::skip]
#[path = "../../studio/src/broadcast.rs"]
mod broadcast;
#[rustfmt::skip]
#[path = "../../node/src/billing/chain_config.rs"]
mod chain_config;
#[rustfmt::skip]
#[path = "../../node/src/config.rs"]
mod config;

pub use chain_config::ChainConfig;

use crate::decoded;

pub fn run(data: &[u8]) {
    let Some(text) = decoded::<&str>(data) else { return };
    let _ = toml::from_str::<config::NodeConfig>(text);
    if let Ok(file) = broadcast::BroadcastFile::parse(text) {
        let ladder = file.ladder().expect("it was checked");
        assert!(ladder.renditions().iter().all(|r| r.size.pixels() <= file.size().pixels()));
    }
}
