//! HTTP requests as a test writes them, right ones and wrong ones: one connection each, nothing interpreted.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::process::SetupError;

/// Longer than any answer that a server is allowed to hold back.
const LIMIT: Duration = Duration::from_secs(30);
const ANSWER_MAX: u64 = 64 << 20;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends one request and reads the whole answer. HTTP/1.0, so that the end of the connection ends the body.
pub fn request(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, SetupError> {
    let mut head =
        format!("{method} {path} HTTP/1.0\r\nHost: {server}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    exchange(server, &[head.as_bytes(), body].concat())
}

/// Sends `bytes` as they are and reads the whole answer.
pub fn exchange(server: SocketAddr, bytes: &[u8]) -> Result<Answer, SetupError> {
    let what = || {
        String::from_utf8_lossy(bytes.split(|byte| *byte == b'\r').next().unwrap_or_default()).into_owned()
    };
    let failed = |source| SetupError::File { what: what(), source };
    let mut socket = TcpStream::connect_timeout(&server, LIMIT).map_err(failed)?;
    socket.set_read_timeout(Some(LIMIT)).map_err(failed)?;
    socket.set_write_timeout(Some(LIMIT)).map_err(failed)?;
    // A server may refuse before it has read everything, and close: its answer still counts.
    let sent = socket.write_all(bytes);
    let mut raw = Vec::new();
    let read = socket.take(ANSWER_MAX).read_to_end(&mut raw);
    match (sent, read) {
        (_, Err(source)) if raw.is_empty() || source.kind() != ErrorKind::ConnectionReset => {
            Err(failed(source))
        }
        (Err(source), _) if raw.is_empty() => Err(failed(source)),
        _ => parse(&raw).ok_or_else(|| SetupError::Ended {
            what: what(),
            output: String::from_utf8_lossy(&raw[..raw.len().min(200)]).into_owned(),
        }),
    }
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&raw[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Some(Answer { status, headers, body: raw[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = parse(b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\ngone").unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (404, "gone"));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert!(parse(b"nonsense").is_none());
    }
}
