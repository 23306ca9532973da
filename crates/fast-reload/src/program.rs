//! A built program: its identity, and a copy that the next build does not replace.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Error;

/// A program as it was when it was read or built.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    /// Device, inode, size and modification time. A rewritten file differs in at least one of them.
    identity: (u64, u64, u64, i64, i64),
    linked: Option<PathBuf>,
    replaced: Option<PathBuf>,
}

impl Program {
    /// Reads the identity of the program at `path`.
    ///
    /// # Errors
    /// [`Error::Io`]: there is no file.
    pub fn at(path: PathBuf) -> Result<Self, Error> {
        let of = std::fs::metadata(&path).map_err(|source| Error::io("read", &path, source))?;
        Ok(Self {
            identity: (of.dev(), of.ino(), of.size(), of.mtime(), of.mtime_nsec()),
            path,
            linked: None,
            replaced: None,
        })
    }

    /// Returns the path of the executable.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the libraries that the executable was linked with. `None`: it was linked in one piece.
    pub fn linked(&self) -> Option<&Path> {
        self.linked.as_deref()
    }

    pub(crate) fn linked_with(self, linked: Option<PathBuf>) -> Self {
        Self { linked, ..self }
    }

    /// Returns the folder of the libraries that replace some of those in [`linked`](Self::linked).
    ///
    /// The program must be started with this folder first in `LD_LIBRARY_PATH` (ld.so(8)).
    pub fn replaced(&self) -> Option<&Path> {
        self.replaced.as_deref()
    }

    pub(crate) fn with_replaced(self, replaced: PathBuf) -> Self {
        Self {
            replaced: Some(replaced),
            ..self
        }
    }

    /// Returns whether the executable and its libraries still exist.
    pub fn is_complete(&self) -> bool {
        self.path.is_file()
            && [&self.linked, &self.replaced]
                .into_iter()
                .flatten()
                .all(|folder| folder.is_dir())
    }

    /// Restores a removed executable from a process that runs it. Linux only.
    ///
    /// # Errors
    /// The process has ended, or the file cannot be written.
    pub fn restore_from(&self, pid: u32) -> std::io::Result<()> {
        let unfinished = self.path.with_added_extension("new");
        std::fs::copy(format!("/proc/{pid}/exe"), &unfinished)?;
        std::fs::rename(unfinished, &self.path)
    }

    /// Returns whether both are the same executable with the same libraries.
    pub fn is(&self, other: &Self) -> bool {
        self.is_file_of(other) && self.replaced == other.replaced
    }

    /// Returns whether both are the same executable, whatever libraries they load.
    pub(crate) fn is_file_of(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Links or copies the executable to `at`, a path that cargo does not write to. It can be started from there after later builds.
    ///
    /// # Errors
    /// [`Error::Io`]: the file cannot be written.
    pub fn kept(self, at: PathBuf) -> Result<Self, Error> {
        let unfinished = at.with_added_extension("new");
        if self.path == at {
            return Ok(self);
        }
        let io = |source| Error::io("write", &unfinished, source);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        // A hard link costs nothing. Some linkers write into the existing file, but not while a process runs it.
        if std::fs::hard_link(&self.path, &unfinished).is_err() {
            std::fs::copy(&self.path, &unfinished).map_err(io)?;
        }
        std::fs::rename(&unfinished, &at).map_err(io)?;
        // rename(2) does nothing if both names are the same file.
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
