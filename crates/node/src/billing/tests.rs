//! A node in process, a chain and clients; only the seconds that the media plane counts are told, not played.

mod credit;
mod funding;
mod hls;
mod keeping;
mod page;
pub mod world;

use api::pay::PAY_SUBPROTOCOL;
use api::{ClientError, CreateStream, JoinRequest, SessionClient};
use devchain::{Config, Devchain, Sealing};
use pay::message::ToViewer;
use pay::{Amount, Phase, Price, Refusal, Signer, Tick, Wire};

use super::journal::{ChannelRow, Journal, LedgerRow, Unit};
use super::log::Act;
use super::{ChainConfig, Input, Party, Unable, audit, worth_settling};
use crate::config::NodeConfig;
use crate::id::PlaybackId;
use crate::server::Node;
use world::{
    ALICE, CHARLIE, DAVE, DEPOSIT, EVE, OFFER, PRICE, Socket, Viewer, World, config, get, get_by_name,
    person, prices, until,
};

fn code(err: &ClientError) -> &str {
    match err {
        ClientError::Refused(problem) => &problem.code,
        ClientError::PaymentRequired(required) => &required.problem.code,
        _ => "",
    }
}

#[tokio::test]
async fn where_there_is_no_database_the_audit_says_so_and_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let told = audit(folder.path(), None).await.unwrap_err().to_string();
    assert_eq!(told, format!("{} holds no node's database", folder.path().display()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_node_without_a_chain_is_free_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(NodeConfig::loopback(folder.path().to_owned())).await.unwrap();
    let client = api::Client::new(format!("http://{}", node.addresses().http)).unwrap();
    let info = client.pay_info().await.unwrap();
    assert_eq!((info.rail, info.endpoints), (None, Vec::new()));
    let paid = CreateStream { title: "paid".into(), prices: prices(PRICE), ..CreateStream::default() };
    assert_eq!(code(&client.create_stream(&paid).await.unwrap_err()), "no_chain");
    let free = CreateStream { title: "free".into(), ..CreateStream::default() };
    let made = client.create_stream(&free).await.unwrap();
    let request = JoinRequest { viewer_id: "somebody".into(), channel: None };
    let joined = client.join(None, &made.playback_id, &request).await.unwrap();
    assert_eq!((joined.viewer_token, joined.pay_url, joined.whep_url), (None, None, made.whep_url));
    node.stop().await;
}

#[tokio::test]
async fn a_viewer_pays_for_what_it_watches_and_the_creator_gets_it() {
    let world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    let offers = match viewer.join(&world, None).await {
        Err(ClientError::PaymentRequired(required)) => required.offers,
        other => panic!("{other:?}"),
    };
    assert_eq!(offers.iter().map(|offer| offer.price.per_tick().units()).collect::<Vec<_>>(), [PRICE]);
    viewer.open(&world, DEPOSIT).await;
    let (mut socket, peer) = viewer.watch(&world).await;
    for second in 0..25 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, second).await;
    }
    assert_eq!(viewer.tab.spent(), Amount::new(25 * PRICE));
    assert_eq!(viewer.tab.last_receipt().map(|receipt| receipt.body.number), Some(2));
    drop(socket);
    world.settled(&viewer, 25 * PRICE).await;
    let report = audit(world.folder(), world.asked()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(
        (report.ticks, report.accepted, report.settled),
        (25, Amount::new(25 * PRICE), Amount::new(25 * PRICE))
    );
    assert_eq!(world.settlements().await, [("settle".to_owned(), "final".to_owned())]);
}

#[tokio::test]
async fn a_paid_stream_is_shown_to_nobody_without_its_own_token() {
    let world = World::start().await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    world.go_live(&world.stream).await;
    let whep = |token: Option<&str>, url: &str| SessionClient::new(url, token.map(str::to_owned)).unwrap();
    let refused = whep(None, &world.stream.whep_url).offer(OFFER.to_owned()).await.err().unwrap();
    assert_eq!(code(&refused), "viewer_token_required");
    let joined = viewer.join(&world, Some(viewer.terms.id())).await.unwrap();
    let token = joined.viewer_token.as_deref();
    let other = world.create("another", PRICE).await;
    world.go_live(&other).await;
    let refused = whep(token, &other.whep_url).offer(OFFER.to_owned()).await.err().unwrap();
    assert_eq!(code(&refused), "wrong_stream");
    let refused = whep(Some("nonsense"), &world.stream.whep_url).offer(OFFER.to_owned()).await.err().unwrap();
    assert_eq!(code(&refused), "viewer_token_required");
    let elsewhere = joined.pay_url.as_deref().unwrap().replace(&world.stream.playback_id, &other.playback_id);
    let mut socket = viewer.connect(&elsewhere, token.unwrap()).await;
    assert_eq!(socket.read().await, None, "the socket is closed");
    let http = world.node().addresses().http;
    let (status, body) = get(http, &format!("/live/{}.m3u8", other.playback_id)).await;
    assert!(status == 402 && body.contains("join_required"), "{status} {body}");
}

