//! AAC and Opus from the programme's sound: blocks of any length in, frames of the codec's length out.
//! Keeps time by counting samples, so a packet's time is exact whatever the blocks' rounding was.

use std::collections::VecDeque;
use std::ffi::c_int;

use bytes::Bytes;
use ffmpeg_next::ffi::{self, AVSampleFormat};
use media::{
    AudioBlock, AudioTrack, Codec as Kind, PROGRAMME_CHANNELS, PROGRAMME_RATE, Packet, Timescale, Timestamp,
};

use crate::error::CodecError;
use crate::raw::{self, Codec, Context, Frame, Output};

/// Samples by which a block's timestamp may differ from the count: what clocks of 1 ms and a capture thread's
/// jitter make, and under what is heard as a gap.
const TOLERANCE: i64 = 480;
/// The longest gap that is filled with silence; after a longer one, time starts anew.
const MAX_FILL: i64 = 48_000;

/// Opus's forward error correction (RFC 6716 §2.1.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fec {
    #[default]
    Off,
    /// Each packet may carry a coarse copy of the last; how much so depends on the loss that is expected.
    On { expected_loss_percent: u8 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AudioEncoderConfig {
    /// [`Kind::Aac`] (low complexity) or [`Kind::Opus`] (20 ms).
    pub codec: Kind,
    pub bitrate_kbps: u32,
    /// Opus only.
    pub fec: Fec,
}

impl AudioEncoderConfig {
    pub fn new(codec: Kind, bitrate_kbps: u32) -> Self {
        Self { codec, bitrate_kbps, fec: Fec::default() }
    }
}

/// What was done to sound that did not follow on the sound before it, in samples per channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SoundCorrections {
    /// Silence put into gaps.
    pub filled: u64,
    /// Samples dropped because their time had been encoded already.
    pub dropped: u64,
}

/// One sound track's encoder, for 48 kHz stereo.
pub struct AudioEncoder {
    config: AudioEncoderConfig,
    context: Context,
    frame: Frame,
    packet: raw::Packet,
    /// Interleaved samples that do not fill a frame yet: less than one frame between calls.
    pending: VecDeque<f32>,
    /// The time of the first pending sample, in samples.
    next: Option<i64>,
    corrections: SoundCorrections,
}

impl std::fmt::Debug for AudioEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioEncoder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl AudioEncoder {
    /// # Errors
    /// [`CodecError::Setting`] for a bitrate that the codec does not have, [`CodecError::Missing`] when FFmpeg was
    /// built without it.
    pub fn open(config: AudioEncoderConfig) -> Result<Self, CodecError> {
        let wrong = |setting, reason: &str| Err(CodecError::Setting { setting, reason: reason.into() });
        // RFC 6716 §2.1.1 for Opus; AAC in stereo sounds broken below and gains nothing above.
        let allowed = match config.codec {
            Kind::Opus => 6..=510,
            Kind::Aac => 16..=512,
            Kind::H264 => return wrong("codec", "H.264 is no sound codec"),
        };
        if !allowed.contains(&config.bitrate_kbps) {
            return wrong("bitrate_kbps", "Opus has 6 to 510 kbps, AAC here 16 to 512");
        }
        let (name, format, options) = settings(&config)?;
        let mut context = Context::new(Codec::encoder(name)?)?;
        let fields = context.fields_mut();
        fields.thread_count = 1;
        fields.bit_rate = i64::from(config.bitrate_kbps) * 1000;
        fields.sample_rate = PROGRAMME_RATE as c_int;
        fields.sample_fmt = format;
        fields.time_base = ffi::AVRational { num: 1, den: PROGRAMME_RATE as c_int };
        // SAFETY: writes the plain stereo layout.
        unsafe { ffi::av_channel_layout_default(&mut fields.ch_layout, PROGRAMME_CHANNELS as c_int) };
        // The AudioSpecificConfig goes into the track instead of into each packet.
        fields.flags |= ffi::AV_CODEC_FLAG_GLOBAL_HEADER as c_int;
        context.open(&options)?;
        Ok(Self {
            config,
            context,
            frame: Frame::new()?,
            packet: raw::Packet::new()?,
            pending: VecDeque::new(),
            next: None,
            corrections: SoundCorrections::default(),
        })
    }

