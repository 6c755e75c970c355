//! Which scene is shown, and how one changes into another.

use std::time::Duration;

use compose::{Fade, Scene};
use media::Timestamp;

/// A change that is under way.
struct Change {
    from: Scene,
    begun: Timestamp,
    length: Duration,
}

impl Change {
    /// How much of the scene that comes is seen at `at`, from 0 to 1.
    fn share(&self, at: Timestamp) -> f64 {
        (at.minus(self.begun).as_secs_f64() / self.length.as_secs_f64()).clamp(0.0, 1.0)
    }
}

/// What the programme shows. At most two scenes are seen at a time.
pub struct Shown {
    scene: Scene,
    change: Option<Change>,
}

/// What one frame draws.
#[derive(Debug)]
pub enum Drawn<'a> {
    Scene(&'a Scene),
    Fade(Fade<'a>),
}

impl Shown {
    pub fn new(scene: Scene) -> Self {
        Self { scene, change: None }
    }

    /// The scene as somebody has edited it; a change to it goes on.
    pub fn edit(&mut self, scene: Scene) {
        self.scene = scene;
    }

    /// Another scene: the frame at `at` is the last without it, and `length` later it is alone. Without a length it is
    /// a cut.
    ///
    /// A change that is under way is cut short: its scene is seen whole, and goes. But where the one wanted is the one
    /// that went, the change turns back from where it is.
    pub fn switch(&mut self, scene: Scene, length: Duration, at: Timestamp) {
        let before = self.change.take();
        let from = std::mem::replace(&mut self.scene, scene);
        if length.is_zero() {
            return;
        }
        let turned = before.filter(|change| change.from == self.scene);
        let seen = turned.map_or(0.0, |change| 1.0 - change.share(at));
        let begun = at.minus(Timestamp::from_duration(length.mul_f64(seen), at.timescale()));
        self.change = Some(Change { from, begun, length });
    }

    /// What the frame at `at` draws; frames are asked for in order.
    pub fn at(&mut self, at: Timestamp) -> Drawn<'_> {
        self.change.take_if(|change| change.share(at) >= 1.0);
        match &self.change {
            Some(change) => {
                let share = change.share(at) as f32;
                Drawn::Fade(Fade { from: &change.from, to: &self.scene, share })
            }
            None => Drawn::Scene(&self.scene),
        }
    }
}

#[cfg(test)]
mod tests {
    use compose::Layer;
    use compose::scene::Fit;
    use media::{FrameRate, Timescale};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn scene(source: &str) -> Scene {
        Scene::new(vec![Layer::full_frame(source, Fit::Cover)])
    }

    fn frame(index: u64) -> Timestamp {
        FrameRate::FPS_30.timestamp_of(index, Timescale::VIDEO)
    }

    /// What frame `index` draws: the scene that goes, if one does, the one that comes, and how much of that is seen.
    fn drawn(shown: &mut Shown, index: u64) -> (Option<Scene>, Scene, f32) {
        match shown.at(frame(index)) {
            Drawn::Scene(scene) => (None, scene.clone(), 1.0),
            Drawn::Fade(Fade { from, to, share }) => (Some(from.clone()), to.clone(), share),
        }
    }

    #[test]
    fn a_fade_is_as_far_as_media_time_says_at_every_frame() {
        let mut shown = Shown::new(scene("a"));
        shown.switch(scene("b"), SECOND, frame(10));
        for n in 0..30 {
            let expected = (Some(scene("a")), scene("b"), n as f32 / 30.0);
            assert_eq!(drawn(&mut shown, 10 + n), expected);
        }
        assert_eq!(drawn(&mut shown, 40), (None, scene("b"), 1.0));
    }

    #[test]
    fn frames_that_are_left_out_do_not_lengthen_a_fade() {
        let mut shown = Shown::new(scene("a"));
        shown.switch(scene("b"), SECOND, frame(0));
        assert_eq!(drawn(&mut shown, 24).2, 0.8);
        assert_eq!(drawn(&mut shown, 500), (None, scene("b"), 1.0));
    }

    #[test]
    fn a_switch_without_a_length_is_a_cut_and_ends_a_fade() {
        let mut shown = Shown::new(scene("a"));
        shown.switch(scene("b"), SECOND, frame(0));
        shown.switch(scene("c"), Duration::ZERO, frame(9));
        assert_eq!(drawn(&mut shown, 9), (None, scene("c"), 1.0));
    }

    #[test]
    fn a_switch_within_a_fade_cuts_that_short_and_begins_from_its_scene() {
        let mut shown = Shown::new(scene("a"));
        shown.switch(scene("b"), SECOND, frame(0));
        shown.switch(scene("c"), SECOND, frame(15));
        assert_eq!(drawn(&mut shown, 15), (Some(scene("b")), scene("c"), 0.0));
        assert_eq!(drawn(&mut shown, 30), (Some(scene("b")), scene("c"), 0.5));
    }

    #[test]
    fn a_fade_that_is_taken_back_turns_where_it_is() {
        let mut shown = Shown::new(scene("a"));
        shown.switch(scene("b"), SECOND, frame(0));
        assert_eq!(drawn(&mut shown, 6), (Some(scene("a")), scene("b"), 0.2));
        // Four fifths of the first are seen still, with twice the time for the way.
        shown.switch(scene("a"), 2 * SECOND, frame(6));
        assert_eq!(drawn(&mut shown, 6), (Some(scene("b")), scene("a"), 0.8));
        assert_eq!(drawn(&mut shown, 12), (Some(scene("b")), scene("a"), 0.9));
        assert_eq!(drawn(&mut shown, 18), (None, scene("a"), 1.0));
    }

    #[test]
    fn a_scene_that_is_edited_while_it_comes_goes_on_coming() {
        let mut shown = Shown::new(scene("a"));
        shown.switch(scene("b"), SECOND, frame(0));
        shown.edit(scene("b2"));
        assert_eq!(drawn(&mut shown, 15), (Some(scene("a")), scene("b2"), 0.5));
    }
}
