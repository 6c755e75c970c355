//! A page's link, `tickcast:approve?node=…&stream=…&tier=…&session=…&deposit=…`, with `&channel=…` where one is to be
//! topped up. It is somebody else's text: each field is there once, and what is not known is refused.

use std::collections::BTreeMap;
use std::fmt;

use pay::{Amount, ChannelId, PublicKey};

use crate::link::{decoded, whole};

const START: &str = "tickcast:approve?";
const LINK_MAX: usize = 1_024;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    /// Scheme, host and port.
    pub node: String,
    pub playback_id: String,
    pub tier: u8,
    /// The page's own.
    pub session: PublicKey,
    pub deposit: Amount,
    /// One that is to be topped up.
    pub channel: Option<ChannelId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadLink {
    NotALink,
    TooLong,
    Damaged,
    /// It is missing, or not what it should be.
    Field(&'static str),
    Unknown,
}

impl fmt::Display for BadLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotALink => write!(f, "a page's link begins with {START}: copy it whole, in quotes"),
            Self::TooLong => f.write_str("the link is too long"),
            Self::Damaged => f.write_str("the link is damaged: copy it anew"),
            Self::Field(name) => write!(f, "the link's {name} is missing, or not what it should be"),
            Self::Unknown => f.write_str("the link has more in it than this version knows"),
        }
    }
}

impl std::error::Error for BadLink {}

impl Request {
    pub fn parse(link: &str) -> Result<Self, BadLink> {
        let link = whole(link);
        let rest = link.strip_prefix(START).ok_or(BadLink::NotALink)?;
        if rest.len() > LINK_MAX {
            return Err(BadLink::TooLong);
        }
        let mut fields = BTreeMap::new();
        for pair in rest.split('&') {
            let (name, value) = pair.split_once('=').ok_or(BadLink::Damaged)?;
            let value = decoded(value).ok_or(BadLink::Damaged)?;
            if fields.insert(name, value).is_some() {
                return Err(BadLink::Damaged);
            }
        }
        let mut take = |name: &'static str| fields.remove(name).ok_or(BadLink::Field(name));
        let request = Self {
            node: Some(take("node")?).filter(|node| is_node(node)).ok_or(BadLink::Field("node"))?,
            playback_id: Some(take("stream")?).filter(|id| is_id(id)).ok_or(BadLink::Field("stream"))?,
            tier: take("tier")?.parse().map_err(|_| BadLink::Field("tier"))?,
            session: key(take("session")?).ok_or(BadLink::Field("session"))?,
            deposit: take("deposit")?.parse().map_err(|_| BadLink::Field("deposit"))?,
            channel: match take("channel") {
                Ok(id) => Some(id.parse().map_err(|_| BadLink::Field("channel"))?),
                Err(_) => None,
            },
        };
        if fields.is_empty() { Ok(request) } else { Err(BadLink::Unknown) }
    }
}

fn is_node(text: &str) -> bool {
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    // What stands before an @ is somebody's password, and looks like a host.
    authority
        .is_some_and(|authority| !authority.is_empty() && !authority.contains(['/', '?', '#', '@', '\\']))
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn key(text: String) -> Option<PublicKey> {
    serde_json::from_value(serde_json::Value::String(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> String {
        format!(
            "{START}node=http%3A%2F%2F127.0.0.1%3A8080&stream=Ab-9_x&tier=3&session=0x00{}&deposit=300000000",
            "11".repeat(32)
        )
    }

    #[test]
    fn a_pages_link_is_read_as_the_page_writes_it() {
        let request = Request::parse(&link()).unwrap();
        assert_eq!(
            (request.node.as_str(), request.playback_id.as_str(), request.tier, request.deposit.units()),
            ("http://127.0.0.1:8080", "Ab-9_x", 3, 300_000_000)
        );
        assert_eq!((request.session.bytes, request.channel), ([0x11; 32], None));
        let more = format!("{}&channel=0x{}", link(), "22".repeat(32));
        assert_eq!(
            Request::parse(&more).unwrap().channel.unwrap().to_string(),
            format!("0x{}", "22".repeat(32))
        );
    }

    #[test]
    fn what_is_no_link_of_a_page_is_refused() {
        let change = |from: &str, to: &str| Request::parse(&link().replace(from, to));
        assert_eq!(Request::parse("http://127.0.0.1:8080/watch/x"), Err(BadLink::NotALink));
        assert_eq!(Request::parse(&format!("{}&x={}", link(), "a".repeat(LINK_MAX))), Err(BadLink::TooLong));
        assert_eq!(Request::parse(&format!("{}&more=1", link())), Err(BadLink::Unknown));
        assert_eq!(Request::parse(&format!("{}&tier=1", link())), Err(BadLink::Damaged));
        assert_eq!(change("%3A8080", "%3"), Err(BadLink::Damaged));
        assert_eq!(change("%3A8080", "%0A8080"), Err(BadLink::Damaged));
        assert_eq!(change("%3A8080", "%C3%A9"), Err(BadLink::Damaged));
        for node in [
            "ftp%3A%2F%2Fx",
            "http%3A%2F%2F",
            "http%3A%2F%2Fgood.example%40evil.example",
            "https%3A%2F%2Fx%2Fy",
        ] {
            assert_eq!(change("http%3A%2F%2F127.0.0.1%3A8080", node), Err(BadLink::Field("node")), "{node}");
        }
        assert_eq!(change("Ab-9_x", "a%2Fb"), Err(BadLink::Field("stream")));
        assert_eq!(change("tier=3", "tier=300"), Err(BadLink::Field("tier")));
        assert_eq!(change("0x00", "0x07"), Err(BadLink::Field("session")));
        assert_eq!(change("deposit=300000000", "deposit=-1"), Err(BadLink::Field("deposit")));
        assert_eq!(change("deposit=300000000", "deposit=1.5"), Err(BadLink::Field("deposit")));
        assert_eq!(change("&deposit=300000000", ""), Err(BadLink::Field("deposit")));
    }
}
