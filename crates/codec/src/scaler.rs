//! Pictures of any size and colour to what encoders are fed (NV12, BT.709, limited range), or to what screens are.
//! For transcoding and files; the programme itself is scaled by its compositor.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use ffmpeg_next::ffi::{self, AVPixelFormat};
use media::{ColorMatrix, ColorRange, Picture, Size};

use crate::error::CodecError;
use crate::frame::{from_picture, into_picture, matrix_of, range_of};
use crate::log;
use crate::raw::Frame;

/// Longer sides make swscale's intermediate rows overflow.
const MAX_SIDE: c_int = 16_384;

/// Scales and converts to one size. It keeps its tables while the pictures that come in stay alike.
#[derive(Debug)]
pub struct Scaler {
    conversion: Conversion,
    source: Frame,
}

impl Scaler {
    /// # Errors
    /// [`CodecError::Setting`] for a size that is not two even numbers from 2 to 16384.
    pub fn new(to: Size) -> Result<Self, CodecError> {
        let side = |length: u32| length >= 2 && length.is_multiple_of(2) && length <= MAX_SIDE as u32;
        if !side(to.width) || !side(to.height) {
            let reason = format!("{to} is not two even numbers from 2 to {MAX_SIDE}");
            return Err(CodecError::Setting { setting: "size", reason });
        }
        let target = Target {
            size: Some((to.width as c_int, to.height as c_int)),
            format: AVPixelFormat::AV_PIX_FMT_NV12,
            colours: Some((ColorMatrix::Bt709, ColorRange::Limited)),
        };
        Ok(Self { conversion: Conversion::new(target), source: Frame::new()? })
    }

    /// For screens: to RGBA of eight bits, in the size that comes in.
    ///
    /// # Errors
    /// Where there is no memory.
    pub fn for_screens() -> Result<Self, CodecError> {
        let target = Target { size: None, format: AVPixelFormat::AV_PIX_FMT_RGBA, colours: None };
        Ok(Self { conversion: Conversion::new(target), source: Frame::new()? })
    }

    /// The picture in the scaler's size and format, at the same time. One that is already right is passed on as it is.
    pub fn scale(&mut self, picture: &Picture) -> Result<Picture, CodecError> {
        from_picture(picture, &mut self.source)?;
        if self.conversion.is_needless(&self.source) {
            return Ok(picture.clone());
        }
        let scaled = self.conversion.run(&self.source);
        self.source.clear();
        into_picture(scaled?, picture.timestamp())
    }
}

/// What a conversion makes. `None` keeps what comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) size: Option<(c_int, c_int)>,
    pub(crate) format: AVPixelFormat,
    pub(crate) colours: Option<(ColorMatrix, ColorRange)>,
}

/// What swscale's tables depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    size: (c_int, c_int),
    format: c_int,
    matrix: ColorMatrix,
    range: ColorRange,
}

impl Shape {
    fn of(frame: &ffi::AVFrame) -> Self {
        Self {
            size: (frame.width, frame.height),
            format: frame.format,
            matrix: matrix_of(frame),
            range: range_of(frame),
        }
    }
}

/// One of swscale's contexts, made anew when what comes in changes.
#[derive(Debug)]
pub(crate) struct Conversion {
    target: Target,
    tables: Option<(Shape, Tables)>,
}

impl Conversion {
    pub(crate) fn new(target: Target) -> Self {
        log::install();
        Self { target, tables: None }
    }

    fn wanted(&self, from: Shape) -> Shape {
        let (matrix, range) = self.target.colours.unwrap_or((from.matrix, from.range));
        Shape {
            size: self.target.size.unwrap_or(from.size),
            format: self.target.format as c_int,
            matrix,
            range,
        }
    }

    fn is_needless(&self, frame: &Frame) -> bool {
        let from = Shape::of(frame.fields());
        from == self.wanted(from)
    }

