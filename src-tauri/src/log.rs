//! Logging to standard error.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Logs what `filter` lets through.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("\"{filter}\" is no log filter; a level such as info is one"))?;
    // A supervisor that was killed took the other end of standard error along: what outlives it must not panic there.
    tracing_subscriber::fmt()
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
