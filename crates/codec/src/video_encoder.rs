//! H.264 for live streams: Constrained Baseline, one slice, no reordering, constant bitrate.
//! Says nothing about when a key frame is due: the caller does, so that renditions agree.

use std::ffi::c_int;

use bytes::Bytes;
use ffmpeg_next::ffi::{self, AVColorPrimaries, AVColorRange, AVColorSpace, AVPictureType};
use media::{
    Codec as Kind, FrameRate, Packet, Picture, RenditionName, Size, Timescale, Timestamp, VideoTrack,
};

use crate::error::CodecError;
use crate::frame::nv12_from_picture;
use crate::hardware::{self, Surface};
use crate::level::level_idc;
use crate::raw::{self, Codec, Context, Frame, Output};

/// Milliseconds of stream that the rate control's buffer holds. A key frame may take most of it at once, so this
/// is also what a viewer's jitter buffer and a pacer must swallow. Half a second keeps pictures good on content
/// that moves and the burst under 0.5 s of the line.
const BUFFER_MS: u64 = 500;
/// The encoder makes a key frame of its own only when none was asked for during this many intervals: it never
/// shifts a grid that is kept, and a caller that forgets it still makes a stream that can be joined.
const SPARE_INTERVALS: u64 = 4;
/// Beyond what Table A-1 allows for 8K.
const MAX_KBPS: u32 = 240_000;

/// How much time is spent on a picture. Ultrafast takes about half of Superfast's, which takes half of
/// Veryfast's, at rising quality.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpeedPreset {
    Ultrafast,
    #[default]
    Superfast,
    Veryfast,
    Medium,
}

impl SpeedPreset {
    pub(crate) fn as_x264(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Medium => "medium",
        }
    }
}

/// Which encoder makes the stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum EncoderChoice {
    /// The first hardware encoder that works here, else x264.
    #[default]
    Auto,
    /// The one of this name (see [`crate::probe`]), or an error.
    Named(String),
}

impl EncoderChoice {
    /// x264, whatever hardware there is.
    pub fn x264() -> Self {
        Self::Named(hardware::X264.into())
    }
}

/// Whether a picture has to be a key frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyRequest {
    No,
    Yes,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VideoEncoderConfig {
    pub rendition: RenditionName,
    /// Both sides even.
    pub size: Size,
    /// At which pictures come. Skipped pictures are fine: they lower the bitrate.
    pub frame_rate: FrameRate,
    pub bitrate_kbps: u32,
    /// The grid on which the caller will ask for key frames.
    pub key_interval_seconds: u32,
    pub choice: EncoderChoice,
    pub preset: SpeedPreset,
}

impl VideoEncoderConfig {
    /// The ladder's defaults: a key frame every two seconds, whichever encoder works, fast enough for four
    /// renditions on two cores.
    pub fn new(rendition: RenditionName, size: Size, frame_rate: FrameRate, bitrate_kbps: u32) -> Self {
        Self {
            rendition,
            size,
            frame_rate,
            bitrate_kbps,
            key_interval_seconds: 2,
            choice: EncoderChoice::default(),
            preset: SpeedPreset::default(),
        }
    }

    fn check(&self) -> Result<u8, CodecError> {
        let wrong = |setting, reason: String| Err(CodecError::Setting { setting, reason });
        let (width, height) = (self.size.width, self.size.height);
        if width < 16 || height < 16 || width % 2 + height % 2 != 0 {
            return wrong("size", format!("{} is not two even numbers from 16 up", self.size));
        }
        if self.bitrate_kbps == 0 || self.bitrate_kbps > MAX_KBPS {
            return wrong("bitrate_kbps", format!("{} is not from 1 to {MAX_KBPS}", self.bitrate_kbps));
        }
        if self.key_interval_seconds == 0 || self.key_interval_seconds > 60 {
            return wrong(
                "key_interval_seconds",
                format!("{} is not from 1 to 60", self.key_interval_seconds),
            );
        }
        match level_idc(self.size, self.frame_rate, self.bitrate_kbps) {
            Some(level) => Ok(level),
            None => wrong(
                "size",
                format!("no level of H.264 allows {} at {} frames a second", self.size, self.frame_rate),
            ),
        }
    }
}

/// One rendition's encoder. It works on the caller's thread and starts none.
pub struct VideoEncoder {
    config: VideoEncoderConfig,
    name: &'static str,
    fallback: Option<String>,
    context: Context,
    surface: Surface,
    frame: Frame,
    packet: raw::Packet,
    last: Option<Timestamp>,
    /// A new bitrate waits for the next key frame: some encoders take one only when opened anew.
    reopen_at_key: bool,
}

