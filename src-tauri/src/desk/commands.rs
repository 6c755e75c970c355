//! What the page may ask for; `src-tauri/permissions/desk.toml` names the same.

use serde::Serialize;
use tauri::{AppHandle, State};

use super::child::Order;
use super::snapshot::Snapshot;
use super::{ChildName, Desk, browser, streams};

type Answer<T> = Result<T, String>;

/// What there is, once it is newer than `since`, or after a second.
#[tauri::command]
pub async fn changes(desk: State<'_, Desk>, since: u64) -> Answer<Snapshot> {
    Ok(desk.changes(since).await)
}

#[tauri::command]
pub async fn order(desk: State<'_, Desk>, child: ChildName, order: Order) -> Answer<()> {
    desk.order(child, order).await
}

/// A new stream as its maker is told of it, once.
#[derive(Serialize)]
pub struct NewStream {
    playback_id: String,
    stream_key: String,
    whip_url: String,
    /// Without the key, as encoders ask for the two.
    rtmp_server: String,
    watch_url: String,
}

#[tauri::command]
pub async fn create_stream(desk: State<'_, Desk>, title: String) -> Answer<NewStream> {
    let made = streams::create(&desk.node, title).await?;
    let server = made.rtmp_url.strip_suffix(&made.stream_key).unwrap_or_default().trim_end_matches('/');
    Ok(NewStream {
        rtmp_server: server.to_owned(),
        playback_id: made.playback_id,
        stream_key: made.stream_key,
        whip_url: made.whip_url,
        watch_url: made.watch_url,
    })
}

/// Opens the watch page of a stream that the node listed, in the person's browser.
#[tauri::command]
pub async fn open_watch(desk: State<'_, Desk>, playback_id: String) -> Answer<()> {
    let address = {
        let streams = desk.streams();
        let stream = streams.find(&playback_id);
        stream.map(|stream| stream.watch_url.clone())
    };
    match address {
        Some(address) => browser::open(&address).await,
        None => Err("The node does not know this stream.".into()),
    }
}

/// The answer to the question that the closing window asked.
#[tauri::command]
pub async fn close(app: AppHandle, desk: State<'_, Desk>, leave: bool) -> Answer<()> {
    match leave {
        true => app.exit(0),
        false => desk.stay(),
    }
    Ok(())
}
