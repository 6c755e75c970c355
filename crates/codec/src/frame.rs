//! Between the programme's pictures and FFmpeg's frames, without copying where the layout allows it.
//! The one place that knows how the two name formats, matrices and ranges.

use std::ffi::{c_int, c_void};
use std::ptr;

use bytes::Bytes;
use ffmpeg_next::ffi::{self, AVColorRange, AVColorSpace, AVPixelFormat};
use media::{ColorMatrix, ColorRange, Picture, PixelFormat, Plane, Size, Timestamp};

use crate::error::CodecError;
use crate::raw::Frame;

/// What FFmpeg's SIMD may read past the end of a plane.
const PADDING: usize = 64;

pub(crate) fn pixel_format(format: PixelFormat) -> AVPixelFormat {
    match format {
        PixelFormat::Rgba8 => AVPixelFormat::AV_PIX_FMT_RGBA,
        PixelFormat::Bgra8 => AVPixelFormat::AV_PIX_FMT_BGRA,
        PixelFormat::Nv12 => AVPixelFormat::AV_PIX_FMT_NV12,
        PixelFormat::I420 => AVPixelFormat::AV_PIX_FMT_YUV420P,
        PixelFormat::Yuyv => AVPixelFormat::AV_PIX_FMT_YUYV422,
    }
}

/// The formats that a [`Picture`] can carry as they are. FFmpeg's J formats are full range by another name.
fn picture_format(format: c_int) -> Option<PixelFormat> {
    const FORMATS: [(AVPixelFormat, PixelFormat); 6] = [
        (AVPixelFormat::AV_PIX_FMT_YUV420P, PixelFormat::I420),
        (AVPixelFormat::AV_PIX_FMT_YUVJ420P, PixelFormat::I420),
        (AVPixelFormat::AV_PIX_FMT_NV12, PixelFormat::Nv12),
        (AVPixelFormat::AV_PIX_FMT_YUYV422, PixelFormat::Yuyv),
        (AVPixelFormat::AV_PIX_FMT_RGBA, PixelFormat::Rgba8),
        (AVPixelFormat::AV_PIX_FMT_BGRA, PixelFormat::Bgra8),
    ];
    FORMATS.iter().find(|(theirs, _)| *theirs as c_int == format).map(|&(_, ours)| ours)
}

/// Whether a frame can become a [`Picture`] without conversion.
pub(crate) fn is_picture_format(format: c_int) -> bool {
    picture_format(format).is_some()
}

/// The matrix that a frame states; where it states none, what everyone assumes: BT.709 from 720 lines on.
pub(crate) fn matrix_of(frame: &ffi::AVFrame) -> ColorMatrix {
    match frame.colorspace {
        AVColorSpace::AVCOL_SPC_BT709 => ColorMatrix::Bt709,
        AVColorSpace::AVCOL_SPC_BT470BG | AVColorSpace::AVCOL_SPC_SMPTE170M | AVColorSpace::AVCOL_SPC_FCC => {
            ColorMatrix::Bt601
        }
        _ if frame.height >= 720 => ColorMatrix::Bt709,
        _ => ColorMatrix::Bt601,
    }
}

pub(crate) fn range_of(frame: &ffi::AVFrame) -> ColorRange {
    let full = frame.color_range == AVColorRange::AVCOL_RANGE_JPEG
        || frame.format == AVPixelFormat::AV_PIX_FMT_YUVJ420P as c_int;
    if full { ColorRange::Full } else { ColorRange::Limited }
}

/// The bytes of a frame's first buffer, kept alive by the frame.
struct FrameBytes(Frame);

impl AsRef<[u8]> for FrameBytes {
    fn as_ref(&self) -> &[u8] {
        let buffer = self.0.fields().buf[0];
        // SAFETY: only made by `shared_planes`, which saw that the buffer is there; it lives as long as the
        // frame, and nobody writes it: encoders and decoders hand out finished pictures.
        unsafe { std::slice::from_raw_parts((*buffer).data, (*buffer).size) }
    }
}

/// Where a frame's planes lie in its first buffer, if they all do.
fn shared_planes(frame: &ffi::AVFrame, packed: &[Plane]) -> Option<Vec<Plane>> {
    let buffer = frame.buf[0];
    if buffer.is_null() || !frame.buf[1].is_null() {
        return None;
    }
    // SAFETY: a frame's buffer reference is valid as long as the frame.
    let (start, length) = unsafe { ((*buffer).data as usize, (*buffer).size) };
    packed
        .iter()
        .enumerate()
        .map(|(index, plane)| {
            let stride = usize::try_from(frame.linesize[index]).ok()?;
            let offset = (frame.data[index] as usize).checked_sub(start)?;
            let end = offset + stride.checked_mul(plane.rows.checked_sub(1)?)? + plane.row_bytes;
            (stride >= plane.row_bytes && end <= length).then_some(Plane { offset, stride, ..*plane })
        })
        .collect()
}

