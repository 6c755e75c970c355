//! One attempt of the publisher: from offer to loss.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use media::{Timescale, VideoTrack};
use rtc::media_stream::MediaStreamTrack;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use crate::connection::{ConnectError, Connection};
use crate::link::IceServer;
use crate::send_queue::{Outgoing, Pacer, Stream};
use crate::signalling::Signalling;
use crate::tap::{Heard, SentCounts, SentStream, SharedCounts, Tap};
use crate::whip::{LayerStats, PublishEvent, Shared};
use crate::{connection, engine, h264, sdp};

/// Key frame requests and reports between two turns of the loop.
const HEARD_MAX: usize = 64;
/// Beside the pictures: sound, reports, retransmissions.
const OVERHEAD_KBPS: u32 = 300;

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

/// One RTP stream of ours.
struct Sender {
    stream: SentStream,
    track: Arc<TrackLocalStaticRTP>,
    payload_type: u8,
    sequence: u16,
}

impl Sender {
    async fn send(&mut self, out: Outgoing) -> Result<usize, webrtc::error::Error> {
        let bytes = out.payload.len();
        let ticks = out.pts.rescale(self.stream.timescale).ticks();
        let packet = rtc::rtp::Packet {
            header: rtc::rtp::Header {
                version: 2,
                marker: out.marker,
                payload_type: self.payload_type,
                sequence_number: self.sequence,
                timestamp: self.stream.rtp_offset.wrapping_add(ticks as u32),
                ssrc: self.stream.ssrc,
                ..Default::default()
            },
            payload: out.payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.track.write_rtp(packet).await?;
        Ok(bytes)
    }
}

/// Runs one attempt to its end.
pub(super) async fn run(
    shared: &Shared,
    signalling: &dyn Signalling,
    ice_servers: &mut Vec<IceServer>,
) -> End {
    let (heard_tx, heard) = mpsc::channel(HEARD_MAX);
    let counts = SharedCounts::default();
    let mut attempt = tokio::select! {
        made = Attempt::new(shared, ice_servers, &counts, heard_tx) => match made {
            Ok(attempt) => attempt,
            Err(err) => return err.into(),
        },
        () = shared.closed() => return End::Closed,
    };
    let end = tokio::select! {
        established = attempt.establish(signalling) => match established {
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
        None => attempt.publish(shared, &counts, heard).await,
    };
    attempt.connection.close().await;
    end
}

struct Attempt {
    connection: Connection,
    video: Vec<Sender>,
    audio: Option<Sender>,
    video_mid: Arc<OnceLock<String>>,
    audio_mid: Arc<OnceLock<String>>,
    kbps: u32,
}

impl Attempt {
    async fn new(
        shared: &Shared,
        ice_servers: &[IceServer],
        counts: &SharedCounts,
        heard: mpsc::Sender<Heard>,
    ) -> Result<Self, ConnectError> {
        let config = &shared.config;
        let (video_mid, audio_mid) = <(Arc<OnceLock<String>>, Arc<OnceLock<String>>)>::default();
        let cname = format!("{:016x}", rand::random::<u64>());
        let profile = top_profile(&config.renditions);
        let simulcast = config.renditions.len() > 1;
        let stream = |rid, timescale, rtx: bool, mid: &Arc<OnceLock<String>>| SentStream {
            ssrc: rand::random(),
            rtx_ssrc: rtx.then(rand::random),
            rid,
            timescale,
            rtp_offset: rand::random(),
            mid: Arc::clone(mid),
        };
        let video: Vec<_> = config
            .renditions
            .iter()
            .map(|track| {
                let rid = simulcast.then_some(track.rendition.rid());
                stream(rid, Timescale::VIDEO, true, &video_mid)
            })
            .collect();
        let audio = config.audio.as_ref().map(|_| stream(None, Timescale::AUDIO, false, &audio_mid));
        let all = video.iter().chain(&audio).cloned().collect();
        let tap = Tap::new(config.epoch, cname.clone(), all, Arc::clone(counts), heard);
        let media = engine::media_engine(std::slice::from_ref(&profile))?;
        let connection =
            Connection::new(config.network, media, engine::sender_registry(tap), ice_servers).await?;
        let mut attempt = Self {
            connection,
            video: Vec::new(),
            audio: None,
            video_mid,
            audio_mid,
            kbps: config.renditions.iter().map(|track| track.bitrate_kbps).sum::<u32>() + OVERHEAD_KBPS,
        };
        if let Some(stream) = audio {
            let codec = engine::opus_codec();
            let mut senders = attempt.add(&cname, "audio", vec![stream], codec, engine::OPUS_PT).await?;
            attempt.audio = senders.pop();
        }
        if !video.is_empty() {
            let codec = engine::h264_codec(&profile);
            attempt.video = attempt.add(&cname, "video", video, codec, engine::VIDEO_PT).await?;
        }
        Ok(attempt)
    }

    /// Adds one m-line with a track that carries `streams`.
    async fn add(
        &self,
        cname: &str,
        kind: &str,
        streams: Vec<SentStream>,
        codec: RTCRtpCodec,
        payload_type: u8,
    ) -> Result<Vec<Sender>, ConnectError> {
        let codings: Vec<_> = streams
            .iter()
            .map(|stream| RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    rid: stream.rid.unwrap_or_default().to_owned(),
                    ssrc: Some(stream.ssrc),
                    rtx: stream.rtx_ssrc.map(|ssrc| RTCRtpRtxParameters { ssrc }),
                    fec: None,
                },
                active: true,
                codec: codec.clone(),
                ..Default::default()
            })
            .collect();
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            cname.to_owned(),
            kind.to_owned(),
            kind.to_owned(),
            RtpCodecKind::from(kind),
            codings.clone(),
        )));
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Sendonly,
            streams: vec![cname.to_owned()],
            send_encodings: codings,
        };
        let local = Arc::clone(&track) as Arc<dyn TrackLocal>;
        self.connection.pc.add_transceiver_from_track(local, Some(init)).await?;
        let sender = |stream| Sender {
            stream,
            track: Arc::clone(&track),
            payload_type,
            // Half the range leaves SRTP's rollover counter at zero for a while (RFC 3711 §3.3.1).
            sequence: rand::random::<u16>() >> 1,
        };
        Ok(streams.into_iter().map(sender).collect())
    }

    async fn establish(&mut self, signalling: &dyn Signalling) -> Result<Vec<IceServer>, ConnectError> {
        let offer = self.connection.make_offer().await?;
        for (kind, mid) in [("video", &self.video_mid), ("audio", &self.audio_mid)] {
            if let Some(found) = sdp::mid_of(&offer, kind) {
                // Set once: this is the attempt's only offer.
                let _ = mid.set(found.to_owned());
            }
        }
        self.connection.establish(offer, signalling).await
    }

    /// Sends until the connection is lost or the publisher closed.
    async fn publish(&mut self, shared: &Shared, counts: &SharedCounts, heard: mpsc::Receiver<Heard>) -> End {
        shared.queue().restart();
        shared.stands();
        shared.tell(PublishEvent::KeyframeRequested { rendition: None });
        let ssrcs: Vec<_> = self.video.iter().map(|sender| sender.stream.ssrc).collect();
        let mut states = self.connection.states();
        let lost = |reason: &str| End::Lost { reason: reason.to_owned(), was_up: true };
        tokio::select! {
            () = shared.closed() => End::Closed,
            () = connection::lost(&mut states) => lost("the connection to the server broke"),
            failed = send_all(shared, &mut self.video, self.audio.as_mut(), self.kbps) => lost(&failed),
            () = forward_requests(shared, &ssrcs, heard) => lost("the connection ended"),
            never = report_each_second(shared, &ssrcs, counts) => match never {},
        }
    }
}

