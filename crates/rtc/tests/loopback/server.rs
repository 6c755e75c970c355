//! The answering side: one peer connection for each offer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::WallTime;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use tickcast_rtc::{Answer, BoxFuture, Signalling, SignallingError, SignallingSession};
use tokio::sync::{mpsc, watch};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState, Registry, SettingEngineBuilder, Slot, register_default_interceptors,
};

/// One packet that arrived.
pub struct Seen {
    pub rid: String,
    pub ssrc: u32,
}

#[derive(Clone)]
enum Role {
    Receive(mpsc::Sender<Seen>),
    Send { loss: bool },
    Refuse(u16),
    Babble,
}

#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    role: Role,
    deleted: AtomicUsize,
    pc: Mutex<Option<Arc<dyn PeerConnection>>>,
    video: Mutex<Option<Arc<dyn TrackRemote>>>,
}

impl Server {
    fn new(role: Role) -> Self {
        let deleted = AtomicUsize::new(0);
        Self(Arc::new(Inner { role, deleted, pc: Mutex::default(), video: Mutex::default() }))
    }

    /// Takes what a publisher sends. The channel holds the newest; a full one loses more.
    pub fn receiving() -> (Self, mpsc::Receiver<Seen>) {
        let (tx, rx) = mpsc::channel(256);
        (Self::new(Role::Receive(tx)), rx)
    }

    /// Sends one rendition and sound.
    pub fn sending() -> Self {
        Self::new(Role::Send { loss: false })
    }

    /// The same, and every tenth video packet is kept back the first time.
    pub fn sending_with_loss() -> Self {
        Self::new(Role::Send { loss: true })
    }

    pub fn refusing(status: u16) -> Self {
        Self::new(Role::Refuse(status))
    }

    /// Accepts, with an answer that is no SDP.
    pub fn babbling() -> Self {
        Self::new(Role::Babble)
    }

    pub fn signalling(&self) -> Arc<dyn Signalling> {
        Arc::new(self.clone())
    }

    pub fn deleted(&self) -> usize {
        self.0.deleted.load(Ordering::SeqCst)
    }

    pub async fn request_key_frame(&self, ssrc: u32) {
        let track = self.0.video.lock().unwrap().clone();
        let pli = PictureLossIndication { sender_ssrc: 0, media_ssrc: ssrc };
        track.expect("video came").write_rtcp(vec![Box::new(pli)]).await.unwrap();
    }

    /// Ends the connection without a word to the signalling.
    pub async fn vanish(&self) {
        let pc = self.0.pc.lock().unwrap().take();
        pc.expect("a connection").close().await.unwrap();
    }

    async fn answer(&self, offer: String) -> Result<Answer, SignallingError> {
        let sdp = match &self.0.role {
            Role::Refuse(status) => {
                return Err(SignallingError::Refused { status: *status, reason: "no".into() });
            }
            Role::Babble => "<html>busy</html>".to_owned(),
            Role::Receive(_) | Role::Send { .. } => self.connect(offer).await.expect("an answer"),
        };
        Ok(Answer { sdp, session: Box::new(self.clone()), ice_servers: Vec::new() })
    }

    async fn connect(&self, offer: String) -> Result<String, Error> {
        let loss = matches!(self.0.role, Role::Send { loss: true });
        let mut media = MediaEngine::default();
        media.register_default_codecs()?;
        let registry = register_default_interceptors(Registry::new(), &mut media)?;
        // Next to the wire: a retransmission passes it a second time.
        let registry = if loss { registry.with(Slot::from(500), Lossy::default()) } else { registry };
        let (gathered_tx, mut gathered) = watch::channel(false);
        let (up_tx, up) = watch::channel(false);
        let handler = Handler { server: Arc::clone(&self.0), gathered: gathered_tx, up: up_tx };
        let settings = SettingEngineBuilder::new().with_include_loopback_candidate(true).build();
        let pc: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_media_engine(media)
                .with_setting_engine(settings)
                .with_interceptor_registry(registry)
                .with_handler(Arc::new(handler))
                .with_udp_addrs(vec!["127.0.0.1:0"])
                .build()
                .await?,
        );
        pc.set_remote_description(RTCSessionDescription::offer(offer)?).await?;
        let tracks = match self.0.role {
            Role::Send { .. } => Some((add_video(&pc).await?, add_audio(&pc).await?)),
            _ => None,
        };
        let answer = pc.create_answer(None).await?;
        pc.set_local_description(answer).await?;
        gathered.wait_for(|done| *done).await.expect("gathering ends");
        let answer = pc.local_description().await.expect("an answer is set").sdp;
        *self.0.pc.lock().unwrap() = Some(pc);
        if let Some((video, audio)) = tracks {
            tokio::spawn(send(video, audio, up));
        }
        Ok(answer)
    }
}

impl Signalling for Server {
    fn offer(&self, sdp: String) -> BoxFuture<'_, Result<Answer, SignallingError>> {
        Box::pin(self.answer(sdp))
    }
}

