//! What every source is to the studio, whether a driver stands behind it or arithmetic.

use media::{AudioBlock, Picture, Timestamp};

/// How a source is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceStatus {
    /// Its device is being opened; nothing was delivered yet.
    Opening,
    Live,
    /// Its device never delivered, so a synthetic source is in its place until it does.
    StandIn {
        message: String,
    },
    /// It delivers nothing now, and comes back by itself when it can. The message is for a person: what
    /// happened, what it means, what to do.
    Lost {
        message: String,
    },
}

/// Something that shows pictures.
pub trait PictureSource: Send {
    /// The picture to show at `now` (media time against the studio epoch), or `None` where there is none
    /// yet or the device is lost. Its timestamp says when it was captured. Never waits.
    fn picture_at(&mut self, now: Timestamp) -> Option<Picture>;

    fn status(&self) -> SourceStatus;

    /// What a person calls it, as listed.
    fn name(&self) -> &str;
}

/// Something that is heard.
pub trait SoundSource: Send {
    /// Appends what was captured until `until` and not read before, oldest first. Never waits. A source that
    /// is not read for a second drops what it holds; the timestamps tell.
    fn read(&mut self, until: Timestamp, out: &mut Vec<AudioBlock>);

    fn status(&self) -> SourceStatus;

    /// What a person calls it, as listed.
    fn name(&self) -> &str;
}
