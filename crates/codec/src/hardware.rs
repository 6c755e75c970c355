//! Which encoders work on this machine, found out by using them, and how each is told to make our stream.

use std::ffi::c_int;
use std::ptr;
use std::sync::OnceLock;

use bytes::Bytes;
use ffmpeg_next::ffi::{self, AVHWDeviceType, AVPixelFormat};
use media::{FrameRate, Packet, Picture, PixelFormat, RenditionName, Size, Timescale};

use crate::error::CodecError;
use crate::log;
use crate::raw::{self, Context, Frame};
use crate::video_encoder::{EncoderChoice, KeyRequest, SpeedPreset, VideoEncoder, VideoEncoderConfig};

pub(crate) const X264: &str = "libx264";
/// In the order in which `Auto` prefers them: fewest copies and steadiest rate control first.
const HARDWARE: [&str; 5] = ["h264_nvenc", "h264_qsv", "h264_vaapi", "h264_videotoolbox", "h264_amf"];

/// Whether an encoder works here, and if not, why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncoderProbe {
    pub name: &'static str,
    pub usable: bool,
    /// What was seen, as a sentence for a person.
    pub reason: String,
}

/// Opens each known encoder and makes it encode a few pictures; hardware first, in the order of preference.
///
/// Takes up to some hundred milliseconds for each that is there.
pub fn probe() -> Vec<EncoderProbe> {
    HARDWARE
        .into_iter()
        .chain([X264])
        .map(|name| match try_out(name) {
            Ok(()) => EncoderProbe { name, usable: true, reason: "it encoded a test picture".into() },
            Err(reason) => EncoderProbe { name, usable: false, reason },
        })
        .collect()
}

/// The hardware encoders that worked when this process first asked.
pub(crate) fn usable() -> &'static [&'static str] {
    static USABLE: OnceLock<Vec<&'static str>> = OnceLock::new();
    USABLE.get_or_init(|| HARDWARE.into_iter().filter(|name| try_out(name).is_ok()).collect())
}

/// Opening proves little: drivers fail at the first picture, or make another profile than they were asked for.
fn try_out(name: &str) -> Result<(), String> {
    let size = Size::new(640, 360);
    let config = VideoEncoderConfig {
        choice: EncoderChoice::Named(name.into()),
        ..VideoEncoderConfig::new(RenditionName::Low, size, FrameRate::FPS_30, 1000)
    };
    let mut encoder = VideoEncoder::open(&config).map_err(|err| err.to_string())?;
    let (_, bytes) = PixelFormat::Nv12.packed_layout(size);
    let grey = Bytes::from(vec![128; bytes]);
    let mut packets = Vec::new();
    for index in 0..6 {
        let time = FrameRate::FPS_30.timestamp_of(index, Timescale::VIDEO);
        let picture = Picture::nv12(size, grey.clone(), time).map_err(|err| err.to_string())?;
        let key = if index % 3 == 0 { KeyRequest::Yes } else { KeyRequest::No };
        packets.extend(encoder.encode(&picture, key).map_err(|err| err.to_string())?);
    }
    packets.extend(encoder.flush().map_err(|err| err.to_string())?);
    check_stream(&packets)
}

/// Whether the six test pictures came out as the stream that we promise.
fn check_stream(packets: &[Packet]) -> Result<(), String> {
    let keys: Vec<bool> = packets.iter().map(|packet| packet.key).collect();
    if keys != [true, false, false, true, false, false] {
        return Err(format!("its key frames are not where they were asked for: {keys:?}"));
    }
    for packet in packets.iter().filter(|packet| packet.key) {
        let (profile, constraints) = profile_of(&packet.payload)
            .ok_or_else(|| "it puts no parameter sets before a key frame".to_owned())?;
        // A.2.1.1: baseline with constraint_set1 is Constrained Baseline.
        if profile != 66 || constraints & 0x40 == 0 {
            return Err(format!("it makes profile {profile} ({constraints:#04x}), not Constrained Baseline"));
        }
    }
    Ok(())
}

/// profile_idc and the byte of constraint flags of the first SPS in an Annex B access unit.
fn profile_of(unit: &[u8]) -> Option<(u8, u8)> {
    let start = unit.windows(4).position(|bytes| bytes[..3] == [0, 0, 1] && bytes[3] & 0x1f == 7)?;
    Some((*unit.get(start + 4)?, *unit.get(start + 5)?))
}

/// Whether a change of the context's bitrate counts at once.
pub(crate) fn takes_bitrate_while_running(name: &str) -> bool {
    matches!(name, X264 | "h264_nvenc")
}

