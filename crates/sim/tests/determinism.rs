//! The same seed and log give the same bits, whoever computes them; and states survive being saved.

#![allow(clippy::unwrap_used)]

use media::{Size, Timescale, Timestamp};
use proptest::prelude::*;
use sim::{Action, Command, CommandLog, Isa, Parameter, Preset, SimConfig, SimError, Simulation, StateError};
use tickcast_sim as sim;

const COUNT: u32 = 20_000;
const SIZE: Size = Size::new(320, 180);
const NOW: Timestamp = Timestamp::zero(Timescale::VIDEO);

/// One of everything that can be told to a simulation, in its first three hundred steps.
fn eventful_log(other: Preset) -> CommandLog {
    let actions = [
        (0, Action::Set { parameter: Parameter::Curl, value: 1.5 }),
        (40, Action::Push { at: [0.5, 0.5, 0.0], radius: 3.0, velocity: [1.0, 4.0, -2.0] }),
        (60, Action::Attract { at: [1.0, 1.0, 1.0], strength: 6.0, steps: 30 }),
        (61, Action::Attract { at: [-1.0, 1.0, 1.0], strength: -6.0, steps: 10 }),
        (90, Action::Spawn { at: [0.0, 2.0, 0.0], velocity: [0.0; 3], count: 400, colour: [1.0, 0.2, 0.1] }),
        (91, Action::Spawn { at: [0.0, 1.0, 0.0], velocity: [3.0, 2.0, 0.0], count: 300, colour: [0.1; 3] }),
        (120, Action::Active { count: COUNT / 3 }),
        (150, Action::Set { parameter: Parameter::WindX, value: -2.5 }),
        (180, Action::Active { count: COUNT }),
        (200, Action::Preset { preset: other }),
        (230, Action::Set { parameter: Parameter::Emission, value: 2.5 }),
    ];
    let mut log = CommandLog::new();
    for (step, action) in actions {
        log.push(Command { step, action }).unwrap();
    }
    log
}

fn after(preset: Preset, threads: usize, isa: Isa, steps: u64) -> Simulation {
    let other = if preset == Preset::Embers { Preset::Silk } else { Preset::Embers };
    let config = SimConfig { seed: 42, count: COUNT, preset, threads, isa: Some(isa) };
    let mut simulation = Simulation::new(config).unwrap();
    simulation.set_log(eventful_log(other)).unwrap();
    simulation.advance_to(steps).unwrap();
    simulation
}

#[test]
fn every_thread_count_and_instruction_set_gives_the_same_state_and_the_same_picture() {
    for preset in Preset::ALL {
        let mut first = after(preset, 1, Isa::Baseline, 300);
        let hash = first.hash_hex().unwrap();
        let picture = first.render(SIZE, NOW).unwrap();
        assert!(picture.data().chunks_exact(4).any(|pixel| pixel[0] > 30), "{preset:?} is dark");
        for isa in Isa::available() {
            for threads in [1, 2, 7] {
                let mut other = after(preset, threads, isa, 300);
                assert_eq!(other.backend().threads(), threads);
                assert_eq!(other.hash_hex().unwrap(), hash, "{preset:?} with {isa:?} on {threads} threads");
                let same = other.render(SIZE, NOW).unwrap().data() == picture.data();
                assert!(same, "the picture of {preset:?} with {isa:?} on {threads} threads");
            }
        }
    }
}

#[test]
fn steps_taken_one_by_one_are_the_steps_taken_together() {
    let mut together = after(Preset::Galaxy, 1, Isa::best(), 250);
    let mut single = after(Preset::Galaxy, 1, Isa::best(), 0);
    for _ in 0..250 {
        single.step().unwrap();
    }
    assert_eq!(single.hash().unwrap(), together.hash().unwrap());
}

#[test]
fn another_seed_or_another_command_gives_another_state() {
    let state = |seed, value| {
        let config = SimConfig { seed, count: 2_000, ..SimConfig::default() };
        let mut simulation = Simulation::new(config).unwrap();
        simulation.act(Action::Set { parameter: Parameter::WindY, value }).unwrap();
        simulation.advance_to(60).unwrap();
        simulation.hash().unwrap()
    };
    assert_eq!(state(1, 0.5), state(1, 0.5));
    assert_ne!(state(1, 0.5), state(2, 0.5));
    assert_ne!(state(1, 0.5), state(1, 0.25));
}

