//! What is listened to at the desk: handed to a loudspeaker as long as there is any.

use std::time::{Duration, Instant};

use audiosink::Sound;
use media::AudioBlock;

use crate::snapshot::MonitorFigures;

/// Behind the programme's clock by this at least, so that a late block is not heard as a gap.
const SPARE: Duration = Duration::from_millis(20);
/// A device that nothing was given to for so long is closed.
const IDLE: Duration = Duration::from_secs(5);

/// The loudspeaker at the desk, open while it is needed. Nothing here waits for the device.
#[derive(Debug, Default)]
pub struct Monitor {
    open: Option<Open>,
    failure: Option<String>,
}

#[derive(Debug)]
struct Open {
    sound: Sound,
    /// How long after it is mixed a block is heard. It grows with the device's own delay and never falls: that would
    /// be heard.
    held: Duration,
    newest: Instant,
}

impl Monitor {
    /// Takes what was mixed at `now`; `None` where nothing is listened to.
    pub fn hear(&mut self, block: Option<AudioBlock>, now: Instant) {
        match block {
            Some(block) => self.play(block, now),
            None => {
                self.failure = None;
                if self.open.as_ref().is_some_and(|open| now.duration_since(open.newest) >= IDLE) {
                    self.close();
                }
            }
        }
    }

    fn play(&mut self, block: AudioBlock, now: Instant) {
        if self.open.is_none() {
            match Sound::start(None) {
                Ok(sound) => self.open = Some(Open { sound, held: SPARE, newest: now }),
                Err(err) => self.failure = Some(format!("the system has no thread left to play it: {err}")),
            }
        }
        if let Some(open) = &mut self.open {
            open.held = open.held.max(open.sound.lead() + SPARE);
            open.newest = now;
            open.sound.play(block, now + open.held);
            self.failure = open.sound.failure();
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.sound.leave();
        }
    }

    /// `None` where nothing is listened to.
    pub fn figures(&self, now: Instant) -> Option<MonitorFigures> {
        if let Some(message) = self.failure.clone() {
            return Some(MonitorFigures { state: "lost", message: Some(message) });
        }
        let open = self.open.as_ref().filter(|open| now.duration_since(open.newest) < SPARE)?;
        let state = if open.sound.lead().is_zero() { "opening" } else { "heard" };
        Some(MonitorFigures { state, message: None })
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.close();
    }
}
