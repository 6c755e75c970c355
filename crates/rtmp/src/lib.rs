//! RTMP without sockets: handshake, chunks, AMF, client and server sessions.
