//! A recording's end outlives a power cut, and what a killed process left is found again.

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{LoggedChild, ffmpeg, wait_until};

use crate::broadcasts::{LIMIT, TICKCAST, engine, file};

/// Writes down each `fsync` and `rename` of a process, in order, with the paths that they are for.
const WITNESS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char *what, const char *path) {
    FILE *log = fopen(getenv("WITNESS"), "a");
    fprintf(log, "%s %s\n", what, path);
    fclose(log);
}

int fsync(int fd) {
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 1) < 0)
        strcpy(path, "?");
    note("fsync", path);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int rename(const char *from, const char *to) {
    note("rename", to);
    return ((int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename"))(from, to);
}
"#;

/// Compiles it into `folder`.
fn witness(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("witness.c"), folder.join("witness.so"));
    std::fs::write(&source, WITNESS).expect("the source is written");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).args([&library, &source]).arg("-ldl");
    assert!(compiler.status().expect("cc").success());
    library
}

fn wait_for_bytes(recording: &Path, bytes: u64) {
    wait_until("a recording", LIMIT, || recording.metadata().ok().filter(|file| file.len() > bytes))
        .expect("it grows");
}

#[test]
fn a_finished_recording_is_on_the_disk_before_it_takes_its_place_and_so_is_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (recording, log) = (folder.path().join("recording.mp4"), folder.path().join("witness.log"));
    let text = format!("recording = {{ path = {recording:?} }}");
    let mut command = Command::new(TICKCAST);
    command
        .args(["--log", "info", "engine", "--loopback"])
        .arg(file(folder.path(), &text))
        .env("LD_PRELOAD", witness(folder.path()))
        .env("WITNESS", &log);
    let mut engine = LoggedChild::spawn("the engine", &mut command).expect("the engine starts");
    wait_for_bytes(&recording, 50_000);
    assert!(engine.terminate(LIMIT).expect("the engine ends").success(), "{}", engine.errors());

    let told = engine.wait_for_line("recorded finished ", LIMIT).expect("it says where it recorded");
    assert_eq!(Path::new(&told), recording);
    let noted = std::fs::read_to_string(&log).expect("it was witnessed");
    let (file, folder) = (recording.display(), folder.path().display());
    let expected = [format!("fsync {file}.finalising"), format!("rename {file}"), format!("fsync {folder}")];
    assert_eq!(noted.lines().collect::<Vec<_>>(), expected);
}

/// Whether it is a plain MP4: its movie box announces no fragments.
fn is_plain(path: &Path) -> bool {
    let bytes = std::fs::read(path).expect("it is read");
    !bytes.windows(4).any(|kind| kind == b"moof")
}

fn pictures(path: &Path) -> u64 {
    ffmpeg::packets(&ffmpeg::probe(&[], &path.to_string_lossy()).expect("ffprobe accepts it"), "video")
}

#[test]
fn what_a_killed_process_left_is_made_whole_or_kept_by_the_next_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let text = format!("recording = {{ path = {:?} }}", at("show.mp4"));
    let mut killed = engine(folder.path(), &text);
    wait_for_bytes(&at("show.mp4"), 200_000);
    killed.kill();
    assert!(!is_plain(&at("show.mp4")));
    let recorded = pictures(&at("show.mp4"));
    // As a kill leaves them while a recording is made whole: the half of a copy beside its recording, one whose recording
    // is gone, and one in which nothing plays.
    let (show, copy) = (at("show.mp4"), at("copy.mp4"));
    let arguments = ["-v", "error", "-i"].map(Into::into).into_iter().chain([show.clone().into_os_string()]);
    let rest = ["-c", "copy", "-movflags", "+faststart"].map(Into::into);
    ffmpeg::run(arguments.chain(rest).chain([copy.clone().into_os_string()])).expect("a copy");
    let whole = std::fs::read(&copy).expect("it is read");
    std::fs::remove_file(&copy).expect("it is removed");
    for (name, bytes) in [("show", &whole[..whole.len() / 2]), ("lost", &whole[..]), ("torn", &whole[..100])]
    {
        std::fs::write(at(&format!("{name}.mp4.finalising")), bytes).expect("a leftover");
    }

    let mut next = engine(folder.path(), &text);
    wait_for_bytes(&at("show 2.mp4"), 50_000);
    for told in
        ["show.mp4 was left unfinished", "The recording lost.mp4 is gone", "The recording torn.mp4 is gone"]
    {
        next.said(told).unwrap_or_else(|err| panic!("{told}: {err}"));
    }
    assert!(next.stop().expect("the engine ends").success(), "{}", next.log());
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .expect("the folder is read")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected = ["broadcast.toml", "lost recovered.mp4", "show 2.mp4", "show.mp4", "torn damaged.mp4"]
        .map(str::to_owned);
    assert_eq!(names, expected, "{}", next.log());
    assert!(is_plain(&at("show.mp4")));
    assert_eq!((pictures(&at("show.mp4")), pictures(&at("lost recovered.mp4"))), (recorded, recorded));
    assert_eq!(std::fs::read(at("torn damaged.mp4")).expect("it is read"), &whole[..100]);
}
