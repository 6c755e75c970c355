//! nginx with its RTMP module: a server that is not ours, which records what it gets.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::logged_child::LoggedChild;
use crate::process::{SetupError, wait_until};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
const CONFIGURATION: &str = "nginx.conf";
const READY_LIMIT: Duration = Duration::from_secs(20);

/// The server; ends when dropped.
#[derive(Debug)]
pub struct RtmpServer {
    server: LoggedChild,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl RtmpServer {
    pub fn start() -> Result<Self, SetupError> {
        let file = |what: &str| {
            let what = what.to_owned();
            move |source| SetupError::File { what, source }
        };
        let directory = tempfile::tempdir().map_err(file("no folder for nginx"))?;
        // Taken and given back: nginx cannot say which port the system chose for it.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(file("no port for nginx"))?;
        let address = listener.local_addr().map_err(file("no port for nginx"))?;
        drop(listener);
        let folder = directory.path().display();
        let configuration = format!(
            "load_module {MODULE};\ndaemon off;\nmaster_process off;\nuser root;\npid {folder}/pid;\n\
             error_log stderr warn;\nevents {{}}\nrtmp {{ server {{ listen {address}; chunk_size 4096;\n\
             application live {{ live on; record all; record_path {folder}; record_suffix .flv; }} }} }}\n"
        );
        std::fs::write(directory.path().join(CONFIGURATION), configuration)
            .map_err(file("nginx's configuration"))?;
        let server = serve(directory.path(), address)?;
        Ok(Self { server, address, directory })
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) -> Result<(), SetupError> {
        self.server = serve(self.directory.path(), self.address)?;
        Ok(())
    }

    /// Where to publish under `name`.
    pub fn url(&self, name: &str) -> String {
        format!("rtmp://{}/live/{name}", self.address)
    }

    /// The file that what was published under `name` is recorded into.
    pub fn recording(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.flv"))
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// What it logged, for failures.
    pub fn log(&self) -> String {
        self.server.errors()
    }
}

fn serve(directory: &Path, address: SocketAddr) -> Result<LoggedChild, SetupError> {
    let mut command = Command::new("nginx");
    command.arg("-p").arg(directory).arg("-c").arg(directory.join(CONFIGURATION));
    let mut server = LoggedChild::spawn("nginx", &mut command)?;
    wait_until("nginx", READY_LIMIT, || {
        let ended = server.has_ended();
        let ended = ended.then(|| Err(SetupError::Ended { what: "nginx".into(), output: server.errors() }));
        ended.or_else(|| TcpStream::connect(address).ok().map(|_| Ok(())))
    })??;
    Ok(server)
}
