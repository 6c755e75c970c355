//! Whole sessions: a shard and str0m clients on a simulated network in virtual time.

mod bad_input;
mod churn;
mod join;
mod metering;
mod network;
mod repair;
mod socket;
mod switching;
