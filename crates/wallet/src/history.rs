//! What the wallet sent to a chain and signed for others: one line each, added and never changed.

use std::path::Path;

use pay::{AccountId, Amount, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::store::{Folder, StoreError};

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// About to be sent; the line that follows says how it ended. None follows where the program was killed.
    Sending,
    Done,
    Failed,
    /// Whether a block has it is not known.
    Unknown,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    pub at: UnixMillis,
    pub account: AccountId,
    /// As it was approved: `Send 1.5 UNIT to …`.
    pub what: String,
    pub outcome: Outcome,
    /// What leaves the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Amount>,
    /// Of the final block, and the transaction's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

const FILE: &str = "history.jsonl";
/// Some 100 000 lines.
const MOST_BYTES: u64 = 32 << 20;

pub(crate) fn append(folder: &Folder, event: &Event) -> Result<(), StoreError> {
    let line = serde_json::to_string(event).expect("texts and numbers are JSON");
    folder.append_line(Path::new(FILE), &line)
}

/// Lines that a kill cut off are passed over.
pub(crate) fn read(folder: &Folder) -> Result<Vec<Event>, StoreError> {
    let bytes = folder.read(Path::new(FILE), MOST_BYTES)?.unwrap_or_default();
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}
