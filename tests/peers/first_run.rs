//! From the first start to a paid broadcast that somebody else watches for half a minute: real windows, no terminal. What a
//! person does is counted, and how long it takes is told.
//!
//! Leaves pictures of each step in the folder that `TICKCAST_SHOTS` names, if it is set.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use api::Client;
use chain::{Call, EscrowRail, Rail, Settings};
use devchain::{Config, development_accounts};
use media::Size;
use pay::{AccountId, Amount, KeyScheme, Keypair, Signer};
use testkit::webdriver::picture;
use testkit::{AudioServer, LoggedChild, Xvfb, wait_until};
use tokio::runtime::Runtime;
use tokio::task::block_in_place;
use wallet::{Address, Name, SecretText, Unit, Wallet, key_from_secret};

use crate::any_chain::AnyChain;
use crate::asking_window::{PANEL, SELECT, pixels, shows};
use crate::broadcasts::{LIMIT, TICKCAST};
use crate::desk::{ANY_PORTS, Desk};
use crate::market::{DEPOSIT, account, now, until};
use crate::paused_window::seconds;

/// The wallet's window lies in the screen's corner.
const PROMPT: Size = Size::new(560, 520);
const VIEWER: Size = Size::new(960, 540);
/// Pixels of a button that may be pressed, which are more than those of a field's frame; and of one with five words on it.
const BUTTON: usize = 1_500;
const WIDE_BUTTON: usize = 4_000;
const PASSPHRASE: &str = "a passphrase of the test";
/// What is watched, at least.
const WATCHED_S: u128 = 30;

/// What a person does, and how long it takes.
struct Steps {
    begun: Instant,
    clicks: u32,
}

impl Steps {
    fn begin() -> Self {
        Self { begun: Instant::now(), clicks: 0 }
    }

    fn click(&mut self) {
        self.clicks += 1;
    }

    fn tell(&self, what: &str) {
        println!("{what}: {} clicks, {:.1} s", self.clicks, self.begun.elapsed().as_secs_f64());
    }
}

fn keep(display: &Xvfb, size: (u32, u32), name: &str) {
    let Some(kept) = std::env::var_os("TICKCAST_SHOTS") else { return };
    picture(display.display(), size, &Path::new(&kept).join(format!("{name}.png"))).expect("a picture");
}

/// The wallet's window.
pub struct Prompt<'a>(pub &'a Xvfb);

impl Prompt<'_> {
    pub fn shows(&self, what: &str, is_there: impl Fn(&Xvfb) -> bool) -> String {
        let window = self.0.window("Approve", LIMIT).expect("the wallet's window");
        wait_until(what, LIMIT, || is_there(self.0).then_some(())).unwrap_or_else(|err| panic!("{err}"));
        window
    }

    fn sheet(&self) -> String {
        let most = (PROMPT.width * PROMPT.height) as usize / 6;
        self.shows("the wallet's question", |display| pixels(display, PROMPT, PANEL) > most)
    }

    fn enter(&self, window: &str, text: &str) {
        self.0.types(window, text).expect("it is typed");
        self.0.keys(window, &["Return"]).expect("a key");
    }

    /// Presses the button that may be pressed, once there is one.
    pub fn press_it(&self) {
        self.shows("a button to press", |display| pixels(display, PROMPT, SELECT) > BUTTON);
        self.press();
    }

    fn press(&self) {
        let screen = self.0.screenshot().expect("a picture of the screen");
        let (width, all) =
            (PROMPT.width as usize, screen.part(0, 0, PROMPT.width as usize, PROMPT.height as usize));
        let lit = all
            .iter()
            .enumerate()
            .filter(|(_, pixel)| **pixel == SELECT)
            .map(|(index, _)| (index % width, index / width));
        let (xs, ys): (Vec<_>, Vec<_>) = lit.unzip();
        let middle = |all: &[usize]| {
            let (Some(least), Some(most)) = (all.iter().min(), all.iter().max()) else { return 0 };
            u32::try_from(usize::midpoint(*least, *most)).expect("on the screen")
        };
        self.0.click(middle(&xs), middle(&ys)).expect("a click");
    }
}

/// Somebody else, with money and an account that has met the chain.
struct Viewer {
    home: PathBuf,
    wallet: Wallet,
}

