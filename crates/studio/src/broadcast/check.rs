//! What TOML allows and no broadcast can be: each mistake with the place where it is written.

use std::collections::BTreeSet;

use compose::Layer;
use compose::scene::{Content, LayerError, MAX_LAYERS, Mistake, Place};
use media::{Ladder, Rendition, RenditionName, Size};

use super::{
    BroadcastFile, FADE_MS_MAX, GAIN_DB, MAX_SCENES, NAME_MAX, Output, SCENES_VERSION, Sound, Source,
    VERSIONS,
};

/// Above this a programme cannot be composed in real time anywhere that was tried.
const SIDE_MAX: u32 = 4096;
const SIDE_MIN: u32 = 90;
const PARTICLES_MAX: u32 = 4_000_000;
const KBPS: std::ops::RangeInclusive<u32> = 50..=50_000;

fn mistake<T>(place: Place, message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake::new(place, message))
}

/// The first mistake that is found.
pub fn check(file: &BroadcastFile) -> Result<(), Mistake> {
    if !VERSIONS.contains(&file.version) {
        let (first, last) = (VERSIONS.start(), VERSIONS.end());
        let message = format!("version {} is not known; this build reads {first} to {last}", file.version);
        return mistake(Place::of("version"), message);
    }
    even_size("programme", &Place::of("programme"), file.size())?;
    let ladder = ladder(file)?;
    names("source", "sources", file.sources.iter().map(Source::name))?;
    names("sound", "sounds", file.sounds.iter().map(Sound::name))?;
    sources(&file.sources)?;
    sounds(&file.sounds)?;
    scenes(file)?;
    if file.switching.fade_ms > FADE_MS_MAX {
        let message = format!("a fade of {} ms is longer than {FADE_MS_MAX}", file.switching.fade_ms);
        return mistake(Place::of("switching").key("fade_ms"), message);
    }
    outputs(file, &ladder)
}

/// The ladder as written, or the default one.
pub fn ladder(file: &BroadcastFile) -> Result<Ladder, Mistake> {
    if file.ladder.is_empty() {
        return Ok(Ladder::default_for(file.size()));
    }
    let mut renditions: Vec<Rendition> = Vec::new();
    for (index, step) in file.ladder.iter().enumerate() {
        let place = Place::of("ladder").item(index);
        let at = |key| place.clone().key(key);
        let name: RenditionName =
            step.name.parse().or_else(|err| mistake(at("name"), format!("ladder: {err}")))?;
        if renditions.iter().any(|known| known.name == name) {
            return mistake(at("name"), format!("ladder: rendition {name} stands twice"));
        }
        let size = even_size("ladder", &place, Size::new(step.width, step.height))?;
        let larger =
            [("width", size.width, file.programme.width), ("height", size.height, file.programme.height)];
        if let Some((key, ..)) = larger.into_iter().find(|(_, side, whole)| side > whole) {
            return mistake(at(key), format!("rendition {name}: {size} is larger than the programme"));
        }
        if !KBPS.contains(&step.kbps) {
            let message = format!("rendition {name}: {} kbps is not from 50 to 50 000", step.kbps);
            return mistake(at("kbps"), message);
        }
        renditions.push(Rendition { name, size, bitrate_kbps: step.kbps });
    }
    Ladder::new(renditions)
        .map_or_else(|| mistake(Place::of("ladder"), "ladder: a rendition stands twice"), Ok)
}

fn even_size(what: &str, place: &Place, size: Size) -> Result<Size, Mistake> {
    let fits = |side: u32| (SIDE_MIN..=SIDE_MAX).contains(&side) && side.is_multiple_of(2);
    let Some((key, _)) =
        [("width", size.width), ("height", size.height)].into_iter().find(|(_, side)| !fits(*side))
    else {
        return Ok(size);
    };
    let message = format!(
        "{what}: {size} cannot be encoded: width and height are even numbers from {SIDE_MIN} to {SIDE_MAX}"
    );
    mistake(place.clone().key(key), message)
}

fn names<'a>(what: &str, list: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), Mistake> {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        let place = Place::of(list).item(index).key("name");
        if name.is_empty() || name.len() > NAME_MAX {
            return mistake(place, format!("a {what}'s name has 1 to {NAME_MAX} bytes"));
        }
        if !seen.insert(name) {
            return mistake(place, format!("two {what}s are called \"{name}\""));
        }
    }
    Ok(())
}

