//! The Desk's real window, under Xvfb: clicked by WebDriver, killed by its process id.
//!
//! Leaves pictures of the window in the folder that `TICKCAST_SHOTS` names, if it is set.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use testkit::processes::{children, descendants, is_running};
use testkit::webdriver::picture;
use testkit::{LoggedChild, WebDriver, Xvfb, ffmpeg, http, wait_until};

use crate::broadcasts::{LIMIT, TICKCAST};

/// The window's own size, so that it fills the display.
pub const SIZE: (u32, u32) = (1120, 760);
/// All ports chosen by the system, on loopback.
pub const ANY_PORTS: &str =
    "http = \"127.0.0.1:0\"\nhls = \"127.0.0.1:0\"\nrtmp = \"127.0.0.1:0\"\nmedia = \"127.0.0.1:0\"\n";

/// The Desk on a display of its own, with folders of its own.
pub struct Desk {
    pub page: WebDriver,
    pub display: Xvfb,
    pub folder: tempfile::TempDir,
}

impl Desk {
    /// `theme` as GTK names it; `config` is the node's.
    pub fn open(theme: &str, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path();
        std::fs::create_dir_all(home.join("config/tickcast")).expect("a folder");
        let data = format!("data_dir = {:?}\n", home.join("data/tickcast/node"));
        std::fs::write(node_config(home), data + config).expect("a configuration");
        let programs = fake_browser(home);
        let display = Xvfb::start(SIZE.0, SIZE.1).expect("a display");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut environment: Vec<(OsString, OsString)> = display.environment().into();
        environment.extend([
            ("HOME".into(), home.into()),
            ("XDG_CONFIG_HOME".into(), home.join("config").into()),
            ("XDG_DATA_HOME".into(), home.join("data").into()),
            ("XDG_CACHE_HOME".into(), home.join("cache").into()),
            ("PATH".into(), format!("{}:{path}", programs.display()).into()),
            ("GTK_THEME".into(), theme.into()),
            ("GDK_BACKEND".into(), "x11".into()),
            // No bus is started for it, none is missed.
            ("DBUS_SESSION_BUS_ADDRESS".into(), "disabled:".into()),
            ("NO_AT_BRIDGE".into(), "1".into()),
            ("LIBGL_ALWAYS_SOFTWARE".into(), "1".into()),
        ]);
        let page = WebDriver::start(TICKCAST, &environment).expect("the Desk opens");
        page.wait_for("!!document.querySelector('main[data-node]')").expect("the page shows the node");
        Self { page, display, folder }
    }

    /// Waits until the page says that the node is in this state.
    fn node_is(&self, state: &str) {
        let expression = format!("document.querySelector('main').dataset.node === '{state}'");
        self.page.wait_for(&expression).unwrap_or_else(|err| panic!("the node is {state}: {err}"));
    }

    /// It starts with the Desk.
    pub fn node(&self) -> SocketAddr {
        self.go("Home");
        self.node_is("running");
        let shown = self.page.value("document.querySelector('dd').title").expect("an address");
        shown.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{shown} is no address"))
    }

    /// To another page.
    pub fn go(&self, page: &str) {
        self.page.click(page).expect("the rail");
        let shown = format!("document.querySelector('main').dataset.page === '{}'", page.to_lowercase());
        self.page.wait_for(&shown).expect("the page");
    }

    fn make_stream(&self, title: &str) {
        self.go("Studio");
        self.page.click("New stream").expect("the button");
        self.page.fill("Title", title).expect("the field");
        self.page.click("Make stream").expect("the button");
        self.shows(&format!("{title} is made"));
    }

    pub fn shows(&self, text: &str) {
        let expression = format!("document.body.innerText.includes({text:?})");
        self.page.wait_for(&expression).unwrap_or_else(|err| panic!("the page shows {text:?}: {err}"));
    }

    /// Whether the page shows it now.
    pub fn has(&self, text: &str) -> bool {
        let expression = format!("document.body.innerText.includes({text:?})");
        self.page.value(&expression).is_ok_and(|shown| shown == true)
    }

    /// What the page shows beside a label of the new stream.
    fn made(&self, label: &str) -> String {
        let expression = format!(
            "[...document.querySelectorAll('dt')].find(dt => dt.innerText === '{label}')\
             .nextElementSibling.querySelector('.value').innerText"
        );
        let shown = self.page.value(&expression).expect("the new stream");
        shown.as_str().unwrap_or_else(|| panic!("{label} is not shown")).to_owned()
    }

