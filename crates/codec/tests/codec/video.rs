use std::process::Command;

use media::{FrameRate, Ladder, Packet, Picture, PixelFormat, RenditionName, Size, Timescale, Timestamp};
use tickcast_codec::{
    CodecError, EncoderChoice, KeyRequest, Latency, SpeedPreset, VideoDecoder, VideoDecoderConfig,
    VideoEncoder, VideoEncoderConfig, probe,
};

use crate::pattern::{chroma, luma, moving, nal_types, nal_units, psnr};

const SIZE: Size = Size::new(640, 360);

fn config(size: Size, kbps: u32) -> VideoEncoderConfig {
    VideoEncoderConfig {
        choice: EncoderChoice::x264(),
        ..VideoEncoderConfig::new(RenditionName::Low, size, FrameRate::FPS_30, kbps)
    }
}

fn encoder(size: Size, kbps: u32) -> VideoEncoder {
    VideoEncoder::open(&config(size, kbps)).unwrap()
}

/// Encodes `pictures`, asking for a key frame at the indices in `keys`.
fn encode(
    encoder: &mut VideoEncoder,
    pictures: impl IntoIterator<Item = Picture>,
    keys: &[usize],
) -> Vec<Packet> {
    let mut packets = Vec::new();
    for (index, picture) in pictures.into_iter().enumerate() {
        let key = if keys.contains(&index) { KeyRequest::Yes } else { KeyRequest::No };
        packets.extend(encoder.encode(&picture, key).unwrap());
    }
    packets
}

fn key_indices(packets: &[Packet]) -> Vec<usize> {
    (0..packets.len()).filter(|&index| packets[index].key).collect()
}

#[test]
fn what_is_encoded_is_seen_again_at_the_same_time() {
    let pictures: Vec<_> = (0..45).map(|index| moving(SIZE, index, 2)).collect();
    let mut encoder = encoder(SIZE, 2000);
    let mut decoder = VideoDecoder::open(VideoDecoderConfig::default()).unwrap();
    for (index, picture) in pictures.iter().enumerate() {
        let key = if index == 0 { KeyRequest::Yes } else { KeyRequest::No };
        let packets = encoder.encode(picture, key).unwrap();
        assert_eq!(packets.len(), 1, "each picture leaves at once");
        let seen = decoder.decode(&packets[0]).unwrap();
        assert_eq!(seen.len(), 1, "each packet is a picture at once");
        assert_eq!(seen[0].timestamp(), picture.timestamp());
        assert_eq!(seen[0].size(), SIZE);
        assert_eq!((seen[0].matrix(), seen[0].range()), (picture.matrix(), picture.range()));
        // Grain of ±2 has a variance of 2: dropping all of it costs 10·log10(255²/2) = 45 dB. Ten times that
        // error still is 35 dB; another picture than the right one is under 20.
        let quality = psnr(&luma(picture), &luma(&seen[0]));
        assert!(quality > 30.0, "luma of picture {index} has {quality:.1} dB");
        let ((blue, red), (blue_seen, red_seen)) = (chroma(picture), chroma(&seen[0]));
        assert!(psnr(&blue, &blue_seen) > 30.0 && psnr(&red, &red_seen) > 35.0);
    }
}

#[test]
fn planar_pictures_encode_to_the_same_stream_as_interleaved_ones() {
    let interleaved: Vec<_> = (0..5).map(|index| moving(SIZE, index, 0)).collect();
    let planar = interleaved.iter().map(|picture| {
        let (blue, red) = chroma(picture);
        let data = [luma(picture), blue, red].concat();
        Picture::packed(
            SIZE,
            PixelFormat::I420,
            picture.matrix(),
            picture.range(),
            data.into(),
            picture.timestamp(),
        )
        .unwrap()
    });
    let from_planar = encode(&mut encoder(SIZE, 1000), planar, &[0]);
    let from_interleaved = encode(&mut encoder(SIZE, 1000), interleaved.clone(), &[0]);
    for (a, b) in from_planar.iter().zip(&from_interleaved) {
        assert_eq!(a.payload, b.payload);
    }
}

