//! Scene files: what is read, and what is said of a mistake.

use proptest::prelude::*;

use super::*;

const GOOD: &str = r##"version = 1

[[layers]]
source = "camera"
fit = "cover"

[[layers]]
name = "particles"
source = "simulation"
blend = "add"
opacity = 0.5
crop = { left = 0.25 }

[[layers]]
anchor = "bottom-right"
position = [-24, -24.5]
text = { content = "Tickcast", size = 40, weight = "semi-bold", panel = { colour = "#00000080", padding = 8 } }

[[layers]]
image = "logo.png"
size = [100, 50]
visible = false

[[layers]]
colour = "#ff8000"
"##;

fn error(text: &str) -> SceneError {
    Scene::from_toml(text).unwrap_err()
}

#[test]
fn a_scene_file_says_every_kind_of_layer() {
    let scene = Scene::from_toml(GOOD).unwrap();
    assert_eq!(scene.layers.len(), 5);
    assert_eq!(scene.layers[0], Layer::full_frame("camera", Fit::Cover));
    assert_eq!(scene.layers[1].blend, Blend::Add);
    assert_eq!(scene.layers[1].crop.left, 0.25);
    assert_eq!(scene.layers[2].position, [-24.0, -24.5]);
    let Content::Text(text) = &scene.layers[2].content else { panic!("a text layer") };
    assert_eq!(text.panel.unwrap().colour, Colour::rgba(0, 0, 0, 128));
    assert!(!scene.layers[3].visible);
    assert_eq!(scene.layers[4].content, Content::Colour(Colour::rgb(255, 128, 0)));
}

#[test]
fn a_scene_that_is_written_is_read_back_the_same() {
    let scene = Scene::from_toml(GOOD).unwrap();
    assert_eq!(Scene::from_toml(&scene.to_toml()).unwrap(), scene);
}

#[test]
fn a_mistyped_key_is_named_with_its_line_and_the_nearest_known_one() {
    let e = error("version = 1\n\n[[layers]]\nsource = \"camera\"\nopactiy = 0.5\n");
    assert_eq!((e.line, e.column), (5, 1));
    assert_eq!(e.message, "unknown key \"opactiy\"; did you mean \"opacity\"?");
}

#[test]
fn a_mistyped_value_is_named_with_the_nearest_known_one() {
    let e = error("version = 1\n[[layers]]\nsource = \"a\"\nblend = \"multipy\"\n");
    assert_eq!(e.line, 4);
    assert_eq!(e.message, "unknown value \"multipy\"; did you mean \"multiply\"?");
}

#[test]
fn a_key_like_no_other_is_answered_with_the_known_ones() {
    let e = error("version = 1\nxyzzyxyzzy = 3\n");
    assert_eq!(e.line, 2);
    assert!(e.message.ends_with("known here: version, layers"), "{}", e.message);
}

#[test]
fn a_layer_with_two_contents_or_none_is_refused_at_its_line() {
    let e = error("version = 1\n\n[[layers]]\nsource = \"a\"\n\n[[layers]]\nopacity = 1.0\n");
    assert_eq!(e.line, 6, "{e}");
    assert!(e.message.contains("exactly one"), "{e}");
    let e = error("version = 1\n[[layers]]\nsource = \"a\"\ncolour = \"#000000\"\n");
    assert!(e.message.contains("this one has 2"), "{e}");
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for line in
        ["opacity = 1.5", "opacity = nan", "scale = 0", "size = [0, 5]", "position = [1e9, 0]", "scale = inf"]
    {
        let e = error(&format!("version = 1\n[[layers]]\nsource = \"a\"\n{line}\n"));
        assert_eq!(e.line, 4, "{e}");
        assert!(e.message.contains("outside"), "{line}: {e}");
    }
    let e = error("version = 1\n[[layers]]\nsource = \"a\"\ncrop = { left = 0.5, right = 0.5 }\n");
    assert_eq!(e.line, 4, "{e}");
    assert!(e.message.contains("leaves nothing"), "{e}");
}

#[test]
fn what_cannot_be_meant_is_told_at_the_line_that_says_it() {
    let long = "e".repeat(4_097);
    let cases = [
        // The second of two layers, and deep in it.
        (format!("[[layers]]\nsource = \"a\"\n[[layers]]\n[layers.text]\ncontent = \"{long}\"\n"), 6),
        ("[[layers]]\ntext.content = \"a\"\n\ntext.size = 9000\n".into(), 5),
        ("layers = [\n  { colour = \"#000000\" },\n  { source = \"\" },\n]\n".into(), 4),
        ("[[layers]]\ncolour = \"#000000\"\n\n[layers.crop]\nleft = 2\n".into(), 5),
    ];
    for (rest, line) in cases {
        let e = error(&format!("version = 1\n{rest}"));
        assert_eq!(e.line, line, "{e}\n{rest}");
    }
    assert_eq!(error("# mine\n\nversion = 7\n").line, 3);
}

#[test]
fn a_wrong_colour_is_refused_at_its_line() {
    for colour in ["red", "#12345", "#+12345", "#1234567", "#ééé"] {
        let e = error(&format!("version = 1\n[[layers]]\nopacity = 1.0\ncolour = \"{colour}\"\n"));
        assert_eq!(e.line, 4, "{e}");
        assert!(e.message.contains("is no colour"), "{e}");
    }
}

#[test]
fn another_version_is_refused_before_its_unknown_keys_are() {
    assert!(error("version = 2\nnew_thing = true\n").message.contains("version 2"));
    assert!(error("[[layers]]\nsource = \"a\"\n").message.contains("version = 1"));
}

#[test]
fn broken_toml_is_refused_with_its_line() {
    assert_eq!(error("version = 1\n[[layers]]\nsource = \n").line, 3);
}

#[test]
fn more_layers_than_the_bound_are_refused() {
    let many = "[[layers]]\nsource = \"a\"\n".repeat(MAX_LAYERS + 1);
    let e = error(&format!("version = 1\n{many}"));
    assert!(e.message.contains("65 layers"));
    assert_eq!(e.line, 2 + 2 * MAX_LAYERS, "the first that is too many");
}

#[test]
fn layers_embed_in_another_file() {
    #[derive(Deserialize)]
    struct Broadcast {
        title: String,
        layers: Vec<Layer>,
    }
    let file: Broadcast = toml::from_str("title = \"t\"\n[[layers]]\nsource = \"a\"\n").unwrap();
    assert_eq!(file.title, "t");
    assert_eq!(validate(&file.layers), Ok(()));
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        let _ = Scene::from_toml(&text);
    }

    #[test]
    fn a_mutated_scene_is_read_or_refused_with_a_line_inside_it(
        at in 0..GOOD.len(), with in any::<u8>(), cut in 0..40usize,
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        bytes[at] = with;
        bytes.drain(at..(at + cut).min(bytes.len()));
        let text = String::from_utf8_lossy(&bytes);
        match Scene::from_toml(&text) {
            Ok(scene) => prop_assert_eq!(validate(&scene.layers), Ok(())),
            Err(e) => prop_assert!(e.line >= 1 && e.line <= text.matches('\n').count() + 1),
        }
    }
}
