//! Scene files are read or refused with the place of the mistake.

use crate::decoded;

pub fn run(data: &[u8]) {
    let Some(text) = decoded::<&str>(data) else { return };
    if let Err(error) = compose::Scene::from_toml(text) {
        assert!(!error.to_string().is_empty());
    }
}
