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

/// Entries of `pagemap` that are read at once: of 256 MiB.
const ENTRIES: usize = 64 << 10;

/// For each of `wanted`, whether it lies anywhere in the memory that a process can write to: heaps, stacks, buffers
/// shared with others. What changes meanwhile is seen as it was before or after.
///
/// # Errors
/// Where the process has ended, or its memory may not be read: it takes the rights of a debugger, and over a process
/// that has forbidden it those of root.
pub fn holds(process: u32, wanted: &[&[u8]]) -> io::Result<Vec<bool>> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let pages = File::open(format!("/proc/{process}/pagemap"))?;
    let overlap = wanted.iter().map(|one| one.len()).max().unwrap_or(0).saturating_sub(1);
    let mut search = Search {
        memory,
        finders: wanted.iter().map(Finder::new).collect(),
        found: vec![false; wanted.len()],
        buffer: vec![0; CHUNK + overlap],
    };
    // Programs map far more than there is, and what was never touched holds nothing: it is not even read.
    for (start, end) in touched(&fs::read_to_string(format!("/proc/{process}/smaps"))?) {
        for (start, end) in there(&pages, start, end) {
            search.look(start, end);
        }
    }
    Ok(search.found)
}

struct Search<'a> {
    memory: File,
    finders: Vec<Finder<'a>>,
    found: Vec<bool>,
    buffer: Vec<u8>,
}

impl Search<'_> {
    fn look(&mut self, start: u64, end: u64) {
        for at in (start..end).step_by(CHUNK) {
            let length = self.buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            // Devices' memory is mapped and cannot be read so, and what was mapped may be gone.
            let read = self.memory.read_at(&mut self.buffer[..length], at).unwrap_or(0);
            for (found, finder) in self.found.iter_mut().zip(&self.finders) {
                *found |= finder.find(&self.buffer[..read]).is_some();
            }
        }
    }
}

/// The runs of a range's pages that are. Where the kernel does not say, all may be.
fn there(pages: &File, start: u64, end: u64) -> Vec<(u64, u64)> {
    let (mut runs, mut entries) = (Vec::<(u64, u64)>::new(), vec![0; ENTRIES * 8]);
    let (first, last) = (start / PAGE, end.div_ceil(PAGE));
    for block in (first..last).step_by(ENTRIES) {
        let count = usize::try_from(last - block).unwrap_or(ENTRIES).min(ENTRIES);
        let entries = &mut entries[..count * 8];
        if pages.read_exact_at(entries, block * 8).is_err() {
            return vec![(start, end)];
        }
        let there = entries.chunks_exact(8).map(|entry| {
            let entry = entry.first_chunk().map_or(u64::MAX, |bytes| u64::from_ne_bytes(*bytes));
            entry & THERE != 0
        });
        for page in (block..).zip(there).filter_map(|(page, there)| there.then_some(page)) {
            match runs.last_mut() {
                Some((_, end)) if *end == page * PAGE => *end += PAGE,
                _ => runs.push((page * PAGE, (page + 1) * PAGE)),
            }
        }
    }
    runs
}

/// The ranges of a process's `smaps` that can be read and written, and of which anything is in memory or swapped out.
fn touched(smaps: &str) -> Vec<(u64, u64)> {
    let (mut ranges, mut mapping) = (Vec::new(), None);
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        if let Some(range) = range(name) {
            mapping = Some(range).filter(|_| value.starts_with("rw"));
        } else if matches!(name, "Rss:" | "Swap:") && value != "0" {
            ranges.extend(mapping.take());
        }
    }
    ranges
}

fn range(text: &str) -> Option<(u64, u64)> {
    let (start, end) = text.split_once('-')?;
    let address = |digits| u64::from_str_radix(digits, 16).ok();
    Some((address(start)?, address(end)?))
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
    fn only_what_can_be_written_and_was_touched_is_searched() {
        let smaps = "55d0-55d8 r-xp 00000000 08:01 1 /bin/sh\nSize: 8 kB\nRss: 8 kB\nSwap: 0 kB\n\
                     7f00-7f10 rw-p 00000000 00:00 0 [heap]\nRss: 4 kB\nSwap: 4 kB\nVmFlags: rd wr mr\n\
                     7f20-7f30 rw-s 00000000 00:05 9 /dev/shm/x\nRss: 0 kB\nSwap: 0 kB\nno line\n\
                     7f40-7f50 rw-p 00000000 00:00 0\nRss: 0 kB\nSwap: 12 kB\n";
        assert_eq!(touched(smaps), [(0x7f00, 0x7f10), (0x7f40, 0x7f50)]);
    }

    #[test]
    fn of_a_room_that_is_hardly_used_only_what_was_written_is_read() {
        let mut room: Vec<u8> = vec![0; 1 << 30];
        let (start, half) = (room.as_ptr() as u64, room.len() / 2);
        // Into the first page after the middle, and the one before it.
        let page = half + (PAGE - (start + half as u64) % PAGE) as usize;
        room[page - 5..page + 5].fill(1);
        let pages = File::open("/proc/self/pagemap").unwrap();
        let runs = there(&pages, start, start + room.len() as u64);
        let place = start + page as u64;
        assert!(runs.iter().any(|(start, end)| *start < place && place < *end), "{runs:x?}");
        // Huge pages are 2 MiB.
        let there: u64 = runs.iter().map(|(start, end)| end - start).sum();
        assert!((2 * PAGE..16 << 20).contains(&there), "{there} bytes are there");
    }
}
