//! Broadcast files: what is read, and what is said of a mistake.

use proptest::prelude::*;

use compose::scene::{Blend, Content, Fit};

use super::*;

const FULL: &str = r##"
    version = 1
    programme = { width = 1280, height = 720, fps = "30000/1001" }
    sources = [
        { name = "camera", kind = "camera", or_synthetic = true },
        { name = "light", kind = "simulation", preset = "galaxy", seed = 7 },
    ]
    sounds = [{ name = "voice", kind = "microphone", gain_db = -3.0 }]
    layers = [{ source = "camera" }, { source = "light", blend = "add" }]
    outputs = [
        { kind = "whip", url = "http://127.0.0.1:8080/whip", token = "hunter2" },
        { kind = "rtmp", url = "rtmp://127.0.0.1/live/hunter2", rendition = "low" },
    ]
    recording = { path = "a.mp4" }
"##;

#[test]
fn a_mistake_beside_a_stream_key_is_told_without_the_key() {
    let text =
        "version = 1\noutputs = [{ kind = \"whip\", url = \"http://h\", token = \"s3cret\", tokn = 1 }]";
    let told = BroadcastFile::parse(text).unwrap_err().to_string();
    assert!(told.contains("line 2") && told.contains("tokn"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn a_whole_file_is_read() {
    let file = BroadcastFile::parse(FULL).unwrap();
    assert_eq!(file.programme.fps.0, FrameRate::new(30_000, 1_001).unwrap());
    let Source::Simulation { count, seed, .. } = file.sources[1] else { panic!("a simulation") };
    assert_eq!((count, seed), (500_000, 7));
    assert_eq!(file.ladder().unwrap().renditions().len(), 4);
}

#[test]
fn secrets_are_not_debugged() {
    let shown = format!("{:?}", BroadcastFile::parse(FULL).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn an_address_is_shown_without_what_may_be_a_key() {
    let place = |url: &str| Output::Whip { url: url.into(), token: String::new() }.place();
    assert_eq!(place("http://127.0.0.1:8080/whip"), "http://127.0.0.1:8080/whip");
    assert_eq!(place("https://me:hunter2@host/whip?key=hunter2#hunter2"), "https://host/whip");
    let in_path = "https://customer.example/0123456789abcdef0123456789abcdef/webRTC/publish";
    assert_eq!(place(in_path), "https://customer.example/…/webRTC/publish");
    assert_eq!(place("hunter2"), "");
    let rtmp = Output::Rtmp { url: "rtmp://host/live/hunter2".into(), rendition: String::new() };
    assert_eq!(rtmp.place(), "rtmp://host/live");
}

#[test]
fn mistakes_are_named_with_their_line() {
    let said = |text: &str| BroadcastFile::parse(text).unwrap_err().to_string();
    let unknown = said("version = 1\n[programme]\nwidht = 640\n");
    assert!(unknown.contains("line 3") && unknown.contains("widht"), "{unknown}");
    assert!(said("version = 3").contains("version 3"));
    assert!(said("version = 1\nprogramme = { fps = 0 }").contains("1 to 120"));
    assert!(said("version = 1\nprogramme = { width = 641 }").contains("641"));
    let twice =
        "version = 1\nsources = [{ name = \"a\", kind = \"clock\" }, { name = \"a\", kind = \"clock\" }]";
    assert!(said(twice).contains("\"a\""));
    let rendition = "version = 1\nrecording = { path = \"a.mp4\", rendition = \"huge\" }";
    assert!(said(rendition).contains("huge"));
    let layer = said("version = 1\nlayers = [{ source = \"typo\" }]");
    assert!(layer.contains("\"typo\""), "{layer}");
    let output =
        |url: &str| said(&format!("version = 1\noutputs = [{{ kind = \"whip\", url = \"{url}\" }}]"));
    for url in ["hunter2", "127.0.0.1:8080/hunter2", "https:///hunter2", "rtmp://host/hunter2"] {
        let told = output(url);
        assert!(told.contains("output 1") && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn what_cannot_be_meant_is_told_at_the_line_that_says_it() {
    let long = "x".repeat(101);
    let text = "e".repeat(4_097);
    // What follows the line with the version, and the line of the mistake.
    let cases: [(&str, usize, &str); 17] = [
        ("[programme]\nwidth = 640\nheight = 361", 4, "361"),
        (
            "# nothing\n\n[[sources]]\nkind = \"clock\"\n\
            name = \"a\"\n[[layers]]\nsource = \"b\"",
            8,
            "\"b\"",
        ),
        (
            "sources = [\n{ kind = \"clock\", name = \"a\" },\n{ kind = \"clock\", name = \"a\" },\n]",
            4,
            "two sources",
        ),
        (
            "[[sounds]]\nkind = \"synthetic\"\n\
                name = \"a\"\n[[sounds]]\nkind = \"synthetic\"\nname = \"a\"",
            7,
            "two sounds",
        ),
        (&format!("[[sources]]\nkind = \"clock\"\nname = \"{long}\""), 4, "1 to 100 bytes"),
        ("[[sources]]\nkind = \"simulation\"\nname = \"a\"\npreset = \"milk\"", 5, "galaxy, embers, silk"),
        ("[[sources]]\nkind = \"simulation\"\nname = \"a\"\npreset = \"silk\"\ncount = 0", 6, "from 1 to"),
        ("[[sources]]\nname = \"a\"\nkind = \"file\"\npath = \"\"", 5, "path is empty"),
        ("[[sounds]]\nkind = \"synthetic\"\nname = \"a\"\ngain_db = 25.0", 5, "25 dB"),
        ("[[sounds]]\nkind = \"synthetic\"\nname = \"a\"\ngain_db = nan", 5, "NaN dB"),
        ("[[layers]]\ncolour = \"#000000\"\n\nopacity = 1.5", 5, "outside 0 to 1"),
        (&format!("[[layers]]\n[layers.text]\ncontent = \"{text}\""), 4, "4096"),
        (&"[[layers]]\ncolour = \"#000000\"\n".repeat(65), 130, "65 layers"),
        ("[[ladder]]\nname = \"huge\"\nwidth = 640\nheight = 360\nkbps = 900", 3, "huge"),
        (
            "ladder = [\n{ name = \"low\", width = 320, height = 180, kbps = 500 },\n\
                { name = \"low\", width = 640, height = 360, kbps = 500 },\n]",
            4,
            "twice",
        ),
        ("[[outputs]]\nkind = \"whip\"\ntoken = \"hunter2\"\nurl = \"hunter2\"", 5, "output 1"),
        ("[recording]\npath = \"a.mp4\"\n# which\nrendition = \"huge\"", 5, "huge"),
    ];
    for (rest, line, what) in cases {
        let told = BroadcastFile::parse(&format!("version = 1\n{rest}\n")).unwrap_err().to_string();
        assert!(told.starts_with(&format!("line {line}, ")) && told.contains(what), "{told}\n{rest}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let version = BroadcastFile::parse("# mine\n\nversion = 3\n").unwrap_err().to_string();
    assert!(version.starts_with("line 3, ") && version.contains("version 3"), "{version}");
}

#[test]
fn what_cannot_be_read_of_an_entry_is_told_at_its_line_and_a_mistyped_key_at_its_own() {
    let sources = "version = 1\n[[sources]]\nkind = \"clock\"\n\
        name = \"a\"\n[[sources]]\nkind = \"camera\"\nname = \"b\"\n";
    let said = |more: &str| BroadcastFile::parse(&format!("{sources}{more}\n")).unwrap_err().to_string();
    let typed = said("devise = \"front\"");
    assert!(typed.starts_with("line 8, ") && typed.contains("did you mean \"device\""), "{typed}");
    let kind = said("[[sources]]\nkind = \"screens\"\nname = \"c\"");
    assert!(kind.starts_with("line 9, ") && kind.contains("did you mean \"screen\""), "{kind}");
    let missing = said("[[sources]]\nkind = \"file\"\nname = \"c\"");
    assert!(missing.starts_with("line 8, ") && missing.contains("`path`"), "{missing}");
}

#[test]
fn a_file_of_version_1_opens_as_one_scene_called_main() {
    let file = BroadcastFile::parse(include_str!("samples/v1.toml")).unwrap();
    let [main] = &file.scenes[..] else { panic!("one scene") };
    let camera = Layer { opacity: 0.55, ..Layer::full_frame("camera", Fit::Cover) };
    let particles = Layer { blend: Blend::Add, ..Layer::new(Content::Source("particles".into())) };
    let layers = [camera, particles].map(|layer| Arranged { layer, locked: false });
    assert_eq!((main.name.as_str(), &main.layers[..]), ("Main", &layers[..]));
    assert_eq!(file.first_scene().layers.len(), 2);
}

#[test]
fn a_file_of_version_2_has_scenes_whose_layers_may_be_locked() {
    let file = BroadcastFile::parse(include_str!("samples/v2.toml")).unwrap();
    let names: Vec<_> = file.scenes.iter().map(|scene| scene.name.as_str()).collect();
    assert_eq!(names, ["Opening", "Show"]);
    let locked = |scene: &NamedScene| scene.layers.iter().map(|layer| layer.locked).collect::<Vec<_>>();
    assert_eq!((locked(&file.scenes[0]), locked(&file.scenes[1])), (vec![true, false], vec![false, false]));
    let Content::Text(text) = &file.scenes[0].layers[1].layer.content else { panic!("a text") };
    assert_eq!((text.content.as_str(), text.size), ("Soon", 96.0));
    assert!(!file.scenes[1].layers[1].layer.visible);
    assert_eq!(file.first_scene().layers[0].content, Content::Colour("#101418".parse().unwrap()));
}

#[test]
fn a_mistake_in_a_scene_is_told_at_its_line() {
    let camera = "version = 2\nsources = [{ kind = \"clock\", name = \"a\" }]\n";
    let said = |more: &str| BroadcastFile::parse(&format!("{camera}{more}\n")).unwrap_err().to_string();
    let scene = "[[scenes]]\nname = \"x\"\n[[scenes.layers]]\n";
    let cases = [
        (format!("{scene}source = \"b\""), 6, "\"b\""),
        (format!("{scene}source = \"a\"\nopacity = 2.0"), 7, "outside 0 to 1"),
        (format!("{scene}source = \"a\"\nlockd = true"), 7, "lockd"),
        (format!("{scene}source = \"a\"\nlocked = 1"), 7, "boolean"),
        (format!("{scene}source = \"a\"\n[[scenes]]\nname = \"x\""), 8, "two scenes are called \"x\""),
        ("[[scenes]]\nname = \"x \"".into(), 4, "space"),
        ("[[scenes]]\nname = \"\"".into(), 4, "1 to 100 bytes"),
        ("[[scenes]]\nname = \"x\"\ncolour = 1".into(), 5, "colour"),
        ("layers = [{ source = \"a\" }]".into(), 3, "[[scenes.layers]]"),
    ];
    for (more, line, what) in cases {
        let told = said(&more);
        assert!(told.starts_with(&format!("line {line}, ")) && told.contains(what), "{told}\n{more}");
    }
    let many: String = (0..65).map(|number| format!("[[scenes]]\nname = \"{number}\"\n")).collect();
    let told = said(&many);
    assert!(told.starts_with("line 131, ") && told.contains("65 scenes"), "{told}");
    let early = BroadcastFile::parse("version = 1\n[[scenes]]\nname = \"x\"").unwrap_err().to_string();
    assert!(early.starts_with("line 2, ") && early.contains("version 2"), "{early}");
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = BroadcastFile::parse(&text);
    }

    #[test]
    fn a_damaged_file_is_refused_or_read(at in 0usize..900, with in any::<char>()) {
        let mut text: Vec<char> = FULL.chars().collect();
        let at = at % text.len();
        text[at] = with;
        let _ = BroadcastFile::parse(&text.into_iter().collect::<String>());
    }
}
