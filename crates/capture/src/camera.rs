//! Cameras, through the platform's own interface (V4L2, AVFoundation, Media Foundation).

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use media::{
    ColorMatrix, ColorRange, FrameRate, Picture, PixelFormat, Size, Slot, StudioEpoch, Timescale, Timestamp,
};
use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType,
};
use nokhwa::{Buffer, NokhwaError};
use thiserror::Error;

use crate::device::{Device, Driver, Failure, Kind, Session};
use crate::source::{PictureSource, SourceStatus};

/// What we can show, best first: uncompressed costs the least of our time.
const FORMATS: [FrameFormat; 3] = [FrameFormat::NV12, FrameFormat::YUYV, FrameFormat::MJPEG];

/// A camera that the system knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CameraInfo {
    /// What a person calls it, and what [`Camera::open`] takes.
    pub name: String,
}

/// The cameras that are connected now, in the system's order. Two of the same model are numbered.
pub fn cameras() -> Vec<CameraInfo> {
    found().into_iter().map(|(name, _)| CameraInfo { name }).collect()
}

fn found() -> Vec<(String, CameraIndex)> {
    // The listing panics where a device node has no number in its name.
    let listed = std::panic::catch_unwind(|| nokhwa::query(ApiBackend::Auto)).ok().and_then(Result::ok);
    let mut cameras: Vec<(String, CameraIndex)> = listed
        .unwrap_or_default()
        .into_iter()
        .map(|info| (info.human_name(), info.index().clone()))
        .collect();
    cameras.sort_by_key(|(_, index)| index.as_index().unwrap_or(u32::MAX));
    for n in (1..cameras.len()).rev() {
        let same = cameras[..n].iter().filter(|(name, _)| *name == cameras[n].0).count();
        if same > 0 {
            cameras[n].0 = format!("{} ({})", cameras[n].0, same + 1);
        }
    }
    cameras
}

/// What is asked of a camera; it gives the nearest that it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CameraRequest {
    /// As listed; `None` takes the first.
    pub name: Option<String>,
    pub size: Size,
    pub frame_rate: FrameRate,
}

/// A camera, opened in the background and kept open.
pub struct Camera {
    device: Device,
    newest: Slot<Picture>,
}

impl Camera {
    /// Returns at once; [`PictureSource::status`] tells how it goes.
    pub fn open(request: CameraRequest, epoch: StudioEpoch) -> Self {
        let newest = Slot::new();
        let name = request.name.clone().unwrap_or_else(|| "default".into());
        let emptied = newest.clone();
        let reader = Reader { request, epoch, newest: newest.clone() };
        Self { device: Device::open(Kind::Camera, name, reader, move || emptied.clear()), newest }
    }

    /// Pictures delivered, and those of them that nobody looked at.
    pub fn counts(&self) -> (u64, u64) {
        self.newest.counts()
    }
}

impl PictureSource for Camera {
    fn picture_at(&mut self, _now: Timestamp) -> Option<Picture> {
        self.newest.latest()
    }

    fn status(&self) -> SourceStatus {
        self.device.status()
    }

    fn name(&self) -> &str {
        self.device.name()
    }
}

struct Reader {
    request: CameraRequest,
    epoch: StudioEpoch,
    newest: Slot<Picture>,
}

impl Driver for Reader {
    fn run(&self, session: &Session<'_>) -> Result<(), Failure> {
        let mut camera = self.open()?;
        while !session.is_stopping() {
            let frame = camera.frame().map_err(|error| match classify(&error.to_string()) {
                Failure::Missing => Failure::Unplugged,
                failure => failure,
            })?;
            let now = (Instant::now(), SystemTime::now());
            let time = self.epoch.stamp(captured(&frame, now), Timescale::VIDEO);
            match picture(frame_bytes(&frame), time) {
                Ok(picture) => {
                    self.newest.put(picture);
                    session.delivered();
                }
                // Cameras deliver a torn picture now and then; too many in a row are noticed as silence.
                Err(error) => tracing::debug!(%error, "a camera delivered a damaged picture"),
            }
        }
        // Errors of stopping concern a device that is given up anyway.
        let _ = camera.stop_stream();
        Ok(())
    }
}

impl Reader {
    fn open(&self) -> Result<nokhwa::Camera, Failure> {
        let found = found();
        let (_, index) = match &self.request.name {
            Some(wanted) => found.into_iter().find(|(name, _)| name == wanted),
            None => found.into_iter().next(),
        }
        .ok_or(Failure::Missing)?;
        let open = || -> Result<nokhwa::Camera, NokhwaError> {
            let any = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
            let mut camera = nokhwa::Camera::new(index, any)?;
            let formats = camera.compatible_camera_formats()?;
            if let Some(best) = best(&formats, self.request.size, self.request.frame_rate)
                && best != camera.camera_format()
            {
                camera.set_camera_requset(RequestedFormat::with_formats(
                    RequestedFormatType::Exact(best),
                    &FORMATS,
                ))?;
            }
            camera.open_stream()?;
            Ok(camera)
        };
        open().map_err(|error| classify(&error.to_string()))
    }
}

