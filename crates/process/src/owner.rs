//! Whom PostgreSQL runs as, and where its files can be.
//!
//! PostgreSQL refuses to run as root. A root user's tool therefore runs it as somebody else, who must be able to reach the
//! data: where the checkout lies under a folder that only root enters, the data lies under `/var/lib/emotionviz`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, chown};
use tokio::process::Command;

/// A user of this machine who owns the database's files and runs its processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user's id.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// The user's name, by which PostgreSQL knows who is at the other end of its socket.
    pub name: String,
}

/// Why there is no place or no user for the database.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// PostgreSQL wants a name for the user it runs as.
    #[error(
        "the user with id {uid} has no name on this machine, and PostgreSQL refuses to run without one; add it to /etc/passwd"
    )]
    NoName {
        /// The user.
        uid: u32,
    },
    /// Root, on a machine without unprivileged users.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor a user `nobody`; run `cargo dev` as an ordinary user"
    )]
    NobodyElse,
    /// The file system said no.
    #[error("could not use {}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Owner {
    /// The user of this process.
    pub fn current() -> Result<Self, OwnerError> {
        let uid = Uid::effective();
        by_uid(uid).ok_or(OwnerError::NoName { uid: uid.as_raw() })
    }

    /// The user of this process, who need not have a name: in a container it may be anybody.
    pub fn of_this_process() -> Self {
        let (uid, gid) = (Uid::effective().as_raw(), Gid::effective().as_raw());
        Self::current().unwrap_or_else(|_| Self {
            uid,
            gid,
            name: format!("the user with id {uid}"),
        })
    }

    /// Who runs the database of this checkout: the user of this process, or for root the owner of the checkout, else
    /// `postgres`, else `nobody`.
    pub fn of_checkout(checkout: &Path) -> Result<Self, OwnerError> {
        if !Uid::effective().is_root() {
            return Self::current();
        }
        let metadata = std::fs::metadata(checkout).map_err(|source| OwnerError::Io {
            path: checkout.to_owned(),
            source,
        })?;
        by_uid(Uid::from_raw(metadata.uid()))
            .filter(|owner| owner.uid != 0)
            .or_else(|| by_name("postgres"))
            .or_else(|| by_name("nobody"))
            .ok_or(OwnerError::NobodyElse)
    }

    /// Whether this is somebody else than the user of this process.
    pub fn is_somebody_else(&self) -> bool {
        self.uid != Uid::effective().as_raw()
    }

    /// Lets a command run as this user. The tool's own folder may be closed to that user, so it starts in `/`.
    pub fn apply(&self, command: &mut Command) {
        if self.is_somebody_else() {
            command.uid(self.uid).gid(self.gid).current_dir("/");
        }
    }

    /// Gives a file or folder to this user.
    pub fn give(&self, path: &Path) -> Result<(), OwnerError> {
        if !self.is_somebody_else() {
            return Ok(());
        }
        chown(
            path,
            Some(Uid::from_raw(self.uid)),
            Some(Gid::from_raw(self.gid)),
        )
        .map_err(|errno| OwnerError::Io {
            path: path.to_owned(),
            source: errno.into(),
        })
    }
}

fn by_uid(uid: Uid) -> Option<Owner> {
    User::from_uid(uid).ok().flatten().map(from_user)
}

fn by_name(name: &str) -> Option<Owner> {
    User::from_name(name).ok().flatten().map(from_user)
}

fn from_user(user: User) -> Owner {
    Owner {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        name: user.name,
    }
}

/// Whether `owner` can enter every folder above `path`, by their mode bits. What does not exist yet is left out.
pub fn can_reach(path: &Path, owner: &Owner) -> bool {
    blocked_at(path, owner).is_none()
}

/// The outermost folder above `path` that `owner` cannot enter.
pub fn blocked_at(path: &Path, owner: &Owner) -> Option<PathBuf> {
    // The user of this process may come in by other ways than the mode bits show: further groups, access lists.
    if !owner.is_somebody_else() || owner.uid == 0 {
        return None;
    }
    // Links lead elsewhere: it is the real folders that must be open.
    let existing = path
        .ancestors()
        .find_map(|ancestor| ancestor.canonicalize().ok().map(|real| (ancestor, real)));
    let (asked, real) = existing?;
    let first_folder = if asked == path { real.parent()? } else { &real };
    let mut folders: Vec<_> = first_folder.ancestors().collect();
    folders.reverse();
    folders
        .into_iter()
        .find(|folder| !may_enter(folder, owner))
        .map(Path::to_owned)
}

fn may_enter(folder: &Path, owner: &Owner) -> bool {
    let Ok(metadata) = std::fs::metadata(folder) else {
        return false;
    };
    let mode = metadata.permissions().mode();
    let bit = if metadata.uid() == owner.uid {
        0o100
    } else if metadata.gid() == owner.gid {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger() -> Owner {
        Owner {
            uid: 4_000_000,
            gid: 4_000_000,
            name: "stranger".to_owned(),
        }
    }

    #[test]
    fn root_never_runs_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::of_checkout(folder.path()).unwrap();
        assert_ne!(owner.uid, 0);
        assert_eq!(owner.is_somebody_else(), Uid::effective().is_root());
    }

    #[test]
    fn root_gives_way_to_the_owner_of_the_checkout() {
        if !Uid::effective().is_root() {
            return;
        }
        let Some(nobody) = by_name("nobody") else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        nobody.give(folder.path()).unwrap();
        assert_eq!(Owner::of_checkout(folder.path()).unwrap(), nobody);
    }

    #[test]
    fn a_folder_without_the_bit_blocks_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("open/deeper/not-there-yet");
        std::fs::create_dir_all(folder.path().join("open/deeper")).unwrap();
        let mode = |mode| {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap()
        };
        mode(0o700);
        assert_eq!(
            blocked_at(&inside, &stranger()),
            Some(folder.path().canonicalize().unwrap())
        );
        mode(0o711);
        assert!(can_reach(&inside, &stranger()));
        // The folder itself need not be open when it is the thing asked for.
        mode(0o700);
        assert!(can_reach(folder.path(), &stranger()));
        let current = Owner::current().unwrap();
        assert!(can_reach(&inside, &current));
    }
}
