//! Where the database of a checkout lives: in it, unless the server's user cannot reach it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Owner, OwnerError, blocked_at};
use crate::sha256;
use nix::unistd::Uid;

/// Where a database lives whose checkout the server's user cannot reach.
const ELSEWHERE: &str = "/var/lib/emotionviz";

/// A short name for a checkout that no other checkout on this machine has.
pub fn checkout_hash(checkout: &Path) -> String {
    let real = checkout.canonicalize().unwrap_or_else(|_| checkout.to_owned());
    let mut hash = sha256::of(real.as_os_str().as_encoded_bytes());
    hash.truncate(12);
    hash
}

/// Where the database of a checkout lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataHome {
    /// The real data directory, existing or not.
    pub data_dir: PathBuf,
    /// Set when that is not in the checkout: `data/postgres` is a link to it, which is to be said.
    pub elsewhere: Option<Elsewhere>,
}

/// A database outside its checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The link in the checkout.
    pub link: PathBuf,
    /// The folder that the server's user cannot enter, unless the link was found as it is.
    pub blocked_by: Option<PathBuf>,
}

/// Finds the place for the data directory of a checkout, `data/postgres`, and makes the folders above it (and the link, where
/// `owner` cannot reach the checkout).
pub fn data_home(checkout: &Path, owner: &Owner) -> Result<DataHome, OwnerError> {
    data_home_or_in(checkout, owner, Path::new(ELSEWHERE))
}

fn data_home_or_in(checkout: &Path, owner: &Owner, elsewhere: &Path) -> Result<DataHome, OwnerError> {
    let wanted = checkout.join("data/postgres");
    if wanted.is_symlink() {
        let io = |source| OwnerError::Io { path: wanted.clone(), source };
        let target = std::fs::read_link(&wanted).map_err(io)?;
        let data_dir = checkout.join("data").join(target);
        if !belongs_to_another(&data_dir, checkout) {
            make_parents(&data_dir)?;
            // A link that the user made leads to a folder of the user's: nothing is written there.
            if data_dir.starts_with(elsewhere) {
                note(&data_dir, checkout)?;
            }
            return Ok(DataHome { data_dir, elsewhere: Some(Elsewhere { link: wanted, blocked_by: None }) });
        }
        // The checkout was copied, and its link with it. Two servers must never share one database.
        std::fs::remove_file(&wanted).map_err(io)?;
    }
    make_parents(&wanted)?;
    let Some(blocked_by) = blocked_at(&wanted, owner).filter(|_| !wanted.exists()) else {
        return Ok(DataHome { data_dir: wanted, elsewhere: None });
    };
    let data_dir = elsewhere.join(checkout_hash(checkout)).join("postgres");
    make_parents(&data_dir)?;
    note(&data_dir, checkout)?;
    std::os::unix::fs::symlink(&data_dir, &wanted).map_err(|source| OwnerError::Io { path: wanted.clone(), source })?;
    Ok(DataHome { data_dir, elsewhere: Some(Elsewhere { link: wanted, blocked_by: Some(blocked_by) }) })
}

/// Whose database it is: a file beside it, with the path of the checkout.
fn note_of(data_dir: &Path) -> PathBuf {
    data_dir.with_file_name("checkout")
}

fn note(data_dir: &Path, checkout: &Path) -> Result<(), OwnerError> {
    let path = note_of(data_dir);
    let real = checkout.canonicalize().unwrap_or_else(|_| checkout.to_owned());
    std::fs::write(&path, real.as_os_str().as_encoded_bytes()).map_err(|source| OwnerError::Io { path, source })
}

/// Whether the checkout that a database was made for is another one, and still has it. (One that was moved has it no more.)
fn belongs_to_another(data_dir: &Path, checkout: &Path) -> bool {
    let Ok(noted) = std::fs::read(note_of(data_dir)).map(|bytes| PathBuf::from(OsString::from_vec(bytes))) else {
        return false;
    };
    let same = noted.canonicalize().ok() == checkout.canonicalize().ok();
    !same && std::fs::read_link(noted.join("data/postgres")).is_ok_and(|target| target == data_dir)
}

