//! Delivery directives (RFC 8216bis §6.2.5): what a playlist request asks for, and what it gets.

use thiserror::Error;

/// A playlist request's directives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReloadRequest {
    /// `_HLS_msn`: hold the answer until this segment is there.
    pub msn: Option<u64>,
    /// `_HLS_part`: or already this part of it.
    pub part: Option<u64>,
    /// `_HLS_skip`: a delta update will do.
    pub skip: bool,
}

/// Why a request gets 400.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadReload {
    #[error("{0} is not a whole number")]
    NotANumber(&'static str),
    #[error("{0} stands twice")]
    Twice(&'static str),
    #[error("_HLS_part without _HLS_msn")]
    PartWithoutSegment,
    #[error("_HLS_skip is neither YES nor v2")]
    UnknownSkip,
    #[error("it asks for what lies too far in the future")]
    TooFarAhead,
}

/// What a request gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The playlist's text.
    Ready(String),
    /// Ask again when a part was added.
    Wait,
    BadRequest(BadReload),
}

impl ReloadRequest {
    /// Reads the query of a playlist's address, without `?`. Other parameters are passed over.
    ///
    /// # Errors
    /// [`BadReload`] for directives that are not what the RFC allows.
    pub fn parse(query: &str) -> Result<Self, BadReload> {
        let mut request = Self::default();
        let mut skip = None;
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "_HLS_msn" => set(&mut request.msn, "_HLS_msn", number("_HLS_msn", value)?)?,
                "_HLS_part" => set(&mut request.part, "_HLS_part", number("_HLS_part", value)?)?,
                "_HLS_skip" if matches!(value, "YES" | "v2") => set(&mut skip, "_HLS_skip", ())?,
                "_HLS_skip" => return Err(BadReload::UnknownSkip),
                _ => {}
            }
        }
        if request.part.is_some() && request.msn.is_none() {
            return Err(BadReload::PartWithoutSegment);
        }
        request.skip = skip.is_some();
        Ok(request)
    }
}

fn set<T>(place: &mut Option<T>, name: &'static str, value: T) -> Result<(), BadReload> {
    if place.replace(value).is_some() { Err(BadReload::Twice(name)) } else { Ok(()) }
}

/// decimal-integer of RFC 8216 §4.2: digits alone.
fn number(name: &'static str, value: &str) -> Result<u64, BadReload> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(BadReload::NotANumber(name));
    }
    value.parse().map_err(|_| BadReload::NotANumber(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directives_are_found_among_other_parameters() {
        let request = ReloadRequest::parse("token=a%20b&_HLS_msn=17&_HLS_part=3&_HLS_skip=v2&x").unwrap();
        assert_eq!(request, ReloadRequest { msn: Some(17), part: Some(3), skip: true });
        assert_eq!(ReloadRequest::parse(""), Ok(ReloadRequest::default()));
    }

    #[test]
    fn malformed_directives_are_refused_by_name() {
        for (query, error) in [
            ("_HLS_msn=-1", BadReload::NotANumber("_HLS_msn")),
            ("_HLS_msn=+1", BadReload::NotANumber("_HLS_msn")),
            ("_HLS_msn=", BadReload::NotANumber("_HLS_msn")),
            ("_HLS_msn=99999999999999999999", BadReload::NotANumber("_HLS_msn")),
            ("_HLS_part=1", BadReload::PartWithoutSegment),
            ("_HLS_msn=1&_HLS_msn=2", BadReload::Twice("_HLS_msn")),
            ("_HLS_skip=NO", BadReload::UnknownSkip),
        ] {
            assert_eq!(ReloadRequest::parse(query), Err(error), "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "[_HLSmsnpartkipYE0-9=&v%]{0,60}") {
            let _ = ReloadRequest::parse(&query);
        }
    }
}
