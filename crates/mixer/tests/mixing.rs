//! The mixer against simulated devices, in virtual time.

use std::f64::consts::TAU;
use std::sync::Arc;

use media::{AudioBlock, BLOCK_FRAMES, Timescale, Timestamp};
use proptest::prelude::*;
use tickcast_mixer::{InputId, InputSettings, Mixed, Mixer, Mute, PushError, SILENCE_DB};

const LATENCY: Timestamp = Timestamp::new(60, Timescale::MILLIS);

fn start_of(block: i64) -> Timestamp {
    Timestamp::new(block * BLOCK_FRAMES as i64, Timescale::AUDIO)
}

fn seconds(time: f64) -> Timestamp {
    Timestamp::new((time * 1e9).round() as i64, Timescale::NANOS)
}

/// A device that hears `sound` (a function of true time) with a clock that runs `ppm` fast.
struct Device {
    rate: u32,
    channels: usize,
    ppm: f64,
    block_frames: usize,
    /// Reach of the error of its timestamps, in seconds.
    jitter: f64,
    seed: u32,
    produced: u64,
}

impl Device {
    fn new(rate: u32, channels: usize) -> Self {
        let block_frames = rate as usize / 100;
        Self { rate, channels, ppm: 0.0, block_frames, jitter: 0.0, seed: 7, produced: 0 }
    }

    fn time_of(&self, frame: u64) -> f64 {
        frame as f64 / (f64::from(self.rate) * (1.0 + self.ppm * 1e-6))
    }

    fn block(&mut self, sound: &dyn Fn(f64) -> f64) -> AudioBlock {
        let first = self.produced;
        self.produced += self.block_frames as u64;
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (f64::from(self.seed >> 8) / f64::from(1 << 24) - 0.5) * 2.0 * self.jitter;
        let samples = (first..self.produced)
            .flat_map(|frame| std::iter::repeat_n(sound(self.time_of(frame)) as f32, self.channels))
            .collect();
        let timestamp = seconds(self.time_of(first) + noise);
        AudioBlock { rate: self.rate, channels: self.channels, samples, timestamp }
    }

    /// Hands over every block that is complete at `now`.
    fn deliver(&mut self, now: f64, mixer: &mut Mixer, id: InputId, sound: &dyn Fn(f64) -> f64) {
        while self.time_of(self.produced + self.block_frames as u64) <= now {
            mixer.push(id, &self.block(sound)).expect("a device's block is taken");
        }
    }
}

/// A smooth pulse of 4 ms round `centre`: its middle can be found to a fraction of a sample.
fn pulse(time: f64, centre: f64) -> f64 {
    let x = (time - centre) / 0.002;
    if x.abs() < 1.0 { 0.5 * (1.0 + (std::f64::consts::PI * x).cos()) } else { 0.0 }
}

/// The centre of gravity of the sound within 10 ms of `near`, in seconds; `programme` starts at 0.
fn centre_of(programme: &[f32], near: f64) -> f64 {
    let from = ((near - 0.01) * 48_000.0) as usize;
    let (mut weight, mut moment) = (0.0, 0.0);
    for (n, frame) in programme.chunks_exact(2).enumerate().skip(from).take(960) {
        weight += f64::from(frame[0]);
        moment += f64::from(frame[0]) * n as f64;
    }
    assert!(weight > 1.0, "there is a pulse near {near} s");
    moment / weight / 48_000.0
}

fn alone(settings: InputSettings) -> (Mixer, InputId) {
    let mut mixer = Mixer::new(LATENCY);
    let id = mixer.add_input(settings);
    (mixer, id)
}

/// The whole programme of `length` seconds heard through one device.
fn programme_of(device: &mut Device, length: f64, sound: &dyn Fn(f64) -> f64) -> (Vec<f32>, Mixer, InputId) {
    let (mut mixer, id) = alone(InputSettings::default());
    let mut programme = Vec::new();
    for block in 0..(length * 100.0) as i64 {
        device.deliver(start_of(block).as_secs_f64(), &mut mixer, id, sound);
        programme.extend_from_slice(&mixer.mix(start_of(block)).block.samples);
    }
    (programme, mixer, id)
}

