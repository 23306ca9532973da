//! Writes a copy: streams the output of `pg_dump` into an unfinished file, hashes it, then renames the copy and its checksum.

use std::fs::File;
use std::io::{Error as IoError, ErrorKind, Read, Result as IoResult, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::checksum::{self, Checksum};
use super::unfinished::Unfinished;
use super::{BackupError, Key, target};
use crate::Error;
use process::thread::in_thread;
use process::{Configuration, FileLock, FileLockError, ProcessError, describe, disk, into_file};

const BOUND: Duration = Duration::from_secs(3600);
const PART: usize = 1 << 16;
/// Another copy takes its name within milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The result of writing the output of `pg_dump`.
struct Stored {
    checksum: Checksum,
    /// The length of the complete copy, written or not.
    length: u64,
    /// The error of the disk, if any.
    failed: Option<IoError>,
}

/// Writes an archive of `database` to `to` with its checksum: both or neither. The folder `keys` contains the key of the seal.
///
/// # Errors
/// The database cannot be read, or the disk is full; existing files stay.
pub(super) async fn to_file(
    pg_dump: Configuration,
    database: &str,
    to: &Path,
    keys: &Path,
) -> Result<(), Error> {
    let io = |source| BackupError::Io {
        path: to.to_owned(),
        source,
    };
    let folder = to.parent().unwrap_or(Path::new("/"));
    let unfinished = Unfinished::new(folder);
    let file = unfinished
        .as_ref()
        .map_err(copy_of)
        .and_then(Unfinished::make_copy);
    if let Err(error) = &file
        && !disk::is_full(error)
    {
        return Err(io(copy_of(error)).into());
    }
    let (reader, writer) = std::io::pipe().map_err(io)?;
    let store = tokio::task::spawn_blocking(move || store(reader, file));
    let (dumped, stored) = tokio::join!(into_file(archive(pg_dump), writer, BOUND), store);
    let stored = stored.map_err(|error| io(error.into()))?.map_err(io)?;
    match stored.failed {
        Some(error) if disk::is_full(&error) => {
            drop(unfinished);
            return Err(full(folder, stored.length).into());
        }
        Some(error) => return Err(io(error).into()),
        None => {}
    }
    dumped.map_err(|error| failed(error, database, &to.display().to_string()))?;
    let unfinished = unfinished.map_err(io)?;
    let (target, keys) = (to.to_owned(), keys.to_owned());
    let lock = lock(folder, PATIENCE).await?;
    let published = in_thread(move |_| {
        let published = publish(&unfinished, &stored.checksum, &target, &keys);
        drop(lock);
        published
    })
    .await;
    match published.unwrap_or_else(|| Err(io(IoError::other("the work broke off")))) {
        Err(BackupError::Io { source, .. }) if disk::is_full(&source) => {
            Err(full(folder, stored.length).into())
        }
        published => Ok(published?),
    }
}

/// Writes an archive of `database` to a stream.
///
/// # Errors
/// The database cannot be read, or the stream is closed.
pub(super) async fn to_stream(
    pg_dump: Configuration,
    database: &str,
    to: &str,
    stream: Stdio,
) -> Result<(), Error> {
    into_file(archive(pg_dump), stream, BOUND)
        .await
        .map_err(|error| failed(error, database, to))
}

fn archive(pg_dump: Configuration) -> Configuration {
    pg_dump.args(["--format=custom", "-w"])
}

fn failed(error: ProcessError, database: &str, to: &str) -> Error {
    let ProcessError::Exited { status, tail, .. } = error else {
        return error.into();
    };
    let reason = if tail.is_empty() {
        describe(status)
    } else {
        tail.join("\n")
    };
    BackupError::Dump {
        database: database.to_owned(),
        to: to.to_owned(),
        reason,
    }
    .into()
}

fn full(folder: &Path, needed: u64) -> BackupError {
    let free = disk::free(folder).unwrap_or(0);
    BackupError::DiskFull {
        folder: folder.to_owned(),
        mount: disk::mount(folder),
        needed,
        free,
    }
}

/// An error has no copy of its own.
fn copy_of(error: &IoError) -> IoError {
    error.raw_os_error().map_or_else(
        || IoError::other(error.to_string()),
        IoError::from_raw_os_error,
    )
}

/// Reads all of `from`, and writes it while the disk has space. Counts the bytes that do not fit, so that the error can report them.
fn store(mut from: impl Read, file: IoResult<File>) -> IoResult<Stored> {
    let (mut hash, mut part, mut length) = (Sha256::new(), vec![0; PART], 0);
    let mut first = Vec::with_capacity(checksum::HEADER);
    let (mut file, mut failed) = match file {
        Ok(file) => (Some(file), None),
        Err(error) => (None, Some(error)),
    };
    loop {
        let bytes = match from.read(&mut part) {
            Ok(0) => break,
            Ok(read) => &part[..read],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        length += bytes.len() as u64;
        hash.update(bytes);
        first.extend(bytes.iter().take(checksum::HEADER - first.len()));
        if let Some(open) = &mut file
            && let Err(error) = open.write_all(bytes)
        {
            // Free the space for other programs.
            let _stays = open.set_len(0);
            let full = disk::is_full(&error);
            (file, failed) = (None, Some(error));
            if !full {
                break;
            }
        }
    }
    if let Some(file) = &file {
        failed = file.sync_all().err();
    }
    let checksum = Checksum {
        whole: hex::encode(hash.finalize()),
        begins: process::files::sha256(first),
    };
    Ok(Stored {
        checksum,
        length,
        failed,
    })
}

/// Renames the copy and its checksum.
///
/// A kill after any step leaves a copy that matches its checksum file: while an old copy is replaced the checksum file holds both
/// checksums, and a new copy is renamed after its checksum.
fn publish(
    unfinished: &Unfinished,
    new: &Checksum,
    to: &Path,
    keys: &Path,
) -> Result<(), BackupError> {
    let io = |source| BackupError::Io {
        path: to.to_owned(),
        source,
    };
    let key = Key::make(keys).map_err(io)?;
    rename(unfinished, new, to, &key).map_err(io)
}

/// Locks a folder, as two copies with one name must not mix. A file system without locks is assumed to have one user.
async fn lock(folder: &Path, patience: Duration) -> Result<Option<FileLock>, BackupError> {
    let open = File::open(folder).map_err(|source| BackupError::Io {
        path: folder.to_owned(),
        source,
    })?;
    match FileLock::acquire(open, folder, patience, |_| {}).await {
        Ok(lock) => Ok(Some(lock)),
        Err(FileLockError::Io { .. }) => Ok(None),
        Err(FileLockError::Held { .. }) => Err(BackupError::Locked {
            folder: folder.to_owned(),
            seconds: patience.as_secs(),
        }),
    }
}

fn rename(unfinished: &Unfinished, new: &Checksum, to: &Path, key: &Key) -> IoResult<()> {
    let beside = checksum::path(to);
    let text = checksum::text(new, to.file_name().unwrap_or_default(), key);
    let old = checksum::read(&beside)
        .ok()
        .filter(|old| checksum::is_ours(old) && to.exists());
    let last = unfinished.write_checksum(&text)?;
    if let Some(old) = old {
        let both = unfinished.write_checksum_of_both(&checksum::text_for_both(&old, new, key))?;
        std::fs::rename(both, &beside)?;
        target::sync_folder(to)?;
        std::fs::rename(unfinished.copy(), to)?;
        target::sync_folder(to)?;
        std::fs::rename(last, &beside)?;
    } else {
        std::fs::rename(last, &beside)?;
        target::sync_folder(to)?;
        std::fs::rename(unfinished.copy(), to)?;
    }
    target::sync_folder(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::backup::checksum::{Verdict, compare};

    fn says(words: &str) -> Configuration {
        Configuration::new("pg_dump", "sh").args(["-c", words])
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_copy_and_its_checksum_are_written_together() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let to = folder.path().join("a.dump");
        for text in ["one", "two"] {
            to_file(says(&format!("echo {text}")), "d", &to, keys.path())
                .await
                .unwrap();
            assert_eq!(std::fs::read_to_string(&to).unwrap(), format!("{text}\n"));
            assert_eq!(
                compare(&to, Key::read(keys.path()).as_ref()).unwrap(),
                Verdict::Whole {
                    is_ours: true,
                    is_sealed: true
                }
            );
            assert_eq!(names(folder.path()), ["a.dump", "a.dump.sha256"]);
        }
    }

    #[tokio::test]
    async fn a_copy_that_fails_leaves_the_old_one_and_names_the_database() {
        let (folder, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let to = folder.path().join("a.dump");
        to_file(says("echo old"), "d", &to, keys.path())
            .await
            .unwrap();
        let error = to_file(
            says("echo half; echo 'no such role' >&2; exit 1"),
            "journal",
            &to,
            keys.path(),
        )
        .await
        .unwrap_err()
        .to_string();
        assert!(
            ["Nothing was changed", "no such role", "journal", "a.dump"]
                .iter()
                .all(|part| error.contains(part)),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "old\n");
        assert_eq!(
            compare(&to, Key::read(keys.path()).as_ref()).unwrap(),
            Verdict::Whole {
                is_ours: true,
                is_sealed: true
            }
        );
        assert_eq!(names(folder.path()), ["a.dump", "a.dump.sha256"]);
    }

    #[tokio::test]
    async fn a_folder_that_another_process_has_locked_is_named_after_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let other = File::open(folder.path()).unwrap();
        other.lock().unwrap();
        let bound = Duration::from_millis(1);
        let refused = lock(folder.path(), bound).await.unwrap_err().to_string();
        assert!(
            refused.contains(&folder.path().display().to_string())
                && refused.contains("Nothing was changed"),
            "{refused}"
        );
        drop(other);
        assert!(lock(folder.path(), bound).await.unwrap().is_some());
    }

    /// The states that a kill leaves between the steps of [`publish`].
    #[test]
    fn a_kill_between_the_renames_leaves_a_copy_that_matches_its_checksum() {
        let of = |text: &str| Checksum {
            whole: process::files::sha256(text),
            begins: process::files::sha256(text),
        };
        let name = std::ffi::OsStr::new("a.dump");
        let keys = tempfile::tempdir().unwrap();
        let key = Key::make(keys.path()).unwrap();
        let old = checksum::text(&of("old"), name, &key);
        let both = checksum::text_for_both(&old, &of("new"), &key);
        let states = [
            ("old", &old),
            ("old", &both),
            ("new", &both),
            ("new", &checksum::text(&of("new"), name, &key)),
        ];
        for (copy, sums) in states {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("a.dump");
            std::fs::write(&to, copy).unwrap();
            std::fs::write(checksum::path(&to), sums).unwrap();
            assert_eq!(
                compare(&to, Key::read(keys.path()).as_ref()).unwrap(),
                Verdict::Whole {
                    is_ours: true,
                    is_sealed: true
                },
                "{copy}"
            );
            assert!(checksum::is_our_copy(&to), "{copy}");
        }
    }

    #[test]
    fn bytes_that_do_not_fit_on_the_disk_are_counted() {
        let full = IoError::from(ErrorKind::StorageFull);
        let stored = store(&vec![7; 3 * PART][..], Err(full)).unwrap();
        assert_eq!(stored.length, 3 * PART as u64);
        assert!(stored.failed.is_some_and(|error| disk::is_full(&error)));
    }
}
