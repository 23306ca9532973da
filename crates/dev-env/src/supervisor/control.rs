//! The supervisor's socket: a line of JSON asks, lines of JSON answer.

use std::cell::Cell;
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::project::lock::{self, Holder, Lock};
use crate::report::events::Events;
use crate::report::snapshot::{Snapshot, Stage};
use crate::report::up::Service;
use crate::supervisor::protocol::{Message, Messages};
use crate::supervisor::status_hub::StatusHub;
use crate::{Checkout, Error};
use local_postgres::socket_dir;
use process::poll::{after, poll_until};
use process::shutdown::Shutdown;
use process::user::User;

/// A supervisor that lives answers from memory.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
/// Building is part of a restart.
const RESTART_PATIENCE: Duration = Duration::from_secs(3600);

/// What is asked.
// No Debug: one of them has a password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// How everything is.
    Status,
    /// To end. Answered at once: the lock says when it has ended.
    Stop,
    /// To read the settings again and start one service, or all, anew.
    Restart(Option<Service>),
    /// To give the database's owner this password, and the API's role another one, everywhere.
    ChangePassword(String),
}

/// Work that a command waits for.
pub(crate) struct Order {
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Message>,
}

/// Work that takes time, and is done in turn.
pub(crate) enum Work {
    Restart(Option<Service>),
    ChangePassword(SecretString),
}

/// The listening socket, gone when this is dropped.
pub(crate) struct Control {
    task: JoinHandle<()>,
    path: PathBuf,
    // Device and inode.
    identity: (u64, u64),
    _lock: Option<File>,
}

impl Control {
    /// Listens. Whoever holds the lock may take the place of a socket that was left behind.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn listen(
        socket: &Path,
        checkout: &Checkout,
        (hub, stop, orders): (StatusHub, Shutdown, mpsc::Sender<Order>),
    ) -> Result<Self, Error> {
        let folder = socket
            .parent()
            .expect("the socket lies in a folder of its own")
            .to_owned();
        socket_dir::prepare(&folder, &User::current_or_unnamed())?;
        let io = |source| Error::io("listen on", socket, source);
        match std::fs::remove_file(socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        let listener = UnixListener::bind(socket).map_err(io)?;
        std::fs::set_permissions(socket, Permissions::from_mode(0o600)).map_err(io)?;
        let identity = identity(socket).map_err(io)?;
        let lock = socket_dir::keep_from_cleaners(&folder);
        Ok(Self {
            task: tokio::spawn(accept(listener, checkout.clone(), hub, stop, orders)),
            path: socket.to_owned(),
            identity,
            _lock: lock,
        })
    }

    /// The path of the socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether clients can still connect: the socket file may have been removed.
    pub(crate) fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|found| found == self.identity)
    }
}

fn identity(socket: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::symlink_metadata(socket).map(|file| (file.dev(), file.ino()))
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // A different socket at this path belongs to the successor.
        if let Some(folder) = self.path.parent().filter(|_| self.is_in_place()) {
            remove(folder);
        }
    }
}

/// Where a new process of the API says that it is ready: beside the socket.
pub(crate) fn ready_socket(socket: &Path) -> PathBuf {
    socket.with_file_name("ready")
}

/// Removes the socket's folder, when the supervisor has ended.
pub(crate) fn remove(folder: &Path) {
    let socket = folder.join("socket");
    let _gone = std::fs::remove_file(ready_socket(&socket));
    let _gone = std::fs::remove_file(socket);
    let _gone = std::fs::remove_dir(folder);
}

async fn accept(
    listener: UnixListener,
    checkout: Checkout,
    hub: StatusHub,
    stop: Shutdown,
    orders: mpsc::Sender<Order>,
) {
    // Aborted with this task, and so with the supervisor.
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { sessions.spawn(serve(stream, checkout.clone(), hub.clone(), stop.clone(), orders.clone())); }
                // Out of file descriptors: the sessions that run will give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn serve(
    mut stream: UnixStream,
    checkout: Checkout,
    hub: StatusHub,
    stop: Shutdown,
    orders: mpsc::Sender<Order>,
) {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, BufReader::new(reader).read_line(&mut line)).await;
    let Ok(request) = serde_json::from_str(&line) else {
        return;
    };
    if !matches!(read, Ok(Ok(_))) {
        return;
    }
    if !checkout.is_in_place() && !matches!(request, Request::Stop) {
        // The client belongs to another checkout at this path.
        stop.request_once();
        hub.update(|snapshot| snapshot.stage = Stage::Stopping);
    }
    let work = match request {
        Request::Status => {
            let message = Message::Status(Box::new(hub.snapshot()));
            return drop(send(&mut writer, &message).await);
        }
        Request::Stop => {
            stop.request();
            return drop(send(&mut writer, &Message::Done).await);
        }
        Request::Restart(service) => Work::Restart(service),
        Request::ChangePassword(password) => Work::ChangePassword(password.into()),
    };
    let mut events = hub.subscribe();
    let (answer, mut answered) = oneshot::channel();
    // A supervisor that ends does no more work. The client then receives the end of the answers.
    drop(orders.send(Order { work, answer }).await);
    loop {
        let message = tokio::select! {
            // What happened before the answer is sent before it.
            biased;
            Some(event) = events.recv() => Message::Event(event),
            answer = &mut answered => match answer {
                Ok(message) => message,
                Err(_) => return,
            },
        };
        let is_last = !matches!(message, Message::Event(_));
        if send(&mut writer, &message).await.is_err() || is_last {
            return;
        }
    }
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), message: &Message) -> std::io::Result<()> {
    writer.write_all(message.line().as_bytes()).await
}

