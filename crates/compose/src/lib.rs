//! Scenes of layers composed in linear light, on the CPU and the GPU.