impl SignallingSession for Server {
    fn patch(&self, _fragment: String) -> BoxFuture<'_, Result<Option<String>, SignallingError>> {
        Box::pin(async { Ok(None) })
    }

    fn delete(&self) -> BoxFuture<'_, Result<(), SignallingError>> {
        self.0.deleted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
}

struct Handler {
    server: Arc<Inner>,
    gathered: watch::Sender<bool>,
    up: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        self.gathered.send_replace(state == RTCIceGatheringState::Complete);
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.up.send_replace(state == RTCPeerConnectionState::Connected);
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let Role::Receive(seen) = self.server.role.clone() else { return };
        if track.kind().await == RtpCodecKind::Video {
            *self.server.video.lock().unwrap() = Some(Arc::clone(&track));
        }
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let ssrc = packet.header.ssrc;
                    let rid = track.rid(ssrc).await.unwrap_or_default();
                    let _ = seen.try_send(Seen { rid, ssrc });
                }
            }
        });
    }
}

const VIDEO_SSRC: u32 = 0x1000;
const AUDIO_SSRC: u32 = 0x2000;

async fn add(
    pc: &Arc<dyn PeerConnection>,
    kind: RtpCodecKind,
    ssrc: u32,
    codec: RTCRtpCodec,
) -> Result<Arc<TrackLocalStaticRTP>, Error> {
    let rtx = (kind == RtpCodecKind::Video).then_some(RTCRtpRtxParameters { ssrc: ssrc + 1 });
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), rtx, ..Default::default() },
        codec,
        ..Default::default()
    };
    let name = kind.to_string();
    let track = MediaStreamTrack::new("server".into(), name.clone(), name, kind, vec![coding]);
    let track = Arc::new(TrackLocalStaticRTP::new(track));
    pc.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
    Ok(track)
}

async fn add_video(pc: &Arc<dyn PeerConnection>) -> Result<Arc<TrackLocalStaticRTP>, Error> {
    let codec = RTCRtpCodec {
        mime_type: "video/H264".into(),
        clock_rate: 90_000,
        sdp_fmtp_line: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".into(),
        ..Default::default()
    };
    add(pc, RtpCodecKind::Video, VIDEO_SSRC, codec).await
}

async fn add_audio(pc: &Arc<dyn PeerConnection>) -> Result<Arc<TrackLocalStaticRTP>, Error> {
    let codec =
        RTCRtpCodec { mime_type: "audio/opus".into(), clock_rate: 48_000, channels: 2, ..Default::default() };
    add(pc, RtpCodecKind::Audio, AUDIO_SSRC, codec).await
}

fn packet(
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: &[u8],
) -> rtc::rtp::Packet {
    rtc::rtp::Packet {
        header: rtc::rtp::Header {
            version: 2,
            marker,
            payload_type,
            sequence_number: sequence,
            timestamp,
            ssrc,
            ..Default::default()
        },
        payload: Bytes::copy_from_slice(payload),
    }
}

/// Two packets a picture, a key frame every 20; the capture clock says that RTP time 0 was 1 000 s after 1970.
async fn send(
    video: Arc<TrackLocalStaticRTP>,
    audio: Arc<TrackLocalStaticRTP>,
    mut up: watch::Receiver<bool>,
) {
    up.wait_for(|up| *up).await.expect("the connection comes up");
    let report = SenderReport {
        ssrc: VIDEO_SSRC,
        ntp_time: WallTime::from_unix_micros(1_000_000_000).to_ntp(),
        rtp_time: 0,
        ..Default::default()
    };
    video.write_rtcp(vec![Box::new(report)]).await.expect("the connection is up");
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let (mut sequence, mut audio_sequence) = (100u16, 65_500u16);
    for frame in 0u32.. {
        ticks.tick().await;
        let kind = if frame.is_multiple_of(20) { 5 } else { 1 };
        let halves = [(false, [0x7c, 0x80 | kind, 1, 2]), (true, [0x7c, 0x40 | kind, 3, 4])];
        for (marker, payload) in halves {
            let sent = video.write_rtp(packet(VIDEO_SSRC, 102, sequence, frame * 3000, marker, &payload));
            if sent.await.is_err() {
                return;
            }
            sequence = sequence.wrapping_add(1);
        }
        let sent = audio.write_rtp(packet(AUDIO_SSRC, 111, audio_sequence, frame * 480, false, &[0xfc, 1]));
        if sent.await.is_err() {
            return;
        }
        audio_sequence = audio_sequence.wrapping_add(1);
    }
}

/// Keeps back every tenth packet of the video stream; its retransmission has another SSRC.
#[derive(Default)]
struct Lossy {
    count: u32,
    reads: std::collections::VecDeque<TaggedPacket>,
    writes: std::collections::VecDeque<TaggedPacket>,
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Lossy {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        self.reads.push_back(msg);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, msg: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &msg.message.packet
            && packet.header.ssrc == VIDEO_SSRC
        {
            self.count += 1;
            if self.count.is_multiple_of(10) {
                return Ok(());
            }
        }
        self.writes.push_back(msg);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Lossy {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
