//! Images are decoded or refused, within the bounds on their pixels.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(picture) = compose::decode_image(data) {
        assert!(picture.size().width.max(picture.size().height) <= compose::MAX_IMAGE_EDGE);
    }
});
