use std::f64::consts::TAU;

use media::{AudioBlock, Codec, Packet, Timescale, Timestamp};
use tickcast_codec::{AudioDecoder, AudioEncoder, AudioEncoderConfig, Fec, SoundCorrections};

const LEVEL: f64 = 0.5;

fn block(start: i64, frames: usize, at: impl Fn(i64) -> f64) -> AudioBlock {
    AudioBlock {
        rate: 48_000,
        channels: 2,
        samples: (0..frames as i64)
            .flat_map(|n| {
                let value = at(start + n) as f32;
                [value, -value]
            })
            .collect(),
        timestamp: Timestamp::new(start, Timescale::AUDIO),
    }
}

fn sine(hz: f64) -> impl Fn(i64) -> f64 + Copy {
    move |n| LEVEL * (TAU * hz * n as f64 / 48_000.0).sin()
}

fn open(codec: Codec, kbps: u32) -> AudioEncoder {
    AudioEncoder::open(AudioEncoderConfig::new(codec, kbps)).unwrap()
}

/// Decodes packets to the left channel, as (time of the first sample, samples); the time must be gapless.
fn decode(encoder: &AudioEncoder, packets: &[Packet]) -> (i64, Vec<f64>) {
    let mut decoder = AudioDecoder::open(&encoder.track()).unwrap();
    let mut left: Vec<f64> = Vec::new();
    let mut start = None;
    for packet in packets {
        for block in decoder.decode(packet).unwrap() {
            assert_eq!((block.rate, block.channels), (48_000, 2));
            let time = block.timestamp.rescale(Timescale::AUDIO).ticks();
            let start = *start.get_or_insert(time);
            assert_eq!(time, start + left.len() as i64, "blocks follow on each other");
            left.extend(block.samples.iter().step_by(2).map(|&sample| f64::from(sample)));
        }
    }
    (start.unwrap(), left)
}

/// Amplitude of `hz` in samples: the discrete Fourier sum at one frequency.
fn amplitude(samples: &[f64], hz: f64) -> f64 {
    let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, &sample)| {
        let angle = TAU * hz * n as f64 / 48_000.0;
        (re + sample * angle.cos(), im + sample * angle.sin())
    });
    2.0 * f64::hypot(re, im) / samples.len() as f64
}

#[test]
fn a_sine_comes_back_with_its_frequency_and_level() {
    for (codec, kbps) in [(Codec::Aac, 128), (Codec::Opus, 96)] {
        let mut encoder = open(codec, kbps);
        let mut packets = Vec::new();
        for index in 0..100 {
            packets.extend(encoder.encode(&block(index * 480, 480, sine(1000.0))).unwrap());
        }
        let (_, samples) = decode(&encoder, &packets);
        // Half a second from the middle: whole periods, so other frequencies sum to nothing.
        let middle = &samples[12_000..36_000];
        let level = amplitude(middle, 1000.0);
        // Within half a decibel.
        assert!((20.0 * (level / LEVEL).log10()).abs() < 0.5, "{codec:?} has level {level:.3}");
        for other in [500.0, 960.0, 1040.0, 2000.0, 3000.0] {
            let spur = amplitude(middle, other);
            assert!(spur < LEVEL / 100.0, "{codec:?} has {spur:.4} at {other} Hz");
        }
    }
}

#[test]
fn what_a_decoder_makes_of_a_packet_belongs_at_the_packets_time() {
    // A chirp: no two moments are alike, so the correlation has one peak.
    let chirp = |n: i64| {
        let t = n as f64 / 48_000.0;
        LEVEL * (TAU * (300.0 * t + 1500.0 * t * t)).sin()
    };
    let start = 1_000_000;
    for (codec, delay) in [(Codec::Aac, 1024), (Codec::Opus, 312)] {
        let mut encoder = open(codec, 128);
        // FFmpeg's AAC looks ahead by one frame; libopus by 6.5 ms (2.5 ms and 4 ms) at 48 kHz.
        assert_eq!(encoder.delay_ticks(), delay, "{codec:?}");
        let mut packets = Vec::new();
        for index in 0..100 {
            let at = start + index * 480;
            packets.extend(encoder.encode(&block(at, 480, |n| chirp(n - start))).unwrap());
        }
        assert_eq!(packets[0].pts.ticks(), start - i64::from(delay), "{codec:?}");
        let (first, samples) = decode(&encoder, &packets);
        let correlation = |shift: i64| -> f64 {
            (10_000..30_000)
                .map(|n: i64| chirp(n) * samples[(n + start - first + shift) as usize])
                .sum::<f64>()
        };
        let best = (-200..=200).max_by(|&a, &b| correlation(a).total_cmp(&correlation(b))).unwrap();
        assert_eq!(best, 0, "{codec:?} is off by {best} samples");
        // And it is the same signal, not just the best of bad ones.
        let energy: f64 = (10_000..30_000).map(|n| chirp(n).powi(2)).sum();
        assert!((correlation(0) / energy - 1.0).abs() < 0.1, "{codec:?}");
    }
}

