//! A child process that outlives this process, and answers each line on its standard input with a line.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::{Configuration, ProcessError};

/// A child in its own process group, which the kernel does not kill with this process. If this process is killed, the child's standard
/// input is closed, and the child cleans up and exits.
pub struct Outliving {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Outliving {
    /// Starts the child.
    pub fn start(configuration: &Configuration) -> Result<Self, ProcessError> {
        let name = configuration.name.clone();
        let mut command = configuration.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| ProcessError::Spawn {
            name: name.clone(),
            program: configuration.program.clone(),
            source,
        })?;
        let stdin = child.stdin.take().expect("it was asked for");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        Ok(Self {
            name,
            child,
            stdin,
            lines,
        })
    }

    /// Sends text.
    pub async fn send(&mut self, text: &str) -> Result<(), ProcessError> {
        self.stdin
            .write_all(text.as_bytes())
            .await
            .map_err(|source| ProcessError::Wait {
                name: self.name.clone(),
                source,
            })
    }

    /// Reads the next line, or `None` at the end.
    pub async fn line(&mut self) -> Result<Option<String>, ProcessError> {
        self.lines
            .next_line()
            .await
            .map_err(|source| ProcessError::Wait {
                name: self.name.clone(),
                source,
            })
    }

    /// Closes standard input and waits for the child. Returns its exit status and standard error.
    pub async fn finish(self, bound: Duration) -> Result<(ExitStatus, String), ProcessError> {
        let Self {
            name,
            mut child,
            stdin,
            lines,
        } = self;
        drop(stdin);
        let mut stderr = child.stderr.take().expect("it was asked for");
        let finished = async {
            let mut said = Vec::new();
            // The rest of standard output is discarded.
            let (status, _, _) =
                tokio::join!(child.wait(), stderr.read_to_end(&mut said), drain(lines));
            status.map(|status| (status, String::from_utf8_lossy(&said).trim().to_owned()))
        };
        match tokio::time::timeout(bound, finished).await {
            Ok(finished) => finished.map_err(|source| ProcessError::Wait { name, source }),
            Err(_) => Err(ProcessError::NotReady {
                name,
                waited: bound,
                last: "it had not finished".to_owned(),
                tail: Vec::new(),
            }),
        }
    }

    /// Kills the child, so that it does not clean up.
    pub async fn kill(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            crate::signal_group(
                nix::unistd::Pid::from_raw(pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        let _ended = self.child.wait().await;
    }
}

async fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(_)) = lines.next_line().await {}
}
