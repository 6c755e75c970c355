//! Scenes into files that people wrote.

use compose::Layer;
use compose::scene::{Content, Text};

use super::*;
use crate::broadcast::{Sound, Source};

const V1: &str = include_str!("../../broadcast/samples/v1.toml");
const V2: &str = include_str!("../../broadcast/samples/v2.toml");

fn parsed(text: &str) -> BroadcastFile {
    BroadcastFile::parse(text).unwrap()
}

fn edited(text: &str, edit: impl FnOnce(&mut Vec<NamedScene>)) -> String {
    changed(text, |contents| edit(&mut contents.scenes))
}

fn changed(text: &str, change: impl FnOnce(&mut Contents)) -> String {
    let found = parsed(text);
    let mut contents = Contents::of(&found);
    change(&mut contents);
    let text = with_contents(text, &found, &contents).unwrap();
    assert_eq!(Contents::of(&parsed(&text)), contents, "{text}");
    text
}

/// The lines of `text` without those that `other` has too, in whatever order.
fn lines_without(text: &str, other: &str) -> Vec<String> {
    let gone = |line: &&str| !line.trim().is_empty() && !other.lines().any(|known| known == *line);
    text.lines().filter(gone).map(str::to_owned).collect()
}

#[test]
fn scenes_that_did_not_change_leave_the_file_as_it_was() {
    assert_eq!(edited(V2, |_| ()), V2);
}

#[test]
fn an_edit_changes_the_lines_that_it_is_about() {
    let text = edited(V2, |scenes| scenes[1].layers[1].layer.opacity = 0.55);
    assert!(lines_without(V2, &text).is_empty(), "{text}");
    assert_eq!(lines_without(&text, V2), ["opacity = 0.55"]);
    let text = edited(V2, |scenes| scenes[0].name = "Welcome".into());
    assert_eq!(lines_without(V2, &text), ["name = \"Opening\""]);
    assert_eq!(lines_without(&text, V2), ["name = \"Welcome\""]);
}

#[test]
fn comments_go_with_what_they_are_about() {
    let text = edited(V2, |scenes| {
        scenes.swap(0, 1);
        scenes[1].layers.swap(0, 1);
    });
    assert!(lines_without(V2, &text).is_empty() && lines_without(&text, V2).is_empty(), "{text}");
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is gone:\n{text}"));
    assert!(at("# The show itself.") < at("\"Show\"") && at("\"Show\"") < at("# While people come in."));
    assert!(at("\"Title\"") < at("# A dark room.") && at("# A dark room.") < at("# almost black"));
}

#[test]
fn a_scene_and_a_layer_come_and_go_while_the_rest_stays() {
    let text = edited(V2, |scenes| {
        let text = Content::Text(Text::new("Two\n\"lines\""));
        let layer = Layer { name: Some("Größe".into()), ..Layer::new(text) };
        let layers = vec![Arranged { layer, locked: true }];
        scenes.insert(1, NamedScene { name: "Break".into(), layers });
        scenes.push(NamedScene { name: "Empty".into(), layers: Vec::new() });
        scenes[0].layers.remove(0);
    });
    let gone = lines_without(V2, &text);
    assert_eq!(gone, ["# A dark room.", "colour = \"#101418\" # almost black"]);
}

#[test]
fn a_file_of_version_1_becomes_one_of_version_2_and_keeps_the_rest() {
    let text = edited(V1, |scenes| scenes[0].layers[0].layer.opacity = 1.0);
    assert_eq!(
        lines_without(V1, &text),
        [
            "version = 1",
            "layers = [",
            "    { source = \"camera\", fit = \"cover\", opacity = 0.55 },",
            "    { source = \"particles\", blend = \"add\" },",
        ]
    );
    assert!(text.contains("version = 2") && text.contains("# Drawn in this order.\n[[scenes]]"), "{text}");
    // Tables of their own keep their comments.
    let tables = "version = 1 # mine\n[[layers]] # back\ncolour = \"#000000\" # black\n[[layers]]\ncolour = \"#ffffff\"\n";
    let text = edited(tables, |scenes| scenes[0].layers[1].layer.visible = false);
    for comment in ["# mine", "# back", "# black"] {
        assert!(text.contains(comment), "{comment}:\n{text}");
    }
}

fn camera(name: &str, device: &str) -> Source {
    Source::Camera { name: name.into(), device: device.into(), or_synthetic: false }
}

#[test]
fn sources_in_brackets_stay_in_brackets_with_the_comments_beside_what_stays() {
    let text = r#"version = 2
sources = [ # what is seen
    # On the desk.
    { kind = "camera", name = "front" }, # mine
    { kind = "synthetic", name = "pattern" }, # a test
    # Others may follow.
]

[programme] # small
width = 640
height = 360
"#;
    let swapped = changed(text, |contents| {
        contents.sources.remove(1);
        contents.sources.push(camera("side", "USB \"two\""));
    });
    let expected = text.replace(
        "    { kind = \"synthetic\", name = \"pattern\" }, # a test\n",
        "    { kind = \"camera\", name = \"side\", device = 'USB \"two\"' },\n",
    );
    assert_eq!(swapped, expected);
    let none = changed(text, |contents| contents.sources.clear());
    assert!(none.contains("sources = [ # what is seen\n    # Others may follow.\n]"), "{none}");
    assert_eq!(changed(&none, |contents| contents.sources.clear()), none);
    let again = changed(&none, |contents| contents.sources.push(camera("front", "")));
    assert!(again.contains("# Others may follow.") && again.contains("# what is seen"), "{again}");
    let line = "version = 2\nsources = [{ kind = \"camera\", name = \"front\" }]\n";
    let two = changed(line, |contents| contents.sources.push(camera("side", "")));
    assert_eq!(two, line.replace(" }]", " }, { kind = \"camera\", name = \"side\" }]"));
}

