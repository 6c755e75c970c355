//! How a native window looks at first.

use stage::Theme;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Look {
    /// The system's, where it is not given.
    #[arg(long, value_name = "THEME")]
    theme: Option<Ground>,
    /// How large everything is, beside the system's own scale: from 0.5 to 3.
    #[arg(long, value_name = "FACTOR", value_parser = scale)]
    pub scale: Option<f32>,
    /// The window's size in pixels at scale 1, as 1280x800.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<Extent>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Ground {
    Dark,
    Light,
}

/// Width and height.
#[derive(Clone, Copy, Debug)]
struct Extent([f32; 2]);

impl Look {
    pub fn theme(&self) -> Option<Theme> {
        self.theme.map(|ground| match ground {
            Ground::Dark => Theme::Dark,
            Ground::Light => Theme::Light,
        })
    }

    pub fn size(&self) -> Option<[f32; 2]> {
        self.size.map(|Extent(size)| size)
    }

    pub fn of_window(&self) -> approve::Look {
        approve::Look { theme: self.theme(), zoom: self.scale, size: self.size() }
    }
}

fn scale(text: &str) -> Result<f32, String> {
    let factor: f32 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.5..=3.0).contains(&factor) { Ok(factor) } else { Err("it is not from 0.5 to 3".into()) }
}

fn size(text: &str) -> Result<Extent, String> {
    let edges = text.split_once('x').and_then(|(width, height)| {
        let edge = |text: &str| text.parse::<u16>().ok().filter(|edge| *edge >= 320).map(f32::from);
        Some([edge(width)?, edge(height)?])
    });
    edges.map(Extent).ok_or_else(|| "it is no size such as 1280x800".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_and_a_scale_have_bounds() {
        assert!(size("1280x800").is_ok() && size("1280").is_err() && size("10x10").is_err());
        assert!(scale("2").is_ok() && scale("NaN").is_err() && scale("9").is_err());
    }
}
