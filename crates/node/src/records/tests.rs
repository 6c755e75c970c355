use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::Cid;
use api::ipfs::Ipfs;
use chain::Call;
use pay::{Amount, KeyScheme, Keypair, Signer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{RecordError, Records};
use crate::billing::tests::world::{ALICE, PRICE, World, get, person, post, prices};
use crate::id::PlaybackId;

fn records(world: &World, ipfs: Option<Ipfs>) -> Records {
    let (app, rail) = (world.node().app(), Arc::clone(&world.rail));
    let (store, billing) = (app.store().clone(), app.billing());
    Records { store, rail, key: Arc::clone(&billing.key), clock: billing.clock.clone(), ipfs }
}

/// What the stream's page names, fetched by that name.
async fn document(world: &World) -> (String, Value) {
    let info = world.client.stream(&world.stream.playback_id).await.unwrap();
    let cid = info.metadata.expect("it is recorded");
    let (status, body) = get(world.node().addresses().http, &format!("/ipfs/{cid}")).await;
    assert_eq!((status, Cid::of(body.as_bytes()).to_string()), (200, cid.clone()));
    (cid, serde_json::from_str(&body).unwrap())
}

/// Asks the chain itself.
async fn rpc(world: &World, method: &str, parameter: Value) -> Value {
    let url = world.devchain.url();
    let host = url.strip_prefix("ws://").unwrap().trim_end_matches('/');
    let request = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [parameter] });
    let (status, body) = post(host.parse().unwrap(), "/", host, &request.to_string()).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["result"].clone()
}

#[tokio::test]
async fn each_change_of_a_paid_stream_is_told_under_its_hash_and_named_on_chain() {
    let world = World::start().await;
    let records = records(&world, None);
    records.turn().await.unwrap();
    let (first, told) = document(&world).await;
    assert_eq!((&told["title"], &told["status"]), (&"paid".into(), &"pending".into()));
    assert_eq!(told["prices"][0]["price"], PRICE.to_string());
    assert_eq!(
        (&told["previous"], told["delegation"].as_str().map(str::is_empty)),
        (&Value::Null, Some(false))
    );

    // Nothing has changed: nothing is told, and no fee is paid.
    records.turn().await.unwrap();
    assert_eq!(document(&world).await.0, first);

    world.go_live(&world.stream).await;
    records.turn().await.unwrap();
    let (second, told) = document(&world).await;
    assert_eq!((&told["status"], &told["previous"]), (&"live".into(), &first.as_str().into()));
    world.client.set_prices(&world.creator, &world.stream.playback_id, prices(2 * PRICE)).await.unwrap();
    records.turn().await.unwrap();
    let (third, told) = document(&world).await;
    assert_eq!(
        (&told["prices"][0]["price"], &told["previous"]),
        (&(2 * PRICE).to_string().into(), &second.as_str().into())
    );
    assert_eq!(get(world.node().addresses().http, &format!("/ipfs/{first}")).await.0, 200, "the first stays");

    let journal = world.journal().await;
    let query = "SELECT detail FROM pay_audit_log WHERE act = 'stream.recorded' ORDER BY seq";
    let acts: Vec<(String,)> = sqlx::query_as(query).fetch_all(journal.pool()).await.unwrap();
    let acts: Vec<Value> = acts.iter().map(|(detail,)| serde_json::from_str(detail).unwrap()).collect();
    let names: Vec<_> = acts.iter().filter_map(|act| act["cid"].as_str()).collect();
    assert_eq!(names, [&first, &second, &third]);
    for act in &acts {
        let hash = rpc(&world, "chain_getBlockHash", act["block"].clone()).await;
        let block = rpc(&world, "chain_getBlock", hash).await.to_string();
        let (_, body) =
            get(world.node().addresses().http, &format!("/ipfs/{}", act["cid"].as_str().unwrap())).await;
        let on_chain = data_encoding::HEXLOWER.encode(&Cid::of(body.as_bytes()).to_bytes());
        assert!(block.contains(&on_chain), "{block}");
    }
}

