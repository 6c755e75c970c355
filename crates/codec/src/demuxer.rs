//! FFmpeg's demuxers over bytes that we read ourselves, so that a file can name no other file and no address.
//! Every read asks the stop signal first: a file on a slow disk or a crafted one can be given up.

use std::ffi::{CStr, c_int, c_void};
use std::io::{Read, Seek, SeekFrom};
use std::ptr::{self, NonNull};

use ffmpeg_next::ffi::{self, AVMediaType};
use media::StopSignal;

use crate::log;
use crate::raw::{Codec, Packet};

/// Containers and images that are opened. Playlists (HLS, DASH, concat) are not: they name other files.
const FORMATS: &CStr =
    c"mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv,mpegts,mpeg,avi,ogg,wav,mp3,aac,flac,h264,gif,\
    png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,ppm_pipe,pgm_pipe,qoi_pipe";
const BUFFER_BYTES: usize = 64 * 1024;

/// What a file is read from.
pub(crate) trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

struct Source {
    input: Box<dyn ReadSeek>,
    stop: StopSignal,
}

unsafe extern "C" fn on_read(opaque: *mut c_void, buffer: *mut u8, length: c_int) -> c_int {
    // SAFETY: `opaque` is the demuxer's boxed source, used by one call at a time; FFmpeg gives `length` writable
    // bytes, which are zeroed before a reader may see them.
    let (source, buffer) = unsafe {
        let length = usize::try_from(length).unwrap_or(0);
        ptr::write_bytes(buffer, 0, length);
        (&mut *opaque.cast::<Source>(), std::slice::from_raw_parts_mut(buffer, length))
    };
    loop {
        if source.stop.is_set() {
            return ffi::AVERROR_EXIT;
        }
        match source.input.read(buffer) {
            Ok(0) => return ffi::AVERROR_EOF,
            Ok(read) => return c_int::try_from(read).unwrap_or(c_int::MAX),
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return ffi::AVERROR(ffi::EIO),
        }
    }
}

unsafe extern "C" fn on_seek(opaque: *mut c_void, offset: i64, whence: c_int) -> i64 {
    // SAFETY: as in `on_read`.
    let source = unsafe { &mut *opaque.cast::<Source>() };
    let input = &mut source.input;
    let refused = i64::from(ffi::AVERROR(ffi::EIO));
    let length = |input: &mut Box<dyn ReadSeek>| -> std::io::Result<u64> {
        let here = input.stream_position()?;
        let end = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(here))?;
        Ok(end)
    };
    let result = match whence & !(ffi::AVSEEK_FORCE as c_int) {
        size if size == ffi::AVSEEK_SIZE as c_int => length(input),
        ffi::SEEK_SET => match u64::try_from(offset) {
            Ok(offset) => input.seek(SeekFrom::Start(offset)),
            Err(_) => return refused,
        },
        ffi::SEEK_CUR => input.seek(SeekFrom::Current(offset)),
        ffi::SEEK_END => input.seek(SeekFrom::End(offset)),
        _ => return refused,
    };
    result.ok().and_then(|position| i64::try_from(position).ok()).unwrap_or(refused)
}

unsafe extern "C" fn on_interrupt(opaque: *mut c_void) -> c_int {
    // SAFETY: as in `on_read`; FFmpeg asks between reads, on the thread that called it.
    c_int::from(unsafe { &*opaque.cast::<Source>() }.stop.is_set())
}

unsafe extern "C" fn refuse_open(
    _context: *mut ffi::AVFormatContext,
    _io: *mut *mut ffi::AVIOContext,
    _url: *const std::ffi::c_char,
    _flags: c_int,
    _options: *mut *mut ffi::AVDictionary,
) -> c_int {
    ffi::AVERROR(ffi::EPERM)
}

/// An open container.
pub(crate) struct Demuxer {
    context: NonNull<ffi::AVFormatContext>,
    // Freed after the context, in this order: it reads through them until its end.
    _io: Io,
    _source: Box<Source>,
}

