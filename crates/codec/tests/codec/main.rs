//! The crate from outside: what goes in comes out again, and other implementations agree.

mod audio;
mod damage;
mod pattern;
mod video;
