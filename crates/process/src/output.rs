//! Reads the output of a child in lines, and keeps the last ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Child;
use tokio::task::JoinHandle;

/// The number of lines that are kept for errors.
const TAIL_LINES: usize = 50;
/// Longer lines are split, so that a child that prints no line ends does not fill the memory.
const LONGEST_LINE: u64 = 64 * 1024;
/// How long to wait for the last lines of a child that has exited. Its descendants may keep the pipes open.
const DRAIN_BOUND: Duration = Duration::from_millis(250);

/// The origin of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A function that is called with each line of a process, without its line end. Lines of one stream arrive in order.
pub type LineSink = Arc<dyn Fn(Stream, &str) + Send + Sync>;

type Tail = Arc<Mutex<VecDeque<String>>>;

#[derive(Default)]
pub(super) struct Collected {
    tail: Tail,
    readers: Vec<JoinHandle<()>>,
}

impl Collected {
    /// Starts to read both streams of `child`.
    pub(super) fn from_child(child: &mut Child, sink: Option<LineSink>) -> Self {
        let tail = Tail::default();
        let mut readers = Vec::with_capacity(2);
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(read(
                stdout,
                Stream::Stdout,
                Arc::clone(&tail),
                sink.clone(),
            )));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(read(
                stderr,
                Stream::Stderr,
                Arc::clone(&tail),
                sink,
            )));
        }
        Self { tail, readers }
    }

    pub(super) fn tail(&self) -> Vec<String> {
        self.tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// Waits until the output of a child that has exited is read.
    pub(super) async fn drain(&mut self) {
        let deadline = tokio::time::Instant::now() + DRAIN_BOUND;
        for mut reader in self.readers.drain(..) {
            if tokio::time::timeout_at(deadline, &mut reader)
                .await
                .is_err()
            {
                reader.abort();
            }
        }
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        for reader in &self.readers {
            reader.abort();
        }
    }
}

async fn read(pipe: impl AsyncRead + Unpin, stream: Stream, tail: Tail, sink: Option<LineSink>) {
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match (&mut reader)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut bytes)
            .await
        {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        let line = String::from_utf8_lossy(&bytes);
        if let Some(sink) = &sink {
            sink(stream, &line);
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line.into_owned());
    }
}
