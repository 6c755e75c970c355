//! Chromium plays the node's watch page by WebRTC and by LL-HLS until it ends, publishes in three layers, and opens
//! the other pages.

use std::path::Path;

use media::burn_in::{Stamp, read_luma};
use media::{Size, WallTime};
use serde_json::Value;
use testkit::browser::Script;
use testkit::ffmpeg;
use testkit::tickcast::{Engine, Node};

use crate::broadcasts::{create, engine, node, root, wait_for_renditions, whip_output};

/// How many frames the page has to decode while it is watched.
const FRAMES: u64 = 90;

/// What the page said, and the stamps of the two pictures that were taken of its video.
struct Watched {
    page: Value,
    first: Stamp,
    second: Stamp,
}

/// An engine broadcasts by WHIP, and Chromium watches. Leaves the page's pictures in the folder that
/// `TICKCAST_SHOTS` names, if it is set.
fn watch(query: &str) -> Watched {
    let folder = tempfile::tempdir().expect("a folder");
    let node = node();
    let stream = create(&node, "Half a million particles");
    let engine = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);
    let url = format!("{}{query}", stream.watch_url);
    let frames = FRAMES.to_string();
    let script =
        Script::start(root(), "watch.mjs", [url.as_ref(), folder.path().as_os_str(), frames.as_ref()]);
    let page =
        script.and_then(Script::result).unwrap_or_else(|err| panic!("{err}\n{}", logs(&node, engine.log())));
    keep_pictures(folder.path(), query);
    assert_shows_something(&folder.path().join("page.png"));
    let stamp = |name: &str| {
        let size = Size::new(number(&page[name]["width"]) as u32, number(&page[name]["height"]) as u32);
        let luma = ffmpeg::luma(&folder.path().join(format!("{name}.png"))).expect("the picture decodes");
        let stamp = read_luma(&luma, size.width as usize, size);
        let stamp = stamp.unwrap_or_else(|| panic!("the {name} picture has no stamp"));
        let shown = WallTime::from_unix_micros(number(&page[name]["at_ms"]) * 1000);
        println!("{name}: frame {} of {size}, {:.0} ms after it was made", stamp.frame, stamp.age_ms(shown));
        stamp
    };
    let (first, second) = (stamp("first"), stamp("second"));
    println!("the page: {page}");
    Watched { page, first, second }
}

fn logs(node: &Node, engine: String) -> String {
    format!("the node: {}\nthe engine: {engine}", node.log())
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn keep_pictures(folder: &Path, query: &str) {
    let Some(kept) = std::env::var_os("TICKCAST_SHOTS") else { return };
    let way = if query.is_empty() { "webrtc" } else { "hls" };
    for (name, what) in [("page", "playing"), ("figures", "figures")] {
        let to = Path::new(&kept).join(format!("page-{way}-{what}.png"));
        std::fs::copy(folder.join(format!("{name}.png")), to).expect("the picture is kept");
    }
}

/// Neither black nor of one colour.
fn assert_shows_something(picture: &Path) {
    let luma = ffmpeg::luma(picture).expect("the page's picture decodes");
    let bright = luma.iter().filter(|level| **level > 60).count();
    assert!(bright * 10 > luma.len(), "{bright} of {} pixels are not dark", luma.len());
    let levels: std::collections::BTreeSet<_> = luma.iter().collect();
    assert!(levels.len() > 30, "{} levels of grey", levels.len());
}

fn assert_played(watched: &Watched, transport: &str) {
    let page = &watched.page;
    assert_eq!((&page["phase"], &page["transport"]), (&"playing".into(), &transport.into()));
    assert!(number(&page["decoded"]) >= number(&page["decoded_before"]) + FRAMES);
    // The burnt-in numbers say the same from outside.
    assert!(watched.second.frame > watched.first.frame, "{:?} after {:?}", watched.second, watched.first);
    assert!(page["delay_ms"].is_f64() || page["delay_ms"].is_u64(), "the page measures its delay: {page}");
    let qualities = page["qualities"].as_array().expect("a quality menu");
    assert_eq!(qualities, &["Automatic", "Medium, 360p", "Very low, 180p"]);
}

#[test]
fn chromium_plays_the_watch_page_by_webrtc() {
    assert_played(&watch(""), "webrtc");
}

#[test]
fn chromium_plays_the_watch_page_by_hls() {
    assert_played(&watch("?transport=hls"), "hls");
}

#[test]
fn chromium_publishes_in_three_layers() {
    let node = node();
    let stream = create(&node, "From a browser");
    let origin = format!("http://{}", node.http());
    let mut script = Script::start(root(), "publish.mjs", [&origin, &stream.stream_key]).expect("a script");
    let sent = script.wait_for("sending").unwrap_or_else(|err| panic!("{err}\n{}", node.log()));
    println!("sent when all three layers sent: {sent}");
    let shown = wait_for_renditions(&node, &stream, 3);
    let heights: Vec<_> = shown.renditions.iter().map(|rendition| rendition.height).collect();
    assert_eq!(shown.renditions.len(), 3, "{:?}", shown.renditions);
    // Each is half of the next, as the encodings asked for; their order follows their names'.
    assert!(heights.windows(2).all(|pair| pair[0] * 2 == pair[1]), "{:?}", shown.renditions);
    assert_eq!(shown.status, api::StreamStatus::Live);
}

/// The watch page of an engine's stream as `follow.mjs` has it: while it played, and after `ends` ended that.
fn followed(ends: impl FnOnce(&mut Node, &mut Engine)) -> (Value, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut node = node();
    let stream = create(&node, "Until it ends");
    let mut engine = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);
    let mut script = Script::start(root(), "follow.mjs", [&stream.watch_url]).expect("a script");
    let playing = script.wait_for("playing").unwrap_or_else(|err| panic!("{err}\n{}", node.log()));
    assert!(said(&playing).contains("Live"), "{playing}");
    assert!(number(&playing["buttons"]) > 0, "what plays can be steered: {playing}");
    ends(&mut node, &mut engine);
    let after = script.result().unwrap_or_else(|err| panic!("{err}\n{}", node.log()));
    assert!(!said(&after).contains("Live"), "{after}");
    assert_eq!(after["buttons"], 0, "what does not play is not steered: {after}");
    (playing, after)
}

