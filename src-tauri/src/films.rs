//! Where recordings are, unless a broadcast file says otherwise.

use std::path::PathBuf;

/// In the person's folder for films, as the system names it, else in the home.
pub fn folder() -> PathBuf {
    let films = dirs::video_dir().unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join("Videos"));
    films.join("Tickcast")
}
