//! The node's HTTP types and a client for them.
