//! The process's file descriptors, and how many of them each port's connections may have.

/// What all limits together need, below the 10 240 that macOS gives at most.
const WANTED: usize = 8192;
/// For everything but connections: database, logs, listeners, media socket, transcoders' pipes.
const RESERVED: usize = 100;
/// More HTTP connections than this are a CDN's business.
const HTTP_MAX: usize = 2000;
/// Each publisher and each player is a stream's worth of bandwidth.
const RTMP_MAX: usize = 500;

/// Connections at once, one number a port. Their sum leaves room in the process's descriptors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shares {
    pub http: usize,
    pub hls: usize,
    pub rtmp: usize,
}

impl Shares {
    /// Of `descriptors`, three eighths for each HTTP port and a quarter for RTMP.
    pub fn of(descriptors: usize) -> Self {
        let eighth = (descriptors.saturating_sub(RESERVED) / 8).max(1);
        let http = (3 * eighth).min(HTTP_MAX);
        Self { http, hls: http, rtmp: (2 * eighth).min(RTMP_MAX) }
    }
}

/// Raises the process's limit as far as the node needs and the system lets it, and says what it is then.
#[cfg(unix)]
pub fn raise() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(WANTED as u64);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    let current = match limit.current {
        Some(current) if current < wanted => match setrlimit(Resource::Nofile, raised) {
            Ok(()) => wanted,
            Err(err) => {
                tracing::warn!(current, "the limit of open files could not be raised: {err}");
                current
            }
        },
        current => current.unwrap_or(u64::MAX),
    };
    usize::try_from(current).unwrap_or(usize::MAX)
}

/// There is no such limit.
#[cfg(not(unix))]
pub fn raise() -> usize {
    WANTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_together_leave_the_rest_its_descriptors() {
        for descriptors in [101, 150, 300, 1024, 4096, WANTED, 1 << 20] {
            let Shares { http, hls, rtmp } = Shares::of(descriptors);
            assert!(http > 0 && hls > 0 && rtmp > 0);
            let spare = descriptors.saturating_sub(http + hls + rtmp);
            assert!(spare >= RESERVED || descriptors < 150, "{descriptors}: {spare}");
        }
        assert_eq!(Shares::of(WANTED), Shares { http: HTTP_MAX, hls: HTTP_MAX, rtmp: RTMP_MAX });
    }
}