    /// A film of two seconds in the person's folder, of some time ago.
    fn recorded(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("Videos/Tickcast");
        std::fs::create_dir_all(&folder).expect("a folder");
        let film = folder.join(name);
        ffmpeg::sample(&film, 2).expect("a film");
        let file = std::fs::File::open(&film).expect("the film");
        file.set_modified(std::time::SystemTime::now() - LIMIT).expect("its time");
        film
    }

    /// The Desk's own process.
    fn id(&self) -> u32 {
        let found = children(self.page.id()).into_iter().find(|id| program_of(*id) == Path::new(TICKCAST));
        found.expect("the Desk is the driver's child")
    }

    /// The Stage's process.
    #[cfg(feature = "windows")]
    fn stage_id(&self) -> u32 {
        let is_stage = |id: &u32| {
            let command = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            command.split(|byte| *byte == 0).any(|word| word == b"stage")
        };
        children(self.id()).into_iter().find(is_stage).expect("the Stage is the Desk's child")
    }

    /// The node's process.
    fn node_id(&self) -> u32 {
        let found = children(self.id()).into_iter().find(|id| program_of(*id) == Path::new(TICKCAST));
        found.expect("the node is the Desk's child")
    }

    /// Keeps a picture of the display, if somebody wants one.
    fn keep(&self, name: &str) {
        let Some(kept) = std::env::var_os("TICKCAST_SHOTS") else { return };
        // Painted twice since the last change, so that what is kept is what is shown.
        let painted = "const done = arguments[0]; \
                       requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 200)));";
        self.page.run(painted).expect("the page paints");
        let to = Path::new(&kept).join(format!("desk-{name}.png"));
        picture(self.display.display(), SIZE, &to).expect("a picture of the display");
    }
}

fn kill(id: u32) {
    let killed = std::process::Command::new("kill").args(["-KILL", &id.to_string()]).status();
    assert!(killed.expect("kill runs").success());
}

fn node_config(home: &Path) -> PathBuf {
    home.join("config/tickcast/node.toml")
}

fn program_of(process: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default()
}

/// A folder with an `xdg-open` that notes what it was asked to open.
fn fake_browser(home: &Path) -> PathBuf {
    let folder = home.join("bin");
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("xdg-open");
    let script = format!("#!/bin/sh\necho \"$1\" > {:?}.part && mv {0:?}.part {0:?}\n", home.join("opened"));
    std::fs::write(&program, script).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a program");
    folder
}

fn healthy(node: SocketAddr) -> bool {
    http::request(node, "GET", "/healthz", &[], b"").is_ok_and(|answer| answer.status == 200)
}

#[cfg(feature = "windows")]
#[test]
fn the_stage_opens_from_the_desk_and_goes_live_to_its_node() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    desk.node();
    desk.go("Home");
    desk.page.click("Open Stage").expect("the button");
    desk.shows("Close Stage");
    let window = desk.display.window("Stage", LIMIT).expect("the Stage's window");
    desk.page.wait_for("document.querySelector('main').dataset.stage === 'running'").expect("it is ready");
    desk.display.keys(&window, &["ctrl+l"]).expect("a key");
    crate::stage::take_off(&desk.display, SIZE, || desk.has("1 stream live"));
    desk.shows("From the Stage");
    desk.shows("1 stream live");
    crate::stage::end_broadcast(&desk.display, &window, SIZE);
    desk.shows("Nothing is live");
}

