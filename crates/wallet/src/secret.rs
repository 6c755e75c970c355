//! Bytes that nobody else should see: on pages of their own, kept out of swap and core dumps, zeroed when dropped.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the system gave no randomness")]
pub struct NoRandomness;

/// So many bytes, and no more: nothing is moved or copied when they change.
pub struct SecretBytes {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the pages are this value's alone, as a box's are.
unsafe impl Send for SecretBytes {}
// SAFETY: a shared reference reads only.
unsafe impl Sync for SecretBytes {}

impl SecretBytes {
    /// Where the system's limit on locked memory is reached the pages may be swapped out; everything else holds.
    pub fn zeroed(length: usize) -> Self {
        let (access, anywhere) = (ProtFlags::READ | ProtFlags::WRITE, std::ptr::null_mut());
        // SAFETY: no address is asked for, so nothing that exists is mapped over.
        let mapped = unsafe { mmap_anonymous(anywhere, mapped_length(length), access, MapFlags::PRIVATE) };
        let start = mapped.ok().and_then(NonNull::new).unwrap_or_else(|| {
            let layout = std::alloc::Layout::array::<u8>(length).unwrap_or(std::alloc::Layout::new::<u8>());
            std::alloc::handle_alloc_error(layout)
        });
        // SAFETY: the range was just mapped, and is this value's own.
        let _ = unsafe { mlock(start.as_ptr(), mapped_length(length)) };
        #[cfg(target_os = "linux")]
        let advice = rustix::mm::Advice::LinuxDontDump;
        #[cfg(target_os = "linux")]
        // SAFETY: as above; the advice changes no byte.
        let _ = unsafe { rustix::mm::madvise(start.as_ptr(), mapped_length(length), advice) };
        Self { start: start.cast(), length }
    }

    pub fn copied(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.copy_from_slice(bytes);
        copy
    }

    pub fn random(length: usize) -> Result<Self, NoRandomness> {
        let mut bytes = Self::zeroed(length);
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(bytes)
    }
}

/// The system maps whole pages, and nothing for nothing.
const fn mapped_length(length: usize) -> usize {
    if length == 0 { 1 } else { length }
}

impl Deref for SecretBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped from `start` on, initialised by the system, until drop.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for SecretBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.zeroize();
        // SAFETY: the range is that of `zeroed`, and no reference to it outlives this value.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), mapped_length(self.length)) };
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TextError {
    #[error("it is longer than {} bytes", SecretText::MAX_BYTES)]
    TooLong,
    #[error("it is not text in UTF-8")]
    NotText,
}

/// A passphrase, or words: text that is typed in, at most [`SecretText::MAX_BYTES`] long.
pub struct SecretText {
    bytes: SecretBytes,
    length: usize,
}

impl SecretText {
    pub const MAX_BYTES: usize = 2_048;

    pub fn empty() -> Self {
        Self { bytes: SecretBytes::zeroed(Self::MAX_BYTES), length: 0 }
    }

    pub fn new(text: &str) -> Result<Self, TextError> {
        let mut secret = Self::empty();
        secret.push_all(text.as_bytes())?;
        Ok(secret)
    }

    pub fn push(&mut self, byte: u8) -> Result<(), TextError> {
        *self.bytes.get_mut(self.length).ok_or(TextError::TooLong)? = byte;
        self.length += 1;
        Ok(())
    }

    pub fn push_all(&mut self, bytes: &[u8]) -> Result<(), TextError> {
        bytes.iter().try_for_each(|byte| self.push(*byte))
    }

    /// Takes the last character back, however many bytes it has.
    pub fn pop(&mut self) {
        while self.length > 0 {
            self.length -= 1;
            let byte = std::mem::take(&mut self.bytes[self.length]);
            if byte & 0b1100_0000 != 0b1000_0000 {
                return;
            }
        }
    }

    pub fn clear(&mut self) {
        self.bytes.zeroize();
        self.length = 0;
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn as_str(&self) -> Result<&str, TextError> {
        std::str::from_utf8(self.as_bytes()).map_err(|_| TextError::NotText)
    }

    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let text = SecretText::new("swordfish").unwrap();
        assert_eq!(
            format!("{text:?} {:?}", SecretBytes::copied(b"swordfish")),
            "SecretText(…) SecretBytes(…)"
        );
    }

    #[test]
    fn typing_stops_at_the_bound_and_a_character_is_taken_back_whole() {
        let mut text = SecretText::new("aé€").unwrap();
        text.pop();
        assert_eq!(text.as_str(), Ok("aé"));
        text.pop();
        text.pop();
        text.pop();
        assert!(text.is_empty());
        assert_eq!(text.push_all(&[b'a'; SecretText::MAX_BYTES]), Ok(()));
        assert_eq!(text.push(b'a'), Err(TextError::TooLong));
        text.clear();
        assert_eq!(text.as_str(), Ok(""));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_pages_of_a_secret_are_locked_and_left_out_of_core_dumps() {
        let secret = SecretBytes::copied(&[7; 64]);
        let address = secret.as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        // A mapping's first line is its range; its flags are on its last.
        let range = |line: &str| {
            let (start, end) = line.split_whitespace().next()?.split_once('-')?;
            Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
        };
        let mut lines = maps.lines().skip_while(|line| !range(line).is_some_and(|r| r.contains(&address)));
        let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.contains(" dd") && flags.contains(" lo"), "{flags}");
    }
}
