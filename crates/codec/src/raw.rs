//! Owners of FFmpeg's objects: each frees what it holds, and none outlives what it points to.
//! Everything that calls FFmpeg goes through here or says why it is sound to call it directly.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{self, NonNull};

use ffmpeg_next::ffi;

use crate::error::CodecError;
use crate::log;

/// FFmpeg's text for one of its error codes.
pub(crate) fn reason(code: c_int) -> String {
    let mut buffer = [0 as c_char; 256];
    // SAFETY: the buffer's length is stated; the text is cut to it and ends with a NUL.
    unsafe {
        ffi::av_strerror(code, buffer.as_mut_ptr(), buffer.len());
        CStr::from_ptr(buffer.as_ptr()).to_string_lossy().into_owned()
    }
}

pub(crate) const AGAIN: c_int = ffi::AVERROR(ffi::EAGAIN);

/// One of FFmpeg's encoders or decoders: a static description.
#[derive(Clone, Copy)]
pub(crate) struct Codec(NonNull<ffi::AVCodec>);

impl Codec {
    pub(crate) fn encoder(name: &str) -> Result<Self, CodecError> {
        log::install();
        let missing = || CodecError::Missing { name: format!("encoder {name}") };
        let c_name = CString::new(name).map_err(|_| missing())?;
        // SAFETY: the name ends with a NUL; the result is static or null.
        let found = unsafe { ffi::avcodec_find_encoder_by_name(c_name.as_ptr()) };
        NonNull::new(found.cast_mut()).map(Self).ok_or_else(missing)
    }

    /// The first of `names` that is there.
    pub(crate) fn decoder(names: &[&str]) -> Result<Self, CodecError> {
        log::install();
        names
            .iter()
            .filter_map(|name| CString::new(*name).ok())
            .find_map(|name| {
                // SAFETY: the name ends with a NUL; the result is static or null.
                let found = unsafe { ffi::avcodec_find_decoder_by_name(name.as_ptr()) };
                NonNull::new(found.cast_mut()).map(Self)
            })
            .ok_or_else(|| CodecError::Missing { name: format!("decoder {}", names.join(" or ")) })
    }

    /// The decoder that FFmpeg prefers for a stream.
    pub(crate) fn decoder_of(id: ffi::AVCodecID) -> Option<Self> {
        // SAFETY: the result is static or null.
        NonNull::new(unsafe { ffi::avcodec_find_decoder(id) }.cast_mut()).map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        // SAFETY: a static description has a static NUL-terminated ASCII name.
        unsafe { CStr::from_ptr((*self.0.as_ptr()).name) }.to_str().unwrap_or("codec")
    }

    pub(crate) fn as_ptr(self) -> *const ffi::AVCodec {
        self.0.as_ptr()
    }
}

/// What a codec answered when asked for output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    Ready,
    /// It needs more input, or has none left after the end was signalled.
    Nothing,
}

/// An encoder or decoder with its state.
pub(crate) struct Context {
    context: NonNull<ffi::AVCodecContext>,
    name: &'static str,
}

// SAFETY: FFmpeg's contexts are not tied to a thread; this owner is the only one to use it, by `&mut`.
unsafe impl Send for Context {}

impl Context {
    pub(crate) fn new(codec: Codec) -> Result<Self, CodecError> {
        // SAFETY: the codec is a static description; null means out of memory.
        let context = unsafe { ffi::avcodec_alloc_context3(codec.as_ptr()) };
        let context = NonNull::new(context).ok_or(CodecError::OutOfMemory)?;
        Ok(Self { context, name: codec.name() })
    }

    /// The fields, to be set before [`Context::open`] and read after it.
    pub(crate) fn fields(&self) -> &ffi::AVCodecContext {
        // SAFETY: owned, alive, and never changed behind `&self`.
        unsafe { self.context.as_ref() }
    }

