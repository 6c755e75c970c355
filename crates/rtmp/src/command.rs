//! The commands that both roles build and read.

use crate::amf::Value;
use crate::error::Status;
use crate::message::Command;

/// Foreign words are cut to this many bytes before they are kept.
const MAX_WORDS: usize = 256;

/// Good and bad news in `onStatus` (§7.2.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Status,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Error => "error",
        }
    }
}

/// The information object of an answer.
pub fn information(level: Level, code: &str, description: &str) -> Value {
    Value::object([
        ("level", level.name().into()),
        ("code", code.into()),
        ("description", description.into()),
    ])
}

pub fn on_status(level: Level, code: &str, description: &str) -> Command {
    Command::new("onStatus", 0.0, Value::Null, vec![information(level, code, description)])
}

pub fn result(transaction: f64, object: Value, arguments: Vec<Value>) -> Command {
    Command::new("_result", transaction, object, arguments)
}

pub fn error(transaction: f64, code: &str, description: &str) -> Command {
    Command::new("_error", transaction, Value::Null, vec![information(Level::Error, code, description)])
}

/// What an answer says, and whether it is bad news.
pub fn read_status(command: &Command) -> (Level, Status) {
    let found = command.arguments.iter().chain([&command.object]).find(|value| value.get("code").is_some());
    let words = |name: &str| {
        let text = found.and_then(|value| value.get(name)).and_then(Value::as_text).unwrap_or_default();
        text[..text.floor_char_boundary(MAX_WORDS)].to_owned()
    };
    let level = if words("level") == "error" { Level::Error } else { Level::Status };
    (level, Status { code: words("code"), description: words("description") })
}
