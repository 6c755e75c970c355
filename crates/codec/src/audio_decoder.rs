//! AAC and Opus back to interleaved floats. A damaged packet is an error, and the next one decodes again.

use std::ffi::c_int;
use std::ptr;

use ffmpeg_next::ffi::{self, AVSampleFormat};
use media::{AudioBlock, AudioTrack, Codec as Kind, Packet, Timescale, Timestamp};

use crate::error::CodecError;
use crate::raw::{self, Codec, Context, Frame, Output};

/// More than any layout of the two codecs in use here.
const MAX_CHANNELS: usize = 8;

/// One track's decoder.
pub struct AudioDecoder {
    track: AudioTrack,
    context: Context,
    frame: Frame,
}

impl std::fmt::Debug for AudioDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioDecoder").field("name", &self.context.name()).finish_non_exhaustive()
    }
}

impl AudioDecoder {
    /// # Errors
    /// [`CodecError::Open`] when the track's AudioSpecificConfig is damaged or of a kind that FFmpeg cannot decode.
    pub fn open(track: &AudioTrack) -> Result<Self, CodecError> {
        Ok(Self { context: open_context(track)?, track: track.clone(), frame: Frame::new()? })
    }

    /// Decodes one packet; the block starts at the packet's time.
    ///
    /// # Errors
    /// [`CodecError::Damaged`]: this packet's sound is lost.
    pub fn decode(&mut self, packet: &Packet) -> Result<Vec<AudioBlock>, CodecError> {
        if packet.payload.is_empty() {
            return Err(CodecError::Damaged { reason: "the packet is empty".into() });
        }
        let mut raw = raw::Packet::copy_of(&packet.payload)?;
        raw.fields_mut().pts = packet.pts.rescale(Timescale::AUDIO).ticks();
        raw.fields_mut().dts = raw.fields().pts;
        let blocks = self.context.send_packet(Some(&raw)).map_err(damaged).and_then(|()| self.receive());
        if blocks.is_err() {
            // A damaged packet may have told FFmpeg of other channels than the track has, and a flush keeps
            // them: every later packet would fail.
            self.context = open_context(&self.track)?;
        }
        blocks
    }

    fn receive(&mut self) -> Result<Vec<AudioBlock>, CodecError> {
        let mut blocks = Vec::with_capacity(1);
        while self.context.receive_frame(&mut self.frame).map_err(damaged)? == Output::Ready {
            let timestamp = Timestamp::new(self.frame.fields().best_effort_timestamp, Timescale::AUDIO);
            blocks.push(block_of(&self.frame, timestamp)?);
        }
        Ok(blocks)
    }
}

fn open_context(track: &AudioTrack) -> Result<Context, CodecError> {
    let codec = match track.codec {
        Kind::Aac => Codec::decoder(&["aac"])?,
        Kind::Opus => Codec::decoder(&["libopus", "opus"])?,
        Kind::H264 => return Err(CodecError::Missing { name: "sound decoder for H.264".into() }),
    };
    let wrong = || CodecError::WrongSound { rate: track.rate, channels: usize::from(track.channels) };
    if track.channels == 0 || usize::from(track.channels) > MAX_CHANNELS {
        return Err(wrong());
    }
    let mut context = Context::new(codec)?;
    set_config(&mut context, &track.config)?;
    let fields = context.fields_mut();
    fields.thread_count = 1;
    fields.sample_rate = c_int::try_from(track.rate).map_err(|_| wrong())?;
    // SAFETY: writes a plain layout of that many channels.
    unsafe { ffi::av_channel_layout_default(&mut fields.ch_layout, c_int::from(track.channels)) };
    fields.request_sample_fmt = AVSampleFormat::AV_SAMPLE_FMT_FLT;
    fields.pkt_timebase = ffi::AVRational { num: 1, den: Timescale::AUDIO.ticks_per_second() as c_int };
    context.open(&[])?;
    Ok(context)
}

fn damaged(code: c_int) -> CodecError {
    CodecError::Damaged { reason: raw::reason(code) }
}

/// Gives a decoder its out-of-band configuration, padded as FFmpeg wants it.
fn set_config(context: &mut Context, config: &[u8]) -> Result<(), CodecError> {
    let size = c_int::try_from(config.len()).map_err(|_| CodecError::OutOfMemory)?;
    if size == 0 {
        return Ok(());
    }
    let fields = context.fields_mut();
    // SAFETY: the allocation holds the bytes and FFmpeg's padding; the context frees it.
    unsafe {
        let room = config.len() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
        fields.extradata = ffi::av_mallocz(room).cast();
        if fields.extradata.is_null() {
            return Err(CodecError::OutOfMemory);
        }
        ptr::copy_nonoverlapping(config.as_ptr(), fields.extradata, config.len());
    }
    fields.extradata_size = size;
    Ok(())
}

/// A decoded frame of floats, interleaved.
pub(crate) fn block_of(frame: &Frame, timestamp: Timestamp) -> Result<AudioBlock, CodecError> {
    let fields = frame.fields();
    let damaged = |reason: &str| CodecError::Damaged { reason: reason.to_owned() };
    let channels = usize::try_from(fields.ch_layout.nb_channels).unwrap_or(0);
    let frames = usize::try_from(fields.nb_samples).unwrap_or(0);
    let rate = u32::try_from(fields.sample_rate).unwrap_or(0);
    if channels == 0 || channels > MAX_CHANNELS || rate == 0 {
        return Err(damaged("it states no usable rate or channels"));
    }
    let plane = |index: usize, length: usize| {
        // SAFETY: FFmpeg's frame holds `nb_samples` floats in each plane, or times the channels in a packed one.
        unsafe { std::slice::from_raw_parts((*fields.extended_data.add(index)).cast::<f32>(), length) }
    };
    let samples = if fields.format == AVSampleFormat::AV_SAMPLE_FMT_FLT as c_int {
        plane(0, frames * channels).into()
    } else if fields.format == AVSampleFormat::AV_SAMPLE_FMT_FLTP as c_int {
        let planes: Vec<&[f32]> = (0..channels).map(|index| plane(index, frames)).collect();
        (0..frames * channels).map(|index| planes[index % channels][index / channels]).collect()
    } else {
        return Err(damaged("its samples are not floats"));
    };
    Ok(AudioBlock { rate, channels, samples, timestamp })
}
