//! The movie box: tracks, sample entries, and sample tables where there are no fragments.

use super::boxes::{put_box, put_full_box, put_u16, put_u32, put_u64, put_zeros};
use super::sample::TrackConfig;

/// Ticks a second of the movie header and of edit lists.
pub(super) const MOVIE_TIMESCALE: u32 = 90_000;
/// "und", five bits a letter (§8.4.2.3).
const UNDETERMINED_LANGUAGE: u16 = 0x55c4;
const IDENTITY_MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Media {
    Video { width: u32, height: u32 },
    Audio,
}

/// A track as the movie box says it.
pub(super) struct Trak {
    pub id: u32,
    pub media: Media,
    pub timescale: u32,
    /// The whole sample description box.
    pub stsd: Vec<u8>,
    /// `None` where the samples come in fragments.
    pub tables: Option<Tables>,
}

/// Where a plain MP4's samples are (§8.6, §8.7).
#[derive(Default)]
pub(super) struct Tables {
    /// In the track's timescale.
    pub duration: u64,
    /// Before the first sample, in the movie's timescale.
    pub delay: u64,
    /// The presentation time of the first sample on its own time line.
    pub media_time: i64,
    /// Runs of samples with one duration.
    pub durations: Vec<(u32, u32)>,
    /// Runs of samples with one composition offset; empty when all are zero.
    pub compositions: Vec<(u32, i32)>,
    /// Numbers of key samples from 1; `None` when all are.
    pub keys: Option<Vec<u32>>,
    pub sizes: Vec<u32>,
    /// Samples and file offset of each chunk.
    pub chunks: Vec<(u32, u64)>,
    /// Offsets of 64 bits, for files over 4 GiB.
    pub wide_offsets: bool,
}

impl Trak {
    pub(super) fn fragmented(id: u32, config: &TrackConfig) -> Self {
        let media = match config {
            TrackConfig::H264 { size, .. } => Media::Video { width: size.width, height: size.height },
            TrackConfig::Aac { .. } | TrackConfig::Opus(_) => Media::Audio,
        };
        let timescale = config.timescale().ticks_per_second();
        Self { id, media, timescale, stsd: sample_description(config), tables: None }
    }
}

pub(super) fn put_ftyp(out: &mut Vec<u8>, major: &[u8; 4], compatible: &[&[u8; 4]]) {
    put_box(out, b"ftyp", |out| {
        out.extend_from_slice(major);
        put_u32(out, 0x200);
        compatible.iter().for_each(|brand| out.extend_from_slice(*brand));
    });
}

pub(super) fn put_moov(out: &mut Vec<u8>, tracks: &[Trak]) {
    let longest = tracks.iter().map(movie_duration).max().unwrap_or(0);
    put_box(out, b"moov", |out| {
        put_full_box(out, b"mvhd", 1, 0, |out| {
            put_zeros(out, 16); // made and changed: never, so that equal input gives equal bytes
            put_u32(out, MOVIE_TIMESCALE);
            put_u64(out, longest);
            put_u32(out, 0x1_0000); // rate
            put_u16(out, 0x100); // volume
            put_zeros(out, 10);
            IDENTITY_MATRIX.iter().for_each(|&word| put_u32(out, word));
            put_zeros(out, 24);
            put_u32(out, tracks.iter().map(|track| track.id).max().unwrap_or(0) + 1);
        });
        tracks.iter().for_each(|track| put_trak(out, track));
        if tracks.iter().any(|track| track.tables.is_none()) {
            put_box(out, b"mvex", |out| {
                for track in tracks {
                    put_full_box(out, b"trex", 0, 0, |out| {
                        [track.id, 1, 0, 0, 0].into_iter().for_each(|word| put_u32(out, word));
                    });
                }
            });
        }
    });
}

/// With its delay, in the movie's timescale; 0 for a fragmented track.
fn movie_duration(track: &Trak) -> u64 {
    track.tables.as_ref().map_or(0, |tables| tables.delay + played(tables, track.timescale))
}

