//! One supervised child process: a task that runs its [`Lifecycle`] against the system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

use super::child_log::{ChildLog, LogLine, next_line};
use super::lifecycle::{Action, AfterFailure, Exit, Failure, Input, Lifecycle, Phase};

/// Orders that may wait; a person's clicks are slower than the task. A full queue refuses.
const ORDERS_MAX: usize = 16;
/// Lines that may wait; a full queue lets the child wait.
const LINES_MAX: usize = 64;
/// After its end its last words are waited for, but not for what its own children may still hold open.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);
/// A child names this many facts at most (`http`, `rtmp` …).
const FACTS_MAX: usize = 16;

/// What a child is and how it is started.
#[derive(Clone, Debug)]
pub struct Spec {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// Where it runs.
    pub folder: PathBuf,
    pub after_failure: AfterFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Start,
    Stop,
    Restart,
}

impl From<Order> for Input {
    fn from(order: Order) -> Self {
        match order {
            Order::Start => Self::Start,
            Order::Stop => Self::Stop,
            Order::Restart => Self::Restart,
        }
    }
}

/// A child as others see it.
#[derive(Debug)]
struct Seen {
    phase: Phase,
    restarts: u32,
    /// What it said of itself on standard output, by name.
    facts: BTreeMap<String, String>,
    log: ChildLog,
    /// Why it ended, in its own words.
    last_words: Option<String>,
}

/// What a child is doing.
#[derive(Clone, Debug)]
pub struct View {
    pub phase: Phase,
    pub restarts: u32,
    pub facts: BTreeMap<String, String>,
    pub log: Vec<LogLine>,
    pub last_words: Option<String>,
}

/// Steers one child. When the last clone is dropped the task ends, and the child's pipe with it.
#[derive(Clone, Debug)]
pub struct Supervised {
    orders: mpsc::Sender<Order>,
    seen: Arc<Mutex<Seen>>,
    greeting: Greeting,
}

/// What a child is told on its pipe as soon as it is started. It may hold keys, so it is never shown.
#[derive(Clone, Default)]
struct Greeting(Arc<Mutex<String>>);

impl Greeting {
    fn locked(&self) -> MutexGuard<'_, String> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Greeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Greeting")
    }
}

impl Supervised {
    /// Starts the task, not the child. `changed` is told of every change.
    pub fn new(spec: Spec, changed: watch::Sender<u64>) -> Self {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let life = Lifecycle::new(spec.after_failure);
        let seen = Arc::new(Mutex::new(Seen {
            phase: life.phase(),
            restarts: 0,
            facts: BTreeMap::new(),
            log: ChildLog::default(),
            last_words: None,
        }));
        let greeting = Greeting::default();
        let task =
            Task { spec, life, seen: Arc::clone(&seen), greeting: greeting.clone(), changed, process: None };
        tokio::spawn(task.run(inbox));
        Self { orders, seen, greeting }
    }

    /// Hands on an order; whether there was room for it.
    pub fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// The lines that the child is told on its pipe, from its next start on.
    pub fn greet(&self, lines: &[String]) {
        *self.greeting.locked() = lines.iter().map(|line| format!("{line}\n")).collect();
    }

    pub fn view(&self) -> View {
        let seen = lock(&self.seen);
        View {
            phase: seen.phase,
            restarts: seen.restarts,
            facts: seen.facts.clone(),
            log: seen.log.lines(),
            last_words: seen.last_words.clone(),
        }
    }

