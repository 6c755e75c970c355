//! From a fragmented recording, also one that was cut off anywhere, to a plain MP4 that every player seeks.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::Mp4Error;
use super::boxes::{Fields, Header, Kind, child, children, descendant, put_box, read_header};
use super::fragment::{Defaults, Run, parse_moof};
use super::movie::{MOVIE_TIMESCALE, Media, Tables, Trak, put_ftyp, put_moov};

/// No header of a fragment of a second, and no movie box without samples, comes near this.
const MAX_METADATA_BYTES: u64 = 16 << 20;
const MAX_TRACKS: usize = 16;

/// What became of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    pub fragments: u32,
    pub samples: u64,
    /// Of the longest track.
    pub duration_ms: u64,
    /// At the torn end, left out.
    pub bytes_ignored: u64,
}

/// A track while its samples are gathered.
struct Gathered {
    trak: Trak,
    tables: Tables,
    defaults: Defaults,
    /// Decoding time of the first sample.
    start: Option<u64>,
    /// Decoding time after the last sample.
    end: u64,
    all_keys: bool,
}

/// Reads a fragmented MP4 of H.264, AAC or Opus and writes it as a plain one with its movie box in front.
/// Whatever follows the last whole fragment is left out.
///
/// # Errors
/// [`Mp4Error::NotFragmented`] when the input is something else or its header is damaged,
/// [`Mp4Error::Empty`] when it has no whole fragment, [`Mp4Error::Io`] when reading or writing fails.
pub fn finalise(mut input: impl Read + Seek, mut output: impl Write) -> Result<Summary, Mp4Error> {
    let length = input.seek(SeekFrom::End(0))?;
    let mut tracks: Vec<Gathered> = Vec::new();
    // Where each run's bytes are, in the order in which they will be written.
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let (mut at, mut whole_until, mut fragments) = (0, 0, 0);
    let mut pending: Option<Vec<Run>> = None;
    while let Some(header) = header_at(&mut input, at, length)? {
        let total = header.total_bytes.unwrap_or(length - at);
        let end = at.checked_add(total).filter(|&end| end <= length);
        let Some(end) = end else { break };
        match &header.kind {
            b"moov" if tracks.is_empty() => {
                tracks = read_tracks(&read_body(&mut input, at, &header, total)?)?;
            }
            b"moof" => {
                let body = read_body(&mut input, at, &header, total)?;
                let defaults = |id| {
                    tracks.iter().find(|t| t.trak.id == id).map_or_else(Defaults::default, |t| t.defaults)
                };
                pending = parse_moof(&body, at, defaults);
                if pending.is_none() {
                    break;
                }
            }
            b"mdat" => {
                if let Some(runs) = pending.take() {
                    let data = at + header.header_bytes..end;
                    let inside = |run: &Run| run.offset >= data.start && run_end(run) <= data.end;
                    if !runs.iter().all(inside) {
                        break;
                    }
                    fragments += 1;
                    runs.iter().for_each(|run| gather(&mut tracks, run, &mut ranges));
                }
                whole_until = end;
            }
            _ => {}
        }
        at = end;
    }
    if tracks.is_empty() {
        return Err(Mp4Error::NotFragmented("there is no movie box with tracks at its start"));
    }
    if ranges.is_empty() {
        return Err(Mp4Error::Empty);
    }
    let samples = tracks.iter().map(|track| track.tables.sizes.len() as u64).sum();
    let traks = finish_tables(tracks);
    let duration_ms = traks.iter().filter_map(|trak| {
        Some(u128::from(trak.tables.as_ref()?.duration) * 1000 / u128::from(trak.timescale.max(1)))
    });
    let duration_ms = duration_ms.max().unwrap_or(0) as u64;
    write_plain(&mut input, &mut output, traks, &ranges)?;
    Ok(Summary { fragments, samples, duration_ms, bytes_ignored: length - whole_until })
}

fn run_end(run: &Run) -> u64 {
    run.offset.saturating_add(run.samples.iter().map(|sample| u64::from(sample.size)).sum())
}

/// The header at `at`, if a whole one is there.
fn header_at(input: &mut (impl Read + Seek), at: u64, length: u64) -> io::Result<Option<Header>> {
    input.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(16);
    input.by_ref().take(16.min(length.saturating_sub(at))).read_to_end(&mut bytes)?;
    Ok(read_header(&bytes))
}

