//! Supervision of real processes: shells that behave as a child of ours does, or worse.

use super::super::lifecycle::Reason;
use super::*;

/// Longer than anything here takes; what hangs fails by it.
const LIMIT: Duration = Duration::from_secs(20);

struct Supervision {
    child: Supervised,
    changed: watch::Receiver<u64>,
    _folder: tempfile::TempDir,
}

impl Supervision {
    fn of(program: &str, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (changed, watched) = watch::channel(0);
        let spec = Spec {
            program: program.into(),
            arguments: vec!["-c".into(), script.into()],
            folder: folder.path().to_owned(),
            after_failure: AfterFailure::Restart,
        };
        Self { child: Supervised::new(spec, changed), changed: watched, _folder: folder }
    }

    fn started(script: &str) -> Self {
        let supervision = Self::of("sh", script);
        assert!(supervision.child.order(Order::Start));
        supervision
    }

    async fn until(&mut self, what: &str, seen: impl Fn(&View) -> bool) -> View {
        let waiting = async {
            loop {
                let view = self.child.view();
                if seen(&view) {
                    return view;
                }
                self.changed.changed().await.expect("the child's task lives");
            }
        };
        let waited = tokio::time::timeout(LIMIT, waiting).await;
        waited.unwrap_or_else(|_| panic!("{what} is awaited: {:?}", self.child.view()))
    }

    async fn running(&mut self) -> View {
        self.until("running", |view| matches!(view.phase, Phase::Running { .. })).await
    }

    async fn failed(&mut self) -> (Failure, View) {
        let view = self.until("a failure", |view| failure_of(view.phase).is_some()).await;
        (failure_of(view.phase).unwrap(), view)
    }
}

#[tokio::test]
async fn a_child_says_what_it_offers_and_runs_when_it_is_ready() {
    let mut supervision = Supervision::started("echo http 127.0.0.1:8080; echo Hello there; echo ready; cat");
    let view = supervision.running().await;
    assert_eq!(view.facts.get("http").map(String::as_str), Some("127.0.0.1:8080"));
    assert_eq!(view.facts.len(), 1, "what is for people is no fact: {:?}", view.facts);
    assert_eq!(supervision.child.fact("http").as_deref(), Some("127.0.0.1:8080"));
    let said: Vec<_> = view.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(said, ["http 127.0.0.1:8080", "Hello there", "ready"]);
}

#[tokio::test]
async fn a_child_is_greeted_at_every_start_and_the_greeting_is_never_shown() {
    let mut supervision =
        Supervision::of("sh", "read first; read second; echo ready; exit ${#first}${#second}");
    supervision.child.greet(&["secret".into(), "go".into()]);
    assert!(supervision.child.order(Order::Start));
    let (failure, _) = supervision.failed().await;
    assert_eq!(failure.exit, Some(Exit::Status(62)), "six and two letters: {failure:?}");
    assert!(!format!("{:?}", supervision.child).contains("secret"));
}

#[tokio::test]
async fn a_stop_reaches_the_child_as_a_line() {
    let mut supervision = Supervision::started("echo ready; read word; echo heard $word; exit 7");
    supervision.running().await;
    supervision.child.order(Order::Stop);
    let view = supervision.until("the stop", |view| view.phase == Phase::Stopped).await;
    assert_eq!(view.log.last().map(|line| line.text.as_str()), Some("heard stop"));
    assert_eq!(supervision.child.fact("heard"), None, "what has stopped offers nothing");
}

#[tokio::test]
async fn a_child_hears_the_end_of_the_pipe_when_nobody_steers_it_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("ended");
    let script = format!("echo ready; cat; echo over > {}", mark.display());
    let mut supervision = Supervision::started(&script);
    supervision.running().await;
    drop(supervision);
    let waiting = async {
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("the child ended by itself");
}

#[tokio::test]
async fn the_last_words_of_a_child_that_cannot_start_are_kept() {
    let mut supervision = Supervision::started(
        "echo waking up >&2; echo tickcast: no such port >&2; echo Try --help >&2; exit 1",
    );
    let (failure, view) = supervision.failed().await;
    assert_eq!(failure, Failure { reason: Reason::EndedBeforeReady, exit: Some(Exit::Status(1)) });
    assert_eq!(view.last_words.as_deref(), Some("tickcast: no such port"));
}

#[tokio::test]
async fn all_that_an_ended_child_said_is_heard() {
    let mut supervision = Supervision::started("seq 1 20000 >&2; exit 1");
    let (_, view) = supervision.failed().await;
    assert_eq!(view.log.last().map(|line| line.text.as_str()), Some("20000"));
}

#[tokio::test]
async fn a_taken_port_is_told_by_the_exit_status() {
    let mut supervision = Supervision::started(&format!("exit {}", crate::ADDRESS_TAKEN));
    assert_eq!(supervision.failed().await.0.reason, Reason::PortTaken);
}

#[tokio::test]
async fn a_program_that_is_missing_is_a_failure_with_the_systems_words() {
    let mut supervision = Supervision::of("/nonexistent/tickcast", "");
    supervision.child.order(Order::Start);
    let (failure, view) = supervision.failed().await;
    assert_eq!(failure, Failure { reason: Reason::Unstartable, exit: None });
    assert!(view.last_words.is_some_and(|words| words.contains("No such file")));
}

#[tokio::test]
async fn a_child_that_is_killed_is_started_again() {
    let mut supervision = Supervision::started("echo pid $$; echo ready; exec cat");
    let first = supervision.running().await.facts["pid"].clone();
    let killed = Command::new("kill").args(["-KILL", &first]).status().await.unwrap();
    assert!(killed.success());
    let again = |view: &View| {
        matches!(view.phase, Phase::Running { .. }) && view.facts.get("pid").is_some_and(|pid| *pid != first)
    };
    let view = supervision.until("another process", again).await;
    assert_eq!(view.restarts, 1);
}

#[tokio::test]
async fn a_chatty_child_is_listened_to_and_forgotten() {
    let script = "i=0; while [ $i -lt 3000 ]; do echo fact$i value; echo line $i >&2; i=$((i+1)); done; \
                  for n in a b c d e f g h i j k l m n o p q r s t; do echo $n 1; done; echo ready; cat";
    let mut supervision = Supervision::started(script);
    let view = supervision.running().await;
    assert_eq!(view.log.len(), 200);
    assert!(view.facts.len() <= FACTS_MAX, "{}", view.facts.len());
}
