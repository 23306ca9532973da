//! A child process that outlives this process, and answers each line on its standard input with a line.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::configuration::Configuration;
use crate::error::ProcessError;
use crate::group::Group;

/// A child in its own process group, which the kernel does not kill with this process. If this process is killed, the child's standard
/// input is closed, and the child cleans up and exits.
pub struct Outliving {
    configuration: Configuration,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Outliving {
    /// Starts the child. Its pid file, listeners and sink are ignored.
    ///
    /// # Errors
    /// [`ProcessError::Spawn`].
    pub fn start(configuration: &Configuration) -> Result<Self, ProcessError> {
        let mut command = configuration.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|source| ProcessError::spawn(configuration, source))?;
        let stdin = child.stdin.take().expect("it is a pipe");
        let lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        Ok(Self {
            configuration: configuration.clone(),
            child,
            stdin,
            lines,
        })
    }

    /// Sends text to its standard input.
    ///
    /// # Errors
    /// [`ProcessError::Wait`]: the child has closed its standard input.
    pub async fn send(&mut self, text: &str) -> Result<(), ProcessError> {
        self.stdin
            .write_all(text.as_bytes())
            .await
            .map_err(|source| ProcessError::wait(&self.configuration, source))
    }

    /// Reads the next line of its standard output, or `None` at the end.
    ///
    /// # Errors
    /// [`ProcessError::Wait`]: the output cannot be read, or is not UTF-8.
    pub async fn line(&mut self) -> Result<Option<String>, ProcessError> {
        self.lines
            .next_line()
            .await
            .map_err(|source| ProcessError::wait(&self.configuration, source))
    }

    /// Closes its standard input and waits for the child. Returns its exit status and standard error.
    ///
    /// # Errors
    /// [`ProcessError::NotReady`], if it does not exit within `bound`. It keeps running then.
    pub async fn finish(self, bound: Duration) -> Result<(ExitStatus, String), ProcessError> {
        let Self {
            configuration,
            mut child,
            stdin,
            lines,
        } = self;
        drop(stdin);
        let mut stderr = child.stderr.take().expect("it is a pipe");
        let finished = async {
            let mut text = Vec::new();
            // The rest of standard output is discarded.
            let (status, _, _) =
                tokio::join!(child.wait(), stderr.read_to_end(&mut text), drain(lines));
            status.map(|status| (status, String::from_utf8_lossy(&text).trim().to_owned()))
        };
        match tokio::time::timeout(bound, finished).await {
            Ok(finished) => finished.map_err(|source| ProcessError::wait(&configuration, source)),
            Err(_) => Err(ProcessError::unfinished(
                configuration.name,
                bound,
                Vec::new(),
            )),
        }
    }

    /// Kills the child and its group, so that it does not clean up.
    pub async fn kill(mut self) {
        if let Some(group) = Group::led_by(&self.child) {
            group.signal(Signal::SIGKILL);
        }
        let _ended = self.child.wait().await;
    }
}

async fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(_)) = lines.next_line().await {}
}