#[cfg(feature = "engine")]
#[test]
fn what_was_recorded_is_listed_with_its_picture_named_found_played_and_thrown_away() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    desk.go("Library");
    desk.shows("Nothing was recorded yet");
    desk.keep("library-empty");
    let film = desk.recorded("recording 2.mp4");
    for name in ["recording.mp4", "recording 3.mp4", "recording 4.mp4"] {
        desk.recorded(name);
    }
    std::fs::write(film.with_file_name("broken.mp4"), "no film").expect("a file");
    let broken = std::fs::File::open(film.with_file_name("broken.mp4")).expect("a file");
    broken.set_modified(std::time::SystemTime::now() - LIMIT).expect("its time");
    let pictures =
        "[...document.querySelectorAll('.picture img')].filter(img => img.naturalWidth === 320).length === 4";
    desk.page.wait_for(pictures).expect("a picture of each film");
    desk.shows("0:02");
    desk.shows("It cannot be read: the file is of no kind that can be opened here");
    desk.page.click("Name recording 2").expect("the button");
    desk.page.fill("Title", "Evening concert").expect("the field");
    desk.page.fill("Tags, between commas", "live, Ana").expect("the field");
    desk.page.click("Save").expect("the button");
    desk.shows("Evening concert");
    desk.keep("library");
    desk.page.fill("Search", "ana concert").expect("the field");
    desk.page.wait_for("document.querySelectorAll('.picture').length === 1").expect("one is found");
    desk.page.click("Play Evening concert").expect("the button");
    let opened = desk.folder.path().join("opened");
    let opened = wait_until("the player", LIMIT, || std::fs::read_to_string(&opened).ok()).expect("a film");
    assert_eq!(Path::new(opened.trim()), film);
    desk.page.click("Remove Evening concert").expect("the button");
    desk.keep("library-remove");
    desk.page.click("Keep it").expect("the answer");
    assert!(film.exists());
    desk.page.click("Remove Evening concert").expect("the button");
    desk.page.click("Move to the trash").expect("the answer");
    desk.shows("No recording has");
    assert!(!film.exists());
    let trashed = desk.folder.path().join("data/Trash/files/recording 2.mp4");
    assert!(trashed.exists(), "it can be brought back");
}

#[cfg(feature = "windows")]
#[test]
fn a_stream_gets_a_new_key_and_the_stage_opens_on_it_with_its_link_as_it_was() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    let node = desk.node();
    desk.make_stream("Evening concert");
    desk.page.click("Show the stream key").expect("the button");
    let (first, link) = (desk.made("Stream key"), desk.made("Watch at"));
    desk.page.click("Done").expect("the button");
    desk.page.click("More of Evening concert").expect("the button");
    desk.keep("stream-more");
    desk.page.click("New key").expect("the button");
    desk.shows("is cut off");
    desk.page.click("Make a new key").expect("the answer");
    desk.shows("has a new key");
    desk.page.click("Show the stream key").expect("the button");
    let second = desk.made("Stream key");
    assert!(first != second && desk.made("Watch at") == link);
    let mut refused = publish(&desk, &first);
    let status = refused.wait(LIMIT).expect("it ends");
    assert!(!status.success(), "the first key publishes nothing any more");
    let mut publisher = publish(&desk, &second);
    desk.shows("1 stream live");
    publisher.kill();
    desk.shows("Nothing is live");

    desk.page.click("Done").expect("the button");
    desk.page.click("More of Evening concert").expect("the button");
    // The person's own keys hold in it.
    let keys = desk.folder.path().join("config/tickcast/stage.toml");
    std::fs::write(keys, "[hotkeys]\ngo_live = \"F9\"\n").expect("the keys");
    desk.page.click("Open Stage on it").expect("the button");
    let window = desk.display.window("Stage", LIMIT).expect("the Stage's window");
    desk.page.wait_for("document.querySelector('main').dataset.stage === 'running'").expect("it is ready");
    desk.display.keys(&window, &["F9"]).expect("a key");
    crate::stage::take_off(&desk.display, SIZE, || desk.has("1 stream live"));
    let client = api::Client::new(format!("http://{node}")).expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let [stream] = &runtime.block_on(client.streams()).expect("the node's streams")[..] else {
        panic!("one stream")
    };
    assert!(link.ends_with(&stream.playback_id) && stream.status == api::StreamStatus::Live);
    kill(desk.stage_id());
    desk.shows("Nothing is live");
}