/// The profile of the largest rendition: the others fit into its level.
fn top_profile(renditions: &[VideoTrack]) -> String {
    let top = renditions.iter().max_by_key(|track| track.size.pixels());
    top.map_or_else(|| "42e01f".to_owned(), h264::profile_level_id)
}

/// Empties the queue at the pacer's pace; returns why it cannot go on.
async fn send_all(
    shared: &Shared,
    video: &mut [Sender],
    mut audio: Option<&mut Sender>,
    kbps: u32,
) -> String {
    let mut pacer = Pacer::new(kbps, Instant::now().into_std());
    loop {
        let Some(out) = shared.queue().pop() else {
            shared.ready.notified().await;
            continue;
        };
        let sender = match out.stream {
            Stream::Video(layer) => video.get_mut(layer),
            Stream::Audio => audio.as_deref_mut(),
        };
        let Some(sender) = sender else { continue };
        let bytes = match sender.send(out).await {
            Ok(bytes) => bytes,
            Err(err) => return format!("a packet could not be sent: {err}"),
        };
        let wait = pacer.spend(bytes, Instant::now().into_std());
        // The timer ticks in milliseconds: shorter waits add up in the bucket until one is due.
        if wait >= Duration::from_millis(1) {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Hands key frame requests on; returns when the connection is gone.
async fn forward_requests(shared: &Shared, ssrcs: &[u32], mut heard: mpsc::Receiver<Heard>) {
    while let Some(heard) = heard.recv().await {
        if let Heard::KeyframeRequest { ssrc } = heard
            && let Some(layer) = ssrcs.iter().position(|known| *known == ssrc)
        {
            let rendition = Some(shared.config.renditions[layer].rendition);
            shared.tell(PublishEvent::KeyframeRequested { rendition });
        }
    }
}

async fn report_each_second(
    shared: &Shared,
    ssrcs: &[u32],
    counts: &Mutex<HashMap<u32, SentCounts>>,
) -> std::convert::Infallible {
    // What earlier attempts had counted.
    let base = shared.stats.borrow().clone();
    let mut last: HashMap<u32, SentCounts> = HashMap::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_tick = ticks.tick().await;
    loop {
        let now = ticks.tick().await;
        let seconds = (now - last_tick).as_secs_f64();
        last_tick = now;
        let current = counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut stats = base.clone();
        stats.reconnects = shared.stats.borrow().reconnects;
        stats.bytes += current.values().map(|c| c.bytes).sum::<u64>();
        stats.packets += current.values().map(|c| c.packets).sum::<u64>();
        stats.retransmitted += current.values().map(|c| c.retransmitted).sum::<u64>();
        stats.rtt_ms = current.values().filter_map(|c| c.rtt).max().map(|rtt| rtt.as_secs_f64() * 1e3);
        stats.loss = current.values().filter_map(|c| c.loss).reduce(f64::max);
        {
            let queue = shared.queue();
            stats.audio_dropped = queue.audio_dropped();
            let layers = ssrcs.iter().zip(&shared.config.renditions).enumerate();
            stats.layers = layers
                .map(|(index, (ssrc, track))| {
                    let now = current.get(ssrc).copied().unwrap_or_default();
                    let before = last.get(ssrc).copied().unwrap_or_default();
                    LayerStats {
                        rendition: track.rendition,
                        kbps: (now.bytes - before.bytes) as f64 * 8.0 / 1e3 / seconds,
                        packets: now.packets,
                        dropped_frames: queue.dropped(index),
                    }
                })
                .collect();
        }
        last = current;
        shared.stats.send_replace(stats.clone());
        shared.tell(PublishEvent::Stats(stats));
    }
}
