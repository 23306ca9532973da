//! Users of this machine: who owns a file, who runs a process, and who can reach a path.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, chown};
use tokio::process::Command;

use crate::folder::folder_of;

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub uid: u32,
    /// The id of the user's primary group.
    pub gid: u32,
    /// The user's name.
    pub name: String,
}

/// Why a user was not found, or a file not handed over.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The user of this process is not in passwd(5).
    #[error("the user with id {uid} has no name on this machine")]
    NoName {
        /// The user's id.
        uid: u32,
    },
    /// This process runs as root, and the machine has none of the users that were asked for.
    #[error("root must not be used, and this machine has no user {}", list(tried))]
    OnlyRoot {
        /// The names of the users.
        tried: Vec<String>,
    },
    /// The file system refused an operation.
    #[error("could not use {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" or ")
}

impl User {
    /// Returns the user of this process.
    ///
    /// # Errors
    /// [`UserError::NoName`].
    pub fn current() -> Result<Self, UserError> {
        let uid = Uid::effective();
        by_uid(uid).ok_or(UserError::NoName { uid: uid.as_raw() })
    }

    /// Returns the user of this process, with a description as its name if it has none, as in a container.
    pub fn current_or_unnamed() -> Self {
        let (uid, gid) = (Uid::effective().as_raw(), Gid::effective().as_raw());
        Self::current().unwrap_or_else(|_| Self {
            uid,
            gid,
            name: format!("the user with id {uid}"),
        })
    }

    /// Returns a user for a program that refuses to run as root: the user of this process, or if that is root, the owner of `folder`, or if
    /// that is root, too, the first of `names` that exists.
    ///
    /// # Errors
    /// There is none, or `folder` cannot be read.
    pub fn unprivileged(folder: &Path, names: &[&str]) -> Result<Self, UserError> {
        if !Uid::effective().is_root() {
            return Self::current();
        }
        let metadata = std::fs::metadata(folder).map_err(|source| UserError::Io {
            path: folder.to_owned(),
            source,
        })?;
        by_uid(Uid::from_raw(metadata.uid()))
            .filter(|owner| owner.uid != 0)
            .or_else(|| names.iter().find_map(|name| by_name(name)))
            .ok_or_else(|| UserError::OnlyRoot {
                tried: names.iter().map(|name| (*name).to_owned()).collect(),
            })
    }

    /// Returns whether this is not the user of this process.
    pub fn is_another_user(&self) -> bool {
        self.uid != Uid::effective().as_raw()
    }

    /// Lets a command run as this user. It starts in `/`, because the user may have no access to the folder of this process.
    pub fn apply(&self, command: &mut Command) {
        if self.is_another_user() {
            command.uid(self.uid).gid(self.gid).current_dir("/");
        }
    }

    /// Makes this user the owner of a file or folder.
    ///
    /// # Errors
    /// [`UserError::Io`]. Only root can give files to another user.
    pub fn give(&self, path: &Path) -> Result<(), UserError> {
        if !self.is_another_user() {
            return Ok(());
        }
        chown(
            path,
            Some(Uid::from_raw(self.uid)),
            Some(Gid::from_raw(self.gid)),
        )
        .map_err(|errno| UserError::Io {
            path: path.to_owned(),
            source: errno.into(),
        })
    }
}

/// Gives a file of root to the owner of the folder that `path` is in. Does nothing if this process or the file belongs to another user.
///
/// # Errors
/// The file system refuses.
pub fn hand_over(file: &File, path: &Path) -> std::io::Result<()> {
    if !Uid::effective().is_root() || file.metadata()?.uid() != 0 {
        return Ok(());
    }
    let above = std::fs::metadata(folder_of(path))?;
    if above.uid() == 0 {
        Ok(())
    } else {
        fchown(file, Some(above.uid()), Some(above.gid()))
    }
}

fn by_uid(uid: Uid) -> Option<User> {
    nix::unistd::User::from_uid(uid)
        .ok()
        .flatten()
        .map(from_user)
}

fn by_name(name: &str) -> Option<User> {
    nix::unistd::User::from_name(name)
        .ok()
        .flatten()
        .map(from_user)
}

fn from_user(user: nix::unistd::User) -> User {
    User {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        name: user.name,
    }
}

/// Returns whether `owner` can enter all folders above `path`, by their mode bits. Folders that do not exist are ignored.
pub fn can_reach(path: &Path, owner: &User) -> bool {
    blocked_at(path, owner).is_none()
}

/// Returns the outermost folder above `path` that `owner` cannot enter.
pub fn blocked_at(path: &Path, owner: &User) -> Option<PathBuf> {
    // Supplementary groups and access control lists may give the user of this process more rights than the mode bits show.
    if !owner.is_another_user() || owner.uid == 0 {
        return None;
    }
    // A path may have symbolic links. The real folders must be open.
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

fn may_enter(folder: &Path, owner: &User) -> bool {
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

    fn stranger() -> User {
        User {
            uid: 4_000_000,
            gid: 4_000_000,
            name: "stranger".to_owned(),
        }
    }

    #[test]
    fn root_is_never_an_unprivileged_user() {
        let folder = tempfile::tempdir().unwrap();
        let owner = User::unprivileged(folder.path(), &["no such user", "nobody"]).unwrap();
        assert_ne!(owner.uid, 0);
        assert_eq!(owner.is_another_user(), Uid::effective().is_root());
    }

    #[test]
    fn the_owner_of_a_folder_is_preferred_to_root() {
        if !test_needs::root() {
            return;
        }
        let Some(nobody) = by_name("nobody") else {
            test_needs::skip("the user nobody", "adduser --system nobody");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        nobody.give(folder.path()).unwrap();
        assert_eq!(User::unprivileged(folder.path(), &[]).unwrap(), nobody);
    }

    #[test]
    fn an_error_names_the_users_that_do_not_exist() {
        if !test_needs::root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let error = User::unprivileged(folder.path(), &["one-absent", "other-absent"]);
        assert_eq!(
            error.unwrap_err().to_string(),
            "root must not be used, and this machine has no user `one-absent` or `other-absent`"
        );
    }

    #[test]
    fn a_folder_without_search_permission_blocks_a_path() {
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
        // The folder itself does not have to be open.
        mode(0o700);
        assert!(can_reach(folder.path(), &stranger()));
        let current = User::current().unwrap();
        assert!(can_reach(&inside, &current));
    }
}