fn said(page: &Value) -> &str {
    page["text"].as_str().unwrap_or_default()
}

#[test]
fn the_watch_page_says_that_the_broadcast_ended_at_the_nodes_first_word() {
    let (playing, after) = followed(|_, engine| {
        engine.stop().expect("the engine ends");
    });
    assert_eq!((&playing["over"], &playing["most_open"]), (&0.into(), &1.into()), "{playing}");
    assert_eq!(after["phase"], "waiting", "{after}");
    assert!(said(&after).contains("The broadcast has ended."), "{after}");
    assert_eq!(after["over"], 1, "{after}");
}

#[test]
fn the_watch_page_says_in_words_that_its_node_is_gone_and_asks_on() {
    let (_, after) = followed(|node, _| node.kill());
    assert_eq!(after["phase"], "failed", "{after}");
    assert!(said(&after).contains("The node cannot be reached."), "{after}");
    assert!(said(&after).contains("Trying again"), "{after}");
    let later = after["later"].as_str().unwrap_or_default();
    assert!(later.contains("The node cannot be reached."), "{after}");
}

#[test]
fn a_browser_is_told_what_a_node_is_and_other_programs_get_a_problem() {
    let node = node();
    let paths = [("/", 200), ("/watch/", 404), ("/watch/no-id!", 404), ("/a/path/of/nothing", 404)];
    let origin = format!("http://{}", node.http());
    let arguments = std::iter::once(&*origin).chain(paths.map(|(path, _)| path));
    let shown = Script::start(root(), "pages.mjs", arguments).and_then(Script::result).expect("pages");
    for (page, (path, status)) in shown.as_array().expect("a list").iter().zip(paths) {
        assert_eq!((&page["path"], &page["status"]), (&path.into(), &status.into()), "{page}");
        assert_eq!(page["heading"], "There is nothing to watch at this address", "{page}");
        assert!(said(page).contains("watch link"), "{page}");
        assert_eq!(page["ground"], "rgb(244, 245, 247)", "it has its style: {page}");
        assert_eq!((&page["failed"], &page["icon"]), (&Value::Array(vec![]), &200.into()), "{page}");
    }
    for (path, _) in paths {
        for accept in ["*/*", "application/json", "application/json, text/html;q=0.9"] {
            let answer = testkit::http::request(node.http(), "GET", path, &[("Accept", accept)], b"");
            let answer = answer.expect("the node answers");
            assert_eq!(answer.status, 404, "{path} for {accept}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json"),
                "{path} for {accept}"
            );
            assert_eq!(answer.header("vary").map(|vary| vary.contains("accept")), Some(true), "{path}");
        }
    }
    let posted = node.post("/nothing", &[("Accept", "text/html")], b"").expect("the node answers");
    assert_eq!(posted.header("content-type"), Some("application/problem+json"));
}

#[test]
fn the_desks_page_gives_the_orders_that_it_asked_about_and_takes_back_what_it_complained_of() {
    let no_arguments: [&str; 0] = [];
    let page = Script::start(root(), "desk.mjs", no_arguments).and_then(Script::result).expect("a page");
    let order = |what: &str| serde_json::json!({ "command": "order", "child": "node", "order": what });
    assert_eq!(page["asked"], Value::Array(vec![order("stop"), order("restart")]));
    assert_eq!(page["moved"], false, "a complaint moves nothing");
    assert_eq!(page["told"], "Viewers in browsers hear nothing: this node cannot make Opus now.");
}