#[tokio::test]
async fn the_last_document_of_a_stream_names_its_recordings() {
    let world = World::start().await;
    let records = records(&world, None);
    records.turn().await.unwrap();
    let (first, told) = document(&world).await;
    assert_eq!(told.get("recordings"), None);
    let recordings = vec![Cid::of(b"hello world").to_string(), Cid::of(b"").to_string()];
    let request = api::ArchiveRequest { recordings: recordings.clone() };
    world.client.archive(Some(&world.creator), &world.stream.playback_id, &request).await.unwrap();
    records.turn().await.unwrap();
    let (_, told) = document(&world).await;
    assert_eq!((&told["status"], &told["previous"]), (&"archived".into(), &first.as_str().into()));
    assert_eq!(told["recordings"], serde_json::json!(recordings));
    assert_eq!(records.store.unrecorded().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_free_stream_is_nobodys_business_and_an_unknown_name_is_refused() {
    let world = World::start().await;
    let request = api::CreateStream { title: "free".into(), ..Default::default() };
    let free = world.client.create_stream(&request).await.unwrap();
    records(&world, None).turn().await.unwrap();
    assert_eq!(world.client.stream(&free.playback_id).await.unwrap().metadata, None);
    for name in
        ["bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", "..%2F..%2Fetc%2Fpasswd", "%00"]
    {
        let (status, body) = get(world.node().addresses().http, &format!("/ipfs/{name}")).await;
        assert!(status == 404 && body.contains("content_not_found"), "{name}: {status} {body}");
    }
}

#[tokio::test]
async fn what_the_node_keeps_for_settling_is_not_spent_on_documents() {
    let world = World::start().await;
    let key = Arc::new(Keypair::from_seed(KeyScheme::Ed25519, &[77; 32].into()));
    let account = key.public().account();
    let records = Records { key, ..records(&world, None) };
    let rail = &world.rail;
    let one = Call::Transfer { to: account, amount: Amount::new(1) };
    let fee = rail.fee(one, account).await.unwrap().units();
    let transfer = async |units: u128| {
        let funds = Call::Transfer { to: account, amount: Amount::new(units) };
        rail.submit(funds, Arc::new(person(ALICE))).await.unwrap();
    };
    // An account has to hold something beside.
    transfer(99 * fee + rail.info().existential_deposit.units()).await;
    let put_off = records.turn().await;
    assert!(matches!(&put_off, Err(RecordError::Reserved(_))), "{put_off:?}");
    assert_eq!(records.store.unrecorded().await.unwrap().len(), 1, "it is told, and recorded later");
    transfer(fee).await;
    records.turn().await.unwrap();
    assert_eq!(records.store.unrecorded().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_restart_between_two_changes_goes_on_where_it_was() {
    let mut world = World::start().await;
    records(&world, None).tell().await.unwrap();
    let (first, _) = document(&world).await;
    world.restart().await;
    let records = records(&world, None);
    assert_eq!(records.store.unrecorded().await.unwrap().len(), 1);
    records.turn().await.unwrap();
    assert_eq!(records.store.unrecorded().await.unwrap().len(), 0);
    let id = PlaybackId::parse(&world.stream.playback_id).unwrap();
    let row = records.store.stream_by_playback_id(&id).await.unwrap().unwrap();
    assert_eq!(records.store.record_of(row.id).await.unwrap(), Some(first));
}

/// Stands in for an IPFS node, of which there is none here: it takes what the RPC of Kubo takes, and calls every block
/// by `name`, or by its right one.
async fn ipfs_stand_in(name: Option<&'static str>) -> (Ipfs, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = Vec::new();
            let body = loop {
                let mut some = [0; 4_096];
                let length = socket.read(&mut some).await.unwrap();
                request.extend_from_slice(&some[..length]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, form)) = text.split_once("\r\n\r\n") else { continue };
                assert!(
                    head.starts_with("POST /api/v0/block/put?cid-codec=raw&mhtype=sha2-256&pin=true "),
                    "{head}"
                );
                let boundary = head.split_once("boundary=").unwrap().1.lines().next().unwrap().to_owned();
                if let Some(form) = form.strip_suffix(&format!("\r\n--{boundary}--\r\n")) {
                    break form.split_once("\r\n\r\n").unwrap().1.to_owned();
                }
            };
            let key = name.map_or_else(|| Cid::of(body.as_bytes()).to_string(), str::to_owned);
            let answer = serde_json::json!({ "Key": key, "Size": body.len() }).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
            socket.write_all((head + &answer).as_bytes()).await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (Ipfs::new(&url).unwrap(), count)
}

#[tokio::test]
async fn documents_are_handed_on_once_and_only_where_their_name_is_theirs() {
    let world = World::start().await;
    let (liar, _) = ipfs_stand_in(Some("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")).await;
    let refused = records(&world, Some(liar)).turn().await;
    assert!(matches!(refused, Err(RecordError::OtherName { .. })), "{refused:?}");
    let (ipfs, taken) = ipfs_stand_in(None).await;
    let records = records(&world, Some(ipfs));
    records.turn().await.unwrap();
    records.turn().await.unwrap();
    assert_eq!(taken.load(Ordering::Relaxed), 1);
    assert_eq!(records.store.kept_here().await.unwrap(), []);
}
