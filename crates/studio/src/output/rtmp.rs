//! One rendition with AAC to an RTMP or RTMPS server, connected again whenever it is lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{AudioTrack, Codec, Packet, Timescale, VideoTrack};
use mux::flv::{AudioBody, AudioCodec, VideoBody};
use mux::h264::AvcConfig;
use rtmp::{Client, ClientConfig, ClientEvent, Metadata, Role, RtmpUrl, Scheme, Tag, TagContent};
use rustls_platform_verifier::BuilderVerifierExt;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;

use super::Status;
use crate::hub::{Hub, Lane, Subscription};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A server that takes nothing for this long is given up: what waits is older than any viewer wants.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_LAST: Duration = Duration::from_secs(15);
const READ_BYTES: usize = 16 * 1024;

/// A server that refused so many times in a row, and never took the stream, hardly will: the key is wrong. By then some
/// 45 s have passed, in which a server has noticed that a publisher before this one is gone: our own needs 30.
const REFUSALS_MAX: u32 = 8;

/// What is published.
#[derive(Clone)]
pub struct RtmpParts {
    pub url: RtmpUrl,
    pub video: VideoTrack,
    pub sound: AudioTrack,
}

/// The tracks of one connection.
#[derive(Clone, Debug)]
pub struct Tracks {
    pub video: Option<VideoTrack>,
    pub sound: Option<AudioTrack>,
}

/// Why a connection ended, or never began.
#[derive(Debug, Error)]
pub enum OutputError {
    #[error("the server could not be reached: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error("the server did not answer in time")]
    Late,
    #[error("the connection could not be encrypted: {0}")]
    Tls(String),
    #[error("the server's certificate {0}")]
    Certificate(String),
    #[error(transparent)]
    Session(#[from] rtmp::Error),
    #[error("the server closed the connection")]
    ClosedByServer,
    #[error("the server ended the stream: {0}")]
    EndedByServer(String),
}

impl OutputError {
    /// The server was reached, and does not want this stream.
    const fn is_refusal(&self) -> bool {
        matches!(self, Self::Session(rtmp::Error::ConnectRefused(_) | rtmp::Error::PublishRefused(_)))
    }
}

/// How one connection ended, where it did not fail.
pub enum End {
    /// The broadcast is over.
    Broadcast,
}

/// Publishes until the hub closes or `stop` says so.
pub async fn run(
    parts: RtmpParts,
    hub: Hub,
    status: Status,
    mut stop: watch::Receiver<bool>,
    want_key: impl Fn() + Send,
) {
    let rendition = parts.video.rendition;
    let packets = hub.subscribe(move |lane| lane == Lane::Video(rendition) || lane == Lane::Aac);
    let tracks = Tracks { video: Some(parts.video), sound: Some(parts.sound) };
    let mut patience = Patience::default();
    loop {
        let begun = Instant::now();
        let connection = publish(&parts.url, &tracks, &packets, &status, &want_key);
        let ended = tokio::select! {
            ended = connection => ended,
            // Dropping the connection closes it; the server sees the end of the stream.
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let err = match ended {
            Ok(End::Broadcast) => break,
            Err(err) => err,
        };
        tracing::warn!("RTMP output: {err}");
        status.change(|figures| {
            figures.state = "lost";
            figures.message = Some(err.to_string());
        });
        let Some(pause) = patience.after(err.is_refusal(), begun.elapsed(), status.get().stood) else {
            status.change(|figures| figures.message = Some(format!("it is not tried again: {err}")));
            break;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = packets.closed() => break,
            _ = stop.wait_for(|stop| *stop) => break,
        }
        packets.skip_to_now();
    }
    status.change(|figures| figures.state = "closed");
}

/// When the next connection is made, if any.
struct Patience {
    pause: Duration,
    /// In a row.
    refusals: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pause: BACKOFF_FIRST, refusals: 0 }
    }
}

