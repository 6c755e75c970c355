//! ICE servers from `Link` headers (RFC 9725 §4.6, RFC 8288).

/// One STUN or TURN server.
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `stuns:`, `turn:` or `turns:` (RFC 7064, RFC 7065).
    pub url: String,
    pub username: Option<String>,
    pub credential: Option<String>,
}

/// A credential must not reach a log by `{:?}`.
impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer").field("url", &self.url).finish_non_exhaustive()
    }
}

/// More servers than this are not looked at: each costs a socket and a timer.
const SERVERS_MAX: usize = 8;
/// A longer header is no list of ICE servers.
const HEADER_MAX: usize = 8 * 1024;
const SCHEMES: [&str; 4] = ["stun:", "stuns:", "turn:", "turns:"];

/// The ICE servers that the `Link` headers name. Links of another relation, of another scheme or that
/// cannot be read are passed over: they are not ours to judge.
pub fn ice_servers<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<IceServer> {
    headers
        .into_iter()
        .filter(|header| header.len() <= HEADER_MAX)
        .flat_map(|header| split_outside_quotes(header, ','))
        .filter_map(ice_server)
        .take(SERVERS_MAX)
        .collect()
}

/// One link value: `<target>; name=value; name="quoted value"`.
fn ice_server(link: &str) -> Option<IceServer> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let scheme = SCHEMES
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))?;
    if target.len() == scheme.len() || target.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let (mut is_ice_server, mut username, mut credential) = (false, None, None);
    for parameter in split_outside_quotes(parameters, ';') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = unquote(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            // A relation may be a list (RFC 8288 §3.3).
            "rel" => is_ice_server |= value.split_ascii_whitespace().any(|rel| rel == "ice-server"),
            "username" => username = Some(value),
            "credential" => credential = Some(value),
            _ => {}
        }
    }
    is_ice_server.then(|| IceServer { url: target.to_owned(), username, credential })
}

/// The parts of `text` between `separator`s that stand outside quotes and angle brackets.
fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped, mut in_target) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !in_target => quoted = !quoted,
            '<' if !quoted => in_target = true,
            '>' if !quoted => in_target = false,
            _ if c == separator && !quoted && !in_target => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(url: &str, login: Option<(&str, &str)>) -> IceServer {
        IceServer {
            url: url.into(),
            username: login.map(|(name, _)| name.into()),
            credential: login.map(|(_, secret)| secret.into()),
        }
    }

    #[test]
    fn the_example_of_the_standard_is_read() {
        // RFC 9725 §4.6, figure 5, its line folds removed.
        let headers = [
            r#"<stun:stun.example.net>; rel="ice-server""#,
            r#"<turn:turn.example.net?transport=udp>; rel="ice-server"; username="user"; credential="myPassword"; credential-type="password""#,
            r#"<turns:turn.example.net?transport=tcp>; rel="ice-server"; username="user"; credential="myPassword"; credential-type="password""#,
        ];
        let login = Some(("user", "myPassword"));
        let expected = [
            server("stun:stun.example.net", None),
            server("turn:turn.example.net?transport=udp", login),
            server("turns:turn.example.net?transport=tcp", login),
        ];
        assert_eq!(ice_servers(headers), expected);
        // The same in one header: RFC 9110 §5.3 lets a proxy join them.
        assert_eq!(ice_servers([headers.join(", ").as_str()]), expected);
    }

    #[test]
    fn separators_inside_quotes_belong_to_the_value() {
        let header = r#"<turn:h>; rel=ice-server; username="a,b;c"; credential="x\"y\\z""#;
        assert_eq!(ice_servers([header]), [server("turn:h", Some(("a,b;c", r#"x"y\z"#)))]);
    }

    #[test]
    fn other_links_are_passed_over() {
        assert_eq!(ice_servers([r#"<https://example.net/next>; rel="next""#]), []);
        assert_eq!(ice_servers([r#"<https://example.net>; rel="ice-server""#]), []);
        assert_eq!(ice_servers([r#"<stun:h>; rel="next""#, "<stun:h", "stun:h; rel=ice-server", ""]), []);
        assert_eq!(ice_servers([r#"<stun:>; rel="ice-server""#, r#"<stun:a b>; rel="ice-server""#]), []);
    }

    #[test]
    fn a_flood_of_servers_is_cut() {
        let header = "<stun:h>; rel=ice-server,".repeat(100);
        assert_eq!(ice_servers([header.as_str()]).len(), SERVERS_MAX);
    }

    #[test]
    fn a_credential_is_not_printed() {
        let printed = format!("{:?}", server("turn:h", Some(("someone", "secret"))));
        assert!(!printed.contains("secret") && !printed.contains("someone"), "{printed}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".*") {
            ice_servers([text.as_str()]);
        }

        #[test]
        fn a_damaged_header_is_read_without_a_panic(at in 0usize..90, byte in any::<char>()) {
            let header = r#"<turn:turn.example.net?transport=udp>; rel="ice-server"; username="u"; credential="c""#;
            let damaged: String = header.chars().enumerate().map(|(i, c)| if i == at { byte } else { c }).collect();
            prop_assert!(ice_servers([damaged.as_str()]).len() <= 2);
        }

        #[test]
        fn a_quoted_value_is_read_as_it_was(name in "[ -~]{0,20}") {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("<turn:h>; rel=\"ice-server\"; username=\"{quoted}\"; credential=c");
            let servers = ice_servers([header.as_str()]);
            prop_assert_eq!(servers[0].username.as_deref(), Some(name.as_str()));
        }
    }
}