#[test]
fn sound_captured_at_a_time_is_heard_a_fixed_latency_later_at_every_rate() {
    let sound = |time: f64| pulse(time, 1.0) * 0.5;
    for (rate, channels) in [(48_000, 2), (48_000, 1), (44_100, 2), (16_000, 1), (96_000, 2), (32_000, 6)] {
        let (programme, mixer, id) = programme_of(&mut Device::new(rate, channels), 1.5, &sound);
        let heard = centre_of(&programme, 1.06);
        let offset_ms = (heard - 1.06) * 1e3;
        assert!(offset_ms.abs() < 0.05, "{rate} Hz: {offset_ms} ms");
        assert_eq!(mixer.input(id).unwrap().counts.gap, 0, "{rate} Hz");
    }
}

#[test]
fn the_latency_holds_for_devices_with_large_blocks() {
    let mut device = Device::new(48_000, 2);
    device.block_frames = 2_048;
    let mut mixer = Mixer::new(Timestamp::new(100, Timescale::MILLIS));
    let id = mixer.add_input(InputSettings::default());
    let mut programme = Vec::new();
    for block in 0..150 {
        device.deliver(start_of(block).as_secs_f64(), &mut mixer, id, &|time| pulse(time, 1.0) * 0.5);
        programme.extend_from_slice(&mixer.mix(start_of(block)).block.samples);
    }
    assert!((centre_of(&programme, 1.1) - 1.1).abs() < 5e-5);
}

#[test]
fn a_latency_that_is_raised_leaves_no_gap_in_the_programme_and_none_of_its_sound_out() {
    let tone = |time: f64| (time * 440.0 * TAU).sin() * 0.25;
    let programme_of = |raised_at: Option<i64>| {
        let mut device = Device::new(44_100, 2);
        let mut mixer = Mixer::new(Timestamp::new(30, Timescale::MILLIS));
        let id = mixer.add_input(InputSettings::default());
        let (mut programme, mut start) = (Vec::new(), 0);
        for block in 0..200 {
            if raised_at == Some(block) {
                // 25 ms more are three whole blocks.
                assert_eq!(mixer.raise_latency(Timestamp::new(55, Timescale::MILLIS)), 3);
                assert_eq!(mixer.raise_latency(Timestamp::new(60, Timescale::MILLIS)), 0);
                assert_eq!(mixer.latency(), Timestamp::new(60, Timescale::MILLIS));
                start += 3;
            }
            device.deliver(start_of(start).as_secs_f64(), &mut mixer, id, &tone);
            programme.extend_from_slice(&mixer.mix(start_of(start)).block.samples);
            start += 1;
        }
        assert_eq!(mixer.input(id).unwrap().counts.gap, 0);
        programme
    };
    let (plain, raised) = (programme_of(None), programme_of(Some(100)));
    let apart = plain.iter().zip(&raised).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // A sample of this tone differs from the next by 0.014.
    assert!(apart < 1e-3, "{apart}");
}

/// Drives a device for ten virtual minutes; returns the worst offset of the pulses after the first five
/// seconds, in ms, and the frequency of the tone heard in the last second.
fn ten_minutes(ppm: f64, rate: u32, jitter: f64) -> (f64, f64, f64) {
    let mut device = Device { ppm, jitter, ..Device::new(rate, 1) };
    let (mut mixer, id) = alone(InputSettings::default());
    // A pulse at each half second; a 1 kHz tone through the last two seconds.
    let sound = |time: f64| {
        let nearest = (time * 2.0).round() / 2.0;
        if time < 598.0 { 0.5 * pulse(time, nearest) } else { 0.25 * (time * TAU * 1_000.0).sin() }
    };
    let mut window = Vec::new();
    let mut worst: f64 = 0.0;
    for block in 0..60_000_i64 {
        device.deliver(start_of(block).as_secs_f64(), &mut mixer, id, &sound);
        window.extend_from_slice(&mixer.mix(start_of(block)).block.samples);
        let whole_seconds = (block + 1) % 100 == 0;
        if whole_seconds && block < 59_700 {
            let second = (block / 100) as f64;
            if second >= 5.0 {
                let heard = second + centre_of(&window, 0.56) - 0.06;
                worst = worst.max((heard - (second + 0.5)).abs() * 1e3);
            }
            window.clear();
        } else if block == 59_900 {
            window.clear();
        }
    }
    // Rising zero crossings, interpolated, over the last second.
    let left: Vec<f64> = window.chunks_exact(2).map(|f| f64::from(f[0])).collect();
    let crossings: Vec<f64> = (1..left.len())
        .filter(|&n| left[n - 1] < 0.0 && left[n] >= 0.0)
        .map(|n| n as f64 - left[n] / (left[n] - left[n - 1]))
        .collect();
    let periods = (crossings.len() - 1) as f64;
    let hertz = periods * 48_000.0 / (crossings[crossings.len() - 1] - crossings[0]);
    let state = mixer.input(id).expect("the input was added above");
    assert_eq!((state.counts.late, state.counts.overflow, state.counts.restarts), (0, 0, 0));
    (worst, hertz, state.drift_ppm)
}