fn read_body(
    input: &mut (impl Read + Seek),
    at: u64,
    header: &Header,
    total: u64,
) -> Result<Vec<u8>, Mp4Error> {
    if total > MAX_METADATA_BYTES {
        return Err(Mp4Error::NotFragmented("a movie or fragment header is impossibly long"));
    }
    input.seek(SeekFrom::Start(at + header.header_bytes))?;
    let mut body = vec![0; (total - header.header_bytes) as usize];
    input.read_exact(&mut body)?;
    Ok(body)
}

fn read_tracks(moov: &[u8]) -> Result<Vec<Gathered>, Mp4Error> {
    if child(moov, b"mvex").is_none() {
        return Err(Mp4Error::NotFragmented("its movie box announces no fragments"));
    }
    let traks = children(moov).filter(|(kind, _)| kind == b"trak").take(MAX_TRACKS);
    let tracks: Option<Vec<_>> = traks.map(|(_, trak)| read_track(moov, trak)).collect();
    tracks.ok_or(Mp4Error::NotFragmented("a track's description is damaged"))
}

fn read_track(moov: &[u8], trak: &[u8]) -> Option<Gathered> {
    // Times are 64 bits long in version 1 (§8.3.2, §8.4.2).
    let times = |version: u8| if version == 1 { 16 } else { 8 };
    let mut tkhd = Fields(child(trak, b"tkhd")?);
    let (version, _) = tkhd.version_and_flags()?;
    tkhd.skip(times(version))?;
    let id = tkhd.u32()?;
    tkhd.skip(4 + times(version) / 2 + 16 + 36)?;
    let (width, height) = (tkhd.u32()? >> 16, tkhd.u32()? >> 16);
    let mdia = child(trak, b"mdia")?;
    let mut mdhd = Fields(child(mdia, b"mdhd")?);
    let (version, _) = mdhd.version_and_flags()?;
    mdhd.skip(times(version))?;
    let timescale = mdhd.u32().filter(|&timescale| timescale > 0)?;
    let media = match child(mdia, b"hdlr")?.get(8..12)? {
        b"vide" => Media::Video { width, height },
        b"soun" => Media::Audio,
        _ => return None,
    };
    let description = descendant(mdia, &[b"minf", b"stbl", b"stsd"])?;
    let mut stsd = Vec::new();
    put_box(&mut stsd, b"stsd", |out| out.extend_from_slice(description));
    Some(Gathered {
        trak: Trak { id, media, timescale, stsd, tables: None },
        tables: Tables::default(),
        defaults: read_defaults(child(moov, b"mvex")?, id),
        start: None,
        end: 0,
        all_keys: true,
    })
}

fn read_defaults(mvex: &[u8], id: u32) -> Defaults {
    let is_trex = |(kind, _): &(Kind, &[u8])| kind == b"trex";
    let read = |body: &[u8]| {
        let mut fields = Fields(body);
        fields.version_and_flags()?;
        let track = fields.u32()?;
        fields.u32()?;
        let defaults = Defaults { duration: fields.u32()?, size: fields.u32()?, flags: fields.u32()? };
        (track == id).then_some(defaults)
    };
    children(mvex).filter(is_trex).find_map(|(_, body)| read(body)).unwrap_or_default()
}

/// Adds a run to its track's tables; a run of an unknown track is passed over.
fn gather(tracks: &mut [Gathered], run: &Run, ranges: &mut Vec<(u64, u64)>) {
    let Some(track) = tracks.iter_mut().find(|track| track.trak.id == run.track) else { return };
    if run.samples.is_empty() {
        return;
    }
    let dts = run.dts.unwrap_or(track.end);
    if track.start.is_none() {
        track.start = Some(dts);
        track.end = dts;
        track.tables.media_time = run.samples[0].composition.into();
    }
    // A gap before this fragment is played as a longer last sample.
    if dts > track.end
        && let Some(last) = track.tables.durations.last_mut()
    {
        let longer = u32::try_from(dts - track.end).unwrap_or(u32::MAX).saturating_add(last.1);
        last.0 -= 1;
        if last.0 == 0 {
            track.tables.durations.pop();
        }
        push_run(&mut track.tables.durations, longer);
        track.end = dts;
    }
    for sample in &run.samples {
        push_run(&mut track.tables.durations, sample.duration);
        push_run(&mut track.tables.compositions, sample.composition);
        track.tables.sizes.push(sample.size);
        track.end = track.end.saturating_add(sample.duration.into());
        if sample.key {
            let number = track.tables.sizes.len() as u32;
            track.tables.keys.get_or_insert_default().push(number);
        } else {
            track.all_keys = false;
        }
    }
    // The offset is an index into the ranges for now; the place in the new file is not known yet.
    track.tables.chunks.push((run.samples.len() as u32, ranges.len() as u64));
    ranges.push((run.offset, run_end(run) - run.offset));
}