#[test]
fn the_sample_that_is_handed_out_keeps_every_comment() {
    let text = include_str!("../../../../../assets/broadcast.toml");
    let added = changed(text, |contents| contents.sources.push(camera("side", "")));
    assert!(lines_without(text, &added).is_empty(), "{added}");
    let removed = changed(&added, |contents| _ = contents.sources.pop());
    assert_eq!(removed, text);
}

#[test]
fn sources_in_tables_keep_their_comments_and_what_is_usual_is_not_written() {
    let text =
        "version = 2\n# The one on the desk.\n[[sources]]\nkind = \"camera\"\nname = \"front\" # mine\n";
    let text = changed(text, |contents| {
        contents.sources.insert(0, Source::Synthetic { name: "pattern".into() });
        let voice = Sound::Microphone {
            name: "voice".into(),
            gain_db: -6.5,
            muted: false,
            device: "".into(),
            or_synthetic: false,
        };
        contents.sounds.push(voice);
    });
    for kept in ["# The one on the desk.\n[[sources]]\nkind = \"camera\"", "name = \"front\" # mine"] {
        assert!(text.contains(kept), "{kept}:\n{text}");
    }
    assert!(text.contains("gain_db = -6.5") && !text.contains("or_synthetic"), "{text}");
}

#[test]
fn the_scene_that_is_shown_and_the_fade_are_kept_and_nothing_else_moves() {
    let text = changed(V2, |contents| {
        contents.switching = Switching { shown: "Show".into(), fade_ms: 300 };
    });
    assert!(lines_without(V2, &text).is_empty(), "{text}");
    assert_eq!(lines_without(&text, V2), ["[switching]", "shown = \"Show\"", "fade_ms = 300"]);
    assert_eq!(parsed(&text).first_index(), 1);
    let mine = text.replace("fade_ms = 300", "fade_ms = 300 # slow");
    let again =
        changed(&mine, |contents| contents.switching = Switching { shown: String::new(), fade_ms: 0 });
    assert!(again.contains("fade_ms = 0 # slow") && !again.contains("shown"), "{again}");
    // Of a scene that somebody renamed by hand.
    assert_eq!(parsed(&text.replace("shown = \"Show\"", "shown = \"Gone\"")).first_index(), 0);
}

#[test]
fn a_file_of_version_1_stays_one_where_only_its_sources_change() {
    let text = changed(V1, |contents| contents.sources.push(camera("side", "")));
    assert!(text.contains("version = 1") && lines_without(V1, &text).len() <= 1, "{text}");
}

#[test]
fn a_save_replaces_the_file_as_a_whole_and_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("show.toml");
    fs::write(&path, V2).unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let found = parsed(V2);
    let mut file = ScenesFile::new(path.clone(), &found);
    let mut contents = Contents::of(&found);
    contents.scenes.pop();
    // Whoever has it open goes on with what it was.
    let mut open = File::open(&path).unwrap();
    file.save(&contents).unwrap();
    let mut was = String::new();
    io::Read::read_to_string(&mut open, &mut was).unwrap();
    assert_eq!(was, V2);
    assert_eq!(BroadcastFile::read(&path).unwrap().scenes, contents.scenes);
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
        0o600
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn what_somebody_else_wrote_meanwhile_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("show.toml");
    fs::write(&path, V2).unwrap();
    let found = parsed(V2);
    let mut file = ScenesFile::new(path.clone(), &found);
    let mut contents = Contents::of(&found);
    contents.scenes[0].name = "Welcome".into();
    let other = V2.replace("show.mp4", "evening.mp4");
    fs::write(&path, &other).unwrap();
    file.save(&contents).unwrap();
    let read = fs::read_to_string(&path).unwrap();
    assert!(read.contains("evening.mp4") && read.contains("Welcome"), "{read}");
    let theirs = read.replace("\"Show\"", "\"Concert\"");
    fs::write(&path, &theirs).unwrap();
    contents.scenes[0].name = "Hello".into();
    let err = file.save(&contents).unwrap_err();
    assert!(matches!(err, SaveError::ChangedElsewhere), "{err}");
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
}

#[test]
fn a_file_that_cannot_be_written_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("show.toml");
    fs::write(&path, V2).unwrap();
    let found = parsed(V2);
    let mut file = ScenesFile::new(path.clone(), &found);
    let mut contents = Contents::of(&found);
    contents.scenes.pop();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions.clone()).unwrap();
    assert!(matches!(file.save(&contents), Err(SaveError::ReadOnly)));
    assert_eq!(fs::read_to_string(&path).unwrap(), V2);
    #[allow(clippy::permissions_set_readonly_false, reason = "a file of this test alone")]
    permissions.set_readonly(false);
    fs::set_permissions(&path, permissions).unwrap();
    file.save(&contents).unwrap();
    fs::remove_file(&path).unwrap();
    let told = file.save(&Contents::of(&found)).unwrap_err().to_string();
    assert!(told.contains("cannot be read") && !told.contains("os error"), "{told}");
}