    pub(crate) fn fields_mut(&mut self) -> &mut ffi::AVCodecContext {
        // SAFETY: owned, alive, borrowed alone.
        unsafe { self.context.as_mut() }
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut ffi::AVCodecContext {
        self.context.as_ptr()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Opens with options of the codec's own. An option that it does not know is an error: a setting that is
    /// silently not in force is worse than none.
    pub(crate) fn open(&mut self, options: &[(&str, String)]) -> Result<(), CodecError> {
        let failed = |reason: String| CodecError::Open { name: self.name.to_owned(), reason };
        let mut dictionary = ptr::null_mut();
        for (key, value) in options {
            let (Ok(key), Ok(value)) = (CString::new(*key), CString::new(value.as_str())) else {
                return Err(failed("an option contains a NUL".into()));
            };
            // SAFETY: both strings end with a NUL and are copied; the dictionary is freed below.
            unsafe { ffi::av_dict_set(&mut dictionary, key.as_ptr(), value.as_ptr(), 0) };
        }
        // SAFETY: the context is alive and not yet open; the dictionary comes back with what was not used.
        let (code, said, unused) = unsafe {
            let context = self.context.as_ptr();
            let (code, said) = log::listen(|| ffi::avcodec_open2(context, ptr::null(), &mut dictionary));
            let empty = c"";
            let entry = ffi::av_dict_get(
                dictionary,
                empty.as_ptr(),
                ptr::null(),
                ffi::AV_DICT_IGNORE_SUFFIX as c_int,
            );
            let unused =
                (!entry.is_null()).then(|| CStr::from_ptr((*entry).key).to_string_lossy().into_owned());
            ffi::av_dict_free(&mut dictionary);
            (code, said, unused)
        };
        match (code, unused) {
            (code, _) if code < 0 => Err(failed(match said {
                // The code alone is often no more than "not permitted"; the log names the missing driver.
                Some(said) => format!("{said} ({})", reason(code)),
                None => reason(code),
            })),
            (_, Some(option)) => Err(failed(format!("it does not know the option {option}"))),
            _ => Ok(()),
        }
    }

    /// Gives an encoder a picture or sound; `None` signals the end.
    pub(crate) fn send_frame(&mut self, frame: Option<&Frame>) -> Result<(), c_int> {
        let frame = frame.map_or(ptr::null(), Frame::as_ptr);
        // SAFETY: the context is open; the frame is alive or null, and is referenced, not taken.
        check(unsafe { ffi::avcodec_send_frame(self.context.as_ptr(), frame) })
    }

    pub(crate) fn receive_packet(&mut self, packet: &mut Packet) -> Result<Output, c_int> {
        // SAFETY: both are alive; the packet's old contents are released first.
        output(unsafe { ffi::avcodec_receive_packet(self.context.as_ptr(), packet.0.as_ptr()) })
    }

    /// Gives a decoder a packet; `None` signals the end.
    pub(crate) fn send_packet(&mut self, packet: Option<&Packet>) -> Result<(), c_int> {
        let packet = packet.map_or(ptr::null(), |packet| packet.0.as_ptr().cast_const());
        // SAFETY: the context is open; the packet is alive or null, and is referenced, not taken.
        check(unsafe { ffi::avcodec_send_packet(self.context.as_ptr(), packet) })
    }

    pub(crate) fn receive_frame(&mut self, frame: &mut Frame) -> Result<Output, c_int> {
        // SAFETY: both are alive; the frame's old contents are released first.
        output(unsafe { ffi::avcodec_receive_frame(self.context.as_ptr(), frame.0.as_ptr()) })
    }

    /// Forgets everything that was given, as after a seek.
    pub(crate) fn flush(&mut self) {
        // SAFETY: the context is open.
        unsafe { ffi::avcodec_flush_buffers(self.context.as_ptr()) };
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: owned, freed once.
        unsafe { ffi::avcodec_free_context(&mut context) };
    }
}

fn check(code: c_int) -> Result<(), c_int> {
    if code < 0 { Err(code) } else { Ok(()) }
}

fn output(code: c_int) -> Result<Output, c_int> {
    match code {
        AGAIN | ffi::AVERROR_EOF => Ok(Output::Nothing),
        code if code < 0 => Err(code),
        _ => Ok(Output::Ready),
    }
}

/// A decoded picture or sound, or a view of one of ours.
#[derive(Debug)]
pub(crate) struct Frame(NonNull<ffi::AVFrame>);

// SAFETY: not tied to a thread; its buffers are counted atomically and shared ones are only read.
unsafe impl Send for Frame {}
// SAFETY: `&Frame` gives read access alone.
unsafe impl Sync for Frame {}

impl Frame {
    pub(crate) fn new() -> Result<Self, CodecError> {
        // SAFETY: null means out of memory.
        NonNull::new(unsafe { ffi::av_frame_alloc() }).map(Self).ok_or(CodecError::OutOfMemory)
    }

    pub(crate) fn as_ptr(&self) -> *const ffi::AVFrame {
        self.0.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut ffi::AVFrame {
        self.0.as_ptr()
    }

    pub(crate) fn fields(&self) -> &ffi::AVFrame {
        // SAFETY: owned and alive.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn fields_mut(&mut self) -> &mut ffi::AVFrame {
        // SAFETY: owned, alive, borrowed alone.
        unsafe { self.0.as_mut() }
    }

    /// Allocates buffers for the format and size (or sample count) that the fields state.
    pub(crate) fn allocate(&mut self) -> Result<(), CodecError> {
        // SAFETY: alive and without buffers yet; 0 lets FFmpeg choose the alignment that its SIMD wants.
        match unsafe { ffi::av_frame_get_buffer(self.0.as_ptr(), 0) } {
            code if code < 0 => Err(CodecError::OutOfMemory),
            _ => Ok(()),
        }
    }

    /// Releases the buffers.
    pub(crate) fn clear(&mut self) {
        // SAFETY: owned and alive.
        unsafe { ffi::av_frame_unref(self.0.as_ptr()) };
    }

    /// Hands the contents to a new owner and leaves this one empty.
    pub(crate) fn take(&mut self) -> Result<Self, CodecError> {
        let taken = Self::new()?;
        // SAFETY: both alive; the new one is empty.
        unsafe { ffi::av_frame_move_ref(taken.0.as_ptr(), self.0.as_ptr()) };
        Ok(taken)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let mut frame = self.0.as_ptr();
        // SAFETY: owned, freed once.
        unsafe { ffi::av_frame_free(&mut frame) };
    }
}

/// Encoded bytes with their times.
pub(crate) struct Packet(NonNull<ffi::AVPacket>);

// SAFETY: not tied to a thread; its buffer is counted atomically and never written after it was made.
unsafe impl Send for Packet {}
// SAFETY: `&Packet` gives read access alone.
unsafe impl Sync for Packet {}

impl Packet {
    pub(crate) fn new() -> Result<Self, CodecError> {
        // SAFETY: null means out of memory.
        NonNull::new(unsafe { ffi::av_packet_alloc() }).map(Self).ok_or(CodecError::OutOfMemory)
    }

    /// A padded copy of `bytes`: decoders read past the end.
    pub(crate) fn copy_of(bytes: &[u8]) -> Result<Self, CodecError> {
        let packet = Self::new()?;
        let length = c_int::try_from(bytes.len()).map_err(|_| CodecError::OutOfMemory)?;
        // SAFETY: a successful call gives a buffer of `length` bytes and zeroed padding.
        unsafe {
            if ffi::av_new_packet(packet.0.as_ptr(), length) < 0 {
                return Err(CodecError::OutOfMemory);
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), (*packet.0.as_ptr()).data, bytes.len());
        }
        Ok(packet)
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut ffi::AVPacket {
        self.0.as_ptr()
    }

    pub(crate) fn fields(&self) -> &ffi::AVPacket {
        // SAFETY: owned and alive.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn fields_mut(&mut self) -> &mut ffi::AVPacket {
        // SAFETY: owned, alive, borrowed alone.
        unsafe { self.0.as_mut() }
    }

    pub(crate) fn is_key(&self) -> bool {
        self.fields().flags & ffi::AV_PKT_FLAG_KEY != 0
    }

    /// Hands the contents to a new owner and leaves this one empty.
    pub(crate) fn take(&mut self) -> Result<Self, CodecError> {
        let taken = Self::new()?;
        // SAFETY: both alive; the new one is empty.
        unsafe { ffi::av_packet_move_ref(taken.0.as_ptr(), self.0.as_ptr()) };
        Ok(taken)
    }
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        let fields = self.fields();
        if fields.data.is_null() {
            return &[];
        }
        // SAFETY: `data` holds `size` bytes for as long as the packet is alive.
        unsafe { std::slice::from_raw_parts(fields.data, fields.size.max(0) as usize) }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut packet = self.0.as_ptr();
        // SAFETY: owned, freed once.
        unsafe { ffi::av_packet_free(&mut packet) };
    }
}
