//! The audio graph: gain, mute, meters, limiter and drift-correcting resampling.
