//! What another process has in its memory (proc(5)): a search for what it must not have, or must.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;

/// Read at once.
const CHUNK: usize = 4 << 20;
/// Of the machines that this runs on.
const PAGE: u64 = 4_096;
/// Of an entry of `pagemap`: the page is in memory, or swapped out.
const THERE: u64 = 0b11 << 62;

/// For each of `wanted`, whether it lies anywhere in the memory that a process can write to: heaps, stacks, buffers
/// shared with others. What changes meanwhile is seen as it was before or after.
///
/// # Errors
/// Where the process has ended, or its memory may not be read: it takes the rights of a debugger, and over a process
/// that has forbidden it those of root.
pub fn holds(process: u32, wanted: &[&[u8]]) -> io::Result<Vec<bool>> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let pages = File::open(format!("/proc/{process}/pagemap"))?;
    let finders: Vec<_> = wanted.iter().map(Finder::new).collect();
    let overlap = wanted.iter().map(|one| one.len()).max().unwrap_or(0).saturating_sub(1);
    let mut found = vec![false; wanted.len()];
    let mut buffer = vec![0; CHUNK + overlap];
    for (start, end) in writable(&fs::read_to_string(format!("/proc/{process}/maps"))?) {
        let mut at = start;
        while at < end {
            let length = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            // Programs map far more than there is, and what was never touched reads as zeros.
            if !is_there(&pages, at, length) {
                at += CHUNK as u64;
                continue;
            }
            // Devices' memory is mapped and cannot be read so, and what was mapped may be gone.
            let read = memory.read_at(&mut buffer[..length], at).unwrap_or(0);
            for (found, finder) in found.iter_mut().zip(&finders) {
                *found |= finder.find(&buffer[..read]).is_some();
            }
            at += CHUNK as u64;
        }
    }
    Ok(found)
}

/// Whether any page of a range is. Where the kernel does not say, it may be.
fn is_there(pages: &File, start: u64, length: usize) -> bool {
    let first = start / PAGE;
    let count = (start + length as u64).div_ceil(PAGE) - first;
    let mut entries = vec![0; usize::try_from(count).unwrap_or(0) * 8];
    if pages.read_exact_at(&mut entries, first * 8).is_err() {
        return true;
    }
    entries.chunks_exact(8).any(|entry| {
        let entry = entry.first_chunk().map_or(u64::MAX, |bytes| u64::from_ne_bytes(*bytes));
        entry & THERE != 0
    })
}

/// The ranges of a list of mappings that can be read and written.
fn writable(maps: &str) -> Vec<(u64, u64)> {
    let range = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let address = |digits| u64::from_str_radix(digits, 16).ok();
        rest.starts_with("rw").then_some((address(start)?, address(end)?))
    };
    maps.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::wait_until;

    #[test]
    fn what_a_process_was_told_is_in_its_memory_and_what_it_was_not_is_not() {
        let mut child =
            Command::new("sh").args(["-c", "read -r told; read -r more"]).stdin(Stdio::piped()).spawn();
        let child = child.as_mut().unwrap();
        let told = format!("told {}", std::process::id());
        let not_told = told.replace("told", "kept");
        writeln!(child.stdin.as_mut().unwrap(), "{told}").unwrap();
        let wanted = [told.as_bytes(), not_told.as_bytes()];
        let found = wait_until("the line", std::time::Duration::from_secs(10), || {
            holds(child.id(), &wanted).ok().filter(|found| found[0])
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.unwrap(), [true, false]);
    }

    #[test]
    fn only_what_can_be_written_is_searched() {
        let maps = "55d0-55d8 r-xp 00000000 08:01 1 /bin/sh\n7f00-7f10 rw-p 00000000 00:00 0 [heap]\nno line\n\
                    7f20-7f30 rw-s 00000000 00:05 9 /dev/shm/x\n";
        assert_eq!(writable(maps), [(0x7f00, 0x7f10), (0x7f20, 0x7f30)]);
    }
}
