//! Logging to standard error.

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Logs what `filter` lets through.
pub fn start(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("\"{filter}\" is no log filter; a level such as info is one"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}