    /// What muxers and senders must know.
    pub fn track(&self) -> AudioTrack {
        let fields = self.context.fields();
        let config = match self.config.codec {
            Kind::Aac if !fields.extradata.is_null() => {
                // SAFETY: the encoder's configuration, as long as it says, alive with the context.
                Bytes::copy_from_slice(unsafe {
                    std::slice::from_raw_parts(fields.extradata, fields.extradata_size.max(0) as usize)
                })
            }
            _ => Bytes::new(),
        };
        AudioTrack {
            codec: self.config.codec,
            rate: PROGRAMME_RATE,
            channels: PROGRAMME_CHANNELS as u16,
            bitrate_kbps: self.config.bitrate_kbps,
            config,
        }
    }

    /// Samples per channel and packet: 1024 for AAC, 960 for Opus.
    pub fn frame_samples(&self) -> usize {
        self.context.fields().frame_size.max(1) as usize
    }

    /// How many ticks of 48 kHz the codec puts before the first sample: the encoder's look-ahead.
    ///
    /// Packets' times account for it already: what a decoder makes of a packet belongs at the packet's time, so
    /// the first packet lies this much before the first block.
    pub fn delay_ticks(&self) -> u32 {
        self.context.fields().initial_padding.max(0) as u32
    }

    pub fn corrections(&self) -> SoundCorrections {
        self.corrections
    }

    /// Takes a block of any length in 48 kHz stereo and returns the packets that it filled.
    ///
    /// A gap of up to a second is filled with silence, sound from before the last block's end is dropped; both are
    /// counted in [`AudioEncoder::corrections`]. After a longer gap, or a jump back, time starts anew at the block.
    pub fn encode(&mut self, block: &AudioBlock) -> Result<Vec<Packet>, CodecError> {
        if block.rate != PROGRAMME_RATE || block.channels != PROGRAMME_CHANNELS {
            return Err(CodecError::WrongSound { rate: block.rate, channels: block.channels });
        }
        let mut packets = Vec::new();
        let start = block.timestamp.rescale(Timescale::AUDIO).ticks();
        let mut samples = &block.samples[..block.frames() * PROGRAMME_CHANNELS];
        let gap = self.next.map(|next| start.saturating_sub(next.saturating_add(self.pending_frames())));
        match gap {
            Some(gap) if (-TOLERANCE..=TOLERANCE).contains(&gap) => {}
            Some(gap) if (1..=MAX_FILL).contains(&gap) => {
                self.corrections.filled += gap.unsigned_abs();
                self.push(std::iter::repeat_n(0.0, gap as usize * PROGRAMME_CHANNELS), &mut packets)?;
            }
            Some(gap) if (-MAX_FILL..0).contains(&gap) => {
                let dropped = (gap.unsigned_abs() as usize).min(block.frames());
                self.corrections.dropped += dropped as u64;
                samples = &samples[dropped * PROGRAMME_CHANNELS..];
            }
            Some(_) => {
                packets = self.flush()?;
                self.next = Some(start);
            }
            None => self.next = Some(start),
        }
        self.push(samples.iter().copied(), &mut packets)?;
        Ok(packets)
    }

    /// Ends the sound: fills the last frame with silence and returns everything, the codec's delay included.
    /// Encoding may go on afterwards; time then starts anew.
    pub fn flush(&mut self) -> Result<Vec<Packet>, CodecError> {
        let mut packets = Vec::new();
        self.pad(&mut packets)?;
        self.context.send_frame(None).map_err(|code| self.failed("ending", code))?;
        self.receive(&mut packets)?;
        let corrections = self.corrections;
        *self = Self { corrections, ..Self::open(self.config)? };
        Ok(packets)
    }

    fn pending_frames(&self) -> i64 {
        (self.pending.len() / PROGRAMME_CHANNELS) as i64
    }

