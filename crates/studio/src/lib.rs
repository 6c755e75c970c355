//! The engine: capture to publish, commands in, snapshots out.
