//! What the demo broadcasts: particles over a camera, with a burnt-in clock on top.

use std::path::Path;

use anyhow::Context;
use api::CreatedStream;
use studio::BroadcastFile;

/// The same text as a person would write; see assets/broadcast.toml.
const TEMPLATE: &str = include_str!("scene.toml");

/// Fills the template. Values go in as TOML strings, so nothing in them can become a key.
pub fn broadcast(
    preset: &str,
    main: &CreatedStream,
    second: &CreatedStream,
    recording: &Path,
) -> anyhow::Result<BroadcastFile> {
    let recording = recording.to_str().context("the recording's folder is not text")?;
    let mut text = TEMPLATE.to_owned();
    for (placeholder, value) in [
        ("@PRESET@", preset),
        ("@WHIP_URL@", &main.whip_url),
        ("@WHIP_TOKEN@", &main.stream_key),
        ("@RTMP_URL@", &second.rtmp_url),
        ("@RECORDING@", recording),
    ] {
        let quoted = serde_json::to_string(value).context("a value of the demo's broadcast")?;
        text = text.replace(&format!("\"{placeholder}\""), &quoted);
    }
    BroadcastFile::parse(&text).context("the demo's broadcast")
}
