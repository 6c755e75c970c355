//! Links that open the program: `tickcast:approve?…` asks the wallet, `tickcast:watch?url=…` plays what a watch page's
//! address names. Both are somebody else's text.

#[cfg(feature = "windows")]
use anyhow::bail;

const SCHEME: &str = "tickcast:";

/// A link with its scheme as pages write it: browsers and people may put slashes after it.
pub(crate) fn whole(link: &str) -> String {
    let link = link.trim();
    match link.strip_prefix(SCHEME) {
        Some(rest) => format!("{SCHEME}{}", rest.trim_start_matches('/')),
        None => link.to_owned(),
    }
}

/// As forms encode it. `None` for what is no text, or has what could deceive a terminal.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = tail;
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The address that a link to a stream names; any other text as it is.
#[cfg(feature = "engine")]
pub(crate) fn watched(text: &str) -> Option<String> {
    match whole(text).strip_prefix(SCHEME) {
        Some(rest) => decoded(rest.strip_prefix("watch?url=")?),
        None => Some(text.to_owned()),
    }
}

/// The command that a link means.
///
/// # Errors
/// Where it means none.
#[cfg(feature = "windows")]
pub fn arguments(link: &str) -> anyhow::Result<[String; 3]> {
    let link = whole(link);
    let is_page = link.starts_with("http://") || link.starts_with("https://");
    let command = match link.strip_prefix(SCHEME) {
        Some(rest) if rest.starts_with("approve?") => "approve",
        Some(rest) if rest.starts_with("watch?") && watched(&link).is_some() => "watch",
        None if is_page => "watch",
        _ => bail!("this link means nothing to this version: it is neither a stream's nor a wallet's"),
    };
    // Whatever it looks like, it is no option.
    Ok([command.to_owned(), "--".to_owned(), link])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "windows")]
    #[test]
    fn a_link_is_watched_or_approved_and_nothing_else() {
        let told = |link: &str| arguments(link).map(|[command, _, link]| (command, link)).ok();
        let (watch, approve) = ("tickcast:watch?url=http%3A%2F%2Fh%2Fwatch%2Fx", "tickcast:approve?node=x");
        assert_eq!(told(watch), Some(("watch".into(), watch.into())));
        assert_eq!(told(approve), Some(("approve".into(), approve.into())));
        assert_eq!(told("tickcast://approve?node=x\n"), Some(("approve".into(), approve.into())));
        assert_eq!(told("https://h/watch/x").map(|(command, _)| command), Some("watch".into()));
        for bad in
            ["", "--headless", "tickcast:", "tickcast:node?x", "file:///etc/passwd", "tickcast:watch?x"]
        {
            assert_eq!(told(bad), None, "{bad}");
        }
    }

    #[cfg(feature = "engine")]
    #[test]
    fn a_streams_link_is_its_pages_address() {
        let page = "http://h:8080/watch/Ab-9_x";
        assert_eq!(
            watched("tickcast:watch?url=http%3A%2F%2Fh%3A8080%2Fwatch%2FAb-9_x").as_deref(),
            Some(page)
        );
        assert_eq!(watched("tickcast://watch?url=http://h:8080/watch/Ab-9_x").as_deref(), Some(page));
        assert_eq!(watched(page).as_deref(), Some(page));
        for bad in ["tickcast:approve?x", "tickcast:watch", "tickcast:watch?url=%0a", "tickcast:watch?url=%f"]
        {
            assert_eq!(watched(bad), None, "{bad}");
        }
    }
}