impl Patience {
    /// After a connection that lasted so long; `stood` is whether any did. `None`: never again.
    fn after(&mut self, was_refused: bool, lasted: Duration, stood: bool) -> Option<Duration> {
        self.refusals = if was_refused { self.refusals + 1 } else { 0 };
        if self.refusals >= REFUSALS_MAX && !stood {
            return None;
        }
        if lasted > BACKOFF_LAST {
            self.pause = BACKOFF_FIRST;
        }
        let next = (self.pause * 2).min(BACKOFF_LAST);
        Some(std::mem::replace(&mut self.pause, next))
    }
}

/// One connection, from its making to its end.
pub async fn publish(
    url: &RtmpUrl,
    tracks: &Tracks,
    packets: &Subscription,
    status: &Status,
    want_key: &(impl Fn() + Send),
) -> Result<End, OutputError> {
    let connecting = TcpStream::connect((url.host(), url.port()));
    let Some(connected) = unless_over(packets, timeout(CONNECT_LIMIT, connecting)).await else {
        return Ok(End::Broadcast);
    };
    let socket = connected.map_err(|_| OutputError::Late)??;
    socket.set_nodelay(true)?;
    match url.scheme() {
        Scheme::Rtmp => Session::new(url, tracks, socket, status)?.run(packets, want_key).await,
        Scheme::Rtmps => {
            let encrypting = timeout(CONNECT_LIMIT, encrypt(url.host(), socket));
            let Some(encrypted) = unless_over(packets, encrypting).await else { return Ok(End::Broadcast) };
            let socket = encrypted.map_err(|_| OutputError::Late)??;
            Session::new(url, tracks, socket, status)?.run(packets, want_key).await
        }
    }
}

/// What is on its way to a connection, if the broadcast does not end before: nothing was sent that it would lose.
async fn unless_over<T>(packets: &Subscription, way: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = way => Some(done),
        () = packets.closed() => None,
    }
}

async fn encrypt(
    host: &str,
    socket: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, OutputError> {
    // Reads the system's certificates from the disk.
    let config = tokio::task::spawn_blocking(trusting_as_the_system).await;
    let config = config.map_err(std::io::Error::other)?.map_err(|err| OutputError::Tls(err.to_string()))?;
    let name = rustls_pki_types::ServerName::try_from(host.to_owned())
        .map_err(|err| OutputError::Tls(err.to_string()))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, socket);
    connecting.await.map_err(|err| not_encrypted(host, err))
}

fn trusting_as_the_system() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}

/// A server that answered and is not trusted is another thing than one that cannot be reached.
fn not_encrypted(host: &str, err: std::io::Error) -> OutputError {
    use rustls::CertificateError as Refused;
    let refused = match err.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(refused)) => refused,
        Some(other) => return OutputError::Tls(other.to_string()),
        None => return err.into(),
    };
    OutputError::Certificate(match refused {
        Refused::UnknownIssuer => "is not one that this system trusts".into(),
        Refused::NotValidForName | Refused::NotValidForNameContext { .. } => format!("is not for {host}"),
        Refused::Expired | Refused::ExpiredContext { .. } => "has expired".into(),
        Refused::NotValidYet | Refused::NotValidYetContext { .. } => {
            "is not valid yet: is this computer's clock right?".into()
        }
        other => format!("is refused: {other}"),
    })
}

