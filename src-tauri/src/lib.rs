//! The commands of the executable `tickcast`, one module each.

#[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
pub mod demo;
#[cfg(feature = "desk")]
pub mod desk;
#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod film;
#[cfg(any(feature = "desk", feature = "windows"))]
mod films;
#[cfg(feature = "wallet")]
pub mod link;
pub mod log;
#[cfg(feature = "windows")]
mod look;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "engine")]
mod resources;
#[cfg(feature = "windows")]
pub mod stage;
pub mod stop;
#[cfg(any(feature = "node", feature = "windows"))]
mod supervised;
#[cfg(feature = "engine")]
pub mod transcode;
#[cfg(feature = "wallet")]
pub mod wallet;
#[cfg(all(feature = "engine", feature = "wallet"))]
pub mod watch;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The exit status of a server that found one of its ports taken; 2 is clap's, for arguments, and 3 the demo's.
pub const ADDRESS_TAKEN: u8 = 4;

/// Says what failed, cause by cause.
pub(crate) fn complain(err: &anyhow::Error) {
    // Standard error may be closed; a status still tells.
    let _ = writeln!(std::io::stderr(), "tickcast: {}", in_words(err));
}

/// Says why a command failed, and makes the exit status of it.
pub fn failure(err: &anyhow::Error) -> ExitCode {
    complain(err);
    #[cfg(feature = "node")]
    if err.downcast_ref().is_some_and(::node::NodeError::is_address_taken) {
        return ExitCode::from(ADDRESS_TAKEN);
    }
    ExitCode::FAILURE
}

/// An error with its causes, each said once: some say their cause already.
pub(crate) fn in_words(err: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in err.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        match words.as_str() {
            "" => words = cause,
            said if said.ends_with(&cause) => {}
            _ => words = format!("{words}: {cause}"),
        }
    }
    words
}

/// Prints a line for a person. A closed pipe on the other side is no failure of ours.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// A length of time as arguments give it, in seconds and more than none.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| !length.is_zero())
        .ok_or_else(|| "it is more than none, and less than for ever".to_owned())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_length_of_time_is_more_than_none() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for wrong in ["0", "-1", "inf", "NaN", "1e300", "soon", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_says_each_cause_once() {
        let cause = std::io::Error::other("the cable is out");
        let told = anyhow::anyhow!("no connection: {cause}");
        assert_eq!(in_words(&told.context("the node")), "the node: no connection: the cable is out");
        let wrapped: anyhow::Result<()> = Err(cause).context("no connection: the cable is out");
        assert_eq!(in_words(&wrapped.unwrap_err()), "no connection: the cable is out");
    }
}
