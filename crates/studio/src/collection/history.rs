//! A collection and the way back: bounded steps, of which a gesture makes one.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Collection, Edit, Made, Refusal, SceneId};

/// Steps that can be undone. Beyond them the oldest is forgotten: nobody goes back so far one by one.
pub const MAX_STEPS: usize = 200;

/// Edits with the same gesture, one after another, are one step: a drag is many edits and one undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gesture(pub u64);

/// The way from one collection to the next, back or forth.
#[derive(Clone, Debug)]
struct Step {
    label: String,
    scene: SceneId,
    /// What following the step leads to.
    other: Collection,
}

/// The gesture that is under way, and what could be redone before it.
#[derive(Debug)]
struct Open {
    gesture: Gesture,
    undone: Vec<Step>,
}

#[derive(Debug)]
pub struct History {
    present: Collection,
    /// The newest last.
    done: VecDeque<Step>,
    /// The next to be redone last.
    undone: Vec<Step>,
    open: Option<Open>,
}

impl History {
    pub fn new(begin: Collection) -> Self {
        Self { present: begin, done: VecDeque::new(), undone: Vec::new(), open: None }
    }

    pub fn present(&self) -> &Collection {
        &self.present
    }

    /// Follows an edit. What is refused, and what changes nothing, makes no step.
    pub fn edit(&mut self, edit: Edit, gesture: Option<Gesture>) -> Result<Made, Refusal> {
        let (label, scene) = (edit.label(&self.present), edit.scene().unwrap_or(self.present.current));
        let mut next = self.present.clone();
        let made = next.apply(edit)?;
        if next.is_same(&self.present) {
            return Ok(made);
        }
        let goes_on = gesture.is_some() && self.open.as_ref().map(|open| open.gesture) == gesture;
        if !goes_on {
            self.end_gesture();
            let undone = std::mem::take(&mut self.undone);
            self.open = gesture.map(|gesture| Open { gesture, undone });
            self.done.push_back(Step { label, scene, other: self.present.clone() });
            if self.done.len() > MAX_STEPS {
                self.done.pop_front();
            }
        }
        self.present = next;
        Ok(made)
    }

    /// What comes next is a step of its own. A gesture that came back to where it began was none.
    pub fn end_gesture(&mut self) {
        if let Some(open) = self.open.take()
            && self.done.back().is_some_and(|step| step.other.is_same(&self.present))
        {
            self.done.pop_back();
            self.undone = open.undone;
        }
    }

    /// Puts back what the gesture changed, as if it had never begun. `false` where it is not the one under way.
    pub fn cancel(&mut self, gesture: Gesture) -> bool {
        if self.open.as_ref().map(|open| open.gesture) != Some(gesture) {
            return false;
        }
        if let (Some(open), Some(step)) = (self.open.take(), self.done.pop_back()) {
            self.present = step.other.restored_for(&self.present);
            self.undone = open.undone;
        }
        true
    }

    /// Shows another scene: no step, and the end of a gesture.
    pub fn switch(&mut self, scene: SceneId) -> bool {
        self.end_gesture();
        self.present.switch(scene)
    }

    /// No step, as [`Collection::set_fade`] is no edit.
    pub fn set_fade(&mut self, fade: Duration) {
        self.present.set_fade(fade);
    }

    /// What undo would undo, and in which scene.
    pub fn undo_label(&self) -> Option<(&str, SceneId)> {
        self.done.back().map(|step| (step.label.as_str(), step.scene))
    }

    pub fn redo_label(&self) -> Option<(&str, SceneId)> {
        self.undone.last().map(|step| (step.label.as_str(), step.scene))
    }

    /// `false` where there is nothing to undo.
    pub fn undo(&mut self) -> bool {
        self.end_gesture();
        let Some(step) = self.done.pop_back() else { return false };
        let step = self.follow(step);
        self.undone.push(step);
        true
    }

    /// `false` where there is nothing to redo.
    pub fn redo(&mut self) -> bool {
        self.end_gesture();
        let Some(step) = self.undone.pop() else { return false };
        let step = self.follow(step);
        self.done.push_back(step);
        true
    }

    /// Goes a step, and returns the one that leads back.
    fn follow(&mut self, step: Step) -> Step {
        let Step { label, scene, other } = step;
        let other = other.restored_for(&self.present);
        let present = std::mem::replace(&mut self.present, other);
        Step { label, scene, other: present }
    }
}