impl std::fmt::Debug for VideoEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoEncoder").field("name", &self.name).field("config", &self.config).finish()
    }
}

impl VideoEncoder {
    /// # Errors
    /// [`CodecError::Setting`] for a setting that H.264 does not allow, [`CodecError::Missing`] or
    /// [`CodecError::Open`] when no encoder of the choice works. `Auto` gives hardware up for x264 and says why in
    /// [`VideoEncoder::fallback`].
    pub fn open(config: &VideoEncoderConfig) -> Result<Self, CodecError> {
        let level = config.check()?;
        match &config.choice {
            EncoderChoice::Named(name) => Self::open_named(config, level, name, None),
            EncoderChoice::Auto => {
                let mut fallback = None;
                for name in hardware::usable() {
                    match Self::open_named(config, level, name, None) {
                        Ok(encoder) => return Ok(encoder),
                        // A card may allow fewer encoders at once than there are renditions.
                        Err(err) => fallback = Some(err.to_string()),
                    }
                }
                Self::open_named(config, level, hardware::X264, fallback)
            }
        }
    }

    fn open_named(
        config: &VideoEncoderConfig,
        level: u8,
        name: &str,
        fallback: Option<String>,
    ) -> Result<Self, CodecError> {
        let codec = Codec::encoder(name)?;
        let mut context = Context::new(codec)?;
        set_fields(config, &mut context)?;
        let surface = hardware::prepare(name, config.size, &mut context)?;
        context.open(&hardware::options(name, config.preset, level)?)?;
        Ok(Self {
            config: config.clone(),
            name: codec.name(),
            fallback,
            context,
            surface,
            frame: Frame::new()?,
            packet: raw::Packet::new()?,
            last: None,
            reopen_at_key: false,
        })
    }

    /// Which encoder this is, such as `libx264`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Why it is not the hardware encoder that [`EncoderChoice::Auto`] found usable before.
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// What muxers and senders must know. SPS and PPS are in the stream, before each IDR.
    pub fn track(&self) -> VideoTrack {
        VideoTrack {
            codec: Kind::H264,
            rendition: self.config.rendition,
            size: self.config.size,
            frame_rate: self.config.frame_rate,
            bitrate_kbps: self.config.bitrate_kbps,
        }
    }

    /// Encodes one picture: NV12 (not copied) or I420, BT.709, limited range, later than the one before.
    ///
    /// With x264 every picture gives one packet at once. The packet's times are the picture's at 90 kHz.
    pub fn encode(&mut self, picture: &Picture, key: KeyRequest) -> Result<Vec<Packet>, CodecError> {
        if picture.size() != self.config.size {
            return Err(CodecError::WrongSize { expected: self.config.size, got: picture.size() });
        }
        let timestamp = picture.timestamp().rescale(Timescale::VIDEO);
        if let Some(last) = self.last.filter(|&last| timestamp <= last) {
            return Err(CodecError::TimeNotRising { last, got: timestamp });
        }
        let mut packets = Vec::with_capacity(1);
        if key == KeyRequest::Yes && self.reopen_at_key {
            packets = self.flush()?;
        }
        nv12_from_picture(picture, &mut self.frame)?;
        self.surface.upload(&mut self.frame)?;
        let fields = self.frame.fields_mut();
        fields.pts = timestamp.ticks();
        fields.pict_type = match key {
            KeyRequest::Yes => AVPictureType::AV_PICTURE_TYPE_I,
            KeyRequest::No => AVPictureType::AV_PICTURE_TYPE_NONE,
        };
        let sent = self.context.send_frame(Some(&self.frame));
        self.frame.clear();
        sent.map_err(|code| self.failed("taking a picture", code))?;
        self.last = Some(timestamp);
        self.receive(&mut packets)?;
        Ok(packets)
    }

    /// A new target, from the next picture on where the encoder can (x264, NVENC), else from the next key frame.
    ///
    /// # Errors
    /// [`CodecError::Setting`] for 0 or more than the stream's level allows, which is stated once, at the start.
    pub fn set_bitrate(&mut self, kbps: u32) -> Result<(), CodecError> {
        let level = self.config.check()?;
        let config = VideoEncoderConfig { bitrate_kbps: kbps, ..self.config.clone() };
        if config.check()? > level {
            let reason = format!("{kbps} is more than the stream's H.264 level allows");
            return Err(CodecError::Setting { setting: "bitrate_kbps", reason });
        }
        self.config = config;
        if hardware::takes_bitrate_while_running(self.name) {
            set_rate(self.context.fields_mut(), kbps);
        } else {
            self.reopen_at_key = true;
        }
        Ok(())
    }