/// One connection.
struct Session<'a, S> {
    tracks: &'a Tracks,
    socket: S,
    client: Client,
    status: &'a Status,
    config: Option<AvcConfig>,
    sent_before: u64,
    sent: u64,
    /// After a drop no picture is sent before the next key frame.
    broken: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    fn new(url: &RtmpUrl, tracks: &'a Tracks, socket: S, status: &'a Status) -> Result<Self, OutputError> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        let config =
            ClientConfig { seed: u64::from_le_bytes(seed), ..ClientConfig::new(url.clone(), Role::Publish) };
        let client = Client::new(config, Instant::now());
        let sent_before = status.get().bytes;
        Ok(Self { tracks, socket, client, status, config: None, sent_before, sent: 0, broken: true })
    }

    async fn run(
        mut self,
        packets: &Subscription,
        want_key: &(impl Fn() + Send),
    ) -> Result<End, OutputError> {
        let mut input = vec![0; READ_BYTES];
        loop {
            self.flush(packets.dropped()).await?;
            let deadline = tokio::time::Instant::from_std(self.client.poll_timeout());
            let running = self.client.is_running();
            tokio::select! {
                read = self.socket.read(&mut input) => match read? {
                    0 => return Err(OutputError::ClosedByServer),
                    count => {
                        self.client.handle_input(Instant::now(), &input[..count])?;
                        self.obey(packets, want_key)?;
                    }
                },
                packet = packets.next(), if running => match packet {
                    Some((lane, packet)) => self.send(lane, &packet)?,
                    None => {
                        self.client.finish()?;
                        self.flush(packets.dropped()).await?;
                        // The tail must arrive before the connection goes.
                        self.socket.shutdown().await?;
                        return Ok(End::Broadcast);
                    }
                },
                () = packets.closed(), if !running => return Ok(End::Broadcast),
                () = tokio::time::sleep_until(deadline) => self.client.handle_timeout(Instant::now())?,
            }
        }
    }

    async fn flush(&mut self, dropped: u64) -> Result<(), OutputError> {
        while let Some(bytes) = self.client.poll_output() {
            let written = timeout(WRITE_LIMIT, self.socket.write_all(&bytes)).await;
            written.map_err(|_| OutputError::Late)??;
            self.sent += bytes.len() as u64;
        }
        let bytes = self.sent_before + self.sent;
        self.status.change(|figures| (figures.bytes, figures.dropped) = (bytes, dropped));
        Ok(())
    }

    fn obey(&mut self, packets: &Subscription, want_key: &impl Fn()) -> Result<(), OutputError> {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Started => {
                    self.status.stands();
                    packets.skip_to_now();
                    self.announce()?;
                    want_key();
                }
                ClientEvent::Ended(status) => return Err(OutputError::EndedByServer(status.to_string())),
                ClientEvent::Media(_) => {}
            }
        }
        Ok(())
    }

    fn announce(&mut self) -> Result<(), OutputError> {
        let (video, sound) = (self.tracks.video.as_ref(), self.tracks.sound.as_ref());
        let metadata = Metadata {
            width: video.map(|video| f64::from(video.size.width)),
            height: video.map(|video| f64::from(video.size.height)),
            frame_rate: video.map(|video| video.frame_rate.as_f64()),
            video_kbps: video.map(|video| f64::from(video.bitrate_kbps)),
            audio_kbps: sound.map(|sound| f64::from(sound.bitrate_kbps)),
            sample_rate: sound.map(|sound| f64::from(sound.rate)),
            stereo: sound.map(|sound| sound.channels == 2),
            encoder: Some("Tickcast".to_owned()),
        };
        let zero = media::Timestamp::zero(Timescale::MILLIS);
        let tag = |content, body| Tag { content, timestamp: zero, body };
        self.client.send(&tag(TagContent::Metadata, metadata.to_body()))?;
        // Opus needs none.
        if let Some(sound) = sound.filter(|sound| sound.codec == Codec::Aac) {
            let header = AudioBody::SequenceHeader { codec: AudioCodec::Aac, config: sound.config.clone() };
            self.client.send(&tag(TagContent::AudioHeader, header.to_bytes().into()))?;
        }
        Ok(())
    }

    fn send(&mut self, lane: Lane, packet: &Packet) -> Result<(), OutputError> {
        match lane {
            Lane::Video(_) => self.send_video(packet),
            Lane::Aac => self.send_sound(AudioCodec::Aac, packet),
            Lane::Opus => self.send_sound(AudioCodec::Opus, packet),
        }
    }

    fn send_sound(&mut self, codec: AudioCodec, packet: &Packet) -> Result<(), OutputError> {
        let frame = AudioBody::Frame { codec, frame: packet.payload.clone() };
        self.push(TagContent::AudioFrame, packet, frame.to_bytes())
    }

    fn send_video(&mut self, packet: &Packet) -> Result<(), OutputError> {
        if packet.key {
            if let Ok(config) = AvcConfig::from_annex_b(&packet.payload)
                && self.config.as_ref() != Some(&config)
            {
                let header = VideoBody::sequence_header(&config).to_bytes();
                self.push(TagContent::VideoHeader, packet, header)?;
                self.config = Some(config);
            }
            self.broken = self.config.is_none();
        }
        if self.broken {
            return Ok(());
        }
        let content = if packet.key { TagContent::KeyFrame } else { TagContent::InterFrame };
        self.push(content, packet, VideoBody::frame(packet).to_bytes())
    }

    fn push(&mut self, content: TagContent, packet: &Packet, body: Vec<u8>) -> Result<(), OutputError> {
        let timestamp = packet.dts.rescale(Timescale::MILLIS);
        // RTMP has no times before zero: an encoder's first packet may lie there.
        if timestamp.ticks() < 0 {
            return Ok(());
        }
        match self.client.send(&Tag { content, timestamp, body: body.into() }) {
            Err(rtmp::Error::OutputFull { .. }) => {
                self.broken = true;
                Ok(())
            }
            sent => Ok(sent?),
        }
    }
}

