//! H.264, AAC and Opus headers are read or refused, and what was read is written so that it reads the same.

use mux::aac::{AdtsHeader, AudioSpecificConfig};
use mux::h264::{AvcConfig, InBand, Sps, is_idr, parameter_sets, to_annex_b, to_length_prefixed};
use mux::opus::{OpusHead, packet_samples};

pub fn run(data: &[u8]) {
    let _ = Sps::parse(data);
    let _ = parameter_sets(data);
    let _ = is_idr(data);
    let _ = packet_samples(data);
    let _ = AdtsHeader::parse(data);
    let _ = OpusHead::parse_dops(data);
    let _ = OpusHead::parse(data);
    for size in [1, 2, 4] {
        let _ = to_annex_b(data, size);
    }
    // Units that were found are found again behind their lengths.
    let sample = to_length_prefixed(data, InBand::Keep);
    let stream = to_annex_b(&sample, 4).expect("what we wrote we can read");
    assert_eq!(to_length_prefixed(&stream, InBand::Keep), sample);
    if let Ok(config) = AvcConfig::parse(data) {
        let again = AvcConfig::parse(&config.to_bytes()).expect("what we wrote we can read");
        assert_eq!(again, config);
        let _ = config.first_sps();
    }
    if let Ok(config) = AudioSpecificConfig::parse(data) {
        let _ = config.to_bytes();
    }
}
