//! The time by which money is judged: the later of this machine's clock and the newest block's, so that a clock that is
//! set back keeps no channel alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use media::WallTime;
use pay::UnixMillis;

#[derive(Clone, Default, Debug)]
pub struct PayClock {
    newest_block: Arc<AtomicU64>,
}

impl PayClock {
    pub fn now(&self) -> UnixMillis {
        let clock = UnixMillis::from(WallTime::from_system(SystemTime::now()));
        clock.max(UnixMillis(self.newest_block.load(Ordering::Relaxed)))
    }

    /// A block of that time was seen.
    pub fn block(&self, time: UnixMillis) {
        self.newest_block.fetch_max(time.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_the_chain_is_not_believed() {
        let clock = PayClock::default();
        let ahead = clock.now().plus(3_600_000);
        clock.block(ahead);
        assert_eq!(clock.now(), ahead);
        clock.block(UnixMillis(1));
        assert_eq!(clock.now(), ahead);
    }
}
