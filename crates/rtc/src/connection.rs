//! One peer connection, from offer to close: what publisher and player share.

use std::sync::Arc;
use std::time::Duration;

use rtc::peer_connection::sdp::RTCSessionDescription;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceGatheringState, RTCIceServer, RTCPeerConnectionState, Registry,
};

use crate::engine::{self, Network};
use crate::link::IceServer;
use crate::sdp;
use crate::signalling::{Signalling, SignallingError, SignallingSession};

/// Host candidates come at once; a STUN server that does not answer must not hold the offer longer.
const GATHER_LIMIT: Duration = Duration::from_secs(2);
const SIGNALLING_LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// How a connection to the other side stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkState {
    Connecting,
    Up,
    /// It broke, or could not be made; another attempt follows.
    Lost {
        reason: String,
    },
    /// It ended for good: by `close`, or because the server's refusal is final.
    Closed {
        reason: String,
    },
}

#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Signalling(#[from] SignallingError),
    #[error("the answer is not usable: {0}")]
    Sdp(#[from] sdp::SdpError),
    #[error("WebRTC failed: {0}")]
    WebRtc(#[from] webrtc::error::Error),
    #[error("{0} within its time limit")]
    Late(&'static str),
    #[error("the connection failed: no path to the other side, or its certificate is not the announced one")]
    Failed,
}

impl ConnectError {
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Signalling(err) if err.is_final())
    }
}

struct Handler {
    state: watch::Sender<RTCPeerConnectionState>,
    gathering: watch::Sender<RTCIceGatheringState>,
    tracks: mpsc::Sender<Arc<dyn TrackRemote>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathering.send_replace(state);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        // We offered two m-lines: a third track is not ours.
        let _ = self.tracks.try_send(track);
    }
}

/// One peer connection with its session at the server.
pub(crate) struct Connection {
    pub pc: Arc<dyn PeerConnection>,
    pub tracks: mpsc::Receiver<Arc<dyn TrackRemote>>,
    state: watch::Receiver<RTCPeerConnectionState>,
    gathering: watch::Receiver<RTCIceGatheringState>,
    session: Option<Box<dyn SignallingSession>>,
}

impl Connection {
    pub async fn new(
        network: Network,
        media: MediaEngine,
        registry: Registry,
        ice_servers: &[IceServer],
    ) -> Result<Self, ConnectError> {
        let (state_tx, state) = watch::channel(RTCPeerConnectionState::New);
        let (gathering_tx, gathering) = watch::channel(RTCIceGatheringState::New);
        let (tracks_tx, tracks) = mpsc::channel(4);
        let handler = Handler { state: state_tx, gathering: gathering_tx, tracks: tracks_tx };
        let servers = ice_servers
            .iter()
            .map(|server| RTCIceServer {
                urls: vec![server.url.clone()],
                username: server.username.clone().unwrap_or_default(),
                credential: server.credential.clone().unwrap_or_default(),
            })
            .collect();
        let pc = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().with_ice_servers(servers).build())
            .with_media_engine(media)
            .with_setting_engine(engine::settings(network))
            .with_interceptor_registry(registry)
            .with_handler(Arc::new(handler))
            .with_udp_addrs(network.udp_addrs())
            .build()
            .await?;
        Ok(Self { pc: Arc::new(pc), tracks, state, gathering, session: None })
    }

    /// Makes the offer and gathers candidates into it.
    pub async fn make_offer(&mut self) -> Result<String, ConnectError> {
        let offer = self.pc.create_offer(None).await?;
        self.pc.set_local_description(offer).await?;
        // What was gathered until then is offered: a silent STUN server costs no more than this.
        let complete = self.gathering.wait_for(|state| *state == RTCIceGatheringState::Complete);
        let _ = timeout(GATHER_LIMIT, complete).await;
        let offer = self.pc.local_description().await.ok_or(ConnectError::Late("no offer was made"))?;
        Ok(offer.sdp)
    }

    /// Sends the offer, takes the answer, and waits until media can flow. Returns the ICE servers that the
    /// endpoint names, for the next attempt.
    pub async fn establish(
        &mut self,
        offer: String,
        signalling: &dyn Signalling,
    ) -> Result<Vec<IceServer>, ConnectError> {
        let answer = timeout(SIGNALLING_LIMIT, signalling.offer(offer))
            .await
            .map_err(|_| ConnectError::Late("the server did not answer"))??;
        self.session = Some(answer.session);
        sdp::check_answer(&answer.sdp)?;
        self.pc.set_remote_description(RTCSessionDescription::answer(answer.sdp)?).await?;
        let decided = self.state.wait_for(|state| {
            use RTCPeerConnectionState::{Closed, Connected, Failed};
            matches!(state, Connected | Failed | Closed)
        });
        let decided = timeout(CONNECT_LIMIT, decided)
            .await
            .map_err(|_| ConnectError::Late("no connection came up"))?
            .map_err(|_| ConnectError::Failed)?;
        match *decided {
            RTCPeerConnectionState::Connected => Ok(answer.ice_servers),
            _ => Err(ConnectError::Failed),
        }
    }

    /// The state, for [`lost`].
    pub fn states(&self) -> watch::Receiver<RTCPeerConnectionState> {
        self.state.clone()
    }

    /// Deletes the session at the server and closes. Never takes longer than its limit.
    pub async fn close(mut self) {
        if let Some(session) = self.session.take() {
            // The server drops a session that it was not told about after its own timeout.
            let _ = timeout(CLOSE_LIMIT, session.delete()).await;
        }
        let _ = timeout(CLOSE_LIMIT, self.pc.close()).await;
    }
}

/// Returns when the connection is lost.
pub(crate) async fn lost(states: &mut watch::Receiver<RTCPeerConnectionState>) {
    let gone = |state: &RTCPeerConnectionState| {
        use RTCPeerConnectionState::{Closed, Failed};
        matches!(state, Closed | Failed)
    };
    // An error means that the connection's driver is gone with it.
    let _ = states.wait_for(gone).await;
}
