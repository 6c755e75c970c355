//! A Debian package of the executable: with its desktop entry, which also takes `tickcast:` links, and its icons.

mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build;
use crate::command::{Outcome, Result, cargo, output, root, run, say, target_dir};

const ICONS: [u32; 4] = [32, 128, 256, 512];
/// What the dynamic linker does not name: a GPU's driver, and what opens links.
const RECOMMENDED: &str = "desktop-file-utils, mesa-vulkan-drivers, xdg-utils";

const DESKTOP_ENTRY: &str = "\
[Desktop Entry]
Type=Application
Name=Tickcast
GenericName=Live streaming studio
Comment=Broadcast, watch, and pay by the second
Exec=tickcast open %u
Icon=org.tickcast.desk
Terminal=false
Categories=AudioVideo;Video;
Keywords=stream;broadcast;live;record;watch;
MimeType=x-scheme-handler/tickcast;
StartupNotify=true
";

/// Builds it and says where it lies. `--debug`: of the development build, which takes a fraction of the time and is no
/// gift to anybody else. `--try`: installs and removes it in a fresh root.
pub fn bundle(args: &[String]) -> Result {
    let (mut is_debug, mut is_tried) = (false, false);
    for arg in args {
        match arg.as_str() {
            "--debug" => is_debug = true,
            "--try" => is_tried = true,
            other => {
                return Err(Outcome::refused(format!("bundle takes --debug and --try, not \"{other}\"")));
            }
        }
    }
    build::pages()?;
    say("bundle: the executable");
    // As the tests build it: what they have built is not built again.
    let (profile, how) = if is_debug { ("debug", "--workspace") } else { ("release", "--release") };
    run(cargo().args(["build", "--bin", "tickcast", how]))?;
    let (version, architecture) = (version()?, architecture()?);
    let folder = target_dir().join("bundle");
    let staging = folder.join("deb");
    clear(&staging)?;
    lay_out(&staging, &target_dir().join(profile).join("tickcast"))?;
    let control = control(&staging, &version, &architecture)?;
    write(&staging.join("DEBIAN/control"), &control)?;
    let package = folder.join(format!("tickcast_{version}_{architecture}.deb"));
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zxz", "--build"]).args([&staging, &package]))?;
    say(&format!("bundle: {}", package.display()));
    if is_tried { trial::try_in_a_fresh_root(&package, &folder.join("root")) } else { Ok(()) }
}

fn lay_out(staging: &Path, executable: &Path) -> Result {
    let usr = staging.join("usr");
    let installed = usr.join("bin/tickcast");
    copy(executable, &installed)?;
    run(Command::new("strip").arg(&installed))?;
    write(&usr.join("share/applications/org.tickcast.desk.desktop"), DESKTOP_ENTRY)?;
    for size in ICONS {
        let icon = format!("share/icons/hicolor/{size}x{size}/apps/org.tickcast.desk.png");
        copy(&root().join(format!("assets/icons/{size}.png")), &usr.join(icon))?;
    }
    let scalable = usr.join("share/icons/hicolor/scalable/apps/org.tickcast.desk.svg");
    copy(&root().join("assets/icons/tickcast.svg"), &scalable)?;
    let documents = usr.join("share/doc/tickcast");
    copy(&root().join("assets/tickcast.toml"), &documents.join("tickcast.toml"))?;
    let (mit, apache) = (read(&root().join("LICENSE-MIT"))?, "/usr/share/common-licenses/Apache-2.0");
    let copyright = format!("Tickcast, under MIT or Apache-2.0 ({apache}), at your choice.\n\n{mit}");
    write(&documents.join("copyright"), &copyright)
}

fn control(staging: &Path, version: &str, architecture: &str) -> std::result::Result<String, Outcome> {
    let depends = libraries(staging)?;
    let kilobytes = size(&staging.join("usr")).div_ceil(1024);
    Ok(format!(
        "Package: tickcast\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: Tickcast\nSection: video\n\
         Priority: optional\nInstalled-Size: {kilobytes}\nDepends: {depends}\nRecommends: {RECOMMENDED}\n\
         Description: studio, node and viewer for live streams\n \
         Composes camera, screen and a simulation, broadcasts them over WebRTC and RTMP,\n \
         serves them to viewers, and is paid by the second for what was delivered.\n"
    ))
}

/// The packages of the libraries that the executable is linked to, as the system names them.
fn libraries(staging: &Path) -> std::result::Result<String, Outcome> {
    // It reads the source package's description, of which it needs the name alone.
    let source = staging.with_file_name("source");
    clear(&source)?;
    write(&source.join("debian/control"), "Source: tickcast\n\nPackage: tickcast\nArchitecture: any\n")?;
    let mut asked = Command::new("dpkg-shlibdeps");
    asked.current_dir(&source).args(["-O", "--ignore-missing-info"]).arg(staging.join("usr/bin/tickcast"));
    let told = output(&mut asked).ok_or_else(|| {
        Outcome::failed("dpkg-shlibdeps does not name the libraries' packages: is dpkg-dev installed?")
    })?;
    let depends = told.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(ToOwned::to_owned).ok_or_else(|| Outcome::failed("dpkg-shlibdeps named no libraries"))
}

fn version() -> std::result::Result<String, Outcome> {
    let manifest = read(&root().join("Cargo.toml"))?;
    let stated = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    stated.map(ToOwned::to_owned).ok_or_else(|| Outcome::failed("Cargo.toml states no version"))
}

fn architecture() -> std::result::Result<String, Outcome> {
    let told = output(Command::new("dpkg").arg("--print-architecture"));
    let told =
        told.ok_or_else(|| Outcome::failed("dpkg is not here: packages are made on Debian and its kin"))?;
    Ok(told.trim().to_owned())
}

/// In bytes.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn failed(what: &Path, err: &std::io::Error) -> Outcome {
    Outcome::failed(format!("{}: {err}", what.display()))
}

fn clear(folder: &Path) -> Result {
    match fs::remove_dir_all(folder) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => Err(failed(folder, &err)),
        _ => Ok(()),
    }
}

fn read(file: &Path) -> std::result::Result<String, Outcome> {
    fs::read_to_string(file).map_err(|err| failed(file, &err))
}

fn within(file: &Path) -> std::result::Result<PathBuf, Outcome> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).map_err(|err| failed(folder, &err))?;
    Ok(file.to_owned())
}

fn write(file: &Path, text: &str) -> Result {
    fs::write(within(file)?, text).map_err(|err| failed(file, &err))
}

fn copy(from: &Path, to: &Path) -> Result {
    fs::copy(from, within(to)?).map(drop).map_err(|err| failed(from, &err))
}