/// The supervisor of a checkout, and how it is; `None` when there is none.
///
/// # Errors
/// It does not answer.
pub(crate) async fn supervisor(checkout: &Checkout) -> Result<Option<(Holder, Snapshot)>, Error> {
    let silent = Cell::new(None);
    let found = poll_until(after(PATIENCE), POLL, || async {
        let holder = lock::holder(checkout).await;
        let Some(holder) = holder.filter(|holder| holder.socket.is_some()) else {
            return Some(None);
        };
        match status(&holder).await {
            Ok(snapshot) => Some(Some((holder, snapshot))),
            // It is just beginning, or ending: the next moment knows more.
            Err(error) => {
                silent.set(Some(error));
                None
            }
        }
    });
    match (found.await, silent.into_inner()) {
        (None, Some(error)) => Err(error),
        (found, _) => Ok(found.flatten()),
    }
}

/// Waits until `find` returns something of the running supervisor, or until this process can lock the checkout in the name of `what`.
///
/// # Errors
/// A supervisor without it, or another command, is still there after `patience`.
pub(crate) async fn supervisor_or_lock<T>(
    checkout: &Checkout,
    what: &str,
    patience: Duration,
    find: impl Fn(&Holder, &Snapshot) -> Option<T>,
) -> Result<Result<T, Lock>, Error> {
    let busy = Cell::new(None);
    let attempt = async || {
        let holder = match supervisor(checkout).await? {
            Some((holder, snapshot)) => match find(&holder, &snapshot) {
                Some(found) => return Ok(Some(Ok(found))),
                None => holder,
            },
            None => match Lock::take(checkout, what, None).await? {
                Ok(lock) => return Ok(Some(Err(lock))),
                Err(holder) => holder,
            },
        };
        busy.set(Some(holder));
        Ok(None)
    };
    let found = poll_until(after(patience), POLL, || async {
        attempt().await.transpose()
    });
    found
        .await
        .unwrap_or_else(|| Err(lock::busy(busy.into_inner(), patience)))
}

async fn status(holder: &Holder) -> Result<Snapshot, Error> {
    match ask(holder, Request::Status, None, PATIENCE).await? {
        Message::Status(snapshot) => Ok(*snapshot),
        other => Err(odd(holder, &other)),
    }
}

/// Asks it to end; returns when it has heard that.
///
/// # Errors
/// The supervisor does not answer.
pub(crate) async fn stop(holder: &Holder) -> Result<(), Error> {
    ask(holder, Request::Stop, None, PATIENCE).await.map(drop)
}

/// Asks for a restart, and returns when it is done.
///
/// # Errors
/// What the supervisor says, or that it says nothing.
pub(crate) async fn restart(
    holder: &Holder,
    service: Option<Service>,
    events: &Events,
) -> Result<(), Error> {
    match ask(
        holder,
        Request::Restart(service),
        Some(events),
        RESTART_PATIENCE,
    )
    .await?
    {
        Message::Done => Ok(()),
        Message::Failed(message) => Err(Error::message(message)),
        other => Err(odd(holder, &other)),
    }
}

/// Asks for new passwords, and returns the file that has them when that is done.
///
/// # Errors
/// What the supervisor says, or that it says nothing.
pub(crate) async fn change_password(
    holder: &Holder,
    password: &SecretString,
    events: &Events,
) -> Result<PathBuf, Error> {
    let request = Request::ChangePassword(password.expose_secret().to_owned());
    match ask(holder, request, Some(events), RESTART_PATIENCE).await? {
        Message::Written(file) => Ok(file),
        Message::Failed(message) => Err(Error::message(message)),
        other => Err(odd(holder, &other)),
    }
}

async fn ask(
    holder: &Holder,
    request: Request,
    events: Option<&Events>,
    patience: Duration,
) -> Result<Message, Error> {
    let silent = |reason: String| silent(holder, &reason);
    let socket = holder
        .socket
        .as_deref()
        .ok_or_else(|| silent("it has no socket".to_owned()))?;
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        let text = serde_json::to_string(&request).expect("a request is JSON");
        stream.write_all(format!("{text}\n").as_bytes()).await?;
        let mut messages = Messages::new(stream);
        while let Some(message) = messages.next().await? {
            match (message, events) {
                (Message::Event(event), Some(events)) => events.tell(event),
                (Message::Event(_), None) => {}
                (answer, _) => return Ok(answer),
            }
        }
        Err(std::io::Error::other("it ended"))
    };
    match tokio::time::timeout(patience, talk).await {
        Ok(answer) => {
            answer.map_err(|error: std::io::Error| silent(format!("{}: {error}", socket.display())))
        }
        Err(_) => Err(silent(format!("nothing within {} s", patience.as_secs()))),
    }
}

fn odd(holder: &Holder, answer: &Message) -> Error {
    silent(holder, &format!("an answer that does not fit: {answer:?}"))
}

/// Returns the error of a supervisor that does not answer.
pub(crate) fn silent(holder: &Holder, reason: &str) -> Error {
    Error::hinted(
        format!(
            "the environment (pid {}) does not answer: {reason}",
            holder.pid
        ),
        "end it: cargo dev down",
    )
}
