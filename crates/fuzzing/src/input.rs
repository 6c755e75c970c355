//! Inputs that are more than bytes.

use arbitrary::{Arbitrary, Unstructured};

/// As libFuzzer's own macro makes it of bytes, so that what it kept goes on to mean the same. `None` for too few.
pub fn decoded<'a, T: Arbitrary<'a>>(data: &'a [u8]) -> Option<T> {
    let is_enough = data.len() >= T::size_hint(0).0;
    is_enough.then(|| T::arbitrary_take_rest(Unstructured::new(data)).ok()).flatten()
}
