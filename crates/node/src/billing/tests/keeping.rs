//! Who keeps streams, and what they leave behind.

use api::pay::Role;
use api::{ArchiveRequest, Client, ClientError, CreateStream, LoggedIn, SessionClient, StreamStatus};
use pay::{AccountId, Delegation, Signed, Signer, UnixMillis};

use super::code;
use super::world::{ALICE, BOB, DAVE, EVE, OFFER, Viewer, World, person, prices};
use crate::billing::log::row_hash;

/// Of a page that publishes, as Chromium makes it.
const PUBLISHING: &str = include_str!("../../../../../fuzz/corpus/offer/chromium-publish.sdp");
/// Of nothing, and of "hello world", as IPFS names them.
const RECORDINGS: [&str; 2] = [
    "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
];

fn account(at: usize) -> AccountId {
    person(at).public().account()
}

fn named(recordings: &[&str]) -> ArchiveRequest {
    ArchiveRequest { recordings: recordings.iter().map(|name| (*name).to_owned()).collect() }
}

async fn archive(world: &World, by: Option<&LoggedIn>, recordings: &[&str]) -> Result<StreamStatus, String> {
    let answer = world.client.archive(by, &world.stream.playback_id, &named(recordings)).await;
    answer.map(|info| info.status).map_err(|err| code(&err).to_owned())
}

async fn roles(client: &Client, login: &LoggedIn) -> Vec<Role> {
    client.account(login).await.unwrap().roles
}

#[tokio::test]
async fn a_stream_that_is_archived_is_over_for_good() {
    let mut world = World::start().await;
    let viewer = Viewer::new(&world, DAVE).await;
    world.go_live(&world.stream).await;
    let creator = Some(&world.creator);
    assert_eq!(archive(&world, creator, &[]).await, Err("on_air".to_owned()));
    world.end(&world.stream).await;
    for (wrong, said) in [("../recording.mp4", "bad_content_id"), ("", "bad_content_id")] {
        assert_eq!(archive(&world, creator, &[wrong]).await, Err(said.to_owned()));
    }
    assert_eq!(world.client.stream(&world.stream.playback_id).await.unwrap().status, StreamStatus::Ended);
    assert_eq!(archive(&world, creator, &RECORDINGS[..1]).await, Ok(StreamStatus::Archived));
    // What is said again changes nothing, and what was left out is added.
    for recordings in [&RECORDINGS[..1], &RECORDINGS] {
        assert_eq!(archive(&world, creator, recordings).await, Ok(StreamStatus::Archived));
    }
    let journal = world.journal().await;
    let acts = "SELECT count(*) FROM pay_audit_log WHERE act = 'stream.archived'";
    let acts: i64 = sqlx::query_scalar(acts).fetch_one(journal.pool()).await.unwrap();
    assert_eq!(acts, 2);

    world.restart().await;
    let refused = viewer.join(&world, None).await.unwrap_err();
    assert_eq!(code(&refused), "archived");
    let login = world.client.login(&person(BOB)).await.unwrap();
    let refused = world.client.set_prices(&login, &world.stream.playback_id, prices(1)).await.unwrap_err();
    assert_eq!(code(&refused), "archived");
    let whip = format!("http://{}/whip", world.node().addresses().http);
    let whip = SessionClient::new(&whip, Some(world.stream.stream_key.clone())).unwrap();
    let refused = whip.offer(OFFER.to_owned()).await.err().map(|err| code(&err).to_owned());
    assert_eq!(refused.as_deref(), Some("bad_stream_key"));
}

#[tokio::test]
async fn whoever_had_a_streams_key_has_nothing_once_it_is_rotated() {
    let world = World::start().await;
    let id = &world.stream.playback_id;
    let publish = async |key: &str| {
        let whip = format!("http://{}/whip", world.node().addresses().http);
        let whip = SessionClient::new(&whip, Some(key.to_owned())).unwrap();
        let answer = whip.offer(PUBLISHING.to_owned()).await;
        answer.map(drop).map_err(|err| code(&err).to_owned())
    };
    let dave = world.client.login(&person(DAVE)).await.unwrap();
    for (by, said) in [(None, "login_required"), (Some(&dave), "not_yours")] {
        assert_eq!(code(&world.client.rotate_key(by, id).await.unwrap_err()), said);
    }
    let rotated = world.client.rotate_key(Some(&world.creator), id).await.unwrap();
    assert_ne!(rotated.stream_key, world.stream.stream_key);
    assert_eq!((&rotated.id, &rotated.playback_id), (&world.stream.id, id));
    assert!(rotated.rtmp_url.ends_with(&rotated.stream_key), "as the first was told");
    assert_eq!(publish(&world.stream.stream_key).await, Err("bad_stream_key".to_owned()));
    assert_eq!(publish(&rotated.stream_key).await, Ok(()));
}

