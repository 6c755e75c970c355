//! A window of WebKitGTK, steered by W3C WebDriver as a person steers it: found by role and name, clicked, typed to.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http;
use crate::process::{OwnedChild, SetupError, wait_until};

/// A web view starts two processes of its own on a machine with two cores.
const LIMIT: Duration = Duration::from_secs(60);
/// The key of an element's reference (WebDriver §11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A program with a WebKitGTK window, under WebDriver; both end when dropped.
#[derive(Debug)]
pub struct WebDriver {
    driver: OwnedChild,
    server: SocketAddr,
    session: String,
}

impl WebDriver {
    /// Starts `program` with `environment` and waits until its page can be steered.
    pub fn start(program: &str, environment: &[(OsString, OsString)]) -> Result<Self, SetupError> {
        let server = free_port()?;
        let mut command = Command::new("WebKitWebDriver");
        command
            .arg(format!("--port={}", server.port()))
            .envs(environment.iter().cloned())
            // Tauri lets a window be steered where this is set.
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let driver = OwnedChild::spawn(&mut command)?;
        let mut this = Self { driver, server, session: String::new() };
        wait_until("WebKitWebDriver", LIMIT, || this.call("GET", "/status", &json!({})).ok())?;
        let wanted = json!({ "webkitgtk:browserOptions": { "binary": program, "args": [] } });
        let made = this.call("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }))?;
        this.session = made["sessionId"].as_str().unwrap_or_default().to_owned();
        Ok(this)
    }

    /// The driver's process, whose child the program is.
    pub fn id(&self) -> u32 {
        self.driver.id()
    }

    /// Runs JavaScript in the page; it ends by calling its last argument with the result.
    pub fn run(&self, script: &str) -> Result<Value, SetupError> {
        self.command("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// What an expression is worth in the page.
    pub fn value(&self, expression: &str) -> Result<Value, SetupError> {
        let script = format!("return {expression};");
        self.command("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true in the page.
    pub fn wait_for(&self, expression: &str) -> Result<(), SetupError> {
        let waited = wait_until(expression, LIMIT, || {
            self.value(expression).ok().filter(|value| *value == true).map(drop)
        });
        waited.map_err(|err| match err {
            SetupError::Late { what, seconds } => {
                let shown = self.value("document.body.innerText").unwrap_or_default();
                SetupError::Late { what: format!("{what} (the page shows: {shown})"), seconds }
            }
            other => other,
        })
    }

    /// Clicks the button that a person would call by this name, once it is there.
    pub fn click(&self, name: &str) -> Result<(), SetupError> {
        let path = format!(
            "//button[normalize-space(.)=\"{name}\" or @aria-label=\"{name}\"] | \
             //summary[starts-with(normalize-space(.), \"{name}\")]"
        );
        let element = self.element("xpath", &path)?;
        self.command(&format!("/element/{element}/click"), &json!({})).map(drop)
    }

    /// Types into the field with this label.
    pub fn fill(&self, label: &str, text: &str) -> Result<(), SetupError> {
        let path = format!("//input[@id=//label[normalize-space(.)=\"{label}\"]/@for]");
        let element = self.element("xpath", &path)?;
        self.command(&format!("/element/{element}/value"), &json!({ "text": text })).map(drop)
    }

    /// Chooses from the list with this label.
    pub fn choose(&self, label: &str, option: &str) -> Result<(), SetupError> {
        let path = format!(
            "//select[@id=//label[normalize-space(.)=\"{label}\"]/@for]/option[normalize-space(.)=\"{option}\" and not(@disabled)]"
        );
        let element = self.element("xpath", &path)?;
        self.command(&format!("/element/{element}/click"), &json!({})).map(drop)
    }

    fn element(&self, using: &str, value: &str) -> Result<String, SetupError> {
        wait_until(&format!("the element {value}"), LIMIT, || {
            let found = self.command("/element", &json!({ "using": using, "value": value })).ok()?;
            found[ELEMENT].as_str().map(str::to_owned)
        })
    }

    fn command(&self, path: &str, body: &Value) -> Result<Value, SetupError> {
        self.call("POST", &format!("/session/{}{path}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, SetupError> {
        let (headers, body) = ([("Content-Type", "application/json")], body.to_string());
        let body = if method == "GET" { &[] } else { body.as_bytes() };
        let answer = http::request(self.server, method, path, &headers, body)?;
        match answer.status {
            200 => Ok(answer.json()["value"].clone()),
            _ => Err(SetupError::Ended { what: format!("WebDriver's {path}"), output: answer.text() }),
        }
    }
}

fn free_port() -> Result<SocketAddr, SetupError> {
    let failed = |source| SetupError::File { what: "no free port".into(), source };
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).map_err(failed)
}

/// A picture of a whole display.
pub fn picture(display: &str, size: (u32, u32), to: &Path) -> Result<(), SetupError> {
    let failed = |source| SetupError::Program { program: "ffmpeg".into(), source };
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "x11grab", "-draw_mouse", "0"])
        .args(["-video_size", &format!("{}x{}", size.0, size.1), "-i", display, "-frames:v", "1"])
        .arg(to)
        .stdin(Stdio::null())
        .status()
        .map_err(failed)?;
    match status.success() {
        true => Ok(()),
        false => Err(SetupError::Ended { what: "ffmpeg".into(), output: status.to_string() }),
    }
}
