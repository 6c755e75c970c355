//! A stream's packets become tags for players.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use media::{Codec, Packet, RenditionName, StudioEpoch, Timescale};
use mux::flv::{AudioBody, AudioCodec, VideoBody};
use mux::h264::AvcConfig;
use rtmp::{SharedTag, Tag, TagContent};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::stream::{Feed, Lane, Live, PlayerGuard, StreamHandle, Unit};

/// What is played.
enum Choice {
    /// The best rendition and AAC.
    Best { _player: PlayerGuard },
    /// One lane, for a transcoder.
    Lane(Lane),
}

/// One RTMP player of a stream: its best rendition and its AAC from the next key frame on, or one lane.
pub struct Playing {
    choice: Choice,
    /// What comes before `units`.
    begun: VecDeque<Arc<Unit>>,
    units: broadcast::Receiver<Arc<Unit>>,
    stream: StreamHandle,
    /// The broadcast that is played, by the zero of its media time.
    epoch: Option<StudioEpoch>,
    live: watch::Receiver<Live>,
    rendition: Option<RenditionName>,
    config: Option<AvcConfig>,
    sound: Option<Bytes>,
    broken: bool,
}

impl Playing {
    pub fn new(stream: StreamHandle) -> Self {
        let choice = Choice::Best { _player: PlayerGuard::enter(&stream.presence) };
        let feed = Feed { begun: Vec::new(), units: stream.read() };
        Self::of(stream, choice, feed)
    }

    /// Feeds a transcoder with one lane. It is no player: nothing is made for it.
    pub fn fed(stream: StreamHandle, lane: Lane, feed: Feed) -> Self {
        Self::of(stream, Choice::Lane(lane), feed)
    }

    fn of(stream: StreamHandle, choice: Choice, Feed { begun, units }: Feed) -> Self {
        let (begun, live) = (begun.into(), stream.watch());
        let epoch = stream.live().epoch;
        Self {
            choice,
            begun,
            units,
            stream,
            epoch,
            live,
            rendition: None,
            config: None,
            sound: None,
            broken: true,
        }
    }

    /// The tags of the next packet that this player gets; `None` once its broadcast is over.
    pub async fn next(&mut self) -> Option<VecDeque<SharedTag>> {
        while let Some(unit) = self.begun.pop_front() {
            let tags = self.tags(&unit);
            if !tags.is_empty() {
                return Some(tags);
            }
        }
        loop {
            let received = tokio::select! {
                // What was sent before the end is played first.
                biased;
                received = self.units.recv() => received,
                () = end(&mut self.live, self.epoch) => return None,
            };
            match received {
                Ok(unit) => {
                    let tags = self.tags(&unit);
                    if !tags.is_empty() {
                        return Some(tags);
                    }
                }
                // Too slow: what was missed is gone, so pictures go on at the next key frame.
                Err(RecvError::Lagged(_)) => self.broken = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// The output is full: as if the network had lost the rest of this group of pictures.
    pub fn skip_to_key(&mut self) {
        self.broken = true;
    }

    fn tags(&mut self, unit: &Unit) -> VecDeque<SharedTag> {
        let mut tags = VecDeque::new();
        if matches!(self.choice, Choice::Lane(lane) if lane != unit.lane) {
            return tags;
        }
        match (unit.lane, &self.choice) {
            (Lane::Video(name), _) => self.video(name, &unit.packet, &mut tags),
            (Lane::Audio(Codec::Aac), _) => self.audio(&unit.packet, &mut tags),
            (Lane::Audio(Codec::Opus), Choice::Lane(_)) => {
                let frame = AudioBody::Frame { codec: AudioCodec::Opus, frame: unit.packet.payload.clone() };
                tags.push_back(tag(TagContent::AudioFrame, &unit.packet, frame.to_bytes()));
            }
            (Lane::Audio(_), _) => {}
        }
        tags
    }

    fn wanted_rendition(&self) -> Option<RenditionName> {
        match self.choice {
            Choice::Best { .. } => self.stream.live().best_rendition(),
            Choice::Lane(lane) => lane.rendition(),
        }
    }

    fn video(&mut self, name: RenditionName, packet: &Packet, tags: &mut VecDeque<SharedTag>) {
        let best = self.wanted_rendition();
        if self.rendition.is_none_or(|mine| Some(mine) != best) && packet.key && Some(name) == best {
            self.rendition = best;
            self.config = None;
        }
        if self.rendition != Some(name) {
            return;
        }
        if packet.key {
            if let Ok(config) = AvcConfig::from_annex_b(&packet.payload)
                && self.config.as_ref() != Some(&config)
            {
                tags.push_back(tag(
                    TagContent::VideoHeader,
                    packet,
                    VideoBody::sequence_header(&config).to_bytes(),
                ));
                self.config = Some(config);
            }
            self.broken = self.config.is_none();
        }
        if self.broken {
            return;
        }
        let content = if packet.key { TagContent::KeyFrame } else { TagContent::InterFrame };
        tags.push_back(tag(content, packet, VideoBody::frame(packet).to_bytes()));
    }

    fn audio(&mut self, packet: &Packet, tags: &mut VecDeque<SharedTag>) {
        let live = self.stream.live();
        // Sound waits for the picture: a player takes its first packet for the beginning of both.
        if self.rendition.is_none() && self.wanted_rendition().is_some() {
            return;
        }
        let Some(config) = live.aac_config else { return };
        if self.sound.as_ref() != Some(&config) {
            let header = AudioBody::SequenceHeader { codec: AudioCodec::Aac, config: config.clone() };
            tags.push_back(tag(TagContent::AudioHeader, packet, header.to_bytes()));
            self.sound = Some(config);
        }
        let frame = AudioBody::Frame { codec: AudioCodec::Aac, frame: packet.payload.clone() };
        tags.push_back(tag(TagContent::AudioFrame, packet, frame.to_bytes()));
    }
}

/// Waits until the broadcast that began at `epoch` is over. The stream itself goes on: it is held by its players.
async fn end(live: &mut watch::Receiver<Live>, epoch: Option<StudioEpoch>) {
    // An error means that the stream's task has ended, and with it the broadcast.
    let _ = live.wait_for(|live| epoch.is_none() || live.epoch != epoch).await;
}

fn tag(content: TagContent, packet: &Packet, body: Vec<u8>) -> SharedTag {
    let timestamp = packet.dts.rescale(Timescale::MILLIS);
    SharedTag::new(Tag { content, timestamp, body: body.into() })
}
