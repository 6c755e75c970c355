//! The multivariant playlist: every rendition of a stream, and the sound that goes with all of them.

use std::fmt::Write;

use media::{FrameRate, Size};

/// One video rendition together with the sound.
#[derive(Clone, PartialEq, Debug)]
pub struct Variant {
    pub uri: String,
    /// Of the worst segment, with sound, in bits a second.
    pub peak_bits_per_second: u64,
    pub average_bits_per_second: u64,
    /// RFC 6381, video then sound.
    pub codecs: Vec<String>,
    pub size: Size,
    pub frame_rate: FrameRate,
}

/// The sound rendition, shared by all variants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sound {
    pub uri: String,
    pub channels: u16,
}

/// Sound alone, where there is no video: a variant of its own.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MasterPlaylist {
    /// In the order in which players that do not measure try them.
    pub variants: Vec<Variant>,
    pub sound: Option<Sound>,
    /// Bits a second of the sound; used where there are no variants.
    pub sound_bits_per_second: u64,
    pub sound_codec: String,
    /// Whether every segment begins with a key frame.
    pub independent_segments: bool,
}

const GROUP: &str = "sound";

/// Attribute strings cannot hold quotes or line ends (RFC 8216 §4.2).
fn quoted(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '"' | '\r' | '\n')).collect()
}

impl MasterPlaylist {
    pub fn text(&self) -> String {
        let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:9\n");
        if self.independent_segments {
            out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
        }
        if let Some(sound) = &self.sound
            && !self.variants.is_empty()
        {
            let _ = writeln!(
                out,
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{GROUP}\",NAME=\"Sound\",DEFAULT=YES,AUTOSELECT=YES,\
                 CHANNELS=\"{}\",URI=\"{}\"",
                sound.channels,
                quoted(&sound.uri)
            );
        }
        for variant in &self.variants {
            self.put_variant(&mut out, variant);
        }
        if let Some(sound) = &self.sound
            && self.variants.is_empty()
        {
            let _ = writeln!(
                out,
                "#EXT-X-STREAM-INF:BANDWIDTH={},CODECS=\"{}\"\n{}",
                self.sound_bits_per_second,
                quoted(&self.sound_codec),
                sound.uri
            );
        }
        out
    }

    fn put_variant(&self, out: &mut String, variant: &Variant) {
        let _ = write!(
            out,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={}x{},FRAME-RATE={:.3}",
            variant.peak_bits_per_second,
            variant.average_bits_per_second,
            quoted(&variant.codecs.join(",")),
            variant.size.width,
            variant.size.height,
            variant.frame_rate.as_f64()
        );
        if self.sound.is_some() {
            let _ = write!(out, ",AUDIO=\"{GROUP}\"");
        }
        let _ = writeln!(out, "\n{}", variant.uri);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_names_its_size_rate_codecs_and_sound() {
        let master = MasterPlaylist {
            variants: vec![Variant {
                uri: "high.m3u8".into(),
                peak_bits_per_second: 5_000_000,
                average_bits_per_second: 4_128_000,
                codecs: vec!["avc1.42c01f".into(), "mp4a.40.2".into()],
                size: Size::new(1280, 720),
                frame_rate: FrameRate::new(30_000, 1_001).unwrap(),
            }],
            sound: Some(Sound { uri: "sound.m3u8".into(), channels: 2 }),
            independent_segments: true,
            ..MasterPlaylist::default()
        };
        let expected = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n\
            #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"sound\",NAME=\"Sound\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\",URI=\"sound.m3u8\"\n\
            #EXT-X-STREAM-INF:BANDWIDTH=5000000,AVERAGE-BANDWIDTH=4128000,CODECS=\"avc1.42c01f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO=\"sound\"\n\
            high.m3u8\n";
        assert_eq!(master.text(), expected);
    }
}