    pub(crate) fn run(&mut self, frame: &Frame) -> Result<Frame, CodecError> {
        let from = Shape::of(frame.fields());
        let to = self.wanted(from);
        let tables = match self.tables.take() {
            Some((shape, tables)) if shape == from => tables,
            _ => Tables::new(from, to)?,
        };
        let mut out = Frame::new()?;
        let fields = out.fields_mut();
        ((fields.width, fields.height), fields.format) = (to.size, to.format);
        fields.colorspace = match to.matrix {
            ColorMatrix::Bt601 => ffi::AVColorSpace::AVCOL_SPC_SMPTE170M,
            _ => ffi::AVColorSpace::AVCOL_SPC_BT709,
        };
        fields.color_range = match to.range {
            ColorRange::Limited => ffi::AVColorRange::AVCOL_RANGE_MPEG,
            ColorRange::Full => ffi::AVColorRange::AVCOL_RANGE_JPEG,
        };
        out.allocate()?;
        let source = frame.fields();
        // SAFETY: the tables were made for these two formats and sizes; both frames have all their planes, with
        // the padding that swscale's SIMD may touch.
        let rows = unsafe {
            ffi::sws_scale(
                tables.0.as_ptr(),
                source.data.as_ptr().cast(),
                source.linesize.as_ptr(),
                0,
                source.height,
                out.fields().data.as_ptr(),
                out.fields().linesize.as_ptr(),
            )
        };
        self.tables = Some((from, tables));
        if rows == to.size.1 { Ok(out) } else { Err(failed("it returned too few rows")) }
    }
}

fn failed(reason: &str) -> CodecError {
    CodecError::Failed { codec: "swscale", action: "converting a picture", reason: reason.to_owned() }
}

#[derive(Debug)]
struct Tables(NonNull<ffi::SwsContext>);

// SAFETY: not tied to a thread; used by `&mut` of its owner alone.
unsafe impl Send for Tables {}

impl Tables {
    fn new(from: Shape, to: Shape) -> Result<Self, CodecError> {
        let side = |length: c_int| (1..=MAX_SIDE).contains(&length);
        if ![from.size.0, from.size.1, to.size.0, to.size.1].into_iter().all(side) {
            return Err(failed("a picture has no size, or one of over 16384 pixels a side"));
        }
        // Downwards the mean over the covered area, as no sharper filter is free of aliasing at its price.
        let smaller = to.size.0 <= from.size.0 && to.size.1 <= from.size.1;
        let filter = if smaller { ffi::SWS_AREA } else { ffi::SWS_BICUBIC };
        let flags = filter as c_int | ffi::SWS_ACCURATE_RND as c_int | ffi::SWS_FULL_CHR_H_INP as c_int;
        let full = |range| i64::from(range == ColorRange::Full);
        let side = i64::from;
        let options = [
            (c"srcw", side(from.size.0)),
            (c"srch", side(from.size.1)),
            (c"src_format", i64::from(from.format)),
            // Known before the tables are made: the short cut for equal sizes would leave the range as it is.
            (c"src_range", full(from.range)),
            (c"dstw", side(to.size.0)),
            (c"dsth", side(to.size.1)),
            (c"dst_format", i64::from(to.format)),
            (c"dst_range", full(to.range)),
            (c"sws_flags", i64::from(flags)),
        ];
        // SAFETY: null means out of memory.
        let context = unsafe { ffi::sws_alloc_context() };
        let tables = Self(NonNull::new(context).ok_or(CodecError::OutOfMemory)?);
        // SAFETY: the context is alive and not initialised yet; the options are its own, with checked values.
        let code = unsafe {
            for (name, value) in options {
                ffi::av_opt_set_int(context.cast(), name.as_ptr(), value, 0);
            }
            ffi::sws_init_context(context, ptr::null_mut(), ptr::null_mut())
        };
        if code < 0 {
            return Err(failed("it cannot convert between the two formats"));
        }
        let full = |range| c_int::from(range == ColorRange::Full);
        // SAFETY: the context is alive; the coefficients are static tables. 1 << 16 is one in fixed point: no
        // change of contrast or saturation.
        unsafe {
            let coefficients = |matrix: ColorMatrix| {
                ffi::sws_getCoefficients(match matrix {
                    ColorMatrix::Bt601 => ffi::SWS_CS_ITU601,
                    _ => ffi::SWS_CS_ITU709,
                } as c_int)
            };
            let (source, target) = (coefficients(from.matrix), coefficients(to.matrix));
            let one = 1 << 16;
            let context = tables.0.as_ptr();
            ffi::sws_setColorspaceDetails(
                context,
                source,
                full(from.range),
                target,
                full(to.range),
                0,
                one,
                one,
            );
        }
        Ok(tables)
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        // SAFETY: owned, freed once.
        unsafe { ffi::sws_freeContext(self.0.as_ptr()) };
    }
}
