//! `cargo xtask …`: everything that a person or a build machine does with this repository, in one place and
//! without a dependency, so that it compiles in seconds where nothing is installed yet.

mod bench;
mod build;
mod bundle;
mod command;
mod jobs;
mod screenshots;
mod setup;
mod solochain;

use std::process::ExitCode;

use command::Outcome;

const HELP: &str = "\
cargo xtask COMMAND

  setup [--test]      install what building and the demo need (--test: what the tests need besides)
  demo [ARGS …]       set up, build, and run the whole path on this machine; ARGS go to `tickcast demo`
  run [ARGS …]        build and run `tickcast ARGS …`
  test [FILTER …]     set up, check formatting and lints, and run every test
  soak                the same tests with their long forms (TICKCAST_SOAK)
  bench [NAME …]      time ladder, sim, compose, rtmp and sfu beside their peers; a table, and JSON
  fuzz [SECONDS]      run every fuzz target for that long each (600)
  bundle [--debug] [--try]
                      build a Debian package of the executable (--try: install and remove it in a fresh root)
  solochain [ARGS …]  build and run a real Substrate node with the development chain's runtime
  screenshots         make the pictures under assets/screenshots anew
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match args.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", &[][..]),
    };
    let result = match name {
        "setup" => match rest {
            [] => setup::install(false),
            [only] if only == "--test" => setup::install(true),
            _ => Err(Outcome::refused(format!("setup takes --test or nothing\n\n{HELP}"))),
        },
        "demo" => jobs::demo(rest),
        "run" => jobs::run_tickcast(rest),
        "test" => jobs::test(rest),
        "soak" => jobs::soak(),
        "bench" => bench::bench(rest),
        "bundle" => bundle::bundle(rest),
        "fuzz" => jobs::fuzz(rest),
        "solochain" => solochain::run_node(rest),
        "screenshots" => jobs::screenshots(),
        "help" | "--help" | "-h" => {
            command::say(HELP);
            Ok(())
        }
        other => Err(Outcome::refused(format!("there is no command \"{other}\"\n\n{HELP}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(outcome) => outcome.report(),
    }
}
