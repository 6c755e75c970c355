//! Sound of any rate and channels to the programme's 48 kHz stereo.
//! For transcoding and files, whose clock is exact; a device's drift is the mixer's to follow.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use ffmpeg_next::ffi::{self, AVSampleFormat};
use media::{AudioBlock, PROGRAMME_CHANNELS, PROGRAMME_RATE, Timescale, Timestamp};

use crate::error::CodecError;
use crate::log;

/// A block whose time is off the count by more than this (10 ms) begins anew.
const TOLERANCE: i64 = 480;
const MAX_CHANNELS: c_int = 64;
const MAX_RATE: c_int = 768_000;

/// Resamples one track. Its output follows the timestamps of what comes in, without a delay of its own.
#[derive(Debug, Default)]
pub struct Resampler {
    tables: Option<(Shape, Tables)>,
    /// The time of the next sample that goes out, and of the next that comes in.
    next: Option<(i64, i64)>,
}

/// What swresample's tables depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    format: c_int,
    rate: c_int,
    channels: c_int,
}

/// Sound that comes in: one pointer a channel for planar formats, else one.
pub(crate) struct Samples {
    pub(crate) format: c_int,
    pub(crate) rate: c_int,
    pub(crate) channels: c_int,
    pub(crate) frames: c_int,
    pub(crate) data: *const *const u8,
    /// At the programme's rate.
    pub(crate) start: i64,
}

impl Resampler {
    pub fn new() -> Self {
        log::install();
        Self::default()
    }

    /// The block in the programme's format. What the filter still holds back comes with the next one, so blocks
    /// differ in length by a few samples.
    ///
    /// # Errors
    /// [`CodecError::WrongSound`] for a rate or number of channels that no sound has.
    pub fn resample(&mut self, block: &AudioBlock) -> Result<AudioBlock, CodecError> {
        let wrong = || CodecError::WrongSound { rate: block.rate, channels: block.channels };
        if (block.rate, block.channels) == (PROGRAMME_RATE, PROGRAMME_CHANNELS) {
            return Ok(block.clone());
        }
        let data = block.samples.as_ptr().cast::<u8>();
        let samples = Samples {
            format: AVSampleFormat::AV_SAMPLE_FMT_FLT as c_int,
            rate: c_int::try_from(block.rate).map_err(|_| wrong())?,
            channels: c_int::try_from(block.channels).map_err(|_| wrong())?,
            frames: c_int::try_from(block.frames()).map_err(|_| wrong())?,
            data: &data,
            start: block.timestamp.rescale(Timescale::AUDIO).ticks(),
        };
        // SAFETY: one packed plane of `frames` times `channels` floats, alive during the call.
        unsafe { self.run(&samples) }
    }

    /// # Safety
    /// `samples.data` points to as many planes of `frames` samples as its format has.
    pub(crate) unsafe fn run(&mut self, samples: &Samples) -> Result<AudioBlock, CodecError> {
        let shape = Shape { format: samples.format, rate: samples.rate, channels: samples.channels };
        let anew = self.next.is_none_or(|(_, expected)| (samples.start - expected).abs() > TOLERANCE);
        let tables = match self.tables.take() {
            Some((kept, tables)) if kept == shape && !anew => tables,
            _ => {
                self.next = Some((samples.start, samples.start));
                Tables::new(shape)?
            }
        };
        // SAFETY: the tables were made for this shape; the caller vouches for the planes.
        let converted = unsafe { tables.convert(samples) };
        self.tables = Some((shape, tables));
        let converted = converted?;
        let (start, expected) = self.next.unwrap_or((samples.start, samples.start));
        let frames = (converted.len() / PROGRAMME_CHANNELS) as i64;
        let came = Timestamp::new(i64::from(samples.frames), scale(samples.rate));
        self.next = Some((start + frames, expected + came.rescale(Timescale::AUDIO).ticks()));
        Ok(AudioBlock {
            rate: PROGRAMME_RATE,
            channels: PROGRAMME_CHANNELS,
            samples: converted.into(),
            timestamp: Timestamp::new(start, Timescale::AUDIO),
        })
    }
}

fn scale(rate: c_int) -> Timescale {
    u32::try_from(rate).ok().and_then(Timescale::new).unwrap_or(Timescale::AUDIO)
}

#[derive(Debug)]
struct Tables(NonNull<ffi::SwrContext>);

// SAFETY: not tied to a thread; used by `&mut` of its owner alone.
unsafe impl Send for Tables {}

impl Tables {
    fn new(shape: Shape) -> Result<Self, CodecError> {
        if !(1..=MAX_CHANNELS).contains(&shape.channels) || !(1..=MAX_RATE).contains(&shape.rate) {
            return Err(CodecError::WrongSound {
                rate: u32::try_from(shape.rate).unwrap_or(0),
                channels: usize::try_from(shape.channels).unwrap_or(0),
            });
        }
        let mut context = ptr::null_mut();
        // SAFETY: writes a context or fails; the layouts are plain values on the stack; the format came from
        // FFmpeg or is a constant. Freed by `Drop` from here on.
        unsafe {
            let mut stereo = std::mem::zeroed();
            let mut source = std::mem::zeroed();
            ffi::av_channel_layout_default(&mut stereo, PROGRAMME_CHANNELS as c_int);
            ffi::av_channel_layout_default(&mut source, shape.channels);
            let format = std::mem::transmute::<c_int, AVSampleFormat>(shape.format);
            let float = AVSampleFormat::AV_SAMPLE_FMT_FLT;
            let (rate, log) = (PROGRAMME_RATE as c_int, ptr::null_mut());
            ffi::swr_alloc_set_opts2(
                &mut context,
                &mut stereo,
                float,
                rate,
                &mut source,
                format,
                shape.rate,
                0,
                log,
            );
        }
        let tables = Self(NonNull::new(context).ok_or(CodecError::OutOfMemory)?);
        // SAFETY: the context is alive and not initialised yet; the matrix is copied.
        let code = unsafe {
            if shape.channels == 1 {
                // A single channel is heard in both as loud as it is; FFmpeg would take 3 dB off.
                ffi::swr_set_matrix(context, [1.0, 1.0].as_ptr(), 1);
            }
            ffi::swr_init(context)
        };
        if code < 0 { Err(failed(code)) } else { Ok(tables) }
    }

    /// # Safety
    /// As for [`Resampler::run`], with samples of the shape that the tables were made for.
    unsafe fn convert(&self, samples: &Samples) -> Result<Vec<f32>, CodecError> {
        let context = self.0.as_ptr();
        // SAFETY: the context is initialised; the output has the room that is stated; the caller vouches for the
        // input's planes.
        unsafe {
            let room = ffi::swr_get_out_samples(context, samples.frames);
            let room = usize::try_from(room).map_err(|_| failed(room))?;
            let mut out = vec![0f32; room * PROGRAMME_CHANNELS];
            let mut plane = out.as_mut_ptr().cast::<u8>();
            let data = samples.data.cast_mut().cast();
            let frames = ffi::swr_convert(context, &mut plane, room as c_int, data, samples.frames);
            out.truncate(usize::try_from(frames).map_err(|_| failed(frames))? * PROGRAMME_CHANNELS);
            Ok(out)
        }
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let mut context = self.0.as_ptr();
        // SAFETY: owned, freed once.
        unsafe { ffi::swr_free(&mut context) };
    }
}

fn failed(code: c_int) -> CodecError {
    let reason = crate::raw::reason(code);
    CodecError::Failed { codec: "swresample", action: "resampling", reason }
}