/// Copies one plane of a frame, row by row, to the end of `out`.
fn append_plane(frame: &ffi::AVFrame, index: usize, plane: Plane, out: &mut Vec<u8>) {
    for row in 0..plane.rows {
        // SAFETY: FFmpeg's frame has `rows` rows of at least `row_bytes`, `linesize` apart (which may be
        // negative, for pictures stored from the bottom up).
        let bytes = unsafe {
            let start = frame.data[index].offset(row as isize * frame.linesize[index] as isize);
            std::slice::from_raw_parts(start, plane.row_bytes)
        };
        out.extend_from_slice(bytes);
    }
}

/// A frame's contents as a picture; they share memory where all planes lie in one buffer.
///
/// # Errors
/// [`CodecError::WrongPicture`]-like damage when the frame's format is none that a picture can have.
pub(crate) fn into_picture(frame: Frame, timestamp: Timestamp) -> Result<Picture, CodecError> {
    let fields = frame.fields();
    let damaged = |what: &str| CodecError::Damaged { reason: what.to_owned() };
    let format =
        picture_format(fields.format).ok_or_else(|| damaged("its pixel format has no equal here"))?;
    let (Ok(width), Ok(height)) = (u32::try_from(fields.width), u32::try_from(fields.height)) else {
        return Err(damaged("its picture has no size"));
    };
    let size = Size::new(width, height);
    let (matrix, range) = match format {
        PixelFormat::Rgba8 | PixelFormat::Bgra8 => (ColorMatrix::Identity, ColorRange::Full),
        _ => (matrix_of(fields), range_of(fields)),
    };
    let (packed, bytes) = format.packed_layout(size);
    // The second field of an interlaced picture may still be written after the first was handed out.
    let shared = if fields.interlaced_frame == 0 { shared_planes(fields, &packed) } else { None };
    let (planes, data) = match shared {
        Some(planes) => (planes, Bytes::from_owner(FrameBytes(frame))),
        None => {
            let mut copy = Vec::with_capacity(bytes + PADDING);
            packed
                .iter()
                .enumerate()
                .for_each(|(index, plane)| append_plane(fields, index, *plane, &mut copy));
            copy.resize(bytes + PADDING, 0);
            (packed, Bytes::from(copy))
        }
    };
    Picture::with_planes(size, format, matrix, range, planes, data, timestamp)
        .map_err(|err| damaged(&err.to_string()))
}

unsafe extern "C" fn release_bytes(opaque: *mut c_void, _data: *mut u8) {
    // SAFETY: `opaque` is the box that `lend` leaked; FFmpeg calls this once, with the last reference.
    drop(unsafe { Box::from_raw(opaque.cast::<Bytes>()) });
}

/// Makes `frame` a read-only view of the picture's bytes, which live until the last reference to it is gone.
fn lend(picture: &Picture, frame: &mut Frame) -> Result<(), CodecError> {
    let owner = Box::new(picture.data().clone());
    let (start, length) = (owner.as_ptr().cast_mut(), owner.len());
    let owner = Box::into_raw(owner);
    // SAFETY: the bytes outlive the buffer, which owns a clone of them, and are marked read-only.
    let buffer = unsafe {
        let flags = ffi::AV_BUFFER_FLAG_READONLY as c_int;
        ffi::av_buffer_create(start, length, Some(release_bytes), owner.cast(), flags)
    };
    if buffer.is_null() {
        // SAFETY: FFmpeg did not take it.
        drop(unsafe { Box::from_raw(owner) });
        return Err(CodecError::OutOfMemory);
    }
    let fields = frame.fields_mut();
    fields.buf[0] = buffer;
    for (index, plane) in picture.planes().iter().enumerate() {
        // SAFETY: a picture's planes lie inside its bytes: its constructors see to it.
        fields.data[index] = unsafe { start.add(plane.offset) };
        fields.linesize[index] = c_int::try_from(plane.stride).map_err(|_| CodecError::OutOfMemory)?;
    }
    fields.extended_data = ptr::addr_of_mut!(fields.data).cast();
    Ok(())
}

/// Copies the picture's planes into buffers of `frame`'s own.
fn fill(picture: &Picture, frame: &mut Frame) -> Result<(), CodecError> {
    frame.allocate()?;
    let (packed, _) = picture.format().packed_layout(picture.size());
    for (index, wanted) in packed.iter().enumerate() {
        let (bytes, plane) = picture.plane(index);
        for row in 0..wanted.rows {
            let from = &bytes[row * plane.stride..][..wanted.row_bytes];
            row_mut(frame, index, row, wanted.row_bytes).copy_from_slice(from);
        }
    }
    Ok(())
}

