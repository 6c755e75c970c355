//! A child process whose output is kept, so that a test can wait for a line and a failure can show the rest.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::process::{OwnedChild, SetupError, wait_until};

/// Lines kept of each stream; older ones go.
const LINES_MAX: usize = 400;

/// The lines of one stream so far.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// Reads `stream` to its end in a thread of its own, which ends with the child.
    fn follow(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let kept = lines.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let mut kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LINES_MAX {
                    kept.remove(0);
                }
                kept.push(String::from_utf8_lossy(&line).trim_end().to_owned());
                line.clear();
            }
        });
        lines
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running child with its standard output and error; killed when dropped.
#[derive(Debug)]
pub struct LoggedChild {
    what: String,
    child: OwnedChild,
    out: Lines,
    err: Lines,
}

impl LoggedChild {
    /// Starts `command`; `what` names it in errors.
    pub fn spawn(what: &str, command: &mut Command) -> Result<Self, SetupError> {
        let mut child = OwnedChild::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let out = child.child().stdout.take().map(Lines::follow).unwrap_or_default();
        let err = child.child().stderr.take().map(Lines::follow).unwrap_or_default();
        Ok(Self { what: what.to_owned(), child, out, err })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.has_ended()
    }

    /// Standard output so far, line by line.
    pub fn output(&self) -> Vec<String> {
        self.out.all()
    }

    /// Standard error so far, as one text.
    pub fn errors(&self) -> String {
        self.err.all().join("\n")
    }

    /// Waits for a line of standard output that begins with `prefix`, and gives the rest of it.
    pub fn wait_for_line(&mut self, prefix: &str, limit: Duration) -> Result<String, SetupError> {
        let found = wait_until(&format!("\"{prefix}\" of {}", self.what), limit, || {
            // Asked before the lines are read: what it wrote last must still be found.
            let ended = self.child.has_ended();
            let mut lines = self.out.all().into_iter();
            let line = lines.find_map(|line| line.strip_prefix(prefix).map(|rest| rest.trim().to_owned()));
            match (line, ended) {
                (Some(line), _) => Some(Ok(line)),
                (None, true) => {
                    Some(Err(SetupError::Ended { what: self.what.clone(), output: self.errors() }))
                }
                (None, false) => None,
            }
        });
        found.map_err(|err| self.with_errors(err))?
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, SetupError> {
        let ended = wait_until(&format!("the end of {}", self.what), limit, || {
            self.child.child().try_wait().ok().flatten()
        });
        ended.map_err(|err| self.with_errors(err))
    }

    /// Asks it to end (TERM) and waits until it has.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus, SetupError> {
        self.signal("TERM")?;
        self.wait(limit)
    }

    /// Ends it at once (KILL), as a crash does.
    pub fn kill(&mut self) {
        let child = self.child.child();
        // Both fail only for a child that ended already.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Stops it where it is (STOP), as a machine does that is asleep, until [`LoggedChild::thaw`].
    pub fn freeze(&self) -> Result<(), SetupError> {
        self.signal("STOP")
    }

    pub fn thaw(&self) -> Result<(), SetupError> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<(), SetupError> {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        let status = status.map_err(|source| SetupError::Program { program: "kill".into(), source })?;
        match status.success() {
            true => Ok(()),
            false => Err(SetupError::Ended { what: self.what.clone(), output: self.errors() }),
        }
    }

    /// A lateness is told with what the child said meanwhile.
    fn with_errors(&self, err: SetupError) -> SetupError {
        match err {
            SetupError::Late { what, seconds } => {
                let said = [self.output().join("\n"), self.errors()].join("\n");
                SetupError::Late { what: format!("{what} (it said: {})", said.trim()), seconds }
            }
            other => other,
        }
    }
}
