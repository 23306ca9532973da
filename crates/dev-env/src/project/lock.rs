//! One command at a time starts and stops the services of a checkout: whoever holds `data/run/supervisor.lock`.
//!
//! The lock is the system's and ends with its holder, however that ends. The file says who it is.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Checkout, Error};
use process::files;

/// Asking who holds the lock takes it for an instant: longer than any number of those.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// Its pid.
    pub pid: u32,
    /// The command: `cargo dev up`.
    pub what: String,
    /// Where it answers, when it is a supervisor.
    pub socket: Option<PathBuf>,
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    // Closing the file gives the lock back.
    file: File,
}

fn path(checkout: &Checkout) -> PathBuf {
    checkout.run().join("supervisor.lock")
}

/// Whether the container `db` has the data: PostgreSQL in there and PostgreSQL here would not notice each other.
fn docker_runs(checkout: &Checkout) -> bool {
    // A shared lock: concurrent commands must not mistake each other for the container.
    let held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    File::open(checkout.run().join("docker.lock")).is_ok_and(held)
}

/// Locks a file of `data/run` for one kind of work, until it is closed; `None` where somebody else has it.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn file(checkout: &Checkout, name: &str) -> Result<Option<File>, Error> {
    checkout.make_folders()?;
    let path = checkout.run().join(name);
    let io = |source| Error::io("write", &path, source);
    let file = files::open(OpenOptions::new().write(true), &path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Locks out other commands that replace the database or revert its schema, until the file is closed. Each of them relies on the database
/// that it has copied.
///
/// # Errors
/// Another one is at work.
pub(crate) fn replacing(checkout: &Checkout) -> Result<File, Error> {
    file(checkout, "replacing.lock")?.ok_or(Error::AtWork(
        "command that replaces the database or reverts its schema",
    ))
}

impl Lock {
    /// Takes the lock in the name of `what`, or says who holds it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) async fn take(
        checkout: &Checkout,
        what: &str,
        socket: Option<PathBuf>,
    ) -> Result<Result<Self, Holder>, Error> {
        checkout.make_folders()?;
        if docker_runs(checkout) {
            return Err(Error::DockerRuns);
        }
        let path = path(checkout);
        let io = |source| Error::io("write", &path, source);
        let file = files::open(OpenOptions::new().read(true).write(true), &path).map_err(io)?;
        let deadline = tokio::time::Instant::now() + PROBE_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(io(source)),
                Err(TryLockError::WouldBlock) => match holder(checkout) {
                    Some(holder) => return Ok(Err(holder)),
                    None if tokio::time::Instant::now() >= deadline => {
                        return Err(Error::AtWork("command"));
                    }
                    // Somebody asks who holds it, or its holder has not written its name yet.
                    None => tokio::time::sleep(POLL).await,
                },
            }
        }
        let mut lock = Self { file };
        lock.name_holder(what, socket).map_err(io)?;
        Ok(Ok(lock))
    }

    fn name_holder(&mut self, what: &str, socket: Option<PathBuf>) -> std::io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            what: what.to_owned(),
            socket,
        };
        let text = serde_json::to_string(&holder).expect("names and numbers are JSON");
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }

    /// Returns whether other processes still find the lock: its file may have been removed.
    pub(crate) fn is_in_place(&self, checkout: &Checkout) -> bool {
        let identity =
            |file: std::io::Result<Metadata>| file.map(|file| (file.dev(), file.ino())).ok();
        identity(self.file.metadata()) == identity(std::fs::metadata(path(checkout)))
    }

    /// Records another control socket of the holder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn moved(
        &mut self,
        checkout: &Checkout,
        what: &str,
        socket: PathBuf,
    ) -> Result<(), Error> {
        self.name_holder(what, Some(socket))
            .map_err(|source| Error::io("write", &path(checkout), source))
    }

    /// Takes the lock for a short piece of work, waiting for somebody else's.
    ///
    /// # Errors
    /// The other one does not finish within `patience`.
    pub(crate) async fn wait(
        checkout: &Checkout,
        what: &str,
        patience: Duration,
    ) -> Result<Self, Error> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            match Self::take(checkout, what, None).await? {
                Ok(lock) => return Ok(lock),
                Err(holder) if tokio::time::Instant::now() >= deadline => {
                    return Err(Error::Busy {
                        what: holder.what,
                        pid: holder.pid,
                        waited: patience,
                    });
                }
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
}

/// Who holds the lock of a checkout; `None` when nobody does.
pub(crate) fn holder(checkout: &Checkout) -> Option<Holder> {
    let path = path(checkout);
    let file = File::open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {}
        Ok(()) | Err(TryLockError::Error(_)) => return None,
    }
    let holder: Holder = serde_json::from_str(&std::fs::read_to_string(&path).ok()?).ok()?;
    // Between taking the lock and writing its name a holder shows the name of the last one.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(holder.pid).ok()?);
    (nix::sys::signal::kill(pid, None) != Err(nix::errno::Errno::ESRCH)).then_some(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_checks_for_the_container_do_not_detect_each_other() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("backend")).unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.path().join("backend/.env.example"), "").unwrap();
        let checkout = Checkout::find(folder.path()).unwrap();
        checkout.make_folders().unwrap();
        let lock = File::create(checkout.run().join("docker.lock")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..200).for_each(|_| assert!(!docker_runs(&checkout))));
            }
        });
        lock.lock().unwrap();
        assert!(docker_runs(&checkout));
    }

    #[tokio::test]
    async fn one_holder_at_a_time_who_has_a_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("backend")).unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.path().join("backend/.env.example"), "").unwrap();
        let checkout = Checkout::find(folder.path()).unwrap();
        assert_eq!(holder(&checkout), None);
        let lock = Lock::take(&checkout, "cargo dev up", None)
            .await
            .unwrap()
            .unwrap();
        let expected = Holder {
            pid: std::process::id(),
            what: "cargo dev up".to_owned(),
            socket: None,
        };
        assert_eq!(holder(&checkout).as_ref(), Some(&expected));
        assert_eq!(
            Lock::take(&checkout, "cargo dev migrate", None)
                .await
                .unwrap()
                .unwrap_err(),
            expected
        );
        let busy = Lock::wait(&checkout, "cargo dev migrate", Duration::ZERO)
            .await
            .unwrap_err()
            .to_string();
        assert!(busy.contains("cargo dev up"), "{busy}");
        drop(lock);
        assert_eq!(holder(&checkout), None);
        Lock::wait(&checkout, "cargo dev migrate", Duration::ZERO)
            .await
            .unwrap();
    }
}
