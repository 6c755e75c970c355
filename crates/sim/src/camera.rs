//! The eye: a perspective camera that circles slowly round its target.

use bytemuck::{Pod, Zeroable};
use media::Size;

use crate::exact::{cross, dot, normalized, plus, scaled, sin_turns, turned_about_y};

/// Where the eye is and how it moves.
#[derive(Clone, Debug)]
pub struct Camera {
    pub target: [f32; 3],
    /// Metres from the target in the horizontal plane.
    pub distance: f32,
    /// Metres above the target.
    pub height: f32,
    /// Metres that the height rises and falls by.
    pub bob: f32,
    /// Focal length in picture heights: 1.2 is 45°.
    pub focal: f32,
    /// Turns a second round the target.
    pub orbit: f32,
    /// Turns at step 0.
    pub start: f32,
}

/// A camera at one step, for one picture size; the layout that shaders read too.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct View {
    /// Position; then the square of the distance at which a particle has its own brightness.
    pub eye: [f32; 4],
    /// To the right, times the focal length in pixels; then the picture's middle.
    pub right: [f32; 4],
    /// Upwards, times the focal length in pixels; then the picture's middle.
    pub up: [f32; 4],
    /// Unit; then the nearest depth that is drawn.
    pub forward: [f32; 4],
}

impl Camera {
    /// `turns` is the way round the target, in [0, 1).
    pub fn view(&self, step: u64, turns: f32, size: Size) -> View {
        let bob = self.bob * sin_turns((step % 2_400) as f32 / 2_400.0);
        let offset = turned_about_y([0.0, self.height + bob, self.distance], turns);
        let eye = plus(self.target, offset);
        let forward = normalized(scaled(offset, -1.0));
        let right = normalized(cross(forward, [0.0, 1.0, 0.0]));
        let up = cross(right, forward);
        let focal = self.focal * size.height as f32;
        let [rx, ry, rz] = scaled(right, focal);
        let [ux, uy, uz] = scaled(up, focal);
        View {
            eye: [eye[0], eye[1], eye[2], dot(offset, offset)],
            right: [rx, ry, rz, size.width as f32 * 0.5],
            up: [ux, uy, uz, size.height as f32 * 0.5],
            forward: [forward[0], forward[1], forward[2], 0.05 * self.distance],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_in_the_middle_of_the_picture() {
        let camera = Camera {
            target: [1.0, 2.0, 3.0],
            distance: 8.0,
            height: 2.0,
            bob: 0.5,
            focal: 1.2,
            orbit: 0.01,
            start: 0.3,
        };
        for (step, turns) in [(0, 0.3), (777, 0.77), (100_000, 0.01)] {
            let view = camera.view(step, turns, Size::new(1280, 720));
            let eye = [view.eye[0], view.eye[1], view.eye[2]];
            let to_target = plus(camera.target, scaled(eye, -1.0));
            let along = |v: [f32; 4]| dot(to_target, [v[0], v[1], v[2]]);
            assert!(along(view.right).abs() < 0.01 && along(view.up).abs() < 0.01);
            assert!(along(view.forward) > 8.0);
        }
    }
}
