//! H.264 access units back to pictures, on the caller's thread.
//! Damage is an error and never a picture: what cannot be decoded whole is dropped up to the next key frame.

use std::ffi::c_int;

use ffmpeg_next::ffi;
use media::{Packet, Picture, Size, Timescale, Timestamp};
use mux::h264::{NalType, annex_b_units, nal_type};

use crate::error::CodecError;
use crate::frame::into_picture;
use crate::raw::{self, Codec, Context, Frame, Output};

/// Whether pictures may be held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Latency {
    /// Each picture at once, as streams without B-frames allow.
    #[default]
    Low,
    /// In display order, with as much delay as the stream's reordering needs.
    Reorder,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VideoDecoderConfig {
    pub latency: Latency,
    /// A stream that states a larger picture is refused: it bounds what foreign bytes can make us allocate.
    pub max_size: Size,
}

impl Default for VideoDecoderConfig {
    fn default() -> Self {
        Self { latency: Latency::Low, max_size: Size::new(3840, 2160) }
    }
}

/// What a decoder did with its packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DecodeCounts {
    pub pictures: u64,
    /// Packets with damage, each of which was an error.
    pub damaged: u64,
    /// Packets that were dropped while waiting for a key frame.
    pub skipped: u64,
}

/// One rendition's decoder.
pub struct VideoDecoder {
    config: VideoDecoderConfig,
    context: Context,
    /// Those of the last key frame that had any.
    parameter_sets: Vec<u8>,
    frame: Frame,
    wants_key: bool,
    counts: DecodeCounts,
}

impl std::fmt::Debug for VideoDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoDecoder").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl VideoDecoder {
    /// A decoder for H.264 in Annex B with parameter sets in the stream.
    pub fn open(config: VideoDecoderConfig) -> Result<Self, CodecError> {
        Ok(Self {
            config,
            context: open_context(config)?,
            parameter_sets: Vec::new(),
            frame: Frame::new()?,
            wants_key: true,
            counts: DecodeCounts::default(),
        })
    }

    /// Decodes one access unit; until the first key frame, and from damage to the next one, it gives nothing.
    ///
    /// # Errors
    /// [`CodecError::Damaged`]: the picture is lost and so are those up to the next key frame, which the caller
    /// may want to ask for.
    pub fn decode(&mut self, packet: &Packet) -> Result<Vec<Picture>, CodecError> {
        if self.wants_key && !packet.key {
            self.counts.skipped += 1;
            return Ok(Vec::new());
        }
        self.wants_key = false;
        let mut pictures = if packet.key { self.follow_parameter_sets(&packet.payload)? } else { Vec::new() };
        let mut raw = raw::Packet::copy_of(&packet.payload)?;
        let fields = raw.fields_mut();
        fields.pts = packet.pts.rescale(Timescale::VIDEO).ticks();
        fields.dts = packet.dts.rescale(Timescale::VIDEO).ticks();
        if packet.key {
            fields.flags |= ffi::AV_PKT_FLAG_KEY;
        }
        // FFmpeg would call it an invalid argument, as if the caller were wrong and not the sender.
        let decoded = if packet.payload.is_empty() {
            Err(CodecError::Damaged { reason: "the access unit is empty".into() })
        } else {
            self.context.send_packet(Some(&raw)).map_err(damaged).and_then(|()| self.receive())
        };
        match decoded {
            Ok(decoded) => pictures.extend(decoded),
            Err(err) => {
                self.counts.damaged += 1;
                self.resync();
                return Err(err);
            }
        }
        Ok(pictures)
    }

    /// Returns the pictures still held back; decoding goes on at the next key frame.
    pub fn flush(&mut self) -> Result<Vec<Picture>, CodecError> {
        let pictures = self.context.send_packet(None).map_err(damaged).and_then(|()| self.receive());
        self.resync();
        pictures
    }

    /// Drops everything up to the next key frame, as after a loss that the transport saw.
    pub fn resync(&mut self) {
        self.context.flush();
        self.wants_key = true;
    }

    pub fn wants_key(&self) -> bool {
        self.wants_key
    }

    pub fn counts(&self) -> DecodeCounts {
        self.counts
    }

    /// Begins anew where a key frame has other parameter sets than the last. FFmpeg goes on holding pictures back
    /// for a reordering that was once stated, be it by damage, also after a later set takes it back.
    /// Returns what was held back as it should be.
    fn follow_parameter_sets(&mut self, key_frame: &[u8]) -> Result<Vec<Picture>, CodecError> {
        let is_set = |unit: &&[u8]| matches!(nal_type(unit), Some(NalType::Sps | NalType::Pps));
        let sets: Vec<_> = annex_b_units(key_frame).filter(is_set).collect();
        let sets = sets.concat();
        if sets.is_empty() || sets == self.parameter_sets {
            return Ok(Vec::new());
        }
        if std::mem::replace(&mut self.parameter_sets, sets).is_empty() {
            return Ok(Vec::new());
        }
        let held_back = match self.config.latency {
            // They are late, and whoever wants each at once has gone on without them.
            Latency::Low => Vec::new(),
            Latency::Reorder => self
                .context
                .send_packet(None)
                .map_err(damaged)
                .and_then(|()| self.receive())
                .unwrap_or_default(),
        };
        self.context = open_context(self.config)?;
        Ok(held_back)
    }

    fn receive(&mut self) -> Result<Vec<Picture>, CodecError> {
        let mut pictures = Vec::with_capacity(1);
        while self.context.receive_frame(&mut self.frame).map_err(damaged)? == Output::Ready {
            let fields = self.frame.fields();
            // Concealed blocks would smear into all pictures up to the next key frame.
            if fields.decode_error_flags != 0 || fields.flags & ffi::AV_FRAME_FLAG_CORRUPT != 0 {
                return Err(CodecError::Damaged { reason: "parts of the picture are missing".into() });
            }
            let timestamp = Timestamp::new(fields.best_effort_timestamp, Timescale::VIDEO);
            pictures.push(into_picture(self.frame.take()?, timestamp)?);
            self.counts.pictures += 1;
        }
        Ok(pictures)
    }
}

