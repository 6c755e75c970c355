//! A private PulseAudio with a loudspeaker that nobody hears and a microphone that hears it.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{OwnedChild, SetupError, wait_until};

const READY_LIMIT: Duration = Duration::from_secs(15);

/// The server; ends when dropped.
#[derive(Debug)]
pub struct AudioServer {
    server: OwnedChild,
    directory: tempfile::TempDir,
}

impl AudioServer {
    /// What the microphone is called in listings.
    pub const MICROPHONE: &str = "Studio-Microphone";
    /// What the loudspeaker is called in listings.
    pub const LOUDSPEAKER: &str = "Studio-Loudspeaker";

    pub fn start() -> Result<Self, SetupError> {
        let directory = tempfile::tempdir().map_err(|source| SetupError::File {
            what: "no directory for the audio server".into(),
            source,
        })?;
        let server = serve(&directory)?;
        let mut started = Self { server, directory };
        started.wait_until_ready()?;
        Ok(started)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("native")
    }

    fn wait_until_ready(&mut self) -> Result<(), SetupError> {
        let socket = self.socket();
        let server = &mut self.server;
        // The socket is the last module loaded: who can connect finds the devices.
        wait_until("pulseaudio", READY_LIMIT, || {
            let ended = server.has_ended().then(|| {
                let output = "see its output above".into();
                Err(SetupError::Ended { what: "pulseaudio".into(), output })
            });
            ended.or_else(|| UnixStream::connect(&socket).ok().map(|_| Ok(())))
        })?
    }

    /// What a process needs in its environment to find this server and no other.
    pub fn environment(&self) -> [(OsString, OsString); 1] {
        [("PULSE_SERVER".into(), format!("unix:{}", self.socket().display()).into())]
    }

    /// Ends the server and starts it again, as an update of the system does.
    pub fn restart(&mut self) -> Result<(), SetupError> {
        self.stop();
        self.server = serve(&self.directory)?;
        self.wait_until_ready()
    }

    /// Ends the server.
    pub fn stop(&mut self) {
        let child = self.server.child();
        let _ = child.kill();
        let _ = child.wait();
        // A killed server leaves its socket behind, and a new one would take the place for occupied.
        let _ = std::fs::remove_file(self.socket());
    }

    /// Plays interleaved stereo at 48 kHz into the loudspeaker until it was all heard.
    pub fn play(&self, samples: &[f32]) -> Result<OwnedChild, SetupError> {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let file = self.directory.path().join("played.raw");
        std::fs::File::create(&file)
            .and_then(|mut out| out.write_all(&bytes))
            .map_err(|source| SetupError::File { what: "the sound cannot be written".into(), source })?;
        let mut player = Command::new("pacat");
        player
            .args(["--playback", "--raw", "--format=float32le", "--rate=48000", "--channels=2"])
            .args(["--device=studio", "--volume=65536"])
            .arg(&file)
            .envs(self.environment());
        OwnedChild::spawn(&mut player)
    }
}

fn serve(directory: &tempfile::TempDir) -> Result<OwnedChild, SetupError> {
    let socket = directory.path().join("native");
    let modules = [
        format!(
            "module-null-sink sink_name=studio rate=48000 channels=2 sink_properties=device.description={}",
            AudioServer::LOUDSPEAKER
        ),
        format!(
            "module-remap-source master=studio.monitor source_name=studiomic \
             source_properties=device.description={}",
            AudioServer::MICROPHONE
        ),
        format!("module-native-protocol-unix socket={} auth-anonymous=1", socket.display()),
    ];
    let mut command = Command::new("pulseaudio");
    command
        .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"])
        .args(["--log-target=stderr", "--log-level=error"])
        .args(modules.iter().flat_map(|module| ["-L", module]))
        // Root is refused without a home of its own, and a shared one would mix up servers.
        .env("HOME", directory.path())
        .env("XDG_RUNTIME_DIR", directory.path())
        .stdout(Stdio::null());
    OwnedChild::spawn(&mut command)
}
