//! Pictures as textures, one for each plane, uploaded when they changed.

use media::{Picture, PixelFormat, Size};
use wgpu::{
    Device, Extent3d, Origin3d, Queue, TexelCopyBufferLayout, TexelCopyTextureInfo, Texture, TextureAspect,
    TextureDescriptor, TextureDimension, TextureFormat, TextureUsages, TextureView,
};

use crate::compositor::ComposeError;

/// Texture formats and sizes of a picture's planes.
fn planes_of(format: PixelFormat, size: Size) -> Vec<(TextureFormat, Size)> {
    let half = Size::new(size.width.div_ceil(2), size.height.div_ceil(2));
    match format {
        PixelFormat::Rgba8 | PixelFormat::Bgra8 => vec![(TextureFormat::Rgba8Unorm, size)],
        PixelFormat::Nv12 => vec![(TextureFormat::R8Unorm, size), (TextureFormat::Rg8Unorm, half)],
        PixelFormat::I420 => {
            vec![
                (TextureFormat::R8Unorm, size),
                (TextureFormat::R8Unorm, half),
                (TextureFormat::R8Unorm, half),
            ]
        }
        PixelFormat::Yuyv => vec![(TextureFormat::Rgba8Unorm, Size::new(half.width, size.height))],
    }
}

/// A texture of one mip level.
pub fn texture_2d(device: &Device, size: Size, format: TextureFormat, usage: TextureUsages) -> Texture {
    device.create_texture(&TextureDescriptor {
        label: None,
        size: Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    })
}

/// One picture's planes on the GPU.
#[derive(Debug)]
pub struct PlaneTextures {
    format: PixelFormat,
    size: Size,
    textures: Vec<Texture>,
    pub views: Vec<TextureView>,
    /// What was uploaded last. Holding it keeps its bytes from being used again, so that the same address means the
    /// same picture.
    uploaded: Option<Picture>,
}

impl PlaneTextures {
    pub fn new(device: &Device, picture: &Picture) -> Result<Self, ComposeError> {
        let (format, size) = (picture.format(), picture.size());
        let largest = device.limits().max_texture_dimension_2d;
        if size.width.max(size.height) > largest || size.pixels() == 0 {
            return Err(ComposeError::Gpu(format!(
                "a picture of {size} is no texture of 1 to {largest} pixels"
            )));
        }
        let usage = TextureUsages::TEXTURE_BINDING | TextureUsages::COPY_DST;
        let textures: Vec<_> = planes_of(format, size)
            .into_iter()
            .map(|(format, size)| texture_2d(device, size, format, usage))
            .collect();
        let views = textures.iter().map(|texture| texture.create_view(&Default::default())).collect();
        Ok(Self { format, size, textures, views, uploaded: None })
    }

    pub fn fits(&self, picture: &Picture) -> bool {
        (self.format, self.size) == (picture.format(), picture.size())
    }

    /// Whether `picture` is what was uploaded last.
    pub fn holds(&self, picture: &Picture) -> bool {
        self.uploaded.as_ref().is_some_and(|known| {
            known.data().as_ptr() == picture.data().as_ptr() && known.planes() == picture.planes()
        })
    }

    pub fn upload(&mut self, queue: &Queue, picture: &Picture) {
        if self.holds(picture) {
            return;
        }
        let sizes = planes_of(self.format, self.size);
        for ((index, texture), (_, size)) in self.textures.iter().enumerate().zip(sizes) {
            let (bytes, plane) = picture.plane(index);
            let target = TexelCopyTextureInfo {
                texture,
                mip_level: 0,
                origin: Origin3d::ZERO,
                aspect: TextureAspect::All,
            };
            let layout = TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(plane.stride as u32),
                rows_per_image: None,
            };
            let extent = Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 };
            queue.write_texture(target, bytes, layout, extent);
        }
        self.uploaded = Some(picture.clone());
    }
}