/// The format that wastes the least: too small is worse than too large, too slow worse than compressed.
fn best(formats: &[CameraFormat], size: Size, rate: FrameRate) -> Option<CameraFormat> {
    let cost = |format: &CameraFormat| {
        let preference = FORMATS.iter().position(|known| *known == format.format())?;
        let (w, h) = (i64::from(format.width()), i64::from(format.height()));
        let short = (i64::from(size.width) - w).max(0) + (i64::from(size.height) - h).max(0);
        let over = (w - i64::from(size.width)).max(0) + (h - i64::from(size.height)).max(0);
        let slow = (rate.as_f64() - f64::from(format.frame_rate())).max(0.0).ceil() as i64;
        let fast = (f64::from(format.frame_rate()) - rate.as_f64()).max(0.0).ceil() as i64;
        Some((short * 4 + over + slow * 100 + fast, preference))
    };
    formats
        .iter()
        .filter_map(|format| Some((cost(format)?, *format)))
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, f)| f)
}

/// What stands behind an error: the library passes on the system's number in words only.
fn classify(error: &str) -> Failure {
    let number = error.rsplit_once("(os error ").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
    match number {
        // ENOENT, ENXIO, ENODEV.
        Some(2 | 6 | 19) => Failure::Missing,
        Some(16) => Failure::Busy,
        // EPERM, EACCES.
        Some(1 | 13) => Failure::Refused,
        _ => Failure::Other(error.trim_end_matches('.').to_owned()),
    }
}

/// When the camera took it. Drivers stamp it in wall time; a stamp that cannot be is replaced by the time of
/// arrival.
fn captured(frame: &Buffer, (now, wall): (Instant, SystemTime)) -> Instant {
    const PLAUSIBLE: Duration = Duration::from_millis(500);
    let age = frame
        .capture_timestamp()
        .and_then(|stamp| wall.duration_since(SystemTime::UNIX_EPOCH + stamp).ok())
        .filter(|age| *age < PLAUSIBLE)
        .unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}

struct Frame {
    format: FrameFormat,
    size: Size,
    bytes: Bytes,
}

fn frame_bytes(frame: &Buffer) -> Frame {
    let resolution = frame.resolution();
    Frame {
        format: frame.source_frame_format(),
        size: Size::new(resolution.width(), resolution.height()),
        bytes: frame.buffer_bytes(),
    }
}

