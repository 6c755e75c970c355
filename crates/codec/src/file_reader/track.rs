//! One stream of a file with its decoder, and what makes its frames pictures and sound of ours.

use std::collections::VecDeque;
use std::ffi::c_int;

use ffmpeg_next::ffi::{self, AVMediaType, AVPixelFormat};
use media::{AudioBlock, FrameRate, Picture, Size, Timescale, Timestamp};

use super::{FileError, FilePiece, FileSound, FileVideo, Need};
use crate::demuxer::{Demuxer, Stream};
use crate::error::CodecError;
use crate::frame::{into_picture, is_picture_format};
use crate::raw::{self, Codec, Context, Frame, Output};
use crate::resampler::{Resampler, Samples};
use crate::scaler::{Conversion, Target};

/// Larger pictures are refused: 64 megapixels are more than any camera's still in common use.
const MAX_PIXELS: i64 = 64 << 20;

pub(super) struct VideoStream {
    stream: Stream,
    decoder: Context,
    to_planar: Conversion,
    to_rgba: Conversion,
    frame_duration: Timestamp,
    last: Option<Timestamp>,
}

pub(super) struct SoundStream {
    stream: Stream,
    decoder: Context,
    resampler: Resampler,
    next: Timestamp,
}

/// The best stream of a kind with its opened decoder, as far as it is needed.
pub(super) fn find(
    demuxer: &Demuxer,
    medium: AVMediaType,
    kind: &'static str,
    need: Need,
) -> Result<Option<(Stream, Context)>, FileError> {
    if need == Need::Skip {
        return Ok(None);
    }
    let Some(stream) = demuxer.best(medium) else {
        return if need == Need::Required { Err(FileError::NoStream(kind)) } else { Ok(None) };
    };
    let unsupported = || FileError::UnsupportedCodec { kind, codec: stream.codec_name.clone() };
    let codec: Codec = stream.decoder.ok_or_else(unsupported)?;
    let mut decoder = Context::new(codec)?;
    demuxer
        .describe(&stream, decoder.as_mut_ptr())
        .map_err(|code| FileError::Damaged { reason: raw::reason(code) })?;
    let fields = decoder.fields_mut();
    fields.thread_count = 1;
    fields.max_pixels = MAX_PIXELS;
    decoder.open(&[])?;
    Ok(Some((stream, decoder)))
}

/// Feeds a decoder and takes out what it has, up to the first damage.
fn drain(
    decoder: &mut Context,
    packet: Option<&raw::Packet>,
    empty: &mut Frame,
) -> (Vec<Frame>, Result<(), CodecError>) {
    let damaged = |code: c_int| CodecError::Damaged { reason: raw::reason(code) };
    let sent = decoder.send_packet(packet).map_err(damaged);
    let mut frames = Vec::new();
    loop {
        match decoder.receive_frame(empty).map_err(damaged) {
            Ok(Output::Ready) => match empty.take() {
                Ok(frame) => frames.push(frame),
                Err(err) => return (frames, Err(err)),
            },
            Ok(Output::Nothing) => return (frames, sent),
            Err(err) => return (frames, Err(err)),
        }
    }
}

/// A stream's own time since its container's start, plus `base`.
fn time_of(frame: &ffi::AVFrame, stream: &Stream, base: Timestamp, scale: Timescale) -> Option<Timestamp> {
    let ticks = frame.best_effort_timestamp;
    let (num, den) = (i64::from(stream.time_base.num), u32::try_from(stream.time_base.den).ok()?);
    if ticks == ffi::AV_NOPTS_VALUE {
        return None;
    }
    let time = Timestamp::new(ticks.checked_mul(num)?, Timescale::new(den)?);
    Some(time.rescale(scale).plus(base))
}

impl VideoStream {
    pub(super) fn new(stream: Stream, decoder: Context) -> Self {
        let frame_duration =
            rate_of(stream.frame_rate).unwrap_or(FrameRate::FPS_30).frame_duration(Timescale::VIDEO);
        let conversion = |format| Conversion::new(Target { size: None, format, colours: None });
        Self {
            stream,
            decoder,
            to_planar: conversion(AVPixelFormat::AV_PIX_FMT_YUV420P),
            to_rgba: conversion(AVPixelFormat::AV_PIX_FMT_RGBA),
            frame_duration,
            last: None,
        }
    }

    pub(super) fn info(&self) -> FileVideo {
        let side = |length: c_int| u32::try_from(length).unwrap_or(0);
        FileVideo {
            codec: self.stream.codec_name.clone(),
            size: Size::new(side(self.stream.width), side(self.stream.height)),
            frame_rate: rate_of(self.stream.frame_rate),
        }
    }

