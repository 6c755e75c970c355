//! Threads for the hot loops, and pictures' memory that is used again.

use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use rayon::prelude::*;

/// A fixed number of threads; with one, the caller's own.
pub struct Threads {
    pool: Option<rayon::ThreadPool>,
}

impl Threads {
    /// # Errors
    /// When the system gives no more threads.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        if threads <= 1 {
            return Ok(Self { pool: None });
        }
        let named = |index| format!("sim-{index}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named).build()?;
        Ok(Self { pool: Some(pool) })
    }

    pub fn count(&self) -> usize {
        self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Runs `work` on every item, in any order.
    pub fn each<T: Send>(&self, items: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
        match &self.pool {
            Some(pool) => {
                pool.install(|| items.par_iter_mut().enumerate().for_each(|(i, item)| work(i, item)));
            }
            None => items.iter_mut().enumerate().for_each(|(i, item)| work(i, item)),
        }
    }

    /// Runs `work` on every run of `length` items (the last may be shorter), in any order, and adds up what
    /// it returns.
    pub fn each_chunk<T: Send>(
        &self,
        items: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T]) -> u32 + Sync,
    ) -> u32 {
        match &self.pool {
            Some(pool) => pool
                .install(|| items.par_chunks_mut(length).enumerate().map(|(i, chunk)| work(i, chunk)).sum()),
            None => items.chunks_mut(length).enumerate().map(|(i, chunk)| work(i, chunk)).sum(),
        }
    }
}

/// Buffers kept for the next pictures; more in flight than this are made and dropped as they come.
const KEPT: usize = 6;

type Shelf = Mutex<Vec<Vec<u8>>>;

/// Memory of pictures, back here when the last reader drops one.
#[derive(Default)]
pub struct PicturePool {
    shelf: Arc<Shelf>,
}

struct Loan {
    data: Vec<u8>,
    shelf: Weak<Shelf>,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(shelf) = self.shelf.upgrade()
            && let Ok(mut shelf) = shelf.lock()
            && shelf.len() < KEPT
        {
            shelf.push(std::mem::take(&mut self.data));
        }
    }
}

impl PicturePool {
    /// A buffer of `len` bytes with any content.
    pub fn take(&self, len: usize) -> Vec<u8> {
        let kept = self.shelf.lock().ok().and_then(|mut shelf| shelf.pop());
        let mut data = kept.unwrap_or_default();
        data.resize(len, 0);
        data
    }

    /// Shares a buffer; its memory comes back when the last clone is dropped.
    pub fn share(&self, data: Vec<u8>) -> Bytes {
        Bytes::from_owner(Loan { data, shelf: Arc::downgrade(&self.shelf) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_picture_gives_its_memory_to_the_next() {
        let pool = PicturePool::default();
        let first = pool.take(4_096);
        let address = first.as_ptr();
        let shared = pool.share(first);
        let clone = shared.clone();
        drop(shared);
        assert!(pool.shelf.lock().unwrap().is_empty(), "a clone still reads it");
        drop(clone);
        let second = pool.take(4_096);
        assert_eq!(second.as_ptr(), address);
    }

    #[test]
    fn the_pool_keeps_a_bounded_number() {
        let pool = PicturePool::default();
        let many: Vec<_> = (0..20).map(|_| pool.share(pool.take(16))).collect();
        drop(many);
        assert_eq!(pool.shelf.lock().unwrap().len(), KEPT);
    }
}