// SAFETY: not tied to a thread; used by `&mut` of its owner alone, and the source is `Send`.
unsafe impl Send for Demuxer {}

struct Io(NonNull<ffi::AVIOContext>);

impl Drop for Io {
    fn drop(&mut self) {
        let mut io = self.0.as_ptr();
        // SAFETY: owned, freed once; FFmpeg may have put a buffer of another size in the first one's place.
        unsafe {
            ffi::av_freep(ptr::addr_of_mut!((*io).buffer).cast());
            ffi::avio_context_free(&mut io);
        }
    }
}

impl Drop for Demuxer {
    fn drop(&mut self) {
        let mut context = self.context.as_ptr();
        // SAFETY: owned, freed once, before what it reads through.
        unsafe { ffi::avformat_close_input(&mut context) };
    }
}

/// A stream's static description.
pub(crate) struct Stream {
    pub(crate) index: usize,
    pub(crate) time_base: ffi::AVRational,
    pub(crate) frame_rate: ffi::AVRational,
    pub(crate) codec_name: String,
    pub(crate) decoder: Option<Codec>,
    pub(crate) width: c_int,
    pub(crate) height: c_int,
    pub(crate) rate: c_int,
    pub(crate) channels: c_int,
}

impl Demuxer {
    /// Finds the container's format and its streams.
    pub(crate) fn open(input: Box<dyn ReadSeek>, stop: StopSignal) -> Result<Self, c_int> {
        log::install();
        let memory = ffi::AVERROR(ffi::ENOMEM);
        let mut source = Box::new(Source { input, stop });
        let opaque = ptr::from_mut(source.as_mut()).cast::<c_void>();
        // SAFETY: the I/O context takes the buffer, and the source outlives it: both are in `Demuxer`, or dropped
        // in this order when an error returns from here.
        let io = unsafe {
            let buffer = ffi::av_malloc(BUFFER_BYTES).cast();
            let size = BUFFER_BYTES as c_int;
            ffi::avio_alloc_context(buffer, size, 0, opaque, Some(on_read), None, Some(on_seek))
        };
        let io = Io(NonNull::new(io).ok_or(memory)?);
        // SAFETY: a fresh context, whose strings FFmpeg frees; when opening fails it frees the context too.
        let context = unsafe {
            let mut context = ffi::avformat_alloc_context();
            if context.is_null() {
                return Err(memory);
            }
            (*context).pb = io.0.as_ptr();
            (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO as c_int;
            (*context).interrupt_callback = ffi::AVIOInterruptCB { callback: Some(on_interrupt), opaque };
            (*context).format_whitelist = ffi::av_strdup(FORMATS.as_ptr());
            (*context).io_open = Some(refuse_open);
            match ffi::avformat_open_input(&mut context, ptr::null(), ptr::null(), ptr::null_mut()) {
                code if code < 0 => return Err(code),
                _ => NonNull::new(context).ok_or(memory)?,
            }
        };
        let demuxer = Self { context, _io: io, _source: source };
        // SAFETY: the context is open.
        match unsafe { ffi::avformat_find_stream_info(demuxer.context.as_ptr(), ptr::null_mut()) } {
            code if code < 0 => Err(code),
            _ => Ok(demuxer),
        }
    }

    fn fields(&self) -> &ffi::AVFormatContext {
        // SAFETY: owned and alive.
        unsafe { self.context.as_ref() }
    }

    /// FFmpeg's name of the format, such as `matroska,webm`.
    pub(crate) fn format_name(&self) -> String {
        // SAFETY: an open context has a static description with a static name.
        unsafe { CStr::from_ptr((*self.fields().iformat).name) }.to_string_lossy().into_owned()
    }

    /// Microseconds; `None` where the container does not say.
    pub(crate) fn duration(&self) -> Option<i64> {
        Some(self.fields().duration).filter(|&micros| micros != ffi::AV_NOPTS_VALUE && micros > 0)
    }

    /// Microseconds at which the container begins.
    pub(crate) fn start(&self) -> i64 {
        Some(self.fields().start_time).filter(|&micros| micros != ffi::AV_NOPTS_VALUE).unwrap_or(0)
    }

    /// The stream of a kind that a player would choose. A cover picture is no video.
    pub(crate) fn best(&self, kind: AVMediaType) -> Option<Stream> {
        // SAFETY: the context is open; a found index is one of its streams, all of which have parameters.
        unsafe {
            let context = self.context.as_ptr();
            let index = ffi::av_find_best_stream(context, kind, -1, -1, ptr::null_mut(), 0);
            let index = usize::try_from(index).ok()?;
            let stream = *(*context).streams.add(index);
            if (*stream).disposition & ffi::AV_DISPOSITION_ATTACHED_PIC as c_int != 0 {
                return None;
            }
            let parameters = &*(*stream).codecpar;
            Some(Stream {
                index,
                time_base: (*stream).time_base,
                frame_rate: (*stream).avg_frame_rate,
                codec_name: CStr::from_ptr(ffi::avcodec_get_name(parameters.codec_id))
                    .to_string_lossy()
                    .into_owned(),
                decoder: Codec::decoder_of(parameters.codec_id),
                width: parameters.width,
                height: parameters.height,
                rate: parameters.sample_rate,
                channels: parameters.ch_layout.nb_channels,
            })
        }
    }

    /// Copies a stream's parameters into a decoder that is not open yet.
    pub(crate) fn describe(&self, stream: &Stream, decoder: *mut ffi::AVCodecContext) -> Result<(), c_int> {
        // SAFETY: the index was found in this context; the decoder is alive.
        let code = unsafe {
            let stream = *self.fields().streams.add(stream.index);
            (*decoder).pkt_timebase = (*stream).time_base;
            ffi::avcodec_parameters_to_context(decoder, (*stream).codecpar)
        };
        if code < 0 { Err(code) } else { Ok(()) }
    }

    /// Skips all streams but these.
    pub(crate) fn keep_only(&mut self, indices: &[usize]) {
        for index in 0..self.fields().nb_streams as usize {
            let discard = if indices.contains(&index) {
                ffi::AVDiscard::AVDISCARD_DEFAULT
            } else {
                ffi::AVDiscard::AVDISCARD_ALL
            };
            // SAFETY: below the number of streams.
            unsafe { (**self.fields().streams.add(index)).discard = discard };
        }
    }

    /// The next packet and its stream's index; `Err(AVERROR_EOF)` at the end.
    pub(crate) fn read(&mut self, packet: &mut Packet) -> Result<usize, c_int> {
        // SAFETY: both alive; the packet's old contents are released first.
        let code = unsafe {
            ffi::av_packet_unref(packet.as_mut_ptr());
            ffi::av_read_frame(self.context.as_ptr(), packet.as_mut_ptr())
        };
        if code < 0 {
            return Err(code);
        }
        usize::try_from(packet.fields().stream_index).map_err(|_| ffi::AVERROR_INVALIDDATA)
    }

    /// Goes back to the first packet.
    pub(crate) fn rewind(&mut self) -> Result<(), c_int> {
        let context = self.context.as_ptr();
        // SAFETY: the context is open. Raw streams have no time to seek to, but a first byte.
        let code = unsafe {
            let flags = ffi::AVSEEK_FLAG_BACKWARD as c_int;
            match ffi::av_seek_frame(context, -1, self.start(), flags) {
                code if code < 0 => ffi::av_seek_frame(context, -1, 0, ffi::AVSEEK_FLAG_BYTE as c_int),
                code => code,
            }
        };
        if code < 0 { Err(code) } else { Ok(()) }
    }
}
