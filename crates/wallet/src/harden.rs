//! A process that holds secrets lets nobody read its memory.

use std::io;

/// No core dump, and no other process of the same person attaches to this one or reads its memory. To be called
/// before the first secret is read; it holds for the whole process, and not for its children.
pub fn harden_process() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
