//! Small blocking drivers around the sans-IO sessions, and the processes that they talk to.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tickcast_rtmp::{
    Client, ClientConfig, ClientEvent, Error, Server, ServerConfig, ServerEvent, SharedTag, Tag,
};

/// No peer here takes this long: a test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One stream, kept from its start, so that a player that comes late still gets all of it.
#[derive(Default)]
pub struct Stream {
    pub tags: Vec<Tag>,
    pub app: String,
    pub key: String,
    pub ended: bool,
    /// All bytes that came, from every connection.
    pub capture: Vec<u8>,
    pub error: Option<Error>,
}

pub struct Hub {
    stream: Mutex<Stream>,
    changed: Condvar,
}

impl Hub {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { stream: Mutex::default(), changed: Condvar::new() })
    }

    pub fn update(&self, change: impl FnOnce(&mut Stream)) {
        change(&mut self.stream.lock().unwrap());
        self.changed.notify_all();
    }

    /// What `look` returns as soon as it returns something.
    pub fn wait<T>(&self, mut look: impl FnMut(&Stream) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut stream = self.stream.lock().unwrap();
        loop {
            if let Some(found) = look(&stream) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the stream did not get there");
            stream = self.changed.wait_timeout(stream, left).unwrap().0;
        }
    }

    /// Looks at a stream whose connections were served.
    pub fn look<T>(&self, look: impl FnOnce(&Stream) -> T) -> T {
        look(&self.stream.lock().unwrap())
    }
}

/// A listening socket whose connections each serve `hub`.
pub struct Listener {
    pub address: SocketAddr,
    hub: Arc<Hub>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Serves as many connections as `connections` says, then ends.
    pub fn serve(hub: &Arc<Hub>, connections: usize) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let shared = hub.clone();
        let thread = std::thread::spawn(move || {
            let served: Vec<_> = (0..connections)
                .map(|_| {
                    let (socket, _) = socket.accept().unwrap();
                    let hub = shared.clone();
                    std::thread::spawn(move || serve(socket, &hub))
                })
                .collect();
            served.into_iter().for_each(|thread| thread.join().unwrap());
        });
        Self { address, hub: hub.clone(), thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("rtmp://{}/{path}", self.address)
    }

    /// Waits until all its connections were served.
    pub fn join(mut self) -> Arc<Hub> {
        self.thread.take().unwrap().join().unwrap();
        self.hub.clone()
    }
}

fn flush(server: &mut Server, socket: &mut TcpStream) -> std::io::Result<()> {
    while let Some(bytes) = server.poll_output() {
        socket.write_all(&bytes)?;
    }
    Ok(())
}

fn serve(mut socket: TcpStream, hub: &Hub) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut server = Server::new(ServerConfig::default(), Instant::now());
    let mut buffer = vec![0; 65_536];
    let mut publishes = false;
    while let Ok(count) = socket.read(&mut buffer) {
        if count == 0 {
            break;
        }
        let result = server.handle_input(Instant::now(), &buffer[..count]);
        hub.update(|stream| stream.capture.extend_from_slice(&buffer[..count]));
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::PublishRequested { app, key } => {
                    publishes = true;
                    hub.update(|stream| {
                        stream.app = app;
                        stream.key = key.expose().to_owned();
                    });
                    server.accept().unwrap();
                }
                ServerEvent::PlayRequested { .. } => {
                    server.accept().unwrap();
                    play(&mut server, &mut socket, hub);
                }
                ServerEvent::Media(tag) => hub.update(|stream| stream.tags.push(tag)),
                ServerEvent::PublishEnded | ServerEvent::PlayEnded | ServerEvent::Paused(_) => {}
            }
        }
        if flush(&mut server, &mut socket).is_err() {
            break;
        }
        if let Err(error) = result {
            hub.update(|stream| stream.error = Some(error));
            break;
        }
    }
    if publishes {
        hub.update(|stream| stream.ended = true);
    }
}

/// Sends the whole stream, as it comes, to its end.
fn play(server: &mut Server, socket: &mut TcpStream, hub: &Hub) {
    for index in 0.. {
        let next = hub.wait(|stream| match stream.tags.get(index) {
            Some(tag) => Some(Some(tag.clone())),
            None => stream.ended.then_some(None),
        });
        let Some(tag) = next else { break };
        server.send(&mut SharedTag::new(tag)).unwrap();
        if flush(server, socket).is_err() {
            return;
        }
    }
    server.end_play(Instant::now()).unwrap();
    // The player may be gone already: then nobody misses this.
    let _ = flush(server, socket);
}

