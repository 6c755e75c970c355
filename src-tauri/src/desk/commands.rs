//! What the page may ask for; `src-tauri/permissions/desk.toml` names the same.

use api::{Client, ClientError, CreatedStream, StreamEarnings};
use serde::Serialize;
use tauri::{AppHandle, State};

use super::child::Order;
use super::library::{Content, Films, Words};
use super::snapshot::Snapshot;
use super::wallet::{Account, Balance};
use super::{ChildName, Desk, Terms, browser};

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

impl From<CreatedStream> for NewStream {
    fn from(made: CreatedStream) -> Self {
        let server = made.rtmp_url.strip_suffix(&made.stream_key).unwrap_or_default().trim_end_matches('/');
        Self {
            rtmp_server: server.to_owned(),
            playback_id: made.playback_id,
            stream_key: made.stream_key,
            whip_url: made.whip_url,
            watch_url: made.watch_url,
        }
    }
}

#[tauri::command]
pub async fn create_stream(desk: State<'_, Desk>, terms: Terms) -> Answer<NewStream> {
    Ok(desk.make_stream(&desk.base()?, &terms).await?.into())
}

/// A new key for a stream that the node listed.
#[tauri::command]
pub async fn rotate_key(desk: State<'_, Desk>, playback_id: String) -> Answer<NewStream> {
    Ok(desk.rotate_key(&playback_id).await?.into())
}

/// Another price for a stream that costs something.
#[tauri::command]
pub async fn set_price(desk: State<'_, Desk>, playback_id: String, amount: String) -> Answer<()> {
    desk.set_price(&playback_id, &amount).await
}

/// Opens the Stage on a stream that the node listed.
#[tauri::command]
pub async fn open_stage_on(desk: State<'_, Desk>, playback_id: String) -> Answer<()> {
    desk.open_stage_on(&playback_id).await
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

/// Opens the Stage on a stream of these terms; the node is started for it.
#[tauri::command]
pub async fn open_stage(desk: State<'_, Desk>, terms: Terms) -> Answer<()> {
    desk.open_stage(terms).await
}

/// Opens a window that plays a stream, by the address of its page.
#[tauri::command]
pub async fn watch_stream(desk: State<'_, Desk>, address: String) -> Answer<()> {
    desk.viewers.open(&address).await
}

/// Reads the wallet's accounts; they come with the next change.
#[tauri::command]
pub async fn read_accounts(desk: State<'_, Desk>) -> Answer<()> {
    desk.read_accounts().await;
    Ok(())
}

/// Asks in a window for a passphrase, shows the words of the new account there, and makes it.
#[tauri::command]
pub async fn new_account(desk: State<'_, Desk>, name: String) -> Answer<Account> {
    desk.prompt("wallet", &["new", "--", &name]).await
}

/// Asks in a window for an account's words, and takes it in.
#[tauri::command]
pub async fn import_account(desk: State<'_, Desk>, name: String) -> Answer<Account> {
    desk.prompt("wallet", &["import", "words", "--", &name]).await
}

/// What the accounts have, on the chain of the running node.
#[tauri::command]
pub async fn balances(desk: State<'_, Desk>) -> Answer<Vec<Balance>> {
    let endpoints = desk.streams().money.as_ref().map(|money| money.endpoints.clone());
    let endpoints = endpoints.ok_or("The node that runs here takes no payments, so no chain is known.")?;
    let chains: Vec<String> = endpoints.iter().map(|endpoint| format!("--chain={endpoint}")).collect();
    let arguments: Vec<&str> = std::iter::once("balance").chain(chains.iter().map(String::as_str)).collect();
    desk.wallet.ask(&arguments).await
}

/// Names the chain on which the node is paid, or none; the node is restarted with it.
#[tauri::command]
pub async fn set_chain(desk: State<'_, Desk>, endpoint: Option<String>) -> Answer<()> {
    desk.set_chain(endpoint).await
}

/// What the streams of the running node have earned.
#[tauri::command]
pub async fn earnings(desk: State<'_, Desk>) -> Answer<Vec<StreamEarnings>> {
    let base = desk.base()?;
    let asked = async { Client::new(base)?.earnings(None).await };
    asked.await.map_err(|err: ClientError| format!("The node did not say what was earned: {err}."))
}

/// What was recorded on this machine.
#[tauri::command]
pub async fn films(desk: State<'_, Desk>) -> Answer<Films> {
    desk.library.films().await
}

/// How long a recording is, and a small picture of it.
#[tauri::command]
pub async fn film_content(desk: State<'_, Desk>, file: String) -> Answer<Content> {
    desk.library.content(&file).await
}

#[tauri::command]
pub async fn describe_film(desk: State<'_, Desk>, file: String, words: Words) -> Answer<()> {
    desk.library.describe(&file, words).await
}

/// Opens a recording in the person's player.
#[tauri::command]
pub async fn play_film(desk: State<'_, Desk>, file: String) -> Answer<()> {
    desk.library.play(&file).await
}

/// Opens the folder of the recordings.
#[tauri::command]
pub async fn show_films(desk: State<'_, Desk>) -> Answer<()> {
    desk.library.show_folder().await
}

/// Moves a recording to the desktop's trash.
#[tauri::command]
pub async fn remove_film(desk: State<'_, Desk>, file: String) -> Answer<()> {
    desk.library.remove(&file).await
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
