//! Images from files: PNG and JPEG, with bounds on what they may take.

use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use image::{ImageFormat, ImageReader, Limits};
use media::{Picture, Size, Timescale, Timestamp};
use thiserror::Error;

/// The largest width or height.
pub const MAX_IMAGE_EDGE: u32 = 8_192;
/// Bytes at most, of the file and of its decoded pixels.
pub const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// Why an image cannot be shown.
#[derive(Debug, Error)]
pub enum ImageError {
    #[error("cannot read it: {0}")]
    Io(#[from] std::io::Error),
    #[error("it is no file")]
    NoFile,
    #[error("it has {0} bytes, more than the {MAX_IMAGE_BYTES} that are allowed")]
    FileTooLarge(u64),
    #[error("it is {0}, larger than {MAX_IMAGE_EDGE} either way or {MAX_IMAGE_BYTES} bytes of pixels")]
    TooLarge(Size),
    #[error("it is neither PNG nor JPEG")]
    UnknownFormat,
    #[error("it is damaged: {0}")]
    Damaged(String),
    #[error("with it the scene's images would take {total} bytes")]
    TooMany { total: usize },
}

/// Reads the file at `path`.
pub fn load(path: &Path) -> Result<Picture, ImageError> {
    use std::io::Read;
    // A pipe would be waited for, and a device has no end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(ImageError::NoFile);
    }
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    // A file may grow while it is read: the limit counts what comes.
    file.take(MAX_IMAGE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_IMAGE_BYTES {
        return Err(ImageError::FileTooLarge(bytes.len() as u64));
    }
    decode(&bytes)
}

/// Decodes a PNG or JPEG to straight RGBA. A pure function of foreign bytes: it never panics, and takes at most a
/// few times [`MAX_IMAGE_BYTES`].
pub fn decode(bytes: &[u8]) -> Result<Picture, ImageError> {
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => return Err(ImageError::UnknownFormat),
    };
    let damaged = |e: image::ImageError| ImageError::Damaged(e.to_string());
    let (width, height) =
        ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().map_err(damaged)?;
    let size = Size::new(width, height);
    if width.max(height) > MAX_IMAGE_EDGE || size.pixels() * 4 > MAX_IMAGE_BYTES {
        return Err(ImageError::TooLarge(size));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_IMAGE_EDGE);
    limits.max_image_height = Some(MAX_IMAGE_EDGE);
    // Sixteen bits a channel take twice the room while they are decoded.
    limits.max_alloc = Some(2 * MAX_IMAGE_BYTES);
    reader.limits(limits);
    let pixels = reader.decode().map_err(damaged)?.into_rgba8();
    let size = Size::new(pixels.width(), pixels.height());
    if size.pixels() == 0 {
        return Err(ImageError::Damaged("it has no pixels".into()));
    }
    let data = Bytes::from(pixels.into_raw());
    Picture::rgba(size, data, Timestamp::zero(Timescale::VIDEO))
        .map_err(|e| ImageError::Damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        image::DynamicImage::new_rgb8(width, height).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    #[test]
    fn an_image_over_the_bounds_is_refused_before_its_pixels_are_read() {
        let wide = file(ImageFormat::Png, MAX_IMAGE_EDGE + 1, 1);
        assert!(matches!(decode(&wide), Err(ImageError::TooLarge(_))));
        let many = file(ImageFormat::Png, 4097, 4096);
        assert!(matches!(decode(&many), Err(ImageError::TooLarge(_))));
        assert!(matches!(decode(b"GIF89a"), Err(ImageError::UnknownFormat)));
    }

    proptest! {
        #[test]
        fn mutated_images_are_decoded_or_refused(
            jpeg in any::<bool>(), at in 0usize..400, with in any::<u8>(), keep in 0usize..600,
        ) {
            let format = if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png };
            let mut bytes = file(format, 9, 7);
            let at = at % bytes.len();
            bytes[at] = with;
            bytes.truncate(keep.max(8));
            if let Ok(picture) = decode(&bytes) {
                prop_assert!(picture.data().len() as u64 <= MAX_IMAGE_BYTES);
            }
        }
    }
}
