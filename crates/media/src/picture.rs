//! Pictures: bytes that say their format, colour matrix, range and size.

use bytes::Bytes;
use thiserror::Error;

use crate::time::Timestamp;

/// Width and height in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// How pixels lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PixelFormat {
    /// 8-bit sRGB-encoded R, G, B, straight alpha, one plane.
    Rgba8,
    /// The same with B first, as screens are captured.
    Bgra8,
    /// 8-bit Y plane, then a half-size plane of interleaved Cb, Cr.
    Nv12,
    /// 8-bit Y plane, then half-size Cb and Cr planes.
    I420,
    /// 8-bit Y0 Cb Y1 Cr, one plane (YUY2), as cameras deliver.
    Yuyv,
}

/// From RGB to Y′CbCr and back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ColorMatrix {
    /// RGB formats: no matrix.
    Identity,
    Bt601,
    Bt709,
}

/// What codes black and white have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ColorRange {
    /// Y 16–235, C 16–240.
    Limited,
    /// 0–255.
    Full,
}

/// Where one plane lies in a picture's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Plane {
    /// First byte.
    pub offset: usize,
    /// Bytes from one row to the next, at least `row_bytes`.
    pub stride: usize,
    /// Bytes of a row that hold pixels.
    pub row_bytes: usize,
    pub rows: usize,
}

impl PixelFormat {
    /// The planes of a tightly packed picture of `size`, and how many bytes it takes.
    pub fn packed_layout(self, size: Size) -> (Vec<Plane>, usize) {
        let (w, h) = (size.width as usize, size.height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        let rows: &[(usize, usize)] = match self {
            Self::Rgba8 | Self::Bgra8 => &[(w * 4, h)],
            Self::Nv12 => &[(w, h), (cw * 2, ch)],
            Self::I420 => &[(w, h), (cw, ch), (cw, ch)],
            Self::Yuyv => &[(cw * 4, h)],
        };
        let mut offset = 0;
        let planes = rows
            .iter()
            .map(|&(row_bytes, rows)| {
                let plane = Plane { offset, stride: row_bytes, row_bytes, rows };
                offset += row_bytes * rows;
                plane
            })
            .collect();
        (planes, offset)
    }
}

/// Why bytes are not the picture they were said to be.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PictureError {
    #[error("a picture of {size} in {format:?} needs {needed} bytes, {got} were given")]
    TooShort { size: Size, format: PixelFormat, needed: usize, got: usize },
    #[error("a plane of {rows} rows with stride {stride} does not lie inside {got} bytes")]
    PlaneOutside { rows: usize, stride: usize, got: usize },
}

/// One picture. Cheap to clone: the bytes are shared.
#[derive(Clone, Debug)]
pub struct Picture {
    size: Size,
    format: PixelFormat,
    matrix: ColorMatrix,
    range: ColorRange,
    planes: Vec<Plane>,
    data: Bytes,
    timestamp: Timestamp,
}

impl Picture {
    /// A picture whose planes follow each other without padding. RGB formats are full-range sRGB.
    pub fn packed(
        size: Size,
        format: PixelFormat,
        matrix: ColorMatrix,
        range: ColorRange,
        data: Bytes,
        timestamp: Timestamp,
    ) -> Result<Self, PictureError> {
        let (planes, needed) = format.packed_layout(size);
        if data.len() < needed {
            return Err(PictureError::TooShort { size, format, needed, got: data.len() });
        }
        Ok(Self { size, format, matrix, range, planes, data, timestamp })
    }

    /// A packed RGBA picture.
    pub fn rgba(size: Size, data: Bytes, timestamp: Timestamp) -> Result<Self, PictureError> {
        Self::packed(size, PixelFormat::Rgba8, ColorMatrix::Identity, ColorRange::Full, data, timestamp)
    }

    /// A packed NV12 picture in BT.709, limited range: what encoders are fed.
    pub fn nv12(size: Size, data: Bytes, timestamp: Timestamp) -> Result<Self, PictureError> {
        Self::packed(size, PixelFormat::Nv12, ColorMatrix::Bt709, ColorRange::Limited, data, timestamp)
    }

    /// A picture with planes where the caller says, as decoders and drivers deliver them.
    pub fn with_planes(
        size: Size,
        format: PixelFormat,
        matrix: ColorMatrix,
        range: ColorRange,
        planes: Vec<Plane>,
        data: Bytes,
        timestamp: Timestamp,
    ) -> Result<Self, PictureError> {
        let (packed, needed) = format.packed_layout(size);
        if planes.len() != packed.len() {
            return Err(PictureError::TooShort { size, format, needed, got: data.len() });
        }
        for (plane, packed) in planes.iter().zip(&packed) {
            let end = plane
                .rows
                .checked_sub(1)
                .and_then(|last| last.checked_mul(plane.stride))
                .and_then(|start| start.checked_add(plane.offset))
                .and_then(|start| start.checked_add(plane.row_bytes));
            let fits = end.is_some_and(|end| end <= data.len())
                && plane.row_bytes >= packed.row_bytes
                && plane.rows >= packed.rows
                && plane.stride >= plane.row_bytes;
            if !fits {
                let (rows, stride) = (plane.rows, plane.stride);
                return Err(PictureError::PlaneOutside { rows, stride, got: data.len() });
            }
        }
        Ok(Self { size, format, matrix, range, planes, data, timestamp })
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn format(&self) -> PixelFormat {
        self.format
    }

    pub fn matrix(&self) -> ColorMatrix {
        self.matrix
    }

    pub fn range(&self) -> ColorRange {
        self.range
    }

    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// All planes' bytes; [`Plane::offset`] points into it.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The bytes from the first row of plane `index` on, with its layout.
    pub fn plane(&self, index: usize) -> (&[u8], Plane) {
        let plane = self.planes[index];
        (&self.data[plane.offset..], plane)
    }

    /// When the picture was captured, against the studio epoch.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    #[must_use]
    pub fn at(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timescale;

    const ZERO: Timestamp = Timestamp::zero(Timescale::VIDEO);

    #[test]
    fn nv12_of_an_odd_size_rounds_chroma_up() {
        let (planes, bytes) = PixelFormat::Nv12.packed_layout(Size::new(5, 3));
        assert_eq!((planes[1].row_bytes, planes[1].rows), (6, 2));
        assert_eq!(bytes, 15 + 12);
    }

    #[test]
    fn a_picture_of_too_few_bytes_is_refused() {
        let short = Bytes::from(vec![0; 15]);
        assert!(matches!(
            Picture::rgba(Size::new(2, 2), short, ZERO),
            Err(PictureError::TooShort { needed: 16, got: 15, .. })
        ));
    }

    #[test]
    fn planes_that_reach_past_the_data_are_refused() {
        let plane = Plane { offset: 0, stride: 16, row_bytes: 8, rows: 2 };
        let make = |bytes| {
            Picture::with_planes(
                Size::new(2, 2),
                PixelFormat::Rgba8,
                ColorMatrix::Identity,
                ColorRange::Full,
                vec![plane],
                Bytes::from(vec![0; bytes]),
                ZERO,
            )
        };
        // The last row needs no padding after it.
        assert!(make(24).is_ok());
        assert!(matches!(make(23), Err(PictureError::PlaneOutside { .. })));
    }
}
