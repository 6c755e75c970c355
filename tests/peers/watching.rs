//! `tickcast watch`: a viewer without a window.

use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::LoggedChild;

use crate::broadcasts::{LIMIT, TICKCAST, create, engine, node, wait_for_renditions, whip_output};

fn watch(arguments: &[&str]) -> LoggedChild {
    let mut command = Command::new(TICKCAST);
    command.args(["--log", "info", "watch", "--headless"]).args(arguments);
    LoggedChild::spawn("the viewer", &mut command).expect("a viewer")
}

fn report(viewer: &LoggedChild) -> Value {
    let text = viewer.output().join("\n");
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{err}: {text}\n{}", viewer.errors()))
}

#[test]
fn a_free_stream_is_watched_without_a_wallet_and_reported() {
    let (node, folder) = (node(), tempfile::tempdir().expect("a folder"));
    let stream = create(&node, "Free");
    let mut engine = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);

    let mut viewer = watch(&["--free", "--seconds", "2", "--json", &stream.watch_url]);
    let status = viewer.wait(LIMIT).expect("the viewer ends by itself");
    assert!(status.success(), "{}", viewer.errors());
    let seen = report(&viewer);
    assert_eq!(seen["stream"], stream.playback_id);
    assert!(seen["seconds"].as_f64().is_some_and(|seconds| seconds >= 2.0), "{seen}");
    assert!(seen["player"]["frames_presented"].as_u64().is_some_and(|frames| frames > 0), "{seen}");
    assert!(seen["payment"].is_null(), "{seen}");

    // One that is told to stop ends as well, and the stream's end ends the last.
    let mut stopped = watch(&["--json", &stream.watch_url]);
    let mut last = watch(&["--json", &stream.watch_url]);
    testkit::wait_until("both viewers", LIMIT, || {
        (crate::broadcasts::info(&node, &stream).viewer_count == 2).then_some(())
    })
    .expect("they join");
    assert!(stopped.terminate(LIMIT).expect("it ends").success(), "{}", stopped.errors());
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
    assert!(last.wait(LIMIT).expect("it ends by itself").success(), "{}", last.errors());
    assert_eq!(report(&last)["ended"], "the stream is over");
}

#[test]
fn what_is_no_stream_is_refused_in_words() {
    let node = node();
    for (url, expected) in [
        ("http://127.0.0.1/nothing".to_owned(), "is no address of a stream"),
        (format!("http://{}/watch/nothing", node.http()), "stream_not_found"),
    ] {
        let output = Command::new(TICKCAST)
            .args(["watch", "--headless", &url])
            .stdin(Stdio::null())
            .output()
            .expect("the viewer runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(expected), "{told}");
    }
}
