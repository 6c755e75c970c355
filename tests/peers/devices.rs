//! A camera, a microphone and a screen reach viewers and recordings, and a camera that goes comes back.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use codec::{FileOptions, FilePiece, FileReader};
use media::burn_in::{self, Stamp};
use media::{AudioBlock, Picture};
use rtc::Network;
use testkit::{AudioServer, CameraState, FakeCamera, LoggedChild, Xvfb, wait_until};
use watch::{HttpSignalling, Player, PlayerConfig};

use crate::broadcasts::{LIMIT, TICKCAST, create, node, wait_for_renditions};
use crate::viewer::{Received, Viewer};

/// What is played into the microphone.
const HERTZ: f32 = 440.0;
const LEVEL: f32 = 0.5;
const SECONDS_PLAYED: usize = 600;
/// Of a second's power, at the tone's own pitch. The rest is what the mixer's bending spreads on a busy machine; silence,
/// noise and a wrong rate have next to nothing there.
const TONE_SHARE: f64 = 0.5;

/// Starts the engine with devices in its environment, and waits until it is live.
fn engine(
    file: &Path,
    environment: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> LoggedChild {
    let mut command = Command::new(TICKCAST);
    command.args(["--log", "info", "engine", "--loopback"]).arg(file).envs(environment);
    let mut child = LoggedChild::spawn("the engine", &mut command).expect("the engine starts");
    child.wait_for_line("live", LIMIT).expect("the engine is live");
    child
}

/// The strip in the picture that the viewer shows now.
fn shown_stamp(player: &Player) -> Option<Option<Stamp>> {
    Some(stamp_of(&player.pictures().take()?.picture))
}

fn stamp_of(picture: &Picture) -> Option<Stamp> {
    let (luma, plane) = picture.plane(0);
    burn_in::read_luma(luma, plane.stride, picture.size())
}

#[test]
fn a_camera_and_a_microphone_reach_the_viewer_and_the_camera_comes_back() {
    let (camera, sound) =
        (FakeCamera::plug_in().expect("a camera"), AudioServer::start().expect("a microphone"));
    let tone: Vec<f32> = (0..48_000 * SECONDS_PLAYED)
        .flat_map(|n| [LEVEL * (std::f32::consts::TAU * HERTZ * n as f32 / 48_000.0).sin(); 2])
        .collect();
    let _playing = sound.play(&tone).expect("a tone is played");
    let (node, folder) = (node(), tempfile::tempdir().expect("a folder"));
    let stream = create(&node, "Devices");
    let (file, recording) = (folder.path().join("broadcast.toml"), folder.path().join("recording.mp4"));
    let text = format!(
        "version = 1\nsources = [{{ kind = \"camera\", name = \"camera\" }}]\n\
         sounds = [{{ kind = \"microphone\", name = \"voice\", device = \"{}\" }}]\n\
         layers = [{{ source = \"camera\", fit = \"stretch\" }}]\n\
         ladder = [{{ name = \"low\", width = 640, height = 360, kbps = 1000 }}]\n\
         outputs = [{{ kind = \"whip\", url = \"{}\", token = \"{}\" }}]\n\
         recording = {{ path = {recording:?} }}\n",
        AudioServer::MICROPHONE,
        stream.whip_url,
        stream.stream_key
    );
    std::fs::write(&file, text).expect("a broadcast file");
    let environment = camera.environment().into_iter().chain(sound.environment());
    let mut engine = engine(&file, environment);
    wait_for_renditions(&node, &stream, 1);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = PlayerConfig { network: Network::Loopback, ..PlayerConfig::default() };
    let signalling = Arc::new(HttpSignalling::new(&stream.whep_url, None).expect("an address"));
    let player = Player::start(config, signalling, runtime.handle()).expect("a player");
    let frame_of = |what: &str| {
        let stamp = wait_until(what, LIMIT, || shown_stamp(&player).flatten());
        stamp.unwrap_or_else(|err| panic!("{err}\nthe engine: {}", engine_log(&engine))).frame
    };
    let moves_on = |from: u32, by: u32| {
        let later = || shown_stamp(&player).flatten().filter(|stamp| stamp.frame >= from.saturating_add(by));
        wait_until("the camera's pictures move on", LIMIT, later).expect("the camera's pictures move on");
    };
    moves_on(frame_of("the camera's first picture"), 1);
    let heard = runtime.block_on(async {
        let mut viewer = Viewer::join(&stream);
        let is_tone =
            |received: &Received| received.samples.len() > 48_000 && received.tone(HERTZ.into()) > TONE_SHARE;
        let heard = viewer.watch(is_tone).await;
        viewer.leave().await;
        heard
    });
    assert!(heard, "no viewer hears the microphone\nthe engine: {}", engine_log(&engine));

    camera.unplug().expect("unplugged");
    wait_until("a slate", LIMIT, || shown_stamp(&player).filter(Option::is_none)).expect("a slate");
    camera.set(CameraState::Working).expect("plugged in");
    // Three more seconds of pictures: by then the microphone has long been open too.
    moves_on(frame_of("the camera's picture after it was plugged in again"), 90);

    let status = engine.terminate(LIMIT).expect("the engine ends");
    assert!(status.success(), "{}", engine.errors());
    runtime.block_on(player.close());
    let (level, hertz) = level_and_pitch(&sound_of(&recording));
    // A sine's root mean square is its amplitude over √2: −9.03 dBFS here.
    let expected = LEVEL / std::f32::consts::SQRT_2;
    assert!((level / expected - 1.0).abs() < 0.1, "rms {level}, expected {expected}");
    // The nearest pitch that a wrong rate would give is 404 Hz. Closer than this it need not lie: where a busy
    // machine's sound server delivers in bursts, the mixer bends the pitch until sound and time agree again.
    assert!((hertz / HERTZ - 1.0).abs() < 0.05, "{hertz} Hz");
}

fn engine_log(engine: &LoggedChild) -> String {
    engine.errors()
}

#[test]
fn a_screen_reaches_the_viewer_and_the_recording_in_its_colours() {
    let screen = Xvfb::start(640, 360).expect("a display");
    screen.fill("#2040c0").expect("a colour");
    let (node, folder) = (node(), tempfile::tempdir().expect("a folder"));
    let stream = create(&node, "A screen");
    let (file, recording) = (folder.path().join("broadcast.toml"), folder.path().join("recording.mp4"));
    let text = format!(
        "version = 1\nprogramme = {{ width = 640, height = 360 }}\n\
         sources = [{{ kind = \"screen\", name = \"screen\" }}]\n\
         sounds = [{{ kind = \"synthetic\", name = \"beep\" }}]\nlayers = [{{ source = \"screen\" }}]\n\
         ladder = [{{ name = \"low\", width = 640, height = 360, kbps = 1000 }}]\n\
         outputs = [{{ kind = \"whip\", url = \"{}\", token = \"{}\" }}]\n\
         recording = {{ path = {recording:?} }}\n",
        stream.whip_url, stream.stream_key
    );
    std::fs::write(&file, text).expect("a broadcast file");
    let mut engine = engine(&file, screen.environment());
    wait_for_renditions(&node, &stream, 1);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = PlayerConfig { network: Network::Loopback, ..PlayerConfig::default() };
    let signalling = Arc::new(HttpSignalling::new(&stream.whep_url, None).expect("an address"));
    let player = Player::start(config, signalling, runtime.handle()).expect("a player");
    // The slate comes first.
    wait_until("the screen at the viewer", LIMIT, || {
        player.pictures().take().filter(|shown| off_blue(&shown.picture) <= CODES_OFF).map(drop)
    })
    .unwrap_or_else(|err| panic!("{err}\nthe engine: {}", engine.errors()));
    runtime.block_on(player.close());
    // What a viewer saw was composed a moment ago, and so is recorded.
    let status = engine.terminate(LIMIT).expect("the engine ends");
    assert!(status.success(), "{}", engine.errors());
    let last = pictures_of(&recording).pop().expect("a picture");
    assert!(off_blue(&last) <= CODES_OFF, "{} codes off", off_blue(&last));
}

/// What encoding may change in a plain area.
const CODES_OFF: f32 = 3.0;

/// How far the middle of a picture of 640 by 360 is from #2040c0, in codes of its worst plane.
fn off_blue(picture: &Picture) -> f32 {
    // #2040c0 in BT.709, limited range: Y = 16 + 219·(0.2126·32 + 0.7152·64 + 0.0722·192)/255 = 73.1,
    // Cb = 128 + 224·(192 − 66.4)/255/1.8556 = 187.5, Cr = 128 + 224·(32 − 66.4)/255/1.5748 = 108.8.
    let off = |plane: usize, x: usize, y: usize, expected: f32| {
        let (bytes, layout) = picture.plane(plane);
        (f32::from(bytes[y * layout.stride + x]) - expected).abs()
    };
    off(0, 320, 180, 73.1).max(off(1, 160, 90, 187.5)).max(off(2, 160, 90, 108.8))
}

/// A broadcast of whatever camera and microphone there is, recorded.
fn default_devices(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (file, recording) = (folder.join("broadcast.toml"), folder.join("recording.mp4"));
    let text = format!(
        "version = 1\nprogramme = {{ width = 640, height = 360 }}\n\
         sources = [{{ kind = \"camera\", name = \"camera\", or_synthetic = true }}]\n\
         sounds = [{{ kind = \"microphone\", name = \"voice\", or_synthetic = true }}]\n\
         layers = [{{ source = \"camera\" }}]\n\
         ladder = [{{ name = \"low\", width = 640, height = 360, kbps = 1000 }}]\n\
         recording = {{ path = {recording:?} }}\n"
    );
    std::fs::write(&file, text).expect("a broadcast file");
    (file, recording)
}

#[test]
fn a_camera_that_comes_after_the_start_is_told_and_not_filmed_with() {
    let camera = FakeCamera::plug_in().expect("a camera");
    camera.unplug().expect("unplugged");
    let folder = tempfile::tempdir().expect("a folder");
    let (file, recording) = default_devices(folder.path());
    let mut engine = engine(&file, camera.environment());
    wait_until("a recording", LIMIT, || recording.metadata().ok().filter(|file| file.len() > 0))
        .expect("a recording");
    camera.set(CameraState::Working).expect("plugged in");
    let told = engine.wait_for_line("synthetic camera stand_in: ", LIMIT);
    let told = told.unwrap_or_else(|err| panic!("{err}\n{}", engine.errors()));
    assert!(told.contains("is there now, and is not used"), "{told}");
    assert!(engine.terminate(LIMIT).expect("the engine ends").success(), "{}", engine.errors());
    // The fake camera's pictures carry a strip; the test pattern in its place carries none.
    let filmed = pictures_of(&recording).iter().filter(|picture| stamp_of(picture).is_some()).count();
    assert_eq!(filmed, 0, "pictures of the camera were recorded");
}

#[test]
fn a_sound_server_that_does_not_answer_holds_up_neither_the_picture_nor_the_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("native");
    // Whoever connects waits for ever: nobody accepts, and nobody answers.
    let _server = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let (file, recording) = default_devices(folder.path());
    let address = format!("unix:{}", socket.display());
    let mut engine = engine(&file, [("PULSE_SERVER".into(), address.into())]);
    wait_until("a recording", LIMIT, || recording.metadata().ok().filter(|file| file.len() > 400_000))
        .unwrap_or_else(|err| panic!("{err}\n{}", engine.errors()));
    assert!(engine.terminate(LIMIT).expect("the engine ends").success(), "{}", engine.errors());
    let (pictures, samples) = (pictures_of(&recording).len(), sound_of(&recording).len());
    println!("{pictures} pictures, {samples} samples");
    // A picture at 30 a second is 1 600 samples; the sound begins up to a second after the first key frame.
    assert!(pictures > 30 && samples + 48_000 > pictures * 1_600, "{pictures} pictures, {samples} samples");
}

