//! A node that does not answer, and one that is back: its streams go on only once their publishers are back, too.

use std::time::{Duration, Instant};

/// A node that does not answer for so long is not waited for.
const AWAY_MAX: Duration = Duration::from_secs(120);
/// A node that was started anew calls a stream over until its publisher has found it again, which takes as long as that
/// one pauses between attempts, and some.
const PUBLISHER_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Absence {
    /// The node answers, and always did.
    #[default]
    None,
    Since(Instant),
    /// It answers again.
    Until(Instant),
}

impl Absence {
    /// It did not answer, or broke a connection.
    pub fn missed(&mut self, now: Instant) {
        if !matches!(self, Self::Since(_)) {
            tracing::warn!("the node went away; trying again");
            *self = Self::Since(now);
        }
    }

    pub fn answered(&mut self, now: Instant) {
        if let Self::Since(_) = self {
            tracing::info!("the node answers again");
            *self = Self::Until(now);
        }
    }

    /// How long it has lasted, if that is too long.
    pub fn too_long(&self, now: Instant) -> Option<Duration> {
        match self {
            Self::Since(since) => {
                Some(now.saturating_duration_since(*since)).filter(|lasted| *lasted >= AWAY_MAX)
            }
            Self::None | Self::Until(_) => None,
        }
    }

    /// Whether what the node calls over may go on.
    pub fn is_recent(&self, now: Instant) -> bool {
        match self {
            Self::None => false,
            Self::Since(_) => true,
            Self::Until(until) => now.saturating_duration_since(*until) < PUBLISHER_WITHIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_waited_for_as_long_as_is_said_from_when_it_went_away() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut absence = Absence::default();
        assert_eq!(absence.too_long(at(1_000)), None);
        absence.missed(at(1_000));
        absence.missed(at(1_119));
        assert_eq!(absence.too_long(at(1_119)), None);
        assert_eq!(absence.too_long(at(1_120)), Some(AWAY_MAX));
        absence.answered(at(1_120));
        absence.missed(at(1_121));
        assert_eq!(absence.too_long(at(1_240)), None);
    }

    #[test]
    fn a_stream_that_is_over_goes_on_only_if_its_node_was_away_a_moment_ago() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut absence = Absence::default();
        absence.answered(at(0));
        assert!(!absence.is_recent(at(0)));
        absence.missed(at(10));
        absence.answered(at(20));
        assert!(absence.is_recent(at(49)) && !absence.is_recent(at(50)));
    }
}
