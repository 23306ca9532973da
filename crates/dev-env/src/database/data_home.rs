//! Where the database of a checkout lives: in it, unless the server's user cannot reach it.
//!
//! [`data_home`] only reads. [`DataHome::prepare`] creates or repairs the folders and the link; one command at a time may call it.

mod note;

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use crate::project::hints;
use nix::unistd::Uid;
use process::files::make_parents;
use process::user::{User, UserError, blocked_at};

use self::note::{Note, Whose};
use crate::project::checkout::checkout_hash;
use process::LockedTemp;

/// Where a database lives whose checkout the server's user cannot reach.
const ELSEWHERE: &str = "/var/lib/emotionviz";

/// Where the database of a checkout lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataHome {
    /// The real data directory, existing or not.
    pub data_dir: PathBuf,
    /// Set when that is not in the checkout: `data/postgres` is a link to it, which is to be said.
    pub elsewhere: Option<Elsewhere>,
    /// The checkout whose database `data/postgres` links to: this checkout is a copy, with its link. Two servers must never share one
    /// database, so the link is replaced.
    pub copied_from: Option<PathBuf>,
}

/// A database outside its checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The link in the checkout.
    pub link: PathBuf,
    /// The state of the link.
    pub state: LinkState,
    /// Whether the database is in the tool's own folder, not at the target of a user's link.
    ours: bool,
}

/// The state of the link to a database outside its checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The link exists, and stays.
    Kept,
    /// The link is missing, and the database exists.
    Missing,
    /// The link is created for a new database, because the server's user cannot access the checkout.
    Blocked(PathBuf),
}

