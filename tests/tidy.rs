//! The rules of the architecture, held against what cargo and the files say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may use of ours. Arrows only go down.
const ARROWS: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("mux", &["media"]),
    ("mixer", &["media"]),
    ("pay", &["media"]),
    ("api", &["media", "pay"]),
    ("runtime", &[]),
    ("devchain", &["runtime"]),
    ("wallet", &["pay"]),
    ("chain", &["pay"]),
    ("sim", &["media"]),
    ("compose", &["media"]),
    ("speaker", &["media"]),
    ("audiosink", &["media", "mixer", "speaker"]),
    ("capture", &["media", "speaker"]),
    ("codec", &["media", "mux"]),
    ("rtc", &["media", "mux"]),
    ("sfu", &["media"]),
    ("rtmp", &["media"]),
    ("node", &["api", "chain", "media", "mux", "pay", "sfu", "rtmp"]),
    ("studio", &["audiosink", "capture", "codec", "compose", "media", "mixer", "mux", "rtc", "rtmp", "sim"]),
    ("stage", &["media", "studio", "widgets"]),
    ("approve", &["widgets"]),
    ("watch", &["api", "audiosink", "codec", "media", "pay", "rtc", "widgets"]),
    ("fuzzing", &["compose", "media", "mux", "pay", "rtmp", "sfu", "sim"]),
    ("widgets", &["media"]),
    ("snapshots", &["widgets"]),
    ("xtask", &[]),
];

/// Heavy dependencies, and who alone may name them.
const HOLDERS: &[(&str, &[&str])] = &[
    ("axum", &["node"]),
    ("cosmic-text", &["compose"]),
    ("cpal", &["speaker"]),
    ("ebur128", &["mixer"]),
    ("ed25519-dalek", &["pay", "wallet"]),
    ("eframe", &["widgets"]),
    ("egui", &["widgets"]),
    ("ffmpeg-next", &["codec"]),
    ("frame-support", &["runtime"]),
    // As Tauri is.
    ("gtk", &[]),
    ("nokhwa", &["capture"]),
    ("quinn-udp", &["sfu"]),
    ("rayon", &["sim"]),
    ("reqwest", &["api"]),
    ("rubato", &["mixer"]),
    ("schnorrkel", &["pay", "wallet"]),
    ("sqlx", &["node"]),
    ("str0m", &["sfu"]),
    ("subxt", &["chain"]),
    // The executable's own package.
    ("tauri", &[]),
    ("webrtc", &["rtc"]),
    ("wgpu", &["compose", "sim"]),
    ("xcap", &["capture"]),
];

/// What a node without a studio must not contain.
const NOT_IN_NODE: &[&str] =
    &["ffmpeg-next", "wgpu", "egui", "gtk", "webkit2gtk", "tauri", "wry", "cpal", "nokhwa", "webrtc"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn metadata(arguments: &[&str]) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Our crates by their short names, with what they name in `[dependencies]` (tests may use anything).
fn our_crates() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("a list of packages").iter();
    packages
        .filter_map(|package| {
            let name = text(package, "name").strip_prefix("tickcast-")?.to_owned();
            let named = package["dependencies"].as_array()?.iter();
            let named = named.filter(|dependency| dependency["kind"].is_null());
            Some((name, named.map(|dependency| text(dependency, "name").to_owned()).collect()))
        })
        .collect()
}

#[test]
fn arrows_only_go_down() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for (name, dependencies) in our_crates() {
        // What the tests run against may see everything.
        if name == "testkit" {
            continue;
        }
        let allowed =
            allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the table of arrows"));
        for used in dependencies.iter().filter_map(|dependency| dependency.strip_prefix("tickcast-")) {
            assert!(allowed.contains(&used), "{name} uses {used}");
        }
    }
}

#[test]
fn a_heavy_dependency_has_one_holder() {
    for (name, dependencies) in our_crates() {
        for (heavy, holders) in HOLDERS {
            if dependencies.iter().any(|dependency| dependency == heavy) {
                assert!(holders.contains(&name.as_str()), "{name} names {heavy}, which {holders:?} hold");
            }
        }
    }
}

#[test]
fn a_node_alone_contains_no_studio() {
    let metadata = metadata(&["--no-default-features", "--features", "node"]);
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let name_of: BTreeMap<&str, &str> = packages.iter().map(|p| (text(p, "id"), text(p, "name"))).collect();
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a resolution");
    let uses: BTreeMap<&str, Vec<&str>> = nodes
        .iter()
        .map(|node| {
            let normal = node["deps"].as_array().into_iter().flatten().filter(|dependency| {
                dependency["dep_kinds"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|k| k["kind"].is_null()))
            });
            (text(node, "id"), normal.map(|dependency| text(dependency, "pkg")).collect())
        })
        .collect();
    let start = *name_of.iter().find(|(_, name)| **name == "tickcast").expect("the executable's package").0;
    let (mut seen, mut open) = (BTreeSet::from([start]), vec![start]);
    while let Some(id) = open.pop() {
        open.extend(uses[id].iter().copied().filter(|used| seen.insert(used)));
    }
    let inside: BTreeSet<&str> = seen.iter().map(|id| name_of[id]).collect();
    assert!(inside.contains("tickcast-node") && inside.contains("axum"), "the walk went nowhere");
    for heavy in NOT_IN_NODE {
        assert!(!inside.contains(heavy), "a node alone contains {heavy}");
    }
}

fn files_under(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if !matches!(name.to_str(), Some("target" | "node_modules" | ".git" | "dist")) {
                found.extend(files_under(&path, ending));
            }
        } else if name.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found
}

