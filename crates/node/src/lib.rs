//! The media server: ingest, forwarding, LL-HLS, recording and API.
