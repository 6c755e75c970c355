//! Movie fragments: `moof` and `mdat` of a run of samples a track.

use super::boxes::{Fields, child, children, put_box, put_full_box, put_u32, put_u64};
use super::sample::Sample;

const BASE_OFFSET: u32 = 0x1;
const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;
const DATA_OFFSET: u32 = 0x1;
const FIRST_SAMPLE_FLAGS: u32 = 0x4;
const SAMPLE_DURATION: u32 = 0x100;
const SAMPLE_SIZE: u32 = 0x200;
const SAMPLE_FLAGS: u32 = 0x400;
const SAMPLE_COMPOSITION: u32 = 0x800;
/// §8.8.3.1: depends on nothing; or depends on others and is no sync sample.
const KEY_FLAGS: u32 = 0x0200_0000;
const DELTA_FLAGS: u32 = 0x0101_0000;
const NON_SYNC: u32 = 0x1_0000;

/// Appends a fragment of the given runs (track id, samples); empty runs are left out.
pub(super) fn put_fragment(out: &mut Vec<u8>, sequence: u32, runs: &[(u32, &[Sample])]) {
    let moof_at = out.len();
    let mut offset_places = Vec::with_capacity(runs.len());
    let runs = || runs.iter().filter(|(_, samples)| !samples.is_empty());
    put_box(out, b"moof", |out| {
        put_full_box(out, b"mfhd", 0, 0, |out| put_u32(out, sequence));
        for (id, samples) in runs() {
            put_box(out, b"traf", |out| {
                put_full_box(out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF, |out| put_u32(out, *id));
                // Never negative: the queue that made the samples holds them at zero or after.
                put_full_box(out, b"tfdt", 1, 0, |out| put_u64(out, samples[0].dts.max(0) as u64));
                offset_places.push(put_run(out, samples));
            });
        }
    });
    let mut data_at = out.len() - moof_at + 8;
    for (place, (_, samples)) in offset_places.into_iter().zip(runs()) {
        out[place..place + 4].copy_from_slice(&(data_at as u32).to_be_bytes());
        data_at += samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    }
    put_box(out, b"mdat", |out| {
        let samples = runs().flat_map(|(_, samples)| *samples);
        samples.for_each(|sample| out.extend_from_slice(&sample.data));
    });
}

/// Appends `trun` and says where its data offset is to be filled in.
fn put_run(out: &mut Vec<u8>, samples: &[Sample]) -> usize {
    let composed = samples.iter().any(|sample| sample.composition != 0);
    let optional = if composed { SAMPLE_COMPOSITION } else { 0 };
    let flags = DATA_OFFSET | SAMPLE_DURATION | SAMPLE_SIZE | SAMPLE_FLAGS | optional;
    let mut place = 0;
    put_full_box(out, b"trun", 1, flags, |out| {
        put_u32(out, samples.len() as u32);
        place = out.len();
        put_u32(out, 0);
        for sample in samples {
            put_u32(out, sample.duration);
            put_u32(out, sample.data.len() as u32);
            put_u32(out, if sample.key { KEY_FLAGS } else { DELTA_FLAGS });
            if composed {
                put_u32(out, sample.composition as u32);
            }
        }
    });
    place
}

/// Defaults that a track's `trex` gives to all its fragments.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Defaults {
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

/// A sample as a fragment's header says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub duration: u32,
    pub size: u32,
    pub composition: i32,
    pub key: bool,
}

/// One run as read: where its bytes begin in the file, and its samples.
#[derive(Debug)]
pub(super) struct Run {
    pub track: u32,
    /// Decoding time of the first sample; `None` goes on from the run before.
    pub dts: Option<u64>,
    pub offset: u64,
    pub samples: Vec<Entry>,
}

/// Reads the body of a `moof` that begins at `moof_at` in the file. `None` when it is damaged.
pub(super) fn parse_moof(body: &[u8], moof_at: u64, defaults: impl Fn(u32) -> Defaults) -> Option<Vec<Run>> {
    let mut runs = Vec::new();
    // §8.8.7.1: without any flag, a track's data begins where that of the track before ends.
    let mut end_of_track = moof_at;
    for (_, traf) in children(body).filter(|(kind, _)| kind == b"traf") {
        let mut fields = Fields(child(traf, b"tfhd")?);
        let (_, flags) = fields.version_and_flags()?;
        let track = fields.u32()?;
        let mut defaults = defaults(track);
        let base = match flags {
            flags if flags & BASE_OFFSET != 0 => fields.u64()?,
            flags if flags & DEFAULT_BASE_IS_MOOF != 0 => moof_at,
            _ => end_of_track,
        };
        if flags & 0x2 != 0 {
            fields.u32()?;
        }
        for (bit, value) in
            [(0x8, &mut defaults.duration), (0x10, &mut defaults.size), (0x20, &mut defaults.flags)]
        {
            if flags & bit != 0 {
                *value = fields.u32()?;
            }
        }
        let mut dts = match child(traf, b"tfdt") {
            Some(tfdt) => {
                let mut fields = Fields(tfdt);
                let (version, _) = fields.version_and_flags()?;
                Some(if version == 1 { fields.u64()? } else { fields.u32()?.into() })
            }
            None => None,
        };
        let mut next_offset = base;
        for (_, trun) in children(traf).filter(|(kind, _)| kind == b"trun") {
            let run = parse_run(trun, track, dts.take(), base, next_offset, defaults)?;
            let bytes: u64 = run.samples.iter().map(|sample| u64::from(sample.size)).sum();
            next_offset = run.offset.checked_add(bytes)?;
            runs.push(run);
        }
        end_of_track = next_offset;
    }
    Some(runs)
}

fn parse_run(
    trun: &[u8],
    track: u32,
    dts: Option<u64>,
    base: u64,
    next_offset: u64,
    defaults: Defaults,
) -> Option<Run> {
    /// A run without any field of its own could claim 4 billion samples in eight bytes.
    const MAX_IMPLIED_SAMPLES: usize = 100_000;
    let mut fields = Fields(trun);
    let (_, flags) = fields.version_and_flags()?;
    let count = fields.u32()? as usize;
    let offset = if flags & DATA_OFFSET != 0 {
        base.checked_add_signed(i64::from(fields.u32()? as i32))?
    } else {
        next_offset
    };
    let first_flags = if flags & FIRST_SAMPLE_FLAGS != 0 { Some(fields.u32()?) } else { None };
    let per_sample =
        [SAMPLE_DURATION, SAMPLE_SIZE, SAMPLE_FLAGS, SAMPLE_COMPOSITION].map(|bit| flags & bit != 0);
    let row = per_sample.iter().filter(|&&present| present).count() * 4;
    let most = fields.0.len().checked_div(row).unwrap_or(MAX_IMPLIED_SAMPLES);
    if count > most {
        return None;
    }
    let mut samples = Vec::with_capacity(count);
    for index in 0..count {
        let mut field = |present: bool, default: u32| if present { fields.u32() } else { Some(default) };
        let duration = field(per_sample[0], defaults.duration)?;
        let size = field(per_sample[1], defaults.size)?;
        let own_flags = field(per_sample[2], defaults.flags)?;
        let composition = field(per_sample[3], 0)? as i32;
        let flags = if index == 0 { first_flags.unwrap_or(own_flags) } else { own_flags };
        samples.push(Entry { duration, size, composition, key: flags & NON_SYNC == 0 });
    }
    Some(Run { track, dts, offset, samples })
}
