//! Signals: the wish to end, by Ctrl-C or TERM from whoever started us, and what must not end us.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A file that grew beyond what the system allows is a refused write, which whoever writes reports as on a full disk:
/// not the end of the broadcast, as the signal would have it where nobody takes it.
pub fn outlive_file_limits() -> io::Result<()> {
    // The flag is nobody's: a signal that is taken by anyone is enough.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// Listens from its making on, so that no early signal is lost.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
