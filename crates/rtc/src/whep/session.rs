//! One attempt of the player: from offer to loss.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use media::{StudioEpoch, WallTime};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep_until};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use crate::connection::{ConnectError, Connection, LinkState, lost};
use crate::engine;
use crate::link::IceServer;
use crate::signalling::Signalling;
use crate::tap::{Heard, SenderClock, SharedCounts, Tap};
use crate::whep::receiver::{Kind, Received, StreamReceiver};
use crate::whep::{PlayEvent, ReceiveStats, Shared};

const HEARD_MAX: usize = 64;
/// Constrained Baseline is what our own studio sends; the others come from OBS and ffmpeg.
const PROFILES: [&str; 4] = ["42e01f", "42001f", "4d001f", "64001f"];

/// Why an attempt ended.
pub(super) enum End {
    Closed,
    Refused(String),
    Lost { reason: String, was_up: bool },
}

impl From<ConnectError> for End {
    fn from(err: ConnectError) -> Self {
        if err.is_final() {
            Self::Refused(err.to_string())
        } else {
            Self::Lost { reason: err.to_string(), was_up: false }
        }
    }
}

/// Runs one attempt to its end.
pub(super) async fn run(
    shared: &Shared,
    signalling: &dyn Signalling,
    ice_servers: &mut Vec<IceServer>,
) -> End {
    let (heard_tx, heard) = mpsc::channel(HEARD_MAX);
    let mut connection = tokio::select! {
        made = prepare(shared, ice_servers, heard_tx) => match made {
            Ok(connection) => connection,
            Err(err) => return err.into(),
        },
        () = shared.closed() => return End::Closed,
    };
    let end = tokio::select! {
        established = establish(&mut connection, signalling) => match established {
            Ok(servers) => {
                *ice_servers = servers;
                None
            }
            Err(err) => Some(err.into()),
        },
        () = shared.closed() => Some(End::Closed),
    };
    let end = match end {
        Some(end) => end,
        None => play(shared, &mut connection, heard).await,
    };
    connection.close().await;
    end
}

async fn prepare(
    shared: &Shared,
    ice_servers: &[IceServer],
    heard: mpsc::Sender<Heard>,
) -> Result<Connection, ConnectError> {
    // We send no media, so the epoch stamps nothing.
    let now = WallTime::from_system(std::time::SystemTime::now());
    let epoch = StudioEpoch::new(Instant::now(), now);
    let tap = Tap::new(epoch, String::new(), Vec::new(), SharedCounts::default(), heard);
    let media = engine::media_engine(&PROFILES.map(str::to_owned))?;
    let registry = engine::receiver_registry(tap);
    let connection = Connection::new(shared.config.network, media, registry, ice_servers).await?;
    for kind in [RtpCodecKind::Audio, RtpCodecKind::Video] {
        let init =
            RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Recvonly, ..Default::default() };
        connection.pc.add_transceiver_from_kind(kind, Some(init)).await?;
    }
    Ok(connection)
}

async fn establish(
    connection: &mut Connection,
    signalling: &dyn Signalling,
) -> Result<Vec<IceServer>, ConnectError> {
    let offer = connection.make_offer().await?;
    connection.establish(offer, signalling).await
}

/// A track with what was received of it.
struct Incoming {
    track: Arc<dyn TrackRemote>,
    ssrc: u32,
    receiver: StreamReceiver,
}

impl Incoming {
    /// A stream of another SSRC is another stream: nothing of the old one is awaited.
    fn insert(&mut self, kind: Kind, packet: rtc::rtp::Packet, clocks: &[(u32, SenderClock)]) {
        let header = packet.header;
        if self.ssrc != header.ssrc {
            self.ssrc = header.ssrc;
            self.receiver = StreamReceiver::new(kind);
            if let Some((_, clock)) = clocks.iter().find(|(ssrc, _)| *ssrc == header.ssrc) {
                self.receiver.set_clock(*clock);
            }
        }
        let received = Received {
            timestamp: header.timestamp,
            marker: header.marker,
            payload: packet.payload,
            arrived: Instant::now(),
        };
        self.receiver.insert(header.sequence_number, received);
    }

    /// Asks for what is missing.
    async fn send_feedback(&mut self, now: Instant) {
        let mut packets: Vec<Box<dyn rtcp::Packet>> = Vec::new();
        let missing = self.receiver.nacks(now);
        if !missing.is_empty() {
            packets.push(Box::new(TransportLayerNack {
                sender_ssrc: 0,
                media_ssrc: self.ssrc,
                nacks: nack_pairs_from_sequence_numbers(&missing),
            }));
        }
        if self.receiver.wants_key_frame(now) {
            packets.push(Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc: self.ssrc }));
        }
        if !packets.is_empty() {
            // A connection that is gone ends the loop by its state.
            let _ = self.track.write_rtcp(packets).await;
        }
    }
}