    /// Decodes a packet, or with `None` drains the decoder, into `out`. Pictures before any damage are kept.
    pub(super) fn decode(
        &mut self,
        packet: Option<&raw::Packet>,
        base: Timestamp,
        empty: &mut Frame,
        out: &mut VecDeque<FilePiece>,
    ) -> Result<(), CodecError> {
        let (frames, result) = drain(&mut self.decoder, packet, empty);
        for frame in frames {
            out.push_back(FilePiece::Picture(self.picture(frame, base)?));
        }
        result
    }

    pub(super) fn index(&self) -> usize {
        self.stream.index
    }

    pub(super) fn flush(&mut self) {
        self.decoder.flush();
    }

    /// How long a picture is shown.
    pub(super) fn frame_duration(&self) -> Timestamp {
        self.frame_duration
    }

    fn picture(&mut self, frame: Frame, base: Timestamp) -> Result<Picture, CodecError> {
        let after_last = || match self.last {
            Some(last) => last.plus(self.frame_duration),
            None => base.rescale(Timescale::VIDEO),
        };
        let timestamp =
            time_of(frame.fields(), &self.stream, base, Timescale::VIDEO).unwrap_or_else(after_last);
        self.last = Some(timestamp);
        let format = frame.fields().format;
        let frame = if is_picture_format(format) {
            frame
        } else if is_rgb(format) {
            self.to_rgba.run(&frame)?
        } else {
            self.to_planar.run(&frame)?
        };
        into_picture(frame, timestamp)
    }
}

impl SoundStream {
    pub(super) fn new(stream: Stream, decoder: Context) -> Self {
        Self { stream, decoder, resampler: Resampler::new(), next: Timestamp::zero(Timescale::AUDIO) }
    }

    pub(super) fn info(&self) -> FileSound {
        let number = |value: c_int| u32::try_from(value).unwrap_or(0);
        FileSound {
            codec: self.stream.codec_name.clone(),
            rate: number(self.stream.rate),
            channels: number(self.stream.channels),
        }
    }

    /// Decodes a packet, or with `None` drains the decoder, into `out`. Sound before any damage is kept.
    pub(super) fn decode(
        &mut self,
        packet: Option<&raw::Packet>,
        base: Timestamp,
        empty: &mut Frame,
        out: &mut VecDeque<FilePiece>,
    ) -> Result<(), CodecError> {
        let (frames, result) = drain(&mut self.decoder, packet, empty);
        for frame in frames {
            out.push_back(FilePiece::Sound(self.block(&frame, base)?));
        }
        result
    }

    pub(super) fn index(&self) -> usize {
        self.stream.index
    }

    pub(super) fn flush(&mut self) {
        self.decoder.flush();
    }

    fn block(&mut self, frame: &Frame, base: Timestamp) -> Result<AudioBlock, CodecError> {
        let fields = frame.fields();
        let start = time_of(fields, &self.stream, base, Timescale::AUDIO).unwrap_or(self.next);
        let samples = Samples {
            format: fields.format,
            rate: fields.sample_rate,
            channels: fields.ch_layout.nb_channels,
            frames: fields.nb_samples,
            data: fields.extended_data.cast_const().cast(),
            start: start.ticks(),
        };
        // SAFETY: a decoded frame has all planes of its format, with `nb_samples` samples each.
        let block = unsafe { self.resampler.run(&samples) }?;
        self.next = block.end();
        Ok(block)
    }
}

fn rate_of(rate: ffi::AVRational) -> Option<FrameRate> {
    FrameRate::new(u32::try_from(rate.num).ok()?, u32::try_from(rate.den).ok()?)
}

/// Whether a format holds colours as red, green and blue (or a palette of them), as stills often do.
fn is_rgb(format: c_int) -> bool {
    if format < 0 {
        return false;
    }
    // SAFETY: the format comes from FFmpeg's own frame, so it is a value of the enumeration; the descriptor is
    // static, or null for a format without one.
    unsafe {
        let format = std::mem::transmute::<c_int, AVPixelFormat>(format);
        let descriptor = ffi::av_pix_fmt_desc_get(format);
        let flags = ffi::AV_PIX_FMT_FLAG_RGB | ffi::AV_PIX_FMT_FLAG_PAL | ffi::AV_PIX_FMT_FLAG_ALPHA;
        !descriptor.is_null() && (*descriptor).flags & flags as u64 != 0
    }
}
