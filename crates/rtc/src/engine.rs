//! What is negotiated: codecs, their feedback, header extensions, and the settings of ICE and SRTP.

use std::time::Duration;

use media::Timescale;
use rtc::interceptor::{
    NackResponderBuilder, ReceiverReportBuilder, Registry, Slot, TwccReceiverBuilder, TwccSenderBuilder,
};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::shared::error::Result;
use webrtc::peer_connection::{MediaEngine, SettingEngine, SettingEngineBuilder, SrtpProtectionProfile};

use crate::tap::{self, Tap};

pub(crate) const OPUS_PT: u8 = 111;
/// The first video format's payload type; its RTX follows, then the next format.
pub(crate) const VIDEO_PT: u8 = 102;

/// Where the connection's sockets are bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Network {
    /// Every interface of the machine but the loopback.
    #[default]
    Interfaces,
    /// 127.0.0.1 alone: a node on this machine, and tests.
    Loopback,
}

impl Network {
    pub(crate) fn udp_addrs(self) -> Vec<String> {
        match self {
            Self::Interfaces => vec!["0.0.0.0:0".to_owned(), "[::]:0".to_owned()],
            Self::Loopback => vec!["127.0.0.1:0".to_owned()],
        }
    }
}

/// `profiles` are H.264 profile-level-ids, best first.
pub(crate) fn media_engine(profiles: &[String]) -> Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    let mut payload_type = VIDEO_PT;
    for profile in profiles {
        engine.register_codec(h264(profile, payload_type), RtpCodecKind::Video)?;
        engine.register_codec(rtx(payload_type), RtpCodecKind::Video)?;
        payload_type += 2;
    }
    engine.register_codec(
        RTCRtpCodecParameters { rtp_codec: opus_codec(), payload_type: OPUS_PT },
        RtpCodecKind::Audio,
    )?;
    for uri in [
        "urn:ietf:params:rtp-hdrext:sdes:mid",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    ] {
        let extension = || RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
        engine.register_header_extension(extension(), RtpCodecKind::Video, None)?;
        if !uri.ends_with("stream-id") {
            engine.register_header_extension(extension(), RtpCodecKind::Audio, None)?;
        }
    }
    Ok(engine)
}

pub(crate) fn h264_codec(profile: &str) -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "video/H264".to_owned(),
        clock_rate: Timescale::VIDEO.ticks_per_second(),
        channels: 0,
        sdp_fmtp_line: format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"),
        rtcp_feedback: [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("transport-cc", "")]
            .map(|(typ, parameter)| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() })
            .to_vec(),
    }
}

pub(crate) fn opus_codec() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "audio/opus".to_owned(),
        clock_rate: Timescale::AUDIO.ticks_per_second(),
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1".to_owned(),
        rtcp_feedback: vec![RTCPFeedback { typ: "transport-cc".to_owned(), parameter: String::new() }],
    }
}

fn h264(profile: &str, payload_type: u8) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters { rtp_codec: h264_codec(profile), payload_type }
}

/// RFC 4588: retransmissions of `payload_type`.
fn rtx(payload_type: u8) -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: "video/rtx".to_owned(),
            clock_rate: Timescale::VIDEO.ticks_per_second(),
            channels: 0,
            sdp_fmtp_line: format!("apt={payload_type}"),
            rtcp_feedback: vec![],
        },
        payload_type: payload_type + 1,
    }
}

/// A publisher answers NACKs and numbers its packets for transport-wide feedback.
pub(crate) fn sender_registry(tap: Tap) -> Registry {
    Registry::new()
        .with(Slot::from(tap::SLOT), tap)
        .with(Slot::TwccSender, TwccSenderBuilder::new().build())
        // 2 048 packets are over a second of the whole ladder: more than any retransmission is worth.
        .with(Slot::NackResponder, NackResponderBuilder::new().with_size(2048).build())
}

/// A player reports what it received. NACKs are the receive buffer's: it alone knows what RTX mended.
pub(crate) fn receiver_registry(tap: Tap) -> Registry {
    Registry::new()
        .with(Slot::from(tap::SLOT), tap)
        .with(Slot::TwccReceiver, TwccReceiverBuilder::new().build())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build())
}

pub(crate) fn settings(network: Network) -> SettingEngine {
    SettingEngineBuilder::new()
        // A peer that is silent this long is lost; checks every second keep a good one alive.
        .with_ice_timeouts(
            Some(Duration::from_secs(3)),
            Some(Duration::from_secs(5)),
            Some(Duration::from_secs(1)),
        )
        .with_include_loopback_candidate(network == Network::Loopback)
        // AES-GCM costs a fifth of AES-CM with SHA-1.
        .with_srtp_protection_profiles(vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ])
        .build()
}
