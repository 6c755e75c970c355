//! OBS publishes by RTMP, from files as a person's settings would leave them.

use std::fs;
use std::path::Path;
use std::process::Command;

use api::CreatedStream;
use testkit::{LoggedChild, Xvfb, ffmpeg};

use crate::broadcasts::{create, node, rtmp_play_url, wait_for_renditions};

/// OBS with a home of its own, on a display of its own; killed when dropped, which is how it ends.
struct Obs {
    child: LoggedChild,
    _display: Xvfb,
}

fn start(home: &Path, stream: &CreatedStream) -> Obs {
    write_settings(home, stream);
    let display = Xvfb::start(1280, 720).expect("a display");
    let mut command = Command::new("dbus-run-session");
    command
        .args(["obs", "--multi", "--profile", "Test", "--collection", "Test", "--startstreaming"])
        .args(["--minimize-to-tray", "--disable-updater", "--disable-missing-files-check"])
        .envs(display.environment())
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("XDG_RUNTIME_DIR", home)
        .env("LIBGL_ALWAYS_SOFTWARE", "1");
    Obs { child: LoggedChild::spawn("OBS", &mut command).expect("OBS starts"), _display: display }
}

fn write_settings(home: &Path, stream: &CreatedStream) {
    let settings = home.join(".config/obs-studio");
    let profile = settings.join("basic/profiles/Test");
    let scenes = settings.join("basic/scenes");
    for folder in [&profile, &scenes] {
        fs::create_dir_all(folder).expect("OBS's folders");
    }
    let (server, key) = stream.rtmp_url.rsplit_once('/').expect("an address with a key");
    let service = serde_json::json!({
        "type": "rtmp_custom",
        "settings": { "server": server, "key": key, "use_auth": false, "bwtest": false },
    });
    let colour = serde_json::json!({
        "id": "color_source_v3", "versioned_id": "color_source_v3", "name": "Colour",
        "settings": { "color": 4_288_061_216_u32, "width": 640, "height": 360 },
    });
    let scene = serde_json::json!({
        "id": "scene", "versioned_id": "scene", "name": "Scene",
        "settings": { "id_counter": 1, "items": [{ "name": "Colour", "id": 1, "visible": true }] },
    });
    let collection = serde_json::json!({
        "name": "Test", "current_scene": "Scene", "current_program_scene": "Scene",
        "scene_order": [{ "name": "Scene" }], "sources": [colour, scene],
    });
    let basic = "[General]\nName=Test\n[Output]\nMode=Simple\n[SimpleOutput]\nVBitrate=600\nABitrate=96\n\
                 StreamEncoder=x264\nPreset=ultrafast\nUseAdvanced=true\nx264Settings=keyint=60 bframes=0\n\
                 [Video]\nBaseCX=640\nBaseCY=360\nOutputCX=640\nOutputCY=360\nFPSCommon=30\n\
                 [Audio]\nSampleRate=48000\n";
    let global = "[General]\nFirstRun=true\nEnableAutoUpdates=false\nLastVersion=486539266\n\
                  [Basic]\nProfile=Test\nProfileDir=Test\nSceneCollection=Test\nSceneCollectionFile=Test\n";
    let files = [
        (settings.join("global.ini"), global.to_owned()),
        (profile.join("basic.ini"), basic.to_owned()),
        (profile.join("service.json"), service.to_string()),
        (scenes.join("Test.json"), collection.to_string()),
    ];
    for (path, text) in files {
        fs::write(path, text).expect("OBS's settings");
    }
}

#[test]
fn what_obs_publishes_plays() {
    let home = tempfile::tempdir().expect("a home");
    let node = node();
    let stream = create(&node, "From OBS");
    let obs = start(home.path(), &stream);
    let shown = std::panic::catch_unwind(|| wait_for_renditions(&node, &stream, 1));
    let shown = shown.unwrap_or_else(|_| panic!("OBS does not publish: {}", obs.child.errors()));
    assert_eq!((shown.renditions[0].width, shown.renditions[0].height), (640, 360));
    let url = rtmp_play_url(&node, &stream);
    let read = ffmpeg::decode(&["-rw_timeout", "30000000"], &url, Some(4)).expect("it plays");
    assert!(
        read.pictures.len() > 50 && read.samples > 48_000 * 3,
        "{} pictures, {} samples",
        read.pictures.len(),
        read.samples
    );
}