#[test]
fn a_device_that_runs_200_ppm_fast_stays_in_time_for_ten_minutes() {
    // Uncorrected it would be 600 s × 200 ppm = 120 ms off.
    let (worst_ms, hertz, drift_ppm) = ten_minutes(200.0, 48_000, 0.002);
    println!("+200 ppm, ±2 ms jitter: worst offset {worst_ms:.3} ms, {hertz:.4} Hz, {drift_ppm:.1} ppm");
    assert!(worst_ms < 5.0, "{worst_ms} ms");
    assert!((hertz - 1_000.0).abs() < 0.1, "{hertz} Hz");
    assert!((drift_ppm - 200.0).abs() < 30.0, "{drift_ppm} ppm");
}

#[test]
fn a_device_that_runs_slow_at_another_rate_stays_in_time() {
    let (worst_ms, hertz, drift_ppm) = ten_minutes(-150.0, 44_100, 0.0005);
    println!("-150 ppm at 44.1 kHz: worst offset {worst_ms:.3} ms, {hertz:.4} Hz, {drift_ppm:.1} ppm");
    assert!(worst_ms < 5.0, "{worst_ms} ms");
    assert!((hertz - 1_000.0).abs() < 0.1, "{hertz} Hz");
    assert!((drift_ppm + 150.0).abs() < 30.0, "{drift_ppm} ppm");
}

#[test]
fn lost_blocks_are_silence_and_counted_and_what_follows_is_in_time() {
    let mut device = Device::new(48_000, 2);
    let (mut mixer, id) = alone(InputSettings::default());
    let sound = |time: f64| pulse(time, 6.0) * 0.5;
    let mut programme = Vec::new();
    for block in 0..650_i64 {
        let now = start_of(block).as_secs_f64();
        while device.time_of(device.produced + 480) <= now {
            let made = device.block(&sound);
            // Three blocks in the fifth second never arrive.
            if !(500..503).contains(&(device.produced / 480)) {
                mixer.push(id, &made).unwrap();
            }
        }
        programme.extend_from_slice(&mixer.mix(start_of(block)).block.samples);
    }
    let counts = mixer.input(id).unwrap().counts;
    assert_eq!((counts.gap, counts.overlap, counts.late), (3 * 480, 0, 0));
    assert!((centre_of(&programme, 6.06) - 6.06).abs() < 5e-5);
}

#[test]
fn blocks_that_come_twice_are_heard_once() {
    let mut device = Device::new(48_000, 1);
    let (mut mixer, id) = alone(InputSettings::default());
    for block in 0..600_i64 {
        if block > 0 {
            let made = device.block(&|time| 0.1 * (time * TAU * 100.0).sin());
            mixer.push(id, &made).unwrap();
            if block == 550 {
                mixer.push(id, &made).unwrap();
            }
        }
        mixer.mix(start_of(block));
    }
    let counts = mixer.input(id).unwrap().counts;
    assert_eq!((counts.overlap, counts.gap, counts.late), (480, 0, 0));
}

#[test]
fn a_device_that_comes_back_after_seconds_is_in_time_at_once() {
    let mut device = Device::new(48_000, 2);
    let (mut mixer, id) = alone(InputSettings::default());
    let sound = |time: f64| pulse(time, 6.0) * 0.5;
    let mut programme = Vec::new();
    for block in 0..650_i64 {
        let now = start_of(block).as_secs_f64();
        while device.time_of(device.produced + 480) <= now {
            let made = device.block(&sound);
            if !(2.0..5.5).contains(&now) {
                mixer.push(id, &made).unwrap();
            }
        }
        programme.extend_from_slice(&mixer.mix(start_of(block)).block.samples);
    }
    let counts = mixer.input(id).unwrap().counts;
    assert_eq!(counts.restarts, 1);
    assert!(counts.gap > 3 * 48_000, "{counts:?}");
    assert!((centre_of(&programme, 6.06) - 6.06).abs() < 5e-5);
}

