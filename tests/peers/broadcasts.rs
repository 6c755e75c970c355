//! What the tests begin with: streams on a node, and engines that broadcast a test pattern.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::{CreatedStream, StreamInfo};
use media::Size;
use media::burn_in::{Stamp, read_luma};
use testkit::tickcast::{Engine, Node};
use testkit::{ffmpeg, wait_until};

pub const TICKCAST: &str = env!("CARGO_BIN_EXE_tickcast");
/// The bound of every wait: much longer than anything takes, since a test of counts must not be one of speed.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn node() -> Node {
    Node::start(TICKCAST).expect("a node")
}

pub fn create(node: &Node, title: &str) -> CreatedStream {
    let body = serde_json::json!({ "title": title }).to_string();
    let answer = node.post("/api/v1/streams", &[("Content-Type", "application/json")], body.as_bytes());
    let answer = answer.expect("the node answers");
    assert_eq!(answer.status, 201, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("a created stream")
}

pub fn info(node: &Node, stream: &CreatedStream) -> StreamInfo {
    let answer = node.get(&format!("/api/v1/streams/{}", stream.playback_id)).expect("the node answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("a stream")
}

/// Waits until the API shows so many renditions whose size is known.
pub fn wait_for_renditions(node: &Node, stream: &CreatedStream, count: usize) -> StreamInfo {
    let shown = wait_until(&format!("{count} renditions"), LIMIT, || {
        let info = info(node, stream);
        let known = info.renditions.iter().filter(|rendition| rendition.width > 0).count();
        (known >= count).then_some(info)
    });
    shown.unwrap_or_else(|err| panic!("{err}\nthe node: {}", node.log()))
}

/// Waits until a rendition has a whole segment: ffmpeg knows no parts.
pub fn wait_for_segment(node: &Node, stream: &CreatedStream, rendition: &str) {
    let path = format!("/live/{}/{rendition}.m3u8", stream.playback_id);
    let ready = wait_until("a segment", LIMIT, || {
        node.get(&path).ok().filter(|answer| answer.status == 200 && answer.text().contains("#EXTINF"))
    });
    ready.unwrap_or_else(|err| panic!("{err}\nthe node: {}", node.log()));
}

/// The address at which a player finds a stream by RTMP.
pub fn rtmp_play_url(node: &Node, stream: &CreatedStream) -> String {
    format!("rtmp://{}/live/{}", node.rtmp(), stream.playback_id)
}

/// The best rendition of [`engine`].
const ENGINE_SIZE: Size = Size::new(640, 360);

/// An engine that broadcasts the test pattern with burnt-in numbers, and a beep a second, in two small
/// renditions. `rest` are further lines of its file.
pub fn engine(folder: &Path, rest: &str) -> Engine {
    Engine::start(TICKCAST, &file(folder, rest)).expect("an engine")
}

/// Writes its broadcast file.
pub fn file(folder: &Path, rest: &str) -> PathBuf {
    let text = format!(
        r#"version = 1
programme = {{ width = 640, height = 360, fps = 30 }}
sources = [{{ kind = "synthetic", name = "pattern" }}]
sounds = [{{ kind = "synthetic", name = "beep" }}]
layers = [{{ source = "pattern" }}]
ladder = [
    {{ name = "very_low", width = 320, height = 180, kbps = 300 }},
    {{ name = "medium", width = 640, height = 360, kbps = 800 }},
]
{rest}
"#
    );
    let path = folder.join("broadcast.toml");
    std::fs::write(&path, text).expect("the broadcast file is written");
    path
}

/// The engine's line for a WHIP output to `stream`.
pub fn whip_output(stream: &CreatedStream) -> String {
    let (url, token) = (&stream.whip_url, &stream.stream_key);
    format!("outputs = [{{ kind = \"whip\", url = {url:?}, token = {token:?} }}]")
}

/// The burnt-in stamps of every picture; one that cannot be read fails the test.
pub fn stamps(recording: &Path) -> Vec<Stamp> {
    let luma = ffmpeg::luma(recording).expect("the recording decodes");
    let pictures = luma.chunks_exact((ENGINE_SIZE.width * ENGINE_SIZE.height) as usize).enumerate();
    pictures
        .map(|(at, picture)| {
            read_luma(picture, ENGINE_SIZE.width as usize, ENGINE_SIZE)
                .unwrap_or_else(|| panic!("picture {at} has no stamp"))
        })
        .collect()
}