#[test]
fn shaders_lie_under_shaders_alone() {
    let root = root();
    for file in files_under(&root, ".wgsl") {
        assert!(file.starts_with(root.join("shaders")), "{} lies elsewhere", file.display());
    }
}

/// Whether the parent of a module file declares it for tests alone.
fn is_test_module(file: &Path) -> bool {
    let (Some(folder), Some(name)) = (file.parent(), file.file_stem().and_then(|stem| stem.to_str())) else {
        return false;
    };
    let parents = [folder.with_extension("rs"), folder.join("lib.rs")];
    let declared = [format!("#[cfg(test)]\nmod {name};"), format!("#[cfg(test)]\npub(crate) mod {name};")];
    parents.iter().any(|parent| {
        std::fs::read_to_string(parent).is_ok_and(|text| declared.iter().any(|line| text.contains(line)))
    })
}

#[test]
fn unwrap_is_for_tests() {
    let sources = files_under(&root().join("crates"), ".rs").into_iter();
    let sources = sources.filter(|file| {
        let path = file.to_string_lossy();
        let folders = path.contains("/src/") && !path.contains("/testkit/");
        folders && !file.ancestors().any(is_test_module)
    });
    for file in sources {
        let source = std::fs::read_to_string(&file).expect("a source file");
        // A file's tests stand at its end.
        let code = source.split("#[cfg(test)]\n").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            assert!(
                !line.contains(".unwrap()") || line.trim_start().starts_with("//"),
                "{}:{} unwraps",
                file.display(),
                number + 1
            );
        }
    }
}

#[test]
fn the_demo_scene_and_the_sample_are_what_the_program_reads() {
    for file in ["src-tauri/src/demo/scene.toml", "assets/broadcast.toml"] {
        let text = std::fs::read_to_string(root().join(file)).expect(file);
        // What the demo fills in.
        let text = text
            .replace("@PRESET@", "galaxy")
            .replace("@WHIP_URL@", "http://host/whip")
            .replace("@RTMP_URL@", "rtmp://host/live/key");
        studio::BroadcastFile::parse(&text).unwrap_or_else(|err| panic!("{file}: {err}"));
    }
}

#[test]
fn the_commented_configuration_is_the_default() {
    let sample =
        node::NodeConfig::from_file(&root().join("assets/tickcast.toml")).expect("the sample parses");
    assert_eq!(sample, node::NodeConfig::default());
}

/// Licences under which we take other people's code.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "IJG",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "WTFPL",
    "Zlib",
];

/// Single packages under others: the MPL asks for changes to their own files alone, which we do not make, and the
/// last one's are fonts of the windows.
const LICENCE_EXCEPTIONS: &[(&str, &str)] = &[
    // Of the comparison of pictures in tests.
    ("colored", "MPL-2.0"),
    ("cssparser", "MPL-2.0"),
    ("cssparser-macros", "MPL-2.0"),
    ("dtoa-short", "MPL-2.0"),
    ("option-ext", "MPL-2.0"),
    ("selectors", "MPL-2.0"),
    // Named by subxt for its light client, which is never built; cargo lists them all the same.
    ("smoldot", "GPL-3.0-or-later WITH Classpath-exception-2.0"),
    ("smoldot-light", "GPL-3.0-or-later WITH Classpath-exception-2.0"),
    ("epaint_default_fonts", "(MIT OR Apache-2.0) AND OFL-1.1 AND Ubuntu-font-1.0"),
];

/// Whether an SPDX expression can be satisfied with [`LICENCES`]. AND binds tighter than OR; exceptions
/// (WITH) only permit more; the older "A/B" means OR.
fn is_allowed(expression: &str) -> bool {
    fn either(words: &[&str], at: &mut usize) -> bool {
        let mut allowed = both(words, at);
        while words.get(*at) == Some(&"OR") {
            *at += 1;
            allowed |= both(words, at);
        }
        allowed
    }
    fn both(words: &[&str], at: &mut usize) -> bool {
        let mut allowed = one(words, at);
        while words.get(*at) == Some(&"AND") {
            *at += 1;
            allowed &= one(words, at);
        }
        allowed
    }
    fn one(words: &[&str], at: &mut usize) -> bool {
        let word = words.get(*at).copied().unwrap_or_default();
        *at += 1;
        let allowed = if word == "(" {
            let inner = either(words, at);
            *at += 1;
            inner
        } else {
            LICENCES.contains(&word)
        };
        if words.get(*at) == Some(&"WITH") {
            *at += 2;
        }
        allowed
    }
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at) && at == words.len()
}

#[test]
fn licence_expressions_are_read_as_spdx_has_them() {
    assert!(is_allowed("MIT") && is_allowed("GPL-2.0-only OR MIT") && is_allowed("MIT/Apache-2.0"));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    assert!(!is_allowed("GPL-3.0") && !is_allowed("MIT AND GPL-3.0") && !is_allowed(""));
    assert!(!is_allowed("(MIT OR GPL-3.0) AND AGPL-3.0"));
}

#[test]
fn every_dependency_may_be_used() {
    for package in metadata(&[])["packages"].as_array().expect("a list of packages") {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        let excepted = LICENCE_EXCEPTIONS.contains(&(name, licence));
        assert!(excepted || is_allowed(licence), "{name} is under \"{licence}\"");
    }
}

#[test]
fn every_dependency_comes_from_the_registry() {
    for package in metadata(&[])["packages"].as_array().expect("a list of packages") {
        let source = text(package, "source");
        assert!(
            source.is_empty() || source.starts_with("registry+"),
            "{} comes from {source}",
            text(package, "name")
        );
    }
}
