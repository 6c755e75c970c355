//! What we must know of an SDP offer before answering it, and trickled fragments. Total on any text.

use str0m::Candidate;
use thiserror::Error;

/// Offers of browsers are 4 to 8 kB.
const MAX_OFFER_BYTES: usize = 64 * 1024;
const MAX_FRAGMENT_BYTES: usize = 16 * 1024;
/// Audio, video, and a data channel that some clients add.
const MAX_SECTIONS: usize = 3;
const MAX_RIDS: usize = 8;
/// An ICE-lite server learns addresses from checks; lists beyond this are not needed by anyone.
const MAX_CANDIDATES: usize = 64;

/// Why an offer or a fragment cannot be taken.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum SdpRefused {
    #[error("the SDP has {0} bytes, more than is taken")]
    TooLarge(usize),
    #[error("the SDP cannot be read: {0}")]
    Malformed(String),
    #[error("the offer has more than one {0} section; one is taken")]
    TooManySections(&'static str),
    #[error("the offer has more than {MAX_RIDS} simulcast layers")]
    TooManyRids,
    #[error("the SDP has more than {MAX_CANDIDATES} candidates")]
    TooManyCandidates,
    #[error("the offer has no {0} section")]
    Missing(&'static str),
    #[error("the video section offers no H.264 of a baseline profile in packetization mode 1")]
    NoH264,
    #[error("the audio section offers no Opus")]
    NoOpus,
    #[error("the {0} section does not send, so there is nothing to publish")]
    NotSending(&'static str),
    #[error("the {0} section does not receive, so there is nothing to watch")]
    NotReceiving(&'static str),
    #[error("the offer cannot be answered: {0}")]
    Unanswerable(String),
}

impl SdpRefused {
    /// Stable, for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "sdp-too-large",
            Self::Malformed(_) => "sdp-malformed",
            Self::TooManySections(_) => "sdp-too-many-sections",
            Self::TooManyRids => "sdp-too-many-rids",
            Self::TooManyCandidates => "sdp-too-many-candidates",
            Self::Missing(_) => "sdp-missing-media",
            Self::NoH264 => "sdp-no-h264",
            Self::NoOpus => "sdp-no-opus",
            Self::NotSending(_) => "sdp-not-sending",
            Self::NotReceiving(_) => "sdp-not-receiving",
            Self::Unanswerable(_) => "sdp-unanswerable",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// One audio or video section of an offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    pub mid: String,
    pub direction: Direction,
    /// Rids that the offerer sends (RFC 8851), in order.
    pub rids: Vec<String>,
    rejected: bool,
    opus: bool,
    h264: Vec<String>,
    mode_1: Vec<String>,
}

/// What an offer says, as far as we read it ourselves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    pub audio: Option<Section>,
    pub video: Option<Section>,
}

impl Offer {
    /// Checks sizes and counts, and finds the sections.
    pub fn inspect(text: &str) -> Result<Self, SdpRefused> {
        if text.len() > MAX_OFFER_BYTES {
            return Err(SdpRefused::TooLarge(text.len()));
        }
        let mut offer = Self::default();
        let (mut sections, mut candidates) = (0, 0);
        let mut session_direction = Direction::SendRecv;
        let mut current: Option<&mut Section> = None;
        for line in text.lines().map(str::trim_end) {
            if let Some(media) = line.strip_prefix("m=") {
                sections += 1;
                if sections > MAX_SECTIONS {
                    return Err(SdpRefused::TooManySections("media"));
                }
                let slot = match media.split(' ').next() {
                    Some("audio") => Some((&mut offer.audio, "audio")),
                    Some("video") => Some((&mut offer.video, "video")),
                    _ => None,
                };
                current = match slot {
                    Some((Some(_), kind)) => return Err(SdpRefused::TooManySections(kind)),
                    Some((slot, _)) => Some(slot.insert(Section::new(media, session_direction))),
                    None => None,
                };
            } else if let Some(attribute) = line.strip_prefix("a=") {
                if attribute.starts_with("candidate:") {
                    candidates += 1;
                }
                match (&mut current, direction_of(attribute)) {
                    (Some(section), Some(direction)) => section.direction = direction,
                    (Some(section), None) => section.read(attribute)?,
                    (None, Some(direction)) if sections == 0 => session_direction = direction,
                    _ => {}
                }
            }
        }
        if candidates > MAX_CANDIDATES {
            return Err(SdpRefused::TooManyCandidates);
        }
        Ok(offer)
    }

    /// A publisher must send H.264; sound is optional, but must be Opus.
    pub fn check_publisher(&self) -> Result<(), SdpRefused> {
        let video = self.video.as_ref().filter(|s| !s.rejected).ok_or(SdpRefused::Missing("video"))?;
        if !video.has_h264() {
            return Err(SdpRefused::NoH264);
        }
        if !video.direction.sends() {
            return Err(SdpRefused::NotSending("video"));
        }
        match self.audio.as_ref().filter(|s| !s.rejected) {
            Some(audio) if !audio.opus => Err(SdpRefused::NoOpus),
            _ => Ok(()),
        }
    }

    /// A viewer must receive H.264 or Opus, and must not offer to receive something else instead.
    pub fn check_viewer(&self) -> Result<(), SdpRefused> {
        let video = self.video.as_ref().filter(|s| !s.rejected);
        let audio = self.audio.as_ref().filter(|s| !s.rejected);
        if video.is_none() && audio.is_none() {
            return Err(SdpRefused::Missing("video"));
        }
        if let Some(video) = video {
            if !video.has_h264() {
                return Err(SdpRefused::NoH264);
            }
            if !video.direction.receives() {
                return Err(SdpRefused::NotReceiving("video"));
            }
        }
        match audio {
            Some(audio) if !audio.opus => Err(SdpRefused::NoOpus),
            Some(audio) if video.is_none() && !audio.direction.receives() => {
                Err(SdpRefused::NotReceiving("audio"))
            }
            _ => Ok(()),
        }
    }
}

impl Section {
    fn new(media: &str, direction: Direction) -> Self {
        Self {
            mid: String::new(),
            direction,
            rids: Vec::new(),
            // Port 0 rejects, but for bundled sections (RFC 8843 §6); those carry bundle-only.
            rejected: media.split(' ').nth(1) == Some("0"),
            opus: false,
            h264: Vec::new(),
            mode_1: Vec::new(),
        }
    }

    fn read(&mut self, attribute: &str) -> Result<(), SdpRefused> {
        let Some((name, value)) = attribute.split_once(':') else {
            if attribute == "bundle-only" {
                self.rejected = false;
            }
            return Ok(());
        };
        match name {
            "mid" => self.mid = value.to_owned(),
            "rid" => {
                if let Some((rid, rest)) = value.split_once(' ')
                    && rest.starts_with("send")
                {
                    if self.rids.len() == MAX_RIDS {
                        return Err(SdpRefused::TooManyRids);
                    }
                    self.rids.push(rid.to_owned());
                }
            }
            "rtpmap" => {
                if let Some((pt, codec)) = value.split_once(' ') {
                    let codec = codec.to_ascii_lowercase();
                    self.opus |= codec.starts_with("opus/48000");
                    if codec.starts_with("h264/90000") {
                        self.h264.push(pt.to_owned());
                    }
                }
            }
            "fmtp" => {
                if let Some((pt, parameters)) = value.split_once(' ') {
                    let parameters = parameters.to_ascii_lowercase();
                    let mut parameters = parameters.split(';').map(str::trim);
                    let baseline = |p: &str| p.starts_with("profile-level-id=42");
                    let (mut mode, mut profile) = (false, None);
                    for parameter in &mut parameters {
                        mode |= parameter == "packetization-mode=1";
                        if parameter.starts_with("profile-level-id=") {
                            profile = Some(baseline(parameter));
                        }
                    }
                    // Without the parameter the profile is baseline (RFC 6184 §8.1).
                    if mode && profile.unwrap_or(true) {
                        self.mode_1.push(pt.to_owned());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn has_h264(&self) -> bool {
        self.h264.iter().any(|pt| self.mode_1.contains(pt))
    }
}

fn direction_of(attribute: &str) -> Option<Direction> {
    Some(match attribute {
        "sendrecv" => Direction::SendRecv,
        "sendonly" => Direction::SendOnly,
        "recvonly" => Direction::RecvOnly,
        "inactive" => Direction::Inactive,
        _ => return None,
    })
}

/// A trickled fragment (RFC 8840 §9): candidates, or new credentials for an ICE restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SdpFragment {
    pub ufrag: Option<String>,
    pub pwd: Option<String>,
    /// Those that name an address; mDNS names and TCP are left out, since checks reveal the address anyway.
    pub candidates: Vec<Candidate>,
    pub end_of_candidates: bool,
}

impl SdpFragment {
    pub fn parse(text: &str) -> Result<Self, SdpRefused> {
        if text.len() > MAX_FRAGMENT_BYTES {
            return Err(SdpRefused::TooLarge(text.len()));
        }
        let mut fragment = Self::default();
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let Some(attribute) = line.strip_prefix("a=") else {
                // Pseudo m-lines name the section; everything is bundled here.
                if line.starts_with("m=") {
                    continue;
                }
                return Err(SdpRefused::Malformed("a fragment holds m= and a= lines only".to_owned()));
            };
            if let Some(ufrag) = attribute.strip_prefix("ice-ufrag:") {
                fragment.ufrag = Some(credential(ufrag, 4)?);
            } else if let Some(pwd) = attribute.strip_prefix("ice-pwd:") {
                fragment.pwd = Some(credential(pwd, 22)?);
            } else if attribute.starts_with("candidate:") {
                if fragment.candidates.len() == MAX_CANDIDATES {
                    return Err(SdpRefused::TooManyCandidates);
                }
                fragment.candidates.extend(Candidate::from_sdp_string(attribute).ok());
            } else if attribute == "end-of-candidates" {
                fragment.end_of_candidates = true;
            }
        }
        Ok(fragment)
    }
}

/// ICE credentials are 4 or 22 to 256 ice-chars (RFC 8839 §5.4).
fn credential(text: &str, min: usize) -> Result<String, SdpRefused> {
    let fits = (min..=256).contains(&text.len());
    if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/') {
        Ok(text.to_owned())
    } else {
        Err(SdpRefused::Malformed("ICE credentials are 4 or 22 to 256 letters, digits, + and /".to_owned()))
    }
}

/// `offer` with other ICE credentials, as an ICE restart offers them.
pub(crate) fn with_credentials(offer: &str, ufrag: &str, pwd: &str) -> String {
    let mut text = String::with_capacity(offer.len() + 64);
    for line in offer.lines().map(str::trim_end) {
        if line.starts_with("a=ice-ufrag:") {
            text.push_str("a=ice-ufrag:");
            text.push_str(ufrag);
        } else if line.starts_with("a=ice-pwd:") {
            text.push_str("a=ice-pwd:");
            text.push_str(pwd);
        } else {
            text.push_str(line);
        }
        text.push_str("\r\n");
    }
    text
}