/// Makes the folders above `path`, each open to everybody for passing through and owned by whoever owns the folder it is in:
/// what root makes in somebody's checkout is not root's.
pub fn make_parents(path: &Path) -> Result<(), OwnerError> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    if folder.is_dir() {
        return Ok(());
    }
    make_parents(folder)?;
    let io = |source| OwnerError::Io { path: folder.to_owned(), source };
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(io(error)),
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).map_err(io)?;
    if let Some(above) = folder.parent().filter(|_| Uid::effective().is_root()) {
        let above = std::fs::metadata(above).map_err(io)?;
        std::os::unix::fs::chown(folder, Some(above.uid()), Some(above.gid())).map_err(io)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_stays_in_a_checkout_that_can_be_reached_and_follows_a_link() {
        let checkout = tempfile::tempdir().unwrap();
        std::fs::set_permissions(checkout.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let current = Owner::current().unwrap();
        let home = data_home(checkout.path(), &current).unwrap();
        assert_eq!(home, DataHome { data_dir: checkout.path().join("data/postgres"), elsewhere: None });

        let other = tempfile::tempdir().unwrap();
        let target = other.path().join("made/postgres");
        std::os::unix::fs::symlink(&target, checkout.path().join("data/postgres")).unwrap();
        let home = data_home(checkout.path(), &current).unwrap();
        assert_eq!(home.data_dir, target);
        assert_eq!(home.elsewhere.unwrap().blocked_by, None);
        assert!(other.path().join("made").is_dir());
    }

    #[test]
    fn what_is_made_in_somebodys_folder_is_theirs() {
        let folder = tempfile::tempdir().unwrap();
        if Uid::effective().is_root() {
            Owner { uid: 4_000_000, gid: 4_000_000, name: "stranger".to_owned() }.give(folder.path()).unwrap();
        }
        let made = folder.path().join("data/run");
        make_parents(&made.join("file")).unwrap();
        let expected = std::fs::metadata(folder.path()).unwrap().uid();
        assert_eq!(std::fs::metadata(&made).unwrap().uid(), expected);
    }

    #[test]
    fn two_checkouts_have_two_names() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_ne!(checkout_hash(one.path()), checkout_hash(two.path()));
        assert_eq!(checkout_hash(one.path()).len(), 12);
    }

    #[test]
    fn a_checkout_that_the_server_cannot_reach_keeps_its_data_elsewhere() {
        let owner = Owner { uid: 4_000_000, gid: 4_000_000, name: "stranger".to_owned() };
        let room = tempfile::tempdir().unwrap();
        let (closed, elsewhere) = (room.path().join("closed"), room.path().join("elsewhere"));
        let checkout = closed.join("checkout");
        std::fs::create_dir_all(&checkout).unwrap();
        std::fs::set_permissions(room.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();

        let home = data_home_or_in(&checkout, &owner, &elsewhere).unwrap();
        assert_eq!(home.data_dir, elsewhere.join(checkout_hash(&checkout)).join("postgres"));
        assert_eq!(home.elsewhere.unwrap().blocked_by, Some(closed.canonicalize().unwrap()));
        assert_eq!(std::fs::read_link(checkout.join("data/postgres")).unwrap(), home.data_dir);
        assert_eq!(data_home_or_in(&checkout, &owner, &elsewhere).unwrap().data_dir, home.data_dir);

        // A copy gets a place of its own; a checkout that was moved keeps what it has.
        let copy = closed.join("copy");
        std::fs::create_dir_all(copy.join("data")).unwrap();
        std::os::unix::fs::symlink(&home.data_dir, copy.join("data/postgres")).unwrap();
        let copied = data_home_or_in(&copy, &owner, &elsewhere).unwrap();
        assert_eq!(copied.data_dir, elsewhere.join(checkout_hash(&copy)).join("postgres"));
        let moved = closed.join("moved");
        std::fs::rename(&checkout, &moved).unwrap();
        assert_eq!(data_home_or_in(&moved, &owner, &elsewhere).unwrap().data_dir, home.data_dir);
    }
}
