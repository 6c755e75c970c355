//! Streams of made-up packets through the origin, held to the rules of RFC 8216bis.

use bytes::Bytes;
use media::{
    AudioTrack, Codec, FrameRate, Packet, RenditionName, Size, Timescale, Timestamp, VideoTrack, WallTime,
};
use proptest::prelude::*;

use super::rules::{Read, check};
use super::*;
use crate::aac::AudioSpecificConfig;
use crate::h264::{AvcConfig, push_annex_b, written_sps};

const HIGH: TrackName = TrackName::Video(RenditionName::High);
const LOW: TrackName = TrackName::Video(RenditionName::Low);

fn avc() -> AvcConfig {
    AvcConfig {
        length_size: 4,
        sps: vec![written_sps(80, 45, 0, 1, 60).into()],
        pps: vec![Bytes::from_static(&[0x68, 0xce])],
    }
}

fn video_track(rendition: RenditionName, frame_rate: FrameRate) -> VideoTrack {
    VideoTrack { codec: Codec::H264, rendition, size: Size::new(1280, 720), frame_rate, bitrate_kbps: 4000 }
}

fn audio_track() -> AudioTrack {
    let config = AudioSpecificConfig::lc(48_000, 2).to_bytes().unwrap();
    AudioTrack { codec: Codec::Aac, rate: 48_000, channels: 2, bitrate_kbps: 128, config }
}

fn origin(config: OriginConfig) -> Origin {
    let mut origin = Origin::new(config);
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    origin.set_video(video_track(RenditionName::Low, FrameRate::FPS_30), avc()).unwrap();
    origin.set_audio(audio_track()).unwrap();
    origin
}

fn live() -> OriginConfig {
    OriginConfig::live("t".into(), WallTime::from_unix_micros(1_700_000_000_000_000))
}

fn frame(pts: Timestamp, duration: u32, key: bool) -> Packet {
    let mut payload = Vec::new();
    push_annex_b(&mut payload, &[if key { 0x65 } else { 0x41 }, 0x88, 1, 2, 3]);
    Packet { pts, dts: pts, duration_ticks: duration, key, payload: payload.into() }
}

fn sound(index: i64) -> Packet {
    let at = Timestamp::new(index * 1024, Timescale::AUDIO);
    Packet { pts: at, dts: at, duration_ticks: 1024, key: true, payload: Bytes::from_static(&[7; 20]) }
}

/// Frame `index` at 30 fps with key frames every two seconds, and at the extra ones.
fn frame_30(index: i64, extra: &[i64]) -> Packet {
    let key = index % 60 == 0 || extra.contains(&index);
    frame(Timestamp::new(index * 3000, Timescale::VIDEO), 3000, key)
}

/// Frames `from..to` of both renditions, with the sound of that time.
fn play(origin: &mut Origin, from: i64, to: i64, extra: &[i64]) {
    for index in from..to {
        // Sound is encoded faster than pictures: it comes up to a frame early.
        let sounds = |frame: i64| (frame * 1600).div_euclid(1024);
        for index in sounds(index)..sounds(index + 1) {
            origin.push(TrackName::Audio, &sound(index));
        }
        origin.push(HIGH, &frame_30(index, extra));
        origin.push(LOW, &frame_30(index, extra));
    }
}

fn text_of(origin: &Origin, track: TrackName, request: ReloadRequest) -> String {
    match origin.playlist(track, &request).unwrap() {
        Answer::Ready(text) => text,
        other => panic!("{other:?}"),
    }
}

fn read(origin: &Origin, track: TrackName) -> Read {
    check(&text_of(origin, track, ReloadRequest::default()), true)
}