#[test]
fn key_frames_are_exactly_where_they_are_asked_for() {
    let keys = [0, 7, 8, 60, 61, 75];
    // Every third picture cuts to another scene, which would tempt an encoder.
    let pictures = (0..80).map(|index| moving(Size::new(320, 180), index, 2));
    let cuts = pictures.enumerate().map(|(index, picture)| match index % 3 {
        0 => {
            let time = picture.timestamp();
            moving(Size::new(320, 180), index as u64 * 500, 2).at(time)
        }
        _ => picture,
    });
    let packets = encode(&mut encoder(Size::new(320, 180), 500), cuts, &keys);
    assert_eq!(packets.len(), 80);
    assert_eq!(key_indices(&packets), keys);
    for (index, packet) in packets.iter().enumerate() {
        let types: Vec<u8> = nal_types(&packet.payload).into_iter().filter(|&kind| kind != 6).collect();
        // Types of ITU-T H.264 Table 7-1: 7 SPS, 8 PPS, 5 IDR slice, 1 other slice; one slice a picture.
        let expected: &[u8] = if keys.contains(&index) { &[7, 8, 5] } else { &[1] };
        assert_eq!(types, expected, "packet {index}");
        assert_eq!(packet.pts, packet.dts);
        assert_eq!(packet.duration_ticks, 3000);
    }
}

#[test]
fn a_key_frame_between_does_not_move_those_of_the_grid() {
    let size = Size::new(320, 180);
    let pictures = || (0..200).map(|index| moving(size, index, 1));
    let grid = [0, 60, 120, 180];
    let with_one_more = [0, 60, 77, 120, 180];
    assert_eq!(key_indices(&encode(&mut encoder(size, 500), pictures(), &grid)), grid);
    assert_eq!(key_indices(&encode(&mut encoder(size, 500), pictures(), &with_one_more)), with_one_more);
}

#[test]
fn a_caller_that_forgets_the_grid_still_makes_a_stream_that_can_be_joined() {
    let size = Size::new(64, 64);
    let mut config = config(size, 100);
    config.key_interval_seconds = 1;
    let mut encoder = VideoEncoder::open(&config).unwrap();
    let packets = encode(&mut encoder, (0..130).map(|index| moving(size, index, 0)), &[]);
    // Four intervals of 30 pictures.
    assert_eq!(key_indices(&packets), [0, 120]);
}

/// Reads Exp-Golomb codes (ITU-T H.264 clause 9.1) and fixed bits from an RBSP.
struct Bits(Vec<u8>, usize);

impl Bits {
    fn of(nal: &[u8]) -> Self {
        let mut rbsp: Vec<u8> = Vec::new();
        for &byte in &nal[1..] {
            // Clause 7.4.1: 3 after two zeros is there to prevent a start code.
            if byte == 3 && rbsp.ends_with(&[0, 0]) && !rbsp.is_empty() {
                continue;
            }
            rbsp.push(byte);
        }
        Self(rbsp, 0)
    }

    fn take(&mut self, count: usize) -> u32 {
        (0..count).fold(0, |value, _| {
            let bit = self.0[self.1 / 8] >> (7 - self.1 % 8) & 1;
            self.1 += 1;
            value << 1 | u32::from(bit)
        })
    }

    fn exp_golomb(&mut self) -> u32 {
        let zeros = (0..32).take_while(|_| self.take(1) == 0).count();
        (1 << zeros) - 1 + self.take(zeros)
    }
}

#[test]
fn the_parameter_sets_say_constrained_baseline_and_bt709() {
    for (size, kbps, level) in [(Size::new(1280, 720), 4000, 31), (Size::new(320, 180), 500, 13)] {
        let packets = encode(&mut encoder(size, kbps), [moving(size, 0, 0)], &[0]);
        let units = nal_units(&packets[0].payload);
        let sps = units.iter().find(|nal| nal[0] & 0x1f == 7).unwrap();
        let mut bits = Bits::of(sps);
        assert_eq!(bits.take(8), 66, "profile_idc is baseline");
        assert_eq!(bits.take(8) & 0x40, 0x40, "constraint_set1_flag makes it constrained");
        assert_eq!(bits.take(8), level);
        bits.exp_golomb(); // seq_parameter_set_id
        bits.exp_golomb(); // log2_max_frame_num_minus4
        match bits.exp_golomb() {
            0 => _ = bits.exp_golomb(), // log2_max_pic_order_cnt_lsb_minus4
            kind => assert_eq!(kind, 2, "pictures come out in the order in which they come in"),
        }
        assert_eq!(bits.exp_golomb(), 1, "one reference picture");
        bits.take(1); // gaps_in_frame_num_value_allowed_flag
        assert_eq!(bits.exp_golomb() + 1, size.width.div_ceil(16));
        assert_eq!(bits.exp_golomb() + 1, size.height.div_ceil(16));
        assert_eq!(bits.take(1), 1, "frame_mbs_only_flag: nothing is interlaced");
        bits.take(1); // direct_8x8_inference_flag
        if bits.take(1) == 1 {
            (0..4).for_each(|_| _ = bits.exp_golomb()); // cropping
        }
        assert_eq!(bits.take(1), 1, "there is a VUI (annex E)");
        assert_eq!(bits.take(1), 1, "it states the sample aspect ratio");
        assert_eq!(bits.take(8), 1, "which is square (Table E-1)");
        if bits.take(1) == 1 {
            bits.take(1); // overscan
        }
        assert_eq!(bits.take(1), 1, "it states the video signal type");
        bits.take(3); // video_format
        assert_eq!(bits.take(1), 0, "limited range");
        assert_eq!(bits.take(1), 1, "it describes the colours");
        let colours = [bits.take(8), bits.take(8), bits.take(8)];
        assert_eq!(colours, [1, 1, 1], "BT.709 primaries, transfer and matrix (Tables E-3 to E-5)");
    }
}

