//! The child that captures.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// For anything that a test waits for; far beyond what it takes.
const LIMIT: Duration = Duration::from_secs(30);

pub struct Grab {
    child: Child,
    lines: Receiver<Value>,
}

impl Grab {
    /// Runs `examples/grab` with `arguments`, seeing the devices in `environment`.
    pub fn start<const N: usize>(arguments: &[&str], environment: [(OsString, OsString); N]) -> Self {
        // Beside this test's own binary, in the folder above: cargo builds both.
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test.ancestors().nth(2).expect("it lies in TARGET/debug/deps");
        let program = folder.join("examples").join(format!("grab{}", std::env::consts::EXE_SUFFIX));
        let mut child = Command::new(&program)
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} is built with the tests: {error}", program.display()));
        let out = child.stdout.take().expect("the output is piped");
        // A test that looks away for long leaves the child waiting, not us growing.
        let (sender, lines) = sync_channel(10_000);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line for which `pick` gives something.
    pub fn next<T>(&mut self, what: &str, mut pick: impl FnMut(&Value) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        let mut last = Value::Null;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some(value) = pick(&line) {
                        return value;
                    }
                    last = line;
                }
                Err(RecvTimeoutError::Timeout) => panic!("{what} did not come; the last line was {last}"),
                Err(RecvTimeoutError::Disconnected) => panic!("grab ended before {what}; it said {last}"),
            }
        }
    }

    pub fn wait_for_status(&mut self, wanted: &str) -> String {
        self.next(&format!("status {wanted}"), |line| {
            (line["status"] == wanted).then(|| line["message"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// Ends its input and waits until it stopped by itself.
    pub fn finish(mut self) {
        drop(self.child.stdin.take());
        let status = testkit::wait_until("the end of grab", LIMIT, || self.child.try_wait().ok().flatten());
        assert!(status.expect("it ends when its input does").success());
    }
}

impl Drop for Grab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