    fn pad(&mut self, packets: &mut Vec<Packet>) -> Result<(), CodecError> {
        let missing = self.frame_samples() * PROGRAMME_CHANNELS - self.pending.len();
        if self.pending.is_empty() {
            return Ok(());
        }
        self.push(std::iter::repeat_n(0.0, missing), packets)
    }

    fn push(
        &mut self,
        samples: impl Iterator<Item = f32>,
        packets: &mut Vec<Packet>,
    ) -> Result<(), CodecError> {
        let full = self.frame_samples() * PROGRAMME_CHANNELS;
        for sample in samples {
            // An encoder that meets a NaN may return it for the rest of the stream.
            self.pending.push_back(if sample.is_finite() { sample } else { 0.0 });
            if self.pending.len() == full {
                self.encode_frame(packets)?;
            }
        }
        Ok(())
    }

    fn encode_frame(&mut self, packets: &mut Vec<Packet>) -> Result<(), CodecError> {
        let frames = self.frame_samples();
        let pts = self.next.unwrap_or(0);
        self.frame.clear();
        let format = self.context.fields().sample_fmt;
        let fields = self.frame.fields_mut();
        fields.format = format as c_int;
        fields.nb_samples = frames as c_int;
        fields.sample_rate = PROGRAMME_RATE as c_int;
        fields.pts = pts;
        // SAFETY: writes the plain stereo layout.
        unsafe { ffi::av_channel_layout_default(&mut fields.ch_layout, PROGRAMME_CHANNELS as c_int) };
        self.frame.allocate()?;
        let planar = format == AVSampleFormat::AV_SAMPLE_FMT_FLTP;
        for (index, sample) in self.pending.drain(..).enumerate() {
            let (plane, position) =
                if planar { (index % PROGRAMME_CHANNELS, index / PROGRAMME_CHANNELS) } else { (0, index) };
            // SAFETY: allocated for `frames` floats a plane, or twice that in one, and `pending` held that many.
            unsafe { *self.frame.fields_mut().data[plane].cast::<f32>().add(position) = sample };
        }
        self.next = Some(pts.saturating_add(frames as i64));
        self.context.send_frame(Some(&self.frame)).map_err(|code| self.failed("taking sound", code))?;
        self.receive(packets)
    }

    fn receive(&mut self, packets: &mut Vec<Packet>) -> Result<(), CodecError> {
        loop {
            match self.context.receive_packet(&mut self.packet) {
                Ok(Output::Nothing) => return Ok(()),
                Ok(Output::Ready) => {
                    let pts = Timestamp::new(self.packet.fields().pts, Timescale::AUDIO);
                    packets.push(Packet {
                        pts,
                        dts: pts,
                        duration_ticks: self.frame_samples() as u32,
                        key: true,
                        // Copied: FFmpeg's buffer is as large as the largest possible packet.
                        payload: Bytes::copy_from_slice(self.packet.as_ref()),
                    });
                }
                Err(code) => return Err(self.failed("making a packet", code)),
            }
        }
    }

    fn failed(&self, action: &'static str, code: c_int) -> CodecError {
        CodecError::Failed { codec: self.context.name(), action, reason: raw::reason(code) }
    }
}

type Settings = (&'static str, AVSampleFormat, Vec<(&'static str, String)>);

fn settings(config: &AudioEncoderConfig) -> Result<Settings, CodecError> {
    if config.codec == Kind::Aac {
        return Ok(("aac", AVSampleFormat::AV_SAMPLE_FMT_FLTP, vec![("aac_coder", "twoloop".into())]));
    }
    let (fec, loss) = match config.fec {
        Fec::Off => (0, 0),
        Fec::On { expected_loss_percent } if expected_loss_percent <= 100 => (1, expected_loss_percent),
        Fec::On { .. } => {
            let reason = "the expected loss is at most 100 percent".into();
            return Err(CodecError::Setting { setting: "fec", reason });
        }
    };
    let options = vec![
        ("application", "audio".to_owned()),
        ("frame_duration", "20".to_owned()),
        ("vbr", "on".to_owned()),
        ("fec", fec.to_string()),
        ("packet_loss", loss.to_string()),
    ];
    Ok(("libopus", AVSampleFormat::AV_SAMPLE_FMT_FLT, options))
}
