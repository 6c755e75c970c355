//! Benches: examples in release builds that print figures, with a peer measured in the same run where there is
//! one; a table of all of them, and each as JSON.

mod row;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{Outcome, Result, cargo, run, say, succeeds, target_dir};
use crate::setup;
use row::Row;

/// Each bench is an example of a package.
struct Bench {
    name: &'static str,
    package: &'static str,
    example: &'static str,
    features: &'static [&'static str],
}

const BENCHES: &[Bench] = &[
    Bench { name: "ladder", package: "tickcast-codec", example: "ladder", features: &[] },
    Bench { name: "sim", package: "tickcast-sim", example: "steps", features: &[] },
    Bench { name: "compose", package: "tickcast-compose", example: "stages", features: &[] },
    Bench { name: "rtmp", package: "tickcast-rtmp", example: "messages", features: &[] },
    Bench { name: "pay", package: "tickcast-pay", example: "vouchers", features: &[] },
    Bench { name: "settle", package: "tickcast-runtime", example: "settle_weight", features: &[] },
    Bench { name: "node", package: "tickcast-node", example: "paying", features: &["--features", "load"] },
    Bench { name: "sfu", package: "tickcast-sfu", example: "viewers", features: &[] },
];

/// The peer of `sim`, from PyPI.
const PEERS: &[&str] = &["taichi==1.7.4", "numpy<3"];
/// Tells a bench where a Python that has [`PEERS`] lies.
const PYTHON: &str = "TICKCAST_BENCH_PYTHON";

pub fn bench(names: &[String]) -> Result {
    if let Some(unknown) = names.iter().find(|name| !BENCHES.iter().any(|bench| bench.name == *name)) {
        let known: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        let known = known.join(", ");
        return Err(Outcome::refused(format!("there is no bench \"{unknown}\"; there are {known}")));
    }
    setup::install(true)?;
    let folder = target_dir().join("bench");
    let failed = |err: std::io::Error| Outcome::failed(format!("{}: {err}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut table = vec![heading()];
    for bench in BENCHES.iter().filter(|bench| names.is_empty() || names.iter().any(|n| n == bench.name)) {
        say(&format!("bench: {}", bench.name));
        let python = if bench.name == "sim" { python(&folder) } else { None };
        let rows = measure(bench, python.as_deref())?;
        let json: Vec<_> = rows.iter().map(Row::to_json).collect();
        let file = folder.join(format!("{}.json", bench.name));
        std::fs::write(&file, format!("[\n  {}\n]\n", json.join(",\n  "))).map_err(failed)?;
        table.extend(rows.iter().map(|row| line(bench.name, row)));
    }
    say(&format!("\n{}\nbench: JSON in {}", table.join("\n"), folder.display()));
    Ok(())
}

/// Runs one to its end; what it prints besides figures is for people, and passed on.
fn measure(bench: &Bench, python: Option<&Path>) -> std::result::Result<Vec<Row>, Outcome> {
    let example = ["--release", "--quiet", "--package", bench.package, "--example", bench.example];
    run(cargo().arg("build").args(example).args(bench.features))?;
    let mut command = Command::new(target_dir().join("release/examples").join(bench.example));
    if let Some(python) = python {
        command.env(PYTHON, python);
    }
    let failed = |what: String| Outcome::failed(format!("bench {}: {what}", bench.name));
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|err| failed(err.to_string()))?;
    let mut rows = Vec::new();
    let printed = child.stdout.take().map(BufReader::new);
    for line in printed.into_iter().flat_map(BufRead::lines).map_while(std::io::Result::ok) {
        match Row::parse(&line) {
            Some(row) => rows.push(row),
            None => say(&line),
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(rows),
        Ok(status) => Err(failed(format!("it ended with {status}"))),
        Err(err) => Err(failed(err.to_string())),
    }
}

/// A Python with the peers in it, made once under the target directory. Without one the bench goes on alone.
fn python(folder: &Path) -> Option<PathBuf> {
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    let has_peers = || succeeds(Command::new(&python).args(["-c", "import taichi, numpy"]));
    if !has_peers() {
        say("bench: its peer, installed once");
        let made = succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv))
            && run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PEERS)).is_ok();
        if !made || !has_peers() {
            say("bench: the peer cannot be installed here, so there is nothing to compare with");
            return None;
        }
    }
    Some(python)
}

fn heading() -> String {
    format!(
        "{:<8} {:<52} {:>12} {:<16} {:>12} {:>6}  {}",
        "bench", "metric", "ours", "unit", "peer", "ratio", "peer's name"
    )
}

fn line(name: &str, row: &Row) -> String {
    let shown = |value: Option<f64>, digits: usize| {
        value.map_or("–".into(), |v| format!("{v:.*}", if v.abs() >= 1_000.0 { 0 } else { digits }))
    };
    let (peer_name, peer) = row.peer.as_ref().map_or(("", None), |(name, peer)| (name, Some(*peer)));
    let (ours, peer, ratio) = (shown(Some(row.ours), 2), shown(peer, 2), shown(row.ratio(), 2));
    let (metric, unit) = (&row.metric, &row.unit);
    format!("{name:<8} {metric:<52} {ours:>12} {unit:<16} {peer:>12} {ratio:>6}  {peer_name}")
        .trim_end()
        .to_owned()
}