#[test]
fn the_ladders_key_frames_are_on_the_same_pictures() {
    let keys = [0, 15, 20, 30];
    let all: Vec<Vec<Timestamp>> = Ladder::default_for(Size::new(640, 360))
        .renditions()
        .iter()
        .map(|rendition| {
            let mut config = config(rendition.size, rendition.bitrate_kbps);
            config.rendition = rendition.name;
            let mut encoder = VideoEncoder::open(&config).unwrap();
            let track = encoder.track();
            assert_eq!((track.rendition, track.size), (rendition.name, rendition.size));
            let pictures = (0..35).map(|index| moving(rendition.size, index, 2));
            let packets = encode(&mut encoder, pictures, &keys);
            packets.iter().filter(|packet| packet.key).map(|packet| packet.pts).collect()
        })
        .collect();
    let expected: Vec<_> =
        keys.iter().map(|&index| FrameRate::FPS_30.timestamp_of(index as u64, Timescale::VIDEO)).collect();
    assert_eq!(all.len(), 4);
    all.iter().for_each(|times| assert_eq!(times, &expected));
}

/// Kilobits a second of packets at 30 pictures a second.
fn kbps(packets: &[Packet]) -> f64 {
    let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
    bytes as f64 * 8.0 / 1000.0 / (packets.len() as f64 / 30.0)
}

fn grid(pictures: usize) -> Vec<usize> {
    (0..pictures).step_by(60).collect()
}

#[test]
fn each_renditions_bitrate_is_within_fifteen_percent_of_its_target() {
    for rendition in Ladder::default_for(Size::new(1280, 720)).renditions() {
        let pictures = (0..300).map(|index| moving(rendition.size, index, 3));
        let mut encoder = encoder(rendition.size, rendition.bitrate_kbps);
        let packets = encode(&mut encoder, pictures, &grid(300));
        let ratio = kbps(&packets) / f64::from(rendition.bitrate_kbps);
        println!("{}: {:.3} of the target", rendition.name, ratio);
        assert!((0.85..=1.15).contains(&ratio), "{} has {ratio:.3} of its target", rendition.name);
        let filler = packets.iter().any(|packet| nal_types(&packet.payload).contains(&12));
        assert!(!filler, "no filler data");
        // The buffer holds half a second: no key frame may be longer than that.
        let longest = packets.iter().map(|packet| packet.payload.len()).max().unwrap();
        assert!(longest * 8 <= rendition.bitrate_kbps as usize * 500, "{longest} bytes at once");
    }
}

#[test]
fn a_new_bitrate_counts_from_the_next_picture_on_and_makes_no_key_frame() {
    let mut encoder = encoder(SIZE, 2000);
    let mut pictures = (0..600).map(|index| moving(SIZE, index, 3));
    let first = encode(&mut encoder, pictures.by_ref().take(150), &grid(150));
    encoder.set_bitrate(700).unwrap();
    assert_eq!(encoder.track().bitrate_kbps, 700);
    // Asked for on the old grid: 150 pictures in, so 30 to the next.
    let second = encode(&mut encoder, pictures.by_ref().take(150), &[30, 90]);
    assert_eq!(key_indices(&second), [30, 90]);
    assert!((0.85..=1.15).contains(&(kbps(&first) / 2000.0)), "{} kbps", kbps(&first));
    assert!((0.85..=1.15).contains(&(kbps(&second) / 700.0)), "{} kbps", kbps(&second));
    // Level 3 allows 10 000 kbps (Table A-1).
    let err = encoder.set_bitrate(10_001).unwrap_err();
    assert_eq!(err.code(), "codec_setting");
}

