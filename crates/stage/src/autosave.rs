//! Scenes into their file, a second after the newest edit, on a thread of its own: a slow disk holds up nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use media::{Slot, StopSignal, Worker};
use studio::Collection;
use studio::collection::ScenesFile;

/// From the newest edit to its save.
const QUIET: Duration = Duration::from_secs(1);
/// How long the thread sleeps where nothing wakes it.
const IDLE: Duration = Duration::from_secs(3600);

/// Where the newest edit is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Saving {
    /// In the window alone: there is no file.
    #[default]
    Nowhere,
    /// In the file.
    Saved,
    /// On its way there.
    Waiting,
    /// Not in the file, and why; tried again at the next edit.
    Failed(String),
}

/// The thread that saves. Dropping it saves what it has first.
pub struct Autosave {
    newest: Slot<Collection>,
    saving: Arc<Mutex<Saving>>,
    worker: Worker,
}

impl Autosave {
    pub fn start(file: ScenesFile) -> std::io::Result<Self> {
        let newest = Slot::new();
        let saving = Arc::new(Mutex::new(Saving::Saved));
        let (taken, told) = (newest.clone(), Arc::clone(&saving));
        let worker = Worker::spawn("stage-autosave", move |stop| run(file, &taken, &told, stop))?;
        Ok(Self { newest, saving, worker })
    }

    pub fn keep(&self, collection: Collection) {
        self.newest.put(collection);
        self.worker.unpark();
    }

    pub fn saving(&self) -> Saving {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn run(mut file: ScenesFile, newest: &Slot<Collection>, told: &Mutex<Saving>, stop: &StopSignal) {
    let tell = |saving| *told.lock().unwrap_or_else(PoisonError::into_inner) = saving;
    let mut waiting: Option<(Collection, Instant)> = None;
    loop {
        // Looked at before the slot: what was put before the end is saved.
        let ends = stop.is_set();
        let now = Instant::now();
        if let Some(collection) = newest.take() {
            waiting = Some((collection, now + QUIET));
            tell(Saving::Waiting);
        }
        if let Some((collection, _)) = waiting.take_if(|(_, due)| ends || now >= *due) {
            tell(save(&mut file, &collection));
        }
        if ends {
            return;
        }
        let wait = waiting.as_ref().map_or(IDLE, |(_, due)| due.saturating_duration_since(now));
        std::thread::park_timeout(wait);
    }
}

fn save(file: &mut ScenesFile, collection: &Collection) -> Saving {
    match file.save(&collection.contents()) {
        Ok(()) => Saving::Saved,
        Err(err) => {
            let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            tracing::warn!("the scenes were not saved: {err}");
            Saving::Failed(format!(
                "Your scenes are not saved in {name}: {err}. They last as long as this window."
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use studio::BroadcastFile;
    use studio::collection::Edit;
    use testkit::wait_until;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn an_edit_is_saved_by_itself_and_one_that_could_not_be_is_tried_at_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("show.toml");
        std::fs::write(&path, "version = 2 # mine\n").unwrap();
        let file = BroadcastFile::read(&path).unwrap();
        let mut collection = Collection::of(&file);
        let autosave = Autosave::start(ScenesFile::new(path.clone(), &file)).unwrap();
        let mut add = |name: &str| {
            collection.apply(Edit::AddScene { name: name.into() }).unwrap();
            autosave.keep(collection.clone());
        };
        let names = || {
            let file = BroadcastFile::read(&path).ok()?;
            Some(file.scenes.into_iter().map(|scene| scene.name).collect::<Vec<_>>())
        };
        add("One");
        wait_until("the scene in the file", LIMIT, || names().filter(|names| names.len() == 2)).unwrap();
        let aside = folder.path().join("aside.toml");
        std::fs::rename(&path, &aside).unwrap();
        add("Two");
        let failed = || match autosave.saving() {
            Saving::Failed(reason) => Some(reason),
            _ => None,
        };
        let told = wait_until("a failure", LIMIT, failed).unwrap();
        assert!(told.starts_with("Your scenes are not saved in show.toml: it cannot be read"), "{told}");
        std::fs::rename(&aside, &path).unwrap();
        add("Three");
        // The window closes within the second.
        drop(autosave);
        assert_eq!(names().unwrap(), ["Main", "One", "Two", "Three"]);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("version = 2 # mine\n"));
    }
}
