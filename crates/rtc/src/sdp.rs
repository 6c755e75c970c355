//! What we must know of an SDP before the WebRTC library gets it (RFC 8866), and the m-lines' names.

use thiserror::Error;

/// Answers are a few kilobytes; a longer one is an attack or an error page.
const SDP_MAX: usize = 256 * 1024;
const LINE_MAX: usize = 4096;
const SECTIONS_MAX: usize = 16;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SdpError {
    #[error("it is longer than {SDP_MAX} bytes or has a line over {LINE_MAX}")]
    TooLong,
    #[error("it does not begin with \"v=0\"")]
    NotSdp,
    #[error("line {0} is not of the form \"x=value\"")]
    BadLine(usize),
    #[error("it has {0} media sections")]
    Sections(usize),
    #[error("it lacks {0}")]
    Missing(&'static str),
}

/// Refuses an answer that cannot lead to a connection, with the reason.
pub fn check_answer(sdp: &str) -> Result<(), SdpError> {
    if sdp.len() > SDP_MAX {
        return Err(SdpError::TooLong);
    }
    let mut sections = 0;
    let (mut ufrag, mut fingerprint) = (false, false);
    for (index, line) in sdp.lines().enumerate() {
        let bytes = line.as_bytes();
        if bytes.len() > LINE_MAX {
            return Err(SdpError::TooLong);
        }
        if index == 0 && line != "v=0" {
            return Err(SdpError::NotSdp);
        }
        if bytes.len() < 2 || !bytes[0].is_ascii_lowercase() || bytes[1] != b'=' {
            return Err(SdpError::BadLine(index + 1));
        }
        sections += usize::from(line.starts_with("m="));
        ufrag |= line.starts_with("a=ice-ufrag:");
        fingerprint |= line.starts_with("a=fingerprint:");
    }
    match sections {
        _ if sdp.is_empty() => Err(SdpError::NotSdp),
        0 => Err(SdpError::Missing("a media section")),
        count if count > SECTIONS_MAX => Err(SdpError::Sections(count)),
        _ if !ufrag => Err(SdpError::Missing("ICE credentials")),
        _ if !fingerprint => Err(SdpError::Missing("a certificate fingerprint")),
        _ => Ok(()),
    }
}

/// The `mid` (RFC 5888) of the first section of `kind` ("video", "audio").
pub fn mid_of<'a>(sdp: &'a str, kind: &str) -> Option<&'a str> {
    let mut inside = false;
    for line in sdp.lines() {
        if let Some(section) = line.strip_prefix("m=") {
            inside = section.split(' ').next() == Some(kind);
        } else if inside && let Some(mid) = line.strip_prefix("a=mid:") {
            return Some(mid);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=fingerprint:sha-256 AA:BB\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:1\r\n";

    #[test]
    fn sections_are_found_by_their_kind() {
        assert_eq!(mid_of(ANSWER, "video"), Some("1"));
        assert_eq!(mid_of(ANSWER, "audio"), Some("0"));
        assert_eq!(mid_of(ANSWER, "application"), None);
    }

    #[test]
    fn an_answer_that_cannot_lead_to_a_connection_is_refused_with_the_reason() {
        let without = |line: &str| check_answer(&ANSWER.replace(line, "")).unwrap_err();
        assert_eq!(check_answer(ANSWER), Ok(()));
        assert_eq!(check_answer(""), Err(SdpError::NotSdp));
        assert_eq!(check_answer("<html>not found</html>"), Err(SdpError::NotSdp));
        assert_eq!(check_answer("v=0\r\nhello\r\n"), Err(SdpError::BadLine(2)));
        assert_eq!(check_answer("v=0\r\n"), Err(SdpError::Missing("a media section")));
        assert_eq!(without("a=ice-ufrag:abcd\r\n"), SdpError::Missing("ICE credentials"));
        assert_eq!(
            without("a=fingerprint:sha-256 AA:BB\r\n"),
            SdpError::Missing("a certificate fingerprint")
        );
        let many = format!("{ANSWER}{}", "m=video 9 X 1\r\n".repeat(20));
        assert_eq!(check_answer(&many), Err(SdpError::Sections(22)));
        assert_eq!(check_answer(&format!("{ANSWER}a={}\r\n", "x".repeat(5000))), Err(SdpError::TooLong));
        assert_eq!(check_answer(&ANSWER.repeat(2000)), Err(SdpError::TooLong));
    }

    proptest! {
        #[test]
        fn damaged_answers_never_panic(at in 0usize..ANSWER.len(), byte in any::<u8>()) {
            let mut bytes = ANSWER.as_bytes().to_vec();
            bytes[at] = byte;
            let text = String::from_utf8_lossy(&bytes);
            let _ = check_answer(&text);
            mid_of(&text, "video");
        }
    }
}
