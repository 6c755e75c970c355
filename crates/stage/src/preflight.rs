//! The look round before going live: what viewers would notice first. It holds nothing up for longer than [`LIMIT`], and
//! whoever wants to goes live all the same.

use std::path::PathBuf;
use std::time::Duration;

use studio::Snapshot;
use studio::room::room;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::health::{source_sentence, too_busy};
use crate::rates::Rates;

/// A server that has not answered by then is said to be out of reach.
pub const LIMIT: Duration = Duration::from_secs(3);
/// A recording has room for less than this: it is worth a word.
const MINUTES_LEAST: u64 = 30;
/// What sound and a container add to a picture's bits.
const BESIDE_KBPS: u64 = 200;

/// What a broadcast is about to do, as far as it can be looked at beforehand.
pub struct Plan<'a> {
    pub snapshot: &'a Snapshot,
    pub rates: &'a Rates,
    /// Where it is recorded, if going live records.
    pub recording: Option<PathBuf>,
}

/// A look that is being taken.
pub struct Preflight(Receiver<Vec<String>>);

impl Preflight {
    pub fn start(plan: Plan<'_>, runtime: &Handle) -> Self {
        let seen = seen(plan.snapshot, plan.rates);
        let servers: Vec<_> = plan.snapshot.outputs.iter().filter_map(|output| server(&output.url)).collect();
        let kbps = plan.snapshot.renditions.iter().map(|rendition| rendition.target_kbps).max();
        let disk = plan.recording.map(|folder| (folder, u64::from(kbps.unwrap_or_default()) + BESIDE_KBPS));
        let (tell, told) = oneshot::channel();
        runtime.spawn(async move {
            let mut found = seen;
            found.extend(looked(servers, disk).await);
            // Nobody waits any more: the window is gone.
            let _ = tell.send(found);
        });
        Self(told)
    }

    /// Sentences, the worst first, once it is over; none where all is well.
    pub fn found(&mut self) -> Option<Vec<String>> {
        match self.0.try_recv() {
            Ok(found) => Some(found),
            Err(TryRecvError::Empty) => None,
            // It failed itself, which is no reason to stay off the air.
            Err(TryRecvError::Closed) => Some(Vec::new()),
        }
    }
}

/// What can be seen without asking anybody.
fn seen(snapshot: &Snapshot, rates: &Rates) -> Vec<String> {
    let mut found: Vec<String> = snapshot.sources.iter().filter_map(source_sentence).collect();
    found.extend(too_busy(rates));
    let interval_ms = 1_000.0 / if snapshot.programme.fps > 0.0 { snapshot.programme.fps } else { 30.0 };
    let slow = snapshot
        .renditions
        .iter()
        .find(|rendition| rendition.encode_ms_p50.is_some_and(|encode_ms| encode_ms > interval_ms));
    if let (Some(slow), true) = (slow, found.is_empty()) {
        found.push(format!(
            "Encoding {}p takes longer than a picture lasts: pictures will be left out. Close other programs, or choose a \
             smaller programme.",
            slow.height
        ));
    }
    found
}

async fn looked(servers: Vec<Server>, disk: Option<(PathBuf, u64)>) -> Vec<String> {
    let mut probes = JoinSet::new();
    for (place, server) in servers.into_iter().enumerate() {
        probes.spawn(async move { (place, reached(&server).await) });
    }
    let room = async {
        let (folder, kbps) = disk?;
        let shown = folder.clone();
        let told = tokio::task::spawn_blocking(move || room(&folder));
        let bytes = timeout(LIMIT, told).await.ok()?.ok()?.ok()?;
        let minutes = bytes / (kbps * 125).max(1) / 60;
        (minutes < MINUTES_LEAST).then(|| {
            format!(
                "The disk of {} has room for {minutes} minutes of recording. Make room, or record elsewhere.",
                shown.parent().unwrap_or(&shown).display()
            )
        })
    };
    let (mut out_of_reach, room) = tokio::join!(
        async {
            let mut found = Vec::new();
            while let Some(probed) = probes.join_next().await {
                if let Ok((place, Err(why))) = probed {
                    found.push((place, why));
                }
            }
            found
        },
        room
    );
    out_of_reach.sort_by_key(|(place, _)| *place);
    out_of_reach.into_iter().map(|(_, why)| why).chain(room).collect()
}

/// Whether somebody is there, as far as that can be known without disturbing anybody.
async fn reached(Server { host, port, takes_one }: &Server) -> Result<(), String> {
    let connected = async {
        let addresses = lookup_host((host.as_str(), *port)).await;
        let addresses = addresses.map_err(|_| "no such name is known".to_owned())?;
        if *takes_one {
            return Ok(());
        }
        let mut why = "it has no address".to_owned();
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(_) => return Ok(()),
                Err(err) if err.kind() == std::io::ErrorKind::ConnectionRefused => {
                    why = "nothing listens there".to_owned();
                }
                Err(_) => why = "there is no way to it".to_owned(),
            }
        }
        Err(why)
    };
    let answered = timeout(LIMIT, connected).await;
    answered.unwrap_or_else(|_| Err("it does not answer".to_owned())).map_err(|why| {
        format!("{host}:{port} gets no picture: {why}. Check the address, and whether the server runs.")
    })
}