fn played(tables: &Tables, timescale: u32) -> u64 {
    let ticks = u128::from(tables.duration) * u128::from(MOVIE_TIMESCALE) / u128::from(timescale.max(1));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn put_trak(out: &mut Vec<u8>, track: &Trak) {
    put_box(out, b"trak", |out| {
        // Enabled and in the movie.
        put_full_box(out, b"tkhd", 1, 3, |out| {
            put_zeros(out, 16);
            put_u32(out, track.id);
            put_zeros(out, 4);
            put_u64(out, movie_duration(track));
            put_zeros(out, 8);
            put_zeros(out, 4); // layer, alternate group
            put_u16(out, if track.media == Media::Audio { 0x100 } else { 0 });
            put_zeros(out, 2);
            IDENTITY_MATRIX.iter().for_each(|&word| put_u32(out, word));
            let (width, height) = match track.media {
                Media::Video { width, height } => (width, height),
                Media::Audio => (0, 0),
            };
            put_u32(out, width << 16);
            put_u32(out, height << 16);
        });
        if let Some(tables) = &track.tables
            && (tables.delay > 0 || tables.media_time > 0)
        {
            put_edits(out, tables, track.timescale);
        }
        put_box(out, b"mdia", |out| put_mdia(out, track));
    });
}

/// §8.6.6: an empty edit for the delay, then the media from its first presentation time.
fn put_edits(out: &mut Vec<u8>, tables: &Tables, timescale: u32) {
    const RATE_ONE: u32 = 0x1_0000;
    put_box(out, b"edts", |out| {
        put_full_box(out, b"elst", 1, 0, |out| {
            put_u32(out, 1 + u32::from(tables.delay > 0));
            if tables.delay > 0 {
                put_u64(out, tables.delay);
                put_u64(out, u64::MAX); // media time −1: nothing
                put_u32(out, RATE_ONE);
            }
            put_u64(out, played(tables, timescale));
            put_u64(out, tables.media_time.max(0) as u64);
            put_u32(out, RATE_ONE);
        });
    });
}

fn put_mdia(out: &mut Vec<u8>, track: &Trak) {
    put_full_box(out, b"mdhd", 1, 0, |out| {
        put_zeros(out, 16);
        put_u32(out, track.timescale);
        put_u64(out, track.tables.as_ref().map_or(0, |tables| tables.duration));
        put_u16(out, UNDETERMINED_LANGUAGE);
        put_zeros(out, 2);
    });
    let (handler, name): (&[u8; 4], &[u8]) = match track.media {
        Media::Video { .. } => (b"vide", b"Video\0"),
        Media::Audio => (b"soun", b"Sound\0"),
    };
    put_full_box(out, b"hdlr", 0, 0, |out| {
        put_zeros(out, 4);
        out.extend_from_slice(handler);
        put_zeros(out, 12);
        out.extend_from_slice(name);
    });
    put_box(out, b"minf", |out| {
        match track.media {
            Media::Video { .. } => put_full_box(out, b"vmhd", 0, 1, |out| put_zeros(out, 8)),
            Media::Audio => put_full_box(out, b"smhd", 0, 0, |out| put_zeros(out, 4)),
        }
        put_box(out, b"dinf", |out| {
            put_full_box(out, b"dref", 0, 0, |out| {
                put_u32(out, 1);
                put_full_box(out, b"url ", 0, 1, |_| ()); // in this file
            });
        });
        put_box(out, b"stbl", |out| {
            out.extend_from_slice(&track.stsd);
            put_tables(out, track.tables.as_ref().unwrap_or(&Tables::default()));
        });
    });
}

fn put_table<T>(out: &mut Vec<u8>, kind: &[u8; 4], version: u8, rows: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_full_box(out, kind, version, 0, |out| {
        put_u32(out, rows.len() as u32);
        rows.iter().for_each(|row| put(out, row));
    });
}

fn put_tables(out: &mut Vec<u8>, tables: &Tables) {
    put_table(out, b"stts", 0, &tables.durations, |out, &(count, duration)| {
        put_u32(out, count);
        put_u32(out, duration);
    });
    if !tables.compositions.is_empty() {
        put_table(out, b"ctts", 1, &tables.compositions, |out, &(count, offset)| {
            put_u32(out, count);
            put_u32(out, offset as u32);
        });
    }
    if let Some(keys) = &tables.keys {
        put_table(out, b"stss", 0, keys, |out, &number| put_u32(out, number));
    }
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (number, &(samples, _)) in (1..).zip(&tables.chunks) {
        if runs.last().is_none_or(|&(_, last)| last != samples) {
            runs.push((number, samples));
        }
    }
    put_table(out, b"stsc", 0, &runs, |out, &(first, samples)| {
        [first, samples, 1].into_iter().for_each(|word| put_u32(out, word));
    });
    put_full_box(out, b"stsz", 0, 0, |out| {
        put_u32(out, 0);
        put_u32(out, tables.sizes.len() as u32);
        tables.sizes.iter().for_each(|&size| put_u32(out, size));
    });
    if tables.wide_offsets {
        put_table(out, b"co64", 0, &tables.chunks, |out, &(_, offset)| put_u64(out, offset));
    } else {
        put_table(out, b"stco", 0, &tables.chunks, |out, &(_, offset)| put_u32(out, offset as u32));
    }
}

fn sample_description(config: &TrackConfig) -> Vec<u8> {
    let mut out = Vec::new();
    put_full_box(&mut out, b"stsd", 0, 0, |out| {
        put_u32(out, 1);
        match config {
            TrackConfig::H264 { config: avc, size, colour } => put_box(out, b"avc1", |out| {
                put_zeros(out, 6);
                put_u16(out, 1); // data reference
                put_zeros(out, 16);
                put_u16(out, size.width as u16);
                put_u16(out, size.height as u16);
                put_u32(out, 0x48_0000); // 72 dpi
                put_u32(out, 0x48_0000);
                put_zeros(out, 4);
                put_u16(out, 1); // frames a sample
                put_zeros(out, 32); // compressor name
                put_u16(out, 24);
                put_u16(out, u16::MAX);
                put_box(out, b"avcC", |out| out.extend_from_slice(&avc.to_bytes()));
                if let Some(colour) = colour {
                    put_box(out, b"colr", |out| {
                        out.extend_from_slice(b"nclx");
                        let codes = [colour.primaries, colour.transfer, colour.matrix];
                        codes.iter().for_each(|&code| put_u16(out, code.into()));
                        out.push(u8::from(colour.full_range) << 7);
                    });
                }
            }),
            TrackConfig::Aac { config, bytes } => put_box(out, b"mp4a", |out| {
                put_audio_entry(out, config.channels, config.rate);
                put_full_box(out, b"esds", 0, 0, |out| put_es_descriptor(out, bytes));
            }),
            TrackConfig::Opus(head) => put_box(out, b"Opus", |out| {
                put_audio_entry(out, head.channels.into(), crate::opus::RATE);
                put_box(out, b"dOps", |out| out.extend_from_slice(&head.to_dops()));
            }),
        }
    });
    out
}

/// §12.2.3, up to the boxes of the codec.
fn put_audio_entry(out: &mut Vec<u8>, channels: u16, rate: u32) {
    put_zeros(out, 6);
    put_u16(out, 1);
    put_zeros(out, 8);
    put_u16(out, channels);
    put_u16(out, 16);
    put_zeros(out, 4);
    // 16.16 fixed point; a rate that does not fit is said by the codec's own header.
    put_u32(out, if rate < 1 << 16 { rate << 16 } else { 0 });
}

/// ISO/IEC 14496-1 §7.2.6: a stream of MPEG-4 audio with its AudioSpecificConfig.
fn put_es_descriptor(out: &mut Vec<u8>, config: &[u8]) {
    let descriptor = |tag: u8, body: &[u8]| {
        // Lengths have seven bits a byte; four bytes are the customary form.
        let length = body.len() as u32;
        let mut out = vec![tag];
        out.extend((1..4).rev().map(|group| 0x80 | (length >> (7 * group)) as u8 & 0x7f));
        out.push(length as u8 & 0x7f);
        out.extend_from_slice(body);
        out
    };
    let mut decoder = vec![0x40, 0x15]; // MPEG-4 audio; audio stream
    put_zeros(&mut decoder, 11); // buffer and bitrates: not known
    decoder.extend(descriptor(5, config));
    let mut stream = vec![0, 0, 0]; // id 0, no dependence
    stream.extend(descriptor(4, &decoder));
    stream.extend(descriptor(6, &[2])); // predefined: MP4
    out.extend(descriptor(3, &stream));
}
