//! Saved simulations and command logs are read or refused; one that was read takes steps.

use sim::{CommandLog, SimConfig, Simulation, check_state};

/// Larger states are as good as refused here: stepping them would take the time for other inputs.
const COUNT: u32 = 64;

pub fn run(data: &[u8]) {
    if let Ok(log) = CommandLog::read(data) {
        let mut written = Vec::new();
        log.write(&mut written).expect("memory takes it");
        let again = CommandLog::read(written.as_slice()).expect("what we wrote we can read");
        assert_eq!(again.commands(), log.commands());
        let config = SimConfig { count: COUNT, threads: 1, ..SimConfig::default() };
        let mut simulation = Simulation::new(config).expect("the settings are fine");
        simulation.set_log(log).expect("no step was taken");
        for _ in 0..3 {
            simulation.step().expect("the processor does its work");
        }
    }
    if data.len() < 64 * 1024 && check_state(data).is_ok() {
        let config = SimConfig { count: COUNT, threads: 1, ..SimConfig::default() };
        let mut simulation = Simulation::new(config).expect("the settings are fine");
        simulation.restore(data).expect("it was checked");
        assert_eq!(
            simulation.save().expect("memory takes it").len(),
            simulation.save().expect("as before").len()
        );
        for _ in 0..3 {
            simulation.step().expect("the processor does its work");
        }
    }
}