/// Who takes an output.
#[derive(Debug)]
struct Server {
    host: String,
    port: u16,
    /// It may listen for a single publisher (as `ffmpeg -listen 1` does), and a look at its port would be that one.
    takes_one: bool,
}

/// Of an output's address.
fn server(url: &str) -> Option<Server> {
    let (scheme, rest) = url.split_once("://")?;
    let (port, takes_one) = match scheme {
        "http" => (80, false),
        "https" => (443, false),
        "rtmp" => (1935, true),
        "rtmps" => (443, true),
        _ => return None,
    };
    let authority = rest.split('/').next()?;
    let (host, named) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, port)| (host, port.strip_prefix(':')))?,
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = named.map_or(Some(port), |named| named.parse().ok())?;
    (!host.is_empty()).then(|| Server { host: host.to_owned(), port, takes_one })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::path::Path;

    use studio::snapshot::{OutputFigures, ProgrammeFigures, SourceFigures};

    use super::*;

    fn looks(snapshot: &Snapshot, rates: &Rates, recording: Option<&Path>) -> Vec<String> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let plan = Plan { snapshot, rates, recording: recording.map(Path::to_owned) };
        let Preflight(told) = Preflight::start(plan, runtime.handle());
        runtime.block_on(told).unwrap()
    }

    fn sending_to(urls: &[String]) -> Snapshot {
        let output = |url: &String| OutputFigures { url: url.clone(), state: "idle", ..Default::default() };
        Snapshot {
            outputs: urls.iter().map(output).collect(),
            programme: ProgrammeFigures { fps: 30.0, ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn servers_are_where_their_addresses_say() {
        let at = |url: &str| server(url).map(|Server { host, port, .. }| format!("{host} {port}"));
        assert_eq!(at("rtmp://live.example/app").as_deref(), Some("live.example 1935"));
        assert_eq!(at("rtmps://live.example/app").as_deref(), Some("live.example 443"));
        assert_eq!(at("http://127.0.0.1:8080/whip").as_deref(), Some("127.0.0.1 8080"));
        assert_eq!(at("https://[::1]:9/whip").as_deref(), Some("::1 9"));
        for none in ["", "rtmp://", "file:///x", "http://host:nine/"] {
            assert_eq!(at(none), None, "{none}");
        }
    }

    #[test]
    fn nothing_is_said_where_all_is_well() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/whip", server.local_addr().unwrap());
        assert_eq!(looks(&sending_to(&[url]), &Rates::default(), None), Vec::<String>::new());
    }

    #[test]
    fn a_server_that_may_take_one_publisher_alone_is_not_connected_to() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let url = format!("rtmp://{}/live", server.local_addr().unwrap());
        assert_eq!(looks(&sending_to(&[url]), &Rates::default(), None), Vec::<String>::new());
        assert_eq!(server.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn each_server_that_nobody_reaches_is_named_in_the_order_of_the_outputs() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = closed.local_addr().unwrap();
        drop(closed);
        let urls = ["rtmp://no-such-host.invalid/live".to_owned(), format!("http://{place}/whip")];
        let found = looks(&sending_to(&urls), &Rates::default(), None);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("no-such-host.invalid:1935 gets no picture: "), "{found:?}");
        let refused = format!(
            "{place} gets no picture: nothing listens there. Check the address, and whether the server runs."
        );
        assert_eq!(found[1], refused);
    }

    #[test]
    fn a_source_that_is_lost_and_a_computer_that_is_too_slow_are_told() {
        let mut snapshot = sending_to(&[]);
        snapshot.sources.push(SourceFigures {
            name: "Camera".into(),
            kind: "camera",
            state: "lost",
            message: Some("It was disconnected. Connect it again.".into()),
        });
        let rates = Rates { dropped: Some(0.2), ..Default::default() };
        let found = looks(&snapshot, &rates, None);
        assert!(
            found[0].starts_with("Camera: It was disconnected.") && found[1].contains("too busy"),
            "{found:?}"
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_disk_with_little_room_is_told_with_the_minutes_that_fit() {
        // Where nothing can be written there is room for nothing.
        let found = looks(&sending_to(&[]), &Rates::default(), Some(Path::new("/proc/show.mp4")));
        assert_eq!(
            found,
            ["The disk of /proc has room for 0 minutes of recording. Make room, or record elsewhere."]
        );
    }
}
