//! Buffers for finished pictures that come back when the last reader drops them: no large allocation a frame.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// More than an encoder's queue of two, what it works on, and a frame at hand; past it buffers are freed.
const KEPT: usize = 6;

/// Buffers of one size.
#[derive(Clone, Debug)]
pub struct Pool {
    bytes: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer that returns to its pool.
struct Lent {
    buffer: Vec<u8>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl Pool {
    pub fn new(bytes: usize) -> Self {
        Self { bytes, free: Arc::default() }
    }

    /// A buffer of the pool's size; what it held before is still in it.
    pub fn take(&self) -> Vec<u8> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| vec![0; self.bytes])
    }

    /// Shares `buffer`, which came from [`Pool::take`].
    pub fn share(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, free: Arc::clone(&self.free) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_reader_drops_it() {
        let pool = Pool::new(64);
        let first = pool.take();
        let address = first.as_ptr();
        let shared = pool.share(first);
        let reader = shared.clone();
        drop(shared);
        let other = pool.take();
        assert_ne!(other.as_ptr(), address);
        drop(reader);
        let again = pool.take();
        assert_eq!(again.as_ptr(), address);
    }

    #[test]
    fn no_more_buffers_are_kept_than_the_bound() {
        let pool = Pool::new(8);
        let out: Vec<_> = (0..20).map(|_| pool.take()).collect();
        drop(out.into_iter().map(|b| pool.share(b)).collect::<Vec<_>>());
        assert_eq!(pool.free.lock().unwrap().len(), KEPT);
    }
}