/// Why the data directory cannot be determined.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A broken link, whose target may be on a disk that is not mounted.
    #[error(
        "data/postgres is a link to {}, which does not exist and may be on a disk that is not mounted. Nothing was changed\n\
         hint: mount that disk; for a new, empty database there: mkdir -p '{0}'; for one in the checkout: rm '{}'",
        target.display(), link.display()
    )]
    LeadsNowhere {
        /// The link.
        link: PathBuf,
        /// The target of the link.
        target: PathBuf,
    },
    /// The database exists, and has no link.
    #[error(
        "data/postgres is missing, and the database of this checkout is in {}. Nothing was changed\n\
         hint: create the link again: ln -s '{0}' '{}'", data_dir.display(), link.display()
    )]
    Lost {
        /// The database.
        data_dir: PathBuf,
        /// Where the link to it would be.
        link: PathBuf,
    },
    /// A database that may belong to this checkout.
    #[error(
        "data/postgres has no database, and the database in {} belongs to the checkout {}, which may be this one. Nothing was changed\n\
         hint: to use that database: ln -s '{0}' '{}'\n\
         hint: if that checkout was moved: cargo dev up in its new folder, then here\n\
         hint: to start with an empty database: mv '{0}' '{0}.old'",
        data_dir.display(), of.display(), link.display()
    )]
    Unsure {
        /// The database.
        data_dir: PathBuf,
        /// The checkout that created it.
        of: PathBuf,
        /// Where the link to it would be.
        link: PathBuf,
    },
    /// The database was made for a checkout that is not at its place any more, and that is not this one.
    #[error(
        "data/postgres leads to {}, which holds the database of the checkout in {}: that was moved or removed, and this one may be a copy of it. Nothing was changed\n\
         hint: if the database is to be this checkout's: rm '{}', then: cargo dev up\n\
         hint: if that checkout was moved: cargo dev up in its new folder, then here",
        data_dir.display(), of.display(), note.display()
    )]
    Moved {
        /// The database.
        data_dir: PathBuf,
        /// The checkout that it was made for.
        of: PathBuf,
        /// The file that says so.
        note: PathBuf,
    },
    /// A folder could not be created or handed over.
    #[error("{}", hints::owner(.0))]
    Owner(#[from] UserError),
    /// The file system refused an operation.
    #[error("the folders of the database could not be created, and no database was created or changed: {}: {source}\nhint: free space or correct the permissions there, then: cargo dev up", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

crate::project::error::other_errors!(HomeError);

/// Finds the data directory of a checkout, `data/postgres`. Changes nothing.
///
/// # Errors
/// The data directory cannot be determined.
pub fn data_home(checkout: &Path, owner: &User) -> Result<DataHome, HomeError> {
    find(checkout, owner, Path::new(ELSEWHERE))
}

/// Returns whether a folder has a database. An unreadable folder counts as one.
pub fn holds_database(data_dir: &Path) -> bool {
    match std::fs::metadata(data_dir.join("PG_VERSION")) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

fn find(checkout: &Path, owner: &User, room: &Path) -> Result<DataHome, HomeError> {
    let link = checkout.join("data/postgres");
    let mut copied_from = None;
    if let Ok(target) = link.read_link() {
        let data_dir = checkout.join("data").join(target);
        let note = Note::read(&data_dir);
        match note
            .as_ref()
            .and_then(|note| note.other_user(checkout, &data_dir))
        {
            Some(other) => copied_from = Some(other),
            None if note
                .as_ref()
                .is_some_and(|note| note.is_of_a_lost_checkout(checkout)) =>
            {
                let (of, note) = (
                    note.map(|note| note.checkout).unwrap_or_default(),
                    Note::path(&data_dir),
                );
                return Err(HomeError::Moved { data_dir, of, note });
            }
            None => return linked(link, data_dir, room),
        }
    } else if link.exists() && !is_empty_folder(&link) {
        return Ok(DataHome {
            data_dir: link,
            elsewhere: None,
            copied_from,
        });
    }
    let elsewhere = |data_dir, state| {
        let elsewhere = Some(Elsewhere {
            link: link.clone(),
            state,
            ours: true,
        });
        DataHome {
            data_dir,
            elsewhere,
            copied_from: copied_from.clone(),
        }
    };
    if let Some(data_dir) = lost(checkout, room)? {
        return Ok(elsewhere(data_dir, LinkState::Missing));
    }
    let is_there = copied_from.is_none() && link.exists();
    // A link at `data/postgres` would bypass the folders that are searched.
    Ok(
        match blocked_at(&checkout.join("data/any"), owner).filter(|_| !is_there) {
            Some(folder) => elsewhere(free_place(checkout, room), LinkState::Blocked(folder)),
            None => DataHome {
                data_dir: link,
                elsewhere: None,
                copied_from,
            },
        },
    )
}

/// Evaluates a link of this checkout.
fn linked(link: PathBuf, data_dir: PathBuf, room: &Path) -> Result<DataHome, HomeError> {
    let ours = data_dir.starts_with(room);
    // The note is written before the link: if the note exists, the disk is mounted, and the database is not created yet.
    let is_there = data_dir.try_exists().unwrap_or(true) || ours && Note::path(&data_dir).exists();
    if !is_there {
        return Err(HomeError::LeadsNowhere {
            link,
            target: data_dir,
        });
    }
    Ok(DataHome {
        data_dir,
        elsewhere: Some(Elsewhere {
            link,
            state: LinkState::Kept,
            ours,
        }),
        copied_from: None,
    })
}

/// Finds a database of this checkout without a link.
fn lost(checkout: &Path, room: &Path) -> Result<Option<PathBuf>, HomeError> {
    let hash = checkout_hash(checkout);
    let mut places: Vec<_> = std::fs::read_dir(room)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    places.sort();
    let mut unsure = None;
    for place in places {
        let data_dir = place.join("postgres");
        let named_so = place.file_name().is_some_and(|name| *name == *hash);
        if !holds_database(&data_dir) {
            continue;
        }
        match note::whose(&data_dir, checkout, named_so) {
            Whose::This => return Ok(Some(data_dir)),
            Whose::Unsure(of) => {
                unsure = Some(HomeError::Unsure {
                    data_dir,
                    of,
                    link: checkout.join("data/postgres"),
                })
            }
            Whose::Another => {}
        }
    }
    unsure.map_or(Ok(None), Err)
}

/// Returns a free folder for a new database: the name of the checkout's hash, unless a moved checkout uses that folder.
fn free_place(checkout: &Path, room: &Path) -> PathBuf {
    let hash = checkout_hash(checkout);
    let names =
        std::iter::once(hash.clone()).chain((2..).map(|number: u32| format!("{hash}-{number}")));
    let mut places = names.map(|name| room.join(name).join("postgres"));
    places
        .find(|data_dir| !holds_database(data_dir))
        .unwrap_or_else(|| room.join(hash).join("postgres"))
}

fn is_empty_folder(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

impl DataHome {
    /// Returns whether the database exists and its link is missing.
    pub fn is_lost(&self) -> bool {
        self.elsewhere
            .as_ref()
            .is_some_and(|elsewhere| elsewhere.state == LinkState::Missing)
    }

    /// Creates the folders above the data directory, and the link to it if it is outside the checkout. One command at a time may call it.
    ///
    /// # Errors
    /// The file system refuses an operation; no database was changed.
    pub fn prepare(&self, checkout: &Path) -> Result<(), HomeError> {
        make_parents(&checkout.join("data/postgres"))?;
        match &self.elsewhere {
            None if self.copied_from.is_some() => {
                let link = &self.data_dir;
                std::fs::remove_file(link).map_err(|source| HomeError::Io {
                    path: link.clone(),
                    source,
                })?;
            }
            None => {}
            Some(elsewhere) => {
                make_parents(&self.data_dir)?;
                // The tool writes nothing into a user's folder.
                let noted = if elsewhere.ours {
                    Note::for_checkout(checkout)
                        .write(&self.data_dir)
                        .map_err(|source| HomeError::Io {
                            path: Note::path(&self.data_dir),
                            source,
                        })
                } else {
                    Ok(())
                };
                // The note of a new database is written before the link: see `linked`. An existing database works without a note.
                if matches!(elsewhere.state, LinkState::Blocked(_)) {
                    noted?;
                }
                if elsewhere.state != LinkState::Kept {
                    make_link(&self.data_dir, &elsewhere.link)?;
                }
            }
        }
        Ok(())
    }
}

/// Creates a link, and replaces an existing link or an empty folder.
fn make_link(target: &Path, link: &Path) -> Result<(), HomeError> {
    let io = |source| HomeError::Io {
        path: link.to_owned(),
        source,
    };
    if is_empty_folder(link) && !link.is_symlink() {
        std::fs::remove_dir(link).map_err(io)?;
    }
    let folder = link.parent().expect("the link is in the folder data");
    let room = LockedTemp::new(folder, ".link-").map_err(io)?;
    let made = room.path().join("link");
    std::os::unix::fs::symlink(target, &made).map_err(io)?;
    if Uid::effective().is_root() {
        let above = folder.metadata().map_err(io)?;
        lchown(&made, Some(above.uid()), Some(above.gid())).map_err(io)?;
    }
    // The link is replaced atomically, so that no command finds it missing.
    std::fs::rename(made, link).map_err(io)
}

#[cfg(test)]
mod tests;