#[tokio::test]
async fn a_channel_of_somebody_else_joins_nothing() {
    let world = World::start().await;
    let (victim, thief) = (Viewer::new(&world, CHARLIE).await, Viewer::new(&world, DAVE).await);
    victim.open(&world, DEPOSIT).await;
    let detail = |err: ClientError| match err {
        ClientError::PaymentRequired(required) => required.problem.detail.unwrap(),
        other => panic!("{other:?}"),
    };
    let said = detail(thief.join(&world, Some(victim.terms.id())).await.unwrap_err());
    assert!(said.contains("another account's"), "{said}");
    let said = detail(thief.join(&world, Some(thief.terms.id())).await.unwrap_err());
    assert!(said.contains("knows no such channel"), "{said}");
    thief.open(&world, PRICE - 1).await;
    let said = detail(thief.join(&world, Some(thief.terms.id())).await.unwrap_err());
    assert!(said.contains("top the channel up"), "{said}");
}

#[tokio::test]
async fn a_channel_that_was_opened_before_the_node_looked_is_asked_for() {
    let mut world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    world.stop().await;
    viewer.open(&world, DEPOSIT).await;
    // The place where it left the chain is forgotten; the channel never was in the database.
    let journal = world.journal().await;
    sqlx::query("DELETE FROM chain_cursor").execute(journal.pool()).await.unwrap();
    world.start_again().await;
    viewer.log_in(&world).await;
    assert!(viewer.join(&world, Some(viewer.terms.id())).await.unwrap().viewer_token.is_some());
}

#[tokio::test]
async fn a_login_answer_is_good_once_and_a_challenge_names_this_node_alone() {
    let world = World::start().await;
    let http = world.node().addresses().http;
    let account = serde_json::to_string(&pay::Signer::public(&person(EVE))).unwrap();
    let body = format!("{{\"account\":{account}}}");
    let (status, answer) = world::post(http, "/api/login/challenge", "evil.example:80", &body).await;
    assert!(status == 421 && answer.contains("unknown_host"), "{status} {answer}");
    let (status, answer) = world::post(http, "/api/login/challenge", &http.to_string(), &body).await;
    assert_eq!(status, 200, "{answer}");
    let asked: api::pay::ChallengeAnswer = serde_json::from_str(&answer).unwrap();
    assert_eq!(asked.host.as_str(), http.to_string());
    let signed = pay::Signed::sign(asked.challenge.0, &person(EVE)).unwrap();
    let request =
        api::pay::LoginRequest { challenge: api::WireHex(signed.body), signature: signed.signature };
    let body = serde_json::to_string(&request).unwrap();
    let here = http.to_string();
    let login = || world::post(http, "/api/login", &here, &body);
    assert_eq!(login().await.0, 200);
    assert_eq!(login().await.0, 401);
}

#[tokio::test]
async fn prices_need_a_creator_and_are_held_within_bounds() {
    let world = World::start().await;
    let create = |prices| CreateStream { title: "paid".into(), prices, ..CreateStream::default() };
    let refused = world.client.create_stream(&create(prices(PRICE))).await.unwrap_err();
    assert_eq!(code(&refused), "login_required");
    let stranger = world.client.login(&person(EVE)).await.unwrap();
    let refused = world.client.create_stream_as(&stranger, &create(prices(PRICE))).await.unwrap_err();
    assert_eq!(code(&refused), "not_a_creator");
    let refused = world.client.set_prices(&stranger, &world.stream.playback_id, prices(1)).await.unwrap_err();
    assert_eq!(code(&refused), "not_a_creator");
    let tier = prices(PRICE)[0];
    let wrong = [
        api::PriceTier { grace_ticks: 1, ..tier },
        api::PriceTier { tier: 5, ..tier },
        api::PriceTier { max_kbps: 0, ..tier },
    ];
    for wrong in wrong {
        let refused = world.client.create_stream_as(&world.creator, &create(vec![wrong])).await.unwrap_err();
        assert_eq!(code(&refused), "bad_prices");
    }
    let twice = [prices(1), prices(2)].concat();
    let refused = world.client.create_stream_as(&world.creator, &create(twice)).await.unwrap_err();
    assert_eq!(code(&refused), "bad_prices");
}

