//! FLV files and tag bodies are read or refused.

use mux::flv::{AudioBody, FlvReader, VideoBody};

pub fn run(data: &[u8]) {
    let _ = VideoBody::parse(data.to_vec().into());
    let _ = AudioBody::parse(data.to_vec().into());
    let mut reader = FlvReader::new();
    for piece in data.chunks(97) {
        reader.push(piece);
        while let Ok(Some(_)) = reader.next_tag() {}
    }
}
