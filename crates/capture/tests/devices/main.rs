//! Fake devices through the real drivers: each runs in a child process that sees them and prints what it
//! captured.

mod camera;
mod grab;
mod microphone;
mod screen;
