//! The engine publishes over TLS, and to nobody whose certificate it cannot trust.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use testkit::{LoggedChild, RtmpServer, ffmpeg, wait_until};

use crate::broadcasts::{LIMIT, TICKCAST, file};

/// Some four seconds of both tracks at the test broadcast's bitrates.
const ENOUGH_BYTES: u64 = 250_000;

/// A certificate authority of the test's own, and what it signed.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new(name: &str) -> Self {
        let authority = Self { folder: tempfile::tempdir().expect("a folder") };
        authority.openssl(&["-keyout", "ca.key", "-out", "ca.pem", "-subj", &format!("/CN={name}")]);
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, rest: &[&str]) {
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"])
            .args(["-days", "2"])
            .args(rest)
            .current_dir(self.folder.path());
        let output = command.output().expect("openssl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// For a server at `host`, in `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str, host: &str) {
        let (key, certificate) = (format!("{name}.key"), format!("{name}.pem"));
        self.openssl(&[
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-subj",
            &format!("/CN={host}"),
            "-addext",
            &format!("subjectAltName=DNS:{host}"),
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
    }
}

/// OpenSSL in front of an RTMP server: takes one connection, and passes on what is in it.
struct TlsServer {
    child: Child,
    address: SocketAddr,
}

impl TlsServer {
    fn start(authority: &Authority, name: &str, server: &RtmpServer) -> Self {
        // Taken and given back: OpenSSL cannot say which port the system chose for it.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let mut child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &address.to_string()])
            .arg("-cert")
            .arg(authority.path(&format!("{name}.pem")))
            .arg("-key")
            .arg(authority.path(&format!("{name}.key")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl runs");
        let (mut to_client, mut from_client) =
            (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let url = server.url("");
        let place = url.split('/').nth(2).expect("an RTMP address names a host");
        let upstream = TcpStream::connect(place).expect("the RTMP server");
        let mut answers = upstream.try_clone().expect("a second handle");
        thread::spawn(move || pass(&mut from_client, &mut &upstream));
        thread::spawn(move || pass(&mut answers, &mut to_client));
        wait_until("OpenSSL's port", LIMIT, || is_listening(address).then_some(())).expect("it listens");
        Self { child, address }
    }

    fn url(&self, host: &str, name: &str) -> String {
        format!("rtmps://{host}:{}/live/{name}", self.address.port())
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As the system's table has it: a connection to try it with would be its only one.
fn is_listening(address: SocketAddr) -> bool {
    let wanted = format!(":{:04X} 00000000:0000 0A", address.port());
    std::fs::read_to_string("/proc/net/tcp").is_ok_and(|table| table.contains(&wanted))
}

/// Until either side ends; each piece at once.
fn pass(from: &mut impl Read, to: &mut impl Write) {
    let mut bytes = [0; 16 * 1024];
    let mut piece = || -> io::Result<usize> {
        let count = from.read(&mut bytes)?;
        to.write_all(&bytes[..count]).and_then(|()| to.flush()).map(|()| count)
    };
    while piece().is_ok_and(|count| count > 0) {}
}

/// An engine that publishes to `url`, and trusts `authority` alone.
fn engine(folder: &Path, url: &str, authority: &Authority) -> LoggedChild {
    let file = file(folder, &format!("outputs = [{{ kind = \"rtmp\", url = {url:?} }}]"));
    let mut command = Command::new(TICKCAST);
    command
        .args(["--log", "info", "engine", "--loopback"])
        .arg(file)
        .env("SSL_CERT_FILE", authority.path("ca.pem"))
        .env_remove("SSL_CERT_DIR");
    LoggedChild::spawn("the engine", &mut command).expect("the engine starts")
}

#[test]
fn what_the_engine_publishes_over_tls_arrives_and_decodes() {
    let (authority, server) = (Authority::new("Known"), RtmpServer::start().expect("nginx"));
    authority.sign("server", "localhost");
    let tls = TlsServer::start(&authority, "server", &server);
    let folder = tempfile::tempdir().expect("a folder");
    let mut engine = engine(folder.path(), &tls.url("localhost", "secret"), &authority);
    let recording = server.recording("secret");
    let grown = wait_until("nginx's recording", LIMIT, || {
        recording.metadata().ok().filter(|file| file.len() > ENOUGH_BYTES)
    });
    grown.unwrap_or_else(|err| panic!("{err}\nthe engine: {}\nnginx: {}", engine.errors(), server.log()));
    assert!(engine.terminate(LIMIT).expect("the engine ends").success(), "{}", engine.errors());
    let probed = ffmpeg::probe(&[], &recording.to_string_lossy()).expect("ffprobe accepts it");
    assert_eq!(ffmpeg::stream(&probed, "audio")["codec_name"], "aac");
    let decoded = ffmpeg::decode(&[], &recording.to_string_lossy(), None).expect("it decodes");
    assert_eq!(decoded.pictures.len() as u64, ffmpeg::packets(&probed, "video"));
    assert!(decoded.pictures.len() > 30, "{} pictures", decoded.pictures.len());
}

/// What the engine says of an output that it does not trust.
fn refusal(server: &Authority, host: &str, trusted: &Authority) -> String {
    let rtmp = RtmpServer::start().expect("nginx");
    let tls = TlsServer::start(server, "server", &rtmp);
    let folder = tempfile::tempdir().expect("a folder");
    let mut engine = engine(folder.path(), &tls.url(host, "secret"), trusted);
    let prefix = format!("rtmp {} lost: ", tls.url(host, "").trim_end_matches('/'));
    let said = engine.wait_for_line(&prefix, LIMIT);
    let said = said.unwrap_or_else(|err| panic!("{err}\n{}", engine.errors()));
    assert!(!rtmp.recording("secret").exists(), "something was published");
    said
}

#[test]
fn a_server_that_nobody_known_vouches_for_is_refused_with_the_reason() {
    let (server, trusted) = (Authority::new("Unknown"), Authority::new("Known"));
    server.sign("server", "localhost");
    let said = refusal(&server, "localhost", &trusted);
    assert!(said.contains("certificate") && said.contains("is not one that this system trusts"), "{said}");
}

#[test]
fn a_server_with_the_certificate_of_another_is_refused_with_the_reason() {
    let authority = Authority::new("Known");
    authority.sign("server", "ingest.example");
    let said = refusal(&authority, "localhost", &authority);
    assert!(said.contains("certificate") && said.contains("is not for localhost"), "{said}");
}
