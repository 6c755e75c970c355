//! What the window shows and what it asks for: no engine, no thread.

use std::path::PathBuf;

use studio::broadcast::{Sound, Source};
use studio::{Collection, Command, Devices, Snapshot};

use crate::autosave::Saving;
use crate::control::Heard;
use crate::hotkeys::Hotkeys;
use crate::rates::Rates;

/// Where the studio's life is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Encoders are opened and devices looked for.
    #[default]
    Opening,
    Running,
    /// It could not start; the reason is for a person.
    Failed(String),
    /// The recording is made whole, outputs say goodbye.
    Closing,
    Closed,
}

/// How a broadcast went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub seconds: f64,
    /// Sent by all outputs.
    pub bytes: u64,
    /// Programme frames that were due meanwhile and not composed.
    pub dropped: u64,
    /// At once, at most; `None` where no server told.
    pub most_viewers: Option<u32>,
    /// By the stream in all, with its unit.
    pub earned: Option<String>,
    pub recording: Option<PathBuf>,
}

/// What there is on this machine to add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Looked {
    /// It is looked for, or nobody wanted to know.
    #[default]
    NotYet,
    Found(Devices),
}

/// Who watches, and what it brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    pub viewers: u32,
    /// Of a stream that costs something.
    pub earned: Option<Earned>,
}

/// Amounts as people read them, with their unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earned {
    /// In the last seconds; `None` before it is known.
    pub a_second: Option<String>,
    pub total: String,
}

/// Everything that the window shows, but for the picture.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// What is broadcast: a file's name.
    pub title: String,
    /// Where it can be watched.
    pub watch_url: Option<String>,
    pub phase: Phase,
    pub snapshot: Snapshot,
    /// The scenes that the studio was opened with; numbered, so that they are taken over once.
    pub editing: Option<(u64, Collection)>,
    pub saving: Saving,
    pub hotkeys: Hotkeys,
    pub devices: Looked,
    pub rates: Rates,
    /// What the server that has the viewers says.
    pub heard: Heard,
    /// Why the newest order was not followed.
    pub refused: Option<String>,
    /// It is about to go live, and looks round first.
    pub is_checking: bool,
    /// What was found by that, in sentences; numbered, so that it is asked about once.
    pub found: Option<(u64, Vec<String>)>,
    /// Why going live would not be recorded; numbered, so that it is asked once.
    pub unrecorded: Option<(u64, String)>,
    /// Of the last broadcast; numbered, so that it is shown once.
    pub summary: Option<(u64, Summary)>,
}

/// What a person asks for.
#[derive(Clone, Debug)]
pub enum Order {
    /// After a look round: where that finds something, a person is asked. Records too, where the broadcast says so.
    GoLive,
    /// Whatever was found.
    GoLiveAnyway,
    GoLiveUnrecorded,
    End,
    /// One output while live, by its place among the broadcast's.
    StartOutput(usize),
    StopOutput(usize),
    Record,
    EndRecording,
    Command(Command),
    /// Looks for devices that may be added.
    Look,
    /// Opens and closes sources, and moves faders, until they are these.
    Sources(Vec<Source>, Vec<Sound>),
    /// Other keys from now on, and the next time.
    Hotkeys(Hotkeys),
    /// Puts this into the file, if there is one.
    Keep(Collection),
    /// Tries to start once more.
    Retry,
    /// Ends everything in order, then the window closes.
    Close,
}