#[test]
fn inputs_are_summed_at_their_gains_and_a_muted_one_is_metered_but_not_heard() {
    let mut mixer = Mixer::new(LATENCY);
    let ids =
        [0.0, -20.0, 0.0].map(|gain_db| mixer.add_input(InputSettings { gain_db, ..Default::default() }));
    mixer.set_input(ids[2], InputSettings { mute: Mute::Muted, ..Default::default() }).unwrap();
    let block = |level: f32, n: i64| AudioBlock {
        rate: 48_000,
        channels: 1,
        samples: Arc::from([level; 480]),
        timestamp: start_of(n),
    };
    let mut last = None;
    for n in 0..100 {
        for (id, level) in ids.iter().zip([0.25, 0.5, 0.5]) {
            mixer.push(*id, &block(level, n)).unwrap();
        }
        last = Some(mixer.mix(start_of(n + 1)));
    }
    // 0.25 + 0.5 × 10^(−20/20).
    let heard = last.unwrap().block.samples[400];
    assert!((heard - 0.30).abs() < 1e-3, "{heard}");
    let muted = mixer.input(ids[2]).unwrap().level.peak_dbfs[0];
    assert!((muted + 6.02).abs() < 0.02, "{muted} dBFS");
}

#[test]
fn who_listens_hears_what_is_monitored_or_what_is_soloed_alone_and_the_programme_neither() {
    let monitored = InputSettings { monitored: true, ..InputSettings::default() };
    let soloed = InputSettings { soloed: true, mute: Mute::Muted, ..InputSettings::default() };
    let muted = InputSettings { mute: Mute::Muted, ..monitored };
    // Three inputs of 0.1, 0.2 and 0.4: each sum says which of them were heard.
    let heard = |settings: [InputSettings; 3]| {
        let mut mixer = Mixer::new(LATENCY);
        let ids = settings.map(|settings| mixer.add_input(settings));
        let mut devices = [0; 3].map(|_| Device::new(48_000, 2));
        let mut last = None;
        for block in 0..50 {
            for ((device, id), level) in devices.iter_mut().zip(ids).zip([0.1, 0.2, 0.4]) {
                device.deliver(start_of(block).as_secs_f64(), &mut mixer, id, &|_| level);
            }
            last = Some(mixer.mix(start_of(block)));
        }
        let Mixed { block, monitor, .. } = last.unwrap();
        assert!(monitor.as_ref().is_none_or(|monitor| monitor.timestamp == block.timestamp));
        let tenths = |block: &AudioBlock| (block.samples[BLOCK_FRAMES] * 10.0).round() as i32;
        (tenths(&block), monitor.as_ref().map(tenths))
    };
    let plain = InputSettings::default();
    assert_eq!(heard([plain; 3]), (7, None));
    assert_eq!(heard([plain, monitored, plain]), (7, Some(2)));
    assert_eq!(heard([monitored, muted, plain]), (5, Some(1)), "what is muted is muted for both");
    assert_eq!(heard([monitored, plain, soloed]), (3, Some(4)), "muted, and listened to");
    let off = InputSettings { gain_db: SILENCE_DB, ..monitored };
    assert_eq!(heard([off, plain, plain]).1, None, "a fader at the bottom");
}

#[test]
fn what_is_listened_to_comes_and_goes_without_a_click() {
    let (mut mixer, id) = alone(InputSettings::default());
    let mut device = Device::new(48_000, 2);
    let mut monitored = Vec::new();
    for block in 0..60 {
        device.deliver(start_of(block).as_secs_f64(), &mut mixer, id, &|_| 0.5);
        let is_on = (20..40).contains(&block);
        mixer.set_input(id, InputSettings { monitored: is_on, ..InputSettings::default() }).unwrap();
        let monitor = mixer.mix(start_of(block)).monitor;
        assert_eq!(monitor.is_some(), (20..=40).contains(&block), "{block}");
        monitored.extend(monitor.iter().flat_map(|block| block.samples.iter().step_by(2).copied()));
    }
    // 0.5 in 480 steps.
    let step = monitored.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.5 / 480.0 + 1e-4, "{step}");
    assert!((monitored[480 * 10] - 0.5).abs() < 1e-3);
}