/// The two tracks of a connection, and what was heard of their clocks.
#[derive(Default)]
struct Playing {
    video: Option<Incoming>,
    audio: Option<Incoming>,
    /// The newest report of each stream; more than a few streams are not ours.
    clocks: Vec<(u32, SenderClock)>,
    packets: u64,
    bytes: u64,
}

/// Gives out units until the connection is lost or the player closed.
async fn play(shared: &Shared, connection: &mut Connection, mut heard: mpsc::Receiver<Heard>) -> End {
    shared.set_state(LinkState::Up);
    let base = *shared.stats.borrow();
    let mut states = connection.states();
    let mut playing = Playing::default();
    let mut reports = interval(Duration::from_millis(200));
    loop {
        let timeout = playing.timeout();
        tokio::select! {
            () = shared.closed() => return End::Closed,
            () = lost(&mut states) => {
                return End::Lost { reason: "the connection to the server broke".to_owned(), was_up: true };
            }
            Some(track) = connection.tracks.recv() => playing.add(track).await,
            event = next_event(playing.video.as_ref()) => playing.on_event(Kind::Video, event),
            event = next_event(playing.audio.as_ref()) => playing.on_event(Kind::Audio, event),
            Some(heard) = heard.recv() => playing.on_heard(heard),
            () = sleep_or_forever(timeout) => {}
            _ = reports.tick() => {
                // Read first: the lock of a borrow would still be held while the new value goes in.
                let reconnects = shared.stats.borrow().reconnects;
                shared.stats.send_replace(playing.stats(base, reconnects));
            }
        }
        playing.give_out(shared).await;
    }
}

async fn next_event(incoming: Option<&Incoming>) -> Option<TrackRemoteEvent> {
    match incoming {
        Some(incoming) => incoming.track.poll().await,
        None => pending().await,
    }
}

async fn sleep_or_forever(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until.into()).await,
        None => pending().await,
    }
}

impl Playing {
    async fn add(&mut self, track: Arc<dyn TrackRemote>) {
        let kind = match track.kind().await {
            RtpCodecKind::Video => Kind::Video,
            RtpCodecKind::Audio => Kind::Audio,
            _ => return,
        };
        // The SSRC is taken from the first packet; 0 stands for none yet.
        let incoming = Incoming { track, ssrc: 0, receiver: StreamReceiver::new(kind) };
        *self.slot(kind) = Some(incoming);
    }

    fn slot(&mut self, kind: Kind) -> &mut Option<Incoming> {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }

    fn on_event(&mut self, kind: Kind, event: Option<TrackRemoteEvent>) {
        match event {
            Some(TrackRemoteEvent::OnRtpPacket(packet)) => {
                self.packets += 1;
                self.bytes += packet.payload.len() as u64;
                let clocks = std::mem::take(&mut self.clocks);
                if let Some(incoming) = self.slot(kind) {
                    incoming.insert(kind, packet, &clocks);
                }
                self.clocks = clocks;
            }
            Some(_) => {}
            // The track ended.
            None => *self.slot(kind) = None,
        }
    }

    fn on_heard(&mut self, heard: Heard) {
        let Heard::SenderReport { ssrc, clock } = heard else { return };
        self.clocks.retain(|(known, _)| *known != ssrc);
        self.clocks.truncate(7);
        self.clocks.insert(0, (ssrc, clock));
        for incoming in [&mut self.video, &mut self.audio].into_iter().flatten() {
            if incoming.ssrc == ssrc {
                incoming.receiver.set_clock(clock);
            }
        }
    }

    fn timeout(&self) -> Option<Instant> {
        let both = [&self.video, &self.audio].into_iter().flatten();
        both.filter_map(|incoming| incoming.receiver.timeout()).min()
    }

    /// Hands on what is whole, and asks for what is missing.
    async fn give_out(&mut self, shared: &Shared) {
        let now = Instant::now();
        if let Some(audio) = &mut self.audio {
            while let Some(unit) = audio.receiver.pop(now) {
                if !shared.tell(PlayEvent::Audio(unit)) {
                    audio.receiver.break_off();
                }
            }
            audio.receiver.nacks(now);
        }
        if let Some(video) = &mut self.video {
            while let Some(unit) = video.receiver.pop(now) {
                if !shared.tell(PlayEvent::Video(unit)) {
                    video.receiver.break_off();
                }
            }
            if video.ssrc != 0 {
                video.send_feedback(now).await;
            }
        }
    }

    fn stats(&self, base: ReceiveStats, reconnects: u32) -> ReceiveStats {
        let mut stats = ReceiveStats { reconnects, ..base };
        stats.packets += self.packets;
        stats.bytes += self.bytes;
        for incoming in [&self.video, &self.audio].into_iter().flatten() {
            let counts = incoming.receiver.counts();
            stats.lost += counts.lost;
            stats.nacked += counts.nacked;
            stats.plis += incoming.receiver.plis;
            stats.dropped_units += incoming.receiver.dropped_units;
        }
        stats
    }
}
