//! Containers and bitstreams: fMP4, FLV, LL-HLS playlists, H.264 and AAC headers.
