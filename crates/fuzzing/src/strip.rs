//! The numbers burnt into a picture are read from any luma plane, or there are none.

use media::{Size, burn_in};

use crate::decoded;

pub fn run(data: &[u8]) {
    let Some((width, height, stride, luma)) = decoded::<(u16, u16, u16, Vec<u8>)>(data) else { return };
    // A short input stands for a whole plane by being repeated.
    let (width, height) = (u32::from(width % 700), u32::from(height % 64));
    let luma: Vec<u8> =
        luma.iter().copied().cycle().take(usize::from(stride % 800) * height as usize).collect();
    let _ = burn_in::read_luma(&luma, (stride % 800).into(), Size::new(width, height));
}
