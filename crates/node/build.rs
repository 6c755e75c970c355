//! The watch page is embedded: a new build of it is a reason to compile again.

fn main() {
    println!("cargo:rerun-if-changed=../../ui/dist");
    println!("cargo:rerun-if-changed=migrations");
}
