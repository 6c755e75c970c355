//! A person's keys.
