//! The node's own key: it signs offers and receipts and pays fees, and is never paid. One file of the data folder, which
//! only the node's user may read.

use std::io::{Read, Write};
use std::path::Path;

use pay::{KeyScheme, Keypair};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

const FILE: &str = "node.key";
/// 32 bytes, as RFC 8032 has a private key.
type Seed = Zeroizing<[u8; 32]>;

#[derive(Debug, Error)]
pub enum HotKeyError {
    #[error("the node's key could not be read or made: {0}")]
    Io(#[from] std::io::Error),
    #[error("the node's key is damaged: it is not 32 bytes. Restore it, or move it away and delegate anew")]
    Damaged,
    #[error(
        "others may read the node's key: take that right from them (chmod 600), or move it away and delegate anew"
    )]
    Exposed,
}

/// The key of the node whose data lie in `folder`, made where there is none. Whoever calls holds the folder's lock.
pub fn load_or_create(folder: &Path) -> Result<Keypair, HotKeyError> {
    let path = folder.join(FILE);
    let seed = match read(&path) {
        Err(HotKeyError::Io(err)) if err.kind() == std::io::ErrorKind::NotFound => create(folder, &path)?,
        read => read?,
    };
    Ok(Keypair::from_seed(KeyScheme::Ed25519, &seed))
}

fn read(path: &Path) -> Result<Seed, HotKeyError> {
    let mut file = std::fs::File::open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            return Err(HotKeyError::Exposed);
        }
    }
    let mut seed = Seed::default();
    file.read_exact(&mut seed[..]).map_err(|err| match err.kind() {
        std::io::ErrorKind::UnexpectedEof => HotKeyError::Damaged,
        _ => HotKeyError::Io(err),
    })?;
    let mut more = [0];
    if file.read(&mut more)? > 0 {
        more.zeroize();
        return Err(HotKeyError::Damaged);
    }
    Ok(seed)
}

/// Written beside its place and moved there whole: a crash leaves no half of a key that was delegated to.
fn create(folder: &Path, path: &Path) -> Result<Seed, HotKeyError> {
    let mut seed = Seed::default();
    getrandom::fill(&mut seed[..]).map_err(std::io::Error::other)?;
    let draft = folder.join(format!("{FILE}.new"));
    // Of a start that was cut short: nobody knows that key.
    match std::fs::remove_file(&draft) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err.into()),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&seed[..])?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    // The name must last as the bytes do.
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use pay::Signer;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let made = load_or_create(folder.path()).unwrap().public();
        assert_eq!(load_or_create(folder.path()).unwrap().public(), made);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(load_or_create(other.path()).unwrap().public(), made);
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        load_or_create(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        for length in [0, 31, 33] {
            std::fs::write(&path, vec![1; length]).unwrap();
            assert!(matches!(load_or_create(folder.path()), Err(HotKeyError::Damaged)), "{length}");
            assert_eq!(std::fs::metadata(&path).unwrap().len(), length as u64);
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        load_or_create(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_create(folder.path()), Err(HotKeyError::Exposed)));
    }
}