#[cfg(feature = "windows")]
#[test]
fn a_stage_that_is_killed_is_opened_again_on_its_stream_and_outlives_a_desk_that_is_killed() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    let node = desk.node();
    let client = api::Client::new(format!("http://{node}")).expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let streams = || runtime.block_on(client.streams()).expect("the node's streams");
    let on_air = |title: &str| {
        let window = desk.display.window("Stage", LIMIT).expect("the Stage's window");
        desk.page
            .wait_for("document.querySelector('main').dataset.stage === 'running'")
            .expect("it is ready");
        desk.display.keys(&window, &["ctrl+l"]).expect("a key");
        crate::stage::take_off(&desk.display, SIZE, || desk.has("1 stream live"));
        let [stream] = &streams()[..] else { panic!("one stream") };
        assert_eq!(stream.title, title);
        stream.playback_id.clone()
    };
    desk.page.fill("Title of the broadcast", "An evening").expect("the field");
    desk.page.click("Open Stage").expect("the button");
    let stream = on_air("An evening");
    let first = desk.stage_id();
    kill(first);
    desk.shows("The Stage ended unexpectedly.");
    desk.shows("Nothing is live");
    desk.keep("stage-killed");
    desk.page.click("Open it again").expect("the button");
    assert_eq!(on_air("An evening"), stream, "its link is the same");
    let (id, second) = (desk.id(), desk.stage_id());
    assert_ne!(first, second);

    kill(id);
    wait_until("the Desk's end", LIMIT, || (!is_running(id)).then_some(())).expect("the Desk ends");
    assert!(is_running(second) && healthy(node), "both go on");
    let [on_air] = &streams()[..] else { panic!("one stream") };
    assert_eq!(on_air.status, api::StreamStatus::Live);
    let ended = std::process::Command::new("kill").args(["-TERM", &second.to_string()]).status();
    assert!(ended.expect("kill runs").success());
    wait_until("the Stage's end", LIMIT, || (!is_running(second)).then_some(())).expect("the Stage ends");
}

/// ffmpeg publishes a sample to the stream that the page has just shown, until it is stopped.
fn publish(desk: &Desk, key: &str) -> LoggedChild {
    let file = desk.folder.path().join("sample.mp4");
    ffmpeg::sample(&file, 60).expect("a sample");
    let url = format!("{}/{key}", desk.made("RTMP server"));
    ffmpeg::publish(&file, &url, 0).expect("ffmpeg publishes")
}

#[test]
fn the_desk_starts_a_node_makes_a_stream_and_leaves_nothing_behind_when_it_is_killed() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    let node = desk.node();
    assert!(healthy(node), "the node answers at the address that the page shows");
    desk.make_stream("First light");
    assert!(desk.made("Stream key").chars().all(|c| c == '•'), "the key is hidden");
    desk.page.click("Show the stream key").expect("the button");
    let key = desk.made("Stream key");
    assert!(key.len() >= 20 && key.is_ascii(), "the key is shown");
    desk.page.click("Watch First light in the browser").expect("the button");
    let opened = desk.folder.path().join("opened");
    let opened = wait_until("the browser", LIMIT, || std::fs::read_to_string(&opened).ok()).expect("a page");
    assert_eq!(opened.trim(), desk.made("Watch at"));
    assert!(opened.starts_with(&format!("http://{node}/watch/")), "{opened}");

    let (started, node_id) = (descendants(desk.id()), desk.node_id());
    assert!(started.contains(&node_id) && started.len() >= 3, "a node and the web view's own: {started:?}");
    kill(desk.id());
    wait_until("the end of all that the Desk started", LIMIT, || {
        started.iter().all(|id| !is_running(*id)).then_some(())
    })
    .expect("nothing is left behind");
    assert!(!healthy(node));
}

#[test]
fn a_port_that_is_taken_is_said_in_words_and_the_node_starts_once_it_is_free() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("its address");
    let desk = Desk::open("Adwaita:dark", &ANY_PORTS.replacen("127.0.0.1:0", &taken.to_string(), 1));
    desk.node_is("failed");
    desk.shows("Another program already listens on one of the node's ports.");
    desk.shows(&taken.to_string());
    desk.shows(&node_config(desk.folder.path()).to_string_lossy());
    drop(other);
    desk.page.click("Start node").expect("the button");
    assert_eq!(desk.node(), taken);
    assert!(healthy(taken));
}

