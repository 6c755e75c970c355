//! What the commands do, once the machine has what they need.

use std::process::Command;

use crate::build;
use crate::command::{Outcome, Result, cargo, output, replace, root, run, say, succeeds, target_dir};
use crate::setup;
use crate::solochain;

pub fn demo(args: &[String]) -> Result {
    setup::install(false)?;
    let tickcast = build::tickcast()?;
    replace(Command::new(tickcast).arg("demo").args(args))
}

pub fn run_tickcast(args: &[String]) -> Result {
    setup::install(false)?;
    let tickcast = build::tickcast()?;
    replace(Command::new(tickcast).args(args))
}

/// Checks and tests, in the order in which they are likely to fail.
pub fn test(filter: &[String]) -> Result {
    setup::install(true)?;
    say("test: formatting");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    build::pages()?;
    say("test: the pages");
    run(build::npm(&root().join("ui")).args(["run", "--silent", "test"]))?;
    say("test: what is published for payment and of keys, by another implementation");
    for vectors in ["crates/pay/vectors/verify", "crates/wallet/vectors/verify"] {
        let vectors = root().join(vectors);
        build::packages(&vectors)?;
        run(build::npm(&vectors).args(["run", "--silent", "test"]))?;
    }
    say("test: lints");
    let everything = ["--workspace", "--all-targets", "--features", "tickcast-node/load"];
    run(cargo().arg("clippy").args(everything).args(["--quiet", "--", "-D", "warnings"]))?;
    say("test: the executable");
    run(cargo().args(["build", "--workspace", "--bins", "--examples"]))?;
    nextest()?;
    say("test: everything else");
    let mut tests = cargo();
    tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(filter);
    // The same cases each time: what fails, this change broke. Others are drawn by `soak` and by the fuzz targets.
    run(tests.env("PROPTEST_RNG_SEED", "1"))
}

fn nextest() -> Result {
    if succeeds(cargo().args(["nextest", "--version"])) {
        return Ok(());
    }
    say("setup: cargo-nextest, compiled once");
    run(cargo().args(["install", "cargo-nextest", "--locked"]))
}

/// The same tests in their long and many-fold forms.
pub fn soak() -> Result {
    setup::install(true)?;
    build::tickcast()?;
    nextest()?;
    say("soak: the fuzz targets, compiled");
    run(cargo().args(["check", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--bins"]))?;
    let mut tests = cargo();
    tests.args(["nextest", "run", "--workspace", "--profile", "soak"]);
    // Each property is tried on sixteen times as many cases as usual.
    run(tests.env("TICKCAST_SOAK", "1").env("PROPTEST_CASES", "4096"))?;
    solochain::test()
}

pub fn fuzz(args: &[String]) -> Result {
    let seconds = args.first().map_or("600", String::as_str);
    if seconds.parse::<u32>().is_err() {
        return Err(Outcome::refused(format!("\"{seconds}\" is not a number of seconds")));
    }
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        say("setup: cargo-fuzz, compiled once");
        run(cargo().args(["install", "cargo-fuzz", "--locked"]))?;
    }
    let list = output(cargo().env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "list"]))
        .ok_or_else(|| Outcome::failed("the fuzz targets could not be listed"))?;
    let found = target_dir().join("fuzz");
    let mut failed = Vec::new();
    for target in list.split_whitespace() {
        say(&format!("fuzz: {target} for {seconds} s"));
        // What it finds goes beside the seeds' folder, not into it: those are kept small and committed.
        let corpus = found.join(target);
        std::fs::create_dir_all(&corpus)
            .map_err(|err| Outcome::failed(format!("{}: {err}", corpus.display())))?;
        let mut fuzz = cargo();
        fuzz.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", "run", target]).arg(&corpus);
        fuzz.arg(root().join("fuzz/corpus").join(target));
        fuzz.args(["--", "-rss_limit_mb=1024", "-timeout=10"]).arg(format!("-max_total_time={seconds}"));
        if let Err(outcome) = run(&mut fuzz) {
            failed.push(target);
            let _ = outcome.report();
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Outcome::failed(format!("fuzz: {} failed; the inputs are in fuzz/artifacts", failed.join(", "))))
}

/// Tests that look at windows and pages on their way, and keep what they saw.
const PICTURED: [&str; 7] = [
    "the_window_is",
    "first_run",
    "what_was_recorded_is_listed",
    "a_stream_gets_a_new_key",
    "a_stage_that_is_killed",
    "chromium_plays_the_watch_page_by_webrtc",
    "a_page_pays_for_each_second_that_it_showed_from_a_deposit",
];

/// The programme as it was broadcast, taken out of the demo's recording; and the windows, by the tests that open
/// them and look whether they show what they should.
pub fn screenshots() -> Result {
    setup::install(true)?;
    let tickcast = build::tickcast()?;
    let data = target_dir().join("screenshots");
    let failed = |err: std::io::Error| Outcome::failed(format!("{}: {err}", data.display()));
    // Recordings of an earlier time would keep their names.
    match std::fs::remove_dir_all(&data) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(failed(err)),
        _ => std::fs::create_dir_all(&data).map_err(failed)?,
    }
    run(Command::new(&tickcast).args(["demo", "--free", "--seconds", "14", "--data"]).arg(&data))?;
    let folder = root().join("assets/screenshots");
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-ss", "12.5", "-i"]).arg(data.join("recording.mp4"));
    run(ffmpeg.args(["-frames:v", "1"]).arg(folder.join("programme.png")))?;
    crate::screenshots::stage(&tickcast, &data, &folder)?;
    let mut windows = cargo();
    windows.args(["test", "--quiet", "--workspace", "--test", "peers"]);
    windows.args(["--", "--test-threads", "1"]).args(PICTURED).env("TICKCAST_SHOTS", &folder);
    run(&mut windows)
}
