//! What crosses into a shard's thread, media apart.

use std::sync::mpsc::SyncSender;

use media::RenditionName;
use str0m::{Candidate, IceCreds};

use crate::handle::ViewerConfig;
use crate::ids::{PeerId, StreamId};
use crate::layer_choice::{Layer, LayerChoice};
use crate::sdp::SdpRefused;
use crate::session::Session;

/// What a shard is told to do. Made by [`crate::SfuHandle`].
pub struct Command(pub(crate) Order);

pub(crate) enum Order {
    AddPublisher { peer: PeerId, session: Box<Session> },
    AddViewer { peer: PeerId, session: Box<Session>, config: ViewerConfig },
    Trickle { peer: PeerId, candidates: Vec<Candidate> },
    Restart { peer: PeerId, ufrag: String, pwd: String, reply: SyncSender<Result<IceCreds, SdpRefused>> },
    Close { peer: PeerId },
    RequestKeyframe { peer: PeerId, rid: Option<String> },
    SetLayer { peer: PeerId, choice: LayerChoice },
    SetCap { peer: PeerId, cap: RenditionName },
    Meter { peer: PeerId, session: u32 },
    Allow { peer: PeerId, session: u32, until: u64 },
    SetLayers { stream: StreamId, layers: Vec<Layer> },
    RestartStream { stream: StreamId },
    CloseStream { stream: StreamId },
}
