//! The native prompt: what a page asks for is shown in a window, and signed there with the passphrase.

use media::Size;
use pay::{KeyScheme, Keypair, Phase, Signer};
use serde_json::Value;
use testkit::{Xvfb, wait_until};
use tokio::runtime::Runtime;
use tokio::task::block_in_place;
use wallet::ChannelStatus;

use crate::asking_window::{BAD, BUTTON, PANEL, SELECT, pixels, shows};
use crate::broadcasts::LIMIT;
use crate::home::{Home, PASSPHRASE};
use crate::market::{PRICE, Rules, TIER};
use crate::show::Show;

const SIZE: Size = Size::new(560, 520);
/// As a page asks for: five minutes.
const DEPOSIT: u128 = 300 * PRICE;

#[test]
fn what_a_page_asks_for_is_signed_in_a_window_by_the_passphrase_alone() {
    Runtime::new().expect("a runtime").block_on(async {
        let show = Show::open(Rules { people: 1, ..Rules::default() }).await;
        let home = Home::new(&show.market, 1, PRICE);
        let wallet = home.open();
        let display = Xvfb::start(SIZE.width, SIZE.height).expect("a display");
        // The page's own.
        let session = Keypair::from_seed(KeyScheme::Ed25519, &[9; 32].into()).public();
        let key = serde_json::to_value(session).expect("a key");
        let link = format!(
            "tickcast:approve?node={}&stream={}&tier={TIER}&session={}&deposit={DEPOSIT}",
            home.node(),
            show.place.playback_id,
            key.as_str().expect("digits")
        );
        let mut prompt = home.approving_on(&display, &link);
        block_in_place(|| {
            let window = display.window("Approve", LIMIT).expect("a window");
            let is_ready = |display: &Xvfb| pixels(display, SIZE, SELECT) > BUTTON;
            let is_sheet =
                |display: &Xvfb| pixels(display, SIZE, PANEL) * 4 > (SIZE.width * SIZE.height) as usize;
            shows(&display, &mut prompt, "what is signed", is_sheet);
            display.types(&window, "not it").expect("it is typed");
            shows(&display, &mut prompt, "a button to press", is_ready);
            display.keys(&window, &["Return"]).expect("a key");
            shows(&display, &mut prompt, "what is wrong", |display| pixels(display, SIZE, BAD) > 0);
            let prepared = wallet.channels().expect("the wallet's channels");
            let statuses: Vec<_> = prepared.iter().map(|channel| channel.status).collect();
            assert_eq!(statuses, [ChannelStatus::Prepared], "nothing was signed");
            display.types(&window, PASSPHRASE).expect("it is typed");
            shows(&display, &mut prompt, "a button to press again", is_ready);
            display.keys(&window, &["Return"]).expect("a key");
            let said = wait_until("what became of it", LIMIT, || {
                assert!(!prompt.has_ended(), "{}", prompt.errors());
                prompt.output().first().cloned()
            });
            let said: Value = serde_json::from_str(&said.expect("it is done")).expect("a report");
            assert_eq!(said["deposit"].as_str(), Some(&*DEPOSIT.to_string()), "{said}");
            // It stays until it was read.
            display.keys(&window, &["Escape"]).expect("a key");
            let status = prompt.wait(LIMIT).expect("it ends");
            let told = format!("{}\n{}", prompt.output().join("\n"), prompt.errors());
            assert!(status.success() && !told.contains(PASSPHRASE), "{told}");
        });
        let [channel] = &wallet.channels().expect("the wallet's channels")[..] else { panic!("one channel") };
        assert_eq!((channel.status, channel.terms.session), (ChannelStatus::Open, session));
        let state = show.market.rail.channel(channel.terms.id()).await.expect("the chain answers");
        let Some(Phase::Open(funds)) = state.map(|state| state.finalized) else { panic!("it is open") };
        assert_eq!(funds.deposit.units(), DEPOSIT);
        show.end(0).await;
    });
}
