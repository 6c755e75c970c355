//! Lost and repeated pictures, by their burnt-in numbers.

/// A larger step is a source that was opened anew, not a loss.
const STEP_MAX: u32 = 3_000;

/// Fed with the number of each decoded picture.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct FrameNumbers {
    last: Option<u32>,
    pub seen: u64,
    /// Numbers that were left out.
    pub missing: u64,
    /// The same number twice in a row.
    pub repeated: u64,
}

impl FrameNumbers {
    pub fn add(&mut self, number: u32) {
        self.seen += 1;
        let Some(last) = self.last.replace(number) else { return };
        match number.wrapping_sub(last) {
            0 => self.repeated += 1,
            step if step < STEP_MAX => self.missing += u64::from(step - 1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_repeats_are_counted_and_a_new_source_is_neither() {
        let mut numbers = FrameNumbers::default();
        [10, 11, 11, 14, 15, 0, 1].into_iter().for_each(|n| numbers.add(n));
        assert_eq!((numbers.seen, numbers.missing, numbers.repeated), (7, 2, 1));
    }
}