#[cfg(test)]
mod tests {
    use media::{AudioTrack, FrameRate, RenditionName, Size};
    use tokio::net::TcpListener;

    use super::*;

    /// Publishes there, and ends the broadcast once that is under way.
    async fn ends_with_the_broadcast(url: String, is_under_way: impl Fn(&Status) -> bool) {
        let (rate, size) = (FrameRate::FPS_30, Size::new(64, 36));
        let (codec, rendition) = (Codec::H264, RenditionName::Low);
        let video = VideoTrack { codec, rendition, size, frame_rate: rate, bitrate_kbps: 500 };
        let (codec, config) = (Codec::Aac, Default::default());
        let sound = AudioTrack { codec, rate: 48_000, channels: 2, bitrate_kbps: 128, config };
        let parts = RtmpParts { url: RtmpUrl::parse(&url).unwrap(), video, sound };
        let (hub, status) = (Hub::default(), Status::new("rtmp", "there".into()));
        let (_stop, stopped) = watch::channel(false);
        let publishing = tokio::spawn(run(parts, hub.clone(), status.clone(), stopped, || {}));
        while !is_under_way(&status) {
            tokio::task::yield_now().await;
        }
        hub.close();
        timeout(Duration::from_secs(60), publishing).await.expect("it ends").unwrap();
        assert_eq!(status.get().state, "closed");
    }

    #[test]
    fn a_server_that_refuses_on_and_on_is_left_and_one_that_fails_or_once_took_the_stream_is_not() {
        let short = Duration::from_millis(5);
        let pauses = |was_refused, stood| {
            let mut patience = Patience::default();
            let pauses = (0..8).map(move |_| patience.after(was_refused, short, stood));
            pauses.map(|pause| pause.map(|pause| pause.as_millis())).collect::<Vec<_>>()
        };
        let all = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000].map(Some);
        assert_eq!(pauses(false, false), all);
        assert_eq!(pauses(true, true), all);
        let until_then = pauses(true, false);
        assert_eq!((&until_then[..7], until_then[7]), (&all[..7], None));
        // A failure in between may be the server's restart; and what went well for long begins anew.
        let mut patience = Patience::default();
        (0..7).for_each(|_| assert!(patience.after(true, short, false).is_some()));
        assert!(patience.after(false, short, false).is_some());
        assert!(patience.after(true, short, false).is_some());
        assert_eq!(patience.after(false, BACKOFF_LAST + short, true), Some(BACKOFF_FIRST));
    }

    #[tokio::test]
    async fn an_output_that_waits_to_connect_again_ends_with_the_broadcast() {
        // Nobody listens there any more.
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        ends_with_the_broadcast(format!("rtmp://{gone}/live/key"), |status| status.get().state == "lost")
            .await;
    }

    #[tokio::test]
    async fn an_output_whose_server_says_nothing_ends_with_the_broadcast() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("rtmp://{}/live/key", listener.local_addr().unwrap());
        let silent = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            // It reads all, and answers nothing.
            tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
        });
        ends_with_the_broadcast(url, |status| status.get().bytes > 0).await;
        silent.await.unwrap().unwrap();
    }
}
