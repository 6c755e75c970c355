//! The parts of the executable `tickcast`, one module a command.