#[cfg(all(feature = "devchain", feature = "wallet", feature = "windows"))]
#[test]
fn a_chain_that_is_named_in_the_settings_is_paid_on_from_then_on() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let chain = devchain::Devchain::start(devchain::Config::default());
    let chain = runtime.block_on(chain).expect("a chain");
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    desk.node();
    desk.go("Settings");
    desk.shows("The node takes no payments");
    desk.page.fill("Chain", "http://not.a.chain").expect("the field");
    desk.page.click("Save and restart node").expect("the button");
    desk.shows("That is no address of a chain.");
    let emptied = "const field = document.querySelector('#chain'); field.value = ''; \
                   field.dispatchEvent(new Event('input', { bubbles: true })); arguments[0](true);";
    desk.page.run(emptied).expect("an empty field");
    desk.page.fill("Chain", &chain.url()).expect("the field");
    let settings = || std::fs::read_to_string(node_config(desk.folder.path())).expect("the settings");
    // What the page asks for is looked at in the wallet's own window first.
    desk.page.click("Save and restart node").expect("the button");
    let window = desk.display.window("Approve", LIMIT).expect("the wallet's window");
    desk.display.keys(&window, &["Escape"]).expect("a key");
    desk.shows("You did not agree");
    assert!(!settings().contains(&chain.url()), "{}", settings());
    desk.page.click("Save and restart node").expect("the button");
    crate::first_run::Prompt(&desk.display).press_it();
    desk.shows("The node is paid in DEV on");
    desk.node_is("running");
    let written = settings();
    assert!(written.contains(&chain.url()) && written.contains("http = \"127.0.0.1:0\""), "{written}");
    assert!(written.contains("genesis = \"0x"), "{written}");
    desk.page.click("Take no payments").expect("the button");
    desk.shows("The node takes no payments");
    drop(desk);
    runtime.block_on(chain.stop());
}

#[test]
fn a_node_that_crashes_is_started_again() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    let first = desk.node();
    kill(desk.node_id());
    desk.shows("Restarted once after a failure.");
    let second = desk.page.value("document.querySelector('dd').title").expect("an address");
    let second: SocketAddr = second.as_str().and_then(|text| text.parse().ok()).expect("an address");
    assert!(second != first && healthy(second), "another node runs at {second}");
}

#[test]
fn what_is_live_is_asked_about_and_outlives_the_desk() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    let node = desk.node();
    desk.make_stream("On air");
    desk.page.click("Show the stream key").expect("the button");
    let mut publisher = publish(&desk, &desk.made("Stream key"));
    desk.shows("1 stream live");
    let (id, node_id) = (desk.id(), desk.node_id());
    desk.go("Home");
    desk.page.click("Stop node").expect("the button");
    desk.shows("Stopping the node ends what is live");
    desk.page.click("Keep it running").expect("the button");
    kill(id);
    wait_until("the Desk's end", LIMIT, || (!is_running(id)).then_some(())).expect("the Desk ends");
    assert!(is_running(node_id) && healthy(node), "the node goes on");
    assert!(!publisher.has_ended(), "the broadcast goes on: {}", publisher.errors());
    publisher.kill();
    wait_until("the node's end", LIMIT, || (!is_running(node_id)).then_some(())).expect("the node ends");
}

#[test]
fn a_node_with_a_live_stream_is_restarted_and_stopped_when_the_answer_is_yes() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    desk.node();
    desk.make_stream("On air");
    desk.page.click("Show the stream key").expect("the button");
    let _publisher = publish(&desk, &desk.made("Stream key"));
    desk.shows("1 stream live");
    let first = desk.node_id();
    desk.go("Home");
    desk.page.click("Restart node").expect("the button");
    desk.page.click("Restart the node").expect("the answer");
    wait_until("the first node's end", LIMIT, || (!is_running(first)).then_some(())).expect("it ends");
    // The page has noticed that too.
    desk.shows("Nothing is live");
    desk.node_is("running");
    desk.make_stream("On air again");
    desk.page.click("Show the stream key").expect("the button");
    let _publisher = publish(&desk, &desk.made("Stream key"));
    desk.shows("1 stream live");
    desk.go("Home");
    desk.page.click("Stop node").expect("the button");
    desk.page.click("Stop the node").expect("the answer");
    desk.node_is("stopped");
}