#[tokio::test]
async fn a_stream_has_so_many_recordings_and_no_more() {
    let world = World::start().await;
    let cid = |number: usize| api::Cid::of(&number.to_le_bytes()).to_string();
    let names: Vec<String> = (0..=api::stream::RECORDINGS_MAX).map(cid).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let creator = Some(&world.creator);
    assert_eq!(archive(&world, creator, &names).await, Err("too_many_recordings".to_owned()));
    let status = world.client.stream(&world.stream.playback_id).await.unwrap().status;
    assert_eq!(status, StreamStatus::Pending, "nothing of it was done");
    assert_eq!(archive(&world, creator, &names[1..]).await, Ok(StreamStatus::Archived));
    assert_eq!(archive(&world, creator, &names[..1]).await, Err("too_many_recordings".to_owned()));
}

#[tokio::test]
async fn streams_are_kept_by_those_who_made_them_and_by_administrators() {
    let world = World::keeping(vec![account(EVE)], vec![account(BOB)]).await;
    let (dave, eve) =
        (world.client.login(&person(DAVE)).await.unwrap(), world.client.login(&person(EVE)).await.unwrap());
    assert_eq!(roles(&world.client, &world.creator).await, [Role::Viewer, Role::Creator]);
    assert_eq!(roles(&world.client, &dave).await, [Role::Viewer]);
    assert_eq!(roles(&world.client, &eve).await, [Role::Viewer, Role::Admin]);

    let delegation = Delegation {
        genesis: world.rail.info().genesis,
        payee: person(DAVE).public(),
        node: world.client.pay_info().await.unwrap().node_key,
        from: UnixMillis(0),
        until: world.node().app().billing().clock.now().plus(86_400_000),
    };
    let delegation = Signed::sign(delegation, &person(DAVE)).unwrap();
    let refused = world.client.delegate(&dave, &delegation).await.unwrap_err();
    assert_eq!(code(&refused), "not_invited");

    assert_eq!(archive(&world, None, &[]).await, Err("login_required".to_owned()));
    assert_eq!(archive(&world, Some(&dave), &[]).await, Err("not_yours".to_owned()));
    for other in [&dave, &world.creator] {
        assert_eq!(code(&world.client.acts(other, 0).await.unwrap_err()), "not_an_admin");
    }
    assert_eq!(archive(&world, Some(&eve), &[]).await, Ok(StreamStatus::Archived));

    // What this machine's own programs made is theirs, and an administrator's.
    let free = CreateStream { title: "free".into(), ..CreateStream::default() };
    let free = world.client.create_stream(&free).await.unwrap();
    let refused = world.client.archive(Some(&world.creator), &free.playback_id, &named(&[])).await;
    assert!(matches!(&refused, Err(err @ ClientError::Refused(_)) if code(err) == "not_yours"));
    let archived = world.client.archive(None, &free.playback_id, &named(&[])).await.unwrap();
    assert_eq!(archived.status, StreamStatus::Archived);
}

#[tokio::test]
async fn administrators_read_the_log_that_no_row_can_be_taken_from() {
    let world = World::keeping(vec![account(ALICE)], Vec::new()).await;
    let alice = world.client.login(&person(ALICE)).await.unwrap();
    assert_eq!(archive(&world, Some(&alice), &RECORDINGS).await, Ok(StreamStatus::Archived));
    let acts = world.client.acts(&alice, 0).await.unwrap();
    let mut before = Vec::new();
    for (act, number) in acts.iter().zip(1_i64..) {
        let at = i64::try_from(act.at.0).unwrap();
        before = row_hash(&before, number, at, &act.act, &act.detail).to_vec();
        assert_eq!((act.number, &act.hash), (number as u64, &data_encoding::HEXLOWER.encode(&before)));
    }
    let last = acts.last().unwrap();
    let detail: serde_json::Value = serde_json::from_str(&last.detail).unwrap();
    assert_eq!((last.act.as_str(), &detail["by"]), ("stream.archived", &account(ALICE).to_string().into()));
    assert_eq!(detail["recordings"], RECORDINGS.len());
    assert_eq!(world.client.acts(&alice, last.number - 1).await.unwrap(), acts[acts.len() - 1..]);
    assert_eq!(world.client.acts(&alice, u64::MAX).await.unwrap(), []);
}