fn push_run<T: PartialEq>(runs: &mut Vec<(u32, T)>, value: T) {
    match runs.last_mut() {
        Some((count, last)) if *last == value => *count += 1,
        _ => runs.push((1, value)),
    }
}

/// Tracks that got samples, with durations and delays against the earliest.
fn finish_tables(tracks: Vec<Gathered>) -> Vec<Trak> {
    let in_movie = |ticks: u64, timescale: u32| {
        (u128::from(ticks) * u128::from(MOVIE_TIMESCALE) / u128::from(timescale)) as u64
    };
    // When its first sample is shown, which is later than decoded where there are B-frames.
    let start = |track: &Gathered| {
        let shown = track.start?.saturating_add_signed(track.tables.media_time.max(0));
        Some(in_movie(shown, track.trak.timescale))
    };
    let zero = tracks.iter().filter_map(start).min().unwrap_or(0);
    let finish = |mut track: Gathered| {
        let first = track.start?;
        track.tables.delay = start(&track)?.saturating_sub(zero);
        track.tables.duration = track.end.saturating_sub(first);
        if matches!(track.tables.compositions[..], [(_, 0)]) {
            track.tables.compositions.clear();
        }
        if track.all_keys {
            track.tables.keys = None;
        } else {
            track.tables.keys.get_or_insert_default();
        }
        track.trak.tables = Some(track.tables);
        Some(track.trak)
    };
    tracks.into_iter().filter_map(finish).collect()
}

fn write_plain(
    input: &mut (impl Read + Seek),
    output: &mut impl Write,
    mut traks: Vec<Trak>,
    ranges: &[(u64, u64)],
) -> Result<(), Mp4Error> {
    let data: u64 = ranges.iter().map(|&(_, length)| length).sum();
    let mut head = Vec::new();
    put_ftyp(&mut head, b"isom", &[b"isom", b"iso2", b"avc1", b"mp41"]);
    let mut moov = Vec::new();
    put_moov(&mut moov, &traks);
    // With offsets of 64 bits it is longer by four bytes a chunk: room for that decides which to use.
    let widest = (head.len() + moov.len() + 4 * ranges.len() + 16) as u64 + data;
    let large = widest > u64::from(u32::MAX);
    let moov_bytes = moov.len() + if large { 4 * ranges.len() } else { 0 };
    let mut place = (head.len() + moov_bytes + if large { 16 } else { 8 }) as u64;
    let mut places = Vec::with_capacity(ranges.len());
    for &(_, length) in ranges {
        places.push(place);
        place += length;
    }
    for tables in traks.iter_mut().filter_map(|trak| trak.tables.as_mut()) {
        tables.wide_offsets = large;
        tables.chunks.iter_mut().for_each(|(_, offset)| *offset = places[*offset as usize]);
    }
    put_moov(&mut head, &traks);
    if large {
        head.extend_from_slice(&[0, 0, 0, 1]);
        head.extend_from_slice(b"mdat");
        head.extend_from_slice(&(data + 16).to_be_bytes());
    } else {
        head.extend_from_slice(&(data as u32 + 8).to_be_bytes());
        head.extend_from_slice(b"mdat");
    }
    output.write_all(&head)?;
    for &(offset, length) in ranges {
        input.seek(SeekFrom::Start(offset))?;
        let copied = io::copy(&mut input.by_ref().take(length), output)?;
        if copied != length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    output.flush()?;
    Ok(())
}