#[test]
fn the_page_can_ask_for_the_desks_commands_and_for_nothing_else() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    let node = desk.node();
    let invoke = |command: &str, arguments: &str| {
        let script = format!(
            "const done = arguments[0]; \
             window.__TAURI_INTERNALS__.invoke('{command}', {arguments}).then(() => done('allowed'), \
             (why) => done('refused: ' + why));"
        );
        desk.page.run(&script).expect("an answer").as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(invoke("changes", "{ since: 0 }"), "allowed");
    for command in ["plugin:window|close", "plugin:event|listen", "plugin:webview|create_webview", "no_such"]
    {
        let answer = invoke(command, "{}");
        assert!(answer.starts_with("refused: "), "{command}: {answer}");
    }
    // What the page says is never an argument of its own.
    for (command, arguments, why) in [
        ("watch_stream", "{ address: '--help' }", "no address of a stream"),
        ("new_account", "{ name: '' }", "name"),
        ("remove_film", "{ file: '../node.toml' }", "no recording"),
        ("play_film", "{ file: '/etc/passwd' }", "no recording"),
        ("film_content", "{ file: '--help.mp4' }", "is not there any more"),
        ("balances", "{}", "takes no payments"),
    ] {
        let answer = invoke(command, arguments);
        assert!(answer.starts_with("refused: ") && answer.contains(why), "{command}: {answer}");
    }
    let strange = invoke("open_watch", "{ playbackId: 'file:///etc/passwd' }");
    assert_eq!(strange, "refused: The node does not know this stream.");

    // A script in the page's text, as a stream's title might try, is not run.
    let injected = "const s = document.createElement('script'); s.textContent = 'window.injected = true'; \
                    document.body.append(s); arguments[0](window.injected === true);";
    assert_eq!(desk.page.run(injected).expect("an answer"), false);
    // Nor does the window leave its page, so no other origin ever sees the commands.
    let leave = format!("location.href = 'http://{node}/healthz'; arguments[0](true);");
    desk.page.run(&leave).expect("an answer");
    assert_eq!(invoke("changes", "{ since: 0 }"), "allowed");
    let fetched = format!(
        "const done = arguments[0]; fetch('http://{node}/healthz').then(() => done('fetched'), () => done('refused'));"
    );
    assert_eq!(desk.page.run(&fetched).expect("an answer"), "refused");
    assert_eq!(desk.page.value("location.protocol").expect("an address"), "tauri:");
}

#[test]
fn the_window_is_dark_or_light_as_the_system_is_and_every_control_has_a_name() {
    for (theme, name, ground) in
        [("Adwaita:dark", "dark", "rgb(14, 16, 19)"), ("Adwaita", "light", "rgb(244, 245, 247)")]
    {
        let desk = Desk::open(theme, ANY_PORTS);
        let shown = desk.page.value("getComputedStyle(document.body).backgroundColor").expect("a colour");
        assert_eq!(shown, ground, "{name}");
        desk.node();
        desk.keep(&format!("empty-{name}"));
        desk.node();
        desk.make_stream("Evening concert");
        desk.page.click("Done").expect("the button");
        desk.make_stream("Half a million particles");
        desk.page.click("Show the stream key").expect("the button");
        let key = desk.made("Stream key");
        desk.page.click("Hide the stream key").expect("the button");
        let _publisher = publish(&desk, &key);
        desk.shows("1 stream live");
        desk.page.wait_for("document.body.innerText.includes('360p')").expect("the quality is told");
        let nameless = "[...document.querySelectorAll('button, input, summary')].filter(e => \
                        !(e.innerText.trim() || e.getAttribute('aria-label') || e.labels?.length)).length";
        assert_eq!(desk.page.value(nameless).expect("a number"), 0);
        desk.keep(&format!("studio-{name}"));
        for page in ["Home", "Watch", "Wallet"] {
            desk.go(page);
            assert_eq!(desk.page.value(nameless).expect("a number"), 0, "{page}");
            desk.keep(&format!("{}-{name}", page.to_lowercase()));
        }
        drop(desk);

        let other = TcpListener::bind("127.0.0.1:0").expect("a port");
        let taken = other.local_addr().expect("its address").to_string();
        let desk = Desk::open(theme, &ANY_PORTS.replacen("127.0.0.1:0", &taken, 1));
        desk.node_is("failed");
        desk.keep(&format!("failed-{name}"));
        desk.go("Settings");
        desk.page.click("Node log").expect("the fold");
        desk.keep(&format!("settings-{name}"));
    }
}

/// Every page's name on the rail.
#[cfg(feature = "devchain")]
const PAGES: [&str; 7] = ["Home", "Studio", "Watch", "Library", "Earnings", "Wallet", "Settings"];

