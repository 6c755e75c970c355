//! Pages: they hold a channel's session key, and nothing of the account that pays.

use api::pay::LoggedIn;
use api::{ClientError, CreateStream, JoinRequest, Joined};
use pay::{ChannelId, Delegation, Signed, Signer, UnixMillis};

use super::code;
use super::world::{CHARLIE, DEPOSIT, EVE, PRICE, Viewer, World, person, prices};

const DAY_MS: u64 = 24 * 3_600_000;

async fn join(
    world: &World,
    login: &LoggedIn,
    playback_id: &str,
    channel: Option<ChannelId>,
) -> Result<Joined, ClientError> {
    let request = JoinRequest { viewer_id: "page".into(), channel };
    world.client.join(Some(login), playback_id, &request).await
}

/// What a node says where it wants payment.
fn said(refused: Result<Joined, ClientError>) -> String {
    match refused {
        Err(ClientError::PaymentRequired(required)) => required.problem.detail.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_finds_the_channel_that_was_opened_for_its_key_and_watches_in_its_payers_name() {
    let mut world = World::start().await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    let login = world.client.login(&viewer.session).await.unwrap();
    assert_eq!(world.client.session_channels(&login).await.unwrap(), []);
    viewer.open(&world, DEPOSIT).await;
    // Opened and asked for by two ways: the node hears of it by its own.
    let mut known = Vec::new();
    while known.is_empty() {
        known = world.client.session_channels(&login).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((known.len(), known[0].terms.0), (1, viewer.terms));
    assert_eq!((known[0].deposit.units(), known[0].spent.units()), (DEPOSIT, 0));
    let channel = Some(viewer.terms.id());
    let joined = join(&world, &login, &world.stream.playback_id, channel).await.unwrap();
    let billing = world.node().app().billing();
    let ticket = billing.tickets.redeem(&joined.viewer_token.unwrap(), billing.clock.now()).unwrap();
    assert_eq!(ticket.account, viewer.terms.payer);
    // It stands in the node's books, too.
    world.stop().await;
    world.start_again().await;
    let login = world.client.login(&viewer.session).await.unwrap();
    assert_eq!(world.client.session_channels(&login).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_session_key_opens_nothing_of_its_payer_but_that_channels_streams() {
    let world = World::start().await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    let login = world.client.login(&viewer.session).await.unwrap();
    let channel = Some(viewer.terms.id());
    // Not without naming it, nor another one of the same account.
    assert!(said(join(&world, &login, &world.stream.playback_id, None).await).contains("name it"));
    let other = pay::ChannelTerms { session: person(EVE).public(), nonce: 1, ..viewer.terms };
    let call = chain::Call::Open {
        terms: other,
        deposit: pay::Amount::new(DEPOSIT),
        expires_at: world.node().app().billing().clock.now().plus(30 * DAY_MS),
    };
    world.rail.submit(call, std::sync::Arc::new(person(CHARLIE))).await.unwrap();
    let refused = said(join(&world, &login, &world.stream.playback_id, Some(other.id())).await);
    assert!(refused.contains("another account's"), "{refused}");
    // Not somebody else's streams.
    let info = world.client.pay_info().await.unwrap();
    let eve = world.client.login(&person(EVE)).await.unwrap();
    let delegation = Delegation {
        genesis: viewer.terms.genesis,
        payee: person(EVE).public(),
        node: info.node_key,
        from: UnixMillis(0),
        until: world.node().app().billing().clock.now().plus(DAY_MS),
    };
    world.client.delegate(&eve, &Signed::sign(delegation, &person(EVE)).unwrap()).await.unwrap();
    let paid = CreateStream { title: "Eve's".into(), prices: prices(PRICE), ..CreateStream::default() };
    let hers = world.client.create_stream_as(&eve, &paid).await.unwrap();
    let refused = said(join(&world, &login, &hers.playback_id, channel).await);
    assert!(refused.contains("pays somebody else"), "{refused}");
    // And nothing that the account may do itself: it is another account.
    assert_eq!(login.account, viewer.session.public());
    let delegation = Delegation { payee: person(CHARLIE).public(), ..delegation };
    let delegation = Signed::sign(delegation, &person(CHARLIE)).unwrap();
    assert_eq!(code(&world.client.delegate(&login, &delegation).await.unwrap_err()), "wrong_delegation");
    assert_eq!(code(&world.client.create_stream_as(&login, &paid).await.unwrap_err()), "not_a_creator");
}

#[tokio::test]
async fn the_channels_of_a_key_are_told_to_that_key_alone() {
    let world = World::start().await;
    let viewer = Viewer::new(&world, CHARLIE).await;
    viewer.open(&world, DEPOSIT).await;
    let login = world.client.login(&person(EVE)).await.unwrap();
    assert_eq!(world.client.session_channels(&login).await.unwrap(), []);
    let forged = LoggedIn { token: "nonsense".into(), ..login };
    assert_eq!(code(&world.client.session_channels(&forged).await.unwrap_err()), "login_required");
}
