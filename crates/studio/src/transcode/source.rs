//! What is transcoded: one lane of a stream, played from the node by RTMP.

use std::time::{Duration, Instant};

use media::{AudioTrack, Codec, Packet, Timescale, Timestamp};
use mux::aac::AudioSpecificConfig;
use mux::flv::{AudioBody, VideoBody};
use mux::h264::AvcConfig;
use rtmp::{Client, ClientConfig, ClientEvent, Role, RtmpUrl, Tag, TagKind};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 64 * 1024;

#[derive(Debug, Error)]
pub enum SourceError {
    #[error("the node could not be reached: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error("the node did not answer in time")]
    Late,
    #[error(transparent)]
    Session(#[from] rtmp::Error),
    #[error("the node ended the stream: {0}")]
    Ended(String),
    #[error("the node closed the connection")]
    Closed,
    #[error("nobody decodes any more")]
    Unread,
}

/// What a decoder is given.
#[derive(Clone, Debug)]
pub enum SourcePacket {
    Picture(Packet),
    /// What the sound that follows is.
    SoundHeader(AudioTrack),
    Sound(Packet),
}

/// Plays until it ends, which it does with an error.
pub async fn play(url: RtmpUrl, packets: mpsc::Sender<SourcePacket>) -> Result<(), SourceError> {
    let connecting = TcpStream::connect((url.host(), url.port()));
    let mut socket = timeout(CONNECT_LIMIT, connecting).await.map_err(|_| SourceError::Late)??;
    socket.set_nodelay(true)?;
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
    let config = ClientConfig { seed: u64::from_le_bytes(seed), ..ClientConfig::new(url, Role::Play) };
    let mut client = Client::new(config, Instant::now());
    let mut reader = TagReader::default();
    let mut input = vec![0; READ_BYTES];
    loop {
        while let Some(bytes) = client.poll_output() {
            socket.write_all(&bytes).await?;
        }
        let deadline = tokio::time::Instant::from_std(client.poll_timeout());
        tokio::select! {
            read = socket.read(&mut input) => match read? {
                0 => return Err(SourceError::Closed),
                count => client.handle_input(Instant::now(), &input[..count])?,
            },
            () = tokio::time::sleep_until(deadline) => client.handle_timeout(Instant::now())?,
        }
        while let Some(event) = client.poll_event() {
            match event {
                ClientEvent::Started => {}
                ClientEvent::Media(tag) => {
                    for packet in reader.read(&tag) {
                        packets.send(packet).await.map_err(|_| SourceError::Unread)?;
                    }
                }
                ClientEvent::Ended(status) => return Err(SourceError::Ended(status.to_string())),
            }
        }
    }
}

/// Tags become packets; what cannot be read is passed over.
#[derive(Debug, Default)]
struct TagReader {
    pictures: Option<AvcConfig>,
    sound: Option<(Codec, Timescale, u32)>,
}

impl TagReader {
    fn read(&mut self, tag: &Tag) -> Vec<SourcePacket> {
        match tag.content.kind() {
            TagKind::Video => self.video(tag).into_iter().collect(),
            TagKind::Audio => self.audio(tag),
            TagKind::Script => Vec::new(),
        }
    }

    fn video(&mut self, tag: &Tag) -> Option<SourcePacket> {
        let body = VideoBody::parse(tag.body.clone()).ok()?;
        match &body {
            VideoBody::SequenceHeader { config } => {
                self.pictures = AvcConfig::parse(config).ok();
                None
            }
            VideoBody::Frame { key, composition_ms, .. } => {
                let payload = body.annex_b(self.pictures.as_ref()?).ok()??;
                let dts = tag.timestamp.rescale(Timescale::VIDEO);
                let pts = dts.plus(Timestamp::new(i64::from(*composition_ms), Timescale::MILLIS));
                Some(SourcePacket::Picture(Packet { pts, dts, duration_ticks: 0, key: *key, payload }))
            }
            VideoBody::EndOfSequence | VideoBody::Ignored => None,
        }
    }

    fn audio(&mut self, tag: &Tag) -> Vec<SourcePacket> {
        let mut out = Vec::new();
        match AudioBody::parse(tag.body.clone()) {
            Ok(AudioBody::SequenceHeader { codec, config }) if Codec::from(codec) == Codec::Aac => {
                let Ok(parsed) = AudioSpecificConfig::parse(&config) else { return out };
                let Some(scale) = Timescale::new(parsed.rate) else { return out };
                self.sound = Some((Codec::Aac, scale, mux::aac::FRAME_SAMPLES));
                out.push(SourcePacket::SoundHeader(AudioTrack {
                    codec: Codec::Aac,
                    rate: parsed.rate,
                    channels: parsed.channels,
                    bitrate_kbps: 0,
                    config,
                }));
            }
            Ok(AudioBody::Frame { codec, frame }) => {
                let codec = Codec::from(codec);
                // Opus says of itself what it is.
                if codec == Codec::Opus && self.sound.is_none_or(|(known, ..)| known != codec) {
                    self.sound = Some((codec, Timescale::AUDIO, 0));
                    out.push(SourcePacket::SoundHeader(AudioTrack {
                        codec,
                        rate: media::PROGRAMME_RATE,
                        channels: media::PROGRAMME_CHANNELS as u16,
                        bitrate_kbps: 0,
                        config: Default::default(),
                    }));
                }
                if let Some((_, scale, duration_ticks)) = self.sound.filter(|(known, ..)| *known == codec) {
                    let pts = tag.timestamp.rescale(scale);
                    let packet = Packet { pts, dts: pts, duration_ticks, key: true, payload: frame };
                    out.push(SourcePacket::Sound(packet));
                }
            }
            Ok(AudioBody::SequenceHeader { .. } | AudioBody::Ignored) | Err(_) => {}
        }
        out
    }
}
