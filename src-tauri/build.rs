//! What the Desk's window is made of, checked and embedded; nothing where the Desk is left out.

fn main() {
    println!("cargo:rerun-if-changed=src-tauri/build.rs");
    #[cfg(feature = "desk")]
    desk();
}

#[cfg(feature = "desk")]
fn desk() {
    // Tauri refuses a folder that is missing. `cargo xtask` builds the pages first; without them the Desk says
    // at its start what is to be done, as the node does, so that checks and tests need no Node.js.
    std::fs::create_dir_all("ui/dist").expect("the folder of the pages can be made");
    println!("cargo:rerun-if-changed=ui/dist");
    println!("cargo:rerun-if-changed=src-tauri/permissions");
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    // With a manifest of its own, the application's commands are refused unless a capability names them.
    let manifest = tauri_build::AppManifest::new().permissions_path_pattern("./src-tauri/permissions/*.toml");
    let attributes = tauri_build::Attributes::new()
        .app_manifest(manifest)
        .capabilities_path_pattern("./src-tauri/capabilities/*.json");
    tauri_build::try_build(attributes).expect("the Desk's configuration is sound");
}