fn open_context(config: VideoDecoderConfig) -> Result<Context, CodecError> {
    let mut context = Context::new(Codec::decoder(&["h264"])?)?;
    let fields = context.fields_mut();
    fields.thread_count = 1;
    fields.max_pixels = i64::try_from(config.max_size.pixels()).unwrap_or(i64::MAX);
    fields.pkt_timebase = ffi::AVRational { num: 1, den: Timescale::VIDEO.ticks_per_second() as c_int };
    fields.get_buffer2 = Some(one_buffer);
    if config.latency == Latency::Low {
        fields.flags |= ffi::AV_CODEC_FLAG_LOW_DELAY as c_int;
    }
    context.open(&[])?;
    Ok(context)
}

fn damaged(code: c_int) -> CodecError {
    CodecError::Damaged { reason: raw::reason(code) }
}

/// Lays all planes of a picture into one buffer, so that it can be passed on without a copy. FFmpeg's own takes a
/// buffer a plane.
///
/// The buffer is not cleared: a picture in which anything was not decoded is never handed out.
unsafe extern "C" fn one_buffer(
    context: *mut ffi::AVCodecContext,
    frame: *mut ffi::AVFrame,
    flags: c_int,
) -> c_int {
    // SAFETY: FFmpeg calls this with its own context and a frame that states format and size and has no buffers.
    // The decoder wants room for whole macroblocks and its filters' overhang, which the aligned size states.
    unsafe {
        if !crate::frame::is_picture_format((*frame).format) {
            return ffi::avcodec_default_get_buffer2(context, frame, flags);
        }
        let (width, height) = ((*frame).width, (*frame).height);
        let mut alignment = [0; ffi::AV_NUM_DATA_POINTERS as usize];
        ffi::avcodec_align_dimensions2(
            context,
            &mut (*frame).width,
            &mut (*frame).height,
            alignment.as_mut_ptr(),
        );
        let code = ffi::av_frame_get_buffer(frame, 0);
        ((*frame).width, (*frame).height) = (width, height);
        code
    }
}
