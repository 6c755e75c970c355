//! One RTMP connection: its socket, its session, and what it does to a stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtmp::{Refusal, Server, ServerConfig, ServerEvent};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::player::Playing;
use super::publisher::Publishing;
use crate::app::App;
use crate::id::{PlaybackId, StreamKey};
use crate::places::Place;
use crate::store::StreamRow;
use crate::stream::{Departure, PublishRefused, PublisherKind};
use crate::transcode::{Purpose, Ticket};

/// The only application there is; the stream key follows it.
const APP: &str = "live";
const READ_BYTES: usize = 64 * 1024;
/// A peer that takes nothing for so long is given up: others wait for its place.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// What a connection is used for.
enum Use {
    Nothing,
    Publish(Publishing),
    Play(Playing),
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Session(#[from] rtmp::Error),
    #[error(transparent)]
    Socket(#[from] std::io::Error),
    #[error("the peer takes nothing any more")]
    Stuck,
    #[error("nothing was granted to it, and another needed its place")]
    Displaced,
    #[error("its stream key was replaced")]
    Ousted,
}

/// Serves one connection until it ends. Its place is safe while something is granted.
pub async fn run(app: Arc<App>, socket: TcpStream, place: Place) -> Result<(), ConnectionError> {
    // Commands are small and waited for.
    socket.set_nodelay(true)?;
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
    let config = ServerConfig { seed: u64::from_le_bytes(seed), ..ServerConfig::default() };
    let session = Server::new(config, Instant::now());
    let place = Arc::new(place);
    let mut connection =
        Connection { app, socket, session, place: Arc::clone(&place), used_for: Use::Nothing };
    let result = tokio::select! {
        // First, so that nothing is begun in a place that is lost.
        biased;
        () = place.displaced() => Err(ConnectionError::Displaced),
        result = connection.serve() => result,
    };
    if let Err(ConnectionError::Session(_) | ConnectionError::Socket(_)) = result {
        // Its last words say why.
        let _ = connection.flush().await;
    }
    if let Use::Publish(publishing) = std::mem::replace(&mut connection.used_for, Use::Nothing) {
        publishing.end(Departure::Lost).await;
    }
    result
}

struct Connection {
    app: Arc<App>,
    socket: TcpStream,
    session: Server,
    place: Arc<Place>,
    used_for: Use,
}

impl Connection {
    async fn serve(&mut self) -> Result<(), ConnectionError> {
        let mut input = vec![0; READ_BYTES];
        loop {
            self.flush().await?;
            let deadline = tokio::time::Instant::from_std(self.session.poll_timeout());
            let (playing, publishing) = match &mut self.used_for {
                Use::Play(playing) => (Some(playing), None),
                Use::Publish(publishing) => (None, Some(&*publishing)),
                Use::Nothing => (None, None),
            };
            tokio::select! {
                read = self.socket.read(&mut input) => match read? {
                    0 => return Ok(()),
                    count => {
                        self.session.handle_input(Instant::now(), &input[..count])?;
                        self.obey().await?;
                    }
                },
                tags = next_tags(playing) => match tags {
                    Some(tags) => self.play(tags)?,
                    None => {
                        self.session.end_play(Instant::now())?;
                        self.used_for = Use::Nothing;
                        self.place.release();
                    }
                },
                () = ousted(publishing) => return Err(ConnectionError::Ousted),
                () = tokio::time::sleep_until(deadline) => self.session.handle_timeout(Instant::now())?,
            }
        }
    }

    async fn flush(&mut self) -> Result<(), ConnectionError> {
        while let Some(bytes) = self.session.poll_output() {
            write(&mut self.socket, &bytes, WRITE_LIMIT).await?;
        }
        Ok(())
    }

    async fn obey(&mut self) -> Result<(), ConnectionError> {
        while let Some(event) = self.session.poll_event() {
            match event {
                ServerEvent::PublishRequested { app, key } => self.publish(&app, &key).await?,
                ServerEvent::PlayRequested { app, key } => self.start_play(&app, &key).await?,
                ServerEvent::Media(tag) => {
                    if let Use::Publish(publishing) = &mut self.used_for {
                        publishing.take(&tag).await;
                    }
                }
                ServerEvent::PublishEnded | ServerEvent::PlayEnded => {
                    if let Use::Publish(publishing) = std::mem::replace(&mut self.used_for, Use::Nothing) {
                        publishing.end(Departure::Ended).await;
                    }
                    self.place.release();
                }
                ServerEvent::Paused(_) => {}
            }
        }
        Ok(())
    }

    async fn publish(&mut self, application: &str, key: &rtmp::StreamKey) -> Result<(), ConnectionError> {
        let refusal = match self.take_publisher(application, key).await {
            Ok(publishing) => {
                self.used_for = Use::Publish(publishing);
                return self.grant();
            }
            Err(refusal) => refusal,
        };
        Ok(self.session.refuse(Instant::now(), &refusal)?)
    }

    async fn take_publisher(&self, application: &str, key: &rtmp::StreamKey) -> Result<Publishing, Refusal> {
        // Some encoders end the application with a slash, or add a query string.
        if application.split('?').next().unwrap_or_default().trim_end_matches('/') != APP {
            return Err(bad_name("Publish to rtmp://HOST/live/STREAM_KEY"));
        }
        if let Some(Ticket { stream, purpose: Purpose::Publish(lane, job) }) = self.redeem(key) {
            let grant = stream.attach(job, lane).await.map_err(|_| bad_name("The broadcast is over"))?;
            return Ok(Publishing::made(stream, grant, lane));
        }
        let name = StreamKey::presented(key.expose_name());
        let row = self.stream_of(&name).await?;
        let stream =
            self.app.stream(row).map_err(|_| bad_name("The node has all the streams it may have"))?;
        let offered = stream.offer_grant(PublisherKind::Rtmp).await.map_err(|err| match err {
            PublishRefused::AlreadyLive => bad_name("The stream is live from another publisher"),
            PublishRefused::Gone => bad_name("The stream has ended"),
            PublishRefused::NotStored => {
                bad_name("The node cannot store the broadcast: its disk may be full")
            }
        })?;
        // A key that was replaced meanwhile: whoever had the grant before this one was cut off then.
        self.stream_of(&name).await?;
        Ok(Publishing::new(stream, offered.take()))
    }

    async fn stream_of(&self, key: &StreamKey) -> Result<StreamRow, Refusal> {
        let row = self.app.store().stream_by_key(key).await.map_err(|err| {
            tracing::error!("the store failed: {err}");
            bad_name("The node could not look up the stream key")
        })?;
        row.ok_or_else(|| bad_name("The stream key is wrong"))
    }

    async fn start_play(&mut self, application: &str, key: &rtmp::StreamKey) -> Result<(), ConnectionError> {
        let known = application.split('?').next().unwrap_or_default().trim_end_matches('/') == APP;
        if let Some(Ticket { stream, purpose: Purpose::Play(lane) }) = self.redeem(key)
            && let Some(feed) = stream.feed(lane).await
        {
            self.used_for = Use::Play(Playing::fed(stream, lane, feed));
            return self.grant();
        }
        let id = PlaybackId::parse(key.expose_name()).filter(|_| known);
        let stream = id.and_then(|id| self.app.running(&id)).filter(|stream| stream.live().epoch.is_some());
        let refusal = match stream {
            Some(stream) if stream.row.is_paid => Refusal::new(
                "NetStream.Play.Failed",
                "This stream is paid for, and is played by WebRTC and LL-HLS alone",
            ),
            Some(stream) if self.place.keep(kept_from_players(self.place.of())) => {
                self.used_for = Use::Play(Playing::new(stream));
                return Ok(self.session.accept()?);
            }
            Some(_) => Refusal::new("NetStream.Play.Failed", "The node has all the players it may have"),
            None => Refusal::new("NetStream.Play.StreamNotFound", "There is no such live stream"),
        };
        Ok(self.session.refuse(Instant::now(), &refusal)?)
    }

    /// What only those get who have a key or a ticket may fill every place.
    fn grant(&mut self) -> Result<(), ConnectionError> {
        if !self.place.keep(0) {
            return Err(ConnectionError::Displaced);
        }
        Ok(self.session.accept()?)
    }

    /// What a name stands for, where it is a transcoder's token. Those run on this machine alone.
    fn redeem(&self, key: &rtmp::StreamKey) -> Option<Ticket> {
        let (ours, theirs) = (self.socket.local_addr().ok()?.ip(), self.socket.peer_addr().ok()?.ip());
        let is_here = theirs.is_loopback() || theirs == ours;
        self.app.transcoding().filter(|_| is_here)?.redeem(key.expose_name())
    }

    fn play(&mut self, tags: impl IntoIterator<Item = rtmp::SharedTag>) -> Result<(), ConnectionError> {
        for mut tag in tags {
            match self.session.send(&mut tag) {
                Ok(()) => {}
                Err(rtmp::Error::OutputFull { .. }) => {
                    if let Use::Play(playing) = &mut self.used_for {
                        playing.skip_to_key();
                    }
                    return Ok(());
                }
                Err(err) => return Err(err.into()),
            }
        }
        Ok(())
    }
}

fn bad_name(words: &'static str) -> Refusal {
    Refusal::new("NetStream.Publish.BadName", words)
}

/// Of so many places, those that players leave to publishers, to transcoders and to whoever has not asked yet: anyone
/// who knows a playback id can play.
fn kept_from_players(places: usize) -> usize {
    places * 2 / 5
}

/// Writes all of `bytes`, of which the peer must take some each `limit`.
async fn write(
    socket: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    limit: Duration,
) -> Result<(), ConnectionError> {
    while !bytes.is_empty() {
        match timeout(limit, socket.write(bytes)).await {
            Ok(Ok(0)) => return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into()),
            Ok(count) => bytes = &bytes[count?..],
            Err(_) => return Err(ConnectionError::Stuck),
        }
    }
    Ok(())
}

/// Waits for ever where nothing is played.
async fn next_tags(playing: Option<&mut Playing>) -> Option<std::collections::VecDeque<rtmp::SharedTag>> {
    match playing {
        Some(playing) => playing.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where nothing is published.
async fn ousted(publishing: Option<&Publishing>) {
    match publishing {
        Some(publishing) => publishing.ousted().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_stops_reading_is_given_up() {
        let (mut ours, mut theirs) = tokio::io::duplex(4);
        let limit = Duration::from_millis(20);
        assert!(matches!(write(&mut ours, b"12345678", limit).await, Err(ConnectionError::Stuck)));
        let mut taken = [0; 4];
        theirs.read_exact(&mut taken).await.unwrap();
        assert_eq!(&taken, b"1234");
    }

    #[tokio::test]
    async fn a_peer_that_reads_gets_all_there_is() {
        let (mut ours, mut theirs) = tokio::io::duplex(4);
        let mut taken = [0; 8];
        let (written, read) =
            tokio::join!(write(&mut ours, b"12345678", WRITE_LIMIT), theirs.read_exact(&mut taken));
        written.unwrap();
        read.unwrap();
        assert_eq!(&taken, b"12345678");
    }
}