#[test]
fn a_restored_simulation_goes_on_as_the_saved_one_does() {
    // In the middle of everything: guests, an attractor and a changed preset are under way.
    for at in [0, 92, 205, 260] {
        let mut saved = after(Preset::Silk, 1, Isa::best(), at);
        let bytes = saved.save().unwrap();
        let config = SimConfig { seed: 7, count: 64, ..SimConfig::default() };
        let mut restored = Simulation::new(config).unwrap();
        restored.restore(&bytes).unwrap();
        assert_eq!(restored.hash().unwrap(), saved.hash().unwrap());
        for command in saved.log().commands().to_vec() {
            if command.step >= at {
                restored.push_command(command).unwrap();
            }
        }
        saved.advance_to(300).unwrap();
        restored.advance_to(300).unwrap();
        assert_eq!(restored.hash().unwrap(), saved.hash().unwrap(), "saved at step {at}");
        let pictures = [&mut saved, &mut restored].map(|s| s.render(SIZE, NOW).unwrap());
        assert!(pictures[0].data() == pictures[1].data());
    }
}

#[test]
fn the_hash_is_the_sha_256_of_the_saved_state() {
    use sha2::{Digest, Sha256};
    let mut simulation = after(Preset::Embers, 1, Isa::best(), 20);
    let digest: [u8; 32] = Sha256::digest(simulation.save().unwrap()).into();
    assert_eq!(simulation.hash().unwrap(), digest);
}

#[test]
fn a_written_log_replays_the_broadcast() {
    let mut live = after(Preset::Embers, 1, Isa::best(), 220);
    live.act(Action::Spawn {
        at: [0.1, 0.7, 1e-7],
        velocity: [0.3, 1.0 / 3.0, 0.0],
        count: 99,
        colour: [0.7; 3],
    })
    .unwrap();
    live.advance_to(300).unwrap();
    let mut text = Vec::new();
    live.log().write(&mut text).unwrap();
    let config = SimConfig { seed: 42, count: COUNT, preset: Preset::Embers, ..SimConfig::default() };
    let mut replay = Simulation::new(config).unwrap();
    replay.set_log(CommandLog::read(&text[..]).unwrap()).unwrap();
    replay.advance_to(300).unwrap();
    assert_eq!(replay.hash().unwrap(), live.hash().unwrap());
}

#[test]
fn a_hand_that_never_rests_is_obeyed_for_ever() {
    // More than the log holds: a hundred and some commands for each of ten thousand steps.
    let config = SimConfig { count: 64, ..SimConfig::default() };
    let mut simulation = Simulation::new(config).unwrap();
    for step in 0..10_000 {
        for n in 0..100_u8 {
            let value = f32::from(n) / 50.0;
            simulation.act(Action::Set { parameter: Parameter::Glow, value }).unwrap();
        }
        simulation.advance_to(step + 1).unwrap();
    }
    simulation.act(Action::Set { parameter: Parameter::Glow, value: 0.5 }).unwrap();
    simulation.step().unwrap();
    assert_eq!(simulation.parameter(Parameter::Glow), 0.5);
    // What is kept is the newest, and bounded.
    let commands = simulation.log().commands();
    assert!(commands.len() < 864_000 && commands.last().unwrap().step == 10_000, "{}", commands.len());
}

