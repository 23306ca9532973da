//! The checkout that a command acts on, and where its files are.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::project::names;
use process::user::User;

/// A checkout of the project.
#[derive(Clone, Debug)]
pub struct Checkout {
    root: PathBuf,
    hash: String,
    /// The device and inode of its folder.
    identity: Option<(u64, u64)>,
}

impl Checkout {
    /// The checkout that `folder` is in.
    ///
    /// # Errors
    /// When it is in none.
    pub fn find(folder: &Path) -> Result<Self, Error> {
        // The canonical path: a symlinked checkout is the same one.
        let from = folder
            .canonicalize()
            .map_err(|source| Error::io("read", folder, source))?;
        match from.ancestors().find(|folder| is_top(folder)) {
            Some(root) => Ok(Self {
                root: root.to_owned(),
                hash: checkout_hash(root),
                identity: identity(root).ok(),
            }),
            None => Err(Error::hinted(
                format!(
                    "{} is in no checkout of the project: neither it nor a folder above it has backend/.env.example and Cargo.toml",
                    from.display()
                ),
                "change to the checkout first: cd <the folder that holds README.md and backend/>",
            )),
        }
    }

    /// Its top folder, an absolute path without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Twelve letters and digits that stand for its path: other checkouts have others.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns where the supervisor's control socket is. Users with a runtime directory have it there.
    pub(crate) fn control_socket(&self, runtime_dir: Option<&OsStr>) -> PathBuf {
        let id = format!("{}-control", self.hash);
        names::socket_folder(&id, runtime_dir, &User::current_or_unnamed()).join("socket")
    }

    /// Returns whether its path still leads to the folder that was found. A removed or moved checkout is not in place.
    pub(crate) fn is_in_place(&self) -> bool {
        match identity(&self.root) {
            Ok(identity) => self.identity.is_none_or(|found| found == identity),
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// The first settings file.
    pub fn env_file(&self) -> PathBuf {
        self.root.join(".env")
    }

    /// The second one, where the specification has it.
    pub fn backend_env_file(&self) -> PathBuf {
        self.root.join("backend/.env")
    }

    /// The migrations' files.
    pub fn migrations(&self) -> PathBuf {
        self.root.join("backend/db/migrations")
    }

    /// Scripts that run once, when a database is made.
    pub fn init_scripts(&self) -> PathBuf {
        self.root.join("backend/init-scripts")
    }

    /// Logs of all services.
    pub fn logs(&self) -> PathBuf {
        self.root.join("data/logs")
    }

    /// Copies of the database.
    pub fn backups(&self) -> PathBuf {
        self.root.join("data/backups")
    }

    /// Pids, locks, the ports that were chosen: safe to delete when nothing runs.
    pub fn run(&self) -> PathBuf {
        self.root.join("data/run")
    }

    /// Where the environment builds the service: a folder of its own, as cargo locks a folder for as long as it builds in it. A build
    /// or an editor beside the environment would hold a reload up, and a reload them.
    pub(crate) fn build_folder(&self) -> PathBuf {
        // Relative ones are relative to the folder that cargo is started in.
        let given = std::env::var_os("CARGO_TARGET_DIR").filter(|given| !given.is_empty());
        self.root
            .join(given.map_or_else(|| PathBuf::from("target"), PathBuf::from))
            .join("dev-env")
    }

    /// Where cargo has what it makes on the way there (<https://doc.rust-lang.org/cargo/reference/build-cache.html>). A template is not
    /// followed: what lies there has to be found.
    pub(crate) fn intermediate_folder(&self) -> PathBuf {
        let given = std::env::var_os("CARGO_BUILD_BUILD_DIR")
            .filter(|given| !given.is_empty() && !given.to_string_lossy().contains('{'));
        given.map_or_else(|| self.build_folder(), |given| self.root.join(given))
    }

    /// Makes the folders under `data/` that everybody needs.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make_folders(&self) -> Result<(), Error> {
        process::files::make_parents(&self.logs().join("file"))?;
        process::files::make_parents(&self.run().join("file"))?;
        Ok(())
    }
}

/// Returns whether a folder is the top folder of a checkout.
pub(crate) fn is_top(folder: &Path) -> bool {
    folder.join("backend/.env.example").is_file() && folder.join("Cargo.toml").is_file()
}

/// Returns a short name of a checkout that no other checkout on this machine has.
pub(crate) fn checkout_hash(checkout: &Path) -> String {
    let real = checkout
        .canonicalize()
        .unwrap_or_else(|_| checkout.to_owned());
    let mut hash = process::files::sha256(real.as_os_str().as_encoded_bytes());
    hash.truncate(12);
    hash
}

fn identity(folder: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(folder).map(|folder| (folder.dev(), folder.ino()))
}

#[cfg(test)]
impl Checkout {
    /// Creates a checkout with these files, paths and texts, in a temporary folder.
    pub(crate) fn scratch(files: &[(&str, &str)]) -> (tempfile::TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Self::scratch_in(folder.path(), files);
        (folder, checkout)
    }

    /// Creates a checkout with these files, paths and texts, in `root`.
    pub(crate) fn scratch_in(root: &Path, files: &[(&str, &str)]) -> Self {
        for (path, text) in [("Cargo.toml", ""), ("backend/.env.example", "")]
            .iter()
            .chain(files)
        {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self::find(root).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_found_from_any_folder_inside() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("ein Ordner mit ä");
        std::fs::create_dir_all(root.join("backend/db/migrations")).unwrap();
        let outside = Checkout::find(&root).err().unwrap().to_string();
        assert!(outside.contains("is in no checkout"), "{outside}");
        std::fs::write(root.join("Cargo.toml"), "").unwrap();
        std::fs::write(root.join("backend/.env.example"), "").unwrap();
        let top = Checkout::find(&root).unwrap();
        let inside = Checkout::find(&root.join("backend/db/migrations")).unwrap();
        assert_eq!((top.root(), top.hash()), (inside.root(), inside.hash()));
        assert_eq!(top.hash().len(), 12);
        assert!(top.is_in_place());
        let moved = scratch.path().join("moved");
        std::fs::rename(&root, &moved).unwrap();
        assert!(!top.is_in_place());
        // Another folder at the same path.
        std::fs::create_dir(&root).unwrap();
        assert!(!top.is_in_place());
        std::fs::remove_dir(&root).unwrap();
        std::fs::rename(&moved, &root).unwrap();
        assert!(top.is_in_place());
    }
}
