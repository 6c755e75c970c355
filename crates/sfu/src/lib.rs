//! The WebRTC server side: many peers behind one UDP port.