#[tokio::test]
async fn an_account_makes_the_node_pay_for_so_many_changes_a_minute() {
    let world = World::start().await;
    let mut made = 2;
    let refused = loop {
        let prices = prices(PRICE + made);
        match world.client.set_prices(&world.creator, &world.stream.playback_id, prices).await {
            Ok(_) => made += 1,
            Err(refused) => break refused,
        }
        assert!(made <= 40, "nothing ends it");
    };
    assert_eq!((code(&refused), made), ("too_often", 20), "with its delegation and its first stream");
    let another = CreateStream { title: "another".into(), prices: prices(PRICE), ..CreateStream::default() };
    let refused = world.client.create_stream_as(&world.creator, &another).await.unwrap_err();
    assert_eq!(code(&refused), "too_often");
    let free = CreateStream { prices: Vec::new(), ..another };
    world.client.create_stream_as(&world.creator, &free).await.unwrap();
}

#[tokio::test]
async fn nobody_is_let_in_once_half_a_dispute_window_went_by_without_a_block() {
    let world = World::with_window(4).await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    let (channel, party) =
        (viewer.terms.id(), Party { payer: viewer.terms.payer, payee: viewer.terms.payee });
    let least = Price::new(Amount::new(PRICE)).unwrap();
    let able = async || {
        let paid = world.node().app().billing().paid().unwrap();
        paid.cashier.is_able(party, channel, least).await
    };
    until(async || able().await == Err(Unable::ChainAway)).await;
    let refused = viewer.join(&world, Some(channel)).await.unwrap_err();
    assert_eq!(code(&refused), "chain_unreachable");
    until(async || {
        // A block without news of ours is one, too.
        viewer.transfer(&world, person(DAVE).public().account(), PRICE * PRICE).await;
        viewer.join(&world, Some(channel)).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn offers_are_renewed_before_they_end_and_stand_until_then_over_a_restart() {
    let mut world = World::start().await;
    let shown =
        async |world: &World| world.client.stream(&world.stream.playback_id).await.unwrap().offers.remove(0);
    let first = shown(&world).await;
    assert_eq!(shown(&world).await, first, "they are not made for each who asks");
    // Less than half of its time is left.
    let later = pay::UnixMillis(first.until.0 - 400_000);
    world.node().app().billing().clock.block(later);
    let second = shown(&world).await;
    assert!(second.until > first.until);
    assert_eq!(second.price, first.price);
    world.restart().await;
    let app = world.node().app();
    let id = crate::id::PlaybackId::parse(&world.stream.playback_id).unwrap();
    let row = app.store().stream_by_playback_id(&id).await.unwrap().unwrap();
    let priced = app.billing().paid().unwrap().catalogue.offers(&row).await.unwrap();
    for offer in [&first, &second] {
        let hash = offer.published.0.offer.body.hash();
        assert!(priced.book.in_force(&hash, later).is_ok());
    }
}

#[tokio::test]
async fn a_node_that_is_killed_loses_no_acknowledged_voucher() {
    let mut world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    let (mut socket, peer) = viewer.watch(&world).await;
    for second in 0..7 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, second).await;
    }
    let last = viewer.tab.last_voucher().copied();
    // Dropped, not stopped: nothing is said goodbye to.
    world.restart().await;
    viewer.log_in(&world).await;
    let (mut socket, peer) = viewer.connect_again(&world).await;
    let started = viewer.start(&mut socket).await;
    assert_eq!(started.last, last);
    assert!(started.next.0 >= 7, "what was sent counts as sent: {:?}", started.next);
    // The viewer names what it never saw, and goes on.
    for second in 0..3 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, started.next.0 + second).await;
    }
    assert_eq!(viewer.tab.spent(), Amount::new(10 * PRICE));
    drop(socket);
    world.settled(&viewer, 10 * PRICE).await;
    let report = audit(world.folder(), world.asked()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_settlement_that_a_killed_node_had_sent_is_not_sent_again() {
    let mut world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    let (socket, _peer) = viewer.watch(&world).await;
    // From here on no block comes by itself.
    world.devchain.set_sealing(Sealing::ByHand);
    drop(socket);
    world.waiting(1).await;
    world.restart().await;
    // Blocks in which it is not: it may still come.
    let intended = ("settle".to_owned(), "intended".to_owned());
    assert_eq!(world.settlements().await, [intended]);
    world.devchain.seal().unwrap();
    world.settled(&viewer, PRICE).await;
    assert_eq!(world.settlements().await, [("settle".to_owned(), "final".to_owned())]);
    let report = audit(world.folder(), world.asked()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_close_is_countered_though_nobody_knows_what_became_of_a_settlement() {
    let mut world = World::start().await;
    let (viewer, _socket) = paid_for_three_seconds(&world).await;
    world.stop().await;
    // It never got to the chain.
    let journal = world.journal().await;
    sqlx::query(
        "INSERT INTO settlements (channel, kind, cumulative, reason, intended_at) VALUES (?1, 'settle', ?2, 'end', '')",
    )
    .bind(viewer.terms.id().0.to_vec())
    .bind((3 * PRICE).to_string())
    .execute(journal.pool())
    .await
    .unwrap();
    world.start_again().await;
    viewer.start_close(&world).await;
    world.settled(&viewer, 3 * PRICE).await;
    let phase = world.rail.channel(viewer.terms.id()).await.unwrap().unwrap().finalized;
    assert!(
        matches!(phase, Phase::Closing { funds, .. } if funds.settled == Amount::new(3 * PRICE)),
        "{phase:?}"
    );
}

#[tokio::test]
async fn what_is_due_of_several_viewers_goes_in_one_transaction() {
    let world = World::start().await;
    let mut viewers = Vec::new();
    for at in [CHARLIE, DAVE, EVE] {
        let mut viewer = Viewer::new(&world, at).await;
        viewer.open(&world, DEPOSIT).await;
        let (socket, _peer) = viewer.watch(&world).await;
        viewers.push((viewer, socket));
    }
    world.devchain.set_sealing(Sealing::ByHand);
    for (at, (viewer, socket)) in viewers.iter_mut().enumerate() {
        socket.say(&pay::ToNode::Stop(viewer.terms.id())).await;
        // Its answer comes after the stop was heard.
        let voucher = viewer.tab.last_voucher().copied().unwrap();
        let again = pay::message::Pay { voucher, unplayed: pay::Unplayed::default(), in_advance: false };
        socket.say(&pay::ToNode::Pay(again)).await;
        let Some(ToViewer::Refused(refused)) = socket.read().await else { panic!("it was not refused") };
        assert_eq!(refused.reason, Refusal::NoSession);
        // The first one's is on its way, and the others wait for it.
        if at == 0 {
            world.waiting(1).await;
        }
    }
    world.devchain.seal().unwrap();
    world.settled(&viewers[0].0, PRICE).await;
    world.waiting(1).await;
    world.devchain.seal().unwrap();
    for (viewer, _) in &viewers {
        world.settled(viewer, PRICE).await;
    }
    let journal = world.journal().await;
    let sent: (i64, i64) = sqlx::query_as("SELECT count(*), count(DISTINCT tx) FROM settlements")
        .fetch_one(journal.pool())
        .await
        .unwrap();
    assert_eq!(sent, (3, 2));
}

async fn paid_for_three_seconds(world: &World) -> (Viewer, Socket) {
    let mut viewer = Viewer::new(world, CHARLIE).await;
    viewer.open(world, DEPOSIT).await;
    let (mut socket, peer) = viewer.watch(world).await;
    for second in 0..3 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, second).await;
    }
    (viewer, socket)
}

#[tokio::test]
async fn what_is_worth_settling_is_what_that_costs_to_the_unit() {
    let world = World::start().await;
    let (viewer, socket) = paid_for_three_seconds(&world).await;
    drop(socket);
    world.settled(&viewer, 3 * PRICE).await;
    let journal = world.journal().await;
    let fee = sqlx::query_scalar("SELECT fee FROM settlements").fetch_one(journal.pool());
    let fee: String = fee.await.unwrap();
    let billing = world.node().app().billing();
    let config = ChainConfig { settle_at_least: None, ..billing.paid().unwrap().config.clone() };
    let worth = worth_settling(world.rail.as_ref(), &config, &billing.key).await;
    assert_eq!(worth.to_string(), fee);
    assert!(worth > Amount::new(3 * PRICE), "this world's prices need a smaller one: {worth}");
}

async fn close(viewer: &mut Viewer, socket: &mut Socket) {
    let close = viewer.tab.close(&viewer.session).unwrap();
    socket.say(&pay::ToNode::Close(close)).await;
    let Some(ToViewer::Closed(ours)) = socket.read().await else { panic!("it was not agreed to") };
    viewer.tab.closed(&ours).unwrap();
}

#[tokio::test]
async fn a_close_that_both_sign_pays_the_creator_and_ends_the_channel() {
    let world = World::start().await;
    let (mut viewer, mut socket) = paid_for_three_seconds(&world).await;
    close(&mut viewer, &mut socket).await;
    world.settled(&viewer, 3 * PRICE).await;
    assert_eq!(world.settlements().await, [("close".to_owned(), "final".to_owned())]);
    let report = audit(world.folder(), world.asked()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_close_gives_the_rest_back_where_all_was_settled_before_it() {
    let world = World::start().await;
    let (mut viewer, mut socket) = paid_for_three_seconds(&world).await;
    let channel = viewer.terms.id();
    viewer.tab.stop();
    socket.say(&pay::ToNode::Stop(channel)).await;
    world.settled(&viewer, 3 * PRICE).await;
    close(&mut viewer, &mut socket).await;
    let closed = Phase::Closed { paid: Amount::new(3 * PRICE) };
    until(async || world.rail.channel(channel).await.unwrap().unwrap().finalized == closed).await;
    // Its page hears of it no more.
    let login = world.client.login(&viewer.session).await.unwrap();
    until(async || world.client.session_channels(&login).await.unwrap().is_empty()).await;
}

#[tokio::test]
async fn what_is_no_message_ends_the_socket_and_what_is_refused_does_not() {
    let world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    let (mut socket, _peer) = viewer.watch(&world).await;
    let last = viewer.tab.last_voucher().copied().unwrap();
    socket
        .say(&pay::ToNode::Pay(pay::message::Pay {
            voucher: last,
            unplayed: pay::Unplayed::default(),
            in_advance: false,
        }))
        .await;
    let Some(ToViewer::Refused(refused)) = socket.read().await else { panic!("it was not refused") };
    assert_eq!((refused.reason, refused.last), (Refusal::Replayed, Some(last)));
    let mut longer = pay::ToNode::Stop(viewer.terms.id()).to_bytes();
    longer.push(0);
    socket.send(longer).await;
    assert_eq!(socket.read().await, None);
    assert!(PAY_SUBPROTOCOL.starts_with("tickcast"));
}

/// Charlie opens a channel, watches, pays, and leaves; what was paid is settled.
async fn watched_for_twelve_seconds(world: &World) {
    let mut viewer = Viewer::new(world, CHARLIE).await;
    viewer.open(world, DEPOSIT).await;
    let (mut socket, peer) = viewer.watch(world).await;
    for second in 0..12 {
        world.reach(peer, 1, second);
        viewer.play(&mut socket, second).await;
    }
    drop(socket);
    world.settled(&viewer, 12 * PRICE).await;
}

#[tokio::test]
async fn what_was_earned_is_told_to_its_creator_and_to_the_nodes_own_machine_alone() {
    let world = World::start().await;
    assert_eq!(world.client.earnings(None).await.unwrap(), []);
    watched_for_twelve_seconds(&world).await;
    let told = world.client.earnings(None).await.unwrap();
    let [row] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&row.playback_id, row.payers, row.seconds), (&world.stream.playback_id, 1, 12));
    assert_eq!(row.earned, Amount::new(12 * PRICE));
    assert!(row.last_paid_at.is_some());

    let dave = world.client.login(&person(DAVE)).await.unwrap();
    assert_eq!(world.client.earnings(Some(&world.creator)).await.unwrap(), told);
    assert_eq!(world.client.earnings(Some(&dave)).await.unwrap(), []);
    let (status, said) = get_by_name(world.node().addresses().http, "/api/v1/earnings", "node.example").await;
    assert_eq!(status, 401, "{said}");
    assert!(said.contains("login_required") && !said.contains(&world.stream.playback_id), "{said}");
}

#[tokio::test]
async fn the_audit_finds_what_was_changed() {
    let world = World::start().await;
    watched_for_twelve_seconds(&world).await;
    let journal = Journal::open(world.folder()).await.unwrap();
    let run = async |sql: &'static str| sqlx::query(sql).execute(journal.pool()).await.map(|_| ());
    let findings = async || audit(world.folder(), world.asked()).await.unwrap().findings;
    assert_eq!(findings().await, [""; 0]);
    assert!(run("DELETE FROM pay_audit_log WHERE seq = 1").await.is_err());
    run("UPDATE stream_viewers SET paid_amount = '1' WHERE total_ticks > 0").await.unwrap();
    assert!(findings().await[0].contains("viewers have paid 1"));
    run("UPDATE stream_viewers SET paid_amount = '12000000' WHERE total_ticks > 0").await.unwrap();
    assert_eq!(findings().await, [""; 0]);
    run("DROP TRIGGER pay_audit_log_is_not_changed").await.unwrap();
    run("UPDATE pay_audit_log SET detail = '{}' WHERE seq = 2").await.unwrap();
    assert!(findings().await[0].contains("row 2 of the audit log"));
    run("DELETE FROM vouchers WHERE tick = (SELECT max(tick) FROM vouchers)").await.unwrap();
    let found = findings().await;
    assert!(found.iter().any(|finding| finding.contains("end differently")), "{found:?}");
    assert!(found.iter().any(|finding| finding.contains("the chain settled 12000000")), "{found:?}");
}

#[tokio::test]
async fn a_full_disk_stores_nothing_and_says_so_until_there_is_room() {
    let world = World::start().await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    let journal = Journal::open(world.folder()).await.unwrap();
    let channel = pay::Channel::new(viewer.terms);
    let unit = || Unit {
        channels: vec![ChannelRow { channel: channel.clone(), is_retired: false }],
        acts: vec![Act::new("test", serde_json::json!({ "filler": "x".repeat(100_000) }))],
        ..Unit::default()
    };
    // SQLite's own limit answers as a disk without room does.
    let limit =
        async |pages: &'static str| sqlx::query(pages).execute(journal.pool()).await.map(drop).unwrap();
    limit("PRAGMA max_page_count = 1").await;
    let now = world.node().app().billing().clock.now();
    assert_eq!(journal.commit(&[unit(), unit()], now).await, [false, false]);
    assert!(journal.load().await.unwrap().channels.is_empty());
    limit("PRAGMA max_page_count = 1000000").await;
    assert_eq!(journal.commit(&[unit()], now).await, [true]);
    assert_eq!(journal.load().await.unwrap().channels.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_stored_of_one_payer_is_stored_of_the_others() {
    let world = World::start().await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    let journal = Journal::open(world.folder()).await.unwrap();
    let now = world.node().app().billing().clock.now();
    let channel = pay::Channel::new(viewer.terms);
    let good = Unit { channels: vec![ChannelRow { channel, is_retired: false }], ..Unit::default() };
    // Of a channel that the database does not have.
    let ledger = LedgerRow {
        payer: viewer.terms.payer,
        payee: viewer.terms.payee,
        channel: pay::ChannelId([9; 32]),
        record: vec![1],
        accepted: Amount::ZERO,
    };
    let bad = Unit { ledger: Some(ledger), ..Unit::default() };
    assert_eq!(journal.commit(&[bad, good], now).await, [false, true]);
    let loaded = journal.load().await.unwrap();
    assert_eq!((loaded.channels.len(), loaded.ledgers.len()), (1, 0));
}

#[tokio::test]
async fn a_node_that_starts_while_its_chain_is_away_plays_what_is_free_and_is_paid_once_it_is_back() {
    let mut world = World::start().await;
    let (mut viewer, socket) = paid_for_three_seconds(&world).await;
    drop(socket);
    world.stop().await;
    let endpoint = world.devchain.serve(0).await.unwrap();
    let port = endpoint.address().port();
    world.set_endpoint(endpoint.url());
    endpoint.close().await;
    world.start_again().await;
    viewer.log_in(&world).await;
    let refused = viewer.join(&world, Some(viewer.terms.id())).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(problem) if problem.status == 503), "{refused}");
    assert_eq!(code(&refused), "chain_unreachable");
    assert_eq!(code(&world.client.pay_info().await.unwrap_err()), "chain_unreachable");
    let free = CreateStream { title: "free".into(), ..CreateStream::default() };
    let free = world.client.create_stream(&free).await.unwrap();
    let request = JoinRequest { viewer_id: "somebody".into(), channel: None };
    world.client.join(None, &free.playback_id, &request).await.unwrap();
    let told = world.client.streams().await.unwrap();
    let mut told: Vec<_> = told.iter().map(|one| (one.is_paid, one.offers.len())).collect();
    told.sort_unstable();
    assert_eq!(told, [(false, 0), (true, 0)], "what is paid is not called free");
    let _back = world.devchain.serve(port).await.unwrap();
    until(async || world.client.pay_info().await.is_ok()).await;
    let (mut socket, peer) = viewer.connect_again(&world).await;
    let started = viewer.start(&mut socket).await;
    world.reach(peer, 1, 0);
    viewer.play(&mut socket, started.next.0).await;
    assert_eq!(viewer.tab.spent(), Amount::new(4 * PRICE));
    drop(socket);
    world.settled(&viewer, 4 * PRICE).await;
    world.stop().await;
}

#[tokio::test]
async fn a_peer_that_is_gone_before_it_is_told_of_is_sent_nothing_that_would_count() {
    let world = World::start().await;
    let mut viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    world.go_live(&world.stream).await;
    let mut joined = None;
    until(async || {
        joined = viewer.join(&world, Some(viewer.terms.id())).await.ok();
        joined.is_some()
    })
    .await;
    let joined = joined.unwrap();
    let token = joined.viewer_token.unwrap();
    let app = world.node().app();
    let (billing, id) = (app.billing(), PlaybackId::parse(&world.stream.playback_id).unwrap());
    let row = app.store().stream_by_playback_id(&id).await.unwrap().unwrap();
    let ticket = billing.tickets.redeem(&token, billing.clock.now()).unwrap();
    let paid = billing.paid().unwrap();
    let priced = paid.catalogue.offers(&row).await.unwrap();
    let config = sfu::ViewerConfig {
        stream: sfu::StreamId(1),
        max_layer: media::RenditionName::VeryLow,
        choice: sfu::LayerChoice::Auto,
        metered: true,
    };
    // Never let in: nobody there.
    let peer = app.sfu().answer_viewer(OFFER, config).unwrap().accepted().peer;
    // Both wait when the cashier looks.
    paid.cashier.tell(Input::Peer { peer: peer.into(), ticket, priced }).await;
    paid.cashier.meters.gone(peer, false);
    let mut socket = viewer.connect(&joined.pay_url.unwrap(), &token).await;
    viewer.start(&mut socket).await;
    drop(socket);
    let (mut socket, _peer) = viewer.connect_again(&world).await;
    let started = viewer.start(&mut socket).await;
    assert_eq!(started.next, Tick(0), "the second that was paid in advance was not sent");
}

#[tokio::test]
async fn a_data_folder_is_of_one_chain() {
    let mut world = World::start().await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    world.settled(&viewer, 0).await;
    world.stop().await;
    let other = Config::at_once().with_funded([([9; 32], PRICE * DEPOSIT)]);
    let other = Devchain::start(other).await.unwrap();
    let refused = Node::start(config(world.folder(), &other)).await.err().unwrap();
    assert!(refused.to_string().contains("another chain"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_a_paid_stream_is_told_that_the_node_cannot_pay_for_settling() {
    let world = World::start().await;
    let key = world.client.pay_info().await.expect("it is paid").node_key;
    let [notice] = &world.stream.notices[..] else { panic!("{:?}", world.stream.notices) };
    // As Substrate's `subkey` writes the account of that name.
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    assert_eq!(chain::address_of(person(ALICE).public().account()), alice);
    assert!(notice.contains(&chain::address_of(key.account())), "{notice}");
    assert_eq!(world.create("With funds", PRICE).await.notices, [""; 0]);
}