#[test]
fn packets_are_alike_however_the_sound_is_cut_into_blocks() {
    for codec in [Codec::Aac, Codec::Opus] {
        let whole = {
            let mut encoder = open(codec, 96);
            let mut packets = encoder.encode(&block(0, 9600, sine(440.0))).unwrap();
            packets.extend(encoder.flush().unwrap());
            packets
        };
        let mut encoder = open(codec, 96);
        let mut packets = Vec::new();
        let mut at = 0;
        for length in [1, 479, 480, 1023, 1025, 17, 2048, 4096, 431].into_iter() {
            packets.extend(encoder.encode(&block(at, length, sine(440.0))).unwrap());
            at += length as i64;
        }
        assert_eq!(at, 9600);
        packets.extend(encoder.flush().unwrap());
        assert_eq!(packets.len(), whole.len());
        for (a, b) in packets.iter().zip(&whole) {
            assert_eq!((a.pts, &a.payload), (b.pts, &b.payload));
        }
        // All of the sound and the codec's delay are in there.
        let frame = encoder.frame_samples() as i64;
        let (first, last) = (packets[0].pts.ticks(), packets.last().unwrap().pts.ticks() + frame);
        assert_eq!(first, -i64::from(encoder.delay_ticks()));
        assert!(last >= 9600, "{codec:?} ends at {last}");
        assert!(packets.windows(2).all(|pair| pair[1].pts.ticks() - pair[0].pts.ticks() == frame));
    }
}

#[test]
fn aac_states_its_configuration_outside_of_the_packets() {
    let mut encoder = open(Codec::Aac, 128);
    let track = encoder.track();
    // ISO/IEC 14496-3 §1.6.2.1: object type 2 (low complexity, 5 bits), index 3 (48 kHz, 4 bits), 2 channels (4).
    let bits = u16::from_be_bytes([track.config[0], track.config[1]]);
    assert_eq!((bits >> 11, bits >> 7 & 15, bits >> 3 & 15), (2, 3, 2));
    let packets = encoder.encode(&block(0, 4096, sine(440.0))).unwrap();
    // An ADTS header would begin with twelve ones.
    assert!(packets.iter().all(|packet| packet.payload[0] != 0xff || packet.payload[1] >> 4 != 0xf));
    assert!(open(Codec::Opus, 64).track().config.is_empty());
}

#[test]
fn an_opus_packet_is_one_frame_of_twenty_milliseconds() {
    for fec in [Fec::Off, Fec::On { expected_loss_percent: 10 }] {
        let config = AudioEncoderConfig { codec: Codec::Opus, bitrate_kbps: 48, fec };
        let mut encoder = AudioEncoder::open(config).unwrap();
        assert_eq!(encoder.frame_samples(), 960);
        let packets = encoder.encode(&block(0, 9600, sine(440.0))).unwrap();
        assert_eq!(packets.len(), 10);
        for packet in packets {
            // RFC 6716 §3.1: configuration, stereo, code 0 (one frame); 20 ms are 1, 5, 9 (SILK), 13, 15 (hybrid)
            // and 19, 23, 27, 31 (CELT).
            let toc = packet.payload[0];
            assert!([1, 5, 9, 13, 15, 19, 23, 27, 31].contains(&(toc >> 3)), "{toc:#x}");
            assert_eq!(toc & 3, 0);
        }
    }
}

