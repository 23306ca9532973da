//! The lock and the control socket, by which other commands find the supervisor. Cleaners of temporary folders, a logout and
//! `rm -rf data/run` can remove them while it runs. Both are then created again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::project::lock::{Lock, SUPERVISOR};
use crate::report::events::Events;
use crate::supervisor::control::{self, Control, Order};
use crate::supervisor::status_hub::StatusHub;
use crate::{Checkout, Environment, Error};
use process::shutdown::Shutdown;

/// The interval of the check. Other commands wait longer than this for an answer.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// Keeps lock and socket in place. [`Presence::end`] releases both.
pub(super) struct Presence {
    task: JoinHandle<()>,
}

struct Kept {
    environment: Environment,
    // Before the lock: no other command finds the socket of a supervisor that has released its lock.
    control: Control,
    lock: Lock,
    /// What the control socket serves.
    served: (StatusHub, Shutdown, mpsc::Sender<Order>),
    ready_socket: watch::Sender<PathBuf>,
}

impl Presence {
    /// Listens on `socket`. The receiver provides the path at which a new API process reports that it is ready.
    ///
    /// # Errors
    /// The socket cannot be created.
    pub(super) fn begin(
        environment: &Environment,
        lock: Lock,
        socket: &Path,
        served: (StatusHub, Shutdown, mpsc::Sender<Order>),
        events: Events,
    ) -> Result<(Self, watch::Receiver<PathBuf>), Error> {
        let control = Control::listen(socket, &environment.checkout, served.clone())?;
        let (ready_socket, receiver) = watch::channel(ready_socket(environment, socket));
        let kept = Kept {
            environment: environment.clone(),
            control,
            lock,
            served,
            ready_socket,
        };
        Ok((
            Self {
                task: tokio::spawn(kept.keep(events)),
            },
            receiver,
        ))
    }

    /// Removes the socket and releases the lock.
    pub(super) async fn end(self) {
        self.task.abort();
        // The task was aborted, so its result is a cancellation.
        let _aborted = self.task.await;
    }
}

impl Kept {
    async fn keep(mut self, events: Events) {
        let mut failed = None;
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            let (checkout, (_, stop, _)) = (&self.environment.checkout, &self.served);
            if !checkout.is_in_place() {
                events.warn(format!(
                    "the folder {} was moved or removed; stopping this environment",
                    checkout.root().display()
                ));
                return stop.request_once();
            }
            match self.restore().await {
                Ok(None) => failed = None,
                Ok(Some(restored)) => events.note(restored),
                Err(error @ (Error::Busy { .. } | Error::DockerRuns)) => {
                    events.warn(format!("data/run was removed, and another command acquired the lock; stopping this environment\n{error}"));
                    return self.served.1.request();
                }
                Err(error) if failed.as_ref() == Some(&error.to_string()) => {}
                Err(error) => {
                    events.warn(format!("other commands cannot connect to this environment: {error}\nretrying every second"));
                    failed = Some(error.to_string());
                }
            }
        }
    }

    /// Creates missing files again. Returns a description of them.
    async fn restore(&mut self) -> Result<Option<String>, Error> {
        let checkout = self.environment.checkout.clone();
        if !self.lock.is_in_place(&checkout) {
            let socket = self.control.path().to_owned();
            match Lock::take(&checkout, SUPERVISOR, Some(socket)).await? {
                Ok(lock) => self.lock = lock,
                // A short command, which releases the lock soon.
                Err(holder) if holder.socket.is_none() => return Ok(None),
                Err(holder) => {
                    return Err(Error::Busy {
                        what: holder.what,
                        pid: holder.pid,
                        waited: CHECK_EVERY,
                    });
                }
            }
            return Ok(Some(format!(
                "{} was removed; it was created again",
                checkout.run().display()
            )));
        }
        if self.control.is_in_place() {
            return Ok(None);
        }
        let lost = self.control.path().to_owned();
        let socket = socket(&checkout);
        self.control = Control::listen(&socket, &checkout, self.served.clone())?;
        self.lock.moved(&checkout, SUPERVISOR, socket.clone())?;
        self.ready_socket
            .send_replace(ready_socket(&self.environment, &socket));
        Ok(Some(format!(
            "{} was removed; the control socket of this environment is {} now",
            lost.display(),
            socket.display()
        )))
    }
}

/// Returns the path for the control socket: its folder may have been removed.
pub(super) fn socket(checkout: &Checkout) -> PathBuf {
    checkout.control_socket(std::env::var_os("XDG_RUNTIME_DIR").as_deref())
}

fn ready_socket(environment: &Environment, socket: &Path) -> PathBuf {
    match environment.is_in_container() {
        // The API may run as another user there, who cannot access the folder of the control socket.
        true => environment.checkout.run().join("ready"),
        false => control::ready_socket(socket),
    }
}
