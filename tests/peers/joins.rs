//! Viewers come and go, and leave nothing behind.

use std::sync::Arc;

use api::CreatedStream;
use rtc::{Network, PlayEvent, WhepConfig, WhepPlayer};
use testkit::tickcast::Node;
use testkit::{soak, wait_until};
use watch::HttpSignalling;

use crate::broadcasts::{LIMIT, create, engine, info, node, wait_for_renditions, whip_output};

/// Before anything is measured: pools and caches are full then.
const WARM_UP: usize = 20;
/// Thirty seconds and a segment, at 30 pictures a second: playlists let go of as much as comes from then on.
const PICTURES_UNTIL_SEGMENTS_LEAVE: usize = 33 * 30;
const JOINS: usize = 100;
const JOINS_IN_SOAK: usize = 2_000;
const AT_ONCE: usize = 10;
/// What viewers leave behind comes again with every round of joins. What the stream's own history and the allocator
/// take without any viewer comes less and less: 500 KiB in ten seconds at first, 100 after a minute. So the least round
/// is what counts.
const ROUNDS: usize = 5;
/// A viewer takes 69 kB while it is connected: a sixteenth of that left by each would be over.
const LEFT_MAX_BYTES: i64 = 4 * 1024;

/// Watches until so many pictures came.
async fn watch(stream: &CreatedStream, pictures: usize) {
    let signalling = Arc::new(HttpSignalling::new(&stream.whep_url, None).expect("an address"));
    let (player, mut events) = WhepPlayer::connect(WhepConfig { network: Network::Loopback }, signalling);
    let came = async {
        let mut came = 0;
        while came < pictures {
            let Some(event) = events.recv().await else { return false };
            came += usize::from(matches!(event, PlayEvent::Video(_)));
        }
        true
    };
    assert!(tokio::time::timeout(LIMIT, came).await.expect("pictures in time"), "pictures");
    player.close().await;
}

/// Joins and leaves `count` times, each time until the first picture.
async fn join_and_leave(stream: &CreatedStream, count: usize) {
    for _ in 0..count.div_ceil(AT_ONCE) {
        let mut viewers = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let stream = stream.clone();
            viewers.spawn(async move { watch(&stream, 1).await });
        }
        while let Some(viewer) = viewers.join_next().await {
            viewer.expect("a viewer");
        }
    }
}

/// Open files and sockets, and threads, of a process.
fn handles(process: u32) -> (usize, usize) {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{process}/{what}")).map_or(0, Iterator::count);
    (count("fd"), count("task"))
}

fn resident_kib(process: u32) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("a number")
}

fn wait_until_alone(node: &Node, stream: &CreatedStream) {
    wait_until("the last viewer's leaving", LIMIT, || (info(node, stream).viewer_count == 0).then_some(()))
        .expect("all viewers left");
}

#[test]
fn a_hundred_joins_and_leaves_leave_memory_sockets_and_threads_as_they_were() {
    let (node, folder) = (node(), tempfile::tempdir().expect("a folder"));
    let stream = create(&node, "Joins");
    let mut engine = engine(folder.path(), &whip_output(&stream));
    wait_for_renditions(&node, &stream, 2);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        join_and_leave(&stream, WARM_UP).await;
        watch(&stream, PICTURES_UNTIL_SEGMENTS_LEAVE).await;
    });
    wait_until_alone(&node, &stream);
    // HTTP connections of the viewers close a moment after them.
    let settled = wait_until("open files that stay", LIMIT, || {
        let first = handles(node.id());
        std::thread::park_timeout(std::time::Duration::from_millis(300));
        (handles(node.id()) == first).then_some(first)
    })
    .expect("the node comes to rest");
    let joins = soak(JOINS, JOINS_IN_SOAK);
    let mut growths = Vec::new();
    for _ in 0..ROUNDS {
        let memory = resident_kib(node.id());
        runtime.block_on(join_and_leave(&stream, joins));
        wait_until_alone(&node, &stream);
        wait_until("as many open files and threads as before", LIMIT, || {
            let (files, threads) = handles(node.id());
            (files <= settled.0 && threads <= settled.1).then_some(())
        })
        .unwrap_or_else(|err| panic!("{err}: {:?}, before {settled:?}", handles(node.id())));
        growths.push(resident_kib(node.id()) - memory);
    }
    println!("{settled:?} files and threads, {growths:?} KiB more memory after {joins} joins each");
    let least = growths.into_iter().min().unwrap_or_default();
    assert!(least * 1024 < LEFT_MAX_BYTES * joins as i64, "{least} KiB in every round of {joins} joins");
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
}

/// A node in this process, whose runtime counts its tasks.
#[cfg(feature = "node")]
#[test]
fn viewers_who_leave_leave_no_task_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = tokio::runtime::Runtime::new().expect("a runtime");
    let node = nodes.block_on(node::Node::start(node::NodeConfig::loopback(folder.path().join("node"))));
    let node = node.expect("a node");
    let viewers = tokio::runtime::Runtime::new().expect("a runtime");
    let client = api::Client::new(format!("http://{}", node.addresses().http)).expect("an address");
    let live =
        |stream: &CreatedStream| viewers.block_on(client.stream(&stream.playback_id)).expect("a stream");
    let request = api::CreateStream { title: "Tasks".into(), ..api::CreateStream::default() };
    let stream = viewers.block_on(client.create_stream(&request)).expect("a stream");
    let mut engine = engine(folder.path(), &whip_output(&stream));
    wait_until("two renditions", LIMIT, || (live(&stream).renditions.len() == 2).then_some(()))
        .unwrap_or_else(|err| panic!("{err}\n{}", engine.log()));

    let tasks = || nodes.metrics().num_alive_tasks();
    // The engine's connections and this client's one are there, and nobody watches yet.
    let before = tasks();
    viewers.block_on(join_and_leave(&stream, WARM_UP));
    let alone = || (live(&stream).viewer_count == 0).then_some(());
    wait_until("the last viewer's leaving", LIMIT, alone).expect("all viewers left");
    wait_until("as many tasks as before", LIMIT, || (tasks() <= before).then_some(()))
        .unwrap_or_else(|err| panic!("{err}: {}, before {before}", tasks()));
    println!("{before} tasks before and after {WARM_UP} viewers");
    assert!(engine.stop().expect("the engine ends").success(), "{}", engine.log());
    nodes.block_on(node.stop());
}
