//! The note: a file next to a database outside its checkout, which names the checkout.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::project::checkout::is_top;
use process::files;

/// The checkout of a database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) checkout: PathBuf,
    /// Device and inode of the checkout, which a move on the same disk keeps: `64769:131`. Notes of earlier versions lack them.
    identity: Option<String>,
}

/// The owner of a database without a link of this checkout.
pub(super) enum Whose {
    This,
    /// It may belong to this checkout; the path is the checkout in the note.
    Unsure(PathBuf),
    Another,
}

impl Note {
    /// The path of the checkout.
    pub(super) fn path(data_dir: &Path) -> PathBuf {
        data_dir.with_file_name("checkout")
    }

    /// Reads the note of a database. `None` if there is no readable note, which proves nothing about the owner.
    pub(super) fn read(data_dir: &Path) -> Option<Self> {
        let bytes = std::fs::read(Self::path(data_dir))
            .ok()
            .filter(|bytes| !bytes.is_empty())?;
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        let lines = bytes.strip_suffix(b"\n").and_then(|line| {
            let end = line.iter().rposition(|byte| *byte == b'\n')?;
            Some((
                path(&line[..end]),
                String::from_utf8(line[end + 1..].to_vec()).ok()?,
            ))
        });
        Some(match lines {
            Some((checkout, identity)) => Self {
                checkout,
                identity: Some(identity),
            },
            None => Self {
                checkout: path(&bytes),
                identity: None,
            },
        })
    }

    pub(super) fn for_checkout(checkout: &Path) -> Self {
        Self {
            checkout: real(checkout),
            identity: identity(checkout),
        }
    }

    /// Writes the note, unless it exists.
    pub(super) fn write(&self, data_dir: &Path) -> std::io::Result<()> {
        if Self::read(data_dir).as_ref() == Some(self) {
            return Ok(());
        }
        let mut bytes = self.checkout.as_os_str().as_encoded_bytes().to_vec();
        bytes.extend(
            self.identity
                .iter()
                .flat_map(|identity| format!("\n{identity}\n").into_bytes()),
        );
        files::write_atomically(&Self::path(data_dir), &bytes, files::READABLE)
    }

    /// Returns another checkout that certainly uses the database: it exists, and its own link leads to the database.
    pub(super) fn other_user(&self, checkout: &Path, data_dir: &Path) -> Option<PathBuf> {
        let uses = || {
            let link = self.checkout.join("data/postgres");
            link.read_link()
                .is_ok_and(|target| self.checkout.join("data").join(target) == data_dir)
        };
        (!self.is_path_of(checkout)
            && !self.was_moved_to(checkout)
            && is_top(&self.checkout)
            && uses())
        .then(|| self.checkout.clone())
    }

    /// Whether it names a checkout that was moved or removed, and that is not this one under a new path.
    pub(super) fn is_of_a_lost_checkout(&self, checkout: &Path) -> bool {
        // A damaged note names nothing.
        let is_whole = self.identity.is_some() && self.checkout.is_absolute();
        is_whole
            && !self.is_path_of(checkout)
            && !self.was_moved_to(checkout)
            && !self.checkout.exists()
    }

    fn is_path_of(&self, checkout: &Path) -> bool {
        self.checkout == real(checkout)
    }

    fn was_moved_to(&self, checkout: &Path) -> bool {
        self.identity.is_some() && self.identity == identity(checkout)
    }
}

/// Determines the owner of a database. `named_so`: its folder has the name of this checkout's hash.
pub(super) fn whose(data_dir: &Path, checkout: &Path, named_so: bool) -> Whose {
    let Some(note) = Note::read(data_dir) else {
        return if named_so {
            Whose::This
        } else {
            Whose::Another
        };
    };
    let other_identity = note.identity.is_some() && !note.was_moved_to(checkout);
    if note.is_path_of(checkout) {
        // A different folder at this path: the checkout of the note may have been moved, with its link.
        return if other_identity {
            Whose::Unsure(note.checkout)
        } else {
            Whose::This
        };
    }
    if note.other_user(checkout, data_dir).is_some() {
        return Whose::Another;
    }
    match (named_so, &note.identity) {
        // A truncated path of an earlier version.
        (true, None) => Whose::This,
        (true, Some(_)) => Whose::Unsure(note.checkout),
        (false, _) if note.was_moved_to(checkout) && !note.checkout.exists() => {
            Whose::Unsure(note.checkout)
        }
        (false, _) => Whose::Another,
    }
}

fn real(checkout: &Path) -> PathBuf {
    checkout
        .canonicalize()
        .unwrap_or_else(|_| checkout.to_owned())
}

fn identity(checkout: &Path) -> Option<String> {
    checkout
        .metadata()
        .ok()
        .map(|folder| format!("{}:{}", folder.dev(), folder.ino()))
}
