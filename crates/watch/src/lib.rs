//! The player: takes a stream by WHEP, decodes it, says when each picture is to be shown, measures what a viewer
//! gets, and pays for what played.
//!
//! Without the feature `window` it knows none: presenting is an instant here, and whoever shows pictures reads them from a
//! slot.

mod admission;
mod av_offset;
mod delay;
mod frame_numbers;
mod freeze;
mod measurements;
mod pay_session;
mod pay_socket;
mod played_seconds;
mod player;
mod playout;
mod quality;
mod report;
mod signalling;
#[cfg(feature = "window")]
pub mod window;

pub use admission::{Admission, Admissions, NotAdmitted, Rejoin};
pub use audiosink::Sound;
pub use av_offset::{AvOffset, BeepDetector};
pub use delay::DelayHistogram;
pub use frame_numbers::FrameNumbers;
pub use freeze::FreezeMeter;
pub use measurements::Measurements;
pub use pay_session::{Batch, Consent, Leaving, Now, PaySession, PayStatus, SharedSigner, Verdict};
pub use pay_socket::{PayHandle, PaySocket, TabStore};
pub use played_seconds::{Decided, PlayedSeconds};
pub use player::{DrawingTime, Player, PlayerConfig, PlayerError, PresentedPicture};
pub use playout::{Lane, MediaTime, Playout, PlayoutConfig};
pub use quality::{Quality, QualityView};
pub use report::{DelayReport, PlayerReport, RenditionText, Snapshot, rendition_of};
pub use signalling::HttpSignalling;