#[test]
fn opus_with_error_correction_is_another_stream_than_without() {
    let stream = |fec| {
        let config = AudioEncoderConfig { codec: Codec::Opus, bitrate_kbps: 24, fec };
        let mut encoder = AudioEncoder::open(config).unwrap();
        let packets = encoder.encode(&block(0, 48_000, sine(200.0))).unwrap();
        packets.into_iter().map(|packet| packet.payload).collect::<Vec<_>>()
    };
    assert_ne!(stream(Fec::Off), stream(Fec::On { expected_loss_percent: 20 }));
}

#[test]
fn a_gap_is_filled_with_silence_and_counted() {
    let mut encoder = open(Codec::Opus, 96);
    let mut packets = encoder.encode(&block(0, 24_000, sine(1000.0))).unwrap();
    packets.extend(encoder.encode(&block(33_600, 24_000, sine(1000.0))).unwrap());
    assert_eq!(encoder.corrections(), SoundCorrections { filled: 9600, dropped: 0 });
    let (first, samples) = decode(&encoder, &packets);
    let slice = |from: i64, to: i64| &samples[(from - first) as usize..(to - first) as usize];
    assert!(amplitude(slice(12_000, 21_600), 1000.0) > 0.45);
    assert!(amplitude(slice(26_400, 31_200), 1000.0) < 0.01, "the gap is silent");
    assert!(amplitude(slice(38_400, 48_000), 1000.0) > 0.45);
}

#[test]
fn sound_that_comes_twice_is_dropped_once() {
    let mut encoder = open(Codec::Opus, 96);
    encoder.encode(&block(0, 9600, sine(1000.0))).unwrap();
    let packets = encoder.encode(&block(4800, 9600, sine(1000.0))).unwrap();
    assert_eq!(encoder.corrections(), SoundCorrections { filled: 0, dropped: 4800 });
    assert_eq!(packets.last().unwrap().pts.ticks(), 14_400 - 960 - 312);
}

#[test]
fn a_timestamp_that_was_rounded_to_milliseconds_corrects_nothing() {
    let mut encoder = open(Codec::Opus, 96);
    let mut at = 0;
    // 1001 samples are 20.854 ms.
    for _ in 0..200 {
        let mut block = block(at, 1001, sine(440.0));
        block.timestamp = block.timestamp.rescale(Timescale::MILLIS);
        encoder.encode(&block).unwrap();
        at += 1001;
    }
    assert_eq!(encoder.corrections(), SoundCorrections::default());
}

#[test]
fn after_a_long_pause_time_starts_anew() {
    let mut encoder = open(Codec::Opus, 96);
    encoder.encode(&block(0, 500, sine(440.0))).unwrap();
    let later = 48_000 * 3600;
    let packets = encoder.encode(&block(later, 960, sine(440.0))).unwrap();
    // The half-filled frame was padded and left with the codec's delay; none of the hour was filled.
    let times: Vec<_> = packets.iter().map(|packet| packet.pts.ticks()).collect();
    assert_eq!(times, [-312, 648, later - 312]);
    assert_eq!(encoder.corrections(), SoundCorrections::default());
}

#[test]
fn sound_that_is_no_number_does_not_spoil_what_follows() {
    let mut encoder = open(Codec::Aac, 128);
    let mut packets = encoder.encode(&block(0, 4096, |_| f64::NAN)).unwrap();
    packets.extend(encoder.encode(&block(4096, 48_000, sine(1000.0))).unwrap());
    let (_, samples) = decode(&encoder, &packets);
    assert!((amplitude(&samples[24_000..36_000], 1000.0) / LEVEL - 1.0).abs() < 0.05);
}

#[test]
fn settings_and_sound_that_cannot_be_are_refused() {
    let open = |codec, kbps| AudioEncoder::open(AudioEncoderConfig::new(codec, kbps));
    assert_eq!(open(Codec::Opus, 511).unwrap_err().code(), "codec_setting");
    assert_eq!(open(Codec::Aac, 0).unwrap_err().code(), "codec_setting");
    assert_eq!(open(Codec::H264, 100).unwrap_err().code(), "codec_setting");
    let fec = Fec::On { expected_loss_percent: 101 };
    let config = AudioEncoderConfig { codec: Codec::Opus, bitrate_kbps: 64, fec };
    assert_eq!(AudioEncoder::open(config).unwrap_err().code(), "codec_setting");
    let mut mono = block(0, 480, sine(440.0));
    mono.channels = 1;
    assert_eq!(open(Codec::Opus, 64).unwrap().encode(&mono).unwrap_err().code(), "codec_wrong_sound");
}