fn pieces_of(recording: &Path) -> Vec<FilePiece> {
    let mut reader = FileReader::open(recording, FileOptions::default()).expect("the recording opens");
    std::iter::from_fn(|| reader.read().expect("the recording reads")).collect()
}

fn pictures_of(recording: &Path) -> Vec<Picture> {
    let pieces = pieces_of(recording).into_iter();
    pieces
        .filter_map(|piece| if let FilePiece::Picture(picture) = piece { Some(picture) } else { None })
        .collect()
}

/// The left channel.
fn sound_of(recording: &Path) -> Vec<f32> {
    let pieces = pieces_of(recording).into_iter();
    let blocks =
        pieces.filter_map(|piece| if let FilePiece::Sound(block) = piece { Some(block) } else { None });
    blocks
        .flat_map(|AudioBlock { samples, .. }| samples.iter().copied().step_by(2).collect::<Vec<_>>())
        .collect()
}

/// Root mean square and pitch of a second that ends half a second before the recording does: its beginning may
/// hold the device's opening, its end the device's closing.
fn level_and_pitch(samples: &[f32]) -> (f32, f32) {
    let half = 24_000;
    assert!(samples.len() > 4 * half, "{} samples", samples.len());
    let part = &samples[samples.len() - 3 * half..samples.len() - half];
    let power = part.iter().map(|v| v * v).sum::<f32>() / part.len() as f32;
    // Where it rises through zero, between samples; the middle one of the periods is that of the tone, also
    // where a busy machine left a gap.
    let rises: Vec<f32> = (1..part.len())
        .filter(|&n| part[n - 1] < 0.0 && part[n] >= 0.0)
        .map(|n| n as f32 - part[n] / (part[n] - part[n - 1]))
        .collect();
    let mut periods: Vec<f32> = rises.windows(2).map(|pair| pair[1] - pair[0]).collect();
    periods.sort_by(f32::total_cmp);
    (power.sqrt(), 48_000.0 / periods[periods.len() / 2])
}
