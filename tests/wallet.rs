//! `tickcast wallet`, as people and scripts call it: the executable itself, its files, and a chain.
#![cfg(feature = "wallet")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::pay::{
    ChallengeAnswer, ChallengeRequest, DelegationRequest, LoggedIn, LoginRequest, PayInfo, WireHex,
};
use chain::{Call, EscrowRail, Rail, Settings};
use devchain::{Config, Devchain};
use pay::login::{Challenges, Host};
use pay::{
    AccountId, Amount, AssetId, Delegation, Genesis, KeyScheme, RailInfo, RailKind, Signed, Signer,
    UnixMillis,
};
use serde_json::Value;
use testkit::soak;
use wallet::{Act, Address, Approved, ChannelStatus, NewChannel, SecretKey, SecretText, Wallet};

const ALICE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk//Alice";
const ALICE_ADDRESS: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const BOB_ADDRESS: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
const PASSPHRASE: &str = "correct horse battery staple";

/// A person's wallet folder, and files through which a script gives and takes secrets.
struct Home {
    data: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { data: tempfile::tempdir().expect("a folder") }
    }

    fn folder(&self) -> PathBuf {
        self.data.path().join("wallet")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// Descriptor 3 gives `lines`, descriptor 4 `secret`, descriptor 5 goes to a file. The shell opens them, so that
    /// nothing but the files' names stands in an argument.
    fn command(&self, arguments: &[&str], lines: &str, secret: &str) -> Command {
        let give = |name: &str, text: &str| {
            let path = self.file(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec 3<"$1" 4<"$2" 5>"$3"; shift 3; exec "$@""#, "sh"]);
        command.args([give("lines", lines), give("secret", secret), self.file("words")]);
        command.arg(env!("CARGO_BIN_EXE_tickcast")).args(["--log", "trace", "wallet", "--json", "--folder"]);
        command.arg(self.folder()).args(["--passphrase-fd", "3"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], lines: &str, secret: &str) -> Output {
        self.command(arguments, lines, secret).output().expect("the executable starts")
    }

    /// One that succeeds, and what it says.
    fn json(&self, arguments: &[&str], lines: &str, secret: &str) -> Value {
        let output = self.run(arguments, lines, secret);
        let (said, erred) = (in_text(&output.stdout), in_text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {erred}");
        serde_json::from_str(&said).unwrap_or_else(|err| panic!("{arguments:?}: {err}: {said}"))
    }

    /// One that fails, and what it says of it.
    fn refused(&self, arguments: &[&str], lines: &str, secret: &str) -> String {
        let output = self.run(arguments, lines, secret);
        assert!(!output.status.success(), "{arguments:?} succeeds: {}", in_text(&output.stdout));
        in_text(&output.stderr)
    }

    fn with_alice() -> Self {
        let home = Self::new();
        let imported = home.json(&["import", "words", "Alice", "--secret-fd", "4"], PASSPHRASE, ALICE);
        assert_eq!(imported["address"], ALICE_ADDRESS);
        home
    }
}

fn in_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is not in {value}"))
}

fn all_bytes_under(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            bytes.extend(all_bytes_under(&entry.path()));
        } else {
            std::fs::File::open(entry.path())
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .expect("a file");
        }
    }
    bytes
}

fn contains(bytes: &[u8], wanted: &str) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

#[test]
fn an_account_goes_from_one_machine_to_another_and_comes_back_from_its_words() {
    let (here, there) = (Home::new(), Home::new());
    let made = here.json(&["new", "Main", "--words-fd", "5"], PASSPHRASE, "");
    let words = std::fs::read_to_string(here.file("words")).expect("the words");
    assert_eq!(words.split_whitespace().count(), 12);
    let listed = here.json(&["list"], "", "");
    assert_eq!((&listed[0]["address"], listed[0]["kind"].as_str()), (&made["address"], Some("own")));

    let file = here.file("export.json");
    let path = file.to_str().expect("a path");
    here.json(&["export", "Main", "--to", path], PASSPHRASE, "");
    let copy = there.json(&["import", "keystore", path, "--name", "Copy"], PASSPHRASE, "");
    assert_eq!(copy["address"], made["address"]);

    let restored =
        Home::new().json(&["import", "words", "Again", "--secret-fd", "4"], "another passphrase", &words);
    assert_eq!(restored["address"], made["address"]);
}

#[test]
fn no_command_tells_a_secret() {
    let home = Home::new();
    let new = home.run(&["new", "Main", "--words", "24", "--words-fd", "5"], PASSPHRASE, "");
    assert!(new.status.success(), "{}", in_text(&new.stderr));
    let words = std::fs::read_to_string(home.file("words")).expect("the words");
    assert_eq!(words.split_whitespace().count(), 24);
    let import = home.run(&["import", "words", "Alice", "--secret-fd", "4"], PASSPHRASE, ALICE);
    let mut told = vec![new, import];
    told.push(home.run(&["list"], "", ""));
    told.push(home.run(&["export", "Alice"], PASSPHRASE, ""));
    told.push(home.run(&["export", "Alice"], "wrong passphrase", ""));
    told.push(home.run(
        &["import", "words", "Bad", "--secret-fd", "4"],
        PASSPHRASE,
        &words.replace(' ', " x"),
    ));
    told.push(home.run(&["import", "seed", "Bad", "--secret-fd", "4"], PASSPHRASE, "0xbad5eed"));
    let mut said = all_bytes_under(&home.folder());
    told.iter().for_each(|output| said.extend([&output.stdout[..], &output.stderr].concat()));
    let first = words.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    // Alice's seed and expanded secret begin like this, as Substrate's tools print them.
    for secret in [first.as_str(), PASSPHRASE, "bottom drive", "e5be9a5092b8", "wrong passphrase", "bad5eed"]
    {
        assert!(!contains(&said, secret), "{secret} was told");
    }
    // And the search does find what is there.
    said.extend(words.as_bytes());
    assert!(contains(&said, &first));
}

#[test]
fn a_running_command_has_no_secret_where_others_see_it_and_dumps_no_core() {
    let home = Home::with_alice();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    command
        .args(["wallet", "--passphrase-fd", "0", "--folder"])
        .arg(home.folder())
        .args(["passphrase", "Alice"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the executable starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(format!("{PASSPHRASE}\n").as_bytes()).expect("it reads");
    // It has read the first passphrase once the pipe is empty, and waits for the second.
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let limits = testkit::wait_until("the process hardens itself", Duration::from_secs(20), || {
        let limits = std::fs::read_to_string(proc.join("limits")).ok()?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size"))?;
        core.split_whitespace().skip(4).take(2).eq(["0", "0"]).then(|| core.to_owned())
    });
    limits.expect("no core is dumped");
    let mut seen = std::fs::read(proc.join("cmdline")).expect("everybody sees arguments");
    // Only a superuser still reads it.
    seen.extend(std::fs::read(proc.join("environ")).unwrap_or_default());
    assert!(contains(&seen, "passphrase-fd") && !contains(&seen, PASSPHRASE));
    stdin.write_all(b"another passphrase\n").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", in_text(&output.stderr));
    home.json(&["export", "Alice"], "another passphrase", "");
}

#[test]
fn what_is_refused_says_what_to_do() {
    let home = Home::with_alice();
    let said = home.refused(&["export", "Alice"], "wrong passphrase", "");
    assert!(said.contains("the passphrase is wrong"), "{said}");
    let said = home.refused(&["export", "Nobody"], PASSPHRASE, "");
    assert!(said.contains("tickcast wallet list"), "{said}");
    let said = home.refused(&["new", "Other", "--words-fd", "5"], "short", "");
    assert!(said.contains("at least 8"), "{said}");
    let said = home.refused(&["new", "Alice", "--words-fd", "5"], PASSPHRASE, "");
    assert!(said.contains("Alice"), "{said}");
    // Nobody was given words of an account that there is not.
    assert!(std::fs::read(home.file("words")).expect("the file").is_empty());
    let said = home.refused(&["import", "words", "Alice", "--secret-fd", "4"], PASSPHRASE, ALICE);
    assert!(said.contains("already"), "{said}");
    let said = home.refused(&["derive", "Alice", "//a///secret", "Other"], PASSPHRASE, "");
    assert!(said.contains("password does not belong here"), "{said}");
    let said = home.refused(&["watch", "Cold", "5GrwvaEF"], "", "");
    assert!(said.contains("no address"), "{said}");
    let said = home.refused(&["send", "Alice", "Nobody", "1", "--chain", "ws://127.0.0.1:9"], PASSPHRASE, "");
    assert!(said.contains("no name of the address book"), "{said}");
    home.json(&["watch", "Bob", BOB_ADDRESS], "", "");
    let said = home.refused(&["export", "Bob"], PASSPHRASE, "");
    assert!(said.contains("its key is elsewhere"), "{said}");
}

#[test]
fn an_address_that_looks_like_one_in_the_book_is_not_added_without_a_word() {
    let home = Home::new();
    home.json(&["address-book", "add", "Alice", ALICE_ADDRESS], "", "");
    let twin = "0xd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e714670b01";
    let twin = Address::generic(twin.parse().expect("an account")).to_string();
    // No terminal is there to ask at.
    let said = home.refused(&["address-book", "add", "Alicia", &twin], "", "");
    assert!(said.contains("--yes"), "{said}");
    home.json(&["--yes", "address-book", "add", "Alicia", &twin], "", "");
    assert_eq!(home.json(&["address-book", "list"], "", "").as_array().map(Vec::len), Some(2));
}

/// Runs the command once to its end, and then again and again, killed a little later each time.
fn killed_over_and_over(
    home: &Home,
    kills: u32,
    mut arguments: impl FnMut(u32) -> (Vec<String>, String),
    mut after: impl FnMut(u32, bool),
) {
    let spawn = |(arguments, lines): (Vec<String>, String)| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        home.command(&arguments, &lines, "").spawn().expect("the executable starts")
    };
    let begun = Instant::now();
    let whole = spawn(arguments(0)).wait_with_output().expect("it ends");
    assert!(whole.status.success(), "{}", in_text(&whole.stderr));
    let takes = begun.elapsed();
    after(0, true);
    for kill in 1..=kills {
        let mut child = spawn(arguments(kill));
        // Wherever it is by then: that is what is tried.
        std::thread::sleep(takes * kill / kills);
        let _ = child.kill();
        let done = child.wait().expect("it ends").success();
        after(kill, done);
    }
}

#[test]
fn a_kill_at_any_moment_loses_no_entry_that_was_acknowledged() {
    let home = Home::new();
    let mut acknowledged = Vec::new();
    let entry = |number: u32| {
        let mut account = [0; 32];
        account[..4].copy_from_slice(&number.to_le_bytes());
        let address = Address::generic(AccountId(account)).to_string();
        (
            ["address-book", "add", &format!("Friend {number}"), &address].map(str::to_owned).to_vec(),
            String::new(),
        )
    };
    killed_over_and_over(&home, soak(24, 200), entry, |number, done| {
        if done {
            acknowledged.push(format!("Friend {number}"));
        }
        let listed = home.json(&["address-book", "list"], "", "");
        let names: Vec<_> =
            listed.as_array().expect("a list").iter().map(|entry| text(entry, "name")).collect();
        for name in &acknowledged {
            assert!(names.contains(&name.as_str()), "{name} is lost");
        }
    });
}

#[test]
fn a_kill_while_a_passphrase_changes_leaves_the_old_one_or_the_new_one() {
    let home = Home::with_alice();
    let passphrase = |number: u32| format!("passphrase number {number}");
    home.json(&["passphrase", "Alice"], &format!("{PASSPHRASE}\n{}", passphrase(0)), "");
    let current = std::cell::Cell::new(0);
    let change = |number: u32| {
        let lines = format!("{}\n{}", passphrase(current.get()), passphrase(number + 1));
        (["passphrase", "Alice"].map(str::to_owned).to_vec(), lines)
    };
    killed_over_and_over(&home, soak(8, 100), change, |number, done| {
        let opens = |number: u32| home.run(&["export", "Alice"], &passphrase(number), "").status.success();
        let is_new = opens(number + 1);
        assert!(is_new || (!done && opens(current.get())), "neither opens after kill {number}");
        if is_new {
            current.set(number + 1);
        }
    });
}

/// A chain in this process, each transaction of which is final at once.
fn on_a_chain<T>(work: impl AsyncFnOnce(Devchain) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { work(Devchain::start(Config::at_once()).await.expect("a chain")).await })
}

fn units(value: &Value, key: &str) -> u128 {
    text(value, key).parse().expect("an amount")
}

#[test]
fn money_is_sent_and_what_was_sent_is_remembered() {
    on_a_chain(async |chain| {
        let home = Home::with_alice();
        let url = chain.url();
        home.json(&["address-book", "add", "Bob", BOB_ADDRESS], "", "");
        let balance =
            |account: &str| units(&home.json(&["balance", account, "--chain", &url], "", "")[0], "free");
        home.json(&["watch", "Charlie", "5FLSigC9HGRKVhB9FiEo4Y3koPsNmBmLJbpXg2mp1hXcS59Y"], "", "");
        let (alice, charlie) = (balance("Alice"), balance("Charlie"));
        let sending =
            ["--yes", "send", "Alice", "Charlie", "1500000000000", "--smallest-units", "--chain", &url];
        let sent = home.json(&sending, PASSPHRASE, "");
        let fee = units(&sent, "fee");
        assert!(fee > 0);
        assert_eq!(balance("Charlie"), charlie + 1_500_000_000_000);
        assert_eq!(balance("Alice"), alice - 1_500_000_000_000 - fee);
        let history = home.json(&["history", "Alice"], "", "");
        let outcomes: Vec<_> =
            history.as_array().expect("a list").iter().map(|e| text(e, "outcome")).collect();
        assert_eq!(outcomes, ["sending", "done"]);
        assert_eq!(units(&history[1], "amount"), 1_500_000_000_000);
        // More than there is, and with nobody who says yes.
        let all = alice.to_string();
        let much = ["--yes", "send", "Alice", "Bob", &all, "--smallest-units", "--chain", &url];
        assert!(home.refused(&much, PASSPHRASE, "").contains("send less"));
        let unasked = home.refused(&["send", "Alice", "Bob", "1", "--chain", &url], PASSPHRASE, "");
        assert!(unasked.contains("Send money") && unasked.contains("--yes"), "{unasked}");
        assert_eq!(balance("Alice"), alice - 1_500_000_000_000 - fee);
    });
}

#[test]
fn a_channel_is_opened_topped_up_and_closed_with_approved_signatures_alone() {
    on_a_chain(async |chain| {
        let home = Home::with_alice();
        let url = chain.url();
        let rail = EscrowRail::connect(Settings::new([url.clone()])).await.expect("a rail");
        let wallet = Wallet::open(home.folder()).expect("the wallet");
        let account = wallet.account("Alice").expect("the account");
        let new = NewChannel {
            genesis: rail.info().genesis,
            asset: AssetId::Native,
            payer: account.account,
            payee: BOB_ADDRESS.parse::<Address>().expect("an address").account,
            node: SecretKey::from_seed(KeyScheme::Ed25519, &[4; 32]).public(),
            dispute_window_ms: 3_600_000,
            node_url: "http://127.0.0.1:8080".into(),
        };
        let terms = wallet.prepare_channel(&new, UnixMillis(0)).expect("a channel").terms;
        let (deposit, expires_at) = (Amount::new(5_000_000_000_000), UnixMillis(4_000_000_000_000));
        let act = Act::Open { terms, deposit, expires_at };
        let key = wallet.unlock(&account, &SecretText::new(PASSPHRASE).expect("a text")).expect("the key");
        let signer = Arc::new(Approved::new(key.into(), act));
        // What was not approved is not signed, by whichever call it is asked for.
        let more = Call::Open { terms, deposit: Amount::new(5_000_000_000_001), expires_at };
        assert!(rail.submit(more, signer.clone()).await.is_err());
        let away = Call::Transfer { to: new.payee, amount: deposit };
        assert!(rail.submit(away, signer.clone()).await.is_err());
        assert_eq!(rail.channel(terms.id()).await.expect("an answer"), None);
        rail.submit(Call::Open { terms, deposit, expires_at }, signer).await.expect("it is opened");

        let listed = home.json(&["channels", "refresh", "--chain", &url], "", "");
        assert_eq!((text(&listed[0], "status"), units(&listed[0], "deposit")), ("open", 5_000_000_000_000));
        let id = terms.id().to_string();
        let topped = home.json(&["--yes", "channels", "top-up", &id, "1", "--chain", &url], PASSPHRASE, "");
        assert!(units(&topped[0], "deposit") > 5_000_000_000_000);
        let closing = home.json(&["--yes", "channels", "close", &id, "--chain", &url], PASSPHRASE, "");
        assert_eq!(text(&closing, "status"), "closing");
        let said = home.refused(&["--yes", "channels", "close", &id, "--chain", &url], PASSPHRASE, "");
        assert!(said.contains("dispute window is open until"), "{said}");
        assert_eq!(wallet.channels().expect("channels")[0].status, ChannelStatus::Closing);
    });
}

/// What ends a [`NodeDesk`].
const END: &str = "/end";

/// What a node says to a creator's wallet, with the challenges of `pay`; the rest of a node is not needed for it.
struct NodeDesk {
    info: PayInfo,
    challenges: Challenges,
    /// What it was given.
    delegation: Option<Signed<Delegation>>,
}

impl NodeDesk {
    fn answer(&mut self, path: &str, body: &[u8]) -> (u16, Value) {
        let now = UnixMillis(1_000);
        let json = match path {
            "/api/pay" => serde_json::to_value(&self.info),
            "/api/login/challenge" => {
                let asked: ChallengeRequest = serde_json::from_slice(body).expect("a request");
                let challenge = self.challenges.issue(asked.account, [7; 32], now).expect("a challenge");
                let (host, until) = (challenge.host.clone(), challenge.until);
                serde_json::to_value(ChallengeAnswer { challenge: WireHex(challenge), host, until })
            }
            "/api/login" => {
                let LoginRequest { challenge: WireHex(body), signature } =
                    serde_json::from_slice(body).expect("a request");
                let account =
                    self.challenges.answer(&Signed { body, signature }, now).expect("the account signed");
                serde_json::to_value(LoggedIn { token: "token".into(), account, expires_at: now })
            }
            "/api/creator/delegation" => {
                let DelegationRequest { delegation: WireHex(signed) } =
                    serde_json::from_slice(body).expect("a request");
                signed.verify(&signed.body.payee).expect("the payee signed");
                self.delegation = Some(signed);
                return (204, Value::Null);
            }
            other => panic!("nobody asks for {other}"),
        };
        (200, json.expect("JSON"))
    }

    /// Serves connections, one request each, until one asks for [`END`].
    fn serve(mut self, listener: &TcpListener) -> Self {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a stream"));
            let (mut line, mut length) = (String::new(), 0);
            reader.read_line(&mut line).expect("a request");
            let path = line.split(' ').nth(1).expect("a path").to_owned();
            loop {
                line.clear();
                reader.read_line(&mut line).expect("a header");
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            if path == END {
                break;
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let (status, json) = self.answer(&path, &body);
            let json = if json.is_null() { String::new() } else { json.to_string() };
            let head =
                format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: {}\r\n", json.len());
            let answer = format!("{head}content-type: application/json\r\n\r\n{json}");
            reader.into_inner().write_all(answer.as_bytes()).expect("it listens");
        }
        self
    }
}

/// A creator delegates to a node whose challenges name this host, or its own; what the node got, and how it ended.
fn delegate_to(home: &Home, challenges_for: Option<&str>) -> (Option<Signed<Delegation>>, Output) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("an address").to_string();
    let host = Host::new(challenges_for.unwrap_or(&own)).expect("a host");
    let rail = RailInfo {
        kind: RailKind::Escrow,
        chain: "Development".into(),
        genesis: Genesis([1; 32]),
        asset: AssetId::Native,
        symbol: "DEV".into(),
        decimals: 12,
        existential_deposit: Amount::new(1),
    };
    let info = PayInfo {
        rail: Some(rail),
        node_key: SecretKey::from_seed(KeyScheme::Ed25519, &[4; 32]).public(),
        host: host.clone(),
        endpoints: Vec::new(),
        dispute_window_ms: 60_000,
        credit: None,
    };
    let desk = NodeDesk { info, challenges: Challenges::new(host), delegation: None };
    let url = format!("http://{own}");
    let mut command =
        home.command(&["--yes", "delegate", "Alice", "--node", &url, "--days", "30"], PASSPHRASE, "");
    let serving = std::thread::spawn(move || desk.serve(&listener));
    let output = command.output().expect("the executable starts");
    let mut last = TcpStream::connect(&own).expect("it listens");
    last.write_all(format!("GET {END} HTTP/1.1\r\n\r\n").as_bytes()).expect("it listens");
    (serving.join().expect("it answered").delegation, output)
}

#[test]
fn a_creator_lets_a_node_sign_for_it_and_a_login_for_another_host_is_refused() {
    let home = Home::with_alice();
    let (delegation, output) = delegate_to(&home, None);
    let told = in_text(&output.stderr);
    assert!(output.status.success(), "{told}");
    let delegation = delegation.expect("the node got it").body;
    assert_eq!(delegation.payee.account(), ALICE_ADDRESS.parse::<Address>().expect("an address").account);
    assert_eq!(delegation.node, SecretKey::from_seed(KeyScheme::Ed25519, &[4; 32]).public());
    // Where the fees are to come from.
    let said = in_text(&output.stdout);
    let mut addresses = said
        .split([' ', ',', '\n', '"'])
        .filter_map(|word| word.parse::<Address>().ok().map(|named| named.account));
    assert!(addresses.any(|named| named == delegation.node.account()), "{said}");
    assert!(told.contains("Log in") && told.contains(&delegation.genesis.to_string()), "{told}");
    // A node that hands on another's challenge, to log in there.
    let (delegation, output) = delegate_to(&home, Some("bank.example:443"));
    assert!(!output.status.success() && delegation.is_none());
    assert!(in_text(&output.stderr).contains("bank.example:443"), "{}", in_text(&output.stderr));
}
