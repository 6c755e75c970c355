//! A person's wallet in a folder of its own, and the executable that watches with it.

use std::path::PathBuf;
use std::process::Command;

use pay::{Amount, KeyScheme};
use testkit::{AudioServer, LoggedChild, Xvfb};
use wallet::{Name, SecretText, Unit, Wallet, key_from_secret};

use crate::broadcasts::TICKCAST;
use crate::market::{Market, now};

pub const PASSPHRASE: &str = "a passphrase of the test";

pub struct Home {
    /// What runs as the viewer: the executable itself.
    pub program: String,
    folder: PathBuf,
    /// Where streams are watched: the node's address.
    node: String,
    chain: String,
    cap: String,
}

impl Home {
    /// Of the market's person of this number, who may spend so much.
    pub fn new(market: &Market, number: u8, cap: u128) -> Self {
        let folder = market.folder.path().join(format!("home-{number}"));
        std::fs::create_dir(&folder).expect("a folder");
        let unit = Unit::new(&market.rail.info().symbol, market.rail.info().decimals);
        let home = Self {
            program: TICKCAST.to_owned(),
            folder,
            node: format!("http://{}", market.node.http()),
            chain: market.chain().url(),
            cap: unit.decimal(Amount::new(cap)),
        };
        // As the market makes the keys of its people.
        let seed = format!("0x{}", format!("{number:02x}").repeat(32));
        let key = key_from_secret(KeyScheme::Sr25519, &seed).expect("a key");
        let (name, passphrase) = (Name::new("viewer"), SecretText::new(PASSPHRASE));
        let (name, passphrase) = (name.expect("a name"), passphrase.expect("a text"));
        home.open().add(&name, &key, &passphrase, now()).expect("the account is taken in");
        std::fs::write(home.folder.join("passphrase"), format!("{PASSPHRASE}\n")).expect("a file");
        home
    }

    pub fn open(&self) -> Wallet {
        Wallet::open(self.folder.join("wallet")).expect("a wallet")
    }

    /// The viewer, in a process of its own, which is the shell's until that has opened the passphrase for it.
    pub fn watch(&self, playback_id: &str, rest: &[&str]) -> LoggedChild {
        let mut command = self.command(playback_id);
        LoggedChild::spawn("the viewer", command.arg("--headless").args(rest)).expect("a viewer")
    }

    /// The same in a window.
    pub fn watch_on(&self, display: &Xvfb, speaker: &AudioServer, playback_id: &str) -> LoggedChild {
        let mut command = self.command(playback_id);
        command.envs(display.environment()).envs(speaker.environment());
        LoggedChild::spawn("the viewer's window", command.arg("--close")).expect("a viewer")
    }

    /// A window that asks for all that it has to know.
    pub fn asked_on(&self, display: &Xvfb, speaker: &AudioServer, playback_id: &str) -> LoggedChild {
        let mut command = Command::new(&self.program);
        command
            .current_dir(&self.folder)
            .args(["--log", "debug", "watch", "--theme", "dark", "--json", "--close"]);
        command.args(["--wallet-folder", "wallet", "--chain", &self.chain]).arg(self.address(playback_id));
        command.envs(display.environment()).envs(speaker.environment());
        LoggedChild::spawn("the viewer's window", &mut command).expect("a viewer")
    }

    /// A window that asks whether a page may have what its link says.
    pub fn approving_on(&self, display: &Xvfb, link: &str) -> LoggedChild {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(["--log", "debug", "approve", "--theme", "dark", "--json"]);
        command.args(["--wallet-folder", "wallet", "--chain", &self.chain]).arg(link);
        command.envs(display.environment());
        LoggedChild::spawn("the wallet's window", &mut command).expect("a prompt")
    }

    pub fn node(&self) -> &str {
        &self.node
    }

    fn command(&self, playback_id: &str) -> Command {
        let mut command = Command::new("sh");
        command.current_dir(&self.folder);
        command.args(["-c", "exec \"$0\" \"$@\" 3<passphrase", &self.program, "--log", "info", "watch"]);
        command.arg(self.address(playback_id));
        command.args(["--json", "--wallet", "viewer", "--wallet-folder", "wallet", "--yes"]);
        command.args(["--passphrase-fd", "3", "--cap", &self.cap, "--chain", &self.chain]);
        command
    }

    fn address(&self, playback_id: &str) -> String {
        format!("{}/watch/{playback_id}", self.node)
    }
}
