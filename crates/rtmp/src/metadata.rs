//! `onMetaData`: what a publisher says of its stream. Only a hint: the headers have the truth.

use bytes::Bytes;

use crate::amf::{self, Value};

/// The members that encoders agree on; `None` where one was not said.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metadata {
    pub width: Option<f64>,
    pub height: Option<f64>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    pub video_kbps: Option<f64>,
    pub audio_kbps: Option<f64>,
    /// Hz.
    pub sample_rate: Option<f64>,
    pub stereo: Option<bool>,
    pub encoder: Option<String>,
}

/// FLV's numbers for H.264 and AAC, as `videocodecid` and `audiocodecid` give them.
const AVC: f64 = 7.0;
const AAC: f64 = 10.0;

impl Metadata {
    /// Reads a [`crate::TagContent::Metadata`] body; `None` when it is something else.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let (name, rest) = amf::decode_first_amf0(body).ok()?;
        if name.as_text() != Some("onMetaData") {
            return None;
        }
        let (object, _) = amf::decode_first_amf0(rest).ok()?;
        let number = |name: &str| object.get(name)?.as_number();
        Some(Self {
            width: number("width"),
            height: number("height"),
            frame_rate: number("framerate"),
            video_kbps: number("videodatarate"),
            audio_kbps: number("audiodatarate"),
            sample_rate: number("audiosamplerate"),
            stereo: object.get("stereo").and_then(Value::as_boolean),
            encoder: object.get("encoder").and_then(Value::as_text).map(str::to_owned),
        })
    }

    /// The body of the script tag: name and array, without `@setDataFrame`.
    pub fn to_body(&self) -> Bytes {
        let mut members = Vec::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.push((name.to_owned(), value));
            }
        };
        let video = self.width.or(self.video_kbps);
        let audio = self.sample_rate.or(self.audio_kbps);
        put("width", self.width.map(Value::Number));
        put("height", self.height.map(Value::Number));
        put("framerate", self.frame_rate.map(Value::Number));
        put("videodatarate", self.video_kbps.map(Value::Number));
        put("videocodecid", video.map(|_| Value::Number(AVC)));
        put("audiodatarate", self.audio_kbps.map(Value::Number));
        put("audiosamplerate", self.sample_rate.map(Value::Number));
        put("stereo", self.stereo.map(Value::Boolean));
        put("audiocodecid", audio.map(|_| Value::Number(AAC)));
        put("encoder", self.encoder.as_deref().map(Value::text));
        let mut body = Vec::new();
        amf::encode_amf0(&mut body, &Value::text("onMetaData"));
        amf::encode_amf0(&mut body, &Value::EcmaArray(members));
        body.into()
    }
}
