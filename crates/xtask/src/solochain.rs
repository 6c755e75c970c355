//! The development chain's runtime in a real Substrate node: slow to build, so that only long runs do.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Outcome, Result, cargo, output, replace, root, run, say, target_dir};
use crate::setup;

/// Debian's own toolchain has the standard library's source, which a target without one is built from.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const TARGET: &str = "wasm32v1-none";
/// What a runtime's host expects: no instructions beyond the first version of WebAssembly, the memory from outside, and
/// the table of functions to be seen.
const RUNTIME_FLAGS: &str = "--cfg substrate_runtime -C target-cpu=mvp -C link-arg=--export-table \
    -C link-arg=--import-memory -C linker=wasm-ld";

const PROTOCOL: &str = "package(tickcast-chain) & (binary(channels) | binary(transfers))";
/// All but a clock that jumps, which a real node's does not, and the crowds.
const PAYMENTS: &str = "binary_id(tickcast::peers) & test(/^(chain_faults|freeloaders|paying|paying_page|rejoin)::/) \
    - test(clock_jumps)";
const CROWDS: &str = "binary_id(tickcast::peers) & test(/^crowd::(fifty|a_crowd)/)";

/// Builds the node and the runtime, and says where they lie together.
pub fn build() -> std::result::Result<PathBuf, Outcome> {
    setup::install_for_solochain()?;
    let folder = target_dir().join("solochain");
    std::fs::create_dir_all(&folder)
        .map_err(|err| Outcome::failed(format!("{}: {err}", folder.display())))?;
    runtime(&folder)?;
    say("build: the Substrate node");
    let target = folder.join("node");
    let mut node = cargo();
    node.args(["build", "--locked", "--manifest-path", "solochain/Cargo.toml", "--target-dir"]);
    run(node.arg(&target))?;
    copy(&target.join("debug/tickcast-solochain"), &folder.join("tickcast-solochain"))?;
    Ok(folder)
}

fn runtime(folder: &Path) -> Result {
    say("build: the runtime as WebAssembly");
    let target = folder.join("runtime");
    let mut build = Command::new(DEBIAN_CARGO);
    build.current_dir(root()).env("RUSTC", DEBIAN_RUSTC).env("RUSTFLAGS", RUNTIME_FLAGS);
    // A standard library built from its source is still called unstable.
    build.env("RUSTC_BOOTSTRAP", "1");
    build.args(["rustc", "--locked", "--package", "tickcast-runtime", "--lib", "--crate-type", "cdylib"]);
    build.args(["--no-default-features", "--release", "-Zbuild-std=core,alloc", "--target", TARGET]);
    run(build.arg("--target-dir").arg(&target))?;
    let built = target.join(TARGET).join("release/tickcast_runtime.wasm");
    copy(&built, &folder.join("runtime.wasm"))
}

fn copy(from: &Path, to: &Path) -> Result {
    std::fs::copy(from, to)
        .map(drop)
        .map_err(|err| Outcome::failed(format!("{} to {}: {err}", from.display(), to.display())))
}

/// Builds both and runs the node, with a chain whose development accounts have something.
pub fn run_node(args: &[String]) -> Result {
    setup::install(false)?;
    let folder = build()?;
    let mut devchain = cargo();
    devchain.args(["run", "--quiet", "--package", "tickcast-devchain", "--", "spec", "--runtime"]);
    let spec = output(devchain.arg(folder.join("runtime.wasm")))
        .ok_or_else(|| Outcome::failed("the chain's specification could not be written"))?;
    let file = folder.join("spec.json");
    std::fs::write(&file, spec).map_err(|err| Outcome::failed(format!("{}: {err}", file.display())))?;
    replace(Command::new(folder.join("tickcast-solochain")).arg("--spec").arg(&file).args(args))
}

/// On the real node: the tests of the chain's protocol, once as quick as it can be and once as slow as public chains are,
/// and those of payments, with the crowd that pays on a quick and on a slow chain.
pub fn test() -> Result {
    let folder = build()?;
    let tests = |what: &str, filter: &str, variable: Option<&str>| {
        say(&format!("soak: the Substrate node, {what}"));
        let mut tests = cargo();
        // Of the whole workspace, though few are run: alone, a crate's dependencies would be compiled anew with other
        // features.
        tests.args(["nextest", "run", "--workspace", "--profile", "soak", "--filterset", filter]);
        run(tests.env("TICKCAST_SOLOCHAIN", &folder).envs(variable.map(|variable| (variable, "1"))))
    };
    tests("its protocol", PROTOCOL, None)?;
    tests("its protocol, as slow as public chains", PROTOCOL, Some("TICKCAST_SLOW_CHAIN"))?;
    tests("payments", PAYMENTS, None)?;
    tests("crowds that pay, also as slow as public chains", CROWDS, Some("TICKCAST_SOAK"))
}
