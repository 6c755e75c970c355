//! The fuzz targets without a fuzzer: over what is kept, and that each has its executable.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tickcast_fuzzing::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("a folder that is kept");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("plain names")).collect()
}

#[test]
fn every_target_takes_what_is_kept_in_its_corpus() {
    for (name, run) in TARGETS {
        let corpus = fuzz().join("corpus").join(name);
        let inputs = names(&corpus);
        assert!(!inputs.is_empty(), "{name} has no inputs");
        for input in inputs {
            // Shown where the next line panics.
            eprintln!("{name}: {input}");
            run(&std::fs::read(corpus.join(input)).expect("an input"));
        }
    }
}

#[test]
fn every_target_takes_inputs_without_any_sense() {
    for (name, run) in TARGETS {
        for length in [0, 1, 2, 64, 4096] {
            for byte in [0, 1, 0x7f, 0xff] {
                eprintln!("{name}: {length} times {byte}");
                run(&vec![byte; length]);
            }
        }
    }
}

#[test]
fn each_target_has_an_executable_that_only_calls_it() {
    let executables = fuzz().join("fuzz_targets");
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    for (name, _) in TARGETS {
        let text = std::fs::read_to_string(executables.join(format!("{name}.rs"))).expect(name);
        let call = format!("libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::{name}::run(data));\n");
        assert_eq!(text, format!("#![no_main]\n\n{call}"));
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in the manifest"
        );
    }
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(names(&executables), targets);
}
