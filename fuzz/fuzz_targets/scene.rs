//! Scene files are read or refused with the place of the mistake.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = compose::Scene::from_toml(text) {
        assert!(!error.to_string().is_empty());
    }
});