    /// Ends the stream and returns what was still inside. Encoding goes on afterwards with a key frame.
    pub fn flush(&mut self) -> Result<Vec<Packet>, CodecError> {
        self.context.send_frame(None).map_err(|code| self.failed("ending", code))?;
        let mut packets = Vec::new();
        self.receive(&mut packets)?;
        let level = self.config.check()?;
        let fresh = Self::open_named(&self.config, level, self.name, self.fallback.take())?;
        *self = Self { last: self.last, ..fresh };
        Ok(packets)
    }

    fn receive(&mut self, packets: &mut Vec<Packet>) -> Result<(), CodecError> {
        let duration = self.config.frame_rate.frame_duration(Timescale::VIDEO).ticks();
        loop {
            match self.context.receive_packet(&mut self.packet) {
                Ok(Output::Nothing) => return Ok(()),
                Ok(Output::Ready) => {
                    let packet = self.packet.take()?;
                    let pts = Timestamp::new(packet.fields().pts, Timescale::VIDEO);
                    packets.push(Packet {
                        pts,
                        // There are no B-frames.
                        dts: pts,
                        duration_ticks: u32::try_from(duration).unwrap_or(u32::MAX),
                        key: packet.is_key(),
                        payload: Bytes::from_owner(packet),
                    });
                }
                Err(code) => return Err(self.failed("making a packet", code)),
            }
        }
    }

    fn failed(&self, action: &'static str, code: c_int) -> CodecError {
        CodecError::Failed { codec: self.name, action, reason: raw::reason(code) }
    }
}

fn set_rate(fields: &mut ffi::AVCodecContext, kbps: u32) {
    let bits = i64::from(kbps) * 1000;
    fields.bit_rate = bits;
    // The peak equals the mean: constant bitrate over the buffer's length.
    fields.rc_max_rate = bits;
    fields.rc_buffer_size = c_int::try_from(u64::from(kbps) * BUFFER_MS).unwrap_or(c_int::MAX);
}

fn set_fields(config: &VideoEncoderConfig, context: &mut Context) -> Result<(), CodecError> {
    let setting = |setting| move |_| CodecError::Setting { setting, reason: "it is beyond 31 bits".into() };
    let rate = config.frame_rate;
    let frames = u64::from(rate.frames()) * u64::from(config.key_interval_seconds) * SPARE_INTERVALS;
    let fields = context.fields_mut();
    fields.width = c_int::try_from(config.size.width).map_err(setting("size"))?;
    fields.height = c_int::try_from(config.size.height).map_err(setting("size"))?;
    fields.pix_fmt = ffi::AVPixelFormat::AV_PIX_FMT_NV12;
    fields.time_base = ffi::AVRational { num: 1, den: Timescale::VIDEO.ticks_per_second() as c_int };
    fields.framerate = ffi::AVRational {
        num: c_int::try_from(rate.frames()).map_err(setting("frame_rate"))?,
        den: c_int::try_from(rate.seconds()).map_err(setting("frame_rate"))?,
    };
    fields.sample_aspect_ratio = ffi::AVRational { num: 1, den: 1 };
    fields.gop_size = c_int::try_from(frames / u64::from(rate.seconds())).unwrap_or(c_int::MAX).max(1);
    fields.max_b_frames = 0;
    fields.refs = 1;
    fields.slices = 1;
    fields.thread_count = 1;
    fields.color_range = AVColorRange::AVCOL_RANGE_MPEG;
    fields.colorspace = AVColorSpace::AVCOL_SPC_BT709;
    fields.color_primaries = AVColorPrimaries::AVCOL_PRI_BT709;
    fields.color_trc = ffi::AVColorTransferCharacteristic::AVCOL_TRC_BT709;
    // Without the global-header flag, SPS and PPS stand before each IDR.
    fields.flags |= (ffi::AV_CODEC_FLAG_CLOSED_GOP | ffi::AV_CODEC_FLAG_LOW_DELAY) as c_int;
    set_rate(fields, config.bitrate_kbps);
    Ok(())
}
