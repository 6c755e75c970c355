//! A publisher's tags become packets of its stream.

use std::time::Instant;

use bytes::Bytes;
use media::{Codec, Packet, RenditionName, StudioEpoch, Timescale, Timestamp};
use mux::flv::{AudioBody, VideoBody};
use mux::h264::AvcConfig;

use crate::stream::{Departure, Lane, Message, PublishGrant, StreamHandle};

/// Whose tags they are.
enum Origin {
    /// The creator's: what is added to its times, once that is known.
    Creator { offset: Option<Timestamp> },
    /// A transcoder's: its times are the stream's, and it has one lane.
    Transcoder { lane: Lane },
}

/// One RTMP publisher of a stream.
pub struct Publishing {
    stream: StreamHandle,
    grant: PublishGrant,
    origin: Origin,
    config: Option<AvcConfig>,
    sound: Option<mux::aac::AudioSpecificConfig>,
    /// After damage or a drop no picture is handed on before the next key frame.
    broken: bool,
}

impl Publishing {
    pub fn new(stream: StreamHandle, grant: PublishGrant) -> Self {
        Self::of(stream, grant, Origin::Creator { offset: None })
    }

    /// A transcoder's lane.
    pub fn made(stream: StreamHandle, grant: PublishGrant, lane: Lane) -> Self {
        Self::of(stream, grant, Origin::Transcoder { lane })
    }

    fn of(stream: StreamHandle, grant: PublishGrant, origin: Origin) -> Self {
        Self { stream, grant, origin, config: None, sound: None, broken: true }
    }

    /// Takes one tag. A damaged one is passed over, and video goes on at the next key frame.
    pub async fn take(&mut self, tag: &rtmp::Tag) {
        let taken = match tag.content.kind() {
            rtmp::TagKind::Video => self.video(tag).await,
            rtmp::TagKind::Audio => self.audio(tag).await,
            rtmp::TagKind::Script => Ok(()),
        };
        if let Err(reason) = taken {
            tracing::debug!(stream = %self.stream.row.playback_id, "a tag was passed over: {reason}");
            self.broken |= tag.content.kind() == rtmp::TagKind::Video;
        }
    }

    async fn video(&mut self, tag: &rtmp::Tag) -> Result<(), String> {
        let body = VideoBody::parse(tag.body.clone()).map_err(|err| err.to_string())?;
        match &body {
            VideoBody::SequenceHeader { config } => {
                self.config = Some(AvcConfig::parse(config).map_err(|err| err.to_string())?);
            }
            VideoBody::Frame { key, composition_ms, .. } => {
                let config = self.config.as_ref().ok_or("a picture came before its header")?;
                let payload = body.annex_b(config).map_err(|err| err.to_string())?.unwrap_or_default();
                if *key {
                    self.broken = false;
                }
                if self.broken {
                    return Ok(());
                }
                let dts = self.place(tag.timestamp).rescale(Timescale::VIDEO);
                let pts = dts.plus(Timestamp::new(i64::from(*composition_ms), Timescale::MILLIS));
                let packet = Packet { pts, dts, duration_ticks: 0, key: *key, payload };
                let lane = match self.origin {
                    // One rendition without a name is the best there is.
                    Origin::Creator { .. } => Lane::Video(RenditionName::High),
                    Origin::Transcoder { lane } => lane,
                };
                self.hand_on(lane, packet).await;
            }
            VideoBody::EndOfSequence | VideoBody::Ignored => {}
        }
        Ok(())
    }

    async fn audio(&mut self, tag: &rtmp::Tag) -> Result<(), String> {
        match AudioBody::parse(tag.body.clone()).map_err(|err| err.to_string())? {
            AudioBody::SequenceHeader { codec, config } if Codec::from(codec) == Codec::Aac => {
                let parsed = mux::aac::AudioSpecificConfig::parse(&config).map_err(|err| err.to_string())?;
                self.sound = Some(parsed);
                self.tell_sound(config).await;
            }
            AudioBody::Frame { codec, frame } if Codec::from(codec) == Codec::Aac => {
                let sound = self.sound.as_ref().ok_or("sound came before its header")?;
                let rate = Timescale::new(sound.rate).ok_or("the sound has no rate")?;
                let pts = self.place(tag.timestamp).rescale(rate);
                let duration_ticks = mux::aac::FRAME_SAMPLES;
                self.hand_on(
                    Lane::Audio(Codec::Aac),
                    Packet { pts, dts: pts, duration_ticks, key: true, payload: frame },
                )
                .await;
            }
            AudioBody::Frame { codec, frame } if Codec::from(codec) == Codec::Opus => {
                let pts = self.place(tag.timestamp).rescale(Timescale::AUDIO);
                let duration_ticks = mux::opus::packet_samples(&frame).ok_or("the Opus packet is damaged")?;
                let packet = Packet { pts, dts: pts, duration_ticks, key: true, payload: frame };
                self.hand_on(Lane::Audio(Codec::Opus), packet).await;
            }
            AudioBody::SequenceHeader { .. } | AudioBody::Frame { .. } | AudioBody::Ignored => {}
        }
        Ok(())
    }

    async fn tell_sound(&self, config: Bytes) {
        self.stream.tell(Message::AacConfig { publisher: self.grant.publisher, config }).await;
    }

    /// Waits for room: TCP then holds the publisher back, and nothing is lost.
    async fn hand_on(&self, lane: Lane, packet: Packet) {
        self.stream.tell(Message::Packet { publisher: self.grant.publisher, lane, packet }).await;
    }

    fn place(&mut self, time: Timestamp) -> Timestamp {
        let epoch: StudioEpoch = self.grant.epoch;
        // The first tag is at the time at which it came.
        let arrived = || epoch.stamp(Instant::now(), Timescale::MILLIS).minus(time);
        match &mut self.origin {
            Origin::Creator { offset } => time.plus(*offset.get_or_insert_with(arrived)),
            Origin::Transcoder { .. } => time,
        }
    }

    /// Returns once the stream key that it came with was replaced.
    pub async fn ousted(&self) {
        match self.origin {
            Origin::Creator { .. } => self.stream.ousted(self.grant.publisher).await,
            // It came with a ticket.
            Origin::Transcoder { .. } => std::future::pending().await,
        }
    }

    pub async fn end(self, departure: Departure) {
        self.stream.tell(Message::Unpublish { publisher: self.grant.publisher, departure }).await;
    }
}
