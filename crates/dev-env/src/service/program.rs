//! A program that was built: which one it is, and a copy that the next build does not replace.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// A program as it was at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    path: PathBuf,
    /// Device, inode, size and time of the last change: what is written anew differs in one of them.
    identity: (u64, u64, u64, i64, i64),
    /// The folder of the libraries that it was linked with, where those can be replaced; see the `build` layer.
    linked: Option<PathBuf>,
    /// Libraries that it loads in the place of those.
    replaced: Option<PathBuf>,
}

impl Program {
    /// The one at `path`.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn at(path: PathBuf) -> Result<Self, Error> {
        let of = std::fs::metadata(&path).map_err(|source| Error::io("read", &path, source))?;
        Ok(Self {
            identity: (of.dev(), of.ino(), of.size(), of.mtime(), of.mtime_nsec()),
            path,
            linked: None,
            replaced: None,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the libraries that it was linked with, where those can be replaced.
    pub(crate) fn linked(&self) -> Option<&PathBuf> {
        self.linked.as_ref()
    }

    /// The same, linked with such libraries.
    pub(crate) fn linked_with(self, linked: Option<PathBuf>) -> Self {
        Self { linked, ..self }
    }

    /// The folder of the libraries that it loads in the place of those which it was linked with.
    pub(crate) fn replaced(&self) -> Option<&PathBuf> {
        self.replaced.as_ref()
    }

    /// The same with such libraries.
    pub(crate) fn with_replaced(self, replaced: PathBuf) -> Self {
        Self {
            replaced: Some(replaced),
            ..self
        }
    }

    /// Returns whether the program and its libraries still exist at their paths.
    pub(crate) fn is_complete(&self) -> bool {
        self.path.is_file()
            && [&self.linked, &self.replaced]
                .into_iter()
                .flatten()
                .all(|folder| folder.is_dir())
    }

    /// Restores the program at its path from a process that runs it (Linux).
    ///
    /// # Errors
    /// The process has ended, or the disk is full.
    pub(crate) fn restore_from(&self, pid: u32) -> std::io::Result<()> {
        let unfinished = self.path.with_added_extension("new");
        std::fs::copy(format!("/proc/{pid}/exe"), &unfinished)?;
        std::fs::rename(unfinished, &self.path)
    }

    /// Whether both do the same: the same file, with the same contents, and the same libraries.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.is_file_of(other) && self.replaced == other.replaced
    }

    /// Whether both are the same file, with the same contents, whatever they load.
    pub(crate) fn is_file_of(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// The same program at a place that cargo does not write to: a service that dies is started again from there, whatever was
    /// built since.
    ///
    /// # Errors
    /// The disk is full, or the like.
    pub(crate) fn kept(self, at: PathBuf) -> Result<Self, Error> {
        let unfinished = at.with_added_extension("new");
        if self.path == at {
            return Ok(self);
        }
        let io = |source| Error::io("write", &unfinished, source);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        // A link costs nothing. Some linkers write into the file that is there, but not while it is being run.
        if std::fs::hard_link(&self.path, &unfinished).is_err() {
            std::fs::copy(&self.path, &unfinished).map_err(io)?;
        }
        std::fs::rename(&unfinished, &at).map_err(io)?;
        // Renaming a link to what is there already does nothing.
        let _gone = std::fs::remove_file(&unfinished);
        Ok(Self { path: at, ..self })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_removed_program_is_restored_from_the_process_that_runs_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::copy("/bin/sleep", &path).unwrap();
        let before = std::fs::read(&path).unwrap();
        let program = Program::at(path.clone()).unwrap();
        let mut child = Command::new(&path).arg("60").spawn().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!program.is_complete());
        program.restore_from(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(program.is_complete());
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(Command::new(&path).arg("0").status().unwrap().success());
    }
}
