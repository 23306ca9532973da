//! One command at a time starts and stops the services of a checkout: whoever holds `data/run/supervisor.lock`.
//!
//! The lock is the system's and ends with its holder, however that ends. The file says who it is.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Uid;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::report::events::Events;
use crate::{Checkout, Error};
use process::poll::{after, poll_until};
use process::{FileLock, FileLockError, file_lock, files};

/// Asking who holds the lock takes it for an instant: longer than any number of those.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);
const NAME: &str = "supervisor.lock";
/// The command that runs the services.
pub const SUPERVISOR: &str = "cargo dev up";

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its pid.
    pub pid: u32,
    /// The command: `cargo dev up`.
    pub what: String,
    /// Where it answers, when it is a supervisor.
    pub socket: Option<PathBuf>,
}

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: FileLock,
}

fn path(checkout: &Checkout) -> PathBuf {
    checkout.run().join(NAME)
}

/// Whether the container `db` has the data: PostgreSQL in there and PostgreSQL here would not notice each other.
fn docker_runs(checkout: &Checkout) -> bool {
    file_lock::is_held(&checkout.run().join("docker.lock"))
}

/// Opens a file of `data/run` that is locked for one kind of work.
///
/// # Errors
/// It cannot be written.
fn open(checkout: &Checkout, name: &str) -> Result<(File, PathBuf), Error> {
    checkout.make_folders()?;
    let path = checkout.run().join(name);
    let file = files::open(OpenOptions::new().read(true).write(true), &path)
        .map_err(|source| Error::io("write", &path, source))?;
    Ok((file, path))
}

/// Locks a file of `data/run` for one kind of work. `None` if another command has locked it.
///
/// # Errors
/// It cannot be written.
pub fn file(checkout: &Checkout, name: &str) -> Result<Option<FileLock>, Error> {
    locked(checkout, name, FileLock::try_exclusive)
}

/// Locks a file of `data/run` together with other commands. `None` if another command has locked it for itself.
///
/// # Errors
/// It cannot be written.
pub fn file_shared(checkout: &Checkout, name: &str) -> Result<Option<FileLock>, Error> {
    locked(checkout, name, FileLock::try_shared)
}

/// A file that was removed before it was locked is opened again.
fn locked(
    checkout: &Checkout,
    name: &str,
    lock: impl Fn(File) -> std::io::Result<Option<FileLock>>,
) -> Result<Option<FileLock>, Error> {
    loop {
        let (file, path) = open(checkout, name)?;
        let lock = lock(file).map_err(|source| Error::io("lock", &path, source))?;
        if lock.as_ref().is_none_or(|lock| lock.is_at(&path)) {
            return Ok(lock);
        }
    }
}

/// Waits for other commands, and locks the file for this command; reports a long wait. `None` if the other command does not end within `bound`.
///
/// # Errors
/// It cannot be written.
pub async fn wait_for(
    checkout: &Checkout,
    name: &str,
    bound: Duration,
    events: &Events,
) -> Result<Option<FileLock>, Error> {
    loop {
        let (file, path) = open(checkout, name)?;
        let waits = |holder| events.phase(format!("waiting for {holder}"));
        match FileLock::acquire(file, &path, bound, waits).await {
            Ok(lock) if lock.is_at(&path) => return Ok(Some(lock)),
            Ok(_) => {}
            Err(FileLockError::Held { .. }) => return Ok(None),
            Err(FileLockError::Io { path, source }) => {
                return Err(Error::io("lock", &path, source));
            }
        }
    }
}

/// Locks out other commands that replace the database or revert its schema. Each of them relies on the database that it has copied.
///
/// # Errors
/// Another one is at work.
pub fn replacing(checkout: &Checkout) -> Result<FileLock, Error> {
    file(checkout, "replacing.lock")?
        .ok_or_else(|| Error::at_work("command that replaces the database or reverts its schema"))
}

