//! Windows that watch: processes of their own, which a person closes and which outlive the Desk as a browser would.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::process::Command;
use tokio::sync::Semaphore;

use super::child_log::next_line;

/// Windows at once; more of them is a mistake.
const WINDOWS_MAX: usize = 8;
/// One that cannot play what it was given has said so by then.
const FAILURE_LIMIT: Duration = Duration::from_secs(3);
/// The address of a stream is no longer than this.
const ADDRESS_MAX: usize = 2_048;

#[derive(Debug)]
pub struct Viewers {
    program: PathBuf,
    places: Arc<Semaphore>,
}

impl Viewers {
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), places: Arc::new(Semaphore::new(WINDOWS_MAX)) }
    }

    /// Opens a window on a stream, by the address that a person has of it.
    pub async fn open(&self, address: &str) -> Result<(), String> {
        let address = address.trim();
        let is_address =
            ["http://", "https://", "tickcast:"].iter().any(|scheme| address.starts_with(scheme));
        if !is_address || address.len() > ADDRESS_MAX {
            return Err("That is no address of a stream. One looks like http://HOST:8080/watch/ID.".into());
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(format!("{WINDOWS_MAX} windows are open already. Close one first."));
        };
        let mut command = Command::new(&self.program);
        command.args(["watch", "--", address]).stdin(Stdio::null()).stdout(Stdio::null());
        let spawned = command.stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|err| format!("The viewer could not be started: {err}."))?;
        let (tell, told) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let mut why = None;
            if let Some(said) = child.stderr.take() {
                let mut said = BufReader::new(said);
                // Read to its end, lest it waits for a reader.
                while let Ok(Some(line)) = next_line(&mut said).await {
                    why = why.or_else(|| line.strip_prefix("tickcast: ").map(str::to_owned));
                }
            }
            let status = child.wait().await;
            drop(place);
            let failed = !status.is_ok_and(|status| status.success());
            // Whoever asked has seen its window meanwhile.
            let _ = tell.send(failed.then(|| why.unwrap_or_else(|| "it ended at once".into())));
        });
        match tokio::time::timeout(FAILURE_LIMIT, told).await {
            Ok(Ok(Some(why))) => Err(format!("It cannot be watched: {}.", why.trim_end_matches('.'))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_address_is_refused_before_anything_is_started() {
        let viewers = Viewers::new(Path::new("/nowhere"));
        for text in ["", "--help", "file:///etc/passwd", "watch me"] {
            assert!(viewers.open(text).await.unwrap_err().contains("no address"), "{text}");
        }
        assert!(viewers.open("http://h/watch/x").await.unwrap_err().contains("could not be started"));
    }

    #[tokio::test]
    async fn one_that_ends_at_once_is_told_of() {
        // It knows no option of ours.
        let viewers = Viewers::new(Path::new("false"));
        let refused = viewers.open("http://h/watch/x").await;
        assert_eq!(refused.unwrap_err(), "It cannot be watched: it ended at once.");
    }
}
