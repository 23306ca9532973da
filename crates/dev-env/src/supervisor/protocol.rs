//! The messages of the supervisor: a line of JSON each, over the control socket and from a detached `up` to the terminal.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};

use crate::report::events::Event;
use crate::report::snapshot::Snapshot;
use crate::report::up::Up;

/// A message. All but [`Message::Event`] are the last one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    Event(Event),
    Status(Box<Snapshot>),
    /// The order was carried out.
    Done,
    /// Passwords were changed, and this settings file has them.
    Written(PathBuf),
    /// `up` has ended.
    Ended(Up),
    Failed(String),
}

impl Message {
    /// Returns the message with its line end.
    pub(super) fn line(&self) -> String {
        serde_json::to_string(self).expect("a message is JSON") + "\n"
    }
}

/// The messages of another process.
pub(super) struct Messages<R>(Lines<BufReader<R>>);

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(super) fn new(reader: R) -> Self {
        Self(BufReader::new(reader).lines())
    }

    /// Returns the next message, or `None` at the end. Lines that are not messages are skipped: a library may print some.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Message>> {
        while let Some(line) = self.0.next_line().await? {
            if let Ok(message) = serde_json::from_str(&line) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }
}
