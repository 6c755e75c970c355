//! H.264 bitstreams (ITU-T H.264): NAL units in both framings, SPS, and the decoder configuration record.

mod config;
mod nal;
mod sps;

pub use config::AvcConfig;
pub use nal::{
    AnnexBUnits, InBand, LengthPrefixedUnits, NalType, annex_b_units, is_idr, length_prefixed_units,
    nal_type, parameter_sets, push_annex_b, to_annex_b, to_length_prefixed,
};
#[cfg(test)]
pub(crate) use sps::tests::written_sps;
pub use sps::{Colour, Sps, Timing, Vui};

use thiserror::Error;

/// Why bytes are not the H.264 they were said to be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum H264Error {
    #[error("a NAL unit says it has {said} bytes where {left} are left")]
    LengthOutside { said: usize, left: usize },
    #[error("a NAL unit length takes 1, 2 or 4 bytes, not {0}")]
    LengthSize(u8),
    #[error("the sequence parameter set ends too early or holds an impossible value: {0}")]
    BadSps(&'static str),
    #[error("the decoder configuration record is damaged: {0}")]
    BadConfig(&'static str),
    #[error("there is no sequence or picture parameter set")]
    NoParameterSets,
}
