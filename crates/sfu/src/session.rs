//! Makes the WebRTC session of a peer from its offer. Runs on the caller's thread: a join costs one to two
//! milliseconds, which the media thread does not have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::bwe::Bitrate;
use str0m::change::SdpOffer;
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::crypto::dtls::DtlsVersion;
use str0m::format::Codec;
use str0m::media::{Mid, Pt};
use str0m::rtp::Ssrc;
use str0m::{Candidate, IceCreds, Rtc};

use crate::config::{SfuConfig, StartError};
use crate::sdp::{Offer, SdpRefused, Section};

/// What an automatic viewer is assumed to have until its feedback says more: enough for the medium layer
/// at four fifths, where adaptation starts.
const START_ESTIMATE: Bitrate = Bitrate::kbps(2_500);

/// Builds sessions; shared by all threads that accept peers.
pub struct SessionFactory {
    provider: Arc<CryptoProvider>,
    certificate: DtlsCert,
    candidates: Vec<SocketAddr>,
    rtx_history: usize,
    estimate_bandwidth: bool,
}

/// A media section that a viewer receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutLine {
    pub mid: Mid,
    pub pt: Pt,
    pub ssrc: Ssrc,
    pub rtx: Option<Ssrc>,
}

/// A session that waits for its first check.
pub(crate) struct Session {
    pub rtc: Rtc,
    pub creds: IceCreds,
    /// Kept for ICE restarts, which offer it again with other credentials.
    pub offer: Box<str>,
    pub answer: String,
    pub video_mid: Option<Mid>,
    pub audio_mid: Option<Mid>,
    /// For a viewer: what is sent.
    pub video_out: Option<OutLine>,
    pub audio_out: Option<OutLine>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Publisher,
    Viewer,
    /// What is sent to it and what it says of it is looked at.
    MeteredViewer,
}

impl SessionFactory {
    /// `candidates` are what answers advertise.
    pub fn new(config: &SfuConfig, candidates: Vec<SocketAddr>) -> Result<Self, StartError> {
        let provider = str0m::crypto::from_feature_flags();
        let certificate = provider.dtls_provider.generate_certificate().ok_or(StartError::Certificate)?;
        Ok(Self {
            provider: Arc::new(provider),
            certificate,
            candidates,
            rtx_history: config.rtx_history,
            estimate_bandwidth: config.estimate_bandwidth,
        })
    }

    /// The answer that a publisher would get; for fuzzing the offer. Makes nothing that lasts.
    pub fn answer_publisher(&self, now: Instant, offer: &str) -> Result<String, SdpRefused> {
        self.make(now, offer, Role::Publisher).map(|session| session.answer)
    }

    /// The answer that a viewer would get.
    pub fn answer_viewer(&self, now: Instant, offer: &str) -> Result<String, SdpRefused> {
        self.make(now, offer, Role::Viewer).map(|session| session.answer)
    }

    pub(crate) fn make(&self, now: Instant, text: &str, role: Role) -> Result<Session, SdpRefused> {
        let offer = Offer::inspect(text)?;
        match role {
            Role::Publisher => offer.check_publisher()?,
            Role::Viewer | Role::MeteredViewer => offer.check_viewer()?,
        }
        let parsed = SdpOffer::from_sdp_string(text).map_err(|err| SdpRefused::Malformed(err.to_string()))?;

        let creds = IceCreds::new();
        let mut rtc = self.rtc(now, role, creds.clone());
        for &address in &self.candidates {
            if let Ok(candidate) = Candidate::host(address, "udp") {
                rtc.add_local_candidate(candidate);
            }
        }
        let unanswerable = |err: str0m::RtcError| SdpRefused::Unanswerable(err.to_string());
        let answer = rtc.sdp_api().accept_offer(parsed).map_err(unanswerable)?;

        let mid = |section: &Option<Section>| section.as_ref().map(|s| Mid::from(s.mid.as_str()));
        let (video_mid, audio_mid) = (mid(&offer.video), mid(&offer.audio));
        let (mut video_out, mut audio_out) = (None, None);
        if role != Role::Publisher {
            video_out = video_mid.and_then(|mid| out_line(&mut rtc, mid, Codec::H264));
            audio_out = audio_mid.and_then(|mid| out_line(&mut rtc, mid, Codec::Opus));
        }
        let mut answer = answer.to_sdp_string();
        // Browsers keep sound and picture together only within one media stream (RFC 8830 §2), and the
        // session gives each section one of its own.
        if let (Some(video), Some(audio)) =
            (video_mid.and_then(|mid| rtc.media(mid)), audio_mid.and_then(|mid| rtc.media(mid)))
        {
            answer = answer.replace(video.stream_id(), audio.stream_id());
        }
        let offer = text.into();
        Ok(Session { rtc, creds, offer, answer, video_mid, audio_mid, video_out, audio_out })
    }

    fn rtc(&self, now: Instant, role: Role, creds: IceCreds) -> Rtc {
        let mut config = Rtc::builder()
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_local_ice_credentials(creds)
            .set_dtls_cert(self.certificate.clone())
            .set_crypto_provider(Arc::clone(&self.provider))
            .set_dtls_version(DtlsVersion::Dtls12)
            .set_stats_interval(Some(Duration::from_secs(1)))
            .set_rtcp_report_interval_audio(Duration::from_secs(1))
            .set_rtcp_report_interval_video(Duration::from_secs(1))
            .set_send_buffer_audio(16)
            .set_send_buffer_video(self.rtx_history)
            .clear_codecs()
            .enable_opus(true, false);
        let codecs = config.codec_config();
        // Constrained baseline first, plain baseline for clients that offer nothing else; the payload types
        // become those of the offer.
        codecs.add_h264(Pt::new_with_value(108), Some(Pt::new_with_value(109)), true, 0x42_e0_1f);
        codecs.add_h264(Pt::new_with_value(106), Some(Pt::new_with_value(107)), true, 0x42_00_1f);
        if role != Role::Publisher && self.estimate_bandwidth {
            config = config.enable_bwe(Some(START_ESTIMATE));
        }
        // The only way to see transport-wide feedback, and which numbers our packets got for it.
        config.enable_raw_packets(role == Role::MeteredViewer).build(now)
    }
}

/// Where packets of `codec` go. Takes the send stream away again: one that exists before its first packet
/// would state RTP time 0 in a sender report.
fn out_line(rtc: &mut Rtc, mid: Mid, codec: Codec) -> Option<OutLine> {
    let media = rtc.media(mid).filter(|media| media.direction().is_sending())?;
    let pts = media.remote_pts();
    let pt = rtc
        .codec_config()
        .params()
        .iter()
        .find(|params| params.spec().codec == codec && pts.contains(&params.pt()))?
        .pt();
    let mut api = rtc.direct_api();
    let stream = api.stream_tx_by_mid(mid, None)?;
    let (ssrc, rtx) = (stream.ssrc(), stream.rtx());
    api.remove_stream_tx(ssrc);
    Some(OutLine { mid, pt, ssrc, rtx })
}
