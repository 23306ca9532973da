//! A copy of a database as a file: whole or not there.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::Error;
use crate::owner::{self, files};
use crate::process::{Configuration, into_file};

const PREFIX: &str = ".unfinished-";
const BOUND: Duration = Duration::from_secs(3600);

/// Writes what `pg_dump` prints to `to`, as SQL that puts everything back, in one transaction, when psql reads it. What killed
/// ones left beside it is removed first.
///
/// # Errors
/// It cannot be written; no file is left then.
pub(crate) async fn write(pg_dump: Configuration, to: &Path) -> Result<(), Error> {
    let io = |source| Error::io("write", to, source);
    let file = begin(to)?;
    write_all(&file, b"\\set ON_ERROR_STOP on\nBEGIN;\n").map_err(io)?;
    append(pg_dump.args(["--clean", "--if-exists"]), &file, to).await?;
    write_all(&file, b"COMMIT;\n").map_err(io)?;
    finish(file, to)
}

/// The same as an archive: compressed, for `pg_restore`.
///
/// # Errors
/// It cannot be written; no file is left then.
pub(crate) async fn write_archive(pg_dump: Configuration, to: &Path) -> Result<(), Error> {
    let file = begin(to)?;
    append(pg_dump.args(["--format=custom"]), &file, to).await?;
    finish(file, to)
}

/// A file that takes its name when it is finished.
fn begin(to: &Path) -> Result<NamedTempFile, Error> {
    owner::make_parents(to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sweep(folder);
    unfinished(folder).map_err(|source| Error::io("write", to, source))
}

async fn append(pg_dump: Configuration, file: &NamedTempFile, to: &Path) -> Result<(), Error> {
    // The same open file: each goes on where the other ended.
    let output = file.as_file().try_clone().map_err(|source| Error::io("write", to, source))?;
    into_file(pg_dump.args(["-w"]), output, BOUND).await.map_err(|error| Error::Copy { reason: error.to_string() })
}

fn finish(file: NamedTempFile, to: &Path) -> Result<(), Error> {
    let io = |source| Error::io("write", to, source);
    file.as_file().sync_all().map_err(io)?;
    files::hand_over(file.as_file(), to).map_err(io)?;
    file.persist(to).map_err(|error| io(error.error))?;
    Ok(())
}

fn write_all(file: &NamedTempFile, bytes: &[u8]) -> std::io::Result<()> {
    file.as_file().write_all(bytes)
}

/// A file that is locked for as long as it is written, and so is known from one that a killed tool left.
fn unfinished(folder: &Path) -> std::io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
        file.as_file().lock()?;
        // Somebody may have swept it away before it was locked.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes what killed tools left: nobody holds it locked.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        if let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            // One that cannot be removed is in nobody's way.
            let _not_ours = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn says(words: &str) -> Configuration {
        Configuration::new("pg_dump", "sh").args(["-c", words])
    }

    #[tokio::test]
    async fn one_transaction_out_of_what_is_printed() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("backups/a.sql");
        write(says("echo 'CREATE TABLE t ();'"), &to).await.unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "\\set ON_ERROR_STOP on\nBEGIN;\nCREATE TABLE t ();\nCOMMIT;\n");
        assert_eq!(names(to.parent().unwrap()), ["a.sql"]);
    }

    #[tokio::test]
    async fn one_that_fails_leaves_nothing_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("a.sql");
        let error = write(says("echo half; echo 'no such role' >&2; exit 1"), &to).await.unwrap_err().to_string();
        assert!(error.contains("nothing was changed") && error.contains("no such role"), "{error}");
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_killed_ones_left_goes_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".unfinished-of-a-killed-one"), "half").unwrap();
        let busy = unfinished(folder.path()).unwrap();
        write(says("echo"), &folder.path().join("a.sql")).await.unwrap();
        let mut expected = vec![busy.path().file_name().unwrap().to_str().unwrap().to_owned(), "a.sql".to_owned()];
        expected.sort();
        assert_eq!(names(folder.path()), expected);
    }
}