    /// A fact, while it runs.
    pub fn fact(&self, name: &str) -> Option<String> {
        let seen = lock(&self.seen);
        matches!(seen.phase, Phase::Running { .. }).then(|| seen.facts.get(name).cloned()).flatten()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // Whole between any two of its changes, also when a holder panicked.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Line {
    /// Of standard output: facts, and what is for people.
    Out(String),
    Err(String),
}

struct Process {
    child: Child,
    pipe: Option<ChildStdin>,
    lines: mpsc::Receiver<Line>,
}

struct Task {
    spec: Spec,
    life: Lifecycle,
    seen: Arc<Mutex<Seen>>,
    greeting: Greeting,
    changed: watch::Sender<u64>,
    process: Option<Process>,
}

enum Event {
    Order(Option<Order>),
    Line(Line),
    Exited(Exit),
    Time,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let event = self.next(&mut orders).await;
            let input = match event {
                Event::Order(Some(order)) => Some(order.into()),
                // Nobody steers it any more: its pipe closes with this task.
                Event::Order(None) => return,
                Event::Line(line) => self.hear(line),
                Event::Exited(exit) => {
                    self.last_words().await;
                    Some(Input::Exited(exit))
                }
                Event::Time => Some(Input::Time),
            };
            if let Some(input) = input {
                self.handle(input).await;
            }
        }
    }

    async fn next(&mut self, orders: &mut mpsc::Receiver<Order>) -> Event {
        let due = self.life.timeout().map(tokio::time::Instant::from_std);
        let time = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let process = async {
            match &mut self.process {
                Some(Process { child, lines, .. }) => tokio::select! {
                    biased;
                    Some(line) = lines.recv() => Event::Line(line),
                    status = child.wait() => Event::Exited(exit_of(status)),
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => Event::Order(order),
            event = process => event,
            () = time => Event::Time,
        }
    }

    async fn handle(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            match self.life.handle(Instant::now(), input) {
                Some(Action::Spawn) => next = self.spawn().await.err(),
                Some(Action::AskToStop) => self.ask_to_stop().await,
                Some(Action::Kill) => self.kill(),
                None => {}
            }
        }
        self.show(|_| {});
    }

    /// Publishes the present phase and whatever `change` does besides.
    fn show(&self, change: impl FnOnce(&mut Seen)) {
        {
            let mut seen = lock(&self.seen);
            seen.phase = self.life.phase();
            seen.restarts = self.life.restarts();
            change(&mut seen);
        }
        self.changed.send_modify(|revision| *revision += 1);
    }

    async fn spawn(&mut self) -> Result<(), Input> {
        self.show(|seen| {
            seen.facts.clear();
            seen.last_words = None;
        });
        let spawned = Command::new(&self.spec.program)
            .args(&self.spec.arguments)
            .current_dir(&self.spec.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|err| {
            self.show(|seen| seen.last_words = Some(err.to_string()));
            Input::Unstartable
        })?;
        let (tell, lines) = mpsc::channel(LINES_MAX);
        if let Some(out) = child.stdout.take() {
            tokio::spawn(follow(out, tell.clone(), Line::Out));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(follow(err, tell, Line::Err));
        }
        let mut pipe = child.stdin.take();
        let greeting = self.greeting.locked().clone();
        if let Some(pipe) = &mut pipe {
            // Broken: it has ended, which is heard in a moment.
            let _ = pipe.write_all(greeting.as_bytes()).await;
            let _ = pipe.flush().await;
        }
        self.process = Some(Process { child, pipe, lines });
        Ok(())
    }

    async fn ask_to_stop(&mut self) {
        if let Some(pipe) = self.process.as_mut().and_then(|process| process.pipe.as_mut()) {
            // Broken: it is ending already.
            let _ = pipe.write_all(b"stop\n").await;
            let _ = pipe.flush().await;
        }
    }

    fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            // It fails only for one that ended already, and that end is on its way here.
            let _ = process.child.start_kill();
        }
    }

    /// Takes in a line; what a fact means for the child's life comes out.
    fn hear(&mut self, line: Line) -> Option<Input> {
        let mut ready = None;
        self.show(|seen| match line {
            Line::Out(text) => {
                ready = (text == "ready").then_some(Input::Ready);
                match text.split_once(' ').filter(|(name, _)| is_fact(name)) {
                    Some((name, value)) if seen.facts.len() < FACTS_MAX || seen.facts.contains_key(name) => {
                        seen.facts.insert(name.to_owned(), value.to_owned());
                    }
                    _ => {}
                }
                seen.log.push(text);
            }
            Line::Err(text) => {
                let stated = seen.last_words.as_deref().is_some_and(is_statement);
                if !text.trim().is_empty() && (!stated || is_statement(&text)) {
                    seen.last_words = Some(text.clone());
                }
                seen.log.push(text);
            }
        });
        ready
    }

    /// Takes in what an ended process still had to say.
    async fn last_words(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let end = tokio::time::Instant::now() + LAST_WORDS_LIMIT;
        while let Ok(Some(line)) = tokio::time::timeout_at(end, process.lines.recv()).await {
            self.hear(line);
        }
    }
}

/// Whether a line says why the program ends; what follows it is advice.
fn is_statement(line: &str) -> bool {
    line.starts_with("tickcast: ") || line.starts_with("error: ")
}

/// Whether a line's first word can be the name of a fact: short, small letters.
fn is_fact(name: &str) -> bool {
    (1..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Hands on a stream's lines until it ends or nobody listens.
async fn follow(stream: impl AsyncRead + Unpin, tell: mpsc::Sender<Line>, line: fn(String) -> Line) {
    let mut reader = BufReader::new(stream);
    while let Ok(Some(text)) = next_line(&mut reader).await {
        if tell.send(line(text)).await.is_err() {
            return;
        }
    }
}

fn exit_of(status: std::io::Result<std::process::ExitStatus>) -> Exit {
    let Ok(status) = status else { return Exit::Status(-1) };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return Exit::Signal(signal);
    }
    Exit::Status(status.code().unwrap_or(-1))
}

/// The reason and the exit of a failed or restarting child.
pub fn failure_of(phase: Phase) -> Option<Failure> {
    match phase {
        Phase::Failed(failure) | Phase::Restarting { failure, .. } => Some(failure),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
