//! Rows of linear light, one slice a colour: what every step of the CPU backend reads and writes.

/// A row of premultiplied linear red, green, blue and alpha, reused from frame to frame.
#[derive(Clone, Default, Debug)]
pub struct Row {
    pub red: Vec<f32>,
    pub green: Vec<f32>,
    pub blue: Vec<f32>,
    pub alpha: Vec<f32>,
}

/// The first `len` pixels of a row, or a part of a wider one.
#[derive(Clone, Copy)]
pub struct Light<'a> {
    pub red: &'a [f32],
    pub green: &'a [f32],
    pub blue: &'a [f32],
}

/// The same, to be written.
pub struct LightMut<'a> {
    pub red: &'a mut [f32],
    pub green: &'a mut [f32],
    pub blue: &'a mut [f32],
}

impl Row {
    pub fn new(width: usize) -> Self {
        let zeros = || vec![0.0; width];
        Self { red: zeros(), green: zeros(), blue: zeros(), alpha: zeros() }
    }

    /// Grows to `width`; never shrinks, so a row settles after its first frames.
    pub fn fit(&mut self, width: usize) {
        for plane in [&mut self.red, &mut self.green, &mut self.blue, &mut self.alpha] {
            if plane.len() < width {
                plane.resize(width, 0.0);
            }
        }
    }

    /// Red, green and blue.
    pub fn planes_mut(&mut self) -> [&mut Vec<f32>; 3] {
        [&mut self.red, &mut self.green, &mut self.blue]
    }

    pub fn light(&self, len: usize) -> Light<'_> {
        Light { red: &self.red[..len], green: &self.green[..len], blue: &self.blue[..len] }
    }
}

impl Light<'_> {
    pub fn planes(&self) -> [&[f32]; 3] {
        [self.red, self.green, self.blue]
    }
}

/// Several rows of the programme that are drawn and sent on together, so that they stay in the cache.
#[derive(Debug)]
pub struct Band {
    planes: [Vec<f32>; 3],
    width: usize,
}

impl Band {
    pub fn new(width: usize, rows: usize) -> Self {
        Self { planes: std::array::from_fn(|_| vec![0.0; width * rows]), width }
    }

    /// Opaque black.
    pub fn clear(&mut self) {
        self.planes.iter_mut().for_each(|plane| plane.fill(0.0));
    }

    pub fn row(&self, row: usize) -> Light<'_> {
        let range = row * self.width..(row + 1) * self.width;
        let [red, green, blue] = &self.planes;
        Light { red: &red[range.clone()], green: &green[range.clone()], blue: &blue[range] }
    }

    /// Columns `from..to` of a row.
    pub fn part_mut(&mut self, row: usize, from: usize, to: usize) -> LightMut<'_> {
        let range = row * self.width + from..row * self.width + to;
        let [red, green, blue] = &mut self.planes;
        LightMut { red: &mut red[range.clone()], green: &mut green[range.clone()], blue: &mut blue[range] }
    }
}
