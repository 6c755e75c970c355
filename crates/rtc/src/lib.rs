//! WebRTC clients: WHIP publisher with simulcast, WHEP player.
