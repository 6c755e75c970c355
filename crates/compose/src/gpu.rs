//! Composition on a GPU: a render pass for the layers, compute for scaling and NV12, and a ring of buffers through
//! which results come back without a wait in the frame.
//!
//! Held to the CPU backend by tests: at most two codes apart in any plane, and less than 0.05 in the mean.

use media::{Picture, Size, Timestamp};
use wgpu::{Device, Queue};

use crate::color::unit;
use crate::compositor::{ComposeError, Composed, Compositor, CompositorConfig, Fade, Inputs, Problem};
use crate::draw_list::DrawList;
use crate::pool::Pool;
use crate::scene::Scene;

mod fade;
mod layers;
mod outputs;
mod pipelines;
mod readback;
mod textures;

use fade::FadePass;
use layers::Layers;
use outputs::{Format, Outputs};
use pipelines::{PROGRAMME_FORMAT, Pipelines};
use readback::{Finished, HUNG, Ring};

/// The GPU backend.
///
/// It is handed a device and never waits for it: a frame that was submitted is polled one or two frames later.
pub struct GpuCompositor {
    config: CompositorConfig,
    device: Device,
    queue: Queue,
    pipelines: Pipelines,
    list: DrawList,
    layers: Layers,
    /// While a fade runs.
    fade: Option<FadePass>,
    outputs: Outputs,
    ring: Ring,
    /// For each rendition, in the configuration's order.
    pools: Vec<Pool>,
    preview_pool: Option<(Size, Pool)>,
    preview_wanted: Option<Size>,
    dropped: u64,
}

impl std::fmt::Debug for GpuCompositor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuCompositor").field("config", &self.config).field("dropped", &self.dropped).finish()
    }
}

impl GpuCompositor {
    /// Makes pipelines and textures on `device`, which needs no more than the limits that WebGPU promises.
    pub fn new(device: Device, queue: Queue, config: CompositorConfig) -> Result<Self, ComposeError> {
        config.validate()?;
        let largest = device.limits().max_texture_dimension_2d;
        if config.programme.width.max(config.programme.height) > largest {
            let reason = format!("its textures are at most {largest} pixels wide and high");
            return Err(ComposeError::Gpu(reason));
        }
        let pipelines = Pipelines::new(&device);
        let outputs = Outputs::new(&device, &pipelines, &config, PROGRAMME_FORMAT);
        let ring = Ring::new();
        let pools = outputs.rendition_bytes().map(Pool::new).collect();
        Ok(Self {
            list: DrawList::new(config.programme),
            layers: Layers::new(&device, &pipelines, config.programme),
            fade: None,
            config,
            device,
            queue,
            pipelines,
            outputs,
            ring,
            pools,
            preview_pool: None,
            preview_wanted: None,
            dropped: 0,
        })
    }

    /// Draws `scene`, with a share of it where another one goes.
    fn submit_scenes(
        &mut self,
        from: Option<(&Scene, f32)>,
        scene: &Scene,
        inputs: Inputs<'_>,
        timestamp: Timestamp,
    ) -> Result<(), ComposeError> {
        let preview = self.preview_wanted.take();
        if self.ring.is_full() {
            // The GPU is more than two frames behind: this one is given up, not waited for.
            self.dropped += 1;
            return Ok(());
        }
        let Self { config, device, queue, pipelines, list, layers, outputs, fade, .. } = self;
        list.build(from.map(|(outgoing, _)| outgoing), scene, inputs);
        layers.prepare(device, queue, pipelines, list.draws())?;
        let mut encoder = device.create_command_encoder(&Default::default());
        let outputs = if let Some((_, share)) = from {
            let fade = fade.get_or_insert_with(|| FadePass::new(device, pipelines, config));
            fade.prepare(device, queue, pipelines, list.outgoing(), share)?;
            layers.draw(&mut encoder, pipelines, list.draws(), fade.incoming());
            fade.draw(&mut encoder, pipelines, list.outgoing());
            &mut fade.outputs
        } else {
            *fade = None;
            layers.draw(&mut encoder, pipelines, list.draws(), outputs.programme());
            outputs
        };
        if let Some(size) = preview {
            outputs.set_preview(device, pipelines, size);
            if self.preview_pool.as_ref().is_none_or(|(known, _)| *known != size) {
                self.preview_pool = Some((size, Pool::new(size.pixels() as usize * 4)));
            }
        }
        outputs.convert(&mut encoder, pipelines, preview.is_some());
        let formats = outputs.parts(preview.is_some());
        let slot = self.ring.take(device, formats, outputs.bytes(preview.is_some()));
        outputs.copy_to(&mut encoder, &slot.buffer, preview.is_some());
        queue.submit([encoder.finish()]);
        self.ring.submitted(slot, timestamp);
        list.release();
        Ok(())
    }

