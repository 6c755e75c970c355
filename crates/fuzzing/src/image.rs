//! Images are decoded or refused, within the bounds on their pixels.

pub fn run(data: &[u8]) {
    if let Ok(picture) = compose::decode_image(data) {
        assert!(picture.size().width.max(picture.size().height) <= compose::MAX_IMAGE_EDGE);
    }
}
