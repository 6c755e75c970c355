//! A private X display without a screen.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{OwnedChild, SetupError, wait_until};

/// What a window manager keeps: the windows, from the back to the front (Extended Window Manager Hints).
const STACKING: &str = "_NET_CLIENT_LIST_STACKING";
/// Far beyond what a program takes to show its window.
const SHOWN_WITHIN: Duration = Duration::from_secs(20);

/// A picture of the screen.
#[derive(Clone, Debug)]
pub struct Screenshot {
    width: usize,
    /// Red, green and blue of each pixel, row by row.
    pixels: Vec<u8>,
}

impl Screenshot {
    /// The colours in a rectangle, row by row.
    pub fn part(&self, x: usize, y: usize, width: usize, height: usize) -> Vec<[u8; 3]> {
        let rows = self.pixels.chunks_exact(self.width * 3).skip(y).take(height);
        rows.flat_map(|row| row.as_chunks::<3>().0[x..x + width].iter().copied()).collect()
    }
}

/// The display; ends when dropped, and everything shown on it.
#[derive(Debug)]
pub struct Xvfb {
    _server: OwnedChild,
    display: String,
}

impl Xvfb {
    /// Starts one on a number that nobody uses, and waits until it takes clients.
    pub fn start(width: u32, height: u32) -> Result<Self, SetupError> {
        let mut command = Command::new("Xvfb");
        command
            // It chooses a free number and writes it once it is ready.
            .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{width}x{height}x24"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut server = OwnedChild::spawn(&mut command)?;
        let mut line = String::new();
        let read = server.child().stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        match (read, line.trim().parse::<u32>()) {
            (Some(Ok(_)), Ok(number)) => Ok(Self { _server: server, display: format!(":{number}") }),
            _ => Err(SetupError::Ended { what: "Xvfb".into(), output: line }),
        }
    }

    /// As in `DISPLAY`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// What a process needs in its environment to show itself here.
    pub fn environment(&self) -> [(OsString, OsString); 3] {
        [
            ("DISPLAY".into(), self.display.clone().into()),
            // Else a toolkit would choose the session's Wayland display.
            ("WAYLAND_DISPLAY".into(), "".into()),
            ("XDG_SESSION_TYPE".into(), "x11".into()),
        ]
    }

    /// What is on the screen now.
    pub fn screenshot(&self) -> Result<Screenshot, SetupError> {
        let pixels = self.ask("import", &["-window", "root", "-depth", "8", "rgb:-"])?;
        let sized = self.ask("xdotool", &["getdisplaygeometry"])?;
        let sized = String::from_utf8_lossy(&sized);
        let mut edges = sized.split_whitespace().map_while(|edge| edge.parse::<usize>().ok());
        let width = edges.next().unwrap_or_default();
        match edges.next().unwrap_or_default() * width * 3 {
            bytes if bytes > 0 && bytes == pixels.len() => Ok(Screenshot { width, pixels }),
            _ => {
                Err(SetupError::Ended { what: "import".into(), output: format!("{sized}: {}", pixels.len()) })
            }
        }
    }

    /// The window whose title holds `title`, once there is one; its id.
    pub fn window(&self, title: &str, limit: Duration) -> Result<String, SetupError> {
        wait_until(&format!("a window called \"{title}\""), limit, || {
            let found = self.ask("xdotool", &["search", "--onlyvisible", "--name", title]).ok()?;
            String::from_utf8_lossy(&found).lines().next().map(str::to_owned)
        })
    }

    /// Shows a window of one colour, so large and there, which ends when it is dropped. There is no window manager: what
    /// one says of windows is said in its place.
    pub fn show(
        &self,
        title: &str,
        color: &str,
        (width, height): (u32, u32),
        (x, y): (u32, u32),
    ) -> Result<OwnedChild, SetupError> {
        let geometry = format!("{width}x{height}+{x}+{y}");
        let mut command = Command::new("xmessage");
        command.args(["-buttons", "", "-xrm", "*borderWidth: 0", "-bg", color, "-geometry", &geometry]);
        // By which it is found; what it says, so short that it is nowhere near the middle.
        let mark = format!("{title} {}", self.display);
        command.args(["-xrm", &format!("*title: {mark}"), "."]).envs(self.environment());
        let shown = OwnedChild::spawn(&mut command)?;
        let id = self.window(&mark, SHOWN_WITHIN)?;
        let named = ["-id", &id, "-f", "_NET_WM_NAME", "8u", "-set", "_NET_WM_NAME", title];
        self.ask("xprop", &named)?;
        let known = self.ask("xprop", &["-root", STACKING])?;
        let known = String::from_utf8_lossy(&known).into_owned();
        let known = known.split_once('=').map_or("", |(_, ids)| ids.trim());
        let all = if known.is_empty() { id } else { format!("{known}, {id}") };
        self.ask("xprop", &["-root", "-f", STACKING, "32x", "-set", STACKING, &all])?;
        Ok(shown)
    }

    /// Clicks at a place on the screen, in pixels.
    pub fn click(&self, x: u32, y: u32) -> Result<(), SetupError> {
        let (x, y) = (x.to_string(), y.to_string());
        self.ask("xdotool", &["mousemove", &x, &y, "click", "1"]).map(drop)
    }

    /// Presses keys in a window, each as xdotool names them: `ctrl+l`. Without a window manager nobody else
    /// gives it the focus.
    pub fn keys(&self, window: &str, keys: &[&str]) -> Result<(), SetupError> {
        self.ask("xdotool", &["windowfocus", "--sync", window])?;
        let mut words = vec!["key", "--delay", "60"];
        words.extend(keys);
        self.ask("xdotool", &words).map(drop)
    }

    /// Types a text in a window.
    pub fn types(&self, window: &str, text: &str) -> Result<(), SetupError> {
        self.ask("xdotool", &["windowfocus", "--sync", window])?;
        self.ask("xdotool", &["type", "--delay", "60", text]).map(drop)
    }

    /// Runs a program on this display and takes its output.
    fn ask(&self, program: &str, words: &[&str]) -> Result<Vec<u8>, SetupError> {
        let failed = |source| SetupError::Program { program: program.to_owned(), source };
        let asked = Command::new(program).args(words).envs(self.environment()).stdin(Stdio::null()).output();
        let asked = asked.map_err(failed)?;
        match asked.status.success() {
            true => Ok(asked.stdout),
            false => Err(SetupError::Ended {
                what: program.to_owned(),
                output: String::from_utf8_lossy(&asked.stderr).into_owned(),
            }),
        }
    }

    /// Fills the screen with a colour, `#rrggbb`.
    pub fn fill(&self, color: &str) -> Result<(), SetupError> {
        let failed = |source| SetupError::Program { program: "xsetroot".into(), source };
        let status = Command::new("xsetroot")
            .args(["-solid", color])
            .envs(self.environment())
            .status()
            .map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        Err(SetupError::Ended { what: "xsetroot".into(), output: status.to_string() })
    }
}
