//! The package in a system that has nothing but what Debian installs: put in, started, asked what opens a link, taken
//! out again.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{Outcome, Result, output, run, say, succeeds};

/// What answers who opens a link, and what a desktop validates entries with. A desktop has both.
const DESKTOP: &str = "desktop-file-utils,xdg-utils,shared-mime-info";
const ENTRY: &str = "/usr/share/applications/org.tickcast.desk.desktop";
const STARTED: Duration = Duration::from_secs(60);

/// A system's root, and what runs in it.
struct Root {
    folder: PathBuf,
}

/// Ends what it started.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Installs the package in a root made for it, and removes both again.
pub fn try_in_a_fresh_root(package: &Path, folder: &Path) -> Result {
    let root = Root::make(folder)?;
    let tried = root.try_package(package);
    // It belongs to nobody but this command.
    fs::remove_dir_all(folder).map_err(|err| super::failed(folder, &err))?;
    tried
}

impl Root {
    fn make(folder: &Path) -> std::result::Result<Self, Outcome> {
        if !succeeds(Command::new("mmdebstrap").arg("--version")) {
            return Err(Outcome::refused("mmdebstrap is not here: apt-get install mmdebstrap"));
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let suite = suite.ok_or_else(|| Outcome::refused("this system does not say which Debian it is"))?;
        super::clear(folder)?;
        say(&format!("bundle: a fresh root of {suite}"));
        let include = format!("--include={DESKTOP}");
        let mut made = Command::new("mmdebstrap");
        run(made.args(["--variant=apt", "--quiet", &include, suite]).arg(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// With processes of its own, which end with the command.
    fn command(&self, words: &[&str]) -> Command {
        let proc = format!("--mount-proc={}", self.folder.join("proc").display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", &proc, "chroot"]).arg(&self.folder);
        command.args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]);
        command.args(["DEBIAN_FRONTEND=noninteractive"]).args(words);
        command
    }

    fn ask(&self, words: &[&str]) -> std::result::Result<String, Outcome> {
        let told = output(&mut self.command(words));
        told.ok_or_else(|| Outcome::failed(format!("`{}` failed in the fresh root", words.join(" "))))
    }

    fn try_package(&self, package: &Path) -> Result {
        fs::copy(package, self.folder.join("tmp/tickcast.deb"))
            .map_err(|err| super::failed(package, &err))?;
        say("bundle: installing it, with what it depends on");
        run(&mut self.command(&["apt-get", "update", "-qq"]))?;
        let quiet = ["-y", "-qq", "--no-install-recommends"];
        let install = ["apt-get", "install"].iter().chain(&quiet).copied().chain(["/tmp/tickcast.deb"]);
        run(self.command(&install.collect::<Vec<_>>()).stdout(Stdio::null()))?;
        let owned = self.ask(&["dpkg", "-L", "tickcast"])?;
        say(&format!("bundle: it is {}", self.ask(&["tickcast", "--version"])?.trim()));
        run(&mut self.command(&["desktop-file-validate", ENTRY]))?;
        self.links_are_opened()?;
        self.a_node_answers()?;
        self.a_window_opens()?;
        say("bundle: removing it");
        run(self.command(&["apt-get", "purge", "-y", "-qq", "tickcast"]).stdout(Stdio::null()))?;
        self.nothing_is_left(&owned)
    }

    fn links_are_opened(&self) -> Result {
        let told = self.ask(&["xdg-mime", "query", "default", "x-scheme-handler/tickcast"])?;
        if told.trim() != "org.tickcast.desk.desktop" {
            return Err(Outcome::failed(format!("links are opened by \"{}\"", told.trim())));
        }
        say("bundle: it opens tickcast: links");
        Ok(())
    }

    fn a_node_answers(&self) -> Result {
        let [http, hls, rtmp, media] = free_ports()?;
        let settings = format!(
            "data_dir = \"/root/node\"\nhttp = \"{http}\"\nhls = \"{hls}\"\nrtmp = \"{rtmp}\"\nmedia = \"{media}\"\n"
        );
        super::write(&self.folder.join("root/node.toml"), &settings)?;
        let mut node = self.command(&["tickcast", "node", "--config", "/root/node.toml"]);
        let started = node.stdin(Stdio::null()).spawn();
        let _running = Running(started.map_err(|err| Outcome::failed(format!("no node: {err}")))?);
        until("its node does not answer", || answers(http))?;
        say("bundle: its node answers");
        Ok(())
    }

    /// On a display of this system: such sockets belong to no folder.
    fn a_window_opens(&self) -> Result {
        let mut display = Command::new("Xvfb");
        display.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]);
        let started = display.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut display = Running(started.map_err(|err| Outcome::failed(format!("no Xvfb: {err}")))?);
        let mut number = String::new();
        if let Some(told) = display.0.stdout.take() {
            // It ends with an empty line where there is no display.
            let _ = BufReader::new(told).read_line(&mut number);
        }
        let display_name = format!(":{}", number.trim());
        let mut desk = self.command(&["env", &format!("DISPLAY={display_name}"), "tickcast"]);
        let started = desk.stdin(Stdio::null()).spawn();
        let _running = Running(started.map_err(|err| Outcome::failed(format!("no Desk: {err}")))?);
        let has_window = || {
            let windows =
                output(Command::new("xwininfo").args(["-root", "-tree", "-display", &display_name]));
            windows.is_some_and(|windows| windows.contains("\"Tickcast"))
        };
        until("its window does not open", has_window)?;
        say("bundle: its window opens");
        Ok(())
    }

    /// Of the files that were its own; folders may be others', too.
    fn nothing_is_left(&self, owned: &str) -> Result {
        let inside = |path: &str| self.folder.join(path.trim_start_matches('/'));
        let mut left =
            owned.lines().filter(|path| inside(path).symlink_metadata().is_ok_and(|at| !at.is_dir()));
        match left.next() {
            Some(path) => Err(Outcome::failed(format!("{path} is left behind"))),
            None => {
                say("bundle: nothing of it is left");
                Ok(())
            }
        }
    }
}

/// Looks ten times a second, at most for [`STARTED`].
fn until(failure: &str, is_so: impl Fn() -> bool) -> Result {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > STARTED {
            return Err(Outcome::failed(failure));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Nobody listens on them now.
fn free_ports() -> std::result::Result<[SocketAddr; 4], Outcome> {
    let bind =
        || TcpListener::bind("127.0.0.1:0").and_then(|listener| Ok((listener.local_addr()?, listener)));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(bind().map_err(|err| Outcome::failed(format!("no free port: {err}")))?);
    }
    Ok(std::array::from_fn(|at| held[at].0))
}

fn answers(at: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
        let mut told = String::new();
        stream.read_to_string(&mut told)?;
        Ok(told)
    };
    ask().is_ok_and(|told| told.starts_with("HTTP/1.1 200"))
}
