//! A development chain in one process.