fn sources(sources: &[Source]) -> Result<(), Mistake> {
    let mut simulations = 0;
    for (index, source) in sources.iter().enumerate() {
        let place = Place::of("sources").item(index);
        match source {
            Source::Simulation { name, preset, count, .. } => {
                simulations += 1;
                if simulations > 1 {
                    return mistake(place, "one simulation a broadcast is what this build runs");
                }
                if sim::Preset::from_name(preset).is_none() {
                    return mistake(place.key("preset"), crate::engine::no_preset(preset));
                }
                if !(1..=PARTICLES_MAX).contains(count) {
                    let message = format!("source {name}: a count is from 1 to {PARTICLES_MAX}");
                    return mistake(place.key("count"), message);
                }
            }
            Source::File { name, path } if path.as_os_str().is_empty() => {
                return mistake(place.key("path"), format!("source {name}: its path is empty"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn sounds(sounds: &[Sound]) -> Result<(), Mistake> {
    for (index, sound) in sounds.iter().enumerate() {
        let (place, name) = (Place::of("sounds").item(index), sound.name());
        let (gain_db, _) = sound.fader();
        // A number that is none is in no range.
        if !GAIN_DB.contains(&gain_db) {
            let (low, high) = (GAIN_DB.start(), GAIN_DB.end());
            let message = format!("sound {name}: a gain of {gain_db} dB is not from {low} to {high}");
            return mistake(place.key("gain_db"), message);
        }
        if let Sound::File { path, .. } = sound
            && path.as_os_str().is_empty()
        {
            return mistake(place.key("path"), format!("sound {name}: its path is empty"));
        }
    }
    Ok(())
}

fn scenes(file: &BroadcastFile) -> Result<(), Mistake> {
    if file.version < SCENES_VERSION {
        if !file.scenes.is_empty() {
            let message =
                format!("scenes come with version {SCENES_VERSION}, and this is version {}", file.version);
            return mistake(Place::of("scenes"), message);
        }
        return layers(file, &Place::of("layers"), file.layers.iter());
    }
    if !file.layers.is_empty() {
        let message = format!("from version {SCENES_VERSION} on layers belong to a scene: [[scenes.layers]]");
        return mistake(Place::of("layers"), message);
    }
    let place = |index| Place::of("scenes").item(index);
    if file.scenes.len() > MAX_SCENES {
        let message = format!("there are {} scenes, and at most {MAX_SCENES} are allowed", file.scenes.len());
        return mistake(place(MAX_SCENES), message);
    }
    names("scene", "scenes", file.scenes.iter().map(|scene| scene.name.as_str()))?;
    for (index, scene) in file.scenes.iter().enumerate() {
        // An editor trims names, and two that differ by a space are one to a reader.
        if scene.name.trim() != scene.name {
            return mistake(place(index).key("name"), "a scene's name neither begins nor ends with a space");
        }
        layers(file, &place(index).key("layers"), scene.layers.iter().map(|arranged| &arranged.layer))?;
    }
    Ok(())
}

fn layers<'a>(
    file: &BroadcastFile,
    list: &Place,
    layers: impl ExactSizeIterator<Item = &'a Layer>,
) -> Result<(), Mistake> {
    let place = |index| list.clone().item(index);
    if layers.len() > MAX_LAYERS {
        return mistake(place(MAX_LAYERS), LayerError::TooManyLayers(layers.len()).to_string());
    }
    for (index, layer) in layers.enumerate() {
        if let Err(err) = layer.validate() {
            let key = match &err {
                LayerError::Range { field, .. }
                | LayerError::Empty { field }
                | LayerError::TooLong { field, .. } => Some(*field),
                LayerError::CropsAll => Some("crop"),
                LayerError::Contents(_) | LayerError::TooManyLayers(_) => None,
            };
            return mistake(key.into_iter().fold(place(index), Place::key), err.to_string());
        }
        if let Content::Source(name) = &layer.content
            && !file.sources.iter().any(|source| source.name() == name)
        {
            let place = place(index).key("source");
            return mistake(place, format!("a layer shows \"{name}\", and no source is called so"));
        }
    }
    Ok(())
}

fn outputs(file: &BroadcastFile, ladder: &Ladder) -> Result<(), Mistake> {
    let known = |rendition: &str, place: Place| {
        let is_known = ladder.renditions().iter().any(|known| known.name.as_str() == rendition);
        match rendition.is_empty() || is_known {
            true => Ok(()),
            false => mistake(place, format!("no rendition of the ladder is called \"{rendition}\"")),
        }
    };
    for (index, output) in file.outputs.iter().enumerate() {
        let place = Place::of("outputs").item(index);
        let wrong = |reason| mistake(place.clone().key("url"), format!("output {}: {reason}", index + 1));
        output.check().or_else(wrong)?;
        if let Output::Rtmp { rendition, .. } = output {
            known(rendition, place.key("rendition"))?;
        }
    }
    let Some(recording) = &file.recording else { return Ok(()) };
    let place = Place::of("recording");
    if recording.path.as_os_str().is_empty() {
        return mistake(place.key("path"), "the recording's path is empty");
    }
    known(&recording.rendition, place.key("rendition"))
}