/// One row of a frame's own plane.
fn row_mut(frame: &mut Frame, index: usize, row: usize, row_bytes: usize) -> &mut [u8] {
    let fields = frame.fields_mut();
    let stride = fields.linesize[index] as usize;
    assert!(row_bytes <= stride, "a row fits its stride");
    // SAFETY: called on freshly allocated frames, with rows and bytes of the same format and size.
    unsafe { std::slice::from_raw_parts_mut(fields.data[index].add(row * stride), row_bytes) }
}

fn describe(picture: &Picture, format: PixelFormat, frame: &mut Frame) -> Result<(), CodecError> {
    let size = picture.size();
    let side = |length: u32| {
        c_int::try_from(length).ok().filter(|&length| length > 0).ok_or(CodecError::WrongPicture {
            format: picture.format(),
            reason: "its width or height is no size that FFmpeg knows",
        })
    };
    let (width, height) = (side(size.width)?, side(size.height)?);
    let fields = frame.fields_mut();
    (fields.width, fields.height) = (width, height);
    fields.format = pixel_format(format) as c_int;
    fields.colorspace = match picture.matrix() {
        ColorMatrix::Identity => AVColorSpace::AVCOL_SPC_RGB,
        ColorMatrix::Bt601 => AVColorSpace::AVCOL_SPC_SMPTE170M,
        ColorMatrix::Bt709 => AVColorSpace::AVCOL_SPC_BT709,
    };
    fields.color_range = match picture.range() {
        ColorRange::Limited => AVColorRange::AVCOL_RANGE_MPEG,
        ColorRange::Full => AVColorRange::AVCOL_RANGE_JPEG,
    };
    Ok(())
}

/// The picture as a frame of the same format, lent where FFmpeg may read a little past its planes.
pub(crate) fn from_picture(picture: &Picture, frame: &mut Frame) -> Result<(), CodecError> {
    frame.clear();
    describe(picture, picture.format(), frame)?;
    let end = picture
        .planes()
        .iter()
        .map(|plane| plane.offset + plane.stride * plane.rows.saturating_sub(1) + plane.row_bytes)
        .max();
    if end.is_some_and(|end| end + PADDING <= picture.data().len()) {
        lend(picture, frame)
    } else {
        fill(picture, frame)
    }
}

/// The picture as an NV12 frame for an encoder: lent as it is, or its chroma interleaved.
///
/// Only the pixels are read, so no padding is asked for.
///
/// # Errors
/// [`CodecError::WrongPicture`] for anything but NV12 or I420 in BT.709 and limited range.
pub(crate) fn nv12_from_picture(picture: &Picture, frame: &mut Frame) -> Result<(), CodecError> {
    let wrong = |reason| Err(CodecError::WrongPicture { format: picture.format(), reason });
    if (picture.matrix(), picture.range()) != (ColorMatrix::Bt709, ColorRange::Limited) {
        return wrong("an encoder is fed BT.709 in limited range; scale it to that first");
    }
    frame.clear();
    describe(picture, PixelFormat::Nv12, frame)?;
    match picture.format() {
        PixelFormat::Nv12 => lend(picture, frame),
        PixelFormat::I420 => interleave(picture, frame),
        _ => wrong("an encoder is fed NV12 or I420; scale it to that first"),
    }
}

fn interleave(picture: &Picture, frame: &mut Frame) -> Result<(), CodecError> {
    frame.allocate()?;
    let (packed, _) = PixelFormat::I420.packed_layout(picture.size());
    let (luma, luma_plane) = picture.plane(0);
    for row in 0..packed[0].rows {
        let from = &luma[row * luma_plane.stride..][..packed[0].row_bytes];
        row_mut(frame, 0, row, packed[0].row_bytes).copy_from_slice(from);
    }
    let ((blue, blue_plane), (red, red_plane)) = (picture.plane(1), picture.plane(2));
    for row in 0..packed[1].rows {
        let blue = &blue[row * blue_plane.stride..][..packed[1].row_bytes];
        let red = &red[row * red_plane.stride..][..packed[1].row_bytes];
        let to = row_mut(frame, 1, row, 2 * packed[1].row_bytes);
        for (pair, (&blue, &red)) in to.chunks_exact_mut(2).zip(blue.iter().zip(red)) {
            pair.copy_from_slice(&[blue, red]);
        }
    }
    Ok(())
}
