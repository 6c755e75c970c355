//! What the native windows share: the theme made from the tokens, meters, values, buttons and cards.
//!
//! Knows nothing of studios or streams: numbers, words and pictures come in. Other crates draw through [`egui`] from here.

pub mod button;
pub mod card;
pub mod icon;
pub mod meter;
pub mod number;
pub mod picture;
pub mod scroll;
pub mod secret;
pub mod text;
pub mod theme;
pub mod window;

pub use eframe;
pub use egui;
pub use meter::{Meter, PeakHold};
pub use theme::{Palette, Tokens, install};
