//! Installs what the build, the demo and the tests need: Debian's packages, the web pages' packages.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::process::Command;

use crate::command::{Outcome, Result, output, run, say, succeeds};

/// What compiling and the demo need.
const BUILD: &[&str] = &[
    "build-essential",
    "pkg-config",
    "clang",
    "libclang-dev",
    "cmake",
    "nasm",
    "libavcodec-dev",
    "libavformat-dev",
    "libavutil-dev",
    "libavfilter-dev",
    "libswscale-dev",
    "libswresample-dev",
    "libavdevice-dev",
    "libasound2-dev",
    "libpulse-dev",
    "libv4l-dev",
    "libxkbcommon-dev",
    "libxkbcommon-x11-0",
    "libpipewire-0.3-dev",
    "libdbus-1-dev",
    "libgbm-dev",
    "libegl-dev",
    "libxcb-randr0-dev",
    "libxcb-shm0-dev",
    "libwayland-dev",
    "libwebkit2gtk-4.1-dev",
    "libgtk-3-dev",
    "librsvg2-dev",
    "libayatana-appindicator3-dev",
    "libxdo-dev",
    "mesa-vulkan-drivers",
    "xdg-utils",
    "ffmpeg",
];

/// The peers that the tests run against.
const TEST: &[&str] = &[
    "xvfb",
    "xauth",
    "x11-utils",
    "x11-xserver-utils",
    "xdotool",
    "webkit2gtk-driver",
    "dbus-x11",
    "imagemagick",
    "file",
    "chromium",
    "faketime",
    "obs-studio",
    "nginx",
    "libnginx-mod-rtmp",
    "pulseaudio",
    "pulseaudio-utils",
    "iproute2",
    "python3-venv",
];

/// What builds the runtime as WebAssembly.
const SOLOCHAIN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld", "protobuf-compiler"];

/// The oldest Node.js that the pages build with.
const NODE_MAJOR: u32 = 18;

pub fn install(tests: bool) -> Result {
    let mut wanted: Vec<&str> = BUILD.to_vec();
    if tests {
        wanted.extend(TEST);
    }
    if !has_node() {
        wanted.extend(["nodejs", "npm"]);
    }
    packages(&wanted)
}

pub fn install_for_solochain() -> Result {
    packages(SOLOCHAIN)
}

fn has_node() -> bool {
    let version = output(Command::new("node").arg("--version")).unwrap_or_default();
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|m| m.parse::<u32>().ok());
    major.is_some_and(|major| major >= NODE_MAJOR) && succeeds(Command::new("npm").arg("--version"))
}

fn packages(wanted: &[&str]) -> Result {
    let list = wanted.join(" ");
    if !succeeds(Command::new("dpkg-query").arg("--version")) {
        say(&format!(
            "This system is not Debian or one of its kin, so nothing is installed for you. Needed are the \
             equivalents of:\n  {list}"
        ));
        return Ok(());
    }
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let shown = missing.join(" ");
    let root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    if !root && std::env::var_os("CI").is_none() && !agreed(&shown)? {
        return Err(Outcome::refused(format!("these packages are needed: {shown}")));
    }
    say(&format!("setup: installing {} packages: {shown}", missing.len()));
    run_apt(root, &["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(missing);
    run_apt(root, &arguments)
}

fn missing<'a>(wanted: &[&'a str]) -> Vec<&'a str> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Abbrev}${Package}\n"]);
    // It exits with 1 when it does not know one of them, and still lists the others.
    let listed = query.args(wanted).output().map(|o| o.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed);
    let installed: BTreeSet<&str> =
        listed.lines().filter_map(|line| line.strip_prefix("ii ")).map(str::trim).collect();
    wanted.iter().copied().filter(|name| !installed.contains(name)).collect()
}

fn run_apt(root: bool, arguments: &[&str]) -> Result {
    let mut apt = if root { Command::new("apt-get") } else { Command::new("sudo") };
    if !root {
        apt.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
    }
    run(apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
}

fn agreed(packages: &str) -> std::result::Result<bool, Outcome> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    say(&format!("These packages are missing:\n  {packages}\nInstall them with sudo apt-get? [Y/n]"));
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|err| Outcome::failed(err.to_string()))?;
    Ok(matches!(line.trim(), "" | "y" | "Y" | "yes"))
}