impl Viewer {
    fn new(folder: &Path, rail: &EscrowRail) -> Self {
        let home = folder.join("viewer");
        let wallet = Wallet::open(home.join("tickcast/wallet")).expect("a wallet");
        let key = key_from_secret(KeyScheme::Sr25519, &format!("0x{}", "01".repeat(32))).expect("a key");
        let (name, passphrase) = (Name::new("viewer"), SecretText::new(PASSPHRASE));
        wallet.add(&name.expect("a name"), &key, &passphrase.expect("a text"), now()).expect("an account");
        let info = rail.info();
        let unit = Unit::new(&info.symbol, info.decimals);
        wallet.know_unit(info.genesis, info.asset, &unit).expect("the chain is known");
        Self { home, wallet }
    }

    fn open(&self, display: &Xvfb, speaker: &AudioServer, link: &str) -> LoggedChild {
        let mut command = Command::new(TICKCAST);
        command.args(["open", link]).current_dir(&self.home).env("XDG_DATA_HOME", &self.home);
        command.env("GTK_THEME", "Adwaita:dark").envs(display.environment()).envs(speaker.environment());
        LoggedChild::spawn("the viewer's window", &mut command).expect("a viewer")
    }
}

async fn fund(rail: &EscrowRail, to: AccountId, units: u128) {
    let alice = development_accounts().into_iter().find(|account| account.uri == "//Alice");
    let alice = Keypair::from_seed(KeyScheme::Sr25519, &alice.expect("the chain has an Alice").seed.into());
    let call = Call::Transfer { to, amount: Amount::new(units) };
    rail.submit(call, std::sync::Arc::new(alice)).await.expect("money comes");
}

