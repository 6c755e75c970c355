//! The file of the node's settings, as far as the Desk writes it: the rest stays as a person wrote it.

use std::io;
use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, Table, value};

/// The address of a chain is no longer than this.
const ENDPOINT_MAX: usize = 2_048;

/// Makes one that says where the node's data lie, where there is none.
pub fn begin(path: &Path, data: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = DocumentMut::new();
    file.decor_mut()
        .set_prefix("# The node that the Desk starts. What is left out is as the program has it.\n");
    file["data_dir"] = value(data.to_string_lossy().into_owned());
    write(path, &file)
}

/// Names the chain on which the node is paid, by its endpoint and its first block's hash, or none: everything is free then.
///
/// # Errors
/// In words, for whoever wants it.
pub fn set_chain(path: &Path, named: Option<(&str, &str)>) -> Result<(), String> {
    let unread = |why: &dyn std::fmt::Display| format!("{} could not be changed: {why}.", path.display());
    let text = std::fs::read_to_string(path).map_err(|err| unread(&err))?;
    let mut file: DocumentMut = text.parse().map_err(|_| unread(&"it is not TOML, so mend it first"))?;
    match named {
        None => drop(file.remove("chain")),
        Some((endpoint, genesis)) => {
            check(endpoint)?;
            let chain = file.entry("chain").or_insert(Item::Table(Table::new()));
            let chain = chain.as_table_like_mut().ok_or_else(|| unread(&"its [chain] is no table"))?;
            chain.insert("endpoints", value(Array::from_iter([endpoint])));
            // What was looked at, and no other chain behind the same address.
            chain.insert("genesis", value(genesis));
        }
    }
    write(path, &file).map_err(|err| unread(&err))
}

/// Whether it may be an endpoint at all.
pub fn check(endpoint: &str) -> Result<(), String> {
    let host = endpoint.strip_prefix("ws://").or_else(|| endpoint.strip_prefix("wss://"));
    let is_plain = endpoint.len() <= ENDPOINT_MAX && endpoint.bytes().all(|byte| byte.is_ascii_graphic());
    match host {
        Some(host) if is_plain && !host.is_empty() => Ok(()),
        _ => {
            Err("That is no address of a chain. One looks like wss://rpc.example or ws://127.0.0.1:9944."
                .into())
        }
    }
}

/// All of it or nothing.
fn write(path: &Path, file: &DocumentMut) -> io::Result<()> {
    let part = path.with_extension("toml.part");
    std::fs::write(&part, file.to_string())?;
    std::fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_wrote_stays_and_the_chain_is_what_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        let before = "# mine\nhttp = \"127.0.0.1:0\" # here\n\n[chain]\nendpoints = [\"ws://a:1\"]\ngenesis = \"0x00\"\nrail = \"escrow\"\n";
        std::fs::write(&path, before).unwrap();
        set_chain(&path, Some(("wss://b.example", "0x11"))).unwrap();
        let after = std::fs::read_to_string(&path).unwrap();
        assert!(after.starts_with("# mine\nhttp = \"127.0.0.1:0\" # here\n"), "{after}");
        assert!(after.contains("\"wss://b.example\"") && after.contains("rail = \"escrow\""), "{after}");
        assert!(after.contains("genesis = \"0x11\"") && !after.contains("ws://a:1"), "{after}");
        set_chain(&path, None).unwrap();
        assert!(!std::fs::read_to_string(&path).unwrap().contains("chain"));
    }

    #[test]
    fn what_is_no_address_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config/node.toml");
        begin(&path, Path::new("/data")).unwrap();
        let before = std::fs::read_to_string(&path).unwrap();
        assert!(before.contains("data_dir = \"/data\""), "{before}");
        for bad in ["", "http://a", "ws://", "ws://a b", "ws://a\"\n[admins]"] {
            assert!(set_chain(&path, Some((bad, "0x11"))).unwrap_err().contains("no address"), "{bad}");
        }
        begin(&path, Path::new("/elsewhere")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "there is one already");
        std::fs::write(&path, "not = [toml").unwrap();
        assert!(set_chain(&path, Some(("ws://a", "0x11"))).unwrap_err().contains("not TOML"));
    }
}