/// Runs a client to its end: sends `tags` when it may, and returns what it got.
pub fn run_client(config: ClientConfig, tags: &[Tag]) -> Result<Vec<ClientEvent>, Error> {
    let address = (config.url.host().to_owned(), config.url.port());
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::new(config, Instant::now());
    let mut buffer = vec![0; 65_536];
    let mut events = Vec::new();
    let mut sent = false;
    loop {
        while let Some(bytes) = client.poll_output() {
            socket.write_all(&bytes).unwrap();
        }
        let count = socket.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            return Ok(events);
        }
        client.handle_input(Instant::now(), &buffer[..count])?;
        while let Some(event) = client.poll_event() {
            let is_end = matches!(event, ClientEvent::Ended(_));
            events.push(event);
            if is_end {
                let _ = socket.shutdown(Shutdown::Write);
            }
        }
        if client.is_running() && !tags.is_empty() && !sent {
            sent = true;
            for tag in tags {
                client.send(tag).unwrap();
                while let Some(bytes) = client.poll_output() {
                    socket.write_all(&bytes).unwrap();
                }
            }
            client.finish().unwrap();
            while let Some(bytes) = client.poll_output() {
                socket.write_all(&bytes).unwrap();
            }
            socket.shutdown(Shutdown::Write).unwrap();
        }
    }
}

/// A process that ends with its owner.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays until `is_enough`, which sees each event.
pub fn watch_client(
    config: ClientConfig,
    mut is_enough: impl FnMut(&ClientEvent) -> bool,
) -> Vec<ClientEvent> {
    let mut socket = TcpStream::connect((config.url.host(), config.url.port())).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::new(config, Instant::now());
    let mut buffer = vec![0; 65_536];
    let mut events = Vec::new();
    loop {
        while let Some(bytes) = client.poll_output() {
            socket.write_all(&bytes).unwrap();
        }
        let count = socket.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "the server closed before enough was seen");
        client.handle_input(Instant::now(), &buffer[..count]).unwrap();
        while let Some(event) = client.poll_event() {
            let enough = is_enough(&event);
            events.push(event);
            if enough {
                return events;
            }
        }
    }
}

/// nginx with its RTMP module, on a port of its own, recording into its folder.
pub struct Nginx {
    process: Child,
    pub port: u16,
    pub folder: tempfile::TempDir,
}

impl Nginx {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = folder.path().display();
        let configuration = format!(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
             daemon off; master_process off; pid {root}/pid; error_log {root}/error.log info;\n\
             events {{ worker_connections 64; }}\n\
             rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; chunk_size 4096;\n\
             application live {{ live on; record all; record_path {root}; }} }} }}\n"
        );
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, configuration).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(path).arg("-p").arg(folder.path()).args(["-e", "/dev/null"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { process, port, folder };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::yield_now();
        }
        nginx
    }

    pub fn url(&self, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{key}", self.port)
    }

    /// Lets it finish its files, and returns the recording.
    pub fn finish(&mut self) -> std::path::PathBuf {
        let status = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.process.wait().unwrap();
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let recordings: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|end| end == "flv")).collect();
        assert_eq!(recordings.len(), 1, "{recordings:?}");
        recordings[0].clone()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn ffmpeg(arguments: &[&str]) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(arguments).stdin(Stdio::null());
    command
}

/// Runs to the end, which must be a success.
pub fn run(mut command: Command) -> Output {
    let output = command.output().expect("the program is installed");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?} ended with {}: {words}", output.status);
    output
}

/// A file of `seconds` of picture and sound: H.264 baseline and AAC in FLV. Noise makes it large.
pub fn make_source(path: &Path, seconds: u32, noise: u32) {
    let video = format!("testsrc=size=320x180:rate=30:duration={seconds},noise=alls={noise}:allf=t");
    let audio = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    let arguments = [
        "-f",
        "lavfi",
        "-i",
        &video,
        "-f",
        "lavfi",
        "-i",
        &audio,
        "-c:v",
        "libx264",
        "-profile:v",
        "baseline",
        "-preset",
        "ultrafast",
        "-g",
        "30",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-b:a",
        "96k",
        "-f",
        "flv",
    ];
    let mut command = ffmpeg(&arguments);
    command.arg(path);
    run(command);
}

/// One line of a framemd5 file: stream, decoding time, presentation time, duration, size, hash.
pub type Frame = (u32, i64, i64, String);

/// What FFmpeg reads from `input`, frame by frame.
pub fn frames_of(input: &str) -> Vec<Frame> {
    let arguments =
        ["-copyts", "-rw_timeout", "20000000", "-i", input, "-c", "copy", "-copyts", "-f", "framemd5", "-"];
    let output = run(ffmpeg(&arguments));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut frames: Vec<Frame> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let fields: Vec<_> = line.split(',').map(str::trim).collect();
            let number = |index: usize| fields[index].parse().unwrap();
            (fields[0].parse().unwrap(), number(1), number(2), fields[5].to_owned())
        })
        .collect();
    // Order within each stream is what counts; how streams interleave is the reader's affair.
    frames.sort_by_key(|frame| frame.0);
    frames
}