#[test]
fn after_a_flush_the_stream_goes_on_with_a_key_frame() {
    let mut encoder = encoder(SIZE, 1000);
    let first = encode(&mut encoder, (0..3).map(|index| moving(SIZE, index, 0)), &[0]);
    assert!(encoder.flush().unwrap().is_empty(), "nothing is held back");
    let second = encode(&mut encoder, (3..6).map(|index| moving(SIZE, index, 0)), &[]);
    assert_eq!((first.len(), key_indices(&second)), (3, vec![0]));
}

#[test]
fn ffprobe_reads_the_stream_as_what_it_is_meant_to_be() {
    let packets = encode(&mut encoder(SIZE, 1000), (0..90).map(|index| moving(SIZE, index, 2)), &[0, 60]);
    let file = tempfile::Builder::new().suffix(".h264").tempfile().unwrap();
    let bytes: Vec<u8> = packets.iter().flat_map(|packet| packet.payload.to_vec()).collect();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-count_frames", "-select_streams", "v", "-of", "default=nw=1"])
        .args(["-show_entries"])
        .arg(
            "stream=codec_name,profile,width,height,has_b_frames,level,color_space,color_range,\
             sample_aspect_ratio,nb_read_frames,field_order",
        )
        .arg(file.path())
        .output()
        .expect("the ffmpeg package is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "ffprobe warns of nothing");
    for line in [
        "codec_name=h264",
        "profile=Constrained Baseline",
        "width=640",
        "height=360",
        "has_b_frames=0",
        "level=30",
        "color_space=bt709",
        "color_range=tv",
        "sample_aspect_ratio=1:1",
        "field_order=progressive",
        "nb_read_frames=90",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_dropped_picture_leaves_the_others_times_alone() {
    let pictures = (0..10).filter(|index| *index != 4).map(|index| moving(SIZE, index, 0));
    let packets = encode(&mut encoder(SIZE, 1000), pictures, &[0]);
    let times: Vec<_> = packets.iter().map(|packet| packet.pts.ticks() / 3000).collect();
    assert_eq!(times, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
}

#[test]
fn a_picture_that_does_not_fit_is_refused_with_the_reason() {
    let mut encoder = encoder(SIZE, 1000);
    encoder.encode(&moving(SIZE, 5, 0), KeyRequest::No).unwrap();
    let err = encoder.encode(&moving(SIZE, 5, 0), KeyRequest::No).unwrap_err();
    assert!(matches!(err, CodecError::TimeNotRising { .. }), "{err}");
    let err = encoder.encode(&moving(Size::new(64, 64), 6, 0), KeyRequest::No).unwrap_err();
    assert_eq!(err, CodecError::WrongSize { expected: SIZE, got: Size::new(64, 64) });
    let rgba = Picture::rgba(
        SIZE,
        vec![0; SIZE.pixels() as usize * 4].into(),
        Timestamp::new(90_000, Timescale::VIDEO),
    );
    let err = encoder.encode(&rgba.unwrap(), KeyRequest::No).unwrap_err();
    assert_eq!(err.code(), "codec_wrong_picture");
    assert_eq!(encoder.encode(&moving(SIZE, 6, 0), KeyRequest::No).unwrap().len(), 1, "and it goes on");
}

#[test]
fn settings_that_cannot_be_are_refused_when_opened() {
    let refused = |change: fn(&mut VideoEncoderConfig)| {
        let mut config = config(SIZE, 1000);
        change(&mut config);
        VideoEncoder::open(&config).unwrap_err()
    };
    assert_eq!(refused(|c| c.size = Size::new(641, 360)).code(), "codec_setting");
    assert_eq!(refused(|c| c.size = Size::new(0, 0)).code(), "codec_setting");
    assert_eq!(refused(|c| c.size = Size::new(100_000, 100_000)).code(), "codec_setting");
    assert_eq!(refused(|c| c.bitrate_kbps = 0).code(), "codec_setting");
    assert_eq!(refused(|c| c.key_interval_seconds = 0).code(), "codec_setting");
    let err = refused(|c| c.choice = EncoderChoice::Named("h264_magic".into()));
    assert_eq!(err.code(), "codec_missing");
    assert!(err.to_string().contains("h264_magic"), "{err}");
}

#[test]
fn the_probe_names_every_encoder_once_and_says_why_one_is_unusable() {
    let probes = probe();
    let names: Vec<_> = probes.iter().map(|probe| probe.name).collect();
    assert_eq!(names, ["h264_nvenc", "h264_qsv", "h264_vaapi", "h264_videotoolbox", "h264_amf", "libx264"]);
    assert!(probes.last().unwrap().usable, "x264 works wherever the tests run");
    for probe in &probes {
        println!("{probe:?}");
        assert!(!probe.reason.is_empty());
        let config =
            VideoEncoderConfig { choice: EncoderChoice::Named(probe.name.into()), ..config(SIZE, 1000) };
        if probe.usable {
            assert_eq!(VideoEncoder::open(&config).unwrap().name(), probe.name);
        }
    }
    // The automatic choice is the first that works.
    let auto = VideoEncoder::open(&VideoEncoderConfig {
        choice: EncoderChoice::Auto,
        preset: SpeedPreset::Ultrafast,
        ..config(SIZE, 1000)
    });
    let first = probes.iter().find(|probe| probe.usable).unwrap();
    assert_eq!(auto.unwrap().name(), first.name);
}

#[test]
fn a_decoded_picture_outlives_its_decoder_and_shares_its_memory() {
    // 328 is no multiple of what decoders align rows to.
    let size = Size::new(328, 184);
    let packets = encode(&mut encoder(size, 1000), (0..3).map(|index| moving(size, index, 0)), &[0]);
    let mut decoder = VideoDecoder::open(VideoDecoderConfig::default()).unwrap();
    let pictures: Vec<Picture> = packets.iter().flat_map(|packet| decoder.decode(packet).unwrap()).collect();
    drop(decoder);
    let wanted = moving(size, 0, 0);
    assert!(psnr(&luma(&pictures[0]), &luma(&wanted)) > 30.0);
    // A copy would be packed; the decoder's own rows are padded for its filters.
    assert_eq!(pictures[0].format(), PixelFormat::I420);
    assert!(pictures[0].planes()[0].stride > 328);
}

#[test]
fn a_stream_with_reordered_pictures_comes_out_in_display_order() {
    let file = tempfile::Builder::new().suffix(".h264").tempfile().unwrap();
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "nullsrc=size=320x240:rate=30:duration=1,geq=lum=16+7*N:cb=128:cr=128",
        ])
        .args(["-c:v", "libx264", "-bf", "2", "-g", "15", "-pix_fmt", "yuv420p"])
        .arg(file.path())
        .status();
    assert!(made.expect("the ffmpeg package is installed").success());
    let bytes = std::fs::read(file.path()).unwrap();
    let config = VideoDecoderConfig { latency: Latency::Reorder, ..Default::default() };
    let mut decoder = VideoDecoder::open(config).unwrap();
    let units = access_units(&bytes);
    assert_eq!(units.len(), 30);
    let mut seen = Vec::new();
    for (index, (unit, key)) in units.into_iter().enumerate() {
        let time = Timestamp::new(index as i64 * 3000, Timescale::VIDEO);
        let packet =
            Packet { pts: time, dts: time, duration_ticks: 3000, key, payload: unit.to_vec().into() };
        seen.extend(decoder.decode(&packet).unwrap());
    }
    assert!(seen.len() < 30, "some are held back");
    seen.extend(decoder.flush().unwrap());
    // Picture N has the brightness 16 + 7·N throughout.
    let brightness: Vec<_> = seen.iter().map(|picture| luma(picture)[320 * 120 + 160]).collect();
    assert_eq!(brightness.len(), 30, "none is lost");
    for (index, found) in brightness.iter().enumerate() {
        assert!(found.abs_diff(16 + 7 * index as u8) <= 3, "picture {index} has {found}");
    }
}

/// Splits a stream of one slice a picture into access units, and says which are IDRs.
fn access_units(stream: &[u8]) -> Vec<(&[u8], bool)> {
    let base = stream.as_ptr() as usize;
    let mut units = Vec::new();
    let mut start = 0;
    for nal in nal_units(stream) {
        let kind = nal[0] & 0x1f;
        if kind == 1 || kind == 5 {
            let end = nal.as_ptr() as usize - base + nal.len();
            units.push((&stream[start..end], kind == 5));
            start = end;
        }
    }
    units
}