impl Lock {
    /// Takes the lock in the name of `what`, or returns its holder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn take(
        checkout: &Checkout,
        what: &str,
        socket: Option<PathBuf>,
    ) -> Result<Result<Self, Holder>, Error> {
        if docker_runs(checkout) {
            return Err(Error::DockerRuns);
        }
        let tried = poll_until(after(PROBE_PATIENCE), POLL, || async {
            match Self::try_take(checkout).await {
                // Another command asks for the holder, or the holder has not written its name yet.
                Ok(None) => holder(checkout).await.map(|holder| Ok(Err(holder))),
                Ok(Some(lock)) => Some(Ok(Ok(lock))),
                Err(error) => Some(Err(error)),
            }
        });
        let mut lock = match tried.await {
            Some(Ok(Ok(lock))) => lock,
            Some(other) => return other,
            None => return Err(Error::at_work("command")),
        };
        lock.name_holder(what, socket)
            .map_err(|source| Error::io("write", &path(checkout), source))?;
        Ok(Ok(lock))
    }

    /// Locks the file, unless another process has locked it, or a supervisor runs whose file was removed.
    async fn try_take(checkout: &Checkout) -> Result<Option<Self>, Error> {
        let lock = self::file(checkout, NAME)?;
        // Only after the lock: a supervisor that ends closes its socket first.
        let is_alone = lock.is_none() || answering(checkout).await.is_none();
        Ok(lock.filter(|_| is_alone).map(|file| Self { file }))
    }

    fn name_holder(&mut self, what: &str, socket: Option<PathBuf>) -> std::io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            what: what.to_owned(),
            socket,
        };
        let text = serde_json::to_string(&holder).expect("names and numbers are JSON");
        let mut file = self.file.file();
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())
    }

    /// Returns whether other processes still find the lock: its file may have been removed.
    pub fn is_in_place(&self, checkout: &Checkout) -> bool {
        self.file.is_at(&path(checkout))
    }

    /// Records another control socket of the holder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn moved(&mut self, checkout: &Checkout, what: &str, socket: PathBuf) -> Result<(), Error> {
        self.name_holder(what, Some(socket))
            .map_err(|source| Error::io("write", &path(checkout), source))
    }

    /// Takes the lock for a short piece of work, waiting for somebody else's.
    ///
    /// # Errors
    /// The other one does not finish within `patience`.
    pub async fn wait(checkout: &Checkout, what: &str, patience: Duration) -> Result<Self, Error> {
        let last = Cell::new(None);
        let taken = poll_until(after(patience), POLL, || async {
            match Self::take(checkout, what, None).await {
                Ok(Ok(lock)) => Some(Ok(lock)),
                Ok(Err(holder)) => {
                    last.set(Some(holder));
                    None
                }
                Err(error) => Some(Err(error)),
            }
        })
        .await;
        taken.unwrap_or_else(|| Err(busy(last.into_inner(), patience)))
    }
}

/// The error of a command that waited for a holder.
pub fn busy(holder: Option<Holder>, waited: Duration) -> Error {
    match holder {
        Some(Holder { what, pid, .. }) => Error::Busy { what, pid, waited },
        None => Error::at_work("command"),
    }
}

/// Returns the holder of the lock of a checkout: the process that has locked the file, or a supervisor that answers although its file was
/// removed.
pub async fn holder(checkout: &Checkout) -> Option<Holder> {
    let path = path(checkout);
    if !file_lock::is_held(&path) {
        return answering(checkout).await;
    }
    let holder: Holder = serde_json::from_str(&std::fs::read_to_string(&path).ok()?).ok()?;
    // Between taking the lock and writing its name a holder shows the name of the last one.
    let pid = nix::unistd::Pid::from_raw(i32::try_from(holder.pid).ok()?);
    (nix::sys::signal::kill(pid, None) != Err(nix::errno::Errno::ESRCH)).then_some(holder)
}

/// Returns another process that listens on the control socket of the checkout. After `rm -rf data/run` it takes a moment until the
/// supervisor creates its files again.
async fn answering(checkout: &Checkout) -> Option<Holder> {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR");
    let sockets = [runtime_dir.as_deref(), None].map(|folder| checkout.control_socket(folder));
    for socket in sockets {
        let Ok(stream) = UnixStream::connect(&socket).await else {
            continue;
        };
        // Other users can create this socket in /tmp.
        if let Ok(peer) = stream.peer_cred()
            && peer.uid() == Uid::effective().as_raw()
            && let Some(pid) = peer.pid().and_then(|pid| u32::try_from(pid).ok())
            && pid != std::process::id()
        {
            return Some(Holder {
                pid,
                what: SUPERVISOR.to_owned(),
                socket: Some(socket),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_checks_for_the_container_do_not_detect_each_other() {
        let (_folder, checkout) = Checkout::scratch(&[]);
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
    async fn a_lock_of_the_checkout_has_one_holder_which_is_reported() {
        let (_folder, checkout) = Checkout::scratch(&[]);
        assert_eq!(holder(&checkout).await, None);
        let lock = Lock::take(&checkout, "cargo dev up", None)
            .await
            .unwrap()
            .unwrap();
        let expected = Holder {
            pid: std::process::id(),
            what: "cargo dev up".to_owned(),
            socket: None,
        };
        assert_eq!(holder(&checkout).await.as_ref(), Some(&expected));
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
        assert_eq!(holder(&checkout).await, None);
        Lock::wait(&checkout, "cargo dev migrate", Duration::ZERO)
            .await
            .unwrap();
    }
}
