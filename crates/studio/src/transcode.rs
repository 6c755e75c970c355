//! The transcoder: plays one lane of a node's stream, makes other lanes of it, and publishes them.
//!
//! There is no compositor: pictures are decoded once, scaled and encoded, with the source's timestamps. It ends
//! with the commands, and with the first connection that does; the node then starts another.

mod keys;
mod pictures;
mod sound;
mod source;

use std::net::SocketAddr;
use std::sync::Arc;

use media::{
    Codec, FrameRate, LaneToken, Made, Rendition, TranscodeCommand, TranscodeOrder, VideoTrack, Worker,
};
use rtmp::RtmpUrl;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::hub::{Hub, Lane};
use crate::output::Status;
use crate::output::rtmp::{OutputError, Tracks, publish};
use keys::KeyWishes;
use pictures::PictureStage;
use sound::SoundStage;
use source::SourcePacket;

/// Packets that wait for the decoder: more than a node keeps of a group of pictures. Full: the connection is not
/// read, and the node skips.
const WAITING: usize = 640;

#[derive(Debug, Error)]
pub enum TranscodeError {
    #[error("the source: {0}")]
    Source(#[from] source::SourceError),
    #[error("publishing: {0}")]
    Output(#[from] OutputError),
    #[error(transparent)]
    Codec(#[from] codec::CodecError),
    #[error("the node's address is none: {0}")]
    Url(#[from] rtmp::UrlError),
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Encoder(#[from] crate::ladder::EncoderError),
    #[error("an encoder failed: {0}")]
    Encoding(String),
    #[error("pictures and sound are made by transcoders of their own")]
    Mixed,
    #[error("the decoder's thread ended")]
    Stage,
}

/// Works until `commands` closes; anything else that ends it is an error.
///
/// # Errors
/// Whatever ended first: the source, an output, a codec.
pub async fn run(
    order: TranscodeOrder,
    mut commands: mpsc::Receiver<TranscodeCommand>,
) -> Result<(), TranscodeError> {
    let hub = Hub::default();
    let wishes = Arc::new(KeyWishes::default());
    let (stage, tracks) = Stage::open(&order, &hub, &wishes)?;
    let mut tasks = JoinSet::new();
    for ((made, token), tracks) in order.outputs.iter().zip(tracks) {
        let url = url(order.node, token)?;
        tasks.spawn(output(url, *made, tracks, hub.clone(), Arc::clone(&wishes)));
    }
    let (packets, waiting) = mpsc::channel(WAITING);
    let played = url(order.node, &order.play)?;
    tasks.spawn(async move { source::play(played, packets).await.map_err(TranscodeError::from) });
    let worker = Worker::spawn("transcode", move |_| stage.run(waiting))?;
    let ended = loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(TranscodeCommand::KeyFrame(name)) => wishes.want(name),
                None => break Ok(()),
            },
            Some(ended) = tasks.join_next() => match ended {
                Ok(ended) => break ended,
                Err(_) => break Err(TranscodeError::Stage),
            },
        }
    };
    // The decoder's thread waits for packets: their sender goes first.
    tasks.shutdown().await;
    // It ends with what waits, and the encoders' threads with it.
    let joined = tokio::task::spawn_blocking(move || drop(worker)).await;
    debug_assert!(joined.is_ok(), "joining a thread does not fail");
    ended
}

fn url(node: SocketAddr, token: &LaneToken) -> Result<RtmpUrl, rtmp::UrlError> {
    RtmpUrl::parse(&format!("rtmp://{node}/live/{}", token.expose()))
}

/// Publishes one lane until its connection ends.
async fn output(
    url: RtmpUrl,
    made: Made,
    tracks: Tracks,
    hub: Hub,
    wishes: Arc<KeyWishes>,
) -> Result<(), TranscodeError> {
    let lane = lane_of(made);
    let packets = hub.subscribe(move |other| other == lane);
    // Nobody looks at these figures, and the address holds a token.
    let status = Status::new("rtmp", String::new());
    let want_key = || {
        if let Lane::Video(name) = lane {
            wishes.want(name);
        }
    };
    publish(&url, &tracks, &packets, &status, &want_key).await?;
    Ok(())
}

fn lane_of(made: Made) -> Lane {
    match made {
        Made::Picture(rendition) => Lane::Video(rendition.name),
        Made::Sound { codec: Codec::Aac, .. } => Lane::Aac,
        Made::Sound { .. } => Lane::Opus,
    }
}

/// What the decoder's thread does.
enum Stage {
    Pictures(PictureStage),
    Sound(SoundStage),
}

impl Stage {
    /// Opens what can be refused, and tells what each output is.
    fn open(
        order: &TranscodeOrder,
        hub: &Hub,
        wishes: &Arc<KeyWishes>,
    ) -> Result<(Self, Vec<Tracks>), TranscodeError> {
        let pictures: Vec<Rendition> = order.outputs.iter().filter_map(|(made, _)| picture(*made)).collect();
        if pictures.len() == order.outputs.len() {
            let tracks = pictures.iter().map(video_tracks).collect();
            let stage = PictureStage::open(pictures, order.keys, hub.clone(), Arc::clone(wishes))?;
            return Ok((Self::Pictures(stage), tracks));
        }
        match order.outputs[..] {
            [(Made::Sound { codec, kbps }, _)] => {
                let (stage, track) = SoundStage::open(codec, kbps, hub.clone())?;
                Ok((Self::Sound(stage), vec![Tracks { video: None, sound: Some(track) }]))
            }
            _ => Err(TranscodeError::Mixed),
        }
    }

    fn run(self, packets: mpsc::Receiver<SourcePacket>) {
        let ended = match self {
            Self::Pictures(stage) => stage.run(packets),
            Self::Sound(stage) => stage.run(packets).map_err(TranscodeError::from),
        };
        if let Err(err) = ended {
            tracing::error!("a transcode failed: {err}");
        }
    }
}

fn picture(made: Made) -> Option<Rendition> {
    match made {
        Made::Picture(rendition) => Some(rendition),
        Made::Sound { .. } => None,
    }
}

/// What is announced; the frame rate is the source's, which is not known yet, and of no use to the node.
fn video_tracks(rendition: &Rendition) -> Tracks {
    let track = VideoTrack {
        codec: Codec::H264,
        rendition: rendition.name,
        size: rendition.size,
        frame_rate: FrameRate::FPS_30,
        bitrate_kbps: rendition.bitrate_kbps,
    };
    Tracks { video: Some(track), sound: None }
}
