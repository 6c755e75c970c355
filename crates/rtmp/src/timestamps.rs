//! From RTMP's 32-bit milliseconds, which wrap, to media time, which does not.

use media::{Timescale, Timestamp};

/// Half of the span that is told apart: jumps of up to 12.4 days in either direction.
const HALF_SPAN: u32 = 1 << 30;

/// Unwraps the timestamps of one message stream.
///
/// RTMP's clock wraps at 2^32 ms (§5.3.1.1), but FFmpeg's FLV muxer clears the top bit, so its clock wraps
/// at 2^31. Both are the same modulo 2^31, so the nearest time modulo 2^31 is right for either, as long as
/// a stream does not jump by more than 12.4 days.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwrapper {
    newest: Option<(u32, i64)>,
}

impl Unwrapper {
    pub fn new() -> Self {
        Self::default()
    }

    /// The time of a media message; later ones are unwrapped against it.
    pub fn unwrap(&mut self, wire_ms: u32) -> Timestamp {
        let time_ms = self.nearest(wire_ms);
        self.newest = Some((wire_ms, time_ms));
        Timestamp::new(time_ms, Timescale::MILLIS)
    }

    /// The time of a message that may be stamped carelessly (headers and metadata often say 0): it does not
    /// move the clock, and once that runs, it takes the clock's newest time.
    pub fn current(&self, wire_ms: u32) -> Timestamp {
        let time_ms = self.newest.map_or(i64::from(wire_ms), |(_, time_ms)| time_ms);
        Timestamp::new(time_ms, Timescale::MILLIS)
    }

    fn nearest(&self, wire_ms: u32) -> i64 {
        let Some((before, time_ms)) = self.newest else { return i64::from(wire_ms) };
        let ahead = wire_ms.wrapping_sub(before) & 0x7fff_ffff;
        let step = if ahead < HALF_SPAN { i64::from(ahead) } else { i64::from(ahead) - (1 << 31) };
        time_ms.saturating_add(step)
    }
}

/// What goes on the wire for `time`: its milliseconds modulo 2^32.
pub fn wire_ms(time: Timestamp) -> u32 {
    time.rescale(Timescale::MILLIS).ticks() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(wire: &[u32]) -> Vec<i64> {
        let mut clock = Unwrapper::new();
        wire.iter().map(|&ms| clock.unwrap(ms).ticks()).collect()
    }

    #[test]
    fn time_goes_on_across_2_to_the_32() {
        let top = u32::MAX;
        assert_eq!(times(&[top - 9, top, 10]), [4_294_967_286, 4_294_967_295, 4_294_967_306]);
    }

    #[test]
    fn time_goes_on_across_ffmpegs_wrap_at_2_to_the_31() {
        assert_eq!(times(&[0x7fff_fff6, 4, 24]), [2_147_483_638, 2_147_483_652, 2_147_483_672]);
    }

    #[test]
    fn time_goes_on_across_2_to_the_31_without_a_wrap() {
        assert_eq!(times(&[0x7fff_fff6, 0x8000_0004]), [2_147_483_638, 2_147_483_652]);
    }

    #[test]
    fn sound_that_is_a_little_behind_the_picture_stays_behind_across_a_wrap() {
        assert_eq!(times(&[0xffff_fff0, 4, 0xffff_fffc]), [4_294_967_280, 4_294_967_300, 4_294_967_292]);
    }

    #[test]
    fn a_header_stamped_zero_does_not_move_the_clock() {
        let mut clock = Unwrapper::new();
        assert_eq!(clock.current(0).ticks(), 0);
        assert_eq!(clock.unwrap(0x7fff_f000).ticks(), 0x7fff_f000);
        assert_eq!(clock.current(0).ticks(), 0x7fff_f000);
        assert_eq!(clock.unwrap(0x7fff_f010).ticks(), 0x7fff_f010);
    }

    #[test]
    fn the_wire_carries_time_modulo_2_to_the_32() {
        assert_eq!(wire_ms(Timestamp::new((1 << 32) + 5, Timescale::MILLIS)), 5);
        assert_eq!(wire_ms(Timestamp::new(90_000, Timescale::VIDEO)), 1_000);
    }
}
