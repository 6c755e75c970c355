//! Transcoding in child processes: which are needed, what they may do, and that they run.
//!
//! The node decodes nothing itself: foreign pictures and sound are decoded in a child, whose crash costs one
//! transcode.

mod child;
mod hindrance;
pub mod need;
mod supervisor;
mod ticket;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;

pub use hindrance::Hindrance;
pub use need::{Job, Work};
pub use supervisor::{Supervisor, Wanted};
pub use ticket::{Purpose, Ticket};

use ticket::Tickets;

/// How a node transcodes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscodeConfig {
    pub enabled: bool,
    /// What is run as `EXECUTABLE engine --transcode`; empty: this very program.
    pub executable: PathBuf,
    /// Children at once, of all streams together; further ones wait.
    pub max_children: usize,
}

impl Default for TranscodeConfig {
    fn default() -> Self {
        Self { enabled: true, executable: PathBuf::new(), max_children: 8 }
    }
}

/// How long is waited for what may come by itself.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// After the first child that failed; each further one doubles it.
    pause: Duration,
    /// Until a child attaches its first lane: a machine that is as busy as can be takes seconds to start one. With what
    /// its end takes it is shorter than a child must run to have been well, so that children that hang are given up.
    starting: Duration,
    /// A transcode goes on so long after its last subscriber: pages are reloaded, and players come back.
    linger: Duration,
}

const PATIENCE: Patience = Patience {
    pause: Duration::from_millis(500),
    starting: Duration::from_secs(20),
    linger: Duration::from_secs(5),
};

/// What all streams' supervisors share.
pub struct Transcoding {
    executable: PathBuf,
    /// Where children find the node.
    node: SocketAddr,
    room: Arc<Semaphore>,
    tickets: Tickets,
    patience: Patience,
}

impl Transcoding {
    /// `None` where it is switched off, or where there is no program to run. `rtmp` is where the node listens.
    pub fn new(config: &TranscodeConfig, rtmp: SocketAddr) -> Option<Self> {
        if !config.enabled {
            return None;
        }
        let executable = if config.executable.as_os_str().is_empty() {
            match std::env::current_exe() {
                Ok(path) => path,
                Err(err) => {
                    tracing::error!("nothing is transcoded: this program's own file is unknown: {err}");
                    return None;
                }
            }
        } else {
            config.executable.clone()
        };
        let room = Arc::new(Semaphore::new(config.max_children.min(Semaphore::MAX_PERMITS)));
        Some(Self {
            executable,
            node: api::reachable(rtmp),
            room,
            tickets: Tickets::default(),
            patience: PATIENCE,
        })
    }

    /// The same without any pause.
    #[cfg(test)]
    pub fn impatient(self) -> Self {
        let patience = Patience { pause: Duration::ZERO, starting: Duration::ZERO, linger: Duration::ZERO };
        Self { patience, ..self }
    }

    /// Room for one more child.
    #[cfg(test)]
    pub fn make_room(&self) {
        self.room.add_permits(1);
    }

    /// What a name that was played or published stands for, where it is a token of a child's. It works once.
    pub fn redeem(&self, name: &str) -> Option<Ticket> {
        self.tickets.redeem(name)
    }
}
