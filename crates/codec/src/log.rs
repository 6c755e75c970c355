//! FFmpeg's log as `tracing` events, so that nothing of it reaches the terminal.
//! Errors and warnings go to DEBUG, the rest to TRACE: what a person must act on is a [`crate::CodecError`].

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Once;

use ffmpeg_next::ffi;

/// FFmpeg cuts a log line into pieces; a longer one is passed on in several events.
const LINE_LIMIT: usize = 1024;

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    static HEARD: RefCell<Heard> = const { RefCell::new(Heard::Nobody) };
}

/// The first error since someone on this thread began to listen.
enum Heard {
    Nobody,
    Nothing,
    Line(String),
}

/// Runs `body` and returns what FFmpeg's log said first of what went wrong meanwhile, on this thread.
pub(crate) fn listen<T>(body: impl FnOnce() -> T) -> (T, Option<String>) {
    HEARD.replace(Heard::Nothing);
    let result = body();
    match HEARD.replace(Heard::Nobody) {
        Heard::Line(line) => (result, Some(line)),
        Heard::Nobody | Heard::Nothing => (result, None),
    }
}

fn hear(line: &str) {
    HEARD.with_borrow_mut(|heard| {
        if let Heard::Nothing = heard {
            // Without the name and address of the object that said it.
            let text = line.rsplit_once("] ").map_or(line, |(_, text)| text);
            *heard = Heard::Line(text.trim_end_matches('.').to_owned());
        }
    });
}

/// Routes the log; only the first call does something.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    // SAFETY: `on_log` has the signature that FFmpeg asks for; its `V` is inferred to be this platform's
    // `va_list`, whose name differs between platforms. FFmpeg allows the call at any time, from any thread.
    ONCE.call_once(|| unsafe { ffi::av_log_set_callback(Some(on_log)) });
}

type FormatLine<V> =
    unsafe extern "C" fn(*mut c_void, c_int, *const c_char, V, *mut c_char, c_int, *mut c_int) -> c_int;

unsafe extern "C" fn on_log<V>(source: *mut c_void, level: c_int, format: *const c_char, arguments: V) {
    // The lower eight bits are the level, the others a colour.
    let level = level & 0xff;
    let loud = level <= ffi::AV_LOG_WARNING;
    let wanted = if loud {
        tracing::enabled!(target: "ffmpeg", tracing::Level::DEBUG)
    } else {
        level <= ffi::AV_LOG_VERBOSE && tracing::enabled!(target: "ffmpeg", tracing::Level::TRACE)
    };
    let listening = level <= ffi::AV_LOG_ERROR && HEARD.with_borrow(|heard| matches!(heard, Heard::Nothing));
    if !wanted && !listening {
        return;
    }
    let mut buffer = [0 as c_char; LINE_LIMIT];
    let mut print_prefix = LINE.with(|line| c_int::from(line.try_borrow().is_ok_and(|line| line.is_empty())));
    // SAFETY: the function's `va_list` parameter has the type `V` that the callback got from FFmpeg: both come
    // from the same header. Its output is cut to the buffer's length and ends with a NUL.
    let text = unsafe {
        let format_line =
            std::mem::transmute::<*const (), FormatLine<V>>(ffi::av_log_format_line2 as *const ());
        let length = LINE_LIMIT as c_int;
        format_line(source, level, format, arguments, buffer.as_mut_ptr(), length, &mut print_prefix);
        CStr::from_ptr(buffer.as_ptr()).to_string_lossy()
    };
    LINE.with(|line| {
        // A subscriber that itself calls FFmpeg would come back here: its line is dropped.
        let Ok(mut line) = line.try_borrow_mut() else { return };
        line.push_str(&text);
        if !line.ends_with('\n') && line.len() < LINE_LIMIT {
            return;
        }
        let text = line.trim_end();
        if listening {
            hear(text);
        }
        if loud {
            tracing::debug!(target: "ffmpeg", "{text}");
        } else {
            tracing::trace!(target: "ffmpeg", "{text}");
        }
        line.clear();
    });
}