#[test]
fn two_loud_sources_stay_under_the_ceiling() {
    let mut mixer = Mixer::new(LATENCY);
    let ids = [mixer.add_input(InputSettings::default()), mixer.add_input(InputSettings::default())];
    let mut devices = [Device::new(48_000, 2), Device::new(44_100, 1)];
    let mut limited = 0.0_f32;
    for block in 0..200 {
        for (device, id) in devices.iter_mut().zip(ids) {
            let sound = |time: f64| (time * TAU * 440.0).sin();
            device.deliver(start_of(block).as_secs_f64(), &mut mixer, id, &sound);
        }
        let mixed = mixer.mix(start_of(block));
        limited = limited.min(mixed.meters.limiter_db);
        assert!(mixed.block.samples.iter().all(|v| v.abs() <= 0.891_251));
    }
    // Two in phase reach 2.0: 20 log10(0.891/2) = −7.02 dB.
    assert!((limited + 7.02).abs() < 0.2, "{limited} dB");
}

#[test]
fn an_input_that_never_speaks_is_silent_and_is_not_a_gap() {
    let (mut mixer, id) = alone(InputSettings::default());
    let mixed = mixer.mix(start_of(0));
    assert!(mixed.block.samples.iter().all(|v| *v == 0.0));
    assert_eq!(mixer.input(id).unwrap().counts.gap, 0);
    mixer.remove_input(id);
    assert_eq!(mixer.input(id), None);
}

#[test]
fn nonsense_from_a_device_is_refused_or_made_silent() {
    let (mut mixer, id) = alone(InputSettings::default());
    let block = |rate, channels, samples: &[f32]| AudioBlock {
        rate,
        channels,
        samples: Arc::from(samples),
        timestamp: start_of(0),
    };
    assert_eq!(mixer.push(id, &block(0, 2, &[0.0; 4])), Err(PushError::Rate(0)));
    assert_eq!(mixer.push(id, &block(48_000, 0, &[0.0; 4])), Err(PushError::Channels(0)));
    mixer.push(id, &block(48_000, 1, &[f32::NAN, f32::INFINITY, 0.5])).unwrap();
    assert_eq!(mixer.input(id).unwrap().counts.invalid, 4);
    assert!(mixer.mix(start_of(5)).block.samples.iter().all(|v| v.is_finite()));
}

#[test]
fn times_without_sense_are_survived() {
    let (mut mixer, id) = alone(InputSettings::default());
    let ages = [0, i64::MAX, i64::MIN, 1, i64::MAX / 2, 0].map(|n| Timestamp::new(n, Timescale::of(1)));
    for (stamp, start) in ages.into_iter().flat_map(|stamp| ages.map(|start| (stamp, start))) {
        let block = AudioBlock::silence(stamp);
        mixer.push(id, &block).unwrap();
        assert!(mixer.mix(start).block.samples.iter().all(|v| *v == 0.0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_order_of_blocks_makes_it_panic_grow_or_overshoot(
        blocks in proptest::collection::vec((0usize..3_000, -5_000i64..5_000, 0usize..8, 0usize..5), 1..60)
    ) {
        let (mut mixer, id) = alone(InputSettings::default());
        for (n, (frames, millis, channels, rate)) in blocks.into_iter().enumerate() {
            let rate = [48_000, 44_100, 8_000, 192_000, 0][rate];
            let samples: Arc<[f32]> = (0..frames * channels).map(|v| (v % 7) as f32 - 3.0).collect();
            let timestamp = Timestamp::new(millis, Timescale::MILLIS);
            let _ = mixer.push(id, &AudioBlock { rate, channels, samples, timestamp });
            let mixed = mixer.mix(start_of(n as i64));
            prop_assert!(mixed.block.samples.iter().all(|v| v.abs() <= 0.891_251));
            prop_assert!(mixer.input(id).unwrap().buffered_ms <= 2_001.0);
        }
    }
}