/// Why bytes from a camera are no picture.
#[derive(Debug, Error)]
enum FrameError {
    #[error(transparent)]
    Picture(#[from] media::PictureError),
    #[error("not a JPEG picture: {0}")]
    Jpeg(String),
    #[error("a picture of {got} bytes was to have {needed}")]
    Size { got: usize, needed: u64 },
    #[error("pictures in {0:?} cannot be shown")]
    Format(FrameFormat),
}

fn picture(frame: Frame, time: Timestamp) -> Result<Picture, FrameError> {
    let packed = |format| {
        // Cameras follow BT.601 in limited range unless they say otherwise (V4L2's default for Y′CbCr).
        let (matrix, range) = (ColorMatrix::Bt601, ColorRange::Limited);
        Ok(Picture::packed(frame.size, format, matrix, range, frame.bytes.clone(), time)?)
    };
    match frame.format {
        FrameFormat::YUYV => packed(PixelFormat::Yuyv),
        FrameFormat::NV12 => packed(PixelFormat::Nv12),
        FrameFormat::MJPEG => {
            // Before decoding: damage must not make the decoder allocate gigabytes.
            if jpeg_size(&frame.bytes) != Some(frame.size) {
                return Err(FrameError::Jpeg("its header is damaged or states another size".into()));
            }
            // The decoder unwinds out of its C code when a picture is damaged.
            let decoded = std::panic::catch_unwind(|| nokhwa::utils::mjpeg_to_rgb(&frame.bytes, true));
            let rgba = decoded
                .map_err(|_| FrameError::Jpeg("it is damaged".into()))?
                .map_err(|error| FrameError::Jpeg(error.to_string()))?;
            let needed = frame.size.pixels() * 4;
            if rgba.len() as u64 != needed {
                return Err(FrameError::Size { got: rgba.len(), needed });
            }
            Ok(Picture::rgba(frame.size, Bytes::from(rgba), time)?)
        }
        other => Err(FrameError::Format(other)),
    }
}

/// The size that a JPEG's frame header states (ITU-T T.81 §B.2.2).
fn jpeg_size(bytes: &[u8]) -> Option<Size> {
    let mut rest = bytes.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        // A marker may be preceded by any number of fill bytes.
        if *marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        let [high, low, ..] = after else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let segment = after.get(2..length)?;
        match marker {
            // SOF0 to SOF15 but for DHT, JPG and DAC, which share their range.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let [_, y0, y1, x0, x1, ..] = segment else { return None };
                let (width, height) = (u16::from_be_bytes([*x0, *x1]), u16::from_be_bytes([*y0, *y1]));
                return Some(Size::new(width.into(), height.into()));
            }
            // Start of scan without a frame before it.
            0xda => return None,
            _ => rest = after.get(length..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nokhwa::utils::Resolution;
    use proptest::prelude::*;

    fn format(width: u32, height: u32, format: FrameFormat, fps: u32) -> CameraFormat {
        CameraFormat::new(Resolution::new(width, height), format, fps)
    }

    #[test]
    fn the_format_that_fits_best_is_chosen() {
        let wanted = (Size::new(1280, 720), FrameRate::FPS_30);
        // A usual USB 2 camera: raw only where the bus can carry it.
        let formats = [
            format(640, 480, FrameFormat::YUYV, 30),
            format(1280, 720, FrameFormat::YUYV, 10),
            format(1280, 720, FrameFormat::MJPEG, 30),
            format(1920, 1080, FrameFormat::MJPEG, 30),
            format(1280, 720, FrameFormat::GRAY, 30),
        ];
        assert_eq!(best(&formats, wanted.0, wanted.1), Some(formats[2]));
        // Raw is taken where it is fast enough.
        let raw = format(1280, 720, FrameFormat::YUYV, 30);
        assert_eq!(best(&[formats[2], raw], wanted.0, wanted.1), Some(raw));
        assert_eq!(best(&formats[..1], wanted.0, wanted.1), Some(formats[0]));
        assert_eq!(best(&formats[4..], wanted.0, wanted.1), None);
    }

    #[test]
    fn the_system_s_error_numbers_are_told_apart() {
        let busy = "Could not open device 0: V4L2 Error: Device or resource busy (os error 16)";
        assert_eq!(classify(busy), Failure::Busy);
        assert_eq!(classify("… Permission denied (os error 13)"), Failure::Refused);
        assert_eq!(classify("… No such device (os error 19)"), Failure::Missing);
        assert_eq!(classify("Failed to Fufill."), Failure::Other("Failed to Fufill".into()));
    }

    /// 16×16 baseline, as `convert -size 16x16 xc:red -quality 40 small.jpg` writes it.
    const SMALL_JPEG: &[u8] = include_bytes!("../tests/small.jpg");

    fn jpeg(bytes: Vec<u8>) -> Frame {
        Frame { format: FrameFormat::MJPEG, size: Size::new(16, 16), bytes: Bytes::from(bytes) }
    }

    #[test]
    fn a_jpeg_becomes_its_colours_also_with_a_stale_tail() {
        // A driver's buffer is longer than the picture in it.
        let mut bytes = SMALL_JPEG.to_vec();
        bytes.extend([0x55; 4_000]);
        let picture = picture(jpeg(bytes), Timestamp::zero(Timescale::VIDEO)).unwrap();
        let pixel = &picture.data()[4 * 100..][..4];
        // Red, to what the quantisation leaves of it.
        assert!(pixel[0] > 245 && pixel[1] < 10 && pixel[2] < 10 && pixel[3] == 255, "{pixel:?}");
    }

    #[test]
    fn a_jpeg_that_states_another_size_is_refused_before_it_is_decoded() {
        assert_eq!(jpeg_size(SMALL_JPEG), Some(Size::new(16, 16)));
        let mut huge = SMALL_JPEG.to_vec();
        let frame_header = huge.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        // Precision, then height and width.
        huge[frame_header + 5..frame_header + 9].fill(0xff);
        assert_eq!(jpeg_size(&huge), Some(Size::new(65_535, 65_535)));
        assert!(picture(jpeg(huge), Timestamp::zero(Timescale::VIDEO)).is_err());
    }

    proptest! {
        #[test]
        fn no_damage_to_a_jpeg_does_more_than_refuse_it(
            at in proptest::collection::vec((0usize..2_000, any::<u8>()), 1..12), keep in 0usize..2_000
        ) {
            let mut bytes = SMALL_JPEG.to_vec();
            for (place, value) in at {
                let place = place % bytes.len();
                bytes[place] = value;
            }
            bytes.truncate(keep.max(1));
            if let Ok(picture) = picture(jpeg(bytes), Timestamp::zero(Timescale::VIDEO)) {
                prop_assert_eq!(picture.data().len(), 16 * 16 * 4);
            }
        }
    }

    #[test]
    fn damaged_pictures_are_refused() {
        let frame =
            |format, bytes: &'static [u8]| Frame { format, size: Size::new(4, 2), bytes: Bytes::from(bytes) };
        let zero = Timestamp::zero(Timescale::VIDEO);
        assert!(matches!(picture(frame(FrameFormat::YUYV, &[0; 15]), zero), Err(FrameError::Picture(_))));
        assert!(picture(frame(FrameFormat::YUYV, &[0; 16]), zero).is_ok());
        assert!(matches!(picture(frame(FrameFormat::MJPEG, b"\xff\xd8no"), zero), Err(FrameError::Jpeg(_))));
        assert!(matches!(picture(frame(FrameFormat::GRAY, &[0; 8]), zero), Err(FrameError::Format(_))));
    }
}
