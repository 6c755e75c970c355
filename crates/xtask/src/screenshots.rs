//! Pictures of the native windows, each opened on a display without a screen and used as a person would.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::command::{Outcome, Result, run, say};

type Made<T> = std::result::Result<T, Outcome>;

/// A start on a busy machine with two cores.
const LIMIT: Duration = Duration::from_secs(60);
/// From a change to a picture worth keeping: figures are taken over two seconds, particles need some to form.
const SETTLE: Duration = Duration::from_secs(8);

/// A running program, ended by its own process id when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Made<Running> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.stdin(Stdio::null()).spawn();
    child.map(Running).map_err(|err| Outcome::failed(format!("{program} cannot be started: {err}")))
}

/// The lines of its standard output, as they come.
fn lines(running: &mut Running) -> Receiver<String> {
    let (tell, told) = channel();
    if let Some(output) = running.0.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
    }
    told
}

fn wait_for(lines: &Receiver<String>, wanted: &str) -> Result {
    loop {
        match lines.recv_timeout(LIMIT) {
            Ok(line) if line == wanted => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(Outcome::failed(format!("the Stage did not say \"{wanted}\""))),
        }
    }
}

struct Display {
    _server: Running,
    name: String,
}

impl Display {
    fn start(size: &str) -> Made<Self> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-noreset", "-nolisten", "tcp", "-screen", "0"]);
        command.arg(format!("{size}x24")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = start(&mut command)?;
        let number = lines(&mut server).recv_timeout(LIMIT);
        let number = number.map_err(|_| Outcome::failed("Xvfb did not start"))?;
        Ok(Self { _server: server, name: format!(":{number}") })
    }

    /// A program that shows itself here.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.name).env("WAYLAND_DISPLAY", "").env("XDG_SESSION_TYPE", "x11");
        command
    }

    fn keep(&self, path: &Path) -> Result {
        std::thread::sleep(SETTLE);
        say(&format!("screenshots: {}", path.display()));
        run(self.command("import").args(["-window", "root"]).arg(path))
    }
}

/// What a Stage is opened with.
struct Look<'a> {
    theme: &'a str,
    /// Of the display, in pixels.
    size: &'a str,
    scale: &'a str,
}

/// All pictures of the Stage, into `folder`; `data` is for what the broadcasts leave behind.
pub fn stage(tickcast: &Path, data: &Path, folder: &Path) -> Result {
    let dark = Look { theme: "dark", size: "1280x800", scale: "1" };
    let light = Look { theme: "light", ..dark };
    let large = Look { size: "2560x1600", scale: "2", ..dark };
    broadcast(tickcast, data, folder, &dark, &["preview", "live", "error"], "dark")?;
    broadcast(tickcast, data, folder, &light, &["preview", "live", "error"], "light")?;
    broadcast(tickcast, data, folder, &large, &["live"], "dark-200")
}

/// One broadcast to a server of FFmpeg's, which is ended for the picture of an error.
fn broadcast(
    tickcast: &Path,
    data: &Path,
    folder: &Path,
    look: &Look<'_>,
    shots: &[&str],
    ending: &str,
) -> Result {
    let failed = |err: std::io::Error| Outcome::failed(format!("{}: {err}", data.display()));
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(failed)?.port();
    let file = data.join("evening-show.toml");
    let written = std::fs::File::create(&file).and_then(|mut file| write!(file, "{}", scene(port, data)));
    written.map_err(failed)?;
    let display = Display::start(look.size)?;
    let mut peer = Command::new("ffmpeg");
    peer.args(["-v", "quiet", "-listen", "1", "-i"]).arg(format!("rtmp://127.0.0.1:{port}/live/key"));
    let peer = start(peer.args(["-f", "null", "-"]))?;
    let mut command = display.command(tickcast);
    command.args(["stage", "--loopback", "--theme", look.theme, "--scale", look.scale, "--size", "1280x800"]);
    let mut stage = start(command.arg(&file).stdout(Stdio::piped()))?;
    let told = lines(&mut stage);
    wait_for(&told, "ready")?;
    let shot = |name: &str| folder.join(format!("stage-{name}-{ending}.png"));
    if shots.contains(&"preview") {
        display.keep(&shot("preview"))?;
    }
    run(display
        .command("xdotool")
        .args(["search", "--sync", "--onlyvisible", "--name", "Tickcast"])
        .args(["windowfocus", "--sync", "key", "ctrl+l"]))?;
    wait_for(&told, "broadcast live")?;
    if shots.contains(&"live") {
        display.keep(&shot("live"))?;
    }
    drop(peer);
    if shots.contains(&"error") {
        display.keep(&shot("error"))?;
    }
    Ok(())
}

/// A broadcast with something in every panel, names of any length among it.
fn scene(port: u16, data: &Path) -> String {
    format!(
        r#"version = 1
sources = [
    {{ kind = "synthetic", name = "Camera at the window, left of the piano" }},
    {{ kind = "simulation", name = "Particles", preset = "galaxy", count = 500000, seed = 20261 }},
    {{ kind = "clock", name = "Clock" }},
]
sounds = [
    {{ kind = "synthetic", name = "Voice", gain_db = -6.0 }},
    {{ kind = "synthetic", name = "Grand piano, stereo pair", gain_db = -12.0, muted = true }},
]
layers = [
    {{ source = "Camera at the window, left of the piano", fit = "cover", opacity = 0.4 }},
    {{ source = "Particles", blend = "add" }},
    {{ source = "Clock" }},
]
outputs = [{{ kind = "rtmp", url = "rtmp://127.0.0.1:{port}/live/key" }}]
recording = {{ path = {:?} }}
"#,
        data.join("evening show.mp4")
    )
}
