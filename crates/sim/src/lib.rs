//! Particles: forces, collisions and splatting, on the CPU and the GPU.