/// What axe-core finds wrong on the page that is shown: each rule with the elements that break it.
#[cfg(feature = "devchain")]
fn violations(desk: &Desk) -> Vec<String> {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe)
        .unwrap_or_else(|err| panic!("{} (`npm ci` in ui/ brings it): {err}", axe.display()));
    let script = format!(
        "const done = arguments[0]; {axe}\n; axe.run(document, {{ resultTypes: ['violations'] }}).then(({{ violations }}) => \
         done(violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | '))), \
         why => done(['it failed: ' + why]));"
    );
    let found = desk.page.run(&script).expect("axe runs");
    let found = found.as_array().unwrap_or_else(|| panic!("a list, not {found}"));
    found.iter().map(|one| one.as_str().unwrap_or_default().to_owned()).collect()
}

#[cfg(feature = "devchain")]
#[test]
fn no_page_shuts_anybody_out_and_none_logs_an_error() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let chain = runtime.block_on(devchain::Devchain::start(devchain::Config::default())).expect("a chain");
    let settings = format!("{ANY_PORTS}[chain]\nendpoints = [{:?}]\n", chain.url());
    let mut found = Vec::new();
    let mut look = |desk: &Desk, what: &str| {
        found.extend(violations(desk).into_iter().map(|violation| format!("{what}: {violation}")));
    };
    for theme in ["Adwaita:dark", "Adwaita"] {
        let desk = Desk::open(theme, &settings);
        let listen = "window.faults = []; const say = what => window.faults.push(String(what)); \
                      addEventListener('error', event => say(event.message)); \
                      addEventListener('unhandledrejection', event => say(event.reason)); \
                      const log = console.error; console.error = (...words) => { say(words.join(' ')); log(...words); }; \
                      arguments[0](true);";
        desk.page.run(listen).expect("the page listens");
        desk.node();
        for page in PAGES {
            desk.go(page);
            look(&desk, &format!("{page} with nothing in it, {theme}"));
        }
        crate::secrets::keep_account(&desk.folder.path().join("data/tickcast/wallet"));
        desk.recorded("A recording.mp4");
        desk.make_stream("Evening concert");
        look(&desk, &format!("a new stream, {theme}"));
        for page in PAGES {
            desk.go(page);
            if page == "Library" {
                desk.shows("A recording");
                desk.page.wait_for("!!document.querySelector('.picture img')").expect("its picture");
            }
            look(&desk, &format!("{page}, {theme}"));
        }
        desk.go("Home");
        desk.page.choose("Price", "By the second").expect("the list");
        desk.page.fill("A second costs", "nothing").expect("the field");
        desk.shows("Write a number such as 0.001");
        look(&desk, &format!("a mistake in a form, {theme}"));
        assert_eq!(
            desk.page.value("window.faults").expect("what was logged"),
            serde_json::json!([]),
            "{theme}"
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    runtime.block_on(chain.stop());
}

/// Neither is given anything of the wallet's: should one ever be, this finds it.
#[cfg(all(
    feature = "devchain",
    feature = "engine",
    feature = "node",
    feature = "wallet",
    feature = "windows"
))]
#[test]
fn the_desk_its_web_view_and_the_stage_hold_no_secret_of_the_wallet() {
    let desk = Desk::open("Adwaita:dark", ANY_PORTS);
    crate::secrets::keep_account(&desk.folder.path().join("data/tickcast/wallet"));
    desk.node();
    let title = "Concert for forty marmots";
    desk.make_stream(title);
    desk.go("Home");
    desk.page.click("Open Stage").expect("the button");
    desk.shows("Close Stage");
    desk.display.window("Stage", LIMIT).expect("the Stage's window");
    desk.page.wait_for("document.querySelector('main').dataset.stage === 'running'").expect("it is ready");

    let searched: Vec<_> = descendants(desk.page.id()).into_iter().filter(|id| is_running(*id)).collect();
    let names: Vec<_> = searched.iter().map(|id| program_of(*id)).collect();
    let ours = names.iter().filter(|name| *name == Path::new(TICKCAST)).count();
    assert!(ours >= 3, "the Desk, its node and the Stage: {names:?}");
    let page = names.iter().position(|name| name.ends_with("WebKitWebProcess")).expect("the page's process");
    let holds =
        testkit::memory::holds(searched[page], &[title.as_bytes()]).expect("its memory (this takes root)");
    assert_eq!(holds, [true], "the search finds what the page shows");
    for (id, name) in searched.iter().zip(&names) {
        assert_eq!(crate::secrets::secrets_of(*id), [false; 3], "{}", name.display());
    }
}
