//! What a shard reports.

use std::net::SocketAddr;
use std::time::Duration;

use media::RenditionName;

use crate::ids::{PeerId, StreamId};
use crate::packet::{RtpPacket, Source};

#[derive(Clone, Debug)]
pub enum Event {
    /// ICE and DTLS are done.
    Connected { peer: PeerId, remote: SocketAddr },
    /// The peer is gone and its memory is free. Always the last event of a peer, and sent for every peer
    /// that was accepted.
    Closed { peer: PeerId, reason: CloseReason },
    /// A packet in order; `lost` counts packets before it that never came.
    PublisherMedia { peer: PeerId, source: Source, packet: RtpPacket, lost: u32 },
    /// Some viewer needs a key frame of this layer: ask the layer's publisher or encoder for one. At most
    /// one in [`crate::SfuConfig::keyframe_interval`] a layer, repeated until the key frame comes.
    KeyframeNeeded { stream: StreamId, layer: RenditionName },
    /// A viewer's first packet of a layer went out.
    LayerChanged { peer: PeerId, layer: RenditionName },
    /// Once a second for each connected viewer.
    ViewerStats { peer: PeerId, stats: ViewerStats },
    /// Of a metered viewer's session, in order. Never dropped: while nobody reads, only the newest
    /// [`Metering::Reached`] is kept, seconds of which nothing was sent are left out, and after 128 others the
    /// gate shuts until they are read.
    Metered { peer: PeerId, session: u32, what: Metering },
}

impl Event {
    /// Whether this may be dropped when nobody reads events: everything but the life of peers and what is paid.
    pub(crate) fn is_droppable(&self) -> bool {
        !matches!(self, Self::Connected { .. } | Self::Closed { .. } | Self::Metered { .. })
    }
}

/// The line whose packets and timestamps count a viewer's seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MeteredLine {
    /// 90 000 ticks a second.
    Video,
    /// 48 000 ticks a second; for viewers without a video line, and streams without pictures (which begin two
    /// seconds after they are allowed, so that pictures can still come).
    Audio,
}

impl MeteredLine {
    /// Ticks of its RTP clock in a second.
    pub const fn rate(self) -> u32 {
        match self {
            Self::Video => 90_000,
            Self::Audio => 48_000,
        }
    }
}

/// What happened in a metered session. Second k is [k, k + 1) seconds after the first packet, by the timestamps
/// that the viewer gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Metering {
    /// The first packet went out, with this RTP timestamp: second 0 begins with it.
    Began { timestamp: u32, line: MeteredLine },
    /// Media of this second has come: for the first time, and later than that of all seconds before. It is sent
    /// if `second < until`, which is what was allowed by then, and withheld otherwise. Seconds between the last
    /// one reached and this one had no media.
    Reached { second: u64, until: u64 },
    /// A second is over and nothing of it is counted any more; seconds come in order. Said once the viewer has all
    /// of its packets, else 3 s after its end, at the latest when the session or the peer ends. Of seconds
    /// without media only those are named that were allowed.
    Over {
        second: u64,
        /// Packets of the line that were sent, retransmissions not counted.
        sent: u32,
        /// Packets that came and were not sent, because the second was not allowed or a key frame was waited for.
        withheld: u32,
        /// Of those sent, how many the viewer has by its own feedback, after retransmission.
        ///
        /// It has a packet when its transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01)
        /// says that one transmission of it arrived. It lacks a packet when that feedback denies the last
        /// transmission, or a NACK (RFC 4585 §6.2.1) asked for it and it was not sent again. Of what neither speaks
        /// (feedback is lost too, or was not negotiated) it has what its reports have passed and it did not ask for
        /// in the second after that was last sent; what it asked for four times it has given up. A viewer that sends neither is believed the losses of its receiver
        /// reports (RFC 3550 §6.4.1). So the count errs towards delivered where the viewer is silent, and
        /// says what the viewer says: whoever lies about its losses is counted as it lies. It knows nothing of
        /// packets that come too late to be shown.
        acknowledged: u32,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseReason {
    /// [`crate::SfuHandle::close`] was called.
    Requested,
    /// The peer said goodbye (DTLS close_notify).
    ByPeer,
    /// It was accepted but never finished ICE and DTLS.
    NeverConnected,
    /// Nothing was heard from it for the idle timeout.
    TimedOut,
    /// Its DTLS or RTP broke the protocol.
    ProtocolError,
    /// The stream it watched was closed.
    StreamEnded,
}

/// How well a viewer receives.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct ViewerStats {
    /// The layer that is being sent; `None` before the first key frame.
    pub layer: Option<RenditionName>,
    /// Fraction of video packets lost before retransmission, from its receiver reports; `None` without
    /// any.
    pub loss: Option<f32>,
    pub rtt: Option<Duration>,
    /// Bandwidth towards this viewer by its transport-wide feedback, bits a second.
    pub estimate_bps: Option<u64>,
    /// Since it connected: packets and payload bytes, retransmissions included; and its requests.
    pub packets: u64,
    pub bytes: u64,
    pub nacks: u64,
    pub plis: u64,
    /// Packets missing for good by its receiver reports.
    pub packets_lost: u64,
    /// The highest of our video sequence numbers that it has, as its receiver reports state it.
    pub highest_seq: Option<u64>,
}
