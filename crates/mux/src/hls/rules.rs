//! The rules of RFC 8216bis that a playlist must keep, as a reader of its text sees them.

use std::collections::BTreeMap;

/// A segment as the text lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Listed {
    pub uri: String,
    pub duration: f64,
    pub parts: Vec<(String, f64, bool)>,
    pub date: String,
    pub discontinuity: bool,
    pub gap: bool,
}

/// What the text says.
#[derive(Clone, Debug, Default)]
pub(super) struct Read {
    pub target: f64,
    pub part_target: f64,
    pub first_msn: u64,
    pub discontinuities: u64,
    pub skipped: usize,
    pub segments: Vec<Listed>,
    /// Parts of the segment that grows.
    pub open: Listed,
    pub map: Option<String>,
    pub hint: Option<String>,
    pub reports: Vec<String>,
    pub ended: bool,
}

fn attributes(line: &str) -> BTreeMap<&str, &str> {
    let (_, list) = line.split_once(':').unwrap();
    // No attribute of these tests has a comma inside its quotes.
    list.split(',').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k, v.trim_matches('"'))).collect()
}

/// Milliseconds within the day.
pub(super) fn clock_ms(date: &str) -> i64 {
    let time = date.split_once('T').unwrap().1.trim_end_matches('Z');
    let mut fields = time.split([':', '.']).map(|field| field.parse::<i64>().unwrap());
    let mut next = || fields.next().unwrap();
    ((next() * 60 + next()) * 60 + next()) * 1000 + next()
}

/// Reads a playlist and asserts what holds for every one. `regular`: no frame is longer than another, so
/// parts have their least length too.
pub(super) fn check(text: &str, regular: bool) -> Read {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("#EXTM3U"));
    let mut read = Read::default();
    let mut control = BTreeMap::new();
    for line in lines {
        match line.split(':').next().unwrap() {
            "#EXT-X-VERSION" => assert_eq!(line, "#EXT-X-VERSION:9"),
            "#EXT-X-TARGETDURATION" => read.target = line.split_once(':').unwrap().1.parse().unwrap(),
            "#EXT-X-SERVER-CONTROL" => control = attributes(line),
            "#EXT-X-PART-INF" => read.part_target = attributes(line)["PART-TARGET"].parse().unwrap(),
            "#EXT-X-MEDIA-SEQUENCE" => read.first_msn = line.split_once(':').unwrap().1.parse().unwrap(),
            "#EXT-X-DISCONTINUITY-SEQUENCE" => {
                read.discontinuities = line.split_once(':').unwrap().1.parse().unwrap();
            }
            "#EXT-X-SKIP" => read.skipped = attributes(line)["SKIPPED-SEGMENTS"].parse().unwrap(),
            "#EXT-X-MAP" => {
                read.map.get_or_insert(attributes(line)["URI"].to_owned());
            }
            "#EXT-X-PROGRAM-DATE-TIME" => read.open.date = line.split_once(':').unwrap().1.to_owned(),
            "#EXT-X-DISCONTINUITY" => read.open.discontinuity = true,
            "#EXT-X-GAP" => read.open.gap = true,
            "#EXT-X-PART" => {
                let part = attributes(line);
                let independent = part.get("INDEPENDENT") == Some(&"YES");
                read.open.parts.push((
                    part["URI"].to_owned(),
                    part["DURATION"].parse().unwrap(),
                    independent,
                ));
            }
            "#EXTINF" => {
                read.open.duration = line.split_once(':').unwrap().1.trim_end_matches(',').parse().unwrap();
            }
            "#EXT-X-PRELOAD-HINT" => assert!(read.hint.replace(attributes(line)["URI"].to_owned()).is_none()),
            "#EXT-X-RENDITION-REPORT" => read.reports.push(line.to_owned()),
            "#EXT-X-ENDLIST" => read.ended = true,
            _ => {
                assert!(!line.starts_with('#'), "unknown tag {line}");
                read.open.uri = line.to_owned();
                read.segments.push(std::mem::take(&mut read.open));
            }
        }
    }
    assert_eq!(control["CAN-BLOCK-RELOAD"], "YES");
    assert!(control["PART-HOLD-BACK"].parse::<f64>().unwrap() >= 3.0 * read.part_target - 1e-5);
    assert!(control["CAN-SKIP-UNTIL"].parse::<f64>().unwrap() >= 6.0 * read.target);
    assert_eq!(read.hint.is_some(), !read.ended);
    assert!(read.skipped > 0 || read.map.is_some(), "{text}");
    check_segments(&read, regular);
    read
}

fn check_segments(read: &Read, regular: bool) {
    let end: f64 = read.segments.iter().map(|s| s.duration).sum::<f64>()
        + read.open.parts.iter().map(|(_, duration, _)| duration).sum::<f64>();
    let mut at = 0.0;
    for (index, segment) in read.segments.iter().enumerate() {
        assert!(segment.duration.round() <= read.target, "{segment:?}");
        assert!(segment.date.ends_with('Z'), "every segment has its date: {segment:?}");
        at += segment.duration;
        if segment.parts.is_empty() {
            assert!(segment.gap || end - at >= 3.0 * read.target - 1e-4, "parts are missing: {segment:?}");
        } else {
            assert!(end - at < 3.0 * read.target, "parts too old: {segment:?}");
            let sum: f64 = segment.parts.iter().map(|(_, duration, _)| duration).sum();
            assert!((sum - segment.duration).abs() < 1e-4, "{segment:?}");
        }
        if let Some(next) = read.segments.get(index + 1).filter(|next| !next.discontinuity && !next.gap)
            && !segment.gap
            && regular
        {
            let step = clock_ms(&next.date) - clock_ms(&segment.date);
            assert!((step as f64 - segment.duration * 1000.0).abs() < 2.0, "{segment:?} {next:?}");
        }
    }
    let open_last = read.open.parts.len().saturating_sub(1);
    let all = read.segments.iter().map(|s| (s.parts.len().saturating_sub(1), s));
    for (last, segment) in all.chain([(open_last + 1, &read.open)]) {
        for (index, (_, duration, _)) in segment.parts.iter().enumerate() {
            assert!(*duration <= read.part_target || !regular, "{segment:?}");
            assert!(index >= last || *duration >= 0.85 * read.part_target || !regular, "{segment:?}");
        }
    }
}