#[test]
fn a_person_goes_from_the_first_start_to_a_paid_broadcast_that_another_watches() {
    Runtime::new().expect("a runtime").block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let viewers_account = account(1).public().account();
        let config = Config::slow().with_funded([(viewers_account.0, DEPOSIT)]);
        let chain = AnyChain::start(config).await;
        let rail = EscrowRail::connect(Settings::new([chain.url()])).await.expect("the chain answers");
        let settings =
            format!("{ANY_PORTS}[chain]\nendpoints = [{:?}]\ndispute_window_s = 60\n", chain.url());

        let mut steps = Steps::begin();
        let desk = block_in_place(|| Desk::open("Adwaita:dark", &settings));
        let prompt = Prompt(&desk.display);
        let shot = |name: &str| keep(&desk.display, crate::desk::SIZE, name);
        block_in_place(|| {
            desk.page.click("Make an account").expect("the button");
            steps.click();
            let window = prompt.sheet();
            prompt.enter(&window, PASSPHRASE);
            shot("desk-first-passphrase");
            prompt.enter(&window, PASSPHRASE);
            prompt.shows("the words", |display| pixels(display, PROMPT, SELECT) > WIDE_BUTTON);
            shot("desk-first-words");
            prompt.press();
            steps.click();
            desk.shows("You have an account");
        });
        steps.tell("to an account");
        let own = Wallet::open(desk.folder.path().join("data/tickcast/wallet")).expect("the Desk's wallet");
        let [creator] = &own.accounts().expect("its accounts")[..] else { panic!("one account") };
        // As a stranger's money comes to it: no click of this person's.
        let (node, paused) = (block_in_place(|| desk.node()), Instant::now());
        let info =
            Client::new(format!("http://{node}")).expect("an address").pay_info().await.expect("its terms");
        let unit = 10_u128.pow(rail.info().decimals.into());
        tokio::join!(fund(&rail, creator.account, unit), fund(&rail, info.node_key.account(), 10 * unit));
        steps.begun += paused.elapsed();

        let title = "First concert";
        block_in_place(|| {
            desk.page.fill("Title of the broadcast", title).expect("the field");
            desk.page.choose("Price", "By the second").expect("the list");
            steps.click();
            desk.page.fill("A second costs", "0.1").expect("the field");
            shot("desk-first-terms");
            desk.page.click("Open Stage").expect("the button");
            steps.click();
            let window = prompt.sheet();
            shot("desk-first-login");
            prompt.enter(&window, PASSPHRASE);
            // The window goes from one question to the next with nothing to press in between.
            prompt.shows("nothing to press", |display| pixels(display, PROMPT, SELECT) < BUTTON);
            prompt.shows("what the node may do", |display| pixels(display, PROMPT, SELECT) > BUTTON);
            shot("desk-first-delegation");
            prompt.press();
            steps.click();
            let window = desk.display.window("Stage", LIMIT).expect("the Stage's window");
            desk.page
                .wait_for("document.querySelector('main').dataset.stage === 'running'")
                .expect("it is ready");
            shot("desk-first-stage");
            desk.display.keys(&window, &["ctrl+l"]).expect("a key");
            steps.click();
            if crate::stage::take_off(&desk.display, crate::desk::SIZE, || desk.has("1 stream live")) {
                println!("this machine was busy, which was asked about");
                steps.click();
            }
        });
        steps.tell("to live");
        block_in_place(|| shot("desk-first-live"));

        let client = Client::new(format!("http://{node}")).expect("an address");
        let [stream] = &client.streams().await.expect("the node's streams")[..] else { panic!("one stream") };
        assert!(stream.is_paid && stream.title == title, "{stream:?}");
        let link = format!("tickcast:watch?url=http%3A%2F%2F{node}%2Fwatch%2F{}", stream.playback_id);
        let viewer = Viewer::new(folder.path(), &rail);
        let (display, speaker) = (Xvfb::start(VIEWER.width, VIEWER.height), AudioServer::start());
        let (display, speaker) = (display.expect("a display"), speaker.expect("an audio server"));
        let mut steps = Steps::begin();
        let mut window = viewer.open(&display, &speaker, &link);
        steps.click();
        block_in_place(|| {
            let shown = display.window(title, LIMIT).expect("a window");
            let most = (VIEWER.width * VIEWER.height) as usize / 4;
            shows(&display, &mut window, "the sheet", |display| pixels(display, VIEWER, PANEL) > most);
            keep(&display, (VIEWER.width, VIEWER.height), "watch-sheet");
            display.types(&shown, PASSPHRASE).expect("it is typed");
            display.keys(&shown, &["Return"]).expect("a key");
            steps.click();
        });
        let has_paid = async |least: u128| {
            until("it pays", async || (seconds(&viewer.wallet) >= least).then_some(())).await;
        };
        has_paid(1).await;
        steps.tell("from a link to the first paid second");
        has_paid(5).await;
        block_in_place(|| keep(&display, (VIEWER.width, VIEWER.height), "watch-playing"));
        until("half a minute is paid for", async || {
            assert!(!window.has_ended(), "{}", window.errors());
            (seconds(&viewer.wallet) >= WATCHED_S).then_some(())
        })
        .await;
        let status = block_in_place(|| window.terminate(2 * LIMIT)).expect("it ends");
        assert!(status.success(), "{}", window.errors());
        let paid = seconds(&viewer.wallet);

        block_in_place(|| {
            let window = desk.display.window("Stage", LIMIT).expect("the Stage's window");
            crate::stage::end_broadcast(&desk.display, &window, crate::desk::SIZE);
            desk.shows("Nothing is live");
            shot("desk-first-over");
        });
        // Both sides and the chain have the same, to the unit.
        let [channel] = &viewer.wallet.channels().expect("its channels")[..] else { panic!("one channel") };
        let settled = async || {
            let state = rail.channel(channel.terms.id()).await.ok().flatten()?;
            (state.head.settled().units() == paid * crate::market::PRICE).then_some(())
        };
        until("it is settled", settled).await;
        let units = Unit::new(&rail.info().symbol, rail.info().decimals);
        let words = units.shortly(Amount::new(paid * crate::market::PRICE));
        block_in_place(|| {
            // Its window would cover the pages in the pictures.
            desk.go("Home");
            desk.page.click("Close Stage").expect("the button");
            desk.page
                .wait_for("document.querySelector('main').dataset.stage === 'stopped'")
                .expect("it closes");
            desk.go("Studio");
            desk.page.click("More of First concert").expect("the button");
            desk.page.fill("A second is to cost", "0.2").expect("the field");
            desk.page.click("Change price").expect("the button");
            let window = prompt.sheet();
            shot("desk-price-login");
            prompt.enter(&window, PASSPHRASE);
            desk.shows("0.2 DEV a second");
            shot("desk-price");
            desk.go("Earnings");
            desk.shows(&words);
            shot("desk-earnings");
            desk.go("Wallet");
            desk.shows("main");
            desk.page
                .wait_for("/^[0-9.]+ DEV$/.test(document.querySelector('td.number')?.innerText ?? '')")
                .expect("a balance");
            shot("desk-wallet");
        });
        let address = Address::generic(channel.terms.payee).to_string();
        assert_eq!(address, creator.address().to_string(), "who is paid");
        drop(desk);
        chain.stop().await;
        println!("{paid} s watched and paid for");
    });
}
