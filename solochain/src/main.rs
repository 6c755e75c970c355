//! `tickcast-solochain`: a real Substrate node with the development chain's runtime, on the loopback address until it is
//! interrupted. What it serves is what `tickcast-devchain` serves, by other means: database, transaction pool, RPC and
//! WebAssembly are the Polkadot SDK's.

mod runtime_api;
mod sealing;
mod service;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Parser;
use sc_chain_spec::GenericChainSpec;
use tokio::signal::unix::{SignalKind, signal};

/// A Substrate node that makes its blocks by the clock.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The chain: what `tickcast-devchain spec` writes.
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// On the loopback address; 0 for any that is free.
    #[arg(long, default_value_t = 9_944)]
    port: u16,
    /// Time between blocks in milliseconds.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    block_ms: u64,
    /// How many blocks are above one that is final.
    #[arg(long, default_value_t = 2)]
    finality_blocks: u32,
    /// Where blocks are kept over restarts; in a folder that is removed at the end otherwise.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    run(Arguments::parse()).await
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { spec, port, block_ms, finality_blocks, data } = arguments;
    let spec = GenericChainSpec::<sc_chain_spec::NoExtension>::from_json_file(spec.clone())
        .map_err(|err| anyhow!("{}: {err}", spec.display()))?;
    let block_period = Duration::from_millis(block_ms);
    let settings = service::Settings { spec: Box::new(spec), port, block_period, finality_blocks };
    let passing = tempfile::tempdir().context("there is no folder for the blocks")?;
    let data = data.unwrap_or_else(|| passing.path().to_owned());
    let mut node = service::start(settings, &data)?;
    println!("ready ws://{}", node.address);
    let mut terminate = signal(SignalKind::terminate()).context("TERM cannot be heard")?;
    tokio::select! {
        ended = node.tasks.future() => ended.context("a part of the node ended")?,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("the end cannot be waited for")?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
