//! `tickcast-devchain`: a development chain on the loopback address until it is interrupted.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tickcast_devchain::{Config, Devchain, Finality, Sealing, development_accounts, spec};

/// A development chain with the escrow of channels.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// On the loopback address; 0 for any that is free.
    #[arg(long, default_value_t = 9_944)]
    port: u16,
    /// Time between blocks in milliseconds; 0 makes one as soon as a transaction waits.
    #[arg(long, default_value_t = 1_000)]
    block_ms: u64,
    /// How many blocks are above one that is final.
    #[arg(long, default_value_t = 2)]
    finality_blocks: u32,
    /// Where blocks are kept over restarts; in memory alone otherwise.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the same chain's beginning for a node of the Polkadot SDK, and runs nothing.
    Spec {
        /// The runtime as WebAssembly.
        #[arg(long, value_name = "FILE")]
        runtime: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Some(Command::Spec { runtime }) => write_spec(&runtime),
        None => run(arguments).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            // Standard error may be closed; the status still tells.
            let _ = writeln!(std::io::stderr(), "tickcast-devchain: {err:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)] // What it prints is what it is asked for.
fn write_spec(runtime: &Path) -> anyhow::Result<()> {
    let wasm = std::fs::read(runtime).with_context(|| runtime.display().to_string())?;
    println!("{}", spec(&Config::default().genesis, &wasm).map_err(anyhow::Error::msg)?);
    Ok(())
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let sealing = match arguments.block_ms {
        0 => Sealing::OnDemand,
        millis => Sealing::Every(Duration::from_millis(millis)),
    };
    let config = Config {
        sealing,
        finality: Finality::Behind(arguments.finality_blocks),
        data: arguments.data,
        port: arguments.port,
        ..Config::default()
    };
    let devchain = Devchain::start(config).await.context("the chain does not start")?;
    report(&devchain);
    tokio::signal::ctrl_c().await.context("the end cannot be waited for")?;
    devchain.stop().await;
    Ok(())
}

#[allow(clippy::print_stdout)] // What it prints is what it is asked for.
fn report(devchain: &Devchain) {
    println!("{}", devchain.url());
    println!("genesis 0x{}", devchain.genesis().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    for account in development_accounts() {
        println!("{:<10} {:?} {}", account.uri, account.scheme, account.address());
    }
}
