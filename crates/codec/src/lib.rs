//! Encoders, decoders, hardware probing and file demuxing, over FFmpeg.
