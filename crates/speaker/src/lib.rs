//! Sound devices: listing, capture and playback streams.