    fn deliver(&mut self, finished: Finished) -> Result<Composed, ComposeError> {
        let Finished { timestamp, parts } = finished;
        let mut renditions = Vec::with_capacity(self.pools.len());
        let mut preview = None;
        let data = finished_bytes(&parts.buffer)?;
        for (part, pool) in
            parts.formats.iter().zip(self.pools.iter().chain(self.preview_pool.iter().map(|p| &p.1)))
        {
            let bytes = &data[part.offset..part.offset + part.format.bytes()];
            let mut buffer = pool.take();
            // A preview of another size than now: its pool is gone.
            if buffer.len() != bytes.len() {
                buffer = vec![0; bytes.len()];
            }
            buffer.copy_from_slice(bytes);
            let shared = pool.share(buffer);
            match part.format {
                Format::Nv12(layout) => renditions.push(layout.picture(shared, timestamp)),
                Format::Rgba(size) => {
                    preview = Some(
                        Picture::rgba(size, shared, timestamp).expect("the part holds the preview's size"),
                    );
                }
            }
        }
        drop(data);
        parts.buffer.unmap();
        self.ring.give_back(parts);
        Ok(Composed { timestamp, renditions, preview })
    }

    fn poll_device(&self, poll: wgpu::PollType) -> Result<(), ComposeError> {
        self.device.poll(poll).map(drop).map_err(|e| ComposeError::Gpu(e.to_string()))
    }
}

fn finished_bytes(buffer: &wgpu::Buffer) -> Result<wgpu::BufferView, ComposeError> {
    buffer.get_mapped_range(..).map_err(|e| ComposeError::Gpu(e.to_string()))
}

impl Compositor for GpuCompositor {
    fn config(&self) -> &CompositorConfig {
        &self.config
    }

    fn request_preview(&mut self, size: Size) {
        self.preview_wanted = Some(self.config.preview_size(size));
    }

    fn submit(
        &mut self,
        scene: &Scene,
        inputs: Inputs<'_>,
        timestamp: Timestamp,
    ) -> Result<(), ComposeError> {
        self.submit_scenes(None, scene, inputs, timestamp)
    }

    fn submit_fade(
        &mut self,
        fade: Fade<'_>,
        inputs: Inputs<'_>,
        timestamp: Timestamp,
    ) -> Result<(), ComposeError> {
        self.submit_scenes(Some((fade.from, unit(fade.share))), fade.to, inputs, timestamp)
    }

    fn poll(&mut self) -> Result<Option<Composed>, ComposeError> {
        self.poll_device(wgpu::PollType::Poll)?;
        self.ring.finished()?.map(|finished| self.deliver(finished)).transpose()
    }

    fn finish(&mut self) -> Result<Option<Composed>, ComposeError> {
        if self.ring.is_empty() {
            return Ok(None);
        }
        self.poll_device(wgpu::PollType::Wait { submission_index: None, timeout: Some(HUNG) })?;
        self.ring.await_finished()?.map(|finished| self.deliver(finished)).transpose()
    }

    fn problems(&self) -> &[Problem] {
        self.list.problems()
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests;