fn ready(origin: &Origin, name: &str) -> Vec<u8> {
    match origin.file(name) {
        File::Ready(pieces) => pieces.concat(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn segments_have_the_same_numbers_and_lengths_in_all_renditions() {
    let mut origin = origin(live());
    play(&mut origin, 0, 305, &[]);
    let (high, low, audio) = (read(&origin, HIGH), read(&origin, LOW), read(&origin, TrackName::Audio));
    assert_eq!(high.segments.len(), 5);
    assert!(high.segments.iter().all(|segment| segment.duration == 2.0));
    for other in [&low, &audio] {
        assert_eq!((other.first_msn, other.segments.len()), (0, 5));
    }
    for (video, sound) in high.segments.iter().zip(&audio.segments) {
        let apart = super::rules::clock_ms(&video.date) - super::rules::clock_ms(&sound.date);
        assert!((-22..=0).contains(&apart), "{video:?} {sound:?}");
    }
    assert_eq!(high.segments[0].date, "2023-11-14T22:13:20.000Z");
    assert_eq!(high.reports.len(), 2);
}

#[test]
fn every_video_segment_begins_with_an_independent_part_of_ten_frames() {
    let mut origin = origin(live());
    play(&mut origin, 0, 305, &[]);
    let high = read(&origin, HIGH);
    for segment in &high.segments[2..] {
        let independent: Vec<_> = segment.parts.iter().map(|part| part.2).collect();
        assert_eq!(independent, [true, false, false, false, false, false]);
    }
}

#[test]
fn a_requested_key_frame_off_the_grid_starts_no_segment() {
    let mut origin = origin(live());
    play(&mut origin, 0, 245, &[31, 90, 119, 121]);
    let high = read(&origin, HIGH);
    assert_eq!(high.segments.iter().map(|s| s.duration).collect::<Vec<_>>(), [2.0; 4]);
}

#[test]
fn layers_whose_clocks_are_milliseconds_apart_share_their_segments() {
    let mut origin = origin(live());
    for index in 0..305 {
        // As WebRTC delivers them: no durations, and each layer placed by its own reports.
        let at = |offset: i64| Timestamp::new(index * 3000 + offset, Timescale::VIDEO);
        let key = index % 60 == 0;
        origin.push(HIGH, &frame(at(360), 0, key));
        origin.push(LOW, &frame(at(if index % 2 == 0 { -180 } else { 90 } + 200), 0, key));
    }
    let (high, low) = (read(&origin, HIGH), check(&text_of(&origin, LOW, ReloadRequest::default()), false));
    assert_eq!(high.segments.len(), 5);
    let names = |list: &Read| list.segments.iter().map(|s| s.uri.replace("low", "high")).collect::<Vec<_>>();
    assert_eq!(names(&high), names(&low));
    assert!(low.segments.iter().all(|segment| (segment.duration - 2.0).abs() < 0.01), "{low:?}");
}

#[test]
fn a_key_frame_a_tick_before_the_grid_starts_its_segment() {
    let mut origin = Origin::new(live());
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    for index in 0..305 {
        let early = i64::from(index % 120 == 60);
        let pts = Timestamp::new(index * 3000 - early, Timescale::VIDEO);
        origin.push(HIGH, &frame(pts, 0, index % 60 == 0));
    }
    assert_eq!(check(&text_of(&origin, HIGH, ReloadRequest::default()), false).segments.len(), 5);
}

#[test]
fn a_rendition_that_joins_later_takes_up_the_running_number() {
    let mut origin = Origin::new(live());
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    (0..100).for_each(|index| drop(origin.push(HIGH, &frame_30(index, &[]))));
    origin.set_video(video_track(RenditionName::Low, FrameRate::FPS_30), avc()).unwrap();
    for index in 100..200 {
        origin.push(HIGH, &frame_30(index, &[]));
        origin.push(LOW, &frame_30(index, &[110]));
    }
    let low = read(&origin, LOW);
    assert_eq!((low.first_msn, low.segments[0].uri.as_str()), (2, "t-low-2.m4s"));
}

#[test]
fn a_rendition_that_follows_begins_no_segment_with_a_key_frame_of_its_own() {
    let mut origin = origin(live());
    origin.follow(LOW);
    for index in 0..305 {
        origin.push(HIGH, &frame_30(index, &[]));
        // A viewer of it joined at frames 70 and 131: the second lies in a new cell of the source's grid.
        origin.push(LOW, &frame_30(index, &[70, 131]));
    }
    for track in [HIGH, LOW] {
        let lengths: Vec<_> = read(&origin, track).segments.iter().map(|s| s.duration).collect();
        assert_eq!(lengths, [2.0; 5]);
    }
    // Here the source's own grid has another phase, and the key frame at 2.1 s would cut its segment.
    let mut origin = Origin::new(live());
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    origin.set_video(video_track(RenditionName::Low, FrameRate::FPS_30), avc()).unwrap();
    origin.follow(LOW);
    for index in 15..320 {
        let picture = |key| frame(Timestamp::new(index * 3000, Timescale::VIDEO), 3000, key);
        origin.push(HIGH, &picture(index % 60 == 15));
        origin.push(LOW, &picture(index % 60 == 15 || index == 63));
    }
    assert!(
        read(&origin, HIGH)
            .segments
            .iter()
            .all(|s| s.duration == 2.0 && s.parts.iter().all(|p| !p.0.is_empty()))
    );
}

#[test]
fn a_rendition_that_is_removed_and_comes_back_has_other_files() {
    let mut origin = origin(live());
    play(&mut origin, 0, 100, &[]);
    let before = text_of(&origin, LOW, ReloadRequest::default());
    let files = |text: &str| -> Vec<String> {
        let names = text.split(['"', '\n']).filter(|word| word.ends_with(".m4s") || word.ends_with(".mp4"));
        names.map(str::to_owned).collect()
    };
    origin.remove(LOW);
    assert_eq!(origin.playlist(LOW, &ReloadRequest::default()), None);
    assert!(files(&before).iter().all(|name| origin.file(name) == File::Missing));
    for index in 100..110 {
        origin.push(HIGH, &frame_30(index, &[]));
        origin.push(LOW, &frame_30(index, &[]));
    }
    origin.set_video(video_track(RenditionName::Low, FrameRate::FPS_30), avc()).unwrap();
    // Until the rendition can be played again the others are all there is.
    assert_eq!(origin.master("f/"), None);
    assert!(!origin.is_playable(LOW));
    assert!(!origin.master_of_playable("f/").unwrap().contains("low.m3u8"));
    play(&mut origin, 110, 200, &[]);
    let after = text_of(&origin, LOW, ReloadRequest::default());
    assert!(files(&after).len() > 3, "{after}");
    // The part that was only hinted at before was never made.
    let hinted = read_hint(&before);
    let made: Vec<String> = files(&before).into_iter().filter(|name| Some(name) != hinted.as_ref()).collect();
    assert!(files(&after).iter().all(|name| !made.contains(name)), "{before}{after}");
    assert!(origin.master("f/").unwrap().contains("low.m3u8"));
}

fn read_hint(text: &str) -> Option<String> {
    check(text, true).hint
}

#[test]
fn without_key_frames_in_time_the_target_duration_is_kept() {
    let mut origin = Origin::new(live());
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    for index in 0..400 {
        let pts = Timestamp::new(index * 3000, Timescale::VIDEO);
        origin.push(HIGH, &frame(pts, 3000, index == 0));
    }
    assert!(read(&origin, HIGH).segments.len() > 4);
}

#[test]
fn the_window_lists_and_keeps_what_the_rfc_wants() {
    let mut origin = origin(live());
    let mut stays = std::collections::BTreeMap::new();
    for second in 0..120 {
        play(&mut origin, second * 30, second * 30 + 30, &[]);
        if second == 0 {
            continue;
        }
        let high = read(&origin, HIGH);
        let listed: f64 = high.segments.iter().map(|s| s.duration).sum();
        assert!(listed <= 16.0, "{listed}");
        for (index, _) in high.segments.iter().enumerate() {
            stays.insert(high.first_msn + index as u64, second);
        }
        // A segment is there for 14 s (the longest playlist) and its own length after it was last listed.
        for (msn, last) in &stays {
            if second - last <= 14 {
                ready(&origin, &format!("t-high-{msn}.m4s"));
            }
            if second - last > 20 {
                assert_eq!(origin.file(&format!("t-high-{msn}.m4s")), File::Missing);
            }
        }
    }
}

#[test]
fn every_file_that_is_listed_is_there_and_parts_make_up_their_segment() {
    let mut origin = origin(live());
    play(&mut origin, 0, 1000, &[]);
    for track in [HIGH, LOW, TrackName::Audio] {
        let list = read(&origin, track);
        ready(&origin, list.map.as_ref().unwrap());
        for segment in &list.segments {
            let whole = ready(&origin, &segment.uri);
            let parts: Vec<_> = segment.parts.iter().flat_map(|(uri, _, _)| ready(&origin, uri)).collect();
            assert!(parts.is_empty() || parts == whole);
        }
        assert_eq!(origin.file(list.hint.as_ref().unwrap()), File::Wait);
    }
    for name in ["t-high-007.m4s", "t-high-9999.m4s", "t-high-16.+1.m4s", "u-high-16.m4s", "", "t-high-.m4s"]
    {
        assert_eq!(origin.file(name), File::Missing, "{name}");
    }
}

#[test]
fn a_request_is_held_until_what_it_names_is_there() {
    let mut origin = origin(live());
    play(&mut origin, 0, 146, &[]); // two whole segments, two parts of the third
    let ask = |msn, part| match origin.playlist(HIGH, &ReloadRequest { msn, part, skip: false }).unwrap() {
        Answer::Ready(_) => "ready",
        Answer::Wait => "wait",
        Answer::BadRequest(BadReload::TooFarAhead) => "bad",
        Answer::BadRequest(other) => panic!("{other}"),
    };
    use super::reload::BadReload;
    for (msn, part, expected) in [
        (None, None, "ready"),
        (Some(0), None, "ready"),
        (Some(1), None, "ready"),
        (Some(1), Some(5), "ready"),
        // The second segment has six parts: its seventh is the first of the third.
        (Some(1), Some(6), "ready"),
        (Some(2), Some(1), "ready"),
        (Some(2), Some(2), "wait"),
        (Some(2), None, "wait"),
        (Some(3), Some(0), "wait"),
        (Some(3), None, "wait"),
        // Two beyond the last whole one is the most; nine parts of a third of a second make three seconds.
        (Some(4), None, "bad"),
        (Some(2), Some(10), "wait"),
        (Some(2), Some(11), "bad"),
        (Some(u64::MAX), Some(u64::MAX), "bad"),
    ] {
        assert_eq!(ask(msn, part), expected, "{msn:?} {part:?}");
    }
    origin.finish();
    let request = ReloadRequest { msn: Some(99), ..Default::default() };
    assert!(text_of(&origin, HIGH, request).ends_with("#EXT-X-ENDLIST\n"));
}

#[test]
fn nothing_is_answered_before_there_is_something_to_play() {
    let origin = origin(live());
    assert_eq!(origin.playlist(HIGH, &ReloadRequest::default()), Some(Answer::Wait));
    assert_eq!(origin.master(""), None);
    assert_eq!(origin.playlist(TrackName::Video(RenditionName::Ultra), &ReloadRequest::default()), None);
}

#[test]
fn a_delta_update_says_the_same_as_the_whole_with_old_segments_left_out() {
    let mut origin = origin(OriginConfig { retention: Timestamp::new(90, Timescale::of(1)), ..live() });
    play(&mut origin, 0, 1500, &[]);
    let full = text_of(&origin, HIGH, ReloadRequest::default());
    let delta = text_of(&origin, HIGH, ReloadRequest { skip: true, ..Default::default() });
    let (all, rest) = (check(&full, true), check(&delta, true));
    assert!(rest.skipped > 0);
    assert_eq!(rest.segments, all.segments[rest.skipped..]);
    // CAN-SKIP-UNTIL is 12 s here: what is skipped lies wholly before, what is listed does not.
    let left: f64 = rest.segments.iter().map(|s| s.duration).sum();
    assert!((12.0..16.0).contains(&left), "{left}");
}

#[test]
fn a_discontinuity_is_in_every_rendition_at_the_same_segment() {
    let mut origin = origin(live());
    play(&mut origin, 0, 130, &[]);
    origin.discontinuity();
    // The publisher came back with another clock.
    play(&mut origin, 3000, 3200, &[]);
    for track in [HIGH, LOW, TrackName::Audio] {
        let list = read(&origin, track);
        let marked: Vec<_> = list.segments.iter().map(|s| s.discontinuity).collect();
        assert_eq!(marked, [false, false, false, true, false, false], "{track:?}");
    }
    play(&mut origin, 3200, 4000, &[]);
    assert_eq!(read(&origin, HIGH).discontinuities, 1);
}

#[test]
fn other_headers_make_one_discontinuity_and_another_map() {
    let mut origin = origin(live());
    play(&mut origin, 0, 130, &[]);
    for rendition in [RenditionName::High, RenditionName::Low] {
        origin.set_video(video_track(rendition, FrameRate::FPS_30), other_avc()).unwrap();
    }
    origin.set_audio(audio_track()).unwrap();
    play(&mut origin, 180, 400, &[]);
    let text = text_of(&origin, HIGH, ReloadRequest::default());
    let list = check(&text, true);
    assert_eq!(list.segments.iter().filter(|segment| segment.discontinuity).count(), 1);
    let maps: Vec<_> = text.lines().filter(|line| line.starts_with("#EXT-X-MAP")).collect();
    assert_eq!(maps, ["#EXT-X-MAP:URI=\"t-high-init0.mp4\"", "#EXT-X-MAP:URI=\"t-high-init1.mp4\""]);
    assert_ne!(ready(&origin, "t-high-init0.mp4"), ready(&origin, "t-high-init1.mp4"));
    assert_eq!(read(&origin, TrackName::Audio).segments.len(), list.segments.len());
    play(&mut origin, 400, 1200, &[]);
    assert_eq!(read(&origin, HIGH).discontinuities, 1);
}

#[test]
fn another_header_of_one_rendition_takes_nothing_from_the_others() {
    let mut origin = origin(live());
    play(&mut origin, 0, 130, &[]);
    origin.set_video(video_track(RenditionName::Low, FrameRate::FPS_30), other_avc()).unwrap();
    play(&mut origin, 130, 400, &[]);
    for track in [HIGH, TrackName::Audio] {
        let list = read(&origin, track);
        let marked: Vec<_> = list.segments.iter().map(|s| s.discontinuity).collect();
        assert_eq!(marked, [false, false, false, true, false, false], "{track:?}");
        assert!(list.segments.iter().all(|s| (s.duration - 2.0).abs() < 0.03), "{list:?}");
    }
    // Its own segment ends where the header did, and the discontinuity is at the same number.
    let low = check(&text_of(&origin, LOW, ReloadRequest::default()), false);
    let about: Vec<_> = low.segments.iter().map(|s| (s.duration, s.discontinuity)).collect();
    let ended = 10.0 / 30.0;
    assert!((about[2].0 - ended).abs() < 1e-4, "{about:?}");
    assert_eq!((about[3], about.len(), low.first_msn), ((2.0, true), 6, 0));
}

#[test]
fn the_only_picture_goes_on_with_the_key_frame_that_brings_its_new_header() {
    let mut origin = Origin::new(live());
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    (0..130).for_each(|index| drop(origin.push(HIGH, &frame_30(index, &[]))));
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), other_avc()).unwrap();
    (130..310).for_each(|index| drop(origin.push(HIGH, &frame_30(index, &[130]))));
    let high = check(&text_of(&origin, HIGH, ReloadRequest::default()), false);
    let about: Vec<_> = high.segments.iter().map(|s| (s.duration, s.discontinuity)).collect();
    let frames = |count: f64| count / 30.0;
    let (before, after) = ((frames(10.0), false), (frames(50.0), true));
    let expected = [(2.0, false), (2.0, false), before, after, (2.0, false), (2.0, false)];
    assert_eq!(about.len(), expected.len());
    for ((duration, marked), (expected, discontinuity)) in about.iter().zip(expected) {
        assert!((duration - expected).abs() < 1e-4 && *marked == discontinuity, "{about:?}");
    }
}

#[test]
fn a_rendition_that_comes_later_with_another_header_after_a_discontinuity_makes_no_second() {
    let mut origin = origin(live());
    origin.follow(LOW);
    play(&mut origin, 0, 130, &[]);
    origin.discontinuity();
    (180..215).for_each(|index| drop(origin.push(HIGH, &frame_30(index, &[]))));
    origin.set_video(video_track(RenditionName::Low, FrameRate::FPS_30), other_avc()).unwrap();
    (180..215).for_each(|index| drop(origin.push(LOW, &frame_30(index, &[]))));
    play(&mut origin, 215, 400, &[]);
    for track in [HIGH, LOW] {
        let list = read(&origin, track);
        let marked: Vec<_> = list.segments.iter().map(|s| s.discontinuity).collect();
        assert_eq!(marked, [false, false, false, true, false, false], "{track:?}");
        assert!(list.segments[3..].iter().all(|s| s.duration == 2.0), "{list:?}");
    }
}

#[test]
fn times_that_jump_back_are_one_discontinuity_and_all_goes_on() {
    let mut origin = origin(live());
    play(&mut origin, 3000, 3190, &[]);
    play(&mut origin, 0, 250, &[]);
    for track in [HIGH, LOW, TrackName::Audio] {
        let list = check(&text_of(&origin, track, ReloadRequest::default()), false);
        let marked = list.segments.iter().filter(|segment| segment.discontinuity).count();
        // Four of each timeline, and the newest grows.
        assert_eq!((marked, list.segments.len()), (1, 8), "{track:?} {list:?}");
    }
}

#[test]
fn times_that_jump_ahead_are_one_discontinuity_and_all_goes_on() {
    let mut origin = origin(live());
    play(&mut origin, 0, 190, &[]);
    // Rendition low misses the end, and no gap of an hour is listed for it.
    origin.push(HIGH, &frame_30(190, &[]));
    play(&mut origin, 108_000, 108_250, &[]);
    for track in [HIGH, LOW, TrackName::Audio] {
        let list = check(&text_of(&origin, track, ReloadRequest::default()), false);
        let marked = list.segments.iter().filter(|segment| segment.discontinuity).count();
        assert_eq!((marked, list.segments.len()), (1, 8), "{track:?} {list:?}");
    }
}

#[test]
fn times_that_stand_still_are_held_within_bounds() {
    let mut origin = origin(live());
    let bytes = 1000;
    for index in 0..10_000 {
        let mut payload = Vec::new();
        push_annex_b(&mut payload, &vec![if index % 60 == 0 { 0x65 } else { 0x41 }; bytes]);
        let still = frame(Timestamp::zero(Timescale::VIDEO), 0, index % 60 == 0);
        origin.push(HIGH, &Packet { payload: payload.into(), ..still });
        let at = Timestamp::zero(Timescale::AUDIO);
        origin.push(TrackName::Audio, &Packet { pts: at, dts: at, ..sound(0) });
    }
    // A segment of each: 2 048 samples at most, and twenty bytes for each in its header.
    let (pictures, sounds) = (2048 * (bytes + 24), 2048 * 44);
    assert!(origin.bytes_held() < pictures + sounds + 10_000, "{}", origin.bytes_held());
    assert!(origin.overflows() > 0);
    // And once they go on, so does the playlist.
    play(&mut origin, 60, 310, &[]);
    assert_eq!(read_irregular(&origin, HIGH).segments.len(), 5);
}

#[test]
fn whatever_the_rate_and_the_times_bytes_are_bounded() {
    let mut origin = Origin::new(live());
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    let picture = |pts, key| {
        let mut payload = Vec::new();
        push_annex_b(&mut payload, &vec![if key { 0x65 } else { 0x41 }; 400_000]);
        Packet { payload: payload.into(), ..frame(Timestamp::new(pts, Timescale::VIDEO), 3000, key) }
    };
    // 24 MB a segment and 240 MB in all.
    for index in 0..600 {
        origin.push(HIGH, &picture(index * 3000, index % 60 == 0));
    }
    assert!(origin.bytes_held() <= 144 << 20, "{}", origin.bytes_held());
    assert!(origin.overflows() > 0);
    let listed = read_irregular(&origin, HIGH);
    listed.segments.iter().for_each(|segment| drop(ready(&origin, &segment.uri)));
}

#[test]
fn a_clock_that_jumps_with_every_second_picture_lists_and_keeps_a_bounded_number_of_segments() {
    let mut origin = Origin::new(live());
    origin.set_video(video_track(RenditionName::High, FrameRate::FPS_30), avc()).unwrap();
    let names = (0..2000i64).map(|index| {
        origin.push(HIGH, &frame(Timestamp::new(index % 2 * 180_001, Timescale::VIDEO), 1, true));
        format!("t-high-{index}.m4s")
    });
    let names: Vec<_> = names.collect();
    let kept = names.iter().filter(|name| matches!(origin.file(name), File::Ready(_))).count();
    assert!(kept <= 129, "{kept}");
    assert!(read_irregular(&origin, HIGH).segments.len() <= 65);
}

fn read_irregular(origin: &Origin, track: TrackName) -> Read {
    check(&text_of(origin, track, ReloadRequest::default()), false)
}

fn other_avc() -> AvcConfig {
    AvcConfig { sps: vec![written_sps(40, 23, 4, 1, 60).into()], ..avc() }
}

#[test]
fn a_rendition_that_was_away_lists_gaps_under_the_same_numbers() {
    let mut origin = origin(live());
    play(&mut origin, 0, 100, &[]);
    for index in 100..400 {
        origin.push(HIGH, &frame_30(index, &[]));
    }
    play(&mut origin, 400, 500, &[]);
    let low = check(&text_of(&origin, LOW, ReloadRequest::default()), false);
    // It left in segment 1 and came back within 6, whose key frame it missed.
    let gaps: Vec<_> =
        (low.first_msn..).zip(&low.segments).filter(|(_, s)| s.gap).map(|(msn, _)| msn).collect();
    assert_eq!(gaps, [2, 3, 4, 5, 6]);
    let (low, high) = (low.segments.last().unwrap(), &read(&origin, HIGH).segments);
    let same = high.last().unwrap();
    assert_eq!((low.uri.as_str(), same.uri.as_str()), ("t-low-7.m4s", "t-high-7.m4s"));
    assert_eq!((low.duration, &low.date), (same.duration, &same.date));
}

#[test]
fn the_master_lists_the_best_rendition_first() {
    let mut origin = origin(live());
    play(&mut origin, 0, 70, &[]);
    let master = origin.master("abc/").unwrap();
    let uris: Vec<_> = master.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(uris, ["abc/high.m3u8", "abc/low.m3u8"]);
    assert!(master.contains("CODECS=\"avc1.42c01f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=30.000"));
    assert!(master.contains("URI=\"abc/audio.m3u8\""));
    assert_eq!(origin.track_of("low.m3u8"), Some(LOW));
}

#[test]
fn sound_alone_is_cut_on_the_grid() {
    let mut origin = Origin::new(live());
    origin.set_audio(audio_track()).unwrap();
    (0..500).for_each(|index| drop(origin.push(TrackName::Audio, &sound(index))));
    let audio = read(&origin, TrackName::Audio);
    assert_eq!(audio.segments.len(), 5);
    assert!(origin.master("").unwrap().contains("\naudio.m3u8\n"));
}

#[test]
fn sound_goes_on_when_video_stalls() {
    let mut origin = origin(live());
    play(&mut origin, 0, 100, &[]);
    (157..1200).for_each(|index| drop(origin.push(TrackName::Audio, &sound(index))));
    assert!(read(&origin, TrackName::Audio).segments.len() >= 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any frame rate of the field, part target, extra key frames and lost frames.
    #[test]
    fn every_playlist_on_the_way_keeps_the_rules(
        rate in prop_oneof![Just((24, 1)), Just((25, 1)), Just((30, 1)), Just((30_000, 1_001)), Just((50, 1)), Just((60, 1))],
        part_ms in prop_oneof![Just(250i64), Just(334), Just(500)],
        extra in prop::collection::vec(0u64..900, 0..4),
        lost in prop::collection::vec(0u64..900, 0..6),
    ) {
        let rate = FrameRate::new(rate.0, rate.1).unwrap();
        let mut origin = Origin::new(OriginConfig { part_target: Timestamp::new(part_ms, Timescale::MILLIS), ..live() });
        origin.set_video(video_track(RenditionName::High, rate), avc()).unwrap();
        let mut known: std::collections::BTreeMap<u64, f64> = Default::default();
        let mut cell = -1;
        let mut end: Option<Timestamp> = None;
        for index in 0..900u64 {
            let pts = rate.timestamp_of(index, Timescale::VIDEO);
            // The first frame of each cell of the grid is a key frame, as the studio makes them.
            let on_grid = pts.ticks() / 180_000 > cell;
            cell = pts.ticks() / 180_000;
            if lost.contains(&index) && !on_grid {
                continue;
            }
            let duration = rate.frame_duration(Timescale::VIDEO).ticks() as u32;
            let changed = origin.push(HIGH, &frame(pts, duration, on_grid || extra.contains(&index)));
            for output in &changed {
                if let Output::Part { part, .. } = output {
                    // tfdt goes on where the part before ended, to the tick.
                    prop_assert!(end.is_none_or(|end| end == part.start));
                    end = Some(part.start.plus(part.duration));
                }
            }
            if changed.is_empty() || index < 2 {
                continue;
            }
            if let Some(Answer::Ready(text)) = origin.playlist(HIGH, &ReloadRequest::default()) {
                let list = check(&text, lost.is_empty());
                for (msn, segment) in (list.first_msn..).zip(&list.segments) {
                    // What was once said of a segment is never taken back.
                    prop_assert_eq!(*known.entry(msn).or_insert(segment.duration), segment.duration);
                }
            }
        }
        prop_assert!(known.len() >= 6, "{}", known.len());
    }
}

#[test]
fn a_files_extent_is_the_time_that_its_pictures_take() {
    let mut origin = origin(live());
    play(&mut origin, 0, 305, &[]);
    let ms = |time: Timestamp| time.rescale(Timescale::MILLIS).ticks();
    let of = |name: &str| origin.extent(name).map(|extent| (ms(extent.start), ms(extent.end)));
    assert_eq!(of("t-high-1.m4s"), Some((2_000, 4_000)));
    let parts: Vec<_> = (0..6).map(|part| of(&format!("t-high-1.{part}.m4s")).unwrap()).collect();
    assert_eq!(parts[..3], [(2_000, 2_333), (2_333, 2_667), (2_667, 3_000)]);
    assert!(parts.windows(2).all(|pair| pair[0].1 == pair[1].0) && parts[5].1 == 4_000, "{parts:?}");
    let extent = origin.extent("t-low-1.2.m4s").unwrap();
    assert_eq!((extent.track, ms(extent.segment.start)), (LOW, 2_000));
    assert_eq!(extent.segment.wall.unix_micros(), 1_700_000_002_000_000);
    for nothing in ["t-high-init0.mp4", "t-high-1.6.m4s", "t-high-99.m4s", "high.m3u8"] {
        assert_eq!(origin.extent(nothing), None, "{nothing}");
    }
}

#[test]
fn a_multivariant_playlist_up_to_a_rendition_names_none_above_it() {
    let mut origin = origin(live());
    play(&mut origin, 0, 60, &[]);
    assert!(!origin.has_segments());
    play(&mut origin, 60, 65, &[]);
    assert!(origin.has_segments());
    let low = origin.master_up_to("f/", RenditionName::Low).unwrap();
    assert!(low.contains("f/low.m3u8") && low.contains("f/audio.m3u8") && !low.contains("high"), "{low}");
    assert_eq!(origin.master_up_to("f/", RenditionName::VeryLow), None);
    assert_eq!(origin.master_up_to("f/", RenditionName::Ultra), origin.master("f/"));
}