#[test]
fn commands_for_the_past_and_numbers_out_of_range_are_refused() {
    let mut simulation = after(Preset::Galaxy, 1, Isa::best(), 240);
    let late = Command { step: 239, action: Action::Active { count: 1 } };
    assert!(matches!(simulation.push_command(late), Err(sim::LogError::Late { step: 239, now: 240 })));
    let wild = Action::Set { parameter: Parameter::Bounce, value: f32::NAN };
    assert!(matches!(simulation.act(wild), Err(sim::LogError::OutOfRange { .. })));
    let far = Action::Push { at: [f32::INFINITY, 0.0, 0.0], radius: 1.0, velocity: [0.0; 3] };
    assert!(matches!(simulation.act(far), Err(sim::LogError::OutOfRange { .. })));
    assert!(matches!(simulation.advance_to(3), Err(SimError::Backwards { step: 3, now: 240 })));
    let tiny = Size::new(1, 1);
    assert!(matches!(simulation.render(tiny, NOW), Err(SimError::Size { .. })));
    let none = SimConfig { count: 0, ..SimConfig::default() };
    assert!(matches!(Simulation::new(none), Err(SimError::Count { count: 0 })));
}

#[test]
fn shed_particles_fade_within_half_a_second_and_come_back() {
    let config = SimConfig { count: 64_000, preset: Preset::Galaxy, ..SimConfig::default() };
    let mut simulation = Simulation::new(config).unwrap();
    simulation.advance_to(120).unwrap();
    let full = simulation.stats().unwrap().alive;
    // All of them, but for the few that die in the very step in which they are replaced.
    assert!(full >= 63_900, "{full}");
    simulation.set_active_count(16_000).unwrap();
    simulation.advance_to(152).unwrap();
    let shed = simulation.stats().unwrap();
    // A quarter, and at most one block more for each of three rings.
    assert!((15_000..=16_192).contains(&shed.alive), "{}", shed.alive);
    assert_eq!(shed.active, 16_000);
    simulation.set_active_count(64_000).unwrap();
    // The longest life of the preset is 16 s.
    simulation.advance_to(152 + 16 * 60 + 60).unwrap();
    assert!(simulation.stats().unwrap().alive >= 63_000);
}

#[test]
fn foreign_bytes_are_told_from_a_state() {
    let mut simulation = Simulation::new(SimConfig { count: 64, ..SimConfig::default() }).unwrap();
    let bytes = simulation.save().unwrap();
    let refused = |bytes: &[u8]| match sim::check_state(bytes) {
        Err(SimError::State(err)) => err,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(b"RIFF"), StateError::NotAState);
    assert!(matches!(refused(&bytes[..bytes.len() - 1]), StateError::Short { .. }));
    assert!(matches!(refused(&bytes[..40]), StateError::Short { .. }));
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(refused(&longer), StateError::Short { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_damaged_state_is_refused_or_runs(places in prop::collection::vec((0usize..12_000, any::<u8>()), 1..6)) {
        let mut simulation = Simulation::new(SimConfig { count: 64, ..SimConfig::default() }).unwrap();
        simulation.advance_to(40).unwrap();
        let mut bytes = simulation.save().unwrap();
        for (place, value) in places {
            let length = bytes.len();
            bytes[place % length] = value;
        }
        if simulation.restore(&bytes).is_ok() {
            let next = simulation.steps().saturating_add(2);
            simulation.advance_to(next).unwrap();
            simulation.render(Size::new(64, 36), NOW).unwrap();
        }
    }

    #[test]
    fn a_damaged_log_is_refused_or_read(places in prop::collection::vec((0usize..2_000, any::<u8>()), 1..6)) {
        let mut bytes = Vec::new();
        eventful_log(Preset::Silk).write(&mut bytes).unwrap();
        for (place, value) in places {
            let length = bytes.len();
            bytes[place % length] = value;
        }
        if let Ok(log) = CommandLog::read(&bytes[..]) {
            prop_assert!(log.commands().iter().all(|command| command.action.is_valid()));
        }
    }

    #[test]
    fn every_valid_number_survives_being_written(value in -10.0f32..10.0, x in -1e6f32..1e6, y: u32) {
        let mut log = CommandLog::new();
        log.push(Command { step: u64::from(y), action: Action::Set { parameter: Parameter::WindZ, value } }).unwrap();
        let attract = Action::Attract { at: [x, -x, value], strength: x, steps: y };
        log.push(Command { step: u64::from(y), action: attract }).unwrap();
        let mut text = Vec::new();
        log.write(&mut text).unwrap();
        prop_assert_eq!(CommandLog::read(&text[..]).unwrap(), log);
    }
}
