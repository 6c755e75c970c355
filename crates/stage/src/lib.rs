//! The creator's window: shows what the engine tells and sends it commands.
//!
//! [`panels::Panels`] draws from a [`View`] and returns [`Order`]s, and knows no engine; [`control::Control`] holds
//! the engine on a thread of its own; [`window`] joins them.

pub mod autosave;
pub mod control;
pub mod editor;
pub mod geometry;
pub mod health;
pub mod hotkeys;
pub mod panels;
pub mod preflight;
pub mod rates;
pub mod view;
pub mod window;

pub use control::{Feedback, Heard, Leave, Opened, Studio};
pub use panels::Panels;
pub use studio::snapshot::OnAir;
pub use view::{Audience, Earned, Order, Phase, Summary, View};
pub use widgets::egui::Theme;
pub use window::{Options, StageError, run};
