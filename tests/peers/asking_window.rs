//! A window that asks before the first paid second: for the account, the cap and the passphrase.

use media::Size;
use testkit::memory::holds;
use testkit::{AudioServer, LoggedChild, Xvfb, wait_until};
use tokio::runtime::Runtime;
use tokio::task::block_in_place;
use wallet::ChannelStatus;

use crate::broadcasts::LIMIT;
use crate::home::{Home, PASSPHRASE};
use crate::market::{PRICE, Rules, until};
use crate::paused_window::seconds;
use crate::show::Show;

const SIZE: Size = Size::new(960, 540);
/// The tokens of the dark theme: a sheet's ground, words of what is wrong, and what may be pressed.
pub const PANEL: [u8; 3] = [0x15, 0x18, 0x1d];
pub const BAD: [u8; 3] = [0xff, 0x6b, 0x6b];
pub const SELECT: [u8; 3] = [0x5b, 0x8c, 0xff];
/// The button's pixels, and more than those of a field's frame.
pub const BUTTON: usize = 1_500;
/// A window offers ten minutes.
const MINUTES: u128 = 600;

/// How much of a window of that size, in the screen's corner, has the colour.
pub fn pixels(display: &Xvfb, size: Size, colour: [u8; 3]) -> usize {
    let screen = display.screenshot().expect("a picture of the screen");
    let all = screen.part(0, 0, size.width as usize, size.height as usize);
    all.into_iter().filter(|pixel| *pixel == colour).count()
}

pub fn shows(display: &Xvfb, window: &mut LoggedChild, what: &str, is_there: impl Fn(&Xvfb) -> bool) {
    let looked = wait_until(what, LIMIT, || {
        assert!(!window.has_ended(), "{}", window.errors());
        is_there(display).then_some(())
    });
    looked.unwrap_or_else(|err| panic!("{err}\n{}", window.errors()));
}

fn knows_passphrase(process: u32) -> bool {
    let found = holds(process, &[PASSPHRASE.as_bytes()]);
    found.unwrap_or_else(|err| panic!("the window's memory (this takes root): {err}"))[0]
}

#[test]
fn a_window_asks_for_a_passphrase_pays_by_what_was_agreed_and_forgets_it() {
    Runtime::new().expect("a runtime").block_on(async {
        let show = Show::open(Rules { people: 1, ..Rules::default() }).await;
        let home = Home::new(&show.market, 1, PRICE);
        let wallet = home.open();
        let display = Xvfb::start(SIZE.width, SIZE.height).expect("a display");
        let speaker = AudioServer::start().expect("an audio server");
        let mut viewer = home.asked_on(&display, &speaker, &show.place.playback_id);
        block_in_place(|| {
            let window = display.window("For a price", LIMIT).expect("a window");
            let is_sheet =
                |display: &Xvfb| pixels(display, SIZE, PANEL) * 4 > (SIZE.width * SIZE.height) as usize;
            shows(&display, &mut viewer, "the sheet", is_sheet);
            // What is wrong is said, and asked for again.
            display.types(&window, "not it").expect("it is typed");
            let is_ready = |display: &Xvfb| pixels(display, SIZE, SELECT) > BUTTON;
            shows(&display, &mut viewer, "a button to press", is_ready);
            display.keys(&window, &["Return"]).expect("a key");
            shows(&display, &mut viewer, "what is wrong", |display| pixels(display, SIZE, BAD) > 0);
            display.types(&window, PASSPHRASE).expect("it is typed");
            shows(&display, &mut viewer, "a button to press again", is_ready);
            let process = viewer.id();
            shows(&display, &mut viewer, "all of it in the field", |_| knows_passphrase(process));
            display.keys(&window, &["Return"]).expect("a key");
        });
        until("it pays", async || {
            assert!(!viewer.has_ended(), "{}\n{}", viewer.output().join("\n"), viewer.errors());
            (seconds(&wallet) >= 3).then_some(())
        })
        .await;
        assert!(!knows_passphrase(viewer.id()), "it was needed once");
        let status = block_in_place(|| viewer.terminate(2 * LIMIT)).expect("it ends");
        let said = format!("{}\n{}", viewer.output().join("\n"), viewer.errors());
        assert!(status.success() && !said.contains(PASSPHRASE), "{said}");

        let [channel] = &wallet.channels().expect("the wallet's channels")[..] else { panic!("{said}") };
        assert_eq!((channel.deposit.units(), channel.status), (MINUTES * PRICE, ChannelStatus::Closed));
        let paid = seconds(&wallet);
        let report: serde_json::Value = serde_json::from_str(&viewer.output().join("\n")).expect("a report");
        assert_eq!(report["payment"]["total"].as_str(), Some(&*(paid * PRICE).to_string()), "{report:#}");
        show.end(u64::try_from(paid).expect("some seconds")).await;
    });
}
