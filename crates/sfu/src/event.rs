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
}

impl Event {
    /// Whether this may be dropped when nobody reads events: everything but the life of peers.
    pub(crate) fn is_droppable(&self) -> bool {
        !matches!(self, Self::Connected { .. } | Self::Closed { .. })
    }
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
