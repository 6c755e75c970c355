//! Offers and fragments are read or refused; datagrams are told apart.

use sfu::{SdpFragment, classify, sdp::Offer};

pub fn run(data: &[u8]) {
    let _ = classify(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = SdpFragment::parse(text);
        if let Ok(offer) = Offer::inspect(text) {
            let _ = offer.check_publisher();
            let _ = offer.check_viewer();
        }
    }
}