/// The encoder's own settings for our stream: baseline, constant rate, no delay, forced key frames are IDRs.
pub(crate) fn options(
    name: &str,
    preset: SpeedPreset,
    level: u8,
) -> Result<Vec<(&'static str, String)>, CodecError> {
    let set = |pairs: &[(&'static str, &str)]| {
        pairs.iter().map(|&(key, value)| (key, value.to_owned())).collect::<Vec<_>>()
    };
    let mut options = match name {
        X264 => set(&[
            ("preset", preset.as_x264()),
            ("tune", "zerolatency"),
            ("profile", "baseline"),
            ("forced-idr", "1"),
            ("nal-hrd", "none"),
            ("x264-params", "scenecut=0:sliced-threads=0"),
        ]),
        "h264_nvenc" => set(&[
            ("preset", if preset == SpeedPreset::Medium { "p4" } else { "p2" }),
            ("tune", "ull"),
            ("profile", "baseline"),
            ("rc", "cbr"),
            ("cbr_padding", "0"),
            ("zerolatency", "1"),
            ("delay", "0"),
            ("forced-idr", "1"),
            ("no-scenecut", "1"),
        ]),
        "h264_qsv" => set(&[("profile", "baseline"), ("async_depth", "1"), ("forced_idr", "1")]),
        "h264_vaapi" => set(&[("profile", "constrained_baseline"), ("rc_mode", "CBR"), ("async_depth", "1")]),
        "h264_videotoolbox" => set(&[("profile", "baseline"), ("realtime", "1"), ("allow_sw", "0")]),
        "h264_amf" => set(&[
            ("profile", "constrained_baseline"),
            ("usage", "ultralowlatency"),
            ("rc", "cbr"),
            ("filler_data", "0"),
        ]),
        _ => {
            return Err(CodecError::Missing {
                name: format!("H.264 encoder called {name} that is known here"),
            });
        }
    };
    // The others derive the level themselves.
    if name == X264 || name == "h264_nvenc" {
        options.push(("level", format!("{}.{}", level / 10, level % 10)));
    }
    Ok(options)
}

/// Where an encoder takes its pictures from.
pub(crate) enum Surface {
    /// Main memory: the frame as it is.
    Memory,
    /// The device's memory, through frames of this pool.
    Device(FramePool),
}

impl Surface {
    /// Moves the frame to where the encoder reads it.
    pub(crate) fn upload(&self, frame: &mut Frame) -> Result<(), CodecError> {
        let Self::Device(pool) = self else { return Ok(()) };
        let failed = |code: c_int| CodecError::Failed {
            codec: "h264_vaapi",
            action: "uploading a picture",
            reason: raw::reason(code),
        };
        let mut uploaded = Frame::new()?;
        // SAFETY: the pool is initialised and alive, both frames are, and the source has buffers.
        unsafe {
            match ffi::av_hwframe_get_buffer(pool.0, uploaded.as_mut_ptr(), 0) {
                code if code < 0 => return Err(failed(code)),
                _ => {}
            }
            match ffi::av_hwframe_transfer_data(uploaded.as_mut_ptr(), frame.as_ptr(), 0) {
                code if code < 0 => return Err(failed(code)),
                _ => {}
            }
        }
        *frame = uploaded;
        Ok(())
    }
}

/// A counted reference to a pool of frames in a device's memory.
pub(crate) struct FramePool(*mut ffi::AVBufferRef);

// SAFETY: FFmpeg's buffer references are counted atomically, and the pool behind this one has a lock.
unsafe impl Send for FramePool {}

impl Drop for FramePool {
    fn drop(&mut self) {
        // SAFETY: owned, released once.
        unsafe { ffi::av_buffer_unref(&mut self.0) };
    }
}

/// Sets up what an encoder needs before it is opened: VA-API takes pictures in its device's memory alone.
pub(crate) fn prepare(name: &str, size: Size, context: &mut Context) -> Result<Surface, CodecError> {
    if name != "h264_vaapi" {
        return Ok(Surface::Memory);
    }
    let failed = |code: c_int| CodecError::Open { name: name.to_owned(), reason: raw::reason(code) };
    let mut device = ptr::null_mut();
    // SAFETY: writes a counted reference or fails; no name means the first device.
    let (code, said) = log::listen(|| unsafe {
        let kind = AVHWDeviceType::AV_HWDEVICE_TYPE_VAAPI;
        ffi::av_hwdevice_ctx_create(&mut device, kind, ptr::null(), ptr::null_mut(), 0)
    });
    if code < 0 {
        let reason = said.unwrap_or_else(|| raw::reason(code));
        return Err(CodecError::Open { name: name.to_owned(), reason });
    }
    // SAFETY: the device is a valid reference, given up after the pool took its own; the pool's context is its
    // buffer's contents, and is filled in before it is initialised.
    let pool = unsafe {
        let pool = ffi::av_hwframe_ctx_alloc(device);
        ffi::av_buffer_unref(&mut device);
        if pool.is_null() {
            return Err(CodecError::OutOfMemory);
        }
        let pool = FramePool(pool);
        let frames = (*pool.0).data.cast::<ffi::AVHWFramesContext>();
        (*frames).format = AVPixelFormat::AV_PIX_FMT_VAAPI;
        (*frames).sw_format = AVPixelFormat::AV_PIX_FMT_NV12;
        (*frames).width = size.width as c_int;
        (*frames).height = size.height as c_int;
        (*frames).initial_pool_size = 8;
        match ffi::av_hwframe_ctx_init(pool.0) {
            code if code < 0 => return Err(failed(code)),
            _ => pool,
        }
    };
    let fields = context.fields_mut();
    fields.pix_fmt = AVPixelFormat::AV_PIX_FMT_VAAPI;
    // SAFETY: a new reference, which the context releases when it is freed.
    fields.hw_frames_ctx = unsafe { ffi::av_buffer_ref(pool.0) };
    Ok(Surface::Device(pool))
}
