//! Pictures that do not change from frame to frame: text, images, and slates for what is missing.

use std::path::PathBuf;

use bytes::Bytes;
use media::{Picture, Size, Timescale, Timestamp};

use crate::scene::{Text, Weight};

/// What a still shows.
#[derive(Clone, Debug, PartialEq)]
pub enum StillContent {
    Text(Text),
    Image(PathBuf),
    /// A dark panel with this message.
    Slate(String),
}

/// A picture at the size that it is shown at, with the columns that it touches in each row.
#[derive(Debug)]
pub struct Still {
    picture: Picture,
    touched: Vec<(u32, u32)>,
    is_opaque: bool,
}

impl Still {
    /// From straight RGBA; `bytes` holds exactly `size`.
    pub fn new(size: Size, bytes: Vec<u8>) -> Self {
        let (pixels, _) = bytes.as_chunks::<4>();
        let touched = pixels
            .chunks_exact(size.width as usize)
            .map(|row| {
                let first = row.iter().position(|p| p[3] != 0).unwrap_or(0);
                let end = row.iter().rposition(|p| p[3] != 0).map_or(0, |last| last + 1);
                (first as u32, end as u32)
            })
            .collect();
        let is_opaque = pixels.iter().all(|p| p[3] == 255);
        let picture = Picture::rgba(size, Bytes::from(bytes), Timestamp::zero(Timescale::VIDEO))
            .expect("a still is made with all its bytes");
        Self { picture, touched, is_opaque }
    }

    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// First column and one past the last that are not wholly transparent in row `y`; equal when there are none.
    pub fn touched(&self, y: usize) -> (u32, u32) {
        self.touched[y]
    }

    pub fn is_opaque(&self) -> bool {
        self.is_opaque
    }
}

/// The text on a slate of `size`.
pub fn slate_text(message: &str, size: Size) -> Text {
    let edge = size.width.min(size.height) as f32;
    Text {
        size: (edge / 14.0).clamp(9.0, 48.0),
        weight: Weight::SemiBold,
        colour: crate::scene::Colour::rgb(0xb8, 0xc0, 0xcc),
        align: crate::scene::Align::Center,
        width: Some((size.width as f32 * 0.9).clamp(1.0, 8_192.0)),
        max_lines: Some(2),
        ..Text::new(message)
    }
}
