//! How finished pictures lie in memory: one layout for both backends.

use media::{ColorMatrix, ColorRange, Picture, PixelFormat, Plane, Size, Timestamp};

/// Rows begin at multiples of this many bytes: encoders read them aligned, and the GPU writes whole words even where
/// the width (854, say) is no multiple of four.
const ROW_ALIGN: usize = 32;

/// An NV12 picture: luma, then chroma, both with the same stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nv12Layout {
    pub size: Size,
    pub stride: usize,
    pub chroma_offset: usize,
    /// All of it.
    pub bytes: usize,
}

impl Nv12Layout {
    pub const fn new(size: Size) -> Self {
        let stride = (size.width as usize).next_multiple_of(ROW_ALIGN);
        let chroma_offset = stride * size.height as usize;
        let bytes = chroma_offset + stride * (size.height as usize).div_ceil(2);
        Self { size, stride, chroma_offset, bytes }
    }

    /// The picture in `data`, which holds at least [`Nv12Layout::bytes`].
    pub fn picture(self, data: bytes::Bytes, timestamp: Timestamp) -> Picture {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let plane = |offset, row_bytes, rows| Plane { offset, stride: self.stride, row_bytes, rows };
        let planes = vec![
            plane(0, width, height),
            plane(self.chroma_offset, width.div_ceil(2) * 2, height.div_ceil(2)),
        ];
        let (matrix, range) = (ColorMatrix::Bt709, ColorRange::Limited);
        Picture::with_planes(self.size, PixelFormat::Nv12, matrix, range, planes, data, timestamp)
            .expect("the buffer was made for this layout")
    }
}
