//! Draws the presets to PNG files, to be looked at: `presets [FOLDER] [PRESET] [STEP…]`.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use media::{Picture, Size, Timescale, Timestamp};
use sim::{Preset, SimConfig, Simulation};
use tickcast_sim as sim;

const SIZE: Size = Size::new(1280, 720);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "presets".into());
    let only = arguments.next();
    let steps: Vec<u64> = arguments.map(|step| step.parse()).collect::<Result<_, _>>()?;
    let steps = if steps.is_empty() { vec![60, 300, 600, 1_200] } else { steps };
    std::fs::create_dir_all(&folder)?;
    for preset in Preset::ALL {
        if only.as_ref().is_some_and(|name| name != preset.name()) {
            continue;
        }
        let mut simulation = Simulation::new(SimConfig { preset, ..SimConfig::default() })?;
        for &step in &steps {
            simulation.advance_to(step)?;
            let picture = simulation.render(SIZE, Timestamp::zero(Timescale::VIDEO))?;
            write(&Path::new(&folder).join(format!("{}-{step:04}.png", preset.name())), &picture)?;
        }
    }
    Ok(())
}

fn write(path: &Path, picture: &Picture) -> Result<(), Box<dyn std::error::Error>> {
    let size = picture.size();
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), size.width, size.height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(picture.data())?;
    Ok(())
}
