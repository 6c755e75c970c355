//! Whole sessions: a shard and str0m clients on a simulated network in virtual time.

mod join;
mod network;
